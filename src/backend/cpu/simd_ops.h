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

#include "backend/cpu/simd_attn.h"

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
	size_t j = 0;
	for (; j + 16 <= n; j += 16)
		v16_store(y + j, v16_mul(v16_load(y + j), v16_set1(scale)));
	for (; j < n; j++)
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
	.attend = simd_attend,
	.act_mul = simd_act_mul,
	.add = simd_add,
	.scale = simd_scale,
	.softcap = simd_softcap,
};
