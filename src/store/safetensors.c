/* safetensors: u64 header length, JSON header {"name": {"dtype", "shape", "data_offsets": [begin,
 * end]}}, data. Format: github.com/huggingface/safetensors, README. Offsets count from the end of the
 * header. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "store/store.h"

#define HEADER_LIMIT ((uint64_t)100 << 20) /* the reference implementation's own limit */
#define DIMS_MAX 8

/* Bits of an element, for the names that the dtype table has no arithmetic for: their tensors are
 * raw bytes here, but their sizes are checked too. Source: the safetensors crate's Dtype. */
static uint64_t element_bits(const char *dtype)
{
	static const struct {
		const char *name;
		uint8_t bits;
	} rows[] = {{"BOOL", 8}, {"U8", 8}, {"I8", 8}, {"F8_E4M3", 8}, {"F8_E5M2", 8}, {"F8_E8M0", 8},
		{"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16}, {"U16", 16}, {"F16", 16}, {"BF16", 16},
		{"I32", 32}, {"U32", 32}, {"F32", 32}, {"I64", 64}, {"U64", 64}, {"F64", 64}, {"C64", 64},
		{"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (!strcmp(rows[i].name, dtype))
			return rows[i].bits;
	return 0;
}

struct st_file {
	struct builder *b;
	const char *path;
	uint32_t file;
	uint64_t data, size; /* where the data begin; the file's size */
};

static int read_tensor(const struct st_file *f, struct json_reader *r, const char *name)
{
	struct err *e = f->b->e;
	struct json_str key, s;
	struct json_num n;
	uint64_t begin = 0, end = 0, elements = 1;
	int offsets = 0, dims = 0;
	bool has_shape = false;
	const char *dtype = NULL;
	uint64_t shape[TENSOR_DIMS] = {0};
	for (json_object(r); json_key(r, &key);) {
		if (json_str_is(&key, "dtype") && json_string(r, &s)) {
			if (s.len > 32 || !(dtype = builder_string(f->b, s.p, s.len)))
				return err_set(e, ERR_FORMAT, "%s: tensor %s has an absurd dtype", f->path, name);
		} else if (json_str_is(&key, "shape")) {
			has_shape = true;
			for (json_array(r); json_next(r) && json_number(r, &n); dims++) {
				if (dims == DIMS_MAX || !n.is_int || n.i < 0 ||
					(n.i && elements > (uint64_t)1 << 62) ||
					__builtin_mul_overflow(elements, (uint64_t)n.i, &elements))
					return err_set(e, ERR_FORMAT, "%s: tensor %s has an absurd shape",
						f->path, name);
				/* dimensions beyond the last that is kept are folded into it */
				if (dims < TENSOR_DIMS)
					shape[dims] = (uint64_t)n.i;
				else
					shape[TENSOR_DIMS - 1] *= (uint64_t)n.i;
			}
		} else if (json_str_is(&key, "data_offsets")) {
			for (json_array(r); json_next(r) && json_number(r, &n); offsets++) {
				if (offsets == 2 || !n.is_int || n.i < 0)
					return err_set(e, ERR_FORMAT, "%s: tensor %s has bad data offsets",
						f->path, name);
				*(offsets ? &end : &begin) = (uint64_t)n.i;
			}
		} else {
			json_skip(r);
		}
	}
	if (r->failed)
		return err_prefix(e, "tensor %s", name);
	if (!dtype || !has_shape || offsets != 2)
		return err_set(e, ERR_FORMAT, "%s: tensor %s has no dtype, no shape or no data offsets", f->path,
			name);
	if (begin > end || end > f->size - f->data)
		return err_set(e, ERR_FORMAT, "%s: tensor %s ends at offset %llu, outside the file of %llu bytes",
			f->path, name, (unsigned long long)end + (unsigned long long)f->data,
			(unsigned long long)f->size);
	uint64_t bits = 0, each = element_bits(dtype);
	if (each && (__builtin_mul_overflow(elements, each, &bits) || bits % 8 || bits / 8 != end - begin))
		return err_set(e, ERR_FORMAT, "%s: tensor %s has %llu bytes, but its shape needs %llu bits",
			f->path, name, (unsigned long long)(end - begin), (unsigned long long)bits);
	struct tensor *out = builder_tensor(f->b);
	if (!out)
		return -1;
	*out = (struct tensor){.name = name, .type_name = dtype, .dtype = dtype_from_safetensors(dtype), .n_dims = dims < TENSOR_DIMS ? dims : TENSOR_DIMS,
		.file = f->file,
		.offset = f->data + begin, .bytes = end - begin};
	memcpy(out->shape, shape, sizeof(shape));
	return 0;
}

/* --- GGML's formats in safetensors -------------------------------------------------------------
 * safetensors has no names for them. `airlchat prepare` writes a U8 tensor [..., bytes of a row] and
 * says in __metadata__ what it is: "type:NAME": "q4_0". */

struct typed {
	const char *name;
	enum dtype dtype;
};

struct typed_list {
	struct typed *p;
	size_t n, cap;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct typed *)a)->name, ((const struct typed *)b)->name);
}

static enum dtype dtype_from_name(const struct json_str *s)
{
	for (int t = 1; t < DTYPE_COUNT; t++)
		if (json_str_is(s, dtype_info((enum dtype)t)->name))
			return (enum dtype)t;
	return DTYPE_UNKNOWN;
}

static int read_metadata(struct st_file *f, struct json_reader *r, struct typed_list *l)
{
	static const char prefix[] = "type:";
	const size_t n = sizeof(prefix) - 1;
	struct json_str key, value;
	for (json_object(r); json_key(r, &key);) {
		if (key.len <= n || memcmp(key.p, prefix, n) != 0 || key.len > 4096) {
			json_skip(r);
			continue;
		}
		const char *name = builder_string(f->b, key.p + n, key.len - n);
		if (!name || mem_grow(&l->p, &l->cap, l->n + 1, sizeof(*l->p)) < 0)
			return err_nomem(f->b->e);
		if (json_string(r, &value))
			l->p[l->n++] = (struct typed){name, dtype_from_name(&value)};
	}
	return 0;
}

static int apply_types(struct st_file *f, struct typed_list *l, size_t first)
{
	struct checkpoint *c = f->b->c;
	if (l->n)
		qsort(l->p, l->n, sizeof(*l->p), by_name);
	for (size_t i = first; l->n && i < c->n_tensors; i++) {
		struct tensor *t = &c->tensors[i];
		const struct typed key = {.name = t->name},
				   *hit = bsearch(&key, l->p, l->n, sizeof(key), by_name);
		if (!hit || hit->dtype == DTYPE_UNKNOWN || strcmp(t->type_name, "U8") != 0)
			continue;
		const struct dtype_info *d = dtype_info(hit->dtype);
		uint64_t *row = &t->shape[t->n_dims ? t->n_dims - 1 : 0];
		if (!t->n_dims || *row % d->block_bytes || *row > UINT64_MAX / d->block)
			return err_set(f->b->e, ERR_FORMAT, "%s: tensor %s has rows of %llu bytes, no %s blocks",
				f->path, t->name, (unsigned long long)*row, d->name);
		*row = *row / d->block_bytes * d->block;
		t->dtype = hit->dtype;
		t->type_name = d->name;
	}
	return 0;
}

static int read_header(struct st_file *f, const char *text, size_t len)
{
	struct typed_list types = {0};
	size_t first = f->b->c->n_tensors;
	struct json_reader r;
	struct json_str key;
	int rc = 0;
	json_reader_init(&r, text, len, f->path, f->b->e);
	for (json_object(&r); rc == 0 && json_key(&r, &key);) {
		if (json_str_is(&key, "__metadata__")) {
			rc = read_metadata(f, &r, &types);
			continue;
		}
		const char *name = key.len && key.len < 4096 && !memchr(key.p, 0, key.len)
					   ? builder_string(f->b, key.p, key.len)
					   : NULL;
		rc = name ? read_tensor(f, &r, name)
			  : err_set(f->b->e, ERR_FORMAT, "%s: a tensor has an absurd name", f->path);
	}
	if (rc == 0)
		rc = json_end(&r);
	if (rc == 0)
		rc = apply_types(f, &types, first);
	json_reader_clear(&r);
	free(types.p);
	return rc;
}

int safetensors_read(struct builder *b, const char *path)
{
	struct st_file f = {.b = b, .path = path};
	struct buf header = BUF_INIT;
	uint8_t head[8];
	int fd = file_open(path, &f.size, b->e);
	if (fd < 0)
		return -1;
	uint64_t len = 0;
	int rc = f.size >= 8 ? file_pread(fd, head, 8, 0, path, b->e)
			     : err_set(b->e, ERR_FORMAT, "%s is too short for a safetensors file", path);
	for (int i = 7; rc == 0 && i >= 0; i--)
		len = len << 8 | head[i];
	if (rc == 0 && (len > HEADER_LIMIT || len > f.size - 8))
		rc = err_set(b->e, ERR_FORMAT, "%s: the header claims %llu bytes in a file of %llu", path,
			(unsigned long long)len, (unsigned long long)f.size);
	if (rc == 0 && !buf_reserve(&header, (size_t)len))
		rc = err_nomem(b->e);
	if (rc == 0)
		rc = file_pread(fd, header.p, (size_t)len, 8, path, b->e);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	f.data = 8 + len;
	if (rc == 0)
		rc = builder_file(b, path, f.size, &f.file);
	if (rc == 0)
		rc = read_header(&f, header.p, (size_t)len);
	buf_clear(&header);
	return rc;
}
