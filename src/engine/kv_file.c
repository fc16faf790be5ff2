#include "engine/kv_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/file.h"
#include "engine/forward.h"

#define BLOCK ((size_t)1 << 20)

/* The file: this, the ids, then each layer's keys and values of n_ids cells, then the checksum of all
 * that (XXH3, 64 bits). Numbers are as the machine has them; a file stays on its machine. */
struct kv_head {
	char magic[8];
	uint64_t model; /* fingerprint */
	uint32_t n_layers, kv_type;
	uint64_t k_cell, v_cell; /* bytes of a cell, in a layer */
	uint64_t n_ids;
	uint32_t cells_len, zero;
};

static const char magic[8] = {'A', 'I', 'R', 'L', 'K', 'V', '0', '1'};

static void hash_text(XXH3_state_t *h, const char *s)
{
	XXH3_64bits_update(h, s, strlen(s) + 1);
}

static int fingerprint(const struct engine *en, uint64_t *out, struct err *e)
{
	const struct checkpoint *c = en->c.checkpoint;
	XXH3_state_t *h = XXH3_createState();
	if (!h)
		return err_nomem(e);
	XXH3_64bits_reset(h);
	hash_text(h, en->c.backend->name);
	hash_text(h, en->c.backend->variant);
	for (size_t i = 0; i < c->n_files; i++) {
		struct stat st;
		if (stat(c->files[i].path, &st) < 0) {
			XXH3_freeState(h);
			return err_sys(e, errno, "can't look at %s", c->files[i].path);
		}
		const uint64_t facts[] = {c->files[i].size, (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec};
		XXH3_64bits_update(h, facts, sizeof(facts));
	}
	for (size_t i = 0; i < c->n_tensors; i++) {
		const struct tensor *t = &c->tensors[i];
		const uint64_t facts[] = {t->offset, t->bytes, (uint64_t)t->dtype, t->file};
		hash_text(h, t->name);
		XXH3_64bits_update(h, facts, sizeof(facts));
	}
	*out = XXH3_64bits_digest(h);
	XXH3_freeState(h);
	return 0;
}

static int make_head(const struct engine *en, struct kv_head *head, struct err *e)
{
	*head = (struct kv_head){.n_layers = en->c.model->n_layers, .kv_type = (uint32_t)en->c.plan->kv_type,
		.k_cell = en->k_bytes / en->c.plan->ctx, .v_cell = en->v_bytes / en->c.plan->ctx, .n_ids = en->n_ids,
		.cells_len = en->cells_len};
	memcpy(head->magic, magic, sizeof(magic));
	return fingerprint(en, &head->model, e);
}

uint64_t engine_kv_bytes(const struct engine *en)
{
	const uint64_t cell = (en->k_bytes + en->v_bytes) / en->c.plan->ctx * en->c.model->n_layers;
	return sizeof(struct kv_head) + en->n_ids * (sizeof(uint32_t) + cell) + sizeof(uint64_t);
}

/* --- one direction or the other, with the checksum of what went by --- */

struct transfer {
	struct engine *en;
	int fd;
	const char *path;
	uint64_t at; /* reading: offset */
	bool writing;
	XXH3_state_t *hash;
	char *block; /* host memory for a device's cells */
};

static int host_bytes(struct transfer *t, void *p, size_t n, struct err *e)
{
	if (!t->writing && file_pread(t->fd, p, n, t->at, t->path, e) < 0)
		return -1;
	XXH3_64bits_update(t->hash, p, n);
	t->at += n;
	for (size_t done = 0; t->writing && done < n;) {
		ssize_t k = write(t->fd, (char *)p + done, n - done);
		if (k < 0 && errno != EINTR)
			return err_sys(e, errno, "can't write %s", t->path);
		done += k > 0 ? (size_t)k : 0;
	}
	return 0;
}

static int device_bytes(struct transfer *t, char *p, size_t n, struct err *e)
{
	struct backend *b = t->en->c.backend;
	if (b->host_memory)
		return host_bytes(t, p, n, e);
	for (size_t i = 0; i < n; i += BLOCK) {
		size_t k = n - i < BLOCK ? n - i : BLOCK;
		if (!t->writing && host_bytes(t, t->block, k, e) < 0)
			return -1;
		if (t->writing)
			b->ops->download(b, QUEUE_COMPUTE, t->block, p + i, k);
		else
			b->ops->upload(b, QUEUE_COMPUTE, p + i, t->block, k);
		b->ops->event_record(b, QUEUE_COMPUTE, t->en->event);
		if (b->ops->event_sync(b, t->en->event, e) < 0 || (t->writing && host_bytes(t, t->block, k, e) < 0))
			return -1;
	}
	return 0;
}

/* The ids and the cells. Token i lies in cell i, as long as the engine holds one sequence. */
static int body(struct transfer *t, uint32_t *ids, size_t n, struct err *e)
{
	struct engine *en = t->en;
	const size_t k = en->k_bytes / en->c.plan->ctx, v = en->v_bytes / en->c.plan->ctx;
	if (host_bytes(t, ids, n * sizeof(*ids), e) < 0)
		return -1;
	for (uint32_t i = 0; i < en->c.model->n_layers; i++)
		if (device_bytes(t, en->k[i], n * k, e) < 0 || (v && device_bytes(t, en->v[i], n * v, e) < 0))
			return -1;
	return 0;
}

static int begin(struct transfer *t, struct err *e)
{
	struct backend *b = t->en->c.backend;
	t->hash = XXH3_createState();
	t->block = b->host_memory ? NULL : b->ops->host_alloc(b, BLOCK);
	if (!t->hash || (!b->host_memory && !t->block))
		return err_nomem(e);
	XXH3_64bits_reset(t->hash);
	return 0;
}

static void end(struct transfer *t)
{
	struct backend *b = t->en->c.backend;
	XXH3_freeState(t->hash);
	if (t->block)
		b->ops->host_free(b, t->block, BLOCK);
	if (t->fd >= 0)
		close(t->fd);
}

static int write_all(struct transfer *t, struct err *e)
{
	struct kv_head head;
	if (begin(t, e) < 0 || make_head(t->en, &head, e) < 0 || host_bytes(t, &head, sizeof(head), e) < 0 ||
		body(t, t->en->ids, t->en->n_ids, e) < 0)
		return -1;
	uint64_t sum = XXH3_64bits_digest(t->hash);
	if (host_bytes(t, &sum, sizeof(sum), e) < 0)
		return -1;
	return fsync(t->fd) < 0 ? err_sys(e, errno, "can't write %s", t->path) : 0;
}

int engine_kv_save(struct engine *en, const char *path, struct err *e)
{
	struct buf tmp = BUF_INIT;
	buf_printf(&tmp, "%s.tmp-XXXXXX", path);
	if (buf_ok(&tmp, e) < 0)
		return -1;
	struct transfer t = {.en = en, .fd = mkostemp(tmp.p, O_CLOEXEC), .path = path, .writing = true};
	int rc = t.fd < 0 ? err_sys(e, errno, "can't write %s", path) : write_all(&t, e);
	bool made = t.fd >= 0;
	end(&t);
	if (rc == 0 && rename(tmp.p, path) < 0)
		rc = err_sys(e, errno, "can't rename %s to %s", tmp.p, path);
	if (rc < 0 && made)
		unlink(tmp.p);
	buf_clear(&tmp);
	return rc;
}

static int check(const struct engine *en, const struct kv_head *h, uint64_t size, const char *path, struct err *e)
{
	struct kv_head ours;
	if (memcmp(h->magic, magic, sizeof(magic)))
		return err_set(e, ERR_FORMAT, "%s is no KV cache", path);
	if (make_head(en, &ours, e) < 0)
		return -1;
	if (h->kv_type != ours.kv_type)
		return err_set(e, ERR_USAGE, "%s has cells of another --kv-type", path);
	if (h->model != ours.model || h->n_layers != ours.n_layers || h->k_cell != ours.k_cell || h->v_cell != ours.v_cell)
		return err_set(e, ERR_USAGE, "%s is of another model, or of other kernels", path);
	if (h->n_ids == 0 || h->n_ids > en->c.plan->ctx)
		return err_set(e, ERR_LIMIT, "%s holds %llu tokens, which the context of %u does not", path,
			(unsigned long long)h->n_ids, en->c.plan->ctx);
	uint64_t cell = (h->k_cell + h->v_cell) * h->n_layers + sizeof(uint32_t);
	if (size != sizeof(*h) + h->n_ids * cell + sizeof(uint64_t) || h->cells_len > UINT32_MAX / 2)
		return err_set(e, ERR_FORMAT, "%s has a wrong length", path);
	return 0;
}

int engine_kv_load(struct engine *en, const char *path, struct err *e)
{
	uint64_t size, sum;
	struct kv_head head;
	en->n_ids = 0;
	struct transfer t = {.en = en, .fd = file_open(path, &size, e), .path = path};
	if (t.fd < 0)
		return -1;
	int rc = begin(&t, e);
	if (rc == 0 && size < sizeof(head))
		rc = err_set(e, ERR_FORMAT, "%s has a wrong length", path);
	if (rc == 0)
		rc = host_bytes(&t, &head, sizeof(head), e);
	if (rc == 0)
		rc = check(en, &head, size, path, e);
	if (rc == 0)
		rc = body(&t, en->ids, head.n_ids, e);
	uint64_t ours = rc == 0 ? XXH3_64bits_digest(t.hash) : 0;
	if (rc == 0)
		rc = host_bytes(&t, &sum, sizeof(sum), e);
	if (rc == 0 && sum != ours)
		rc = err_set(e, ERR_FORMAT, "%s is damaged: its checksum is wrong", path);
	for (size_t i = 0; rc == 0 && i < head.n_ids; i++)
		if (en->ids[i] >= en->c.model->vocab)
			rc = err_set(e, ERR_FORMAT, "%s holds a token that the model does not have", path);
	if (rc == 0) {
		en->n_ids = head.n_ids;
		en->cells_len = head.cells_len;
	}
	posix_fadvise(t.fd, 0, 0, POSIX_FADV_DONTNEED);
	end(&t);
	return rc;
}
