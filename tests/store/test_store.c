/* store/: safetensors and GGUF files built byte by byte, good ones and broken ones. A broken one is
 * refused with a sentence that names the file, and the tensor where one is to blame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "store/checkpoint.h"
#include "store/gguf.h"

static char dir[64]; /* a fresh folder for each test */

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "store-test-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
	(void)state;
	DIR *d = opendir(dir);
	for (struct dirent *f; d && (f = readdir(d));) {
		char *path = path_join(dir, f->d_name);
		unlink(path);
		free(path);
	}
	if (d)
		closedir(d);
	return rmdir(dir);
}

static char *write_file(const char *name, const void *p, size_t len)
{
	char *path = path_join(dir, name);
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, len, f), len);
	fclose(f);
	return path;
}

static void add_le(struct buf *b, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		buf_addc(b, (char)(v >> 8 * i));
}

/* Opening must fail, the sentence must hold both words. */
static void refused(const char *path, unsigned flags, const char *a, const char *b)
{
	struct err e = ERR_INIT;
	struct checkpoint *c = (struct checkpoint *)dir; /* anything but NULL */
	if (checkpoint_open(&c, path, flags, &e) != -1)
		fail_msg("%s was opened, %s was to blame", path, b);
	assert_null(c);
	assert_int_not_equal(e.code, ERR_NONE);
	if (!strstr(e.msg, a) || !strstr(e.msg, b))
		fail_msg("\"%s\" does not name %s and %s", e.msg, a, b);
}

static struct checkpoint *opened(const char *path)
{
	struct err e = ERR_INIT;
	struct checkpoint *c;
	if (checkpoint_open(&c, path, 0, &e) != 0)
		fail_msg("%s", e.msg);
	return c;
}

/* --- safetensors --- */

static void build_st(struct buf *b, const char *header, size_t data)
{
	add_le(b, strlen(header), 8);
	buf_puts(b, header);
	for (size_t i = 0; i < data; i++)
		buf_addc(b, (char)i);
	assert_false(b->failed);
}

static char *write_st(const char *name, const char *header, size_t data)
{
	struct buf b = BUF_INIT;
	build_st(&b, header, data);
	char *path = write_file(name, b.p, b.len);
	buf_clear(&b);
	return path;
}

static const char st_good[] = "{\"__metadata__\":{\"format\":\"pt\"},"
			      "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"
			      "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
			      "\"u\":{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[20,21]}}";

static void safetensors_are_read(void **state)
{
	(void)state;
	char *path = write_st("one.safetensors", st_good, 21);
	struct checkpoint *c = opened(path);
	uint64_t data = 8 + strlen(st_good);
	assert_int_equal(c->kind, CHECKPOINT_SAFETENSORS);
	assert_null(c->gguf);
	assert_string_equal(c->dir, dir);
	assert_int_equal(c->n_files, 1);
	assert_string_equal(c->files[0].path, path);
	assert_int_equal(c->files[0].size, data + 21);
	assert_int_equal(c->n_tensors, 3);
	assert_string_equal(c->tensors[0].name, "a"); /* in file order */
	const struct tensor *t = checkpoint_find(c, "b");
	assert_ptr_equal(t, &c->tensors[1]);
	assert_int_equal(t->dtype, DTYPE_BF16);
	assert_string_equal(t->type_name, "BF16");
	assert_int_equal(t->n_dims, 2);
	assert_int_equal(t->shape[0], 2);
	assert_int_equal(t->shape[1], 3);
	assert_int_equal(t->offset, data + 8);
	assert_int_equal(t->bytes, 12);
	t = checkpoint_find(c, "u");
	assert_int_equal(t->dtype, DTYPE_I8);
	assert_string_equal(t->type_name, "I8");
	assert_int_equal(t->n_dims, 0);
	assert_null(checkpoint_find(c, "c"));
	assert_null(checkpoint_find(c, ""));
	checkpoint_close(c);
	free(path);
}

#define T(name, dtype, shape, offsets) \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void bad_safetensors_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *header, *blame;
	} cases[] = {
		{"{" T("w", "F32", "[2]", "[1,9]") "}", "tensor w"}, /* past the end, by one */
		{"{" T("w", "F32", "[2]", "[8,0]") "}", "tensor w"},
		{"{" T("w", "F32", "[2]", "[-8,0]") "}", "tensor w"},
		{"{" T("w", "F32", "[2]", "[0]") "}", "tensor w"},
		{"{" T("w", "F32", "[2]", "[0,4,8]") "}", "tensor w"},
		{"{" T("w", "F32", "[2]", "[0,8.0]") "}", "tensor w"},
		{"{" T("w", "F32", "[2]", "[0,9223372036854775807]") "}", "tensor w"},
		{"{" T("w", "F32", "[2]", "[9223372036854775807,9223372036854775807]") "}", "tensor w"},
		{"{" T("w", "F32", "[2]", "[18446744073709551608,18446744073709551615]") "}", "tensor w"},
		{"{" T("w", "F32", "[3]", "[0,8]") "}", "tensor w"}, /* shape and length differ */
		{"{" T("w", "F32", "[0]", "[0,8]") "}", "tensor w"},
		{"{" T("w", "F32", "[1.5]", "[0,8]") "}", "tensor w"},
		{"{" T("w", "F32", "[-2]", "[0,8]") "}", "tensor w"},
		{"{" T("w", "F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]") "}", "tensor w"},
		/* 2^64 elements; 2^64 + 2 bytes wrap to 2 */
		{"{" T("w", "F32", "[4294967296,4294967296]", "[0,0]") "}", "tensor w"},
		{"{" T("w", "BF16", "[9223372036854775807,2]", "[0,8]") "}", "tensor w"},
		{"{" T("w", "F32", "[4611686018427387904]", "[0,0]") "}", "tensor w"},
		{"{" T("v", "F32", "[1]", "[0,4]") "," T("w", "BF16", "[2]", "[2,6]") "}",
			"v and w overlap"},
		{"{" T("w", "F32", "[1]", "[0,4]") "," T("w", "F32", "[1]", "[4,8]") "}", "tensor w"},
		{"{\"w\":{\"shape\":[2],\"data_offsets\":[0,8]}}", "tensor w"},
		{"{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", "tensor w"},
		{"{\"w\":{\"dtype\":\"F32\",\"shape\":[2]}}", "tensor w"},
		{"{\"w\":7}", "tensor w"},
		{"{" T("", "F32", "[2]", "[0,8]") "}", "name"},
		{"{" T("w\\u0000x", "F32", "[2]", "[0,8]") "}", "name"},
		{"{" T("w", "F32", "[2]", "[0,8]") "", "byte"},
		{"{" T("w", "F32", "[2]", "[0,8]") "} x", "byte"},
		{"[]", "byte"},
		{"", "byte"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *path = write_st("bad.safetensors", cases[i].header, 8);
		refused(path, 0, "bad.safetensors", cases[i].blame);
		free(path);
	}
	static const uint8_t lengths[][8] = {{255, 255, 255, 255, 255, 255, 255, 255},
		{249, 255, 255, 255, 255, 255, 255, 255}, {0, 0, 0, 0, 1}, {1}};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		char *path = write_file("len.safetensors", lengths[i], 8);
		refused(path, 0, "len.safetensors", "header");
		free(path);
	}
}

/* --- GGUF --- */

static void add_gguf_string(struct buf *b, const char *s)
{
	add_le(b, strlen(s), 8);
	buf_puts(b, s);
}

static void add_key(struct buf *b, const char *key, enum gguf_type type)
{
	add_gguf_string(b, key);
	add_le(b, type, 4);
}

static void add_tensor(struct buf *b, const char *name, uint32_t type, uint64_t offset, int dims,
	const uint64_t *ne)
{
	add_gguf_string(b, name);
	add_le(b, (uint64_t)dims, 4);
	for (int i = 0; i < dims; i++)
		add_le(b, ne[i], 8);
	add_le(b, type, 4);
	add_le(b, offset, 8);
}

static void start_gguf(struct buf *b, uint32_t version, uint64_t tensors, uint64_t keys)
{
	buf_puts(b, "GGUF");
	add_le(b, version, 4);
	add_le(b, tensors, 8);
	add_le(b, keys, 8);
}

static size_t end_gguf(struct buf *b, size_t align, size_t data)
{
	while (b->len % align)
		buf_addc(b, 0);
	size_t at = b->len;
	for (size_t i = 0; i < data; i++)
		buf_addc(b, (char)i);
	assert_false(b->failed);
	return at;
}

/* Returns where the data begin. */
static size_t build_gguf(struct buf *b)
{
	start_gguf(b, 3, 3, 6);
	add_key(b, "general.alignment", GGUF_U32);
	add_le(b, 64, 4);
	add_key(b, "name", GGUF_STRING);
	add_gguf_string(b, "tiny");
	add_key(b, "list", GGUF_ARRAY);
	add_le(b, GGUF_STRING, 4);
	add_le(b, 3, 8);
	add_gguf_string(b, "x");
	add_gguf_string(b, "");
	add_gguf_string(b, "yz");
	add_key(b, "big", GGUF_U64);
	add_le(b, UINT64_MAX, 8);
	add_key(b, "neg", GGUF_ARRAY);
	add_le(b, GGUF_I16, 4);
	add_le(b, 2, 8);
	add_le(b, 0xFFFE, 2);
	add_le(b, 5, 2);
	add_key(b, "yes", GGUF_BOOL);
	add_le(b, 1, 1);
	add_tensor(b, "q", 2, 64, 2, (const uint64_t[]){64, 2});
	add_tensor(b, "f", 0, 0, 1, (const uint64_t[]){3});
	add_tensor(b, "iq", 17, 192, 1, (const uint64_t[]){256});
	return end_gguf(b, 64, 192 + 74);
}

static void check_keys(struct gguf *g)
{
	struct gguf_str s;
	uint64_t u = 7;
	int64_t i = 7;
	double d = 7;
	bool yes = false;
	size_t pos = 0;
	assert_true(gguf_u64(g, "general.alignment", &u) && u == 64);
	assert_true(gguf_string(g, "name", &s) && s.len == 4 && !memcmp(s.p, "tiny", 4));
	assert_true(gguf_bool(g, "yes", &yes) && yes);
	assert_false(gguf_u64(g, "big", &u) || gguf_u64(g, "none", &u) || gguf_u64(g, "neg", &u));
	assert_int_equal(u, 64); /* left alone */
	assert_false(gguf_elem_i64(gguf_find(g, "big"), 0, &i));
	assert_false(gguf_elem_i64(gguf_find(g, "yes"), 0, &i));
	assert_false(gguf_elem_i64(gguf_find(g, "name"), 0, &i));
	assert_false(gguf_elem_f64(gguf_find(g, "yes"), 0, &d));
	assert_false(gguf_elem_i64(gguf_find(g, "neg"), 2, &i));
	assert_true(i == 7 && d == 7);
	assert_true(gguf_f64(g, "big", &d) && d == 0x1p64);
	assert_true(gguf_elem_i64(gguf_find(g, "neg"), 0, &i) && i == -2);
	const struct gguf_kv *list = gguf_find(g, "list");
	assert_int_equal(list->count, 3);
	assert_true(gguf_next_string(list, &pos, &s) && s.len == 1 && *s.p == 'x');
	assert_true(gguf_next_string(list, &pos, &s) && s.len == 0);
	assert_true(gguf_next_string(list, &pos, &s) && s.len == 2 && s.p[1] == 'z');
	assert_false(gguf_next_string(list, &pos, &s));
	gguf_drop_arrays(g);
	assert_null(gguf_find(g, "list"));
	assert_true(gguf_string(g, "name", &s) && s.len == 4 && !memcmp(s.p, "tiny", 4));
}

static void gguf_is_read(void **state)
{
	(void)state;
	struct buf b = BUF_INIT;
	size_t data = build_gguf(&b);
	char *path = write_file("m.gguf", b.p, b.len);
	struct checkpoint *c = opened(path);
	assert_int_equal(c->kind, CHECKPOINT_GGUF);
	assert_int_equal(c->n_tensors, 3);
	assert_string_equal(c->tensors[0].name, "f");
	assert_int_equal(c->tensors[0].offset, data);
	assert_int_equal(c->tensors[0].bytes, 12);
	const struct tensor *t = checkpoint_find(c, "q");
	assert_int_equal(t->dtype, DTYPE_Q4_0);
	assert_int_equal(t->n_dims, 2);
	assert_int_equal(t->shape[0], 2); /* outermost first */
	assert_int_equal(t->shape[1], 64);
	assert_int_equal(t->offset, data + 64);
	assert_int_equal(t->bytes, 2 * 2 * 18);
	t = checkpoint_find(c, "iq");
	assert_int_equal(t->dtype, DTYPE_UNKNOWN);
	assert_string_equal(t->type_name, "IQ2_XS");
	check_keys(c->gguf);
	checkpoint_close(c);
	c = opened(dir); /* a folder that holds one GGUF file */
	assert_string_equal(c->files[0].path, path);
	checkpoint_close(c);
	free(path);
	path = write_file("n.gguf", b.p, b.len);
	refused(dir, 0, dir, "2 GGUF models");
	free(path);
	buf_clear(&b);
}

static void gguf_refused(struct buf *b, const char *blame)
{
	end_gguf(b, 32, 64);
	char *path = write_file("bad.gguf", b->p, b->len);
	refused(path, 0, "bad.gguf", blame);
	free(path);
	buf_clear(b);
}

static void bad_gguf_tensors_are_refused(void **state)
{
	(void)state;
	static const struct {
		uint32_t type, dims;
		uint64_t ne[5], offset;
	} cases[] = {
		{0, 1, {17}, 0},	     /* four bytes past the end */
		{0, 1, {1}, 64},	     /* behind it */
		{0, 1, {1}, 4},		     /* not aligned */
		{0, 1, {1}, UINT64_MAX - 31}, /* wraps */
		{0, 1, {UINT64_MAX}, 0},
		{0, 1, {(uint64_t)1 << 62}, 0}, /* 2^64 bytes */
		{0, 2, {(uint64_t)1 << 32, (uint64_t)1 << 32}, 0},
		{0, 2, {4, 0}, 0},
		{0, 5, {1, 1, 1, 1, 1}, 0},
		{2, 1, {31}, 0},
		{2, 2, {16, 2}, 0}, /* a block across two rows */
		{2, 0, {0}, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf b = BUF_INIT;
		start_gguf(&b, 3, 1, 0);
		add_tensor(&b, "w", cases[i].type, cases[i].offset, (int)cases[i].dims, cases[i].ne);
		gguf_refused(&b, "tensor w");
	}
	for (int twice = 0; twice < 2; twice++) {
		struct buf b = BUF_INIT;
		start_gguf(&b, 3, 2, 0);
		add_tensor(&b, "v", 0, 0, 1, (const uint64_t[]){twice ? 8 : 9});
		add_tensor(&b, twice ? "v" : "w", 0, 32, 1, (const uint64_t[]){8});
		gguf_refused(&b, twice ? "tensor v is there twice" : "v and w overlap");
	}
}

static void bad_gguf_headers_are_refused(void **state)
{
	(void)state;
	static const struct {
		uint32_t version;
		uint64_t tensors, keys;
		const char *blame;
	} starts[] = {
		{1, 0, 0, "version 1"}, {4, 0, 0, "version 4"}, {3, UINT64_MAX, 0, "counts"},
		{3, 0, UINT64_MAX, "counts"}, {3, 1000000, 0, "name"}, {3, 0, 65536, "key"},
	};
	struct buf b = BUF_INIT;
	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		start_gguf(&b, starts[i].version, starts[i].tensors, starts[i].keys);
		gguf_refused(&b, starts[i].blame);
	}
	buf_puts(&b, "PK\3\4 not a model, but long enough for a header");
	gguf_refused(&b, "no GGUF");
	for (uint64_t align = 0; align < 4; align += 3) {
		start_gguf(&b, 3, 0, 1);
		add_key(&b, "general.alignment", GGUF_U32);
		add_le(&b, align, 4);
		gguf_refused(&b, "alignment");
	}
	start_gguf(&b, 3, 0, 2);
	for (int i = 0; i < 2; i++) {
		add_key(&b, "same", GGUF_U8);
		add_le(&b, 1, 1);
	}
	gguf_refused(&b, "key same");
	/* arrays: of arrays, of an unknown type, with counts whose bytes wrap to something small */
	static const struct {
		uint32_t type;
		uint64_t count;
	} arrays[] = {{GGUF_ARRAY, 1}, {99, 1}, {GGUF_U64, (uint64_t)1 << 61}, {GGUF_U8, UINT64_MAX},
		{GGUF_STRING, UINT64_MAX}, {GGUF_U32, ((uint64_t)1 << 62) + 1}};
	for (size_t i = 0; i < sizeof(arrays) / sizeof(*arrays); i++) {
		start_gguf(&b, 3, 0, 1);
		add_key(&b, "k", GGUF_ARRAY);
		add_le(&b, arrays[i].type, 4);
		add_le(&b, arrays[i].count, 8);
		gguf_refused(&b, "offset");
	}
	start_gguf(&b, 3, 0, 1);
	add_le(&b, UINT64_MAX - 8, 8); /* a key longer than memory */
	gguf_refused(&b, "offset");
	start_gguf(&b, 3, 0, 1);
	add_key(&b, "split.count", GGUF_U16);
	add_le(&b, 2, 2);
	gguf_refused(&b, "one of 2 parts");
}

/* --- folders --- */

static void folders_choose_their_files(void **state)
{
	(void)state;
	char *x = write_st("x.safetensors", "{" T("x", "F32", "[1]", "[0,4]") "}", 4);
	char *y = write_st("y.safetensors", "{" T("y", "F32", "[1]", "[0,4]") "}", 4);
	struct checkpoint *c = opened(dir);
	assert_int_equal(c->n_files, 2);
	assert_string_equal(c->tensors[1].name, "y");
	checkpoint_close(c);
	char *one = write_st("model.safetensors", "{" T("x", "F32", "[1]", "[0,4]") "}", 4);
	c = opened(dir); /* the copy of x beside it does not matter */
	assert_int_equal(c->n_files, 1);
	assert_string_equal(c->files[0].path, one);
	checkpoint_close(c);
	static const char map[] = "{\"metadata\":{},\"weight_map\":{\"y\":\"y.safetensors\","
				  "\"x\":\"x.safetensors\",\"z\":\"y.safetensors\"}}";
	free(write_file("model.safetensors.index.json", map, strlen(map)));
	c = opened(dir);
	assert_int_equal(c->n_files, 2);
	assert_string_equal(c->files[0].path, x);
	assert_string_equal(c->files[1].path, y);
	checkpoint_close(c);
	static const char *const bad[] = {"../x.safetensors", "/etc/passwd", "a/../../x", "",
		"x\\u0000.safetensors", "none.safetensors"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char text[128];
		snprintf(text, sizeof(text), "{\"weight_map\":{\"x\":\"%s\"}}", bad[i]);
		free(write_file("model.safetensors.index.json", text, strlen(text)));
		refused(dir, 0, dir, i < 5 ? "leaves the folder" : "none.safetensors");
	}
	for (size_t n = 0; n < strlen(map); n++) {
		free(write_file("model.safetensors.index.json", map, n));
		refused(dir, 0, "model.safetensors.index.json", "");
	}
	free(x);
	free(y);
	free(one);
}

static void folders_without_a_model_are_refused(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct checkpoint *c;
	refused(dir, 0, dir, "no model");
	assert_int_equal(checkpoint_open(&c, dir, CHECKPOINT_TENSORS_OPTIONAL, &e), 0);
	assert_int_equal(c->n_tensors, 0);
	assert_null(checkpoint_find(c, "x"));
	checkpoint_close(c);
	free(write_file("pytorch_model.bin", "PK", 2));
	refused(dir, 0, dir, "pytorch");
	char *none = path_join(dir, "none");
	refused(none, 0, none, "No such file");
	refused(none, CHECKPOINT_TENSORS_OPTIONAL, none, "No such file");
	free(none);
	none = path_join(dir, "none.safetensors");
	refused(none, 0, none, "No such file");
	free(none);
}

/* --- every byte --- */

static void no_byte_can_be_missing(void **state)
{
	(void)state;
	struct buf st = BUF_INIT, gg = BUF_INIT;
	build_st(&st, st_good, 21);
	build_gguf(&gg);
	for (size_t n = 0; n < st.len; n++) {
		char *path = write_file("cut.safetensors", st.p, n);
		refused(path, 0, "cut.safetensors", "");
		free(path);
	}
	/* "iq" has no size that we know: the file may end behind the start of its data */
	for (size_t n = 0; n < gg.len - 74; n++) {
		char *path = write_file("cut.gguf", gg.p, n);
		refused(path, 0, "cut.gguf", "");
		free(path);
	}
	buf_clear(&st);
	buf_clear(&gg);
}

/* Opened or refused, but never outside the file. */
static void try_bytes(const char *name, struct buf *b, size_t header)
{
	for (size_t i = 0; i < header; i++) {
		char was = b->p[i];
		const char values[] = {0, (char)0xFF, (char)(was + 1)};
		for (size_t v = 0; v < sizeof(values); v++) {
			struct err e = ERR_INIT;
			struct checkpoint *c;
			b->p[i] = values[v];
			char *path = write_file(name, b->p, b->len);
			if (checkpoint_open(&c, path, 0, &e) < 0) {
				assert_null(c);
				assert_non_null(strstr(e.msg, name));
			} else {
				for (size_t t = 0; t < c->n_tensors; t++)
					assert_true(c->tensors[t].offset + c->tensors[t].bytes <= b->len);
			}
			checkpoint_close(c);
			free(path);
		}
		b->p[i] = was;
	}
}

static void any_byte_can_be_wrong(void **state)
{
	(void)state;
	struct buf st = BUF_INIT, gg = BUF_INIT;
	build_st(&st, st_good, 21);
	try_bytes("flip.safetensors", &st, st.len);
	size_t data = build_gguf(&gg);
	try_bytes("flip.gguf", &gg, data);
	buf_clear(&st);
	buf_clear(&gg);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(safetensors_are_read),
		TEST(bad_safetensors_are_refused),
		TEST(gguf_is_read),
		TEST(bad_gguf_tensors_are_refused),
		TEST(bad_gguf_headers_are_refused),
		TEST(folders_choose_their_files),
		TEST(folders_without_a_model_are_refused),
		TEST(no_byte_can_be_missing),
		TEST(any_byte_can_be_wrong),
	};
	const char *tmp = getenv("TMPDIR");
	if (chdir(tmp && *tmp ? tmp : P_tmpdir) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
