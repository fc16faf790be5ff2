/* The plain C reference: what every faster variant is tested against. */
#include <math.h>
#include <string.h>

#include "backend/cpu/kernels.h"
#include "quant/half.h"

#define LANES 16
#define PIECE 256 /* elements decoded at a time: a multiple of LANES and of every block */
#define GROUP 8	  /* rows of x that share a decoded piece */

static float lane_sum(float s[LANES])
{
	for (int half = LANES / 2; half; half /= 2)
		for (int i = 0; i < half; i++)
			s[i] += s[i + half];
	return s[0];
}

/* s[j] += a[j mod 16] * b[j mod 16]; the first index must be a multiple of 16. */
static void lane_mul_add(float s[LANES], const float *a, const float *b, size_t n)
{
	size_t j = 0;
	for (; j + LANES <= n; j += LANES)
		for (size_t l = 0; l < LANES; l++)
			s[l] += a[j + l] * b[j + l];
	for (size_t l = 0; j + l < n; l++)
		s[l] += a[j + l] * b[j + l];
}

static void ref_decode(float *y, const void *w, enum dtype t, size_t elements)
{
	dtype_info(t)->decode(w, y, elements);
}

static void ref_row(const struct matmul *m, uint32_t r, size_t k0, size_t len, float *to, float *scratch)
{
	(void)scratch;
	const struct dtype_info *t = dtype_info(m->dtype);
	const uint8_t *w = (const uint8_t *)m->w + ((size_t)r * m->k + k0) / t->block * t->block_bytes;
	decode_scaled(m->dtype, &m->scales, w, m->row0 + r, k0, m->k, to, len);
}

static void ref_matmul(const struct matmul *m, uint32_t r0, uint32_t r1, float *scratch)
{
	(void)scratch;
	const struct dtype_info *t = dtype_info(m->dtype);
	size_t row_bytes = (size_t)(m->k / t->block) * t->block_bytes;
	size_t piece_bytes = PIECE / t->block * t->block_bytes;
	float piece[PIECE], acc[GROUP][LANES];
	for (uint32_t r = r0; r < r1; r++) {
		for (uint32_t i0 = 0; i0 < m->n; i0 += GROUP) {
			const uint8_t *w = (const uint8_t *)m->w + r * row_bytes;
			uint32_t rows = m->n - i0 < GROUP ? m->n - i0 : GROUP;
			memset(acc, 0, sizeof(acc));
			for (size_t k0 = 0; k0 < m->k; k0 += PIECE, w += piece_bytes) {
				size_t len = m->k - k0 < PIECE ? m->k - k0 : PIECE;
				decode_scaled(m->dtype, &m->scales, w, m->row0 + r, k0, m->k, piece, len);
				for (uint32_t i = 0; i < rows; i++)
					lane_mul_add(acc[i], m->x + (i0 + i) * m->ldx + k0, piece, len);
			}
			for (uint32_t i = 0; i < rows; i++)
				m->y[(i0 + i) * m->ldy + r] =
					lane_sum(acc[i]) + (m->bias ? m->bias[r] : 0.0f);
		}
	}
}

static void ref_matmul_t(const struct matmul *m, uint32_t c0, uint32_t c1, float *scratch)
{
	(void)scratch;
	const struct dtype_info *t = dtype_info(m->dtype);
	size_t row_bytes = (size_t)(m->k / t->block) * t->block_bytes;
	float piece[PIECE];
	for (uint32_t c = c0; c < c1; c += PIECE) {
		size_t len = c1 - c < PIECE ? c1 - c : PIECE;
		const uint8_t *w = (const uint8_t *)m->w + c / t->block * t->block_bytes;
		for (uint32_t i = 0; !m->row0 && i < m->n; i++)
			for (size_t j = 0; j < len; j++)
				m->y[i * m->ldy + c + j] = m->bias ? m->bias[c + j] : 0.0f;
		for (uint32_t r = 0; r < m->rows; r++, w += row_bytes) {
			decode_scaled(m->dtype, &m->scales, w, m->row0 + r, c, m->k, piece, len);
			for (uint32_t i = 0; i < m->n; i++)
				for (size_t j = 0; j < len; j++)
					m->y[i * m->ldy + c + j] += m->x[i * m->ldx + r] * piece[j];
		}
	}
}

static void ref_norm_head(float *y, const float *x, const struct norm *o, const float *w, const float *bias)
{
	float acc[LANES] = {0}, mean = 0;
	if (o->centred) {
		for (uint32_t j = 0; j < o->dim; j++)
			acc[j % LANES] += x[j];
		mean = lane_sum(acc) / (float)o->dim;
		memset(acc, 0, sizeof(acc));
	}
	for (uint32_t j = 0; j < o->dim; j++)
		acc[j % LANES] += (x[j] - mean) * (x[j] - mean);
	float inv = 1.0f / sqrtf(lane_sum(acc) / (float)o->dim + o->eps);
	for (uint32_t j = 0; j < o->dim; j++) {
		float v = (x[j] - mean) * inv;
		if (w)
			v *= w[j];
		y[j] = bias ? v + bias[j] : v;
	}
}

static void ref_norm(const struct norm *o, uint32_t row)
{
	for (uint32_t h = 0; h < o->heads; h++) {
		size_t at = row * o->ld + head_offset(&o->map, h, o->dim), w = (size_t)h * o->w_stride;
		ref_norm_head(o->y + at, o->x + at, o, o->w ? o->w + w : NULL, o->bias ? o->bias + w : NULL);
	}
}

static void ref_rope(const struct rope *r, uint32_t row)
{
	uint32_t half = r->rot / 2;
	const float *c = r->cos + (size_t)row * half, *s = r->sin + (size_t)row * half;
	size_t step = r->style == ROPE_HALF ? 1 : 2, other = r->style == ROPE_HALF ? half : 1;
	for (uint32_t h = 0; h < r->heads; h++) {
		float *x = r->x + row * r->ldx + head_offset(&r->map, h, r->head_dim);
		for (uint32_t i = 0; i < half; i++) {
			float a = x[i * step], b = x[i * step + other];
			x[i * step] = a * c[i] - b * s[i];
			x[i * step + other] = b * c[i] + a * s[i];
		}
	}
}

static void ref_kv_store(const struct kv_store *s, uint32_t row)
{
	size_t at = (size_t)s->cells[row] * s->heads * s->head_dim;
	for (uint32_t h = 0; h < s->heads; h++, at += s->head_dim) {
		const float *src = s->src + row * s->ld + head_offset(&s->map, h, s->head_dim);
		if (s->type == DTYPE_F32) {
			memcpy((float *)s->cache + at, src, s->head_dim * sizeof(float));
			continue;
		}
		for (uint32_t j = 0; j < s->head_dim; j++)
			((uint16_t *)s->cache)[at + j] =
				s->type == DTYPE_BF16 ? f32_to_bf16(src[j]) : f32_to_f16(src[j]);
	}
}

static float kv_value(const void *cache, enum dtype type, size_t at)
{
	if (type == DTYPE_F32)
		return ((const float *)cache)[at];
	uint16_t h = ((const uint16_t *)cache)[at];
	return type == DTYPE_BF16 ? bf16_to_f32(h) : f16_to_f32(h);
}

/* Scores of the cells [begin, end) of the list, at their places in a block; -inf elsewhere. */
static void ref_scores(const struct attention *a, float p[ATTN_BLOCK], const float *q,
	uint32_t h, uint32_t kv_head, uint32_t block, uint32_t begin, uint32_t end, uint32_t last)
{
	float slope = a->slopes ? a->slopes[h] : 0;
	for (uint32_t c = 0; c < ATTN_BLOCK; c++)
		p[c] = -INFINITY;
	for (uint32_t c = begin; c < end; c++) {
		size_t at = a->cells[c] * attn_k_stride(a) + (size_t)kv_head * a->head_dim;
		float acc[LANES] = {0};
		for (uint32_t j = 0; j < a->head_dim; j++)
			acc[j % LANES] += q[j] * kv_value(a->k, a->kv_type, at + j);
		float s = lane_sum(acc) * a->scale;
		s = a->softcap > 0 ? a->softcap * tanhf(s / a->softcap) : s;
		p[c - block] = s - slope * (float)(last - c);
	}
}

static void ref_attention_head(const struct attention *a, uint32_t row, uint32_t h, uint32_t kv_head)
{
	const struct attn_row *r = &a->rows[row];
	const float *q = a->q + row * a->ldq + head_offset(&a->q_map, h, a->head_dim);
	const uint32_t v_dim = attn_v_dim(a);
	float *out = a->out + row * a->ldo + (size_t)h * v_dim;
	float p[ATTN_BLOCK], max = a->sinks ? a->sinks[h] : -INFINITY, sum = a->sinks ? 1 : 0;
	memset(out, 0, v_dim * sizeof(float));
	uint32_t end = r->first + r->count;
	for (uint32_t begin = r->first, next; begin < end; begin = next) {
		uint32_t block = begin - (begin - r->base) % ATTN_BLOCK;
		next = end - block < ATTN_BLOCK ? end : block + ATTN_BLOCK;
		ref_scores(a, p, q, h, kv_head, block, begin, next, end - 1);
		float top = max, acc[LANES] = {0};
		for (uint32_t c = 0; c < ATTN_BLOCK; c++)
			top = p[c] > top ? p[c] : top;
		if (top == -INFINITY)
			continue;
		float keep = expf(max - top);
		for (uint32_t c = 0; c < ATTN_BLOCK; c++)
			acc[c % LANES] += p[c] = expf(p[c] - top);
		sum = sum * keep + lane_sum(acc);
		max = top;
		for (uint32_t j = 0; j < v_dim; j++)
			out[j] *= keep;
		for (uint32_t c = begin; c < next; c++) {
			size_t at = a->cells[c] * attn_v_stride(a) + (size_t)kv_head * v_dim;
			for (uint32_t j = 0; j < v_dim; j++)
				out[j] += p[c - block] * kv_value(a->v, a->kv_type, at + j);
		}
	}
	float inv = sum != 0 ? 1.0f / sum : 0.0f;
	for (uint32_t j = 0; j < v_dim; j++)
		out[j] *= inv;
}

static void ref_attention(const struct attention *a, uint32_t row, uint32_t kv_head)
{
	uint32_t group = a->heads / a->kv_heads;
	for (uint32_t g = 0; g < group; g++)
		ref_attention_head(a, row, kv_head * group + g, kv_head);
}

static float activate(enum act_kind act, float x)
{
	switch (act) {
	case ACT_SILU:
		return x / (1.0f + expf(-x));
	case ACT_GELU_TANH:
		return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
	case ACT_GELU_ERF:
		return 0.5f * x * (1.0f + erff(x * 0.70710678f));
	case ACT_GELU_QUICK:
		return x / (1.0f + expf(-1.702f * x));
	case ACT_RELU2:
		return x > 0 ? x * x : 0;
	case ACT_RELU:
		break;
	}
	return x > 0 ? x : 0;
}

static void ref_act_mul(enum act_kind act, float *y, const float *gate, const float *up, size_t n)
{
	for (size_t j = 0; j < n; j++)
		y[j] = up ? activate(act, gate[j]) * up[j] : activate(act, gate[j]);
}

static void ref_add(float *y, const float *x, float scale, size_t n)
{
	for (size_t j = 0; j < n; j++)
		y[j] += x[j] * scale;
}

static void ref_scale(float *y, float scale, size_t n)
{
	for (size_t j = 0; j < n; j++)
		y[j] *= scale;
}

static void ref_softcap(float *y, float cap, size_t n)
{
	for (size_t j = 0; j < n; j++)
		y[j] = cap * tanhf(y[j] / cap);
}

const struct cpu_kernels cpu_kernels_ref = {
	.name = "ref",
	.row_step = 1,
	.decode = ref_decode,
	.row = ref_row,
	.matmul = ref_matmul,
	.matmul_t = ref_matmul_t,
	.norm = ref_norm,
	.rope = ref_rope,
	.kv_store = ref_kv_store,
	.attention = ref_attention,
	.act_mul = ref_act_mul,
	.add = ref_add,
	.scale = ref_scale,
	.softcap = ref_softcap,
};
