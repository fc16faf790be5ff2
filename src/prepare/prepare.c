#include "prepare/prepare.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/file.h"
#include "base/mem.h"
#include "prepare/work.h"

void work_progress(struct work *w, const char *verb, const char *name, uint64_t bytes)
{
	char what[300];
	w->progress.done += bytes;
	snprintf(what, sizeof(what), "%s %s", verb, name);
	struct prepare_progress p = w->progress;
	p.what = what;
	if (w->r->progress)
		w->r->progress(w->r->arg, &p);
}

/* --- opening ------------------------------------------------------------------------------------ */

static char *settings_text(const struct prepare_request *r, size_t n_targets)
{
	struct buf b = BUF_INIT;
	buf_printf(&b, "quant=%s head=%s", prepare_quant_name(r->quant), prepare_quant_name(r->head));
	if (n_targets > 1)
		buf_printf(&b, " stripes=%zu", n_targets);
	return buf_take(&b);
}

/* Of everything that decides what is written: the source's headers and the settings. */
static uint64_t fingerprint(const struct checkpoint *c, const char *settings)
{
	XXH3_state_t *h = XXH3_createState();
	uint64_t sum = 0;
	if (!h)
		return 0;
	XXH3_64bits_reset(h);
	XXH3_64bits_update(h, settings, strlen(settings));
	for (size_t i = 0; i < c->n_files; i++)
		XXH3_64bits_update(h, &c->files[i].size, sizeof(c->files[i].size));
	for (size_t i = 0; i < c->n_tensors; i++) {
		const struct tensor *t = &c->tensors[i];
		const uint64_t numbers[] = {t->file, t->offset, t->bytes, t->shape[0], t->shape[1]};
		XXH3_64bits_update(h, t->name, strlen(t->name));
		XXH3_64bits_update(h, t->type_name, strlen(t->type_name));
		XXH3_64bits_update(h, numbers, sizeof(numbers));
	}
	sum = XXH3_64bits_digest(h);
	XXH3_freeState(h);
	return sum;
}

static int read_manifest(struct work *w, const char *name, struct err *e)
{
	char *path = path_join(w->dst, name);
	if (!path)
		return err_nomem(e);
	int rc = manifest_read(&w->manifest, path, e) == 0 ? 1 : e->code == ERR_NONE ? 0 : -1;
	free(path);
	return rc;
}

/* The source, or its headers, when a run before has begun to delete it. */
static int open_source(struct work *w, struct err *e)
{
	char *headers = path_join(w->dst, HEADERS_NAME);
	const bool kept = w->kept = headers && w->manifest.settings && file_is_dir(headers);
	int rc = headers ? 0 : err_nomem(e);
	if (rc == 0)
		rc = checkpoint_open(&w->c, kept ? headers : w->src, 0, e);
	if (rc == 0)
		rc = model_open(&w->m, w->c, e);
	if (rc == 0 && kept && w->manifest.n_sources != w->c->n_files)
		rc = err_set(e, ERR_FORMAT, "%s does not fit %s", headers, FOLDER_UNFINISHED);
	if (rc == 0 && !(w->paths = calloc(w->c->n_files + 1, sizeof(*w->paths))))
		rc = err_nomem(e);
	for (size_t i = 0; rc == 0 && i < w->c->n_files; i++)
		if (!(w->paths[i] = kept ? strdup(w->manifest.sources[i].path) : path_join("", w->c->files[i].path)))
			rc = err_nomem(e);
	free(headers);
	return rc;
}

static int other_settings(const struct work *w, const char *settings, struct err *e)
{
	return err_set(e, ERR_USAGE, "%s was prepared with %s, not with %s: choose another folder", w->dst,
		w->manifest.settings, settings);
}

/* The source may have been moved: from here on the manifest has its places of today. */
static int take_paths(struct work *w, struct err *e)
{
	for (size_t i = 0; !w->kept && i < w->manifest.n_sources && i < w->c->n_files; i++) {
		char *path = strdup(w->paths[i]);
		if (!path)
			return err_nomem(e);
		free(w->manifest.sources[i].path);
		w->manifest.sources[i].path = path;
	}
	return originals_unchanged(w, e);
}

/* A manifest of another run must be of the same work. */
static int check_same(struct work *w, const char *settings, struct err *e)
{
	uint64_t print = fingerprint(w->c, settings);
	if (w->manifest.settings && strcmp(w->manifest.settings, settings) != 0)
		return other_settings(w, settings, e);
	if (w->manifest.settings && w->manifest.fingerprint != print)
		return err_set(e, ERR_USAGE, "%s was prepared from another model than %s: choose another folder",
			w->dst, w->src);
	if (w->manifest.settings)
		return take_paths(w, e);
	w->manifest.fingerprint = print;
	w->manifest.n_layers = w->m->n_layers;
	if (!(w->manifest.settings = strdup(settings)) ||
		!(w->manifest.sources = calloc(w->c->n_files + 1, sizeof(*w->manifest.sources))))
		return err_nomem(e);
	w->manifest.cap_sources = w->c->n_files + 1;
	for (size_t i = 0; i < w->c->n_files; i++) {
		struct manifest_source *s = &w->manifest.sources[w->manifest.n_sources++];
		if (!(s->path = strdup(w->paths[i])))
			return err_nomem(e);
		if (originals_mtime(s->path, &s->mtime) < 0)
			return err_sys(e, errno, "can't stat %s", s->path);
	}
	return 0;
}

static int make_header(const struct work *w, uint32_t file, struct buf *out, struct err *e)
{
	return w->layout.gguf ? header_gguf(&w->layout, file, w->r->quant, out, e)
			      : header_safetensors(&w->layout, &w->layout.files[file], out, e);
}

static int size_files(struct work *w, struct err *e)
{
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < w->layout.n_files; i++) {
		struct out_file *f = &w->layout.files[i];
		struct buf header = BUF_INIT;
		rc = make_header(w, i, &header, e);
		f->bytes = header.len + f->data_bytes;
		buf_clear(&header);
		w->report->bytes_out += f->bytes;
	}
	return rc;
}

static int save_unfinished(struct work *w, struct err *e)
{
	char *path = path_join(w->dst, FOLDER_UNFINISHED);
	int rc = path ? manifest_write(&w->manifest, path, e) : err_nomem(e);
	free(path);
	return rc;
}

/* --- writing ------------------------------------------------------------------------------------ */

struct seen {
	struct work *w;
	const char *verb, *name;
};

static void seen_bytes(void *arg, uint64_t bytes)
{
	struct seen *s = arg;
	work_progress(s->w, s->verb, s->name, bytes);
}

/* GGUF pads every tensor to the alignment. */
static int pad(struct sink *s, uint64_t to, struct err *e)
{
	static const char zeros[4096];
	return to > s->at ? sink_write(s, zeros, (size_t)(to - s->at), e) : 0;
}

static int write_data(struct work *w, uint32_t i, struct sink *s, struct err *e)
{
	struct out_file *f = &w->layout.files[i];
	struct buf header = BUF_INIT;
	int rc = make_header(w, i, &header, e);
	if (rc == 0)
		rc = sink_write(s, header.p, header.len, e);
	for (size_t k = 0; rc == 0 && k < f->n; k++) {
		rc = pad(s, header.len + f->pieces[k]->offset, e);
		if (rc == 0)
			rc = encoder_piece(&w->encoder, f->pieces[k], s, e);
	}
	if (rc == 0 && s->at != f->bytes)
		rc = err_set(e, ERR_FORMAT, "%s has %llu bytes instead of %llu", f->name,
			(unsigned long long)s->at, (unsigned long long)f->bytes);
	buf_clear(&header);
	return rc;
}

static int check_sum(struct work *w, const char *path, const char *name, uint64_t want, struct err *e)
{
	struct seen s = {w, "verifying", name};
	uint64_t sum;
	if (file_sum(path, &sum, seen_bytes, &s, e) < 0)
		return -1;
	if (sum != want)
		return err_set(e, ERR_FORMAT, "%s is not what was written: its checksum is %016llx, not %016llx", path,
			(unsigned long long)sum, (unsigned long long)want);
	return 0;
}

static bool verifies(const struct work *w)
{
	return w->r->verify || w->r->delete_original;
}

static int write_file(struct work *w, uint32_t i, struct err *e)
{
	const struct out_file *f = &w->layout.files[i];
	struct sink s;
	struct seen seen = {w, "writing", f->name};
	struct manifest_file entry = {.name = f->name, .bytes = f->bytes, .weights = true, .layer = f->layer};
	char *path = folders_path(w, i);
	int rc = path ? sink_open(&s, path, e) : err_nomem(e);
	if (rc == 0) {
		w->encoder.seen = seen_bytes;
		w->encoder.arg = &seen;
		rc = write_data(w, i, &s, e);
		if (rc < 0)
			sink_abort(&s);
		else
			rc = sink_commit(&s, &entry.sum, e);
	}
	if (rc == 0)
		rc = folders_link(w, i, e);
	if (rc == 0 && verifies(w))
		rc = check_sum(w, path, f->name, entry.sum, e);
	entry.error2 = w->encoder.error2;
	entry.weight2 = w->encoder.weight2;
	entry.quantized = w->encoder.quantized;
	encoder_next(&w->encoder);
	if (rc == 0) /* read before this moment, so what was read is what was there when all began */
		rc = originals_unchanged(w, e);
	if (rc == 0)
		rc = manifest_put(&w->manifest, &entry, e);
	if (rc == 0)
		rc = save_unfinished(w, e);
	if (rc == 0 && w->r->delete_original)
		rc = originals_delete(w, e);
	free(path);
	return rc;
}

/* A file of a run before: it must still be there, and it is read again where everything is. */
static int keep_file(struct work *w, uint32_t i, const struct manifest_file *entry, struct err *e)
{
	const struct out_file *f = &w->layout.files[i];
	char *path = path_join(w->dst, f->name);
	uint64_t size = 0;
	int fd = path ? file_open(path, &size, e) : err_nomem(e), rc = fd < 0 ? -1 : 0;
	if (fd >= 0)
		close(fd);
	if (rc == 0 && (size != f->bytes || entry->bytes != f->bytes))
		rc = err_set(e, ERR_FORMAT, "%s has %llu bytes instead of %llu: it was changed after it was written",
			path, (unsigned long long)size, (unsigned long long)f->bytes);
	work_progress(w, "keeping", f->name, f->data_bytes);
	if (rc == 0 && verifies(w))
		rc = check_sum(w, path, f->name, entry->sum, e);
	free(path);
	return rc;
}

static int write_files(struct work *w, struct err *e)
{
	for (uint32_t i = 0; i < w->layout.n_files; i++) {
		const struct manifest_file *entry = manifest_find(&w->manifest, w->layout.files[i].name);
		w->report->files++;
		w->report->files_before += entry != NULL;
		if ((entry ? keep_file(w, i, entry, e) : write_file(w, i, e)) < 0)
			return -1;
	}
	return w->r->delete_original ? originals_delete(w, e) : 0;
}

/* Index and manifest; from here on the folder is a model. */
static int finish(struct work *w, struct err *e)
{
	char *manifest = path_join(w->dst, MANIFEST_NAME), *unfinished = path_join(w->dst, FOLDER_UNFINISHED);
	int rc = manifest && unfinished ? small_index(w, e) : err_nomem(e);
	if (rc == 0)
		rc = manifest_write(&w->manifest, manifest, e);
	if (rc == 0 && unlink(unfinished) < 0)
		rc = err_sys(e, errno, "can't remove %s", unfinished);
	if (rc == 0)
		rc = file_sync_folder(unfinished, e);
	if (rc == 0)
		rc = folders_unmark(w, e);
	if (rc == 0) /* only now: with `unfinished` there, they may be all that is left of the source */
		rc = originals_drop_headers(w, e);
	free(manifest);
	free(unfinished);
	return rc;
}

/* --- the whole ------------------------------------------------------------------------------------ */

static int fill_report(const struct manifest *m, struct prepare_report *out, struct err *e)
{
	out->n_layers = m->n_layers;
	double *weight2 = NULL;
	if (m->n_layers > 1u << 20 || !(out->layers = calloc((size_t)m->n_layers + 1, sizeof(*out->layers))) ||
		!(weight2 = calloc((size_t)m->n_layers + 1, sizeof(*weight2))))
		return err_nomem(e);
	for (size_t i = 0; i < m->n_files; i++) { /* a layer has a file on each drive */
		const struct manifest_file *f = &m->files[i];
		if (!f->quantized || f->layer > m->n_layers)
			continue;
		out->layers[f->layer].quantized += f->quantized;
		out->layers[f->layer].error += f->error2;
		weight2[f->layer] += f->weight2;
	}
	for (uint32_t l = 0; l <= m->n_layers; l++)
		out->layers[l].error = weight2[l] > 0 ? sqrt(out->layers[l].error / weight2[l]) : 0;
	free(weight2);
	return 0;
}

static int write_all(struct work *w, const char *settings, struct err *e)
{
	if (open_source(w, e) < 0 || check_same(w, settings, e) < 0)
		return -1;
	for (size_t i = 0; i < w->c->n_tensors; i++)
		w->report->bytes_in += w->c->tensors[i].bytes;
	if (layout_make(&w->layout, w->r, w->c, w->m, (uint32_t)w->n_targets, e) < 0 || size_files(w, e) < 0)
		return -1;
	w->progress.total = w->report->bytes_out * (verifies(w) ? 2 : 1);
	if ((w->r->delete_original && originals_check(w, e) < 0) || folders_clean(w, e) < 0 ||
		folders_check_space(w, e) < 0 || folders_mark(w, e) < 0 || save_unfinished(w, e) < 0 ||
		/* entered before the headers are kept, since then they are not copied again */
		(!w->kept && (small_copy(w, e) < 0 || save_unfinished(w, e) < 0)) ||
		(w->r->delete_original && originals_keep_headers(w, e) < 0) ||
		encoder_open(&w->encoder, w->c, w->m->quantization, (const char *const *)w->paths, w->r->threads, e) < 0)
		return -1;
	int rc = write_files(w, e);
	encoder_close(&w->encoder);
	return rc < 0 ? -1 : finish(w, e);
}

static void work_clear(struct work *w)
{
	for (size_t i = 0; w->paths && i < w->c->n_files; i++)
		free(w->paths[i]);
	free(w->paths);
	layout_clear(&w->layout);
	model_close(w->m);
	checkpoint_close(w->c);
	manifest_clear(&w->manifest);
	for (size_t i = 0; i < w->n_targets; i++)
		free(w->targets[i]);
	free(w->targets);
	free(w->src);
	free(w->dst);
	if (w->lock >= 0)
		close(w->lock);
}

/* A complete folder: of the same work? Verify it, delete what is left of the source, if asked. */
static int check_complete(struct work *w, const char *settings, struct err *e)
{
	const struct prepare_request *r = w->r;
	w->report->was_complete = true;
	if (folders_unmark(w, e) < 0 || originals_drop_headers(w, e) < 0)
		return -1;
	if (!originals_gone(w) && (open_source(w, e) < 0 || check_same(w, settings, e) < 0))
		return -1;
	if (strcmp(w->manifest.settings, settings) != 0)
		return other_settings(w, settings, e);
	if (verifies(w) && prepare_verify(w->dst, r->progress, r->arg, w->report, e) < 0)
		return -1;
	if (!r->delete_original)
		return 0;
	return originals_unchanged(w, e) < 0 ? -1 : originals_delete(w, e);
}

/* A source that isn't there must be one that a run before has deleted. */
static int check_gone(const struct work *w, struct err *e)
{
	for (size_t i = 0; i < w->manifest.n_sources; i++)
		if (!strcmp(w->manifest.sources[i].path, w->src))
			return 0;
	return err_sys(e, ENOENT, "can't open %s", w->src);
}

int prepare_run(const struct prepare_request *r, struct prepare_report *out, struct err *e)
{
	struct work w = {.r = r, .report = out, .lock = -1};
	*out = (struct prepare_report){0};
	int rc = folders_open(&w, e), there = 0;
	char *settings = rc == 0 ? settings_text(r, w.n_targets) : NULL;
	if (rc == 0 && !settings)
		rc = err_nomem(e);
	if (rc == 0)
		there = read_manifest(&w, FOLDER_UNFINISHED, e);
	if (rc == 0 && there == 0) {
		there = read_manifest(&w, MANIFEST_NAME, e);
		out->was_complete = there > 0;
	}
	if (rc < 0 || there < 0 || (w.src_gone && check_gone(&w, e) < 0))
		rc = -1;
	else
		rc = out->was_complete ? check_complete(&w, settings, e) : write_all(&w, settings, e);
	if (rc == 0 && !out->layers)
		rc = fill_report(&w.manifest, out, e);
	if (rc < 0 && w.made_dst)
		rmdir(w.dst); /* when nothing has been written into it */
	work_clear(&w);
	free(settings);
	if (rc < 0) {
		free(out->layers);
		out->layers = NULL;
	}
	return rc;
}

int prepare_verify(const char *dir, void (*progress)(void *arg, const struct prepare_progress *p), void *arg,
	struct prepare_report *out, struct err *e)
{
	const struct prepare_request r = {.progress = progress, .arg = arg};
	const bool was_complete = out->was_complete;
	struct work w = {.r = &r, .report = out, .lock = -1, .dst = strdup(dir)};
	*out = (struct prepare_report){.was_complete = was_complete};
	int rc = w.dst ? read_manifest(&w, MANIFEST_NAME, e) : err_nomem(e);
	if (rc == 0)
		rc = err_set(e, ERR_USAGE, "%s is not a prepared folder: it has no %s", dir, MANIFEST_NAME);
	for (size_t i = 0; rc > 0 && i < w.manifest.n_files; i++)
		w.progress.total += w.manifest.files[i].bytes;
	for (size_t i = 0; rc > 0 && i < w.manifest.n_files; i++) {
		const struct manifest_file *f = &w.manifest.files[i];
		char *path = path_join(w.dst, f->name);
		if (!path)
			rc = err_nomem(e);
		else if (check_sum(&w, path, f->name, f->sum, e) < 0)
			rc = -1;
		out->files++;
		out->bytes_out += f->bytes;
		free(path);
	}
	if (rc > 0)
		rc = fill_report(&w.manifest, out, e);
	work_clear(&w);
	return rc < 0 ? -1 : 0;
}
