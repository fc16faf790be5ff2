#include "store/gguf.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/store.h"

#define KV_LIMIT 65536
#define TENSOR_LIMIT 1000000
#define HEADER_LIMIT ((uint64_t)512 << 20)
#define STEP ((size_t)1 << 20) /* the header's length is not known before it has been read */

struct gguf {
	uint8_t *block; /* the header's bytes; strings and arrays point into it */
	struct gguf_kv *kvs;
	size_t n_kvs, cap_kvs;
};

struct cursor { /* reads the header front to back, fetching more of the file as needed */
	int fd;
	const char *path;
	uint64_t size; /* of the file */
	uint8_t *block;
	size_t have, pos;
	struct err *e;
};

static const uint8_t type_size[GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/* Make `n` bytes at pos available. Pointers into block change: kvs are offsets until the end. */
static int need(struct cursor *c, uint64_t n)
{
	if (n <= c->have - c->pos)
		return 0;
	if (n > c->size - c->pos || c->pos + n > HEADER_LIMIT)
		return err_set(c->e, ERR_FORMAT, "%s: the header is cut off or absurd at offset %zu", c->path,
			c->pos);
	size_t want = (size_t)mem_align_up(c->pos + n, STEP);
	if (want > c->size)
		want = (size_t)c->size;
	uint8_t *p = realloc(c->block, want);
	if (!p)
		return err_nomem(c->e);
	c->block = p;
	if (file_pread(c->fd, p + c->have, want - c->have, c->have, c->path, c->e) < 0)
		return -1;
	c->have = want;
	return 0;
}

static uint64_t load(const uint8_t *p, size_t n)
{
	uint64_t v = 0;
	for (size_t i = n; i > 0; i--)
		v = v << 8 | p[i - 1];
	return v;
}

static int take(struct cursor *c, size_t n, uint64_t *out)
{
	if (need(c, n) < 0)
		return -1;
	*out = load(c->block + c->pos, n);
	c->pos += n;
	return 0;
}

/* A string: u64 length and bytes. *at is its bytes' offset in the block. */
static int take_string(struct cursor *c, size_t *at, size_t *len)
{
	uint64_t n;
	if (take(c, 8, &n) < 0 || need(c, n) < 0)
		return -1;
	*at = c->pos;
	*len = (size_t)n;
	c->pos += (size_t)n;
	return 0;
}

static int skip_value(struct cursor *c, uint64_t type, uint64_t count)
{
	size_t at, len;
	if (type == GGUF_STRING) {
		for (uint64_t i = 0; i < count; i++)
			if (take_string(c, &at, &len) < 0)
				return -1;
		return 0;
	}
	if (type >= GGUF_TYPES || !type_size[type])
		return err_set(c->e, ERR_FORMAT, "%s: unknown or nested value type %llu at offset %zu", c->path,
			(unsigned long long)type, c->pos);
	if (count > HEADER_LIMIT || need(c, count * type_size[type]) < 0)
		return err_set(c->e, ERR_FORMAT, "%s: an array of %llu elements at offset %zu is cut off",
			c->path, (unsigned long long)count, c->pos);
	c->pos += (size_t)count * type_size[type];
	return 0;
}

static int read_kv(struct cursor *c, struct gguf *g)
{
	size_t key, key_len;
	uint64_t type, elem, count = 1;
	if (take_string(c, &key, &key_len) < 0 || take(c, 4, &type) < 0)
		return -1;
	elem = type;
	if (type == GGUF_ARRAY && (take(c, 4, &elem) < 0 || take(c, 8, &count) < 0))
		return -1;
	size_t data = c->pos;
	if (key_len == 0 || key_len > 65535)
		return err_set(c->e, ERR_FORMAT, "%s: a key of %zu bytes at offset %zu", c->path, key_len, key);
	if (skip_value(c, elem, count) < 0)
		return -1;
	if (mem_grow(&g->kvs, &g->cap_kvs, g->n_kvs + 1, sizeof(*g->kvs)) < 0)
		return err_nomem(c->e);
	/* offsets for now: rebased when the whole header is there */
	g->kvs[g->n_kvs++] = (struct gguf_kv){.key = {(const char *)(uintptr_t)key, key_len},
		.type = (enum gguf_type)type, .elem_type = (enum gguf_type)elem, .count = count,
		.data = (const uint8_t *)(uintptr_t)data, .bytes = c->pos - data};
	return 0;
}

static int read_tensor(struct cursor *c, struct builder *b)
{
	size_t at, len;
	uint64_t dims, ne[TENSOR_DIMS] = {0}, type, offset, elements = 1;
	if (take_string(c, &at, &len) < 0 || take(c, 4, &dims) < 0)
		return -1;
	if (len == 0 || len > 4096 || memchr(c->block + at, 0, len))
		return err_set(c->e, ERR_FORMAT, "%s: absurd tensor name at offset %zu", c->path, at);
	const char *name = builder_string(b, (const char *)c->block + at, len);
	if (!name)
		return err_nomem(c->e);
	if (dims > TENSOR_DIMS)
		return err_set(c->e, ERR_FORMAT, "%s: tensor %s has %llu dimensions", c->path, name,
			(unsigned long long)dims);
	for (uint64_t i = 0; i < dims; i++)
		if (take(c, 8, &ne[i]) < 0)
			return -1;
		else if (ne[i] == 0 || __builtin_mul_overflow(elements, ne[i], &elements))
			return err_set(c->e, ERR_FORMAT, "%s: tensor %s has an absurd shape", c->path, name);
	if (take(c, 4, &type) < 0 || take(c, 8, &offset) < 0)
		return -1;
	struct tensor *t = builder_tensor(b);
	if (!t)
		return -1;
	char number[32];
	const char *type_name = dtype_ggml_name((uint32_t)type);
	if (!type_name) {
		struct buf s = BUF_INIT;
		buf_printf(&s, "number %llu", (unsigned long long)type);
		strncpy(number, buf_str(&s), sizeof(number) - 1);
		number[sizeof(number) - 1] = '\0';
		buf_clear(&s);
		type_name = builder_string(b, number, strlen(number));
	}
	*t = (struct tensor){.name = name, .type_name = type_name ? type_name : "?",
		.dtype = dtype_from_ggml((uint32_t)type), .n_dims = (int)dims, .offset = offset};
	for (uint64_t i = 0; i < dims; i++)
		t->shape[i] = ne[dims - 1 - i];
	t->bytes = dtype_bytes(t->dtype, elements);
	if (t->dtype != DTYPE_UNKNOWN && (t->bytes == 0 || (dims && ne[0] % dtype_info(t->dtype)->block)))
		return err_set(c->e, ERR_FORMAT, "%s: tensor %s has rows that are no multiple of a %s block",
			c->path, name, type_name);
	return 0;
}

/* Offsets count from the end of the header, rounded up to the alignment. */
static int place_tensors(struct cursor *c, struct builder *b, const struct gguf *g, size_t first,
	uint32_t file)
{
	uint64_t align = 32;
	gguf_u64(g, "general.alignment", &align);
	if (align == 0 || align > 1 << 20 || align & (align - 1))
		return err_set(c->e, ERR_FORMAT, "%s: general.alignment %llu is no power of two", c->path,
			(unsigned long long)align);
	uint64_t data = mem_align_up(c->pos, align);
	for (size_t i = first; i < b->c->n_tensors; i++) {
		struct tensor *t = &b->c->tensors[i];
		uint64_t end;
		t->file = file;
		if (t->offset % align || __builtin_add_overflow(t->offset, data, &t->offset) ||
			__builtin_add_overflow(t->offset, t->bytes, &end) || end > c->size)
			return err_set(c->e, ERR_FORMAT,
				"%s: tensor %s at offset %llu (%llu bytes) is unaligned or outside the file of %llu bytes",
				c->path, t->name, (unsigned long long)t->offset, (unsigned long long)t->bytes,
				(unsigned long long)c->size);
	}
	return 0;
}

static int compare_kv(const void *a, const void *b)
{
	const struct gguf_kv *x = a, *y = b;
	size_t n = x->key.len < y->key.len ? x->key.len : y->key.len;
	int d = memcmp(x->key.p, y->key.p, n);
	return d ? d : x->key.len < y->key.len ? -1 : x->key.len > y->key.len;
}

static int index_kvs(struct cursor *c, struct gguf *g)
{
	g->block = c->block;
	c->block = NULL;
	for (size_t i = 0; i < g->n_kvs; i++) {
		g->kvs[i].key.p = (const char *)g->block + (uintptr_t)g->kvs[i].key.p;
		g->kvs[i].data = g->block + (uintptr_t)g->kvs[i].data;
	}
	if (g->n_kvs)
		qsort(g->kvs, g->n_kvs, sizeof(*g->kvs), compare_kv);
	for (size_t i = 1; i < g->n_kvs; i++)
		if (compare_kv(&g->kvs[i - 1], &g->kvs[i]) == 0)
			return err_set(c->e, ERR_FORMAT, "%s: key %.*s is there twice", c->path,
				(int)g->kvs[i].key.len, g->kvs[i].key.p);
	return 0;
}

static int parse(struct cursor *c, struct builder *b, struct gguf *g)
{
	uint64_t magic = 0, version, n_tensors, n_kvs;
	uint32_t file;
	if (c->size >= 24 && take(c, 4, &magic) < 0)
		return -1;
	if (c->size < 24 || magic != 0x46554747)
		return err_set(c->e, ERR_FORMAT, "%s is no GGUF file and no folder", c->path);
	if (take(c, 4, &version) < 0 || take(c, 8, &n_tensors) < 0 || take(c, 8, &n_kvs) < 0)
		return -1;
	if (version != 2 && version != 3)
		return err_set(c->e, ERR_UNSUPPORTED, "%s: GGUF version %llu is not supported (2 and 3 are)",
			c->path, (unsigned long long)version);
	if (n_tensors > TENSOR_LIMIT || n_kvs > KV_LIMIT)
		return err_set(c->e, ERR_FORMAT, "%s: absurd counts: %llu tensors, %llu keys", c->path,
			(unsigned long long)n_tensors, (unsigned long long)n_kvs);
	size_t first = b->c->n_tensors;
	for (uint64_t i = 0; i < n_kvs; i++)
		if (read_kv(c, g) < 0)
			return -1;
	for (uint64_t i = 0; i < n_tensors; i++)
		if (read_tensor(c, b) < 0)
			return -1;
	if (index_kvs(c, g) < 0 || builder_file(b, c->path, c->size, &file) < 0)
		return -1;
	return place_tensors(c, b, g, first, file);
}

static int read_part(struct builder *b, const char *path, struct gguf *g)
{
	struct cursor c = {.path = path, .e = b->e};
	if ((c.fd = file_open(path, &c.size, b->e)) < 0)
		return -1;
	int rc = parse(&c, b, g);
	posix_fadvise(c.fd, 0, 0, POSIX_FADV_DONTNEED);
	close(c.fd);
	free(c.block);
	return rc;
}

/* Part `number` (from 1) of `count`, which only adds tensors; its few keys say which part it is. */
static int read_next_part(struct builder *b, const char *first, size_t stem, uint32_t number,
	uint32_t count)
{
	struct gguf *g = calloc(1, sizeof(*g));
	struct buf path = BUF_INIT;
	uint64_t parts = 0, no = 0;
	buf_printf(&path, "%.*s-%05u-of-%05u.gguf", (int)stem, first, number, count);
	int rc = g ? buf_ok(&path, b->e) : err_nomem(b->e);
	if (rc == 0)
		rc = read_part(b, path.p, g);
	if (rc == 0 && (!gguf_u64(g, "split.count", &parts) || parts != count ||
			!gguf_u64(g, "split.no", &no) || no != number - 1))
		rc = err_set(b->e, ERR_FORMAT, "%s: split.no and split.count say part %llu of %llu", path.p,
			(unsigned long long)no + 1, (unsigned long long)parts);
	gguf_free(g);
	buf_clear(&path);
	return rc;
}

/* llama.cpp's gguf-split: the first part holds the metadata, split.no counts from 0. */
static int read_other_parts(struct builder *b, const char *path, size_t stem, uint32_t count)
{
	uint64_t parts = 1, no = 0, total = 0;
	const struct gguf *g = b->c->gguf;
	gguf_u64(g, "split.count", &parts);
	if (parts <= 1 && count <= 1)
		return 0;
	if (parts != count || !gguf_u64(g, "split.no", &no) || no != 0)
		return err_set(b->e, ERR_FORMAT,
			"%s is one of %llu parts, but its name is not NAME-00001-of-%05llu.gguf", path,
			(unsigned long long)parts, (unsigned long long)parts);
	for (uint32_t i = 2; i <= count; i++)
		if (read_next_part(b, path, stem, i, count) < 0)
			return -1;
	if (gguf_u64(g, "split.tensors.count", &total) && total != b->c->n_tensors)
		return err_set(b->e, ERR_FORMAT, "%s: the parts hold %zu tensors, split.tensors.count says %llu",
			path, b->c->n_tensors, (unsigned long long)total);
	return 0;
}

int gguf_read(struct builder *b, const char *path)
{
	struct buf first = BUF_INIT;
	size_t stem = 0;
	uint32_t number = 1, count = 1;
	if (gguf_part_name(path, &stem, &number, &count))
		buf_printf(&first, "%.*s-00001-of-%05u.gguf", (int)stem, path, count);
	else
		buf_puts(&first, path);
	b->c->kind = CHECKPOINT_GGUF;
	b->c->gguf = calloc(1, sizeof(*b->c->gguf));
	int rc = b->c->gguf ? buf_ok(&first, b->e) : err_nomem(b->e);
	if (rc == 0)
		rc = read_part(b, first.p, b->c->gguf);
	if (rc == 0)
		rc = read_other_parts(b, first.p, stem, count);
	buf_clear(&first);
	return rc;
}

void gguf_free(struct gguf *g)
{
	if (!g)
		return;
	free(g->block);
	free(g->kvs);
	free(g);
}

const struct gguf_kv *gguf_find(const struct gguf *g, const char *key)
{
	const struct gguf_kv k = {.key = {key, strlen(key)}};
	return g->n_kvs ? bsearch(&k, g->kvs, g->n_kvs, sizeof(k), compare_kv) : NULL;
}

size_t gguf_n_keys(const struct gguf *g)
{
	return g->n_kvs;
}

const struct gguf_kv *gguf_at(const struct gguf *g, size_t i)
{
	return &g->kvs[i];
}

static bool number(enum gguf_type type, const uint8_t *p, double *d, int64_t *i, bool *is_int)
{
	if (type >= GGUF_TYPES || !type_size[type])
		return false;
	uint64_t raw = load(p, type_size[type]);
	uint32_t low = (uint32_t)raw;
	float f;
	*is_int = true;
	switch (type) {
	case GGUF_F32:
		memcpy(&f, &low, sizeof(f));
		*d = f;
		*is_int = false;
		return true;
	case GGUF_F64:
		memcpy(d, &raw, sizeof(*d));
		*is_int = false;
		return true;
	case GGUF_I8:
		*i = (int8_t)raw;
		break;
	case GGUF_I16:
		*i = (int16_t)raw;
		break;
	case GGUF_I32:
		*i = (int32_t)raw;
		break;
	default:
		*i = (int64_t)raw;
	}
	*d = type == GGUF_U64 ? (double)raw : (double)*i;
	return type != GGUF_BOOL && !(type == GGUF_U64 && raw > INT64_MAX);
}

bool gguf_elem_f64(const struct gguf_kv *kv, uint64_t i, double *out)
{
	int64_t n;
	double d;
	bool is_int;
	if (i >= kv->count)
		return false;
	/* an integer over INT64_MAX is no i64, but a fine double */
	if (!number(kv->elem_type, kv->data + i * type_size[kv->elem_type], &d, &n, &is_int) &&
		kv->elem_type != GGUF_U64)
		return false;
	*out = d;
	return true;
}

bool gguf_elem_i64(const struct gguf_kv *kv, uint64_t i, int64_t *out)
{
	double d;
	int64_t n;
	bool is_int;
	if (i >= kv->count ||
		!number(kv->elem_type, kv->data + i * type_size[kv->elem_type], &d, &n, &is_int) || !is_int)
		return false;
	*out = n;
	return true;
}

bool gguf_u64(const struct gguf *g, const char *key, uint64_t *out)
{
	const struct gguf_kv *kv = gguf_find(g, key);
	int64_t v;
	if (!kv || kv->type == GGUF_ARRAY || !gguf_elem_i64(kv, 0, &v) || v < 0)
		return false;
	*out = (uint64_t)v;
	return true;
}

bool gguf_f64(const struct gguf *g, const char *key, double *out)
{
	const struct gguf_kv *kv = gguf_find(g, key);
	return kv && kv->type != GGUF_ARRAY && gguf_elem_f64(kv, 0, out);
}

bool gguf_bool(const struct gguf *g, const char *key, bool *out)
{
	const struct gguf_kv *kv = gguf_find(g, key);
	if (!kv || kv->type != GGUF_BOOL)
		return false;
	*out = kv->data[0] != 0;
	return true;
}

bool gguf_string(const struct gguf *g, const char *key, struct gguf_str *out)
{
	const struct gguf_kv *kv = gguf_find(g, key);
	if (!kv || kv->type != GGUF_STRING)
		return false;
	*out = (struct gguf_str){(const char *)kv->data + 8, kv->bytes - 8};
	return true;
}

bool gguf_next_string(const struct gguf_kv *kv, size_t *pos, struct gguf_str *out)
{
	if (kv->elem_type != GGUF_STRING || *pos >= kv->bytes)
		return false;
	size_t len = (size_t)load(kv->data + *pos, 8);
	*out = (struct gguf_str){(const char *)kv->data + *pos + 8, len};
	*pos += 8 + len;
	return true;
}

void gguf_drop_arrays(struct gguf *g)
{
	size_t bytes = 0, n = 0;
	for (size_t i = 0; i < g->n_kvs; i++)
		bytes += g->kvs[i].type == GGUF_ARRAY ? 0 : g->kvs[i].key.len + g->kvs[i].bytes;
	uint8_t *block = malloc(bytes + 1), *p = block;
	if (!block)
		return;
	for (size_t i = 0; i < g->n_kvs; i++) {
		struct gguf_kv kv = g->kvs[i];
		if (kv.type == GGUF_ARRAY)
			continue;
		memcpy(p, kv.key.p, kv.key.len);
		kv.key.p = (const char *)p;
		p += kv.key.len;
		memcpy(p, kv.data, kv.bytes);
		kv.data = p;
		p += kv.bytes;
		g->kvs[n++] = kv;
	}
	free(g->block);
	g->block = block;
	g->n_kvs = n;
}
