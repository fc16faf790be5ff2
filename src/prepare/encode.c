#include "prepare/encode.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "quant/encode.h"

#define COPY_BYTES ((size_t)8 << 20)
#define BLOCK_ELEMENTS ((size_t)4 << 20) /* decoded at once; a row of a matrix must fit */
#define GRAIN 16384			 /* elements a thread takes; a multiple of every group */
#define ROWS 8				 /* rows a thread takes */
#define BLOCK_ROWS 65536
#define PARTS (BLOCK_ROWS / ROWS)	 /* of a block, at most */

struct encoded { /* the sides of one encoded tensor */
	struct encoded *next;
	const struct tensor *from;
	float *scales; /* absmax, or SCB */
	uint64_t n_scales;
	uint8_t *absmax; /* doubly quantized */
	float *nested, offset;
};

int encoder_open(struct encoder *x, const struct checkpoint *c, struct quantization *q,
	const char *const *paths, int threads, struct err *e)
{
	*x = (struct encoder){.src = {.c = c, .paths = paths}, .q = q, .threads = threads};
	x->raw = malloc(BLOCK_ELEMENTS * sizeof(float));
	x->codes = malloc(BLOCK_ELEMENTS * 2);
	x->values = malloc(BLOCK_ELEMENTS * sizeof(float));
	x->back = malloc((size_t)threads * GRAIN * sizeof(float));
	x->sums = calloc((size_t)PARTS * 2, sizeof(*x->sums));
	x->src.fds = malloc((c->n_files + 1) * sizeof(*x->src.fds));
	for (size_t i = 0; x->src.fds && i < c->n_files; i++)
		x->src.fds[i] = -1;
	int rc = x->raw && x->codes && x->values && x->back && x->sums && x->src.fds ? 0 : err_nomem(e);
	if (rc == 0)
		rc = pool_new(&x->pool, threads, e);
	if (rc < 0)
		encoder_close(x);
	return rc;
}

void encoder_next(struct encoder *x)
{
	for (struct encoded *k = x->encoded, *next; k; k = next) {
		next = k->next;
		free(k->scales);
		free(k->absmax);
		free(k->nested);
		free(k);
	}
	x->encoded = NULL;
	/* a file that is deleted behind this one takes its room as long as it is open */
	for (size_t i = 0; x->src.fds && i < x->src.c->n_files; i++) {
		if (x->src.fds[i] >= 0)
			close(x->src.fds[i]);
		x->src.fds[i] = -1;
	}
	x->error2 = x->weight2 = 0;
	x->quantized = 0;
}

void encoder_close(struct encoder *x)
{
	encoder_next(x);
	pool_free(x->pool);
	free(x->src.fds);
	free(x->raw);
	free(x->codes);
	free(x->values);
	free(x->back);
	free(x->sums);
	*x = (struct encoder){0};
}

static int source_read(struct source *s, const struct tensor *t, uint64_t at, void *dst, size_t len,
	struct err *e)
{
	const char *path = s->paths[t->file];
	int *fd = &s->fds[t->file];
	uint64_t size;
	if (*fd < 0) {
		if ((*fd = file_open(path, &size, e)) < 0)
			return err_prefix(e, "tensor %s", t->name);
		posix_fadvise(*fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	}
	if (file_pread(*fd, dst, len, t->offset + at, path, e) < 0)
		return err_prefix(e, "tensor %s", t->name);
	posix_fadvise(*fd, (off_t)(t->offset + at), (off_t)len, POSIX_FADV_DONTNEED);
	if (at + len < t->bytes)
		posix_fadvise(*fd, (off_t)(t->offset + at + len), (off_t)len, POSIX_FADV_WILLNEED);
	return 0;
}

static int copy_tensor(struct encoder *x, const struct piece *p, struct sink *s, struct err *e)
{
	for (uint64_t at = 0; at < p->bytes; at += COPY_BYTES) {
		size_t n = p->bytes - at < COPY_BYTES ? (size_t)(p->bytes - at) : COPY_BYTES;
		if (source_read(&x->src, p->from, at, x->raw, n, e) < 0 || sink_write(s, x->raw, n, e) < 0)
			return -1;
		x->seen(x->arg, n);
	}
	return 0;
}

/* --- encoding ----------------------------------------------------------------------------------- */

struct job { /* rows of one tensor */
	struct encoder *x;
	const struct piece *p;
	const struct weight *w; /* the whole tensor as one matrix */
	struct scales scales;	/* of the source */
	uint64_t row0, rows;
	float *out_scales; /* nf4, int8: of the first row's first group */
	size_t bad;	   /* index of an element that is no number, or SIZE_MAX; any thread may set it */
};

static void add_error(struct job *j, const float *want, const float *got, size_t n, size_t part)
{
	double error = 0, weight = 0;
	for (size_t i = 0; i < n; i++) {
		double d = (double)got[i] - want[i];
		error += d * d;
		weight += (double)want[i] * want[i];
		if (!isfinite(want[i]))
			__atomic_store_n(&j->bad, i, __ATOMIC_RELAXED); /* any of them */
	}
	j->x->sums[2 * part] += error;
	j->x->sums[2 * part + 1] += weight;
}

/* Rows [begin, end) of the job to floats. */
static void decode_rows(void *arg, size_t begin, size_t end, int thread)
{
	(void)thread;
	const struct job *j = arg;
	const struct weight *w = j->w;
	for (size_t r = begin; r < end; r++)
		decode_scaled(w->dtype, &j->scales, j->x->raw + r * w->row_bytes, j->row0 + r, 0, w->cols,
			j->x->values + r * w->cols, w->cols);
}

/* Elements [begin, end) of the job, multiples of every group but for the end of the tensor. */
static void encode_elements(void *arg, size_t begin, size_t end, int thread)
{
	struct job *j = arg;
	const struct dtype_info *d = dtype_info(j->p->dtype);
	const float *v = j->x->values + begin;
	uint8_t *codes = j->x->codes + begin / d->block * d->block_bytes;
	float *back = j->x->back + (size_t)thread * GRAIN;
	size_t n = end - begin;
	if (j->p->quant != PREPARE_NF4) {
		d->encode(v, codes, n);
		d->decode(codes, back, n);
	} else {
		float *scales = j->out_scales + begin / QUANT_GROUP;
		static const struct scaling how = {.flat = QUANT_GROUP, .factor = 1};
		const struct scales s = {.how = &how, .p = scales};
		encode_nf4(v, n, QUANT_GROUP, codes, scales);
		decode_scaled(DTYPE_NF4, &s, codes, 0, 0, n, back, n);
	}
	add_error(j, v, back, n, begin / GRAIN);
}

static void encode_int8(void *arg, size_t begin, size_t end, int thread)
{
	struct job *j = arg;
	const size_t cols = j->w->cols;
	for (size_t r = begin; r < end; r++) {
		const float *v = j->x->values + r * cols;
		int8_t *codes = (int8_t *)j->x->codes + r * cols;
		float *back = j->x->back + (size_t)thread * GRAIN;
		encode_i8_rows(v, 1, cols, codes, &j->out_scales[r]);
		float step = j->out_scales[r] / 127;
		for (size_t at = 0; at < cols; at += GRAIN) {
			size_t n = cols - at < GRAIN ? cols - at : GRAIN;
			for (size_t i = 0; i < n; i++)
				back[i] = (float)codes[at + i] * step;
			add_error(j, v + at, back, n, begin / ROWS);
		}
	}
}

/* The whole of the tensor as one matrix, plain or as its own quantization means it. */
static int whole_matrix(struct encoder *x, const struct piece *p, struct weight *w, struct err *e)
{
	const struct tensor *t = p->from;
	struct stored stored = {.tensor = t, .dtype = t->dtype, .n_dims = t->n_dims};
	memcpy(stored.shape, t->shape, sizeof(stored.shape));
	if (!p->slice && stored_find(&stored, x->q, t->name, e) < 0)
		return -1;
	uint64_t rows = 1, cols = stored.n_dims ? stored.shape[stored.n_dims - 1] : 0;
	for (int i = 0; i + 1 < stored.n_dims; i++)
		rows *= stored.shape[i];
	if (!rows || !cols || rows > UINT32_MAX || cols > BLOCK_ELEMENTS / 64)
		return err_set(e, ERR_LIMIT, "%s: tensor %s has rows too long to quantize", x->src.paths[t->file],
			t->name);
	*w = (struct weight){.rows = (uint32_t)rows, .cols = (uint32_t)cols};
	return weight_from_stored(w, x->src.c, &stored, 0, e);
}

/* The scales of the source, whole: they are small beside the elements. */
static int read_scales(struct encoder *x, const struct weight *w, struct scales *s, void **memory,
	struct err *e)
{
	*memory = NULL;
	*s = (struct scales){0};
	if (!w->has_scaling)
		return 0;
	uint64_t nested = w->nested ? mem_align_up(w->nested->bytes, 16) : 0;
	char *p = *memory = mem_array(nested + w->scale->bytes, 1);
	if (!p)
		return err_nomem(e);
	*s = (struct scales){.how = &w->scaling, .p = p + nested, .nested = w->nested ? (float *)(void *)p : NULL};
	if (w->nested && source_read(&x->src, w->nested, 0, p, (size_t)w->nested->bytes, e) < 0)
		return -1;
	return source_read(&x->src, w->scale, 0, p + nested, (size_t)w->scale->bytes, e);
}

/* Rows in a block: whole groups, so that blocks are encoded one by one. */
static uint64_t block_rows(const struct weight *w)
{
	uint64_t rows = BLOCK_ELEMENTS / w->cols;
	return rows < 64 ? 64 : rows < BLOCK_ROWS ? rows / 64 * 64 : BLOCK_ROWS;
}

static int encode_block(struct encoder *x, struct job *j, struct sink *s, struct err *e)
{
	const struct weight *w = j->w;
	const struct tensor *t = j->p->from;
	const struct dtype_info *d = dtype_info(j->p->dtype);
	size_t n = (size_t)(j->rows * w->cols), bytes = (size_t)(j->rows * w->row_bytes);
	if (source_read(&x->src, t, j->row0 * w->row_bytes, x->raw, bytes, e) < 0)
		return -1;
	j->bad = SIZE_MAX;
	memset(x->sums, 0, (size_t)PARTS * 2 * sizeof(*x->sums));
	pool_run(x->pool, decode_rows, j, (size_t)j->rows, ROWS);
	if (j->p->quant == PREPARE_INT8)
		pool_run(x->pool, encode_int8, j, (size_t)j->rows, ROWS);
	else
		pool_run(x->pool, encode_elements, j, n, GRAIN);
	for (int i = 0; i < PARTS; i++) {
		x->error2 += x->sums[2 * i];
		x->weight2 += x->sums[2 * i + 1];
	}
	if (j->bad != SIZE_MAX)
		return err_set(e, ERR_FORMAT, "%s: tensor %s holds infinities or NaN at offset %llu or behind",
			x->src.paths[t->file], t->name, (unsigned long long)(t->offset + j->row0 * w->row_bytes));
	size_t out = (n + d->block - 1) / d->block * d->block_bytes;
	if (sink_write(s, x->codes, out, e) < 0)
		return -1;
	x->seen(x->arg, out);
	return 0;
}

static int keep_sides(struct encoder *x, const struct piece *p, struct encoded *k, struct err *e)
{
	k->from = p->from;
	k->next = x->encoded;
	x->encoded = k;
	if (p->quant != PREPARE_NF4)
		return 0;
	k->absmax = malloc((size_t)k->n_scales);
	k->nested = malloc((size_t)(k->n_scales / NESTED_GROUP + 1) * sizeof(float));
	if (!k->absmax || !k->nested)
		return err_nomem(e);
	encode_nested(k->scales, (size_t)k->n_scales, NESTED_GROUP, k->absmax, k->nested, &k->offset);
	return 0;
}

static int encode_tensor(struct encoder *x, const struct piece *p, struct sink *s, struct err *e)
{
	struct weight w;
	struct job j = {.x = x, .p = p, .w = &w};
	void *memory = NULL;
	struct encoded *k = calloc(1, sizeof(*k));
	int rc = k ? whole_matrix(x, p, &w, e) : err_nomem(e);
	if (rc == 0 && (p->quant == PREPARE_NF4 || p->quant == PREPARE_INT8)) {
		uint64_t n = (uint64_t)w.rows * w.cols;
		k->n_scales = p->quant == PREPARE_INT8 ? w.rows : (n + QUANT_GROUP - 1) / QUANT_GROUP;
		if (!(k->scales = mem_array((size_t)k->n_scales, sizeof(float))))
			rc = err_nomem(e);
	}
	if (rc == 0)
		rc = read_scales(x, &w, &j.scales, &memory, e);
	for (uint64_t step = rc == 0 ? block_rows(&w) : 0; rc == 0 && j.row0 < w.rows; j.row0 += step) {
		j.rows = w.rows - j.row0 < step ? w.rows - j.row0 : step;
		j.out_scales = !k->scales ? NULL
			: k->scales + (p->quant == PREPARE_INT8 ? j.row0 : j.row0 * w.cols / QUANT_GROUP);
		rc = encode_block(x, &j, s, e);
	}
	x->quantized += rc == 0 ? (uint64_t)w.rows * w.cols : 0;
	free(memory);
	if (rc == 0)
		return keep_sides(x, p, k, e);
	if (k)
		free(k->scales);
	free(k);
	return rc;
}

/* The JSON that bitsandbytes keeps beside its codes, filled with spaces to a size known before. */
static void quant_state(const struct encoder *x, const struct piece *p, const struct encoded *k,
	char out[STATE_BYTES])
{
	static const struct {
		enum dtype t;
		const char *name;
	} names[] = {{DTYPE_F32, "float32"}, {DTYPE_F16, "float16"}, {DTYPE_BF16, "bfloat16"}};
	const char *dtype = "bfloat16";
	struct buf b = BUF_INIT;
	(void)x;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].t == p->from->dtype)
			dtype = names[i].name;
	buf_printf(&b, "{\"quant_type\": \"nf4\", \"blocksize\": %d, \"dtype\": \"%s\", \"shape\": [", QUANT_GROUP,
		dtype);
	for (int i = 0; i < p->from->n_dims; i++)
		buf_printf(&b, i ? ", %llu" : "%llu", (unsigned long long)p->from->shape[i]);
	buf_printf(&b, "], \"nested_blocksize\": %d, \"nested_dtype\": \"float32\", \"nested_offset\": %.9g}",
		NESTED_GROUP, k->offset);
	memset(out, ' ', STATE_BYTES);
	memcpy(out, buf_str(&b), b.len < STATE_BYTES ? b.len : STATE_BYTES);
	buf_clear(&b);
}

static int write_side(struct encoder *x, const struct piece *p, struct sink *s, struct err *e)
{
	const struct encoded *k = x->encoded;
	char state[STATE_BYTES];
	const void *from = NULL;
	while (k && k->from != p->from)
		k = k->next;
	if (!k)
		return err_set(e, ERR_FORMAT, "tensor %s has not been encoded", p->name);
	switch (p->side) {
	case SIDE_ABSMAX:
		from = k->absmax;
		break;
	case SIDE_NESTED:
		from = k->nested;
		break;
	case SIDE_NESTED_MAP:
		from = dtype_info(DTYPE_I8_MAP)->levels;
		break;
	case SIDE_MAP:
		from = dtype_info(DTYPE_NF4)->levels;
		break;
	case SIDE_STATE:
		quant_state(x, p, k, state);
		from = state;
		break;
	default:
		from = k->scales;
	}
	if (sink_write(s, from, (size_t)p->bytes, e) < 0)
		return -1;
	x->seen(x->arg, p->bytes);
	return 0;
}

int encoder_piece(struct encoder *x, const struct piece *p, struct sink *s, struct err *e)
{
	if (p->side != SIDE_NONE)
		return write_side(x, p, s, e);
	return p->quant == PREPARE_NONE ? copy_tensor(x, p, s, e) : encode_tensor(x, p, s, e);
}
