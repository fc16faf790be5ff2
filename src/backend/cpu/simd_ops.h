/* Everything but matrix products on vectors of 16 lanes; included behind simd_tile.h. */
#include <math.h>

/* e^x within 2 units in the last place; 0 below -105, infinity above 89. Taylor series of degree 7
 * on |r| <= ln 2 / 2, x = n ln 2 + r with ln 2 in two parts (Cody and Waite). */
SIMD_INLINE v16 v16_exp(v16 x)
{
	x = v16_min(v16_set1(89.0f), v16_max(v16_set1(-105.0f), x));
	v16 n = v16_round(v16_mul(x, v16_set1(1.44269504f)));
	v16 r = v16_fma(n, v16_set1(-0.693359375f), x);
	r = v16_fma(n, v16_set1(2.12194440e-4f), r);
	v16 p = v16_set1(1.0f / 5040);
	p = v16_fma(p, r, v16_set1(1.0f / 720));
	p = v16_fma(p, r, v16_set1(1.0f / 120));
	p = v16_fma(p, r, v16_set1(1.0f / 24));
	p = v16_fma(p, r, v16_set1(1.0f / 6));
	p = v16_fma(p, r, v16_set1(0.5f));
	p = v16_fma(p, r, v16_set1(1.0f));
	p = v16_fma(p, r, v16_set1(1.0f));
	return v16_scale2(p, n);
}

/* sum of (x - mean)^2, or of x - mean */
SIMD_INLINE float norm_sum(const float *x, uint32_t d, float mean, bool squares)
{
	v16 s = v16_set1(0), m = v16_set1(mean);
	uint32_t j = 0;
	for (; j + 16 <= d; j += 16) {
		v16 t = v16_sub(v16_load(x + j), m);
		s = squares ? v16_fma(t, t, s) : v16_add(s, t);
	}
	float t[16], last[16] = {0};
	v16_store(t, s);
	for (uint32_t i = 0; j + i < d; i++)
		last[i] = squares ? (x[j + i] - mean) * (x[j + i] - mean) : x[j + i] - mean;
	return v16_sum(v16_add(v16_load(t), v16_load(last)));
}

static void simd_norm(const struct norm *o, uint32_t row)
{
	const uint32_t d = o->dim;
	for (uint32_t h = 0; h < o->heads; h++) {
		size_t at = row * o->ld + head_offset(&o->map, h, d), stride = (size_t)h * o->w_stride;
		const float *x = o->x + at, *w = o->w ? o->w + stride : NULL;
		const float *bias = o->bias ? o->bias + stride : NULL;
		float *y = o->y + at;
		float mean = o->centred ? norm_sum(x, d, 0, false) / (float)d : 0;
		float inv = 1.0f / sqrtf(norm_sum(x, d, mean, true) / (float)d + o->eps);
		for (uint32_t j = 0; j < d; j += 16) {
			uint32_t n = d - j < 16 ? d - j : 16;
			v16 v = n < 16 ? v16_load_n(x + j, n) : v16_load(x + j);
			v = v16_mul(v16_sub(v, v16_set1(mean)), v16_set1(inv));
			if (w)
				v = v16_mul(v, n < 16 ? v16_load_n(w + j, n) : v16_load(w + j));
			if (bias)
				v = v16_add(v, n < 16 ? v16_load_n(bias + j, n) : v16_load(bias + j));
			if (n < 16)
				v16_store_n(y + j, v, n);
			else
				v16_store(y + j, v);
		}
	}
}

static void simd_rope(const struct rope *r, uint32_t row)
{
	uint32_t half = r->rot / 2;
	if (r->style != ROPE_HALF) {
		cpu_kernels_ref.rope(r, row);
		return;
	}
	const float *c = r->cos + (size_t)row * half, *s = r->sin + (size_t)row * half;
	for (uint32_t h = 0; h < r->heads; h++) {
		float *x = r->x + row * r->ldx + head_offset(&r->map, h, r->head_dim), *z = x + half;
		uint32_t i = 0;
		for (; i + 16 <= half; i += 16) {
			v16 a = v16_load(x + i), b = v16_load(z + i);
			v16 cs = v16_load(c + i), sn = v16_load(s + i);
			v16_store(x + i, v16_sub(v16_mul(a, cs), v16_mul(b, sn)));
			v16_store(z + i, v16_add(v16_mul(b, cs), v16_mul(a, sn)));
		}
		for (; i < half; i++) {
			float a = x[i], b = z[i];
			x[i] = a * c[i] - b * s[i];
			z[i] = b * c[i] + a * s[i];
		}
	}
}

static void simd_kv_store(const struct kv_store *s, uint32_t row)
{
	if (s->type != DTYPE_F16) {
		cpu_kernels_ref.kv_store(s, row);
		return;
	}
	uint16_t *to = (uint16_t *)s->cache + (size_t)s->cells[row] * s->heads * s->head_dim;
	for (uint32_t h = 0; h < s->heads; h++, to += s->head_dim) {
		const float *src = s->src + row * s->ld + head_offset(&s->map, h, s->head_dim);
		uint32_t j = 0;
		for (; j + 16 <= s->head_dim; j += 16)
			v16_store_f16(to + j, v16_load(src + j));
		if (j < s->head_dim) {
			uint16_t t[16];
			v16_store_f16(t, v16_load_n(src + j, s->head_dim - j));
			memcpy(to + j, t, (s->head_dim - j) * sizeof(*t));
		}
	}
}

/* --- attention: the query heads of one kv head, HEADS_ATONCE together ------------ */

#define HEADS_ATONCE 4

struct heads {
	const struct attention *a;
	uint32_t kv_head, count; /* query heads from `first` on, 1 .. HEADS_ATONCE */
	uint32_t first, v_dim;
	size_t k_stride, v_stride;
	const float *q[HEADS_ATONCE];
	float *out[HEADS_ATONCE];
	float p[HEADS_ATONCE][ATTN_BLOCK]; /* scores, then weights, of the block's cells */
	float max[HEADS_ATONCE], sum[HEADS_ATONCE], keep[HEADS_ATONCE];
};

/* 16 (or n) values of a cell from element j on. */
SIMD_INLINE v16 kv_load(const void *cache, enum dtype type, size_t at, size_t n)
{
	if (type == DTYPE_F32) {
		const float *p = (const float *)cache + at;
		return n < 16 ? v16_load_n(p, n) : v16_load(p);
	}
	const uint16_t *p = (const uint16_t *)cache + at;
	uint16_t t[16] = {0};
	if (n < 16) {
		memcpy(t, p, n * sizeof(*t));
		p = t;
	}
	return type == DTYPE_BF16 ? v16_load_bf16(p) : v16_load_f16(p);
}

SIMD_INLINE size_t key_at(const struct heads *h, uint32_t c)
{
	return h->a->cells[c] * h->k_stride + (size_t)h->kv_head * h->a->head_dim;
}

SIMD_INLINE size_t value_at(const struct heads *h, uint32_t c)
{
	return h->a->cells[c] * h->v_stride + (size_t)h->kv_head * h->v_dim;
}

SIMD_INLINE void scores(struct heads *h, uint32_t block, uint32_t begin, uint32_t end,
	enum dtype type, uint32_t count)
{
	const struct attention *a = h->a;
	uint32_t d = a->head_dim;
	for (uint32_t c = begin; c < end; c++) {
		size_t at = key_at(h, c);
		v16 acc[HEADS_ATONCE];
		_Pragma("GCC unroll 4") for (uint32_t g = 0; g < count; g++) acc[g] = v16_set1(0);
		uint32_t j = 0;
		for (; j + 16 <= d; j += 16) {
			v16 k = kv_load(a->k, type, at + j, 16);
			_Pragma("GCC unroll 4") for (uint32_t g = 0; g < count; g++)
				acc[g] = v16_fma(v16_load(h->q[g] + j), k, acc[g]);
		}
		if (j < d) {
			v16 k = kv_load(a->k, type, at + j, d - j);
			for (uint32_t g = 0; g < count; g++)
				acc[g] = v16_fma(v16_load_n(h->q[g] + j, d - j), k, acc[g]);
		}
		_Pragma("GCC unroll 4") for (uint32_t g = 0; g < count; g++)
			h->p[g][c - block] = v16_sum(acc[g]) * a->scale;
	}
}

/* ALiBi: scores fall with the distance to the row's last cell; `last` is its place, counted from the block's
 * first. */
static void block_slope(struct heads *h, uint32_t g, uint32_t first, uint32_t count, uint32_t last)
{
	const float slope = h->a->slopes[h->first + g];
	for (uint32_t c = first; c < first + count; c++)
		h->p[g][c] -= slope * (float)(last - c);
}

/* Scores to weights e^(s - max), with the running maximum and sum of head g. */
static void block_softmax(struct heads *h, uint32_t g, uint32_t first, uint32_t count, uint32_t last)
{
	float *p = h->p[g], softcap = h->a->softcap, top = h->max[g];
	for (uint32_t c = 0; softcap > 0 && c < ATTN_BLOCK; c += 16) {
		/* tanh u = 1 - 2 / (e^2u + 1) */
		v16 e = v16_exp(v16_mul(v16_load(p + c), v16_set1(2.0f / softcap)));
		v16 t = v16_div(v16_set1(2.0f), v16_add(e, v16_set1(1.0f)));
		v16_store(p + c, v16_mul(v16_set1(softcap), v16_sub(v16_set1(1.0f), t)));
	}
	if (h->a->slopes)
		block_slope(h, g, first, count, last);
	for (uint32_t c = first; c < first + count; c++)
		top = p[c] > top ? p[c] : top;
	for (uint32_t c = 0; c < first; c++)
		p[c] = -INFINITY;
	for (uint32_t c = first + count; c < ATTN_BLOCK; c++)
		p[c] = -INFINITY;
	float from = top == -INFINITY ? 0.0f : top; /* all -inf: every weight is 0 */
	v16 s = v16_set1(0);
	for (uint32_t c = 0; c < ATTN_BLOCK; c += 16) {
		v16 e = v16_exp(v16_sub(v16_load(p + c), v16_set1(from)));
		v16_store(p + c, e);
		s = v16_add(s, e);
	}
	float t[16];
	v16_store(t, v16_exp(v16_set1(h->max[g] - from)));
	h->keep[g] = t[0];
	h->sum[g] = h->sum[g] * t[0] + v16_sum(s);
	h->max[g] = top;
}

/* out = out * keep + sum over cells of weight * value */
SIMD_INLINE void values(struct heads *h, uint32_t block, uint32_t begin, uint32_t end,
	enum dtype type, uint32_t count)
{
	for (uint32_t j = 0; j < h->v_dim; j += 16) {
		size_t n = h->v_dim - j < 16 ? h->v_dim - j : 16;
		v16 acc[HEADS_ATONCE];
		_Pragma("GCC unroll 4") for (uint32_t g = 0; g < count; g++)
			acc[g] = v16_mul(n < 16 ? v16_load_n(h->out[g] + j, n) : v16_load(h->out[g] + j),
				v16_set1(h->keep[g]));
		for (uint32_t c = begin; c < end; c++) {
			v16 v = kv_load(h->a->v, type, value_at(h, c) + j, n);
			_Pragma("GCC unroll 4") for (uint32_t g = 0; g < count; g++)
				acc[g] = v16_fma(v16_set1(h->p[g][c - block]), v, acc[g]);
		}
		_Pragma("GCC unroll 4") for (uint32_t g = 0; g < count; g++)
			v16_store_n(h->out[g] + j, acc[g], n);
	}
}

SIMD_INLINE void attend(struct heads *h, const struct attn_row *r, enum dtype type, uint32_t count)
{
	uint32_t end = r->first + r->count;
	for (uint32_t begin = r->first, next; begin < end; begin = next) {
		uint32_t block = begin - (begin - r->base) % ATTN_BLOCK;
		next = end - block < ATTN_BLOCK ? end : block + ATTN_BLOCK;
		scores(h, block, begin, next, type, count);
		for (uint32_t g = 0; g < count; g++)
			block_softmax(h, g, begin - block, next - begin, end - 1 - block);
		values(h, block, begin, next, type, count);
	}
}

/* So that the number of heads and the type are constants inside. */
SIMD_INLINE void attend_type(struct heads *h, const struct attn_row *r, enum dtype type)
{
	switch (h->count) {
	case 1:
		attend(h, r, type, 1);
		return;
	case 2:
		attend(h, r, type, 2);
		return;
	case 3:
		attend(h, r, type, 3);
		return;
	default:
		attend(h, r, type, HEADS_ATONCE);
	}
}

static void simd_attention(const struct attention *a, uint32_t row, uint32_t kv_head, float *scratch)
{
	(void)scratch;
	uint32_t group = a->heads / a->kv_heads;
	struct heads h = {.a = a, .kv_head = kv_head, .v_dim = attn_v_dim(a), .k_stride = attn_k_stride(a),
		.v_stride = attn_v_stride(a)};
	for (uint32_t g0 = 0; g0 < group; g0 += HEADS_ATONCE) {
		h.count = group - g0 < HEADS_ATONCE ? group - g0 : HEADS_ATONCE;
		h.first = kv_head * group + g0;
		memset(h.p, 0, sizeof(h.p));
		for (uint32_t g = 0; g < h.count; g++) {
			uint32_t head = h.first + g;
			h.q[g] = a->q + row * a->ldq + head_offset(&a->q_map, head, a->head_dim);
			h.out[g] = a->out + row * a->ldo + (size_t)head * h.v_dim;
			h.max[g] = a->sinks ? a->sinks[head] : -INFINITY;
			h.sum[g] = a->sinks ? 1 : 0;
			memset(h.out[g], 0, h.v_dim * sizeof(float));
		}
		if (a->kv_type == DTYPE_F16)
			attend_type(&h, &a->rows[row], DTYPE_F16);
		else if (a->kv_type == DTYPE_BF16)
			attend_type(&h, &a->rows[row], DTYPE_BF16);
		else
			attend_type(&h, &a->rows[row], DTYPE_F32);
		for (uint32_t g = 0; g < h.count; g++) {
			float inv = h.sum[g] != 0 ? 1.0f / h.sum[g] : 0.0f;
			for (uint32_t j = 0; j < h.v_dim; j++)
				h.out[g][j] *= inv;
		}
	}
}

/* --- elementwise ------------------------------------------------------------------ */

/* x / (1 + e^-x); GELU's tanh form is x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3). */
SIMD_INLINE v16 v16_activate(enum act_kind act, v16 x)
{
	if (act == ACT_RELU || act == ACT_RELU2) {
		x = v16_max(x, v16_set1(0));
		return act == ACT_RELU ? x : v16_mul(x, x);
	}
	v16 u = v16_sub(v16_set1(0), x);
	if (act == ACT_GELU_TANH) {
		v16 cubic = v16_fma(v16_mul(x, x), v16_set1(0.044715f), v16_set1(1.0f));
		u = v16_mul(v16_mul(u, cubic), v16_set1(1.59576912f));
	}
	if (act == ACT_GELU_QUICK)
		u = v16_mul(u, v16_set1(1.702f));
	return v16_div(x, v16_add(v16_set1(1.0f), v16_exp(u)));
}

static void simd_act_mul(enum act_kind act, float *y, const float *gate, const float *up, size_t n)
{
	if (act == ACT_GELU_ERF) {
		cpu_kernels_ref.act_mul(act, y, gate, up, n);
		return;
	}
	for (size_t j = 0; j < n; j += 16) {
		size_t len = n - j < 16 ? n - j : 16;
		v16 g = len < 16 ? v16_load_n(gate + j, len) : v16_load(gate + j);
		v16 a = v16_activate(act, g);
		if (up)
			a = v16_mul(a, len < 16 ? v16_load_n(up + j, len) : v16_load(up + j));
		if (len < 16)
			v16_store_n(y + j, a, len);
		else
			v16_store(y + j, a);
	}
}

static void simd_add(float *y, const float *x, float scale, size_t n)
{
	size_t j = 0;
	v16 s = v16_set1(scale);
	for (; j + 16 <= n; j += 16)
		v16_store(y + j, v16_add(v16_load(y + j), v16_mul(v16_load(x + j), s)));
	for (; j < n; j++)
		y[j] += x[j] * scale;
}

static void simd_scale(float *y, float scale, size_t n)
{
	for (size_t j = 0; j < n; j++)
		y[j] *= scale;
}

static void simd_softcap(float *y, float cap, size_t n)
{
	for (size_t j = 0; j < n; j += 16) { /* tanh u = 1 - 2 / (e^2u + 1) */
		size_t len = n - j < 16 ? n - j : 16;
		v16 x = len < 16 ? v16_load_n(y + j, len) : v16_load(y + j);
		v16 e = v16_exp(v16_mul(x, v16_set1(2.0f / cap)));
		v16 t = v16_div(v16_set1(2.0f), v16_add(e, v16_set1(1.0f)));
		t = v16_mul(v16_set1(cap), v16_sub(v16_set1(1.0f), t));
		if (len < 16)
			v16_store_n(y + j, t, len);
		else
			v16_store(y + j, t);
	}
}

static const struct cpu_kernels SIMD_KERNELS = {
	.name = SIMD_NAME,
	.row_step = PANEL_W,
	.decode = simd_decode,
	.row = simd_row,
	.matmul = simd_matmul,
	.matmul_t = simd_matmul_t,
	.norm = simd_norm,
	.rope = simd_rope,
	.kv_store = simd_kv_store,
	.attention = simd_attention,
	.act_mul = simd_act_mul,
	.add = simd_add,
	.scale = simd_scale,
	.softcap = simd_softcap,
};
