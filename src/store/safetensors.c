/* safetensors: u64 header length, JSON header {"name": {"dtype", "shape", "data_offsets": [begin,
 * end]}}, data. Format: github.com/huggingface/safetensors, README. Offsets count from the end of the
 * header. */
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "store/store.h"

#define HEADER_LIMIT ((uint64_t)100 << 20) /* the reference implementation's own limit */

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
				if (dims == TENSOR_DIMS || !n.is_int || n.i < 0 ||
					(n.i && elements > (uint64_t)1 << 62) ||
					__builtin_mul_overflow(elements, (uint64_t)n.i, &elements))
					return err_set(e, ERR_FORMAT, "%s: tensor %s has an absurd shape",
						f->path, name);
				shape[dims] = (uint64_t)n.i;
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
	enum dtype t = dtype_from_safetensors(dtype);
	/* 0 bytes for some elements: their size overflows */
	if (t != DTYPE_UNKNOWN &&
		(dtype_bytes(t, elements) != end - begin || (elements && begin == end)))
		return err_set(e, ERR_FORMAT, "%s: tensor %s has %llu bytes, but its shape needs %llu", f->path,
			name, (unsigned long long)(end - begin),
			(unsigned long long)dtype_bytes(t, elements));
	struct tensor *out = builder_tensor(f->b);
	if (!out)
		return -1;
	*out = (struct tensor){.name = name, .type_name = dtype, .dtype = t, .n_dims = dims, .file = f->file,
		.offset = f->data + begin, .bytes = end - begin};
	memcpy(out->shape, shape, sizeof(shape));
	return 0;
}

static int read_header(struct st_file *f, const char *text, size_t len)
{
	struct json_reader r;
	struct json_str key;
	int rc = 0;
	json_reader_init(&r, text, len, f->path, f->b->e);
	for (json_object(&r); rc == 0 && json_key(&r, &key);) {
		if (json_str_is(&key, "__metadata__")) {
			json_skip(&r);
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
	json_reader_clear(&r);
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
