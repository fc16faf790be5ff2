#include "model/quantization.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

#define STATE_LIMIT 65536
#define MAP_LIMIT 1024

struct map { /* a table of levels, from a quant_map */
	struct map *next;
	uint32_t n;
	float p[];
};

struct quantization {
	const struct checkpoint *c;
	char *method;		      /* quant_method; NULL: none */
	uint32_t block_rows, block_cols; /* weight_block_size; 0: none */
	struct map *maps;
	size_t n_maps;
	char name[512]; /* of the tensor in question, scratch */
};

static const cJSON *get(const cJSON *o, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
	return v && !cJSON_IsNull(v) ? v : NULL;
}

static const char *get_text(const cJSON *o, const char *key)
{
	const cJSON *v = get(o, key);
	return v && cJSON_IsString(v) ? v->valuestring : NULL;
}

/* compressed-tensors keeps the block size in config_groups.*.weights.block_structure. */
static const cJSON *block_size(const cJSON *qc)
{
	const cJSON *v = get(qc, "weight_block_size"), *group;
	cJSON_ArrayForEach(group, get(qc, "config_groups")) {
		const cJSON *w = get(group, "weights");
		if (!v && w)
			v = get(w, "block_structure");
	}
	return v;
}

static bool is_size(const cJSON *v)
{
	return v && cJSON_IsNumber(v) && v->valuedouble >= 1 && v->valuedouble <= 1 << 24;
}

static int read_method(struct quantization *q, const cJSON *qc, const char *path, struct err *e)
{
	static const char *const known[] = {"airlchat", "bitsandbytes", "fp8", "fbgemm_fp8", "mxfp4", "compressed-tensors",
		"modelopt"};
	static const char *const formats[] = {"float-quantized", "int-quantized", "naive-quantized", "dense"};
	const char *method = get_text(qc, "quant_method"), *format = get_text(qc, "format");
	bool ok = false;
	if (!method && (get(qc, "load_in_4bit") || get(qc, "load_in_8bit")))
		method = "bitsandbytes";
	for (size_t i = 0; method && i < sizeof(known) / sizeof(*known); i++)
		ok = ok || !strcmp(method, known[i]);
	if (!ok)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: weights quantized by \"%s\" are not supported; bitsandbytes, fp8, fbgemm_fp8, mxfp4 "
			"and compressed-tensors' 8-bit formats are",
			path, method ? method : "an unnamed method");
	if (strcmp(method, "compressed-tensors") != 0)
		format = NULL;
	for (size_t i = 0; format && ok && i < sizeof(formats) / sizeof(*formats); i++) {
		if (!strcmp(format, formats[i]))
			break;
		ok = i + 1 < sizeof(formats) / sizeof(*formats);
	}
	const char *algo = get_text(qc, "quant_algo");
	if (!ok || (algo && strcmp(algo, "FP8") != 0))
		return err_set(e, ERR_UNSUPPORTED, "%s: %s's format \"%s\" is not supported", path, method,
			ok ? algo : format);
	if (!(q->method = strdup(method)))
		return err_nomem(e);
	const cJSON *block = block_size(qc);
	const cJSON *rows = cJSON_GetArrayItem(block, 0), *cols = cJSON_GetArrayItem(block, 1);
	if (block && (!is_size(rows) || !is_size(cols)))
		return err_set(e, ERR_FORMAT, "%s: weight_block_size is not two sensible numbers", path);
	if (block) {
		q->block_rows = (uint32_t)rows->valuedouble;
		q->block_cols = (uint32_t)cols->valuedouble;
	}
	return 0;
}

int quantization_open(struct quantization **out, const struct checkpoint *c, const cJSON *config,
	const char *config_path, struct err *e)
{
	struct quantization *q = calloc(1, sizeof(*q));
	*out = NULL;
	if (!q)
		return err_nomem(e);
	q->c = c;
	const cJSON *qc = config ? get(config, "quantization_config") : NULL;
	if (config && !qc)
		qc = get(config, "compression_config"); /* older compressed-tensors */
	if (qc && read_method(q, qc, config_path, e) < 0) {
		quantization_close(q);
		return -1;
	}
	*out = q;
	return 0;
}

void quantization_close(struct quantization *q)
{
	if (!q)
		return;
	for (struct map *m = q->maps, *next; m; m = next) {
		next = m->next;
		free(m);
	}
	free(q->method);
	free(q);
}

/* The tensor that belongs to weight `name`: "name" + suffix. NULL if there is none. */
static const struct tensor *companion(struct quantization *q, const char *name, const char *suffix)
{
	int n = snprintf(q->name, sizeof(q->name), "%s%s", name, suffix);
	return n > 0 && (size_t)n < sizeof(q->name) ? checkpoint_find(q->c, q->name) : NULL;
}

static const char *path_of(const struct quantization *q, const struct tensor *t)
{
	return q->c->files[t->file].path;
}

static int bad(const struct quantization *q, const struct tensor *t, const char *why, struct err *e)
{
	return err_set(e, ERR_FORMAT, "%s: tensor %s %s", path_of(q, t), t->name, why);
}

/* Elements of a tensor; its shape has been checked against its size. */
static uint64_t elements(const struct tensor *t)
{
	uint64_t n = 1;
	for (int i = 0; i < t->n_dims; i++)
		n *= t->shape[i];
	return n;
}

static int read_tensor(const struct quantization *q, const struct tensor *t, void *dst, struct err *e)
{
	const char *path = path_of(q, t);
	int fd = file_open(path, NULL, e);
	if (fd < 0)
		return -1;
	int rc = file_pread(fd, dst, (size_t)t->bytes, t->offset, path, e);
	close(fd);
	return rc;
}

/* A table of n levels in float32. *out is NULL when it is the dtype's own; else it is kept once,
 * however many weights bring the same. */
static int read_map(struct quantization *q, const struct tensor *t, uint32_t n, const float *standard,
	const float **out, struct err *e)
{
	*out = NULL;
	if (t->dtype != DTYPE_F32 || elements(t) != n)
		return bad(q, t, "is no table of float32 levels", e);
	struct map *m = malloc(sizeof(*m) + n * sizeof(float));
	if (!m)
		return err_nomem(e);
	m->n = n;
	if (read_tensor(q, t, m->p, e) < 0) {
		free(m);
		return -1;
	}
	if (standard && !memcmp(standard, m->p, n * sizeof(float))) {
		free(m);
		return 0;
	}
	for (struct map *old = q->maps; old; old = old->next) {
		if (old->n == n && !memcmp(old->p, m->p, n * sizeof(float))) {
			free(m);
			*out = old->p;
			return 0;
		}
	}
	if (q->n_maps >= MAP_LIMIT) {
		free(m);
		return bad(q, t, "is one table of levels too many", e);
	}
	m->next = q->maps;
	q->maps = m;
	q->n_maps++;
	*out = m->p;
	return 0;
}

static int scale_kind(const struct quantization *q, const struct tensor *t, enum scale_kind *k, struct err *e)
{
	if (t->dtype == DTYPE_F32)
		*k = SCALE_F32;
	else if (t->dtype == DTYPE_F16)
		*k = SCALE_F16;
	else if (t->dtype == DTYPE_BF16)
		*k = SCALE_BF16;
	else if (!strcmp(t->type_name, "F8_E8M0"))
		*k = SCALE_E8M0;
	else
		return bad(q, t, "has a type that scales can't have", e);
	return 0;
}

/* --- bitsandbytes ------------------------------------------------------------------------------- */

struct quant_state { /* the JSON in ...quant_state.bitsandbytes__nf4 */
	uint64_t blocksize, nested_blocksize;
	double nested_offset;
	int n_dims;
	uint64_t shape[TENSOR_DIMS];
};

static bool read_number(struct json_reader *r, uint64_t *out)
{
	struct json_num n;
	if (!json_number(r, &n) || !n.is_int || n.i < 1)
		return json_fail(r, "a sensible number is expected here");
	*out = (uint64_t)n.i;
	return true;
}

static int parse_state(struct json_reader *r, struct quant_state *s)
{
	struct json_str key;
	struct json_num n;
	for (json_object(r); json_key(r, &key);) {
		if (json_str_is(&key, "blocksize")) {
			read_number(r, &s->blocksize);
		} else if (json_str_is(&key, "nested_blocksize")) {
			read_number(r, &s->nested_blocksize);
		} else if (json_str_is(&key, "nested_offset") && json_number(r, &n)) {
			s->nested_offset = n.d;
		} else if (json_str_is(&key, "shape")) {
			for (json_array(r); json_next(r); s->n_dims++)
				if (s->n_dims == TENSOR_DIMS)
					return json_fail(r, "too many dimensions"), -1;
				else
					read_number(r, &s->shape[s->n_dims]);
		} else {
			json_skip(r);
		}
	}
	return json_end(r);
}

static int read_state(struct quantization *q, const struct tensor *t, struct quant_state *s, struct err *e)
{
	*s = (struct quant_state){0};
	if (t->bytes == 0 || t->bytes > STATE_LIMIT)
		return bad(q, t, "has an absurd size", e);
	char *text = malloc((size_t)t->bytes);
	if (!text)
		return err_nomem(e);
	struct json_reader r;
	int rc = read_tensor(q, t, text, e);
	json_reader_init(&r, text, (size_t)t->bytes, t->name, e);
	if (rc == 0 && (rc = parse_state(&r, s)) < 0)
		err_prefix(e, "%s", path_of(q, t));
	json_reader_clear(&r);
	free(text);
	uint64_t n = 1;
	for (int i = 0; rc == 0 && i < s->n_dims; i++)
		if (__builtin_mul_overflow(n, s->shape[i], &n))
			rc = bad(q, t, "has an absurd shape", e);
	if (rc == 0 && (!s->n_dims || !s->blocksize || s->blocksize > 1 << 20 || s->blocksize & 1))
		rc = bad(q, t, "has no sensible shape and blocksize", e);
	return rc;
}

/* Scales of `flat` elements each, for n elements. */
static int flat_scales(struct quantization *q, struct stored *s, const struct tensor *absmax, uint64_t flat,
	uint64_t n, struct err *e)
{
	if (elements(absmax) != (n + flat - 1) / flat)
		return bad(q, absmax, "has not one scale a block", e);
	s->scale = absmax;
	s->scaling.flat = (uint32_t)flat;
	s->scaling.factor = 1;
	return 0;
}

/* Double quantization: absmax are bytes, places in nested_quant_map times nested_absmax plus offset. */
static int nested_scales(struct quantization *q, struct stored *s, const char *name, const char *infix,
	const struct quant_state *state, struct err *e)
{
	char suffix[64];
	snprintf(suffix, sizeof(suffix), "%s.nested_absmax", infix);
	const struct tensor *nested = companion(q, name, suffix);
	snprintf(suffix, sizeof(suffix), "%s.nested_quant_map", infix);
	const struct tensor *map = companion(q, name, suffix);
	uint64_t group = state->nested_blocksize, n = elements(s->scale);
	if (!nested || !map)
		return bad(q, s->scale, "is quantized again, but nested_absmax or nested_quant_map is missing", e);
	if (s->scale->bytes != n || nested->dtype != DTYPE_F32 || !group || group > 1 << 20 ||
		elements(nested) != (n + group - 1) / group)
		return bad(q, nested, "does not fit its scales", e);
	s->nested = nested;
	s->scaling.kind = SCALE_NESTED;
	s->scaling.nested_group = (uint32_t)group;
	s->scaling.offset = (float)state->nested_offset;
	return read_map(q, map, 256, NULL, &s->scaling.map, e);
}

/* infix: "" for bitsandbytes, ".4bit" for AirLLM. 1: it is one, 0: it is none, -1. */
static int find_4bit(struct stored *s, struct quantization *q, const char *name, const char *infix,
	struct err *e)
{
	static const struct {
		const char *suffix;
		enum dtype dtype;
	} kinds[] = {{".quant_state.bitsandbytes__nf4", DTYPE_NF4}, {".quant_state.bitsandbytes__fp4", DTYPE_FP4}};
	const struct tensor *state_tensor = NULL, *t = s->tensor;
	struct quant_state state;
	char suffix[64];
	for (int i = 0; i < 2 && !state_tensor; i++) {
		snprintf(suffix, sizeof(suffix), "%s%s", infix, kinds[i].suffix);
		if ((state_tensor = companion(q, name, suffix)))
			s->dtype = kinds[i].dtype;
	}
	if (!state_tensor)
		return 0;
	if (read_state(q, state_tensor, &state, e) < 0)
		return -1;
	s->n_dims = state.n_dims;
	uint64_t n = 1;
	for (int i = 0; i < state.n_dims; i++)
		n *= s->shape[i] = state.shape[i];
	if (t->bytes != n / 2 + n % 2)
		return bad(q, t, "has not half a byte an element of the shape in its quant_state", e);
	snprintf(suffix, sizeof(suffix), "%s.absmax", infix);
	const struct tensor *absmax = companion(q, name, suffix);
	snprintf(suffix, sizeof(suffix), "%s.quant_map", infix);
	const struct tensor *map = companion(q, name, suffix);
	if (!absmax)
		return bad(q, t, "has no absmax", e);
	if (flat_scales(q, s, absmax, state.blocksize, n, e) < 0 ||
		(map && read_map(q, map, 16, dtype_info(s->dtype)->levels, &s->scaling.code, e) < 0))
		return -1;
	bool nested = strcmp(absmax->type_name, "U8") == 0;
	int rc = nested ? nested_scales(q, s, name, infix, &state, e)
			: scale_kind(q, absmax, &s->scaling.kind, e);
	return rc < 0 ? -1 : 1;
}

/* bitsandbytes' LLM.int8(): SCB is the largest magnitude of each row; X.SCB for X.weight, N.SCB for
 * stacked tensors whose names don't end so. */
static int find_int8(struct stored *s, struct quantization *q, const char *name, struct err *e)
{
	static const char end[] = ".weight";
	size_t n = strlen(name), m = sizeof(end) - 1;
	char base[512];
	if (n >= sizeof(base))
		return 0;
	snprintf(base, sizeof(base), "%.*s", (int)(n > m && !strcmp(name + n - m, end) ? n - m : n), name);
	const struct tensor *scb = companion(q, base, ".SCB"), *t = s->tensor;
	const struct tensor *format = companion(q, base, ".weight_format");
	uint8_t order = 0;
	if (!scb)
		return 0;
	if (format && format->bytes == 1 && read_tensor(q, format, &order, e) < 0)
		return -1;
	if (t->n_dims < 2 || strcmp(t->type_name, "I8") != 0 || order != 0)
		return bad(q, t, "is no matrix of 8-bit integers in rows", e);
	uint64_t cols = t->shape[t->n_dims - 1], rows = cols ? elements(t) / cols : 0;
	if (!cols || cols > UINT32_MAX || elements(scb) != rows)
		return bad(q, scb, "has not one number a row", e);
	s->dtype = DTYPE_I8;
	s->scale = scb;
	s->grid_rows = rows;
	s->scaling = (struct scaling){.group_rows = 1, .group_cols = (uint32_t)cols, .factor = 1.0f / 127};
	return scale_kind(q, scb, &s->scaling.kind, e) < 0 ? -1 : 1;
}

/* AirLLM's 8 bits: bitsandbytes' blocks of 2048 over the dynamic map. */
static int find_airllm_8bit(struct stored *s, struct quantization *q, const char *name, struct err *e)
{
	const struct tensor *absmax = companion(q, name, ".8bit.absmax"), *t = s->tensor;
	const struct tensor *code = companion(q, name, ".8bit.code");
	if (!absmax || !code)
		return 0;
	uint64_t n = elements(t);
	if (t->bytes != n)
		return bad(q, t, "has not one byte an element", e);
	s->dtype = DTYPE_I8_MAP;
	if (flat_scales(q, s, absmax, 2048, n, e) < 0 || scale_kind(q, absmax, &s->scaling.kind, e) < 0 ||
		read_map(q, code, 256, dtype_info(s->dtype)->levels, &s->scaling.code, e) < 0)
		return -1;
	return 1;
}

/* --- scales in rectangles ----------------------------------------------------------------------- */

/* Rows (or columns) that share a scale when there are `scales` of them for n: all, one, or the block
 * that the config names, or what divides evenly. 0: it doesn't fit. */
static uint64_t group_of(uint64_t n, uint64_t scales, uint32_t block)
{
	if (scales == 1)
		return n;
	if (scales == n)
		return 1;
	if (block && (n + block - 1) / block == scales)
		return block;
	return scales && n % scales == 0 ? n / scales : 0;
}

static int find_scaled(struct stored *s, struct quantization *q, const char *name, struct err *e)
{
	const struct tensor *t = s->tensor, *scale = companion(q, name, "_scale_inv");
	bool bytes = !strcmp(t->type_name, "F8_E4M3") || !strcmp(t->type_name, "F8_E5M2") ||
		!strcmp(t->type_name, "I8");
	if (!scale)
		scale = companion(q, name, "_scale");
	if (!bytes)
		return 0;
	if (!scale && (q->method || t->dtype == DTYPE_I8))
		return bad(q, t, "has no weight_scale and no weight_scale_inv", e);
	if (!scale) /* 8-bit floats as they are */
		return 0;
	if (companion(q, name, "_zero_point"))
		return bad(q, t, "has a zero point, which is not supported", e);
	uint64_t cols = t->n_dims ? t->shape[t->n_dims - 1] : 0, rows = cols ? elements(t) / cols : 0;
	uint64_t have = elements(scale), per = t->n_dims > 2 ? t->shape[t->n_dims - 2] : rows;
	uint64_t grid_rows = have > 1 ? per : rows, grids = grid_rows ? rows / grid_rows : 0;
	if (!rows || cols > UINT32_MAX || rows > UINT32_MAX || !grids || have % grids)
		return bad(q, scale, "does not fit its weight", e);
	/* [rows / group, cols / group], the second missing or 1 when a row has one scale */
	uint64_t across = scale->n_dims >= 2 && have > 1 ? scale->shape[scale->n_dims - 1] : 1;
	uint64_t down = across ? have / grids / across : 0;
	uint64_t group_rows = group_of(grid_rows, down, q->block_rows);
	uint64_t group_cols = group_of(cols, across, q->block_cols);
	if (!group_rows || !group_cols)
		return bad(q, scale, "does not fit its weight", e);
	s->scale = scale;
	s->grid_rows = grid_rows;
	s->scaling = (struct scaling){.group_rows = (uint32_t)group_rows, .group_cols = (uint32_t)group_cols,
		.factor = 1};
	return scale_kind(q, scale, &s->scaling.kind, e) < 0 ? -1 : 1;
}

/* gpt-oss: N_blocks [.., rows, cols / 32, 16] and N_scales [.., rows, cols / 32], where a plain N would
 * be [.., cols, rows]. */
static int find_mxfp4(struct stored *s, struct quantization *q, const char *name, struct err *e)
{
	const struct tensor *t = companion(q, name, "_blocks"), *scale = companion(q, name, "_scales");
	if (!t && !scale)
		return 0;
	if (!t || !scale)
		return bad(q, t ? t : scale, "has blocks without scales or scales without blocks", e);
	int n = scale->n_dims;
	if (n < 2 || t->n_dims != n + 1 || t->shape[n] != 16 || t->bytes != elements(t) ||
		scale->bytes != elements(scale) || t->bytes / 16 != scale->bytes ||
		memcmp(t->shape, scale->shape, (size_t)n * sizeof(*t->shape)) != 0)
		return bad(q, t, "does not fit its scales", e);
	s->tensor = t;
	s->dtype = DTYPE_E2M1;
	s->n_dims = n;
	memcpy(s->shape, scale->shape, sizeof(s->shape));
	s->shape[n - 1] *= 32;
	s->flipped = true;
	s->scale = scale;
	s->grid_rows = t->shape[n - 2];
	s->scaling = (struct scaling){.kind = SCALE_E8M0, .group_rows = 1, .group_cols = 32, .factor = 1};
	return 1;
}

int stored_find(struct stored *out, struct quantization *q, const char *name, struct err *e)
{
	const struct tensor *t = checkpoint_find(q->c, name);
	*out = (struct stored){.tensor = t};
	if (!t)
		return find_mxfp4(out, q, name, e) < 0 ? -1 : 0;
	out->dtype = t->dtype;
	out->n_dims = t->n_dims;
	memcpy(out->shape, t->shape, sizeof(out->shape));
	if (q->c->kind == CHECKPOINT_GGUF)
		return 0;
	int found = find_4bit(out, q, name, "", e);
	if (found == 0)
		found = find_4bit(out, q, name, ".4bit", e);
	if (found == 0)
		found = find_airllm_8bit(out, q, name, e);
	if (found == 0)
		found = find_int8(out, q, name, e);
	if (found == 0)
		found = find_scaled(out, q, name, e);
	return found < 0 ? -1 : 0;
}
