/* What is small and always in memory: norms, biases, factors of rope, slopes of ALiBi. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "engine/scales.h"

#define HEAD_PIECE ((size_t)1 << 20)

static bool is_small(const struct weight *w)
{
	return !role_is_streamed(w->role) && !role_is_gathered(w->role);
}

static bool plus_one(const struct model *m, enum role role)
{
	switch (role) {
	case ROLE_ATTN_NORM:
	case ROLE_ATTN_POST:
	case ROLE_FFN_NORM:
	case ROLE_FFN_POST:
	case ROLE_OUT_NORM:
	case ROLE_Q_NORM:
	case ROLE_K_NORM:
		return m->norm_plus_one;
	default:
		return false;
	}
}

/* Read a vector, whole or in parts, as float32 [cols]. */
static int read_vector(struct engine *en, const struct weight *w, float *f, struct err *e)
{
	uint32_t parts = w->n_parts ? w->n_parts : 1, cols = w->cols / parts;
	for (uint32_t i = 0; i < parts; i++) {
		const struct tensor *t = w->n_parts ? w->parts[i] : w->tensor;
		void *raw = mem_array(t->bytes, 1);
		if (!raw)
			return err_nomem(e);
		int rc = stream_read(en->stream, t->file, t->offset, t->bytes, raw, e);
		if (rc == 0)
			rc = scales_decode_vector(en, w, t, raw, f + (size_t)i * cols, cols, e);
		free(raw);
		if (rc < 0)
			return -1;
	}
	for (uint32_t i = 0; plus_one(en->c.model, w->role) && i < w->cols; i++)
		f[i] += 1;
	return 0;
}

static int to_device(struct engine *en, float *dst, const float *f, size_t n, struct err *e)
{
	struct backend *b = en->c.backend;
	b->ops->upload(b, QUEUE_COMPUTE, dst, f, n * sizeof(*f));
	b->ops->event_record(b, QUEUE_COMPUTE, en->event);
	return b->ops->event_sync(b, en->event, e);
}

static int load_vector(struct engine *en, const struct weight *w, float *dst, struct err *e)
{
	float *f = mem_array(w->cols, sizeof(*f));
	if (!f)
		return err_nomem(e);
	int rc = read_vector(en, w, f, e);
	if (rc == 0 && w->role >= ROLE_ROPE_FACTORS && w->role <= ROLE_ROPE_LONG) {
		for (uint32_t i = 0; i < w->cols; i++)
			if (!(f[i] > 0 && f[i] < 1e9f))
				rc = err_set(e, ERR_FORMAT, "tensor %s has factors that are no positive numbers",
					w->tensor->name);
		if (w->role != ROLE_ROPE_LONG)
			en->rope[0].short_factor = f;
		if (w->role != ROLE_ROPE_SHORT)
			en->rope[0].long_factor = f;
		en->rope_factors[w->role - ROLE_ROPE_FACTORS] = f;
		return rc;
	}
	if (rc == 0)
		rc = to_device(en, dst, f, w->cols, e);
	free(f);
	return rc;
}

/* Press, Smith, Lewis 2022: a geometric series for a power of two of heads; the others take every second
 * of the next series. */
static int load_slopes(struct engine *en, float *dst, struct err *e)
{
	const struct model *m = en->c.model;
	float *f = mem_array(m->heads, sizeof(*f));
	if (!f)
		return err_nomem(e);
	uint32_t n = 1;
	while (n * 2 <= m->heads)
		n *= 2;
	for (uint32_t h = 0; h < m->heads; h++) {
		double power = h < n ? (h + 1) * 8.0 / n : (2 * (h - n) + 1) * 4.0 / n;
		f[h] = (float)exp2(-power) * m->alibi;
	}
	en->slopes = dst;
	int rc = to_device(en, dst, f, m->heads, e);
	free(f);
	return rc;
}

/* One over the length of each row of the head, as F.normalize has it: the head is read once for this. */
static int load_head_scale(struct engine *en, float *dst, struct err *e)
{
	const struct model *m = en->c.model;
	const struct weight *w = model_weight(m, m->n_layers, ROLE_HEAD);
	if (w->has_scaling)
		return err_set(e, ERR_UNSUPPORTED, "a normalized head with scales of its own is not supported");
	uint32_t step = w->row_bytes < HEAD_PIECE ? (uint32_t)(HEAD_PIECE / w->row_bytes) : 1;
	float *row = mem_array(w->cols, sizeof(*row)), *f = mem_array(w->rows, sizeof(*f));
	char *raw = mem_array(step, w->row_bytes);
	int rc = row && f && raw ? 0 : err_nomem(e);
	for (uint32_t r0 = 0; rc == 0 && r0 < w->rows; r0 += step) {
		uint32_t n = w->rows - r0 < step ? w->rows - r0 : step;
		rc = stream_read(en->stream, w->tensor->file, w->offset + r0 * w->row_bytes, n * w->row_bytes, raw, e);
		for (uint32_t r = 0; rc == 0 && r < n; r++) {
			double sum = 0;
			dtype_info(w->dtype)->decode(raw + r * w->row_bytes, row, w->cols);
			for (uint32_t j = 0; j < w->cols; j++)
				sum += (double)row[j] * (double)row[j];
			f[r0 + r] = (float)(1 / fmax(sqrt(sum), 1e-12));
		}
	}
	if (rc == 0)
		rc = to_device(en, dst, f, w->rows, e);
	en->head_scale = dst;
	free(row);
	free(f);
	free(raw);
	return rc;
}

static uint64_t floats(uint64_t n)
{
	return mem_align_up(n * sizeof(float), 64);
}

uint64_t small_bytes(const struct model *m)
{
	uint64_t sum = (m->alibi > 0 ? floats(m->heads) : 0) + (m->norm_head_rows ? floats(m->vocab) : 0);
	for (size_t i = 0; i < m->n_weights; i++)
		if (is_small(&m->weights[i]))
			sum += floats(m->weights[i].cols);
	return sum;
}

int small_load(struct engine *en, struct err *e)
{
	const struct model *m = en->c.model;
	struct backend *b = en->c.backend;
	en->small = mem_array(m->n_weights, sizeof(*en->small));
	en->small_bytes = small_bytes(m);
	if (!en->small || !(en->small_block = b->ops->alloc(b, en->small_bytes ? en->small_bytes : 64)))
		return err_nomem(e);
	for (uint32_t i = 0; i < m->n_ropes; i++) {
		en->rope[i] = m->rope[i];
		if (!(en->inv_freq[i] = mem_array(m->rope[i].rot / 2 + 1, sizeof(float))))
			return err_nomem(e);
	}
	char *at = (char *)en->small_block;
	if (m->alibi > 0) {
		if (load_slopes(en, (float *)(void *)at, e) < 0)
			return -1;
		at += floats(m->heads);
	}
	if (m->norm_head_rows) {
		if (load_head_scale(en, (float *)(void *)at, e) < 0)
			return -1;
		at += floats(m->vocab);
	}
	for (size_t i = 0; i < m->n_weights; i++) {
		const struct weight *w = &m->weights[i];
		if (!is_small(w))
			continue;
		en->small[i] = (float *)(void *)at;
		if (load_vector(en, w, en->small[i], e) < 0)
			return -1;
		at += floats(w->cols);
	}
	return 0;
}
