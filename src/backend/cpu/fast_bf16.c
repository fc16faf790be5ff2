/* --math fast with AVX512_BF16: activations are rounded to bf16 and multiplied with bf16 weights as they lie,
 * in pairs. Many rows of x: those of other formats, F32 and F16 aside, are decoded and rounded to bf16 in
 * a tile first. Bits depend on the number of rows. */
#include "backend/cpu/fast.h"

#if defined(__x86_64__) && defined(__GNUC__)

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,f16c")
#endif
#include <string.h>

#include "backend/cpu/fast_bf16.h"

#define TILE_X 6
#define TILE_W 4
#define PANEL_W 32
#define PANEL_X 96     /* rows of x that share sums in scratch memory */
#define PANEL_K 2048   /* elements a round: fewer would move sums more than they'd spare weights */
#define TILE_K 4096    /* elements of a row that a tile holds */
#define TILE_BYTES ((size_t)TILE_K * 2 + 64)
#define ALONE(t) ((t) == DTYPE_BF16 ? 2 : 3) /* up to so many rows of x the exact kernels do as well */

_Static_assert(PANEL_X % TILE_X == 0 && PANEL_W % 16 == 0 && TILE_K % PANEL_K == 0, "whole register blocks");
_Static_assert((PANEL_X * PANEL_W * 16 + TILE_K) * sizeof(float) + PANEL_W * TILE_BYTES + ROW_SCRATCH_BYTES <=
		       CPU_SCRATCH_BYTES, "scratch");

static size_t bf16_row_bytes(uint32_t k)
{
	return ((size_t)k + 31) / 32 * 64 + 64; /* rows of 4096 bytes would share places in the caches */
}

static bool bf16_takes(const struct matmul *m)
{
	return m->n > ALONE(m->dtype) && !m->transposed && m->dtype != DTYPE_F32 && m->dtype != DTYPE_F16;
}

/* 32 elements a vector; zeros up to a whole one. */
static void to_bf16(uint8_t *to, const float *x, size_t n)
{
	for (size_t j = 0; j < n; j += 32, to += 64)
		_mm512_storeu_si512(to, bf16_of(x + j, n - j));
}

static void bf16_round(const struct matmul *m, uint8_t *to, uint32_t i)
{
	to_bf16(to, m->x + i * m->ldx, m->k);
}

struct panel {
	const struct matmul *m;
	const uint8_t *x; /* rounded */
	size_t ldx;	  /* bytes */
	uint32_t r, rows; /* <= PANEL_W rows from r on */
	uint8_t *tile;	  /* [PANEL_W] rows of ldt bytes; NULL: the weights are multiplied as they lie */
	size_t ldt;
	float *acc;   /* [PANEL_X][PANEL_W][16] */
	float *piece; /* [TILE_K], and behind it the scratch of kernels->row */
	const struct cpu_kernels *kernels;
};

/* acc[i][r] += x[i] * w[r] for `rows` rows of x and TILE_W of w over `len` elements. */
INLINE void block(const uint8_t *x, size_t ldx, const uint8_t *const *rows_w, size_t len, float *acc,
	const uint32_t rows)
{
	__m512 s[TILE_X][TILE_W];
	const uint8_t *w[TILE_W] = {rows_w[0], rows_w[1], rows_w[2], rows_w[3]};
#pragma GCC unroll 8
	for (uint32_t i = 0; i < rows; i++)
#pragma GCC unroll 8
		for (uint32_t r = 0; r < TILE_W; r++)
			s[i][r] = _mm512_loadu_ps(acc + (i * PANEL_W + r) * 16);
	for (size_t at = 0; at < len; at += 32) {
		__m512i v[TILE_W];
		if (len - at >= 32)
#pragma GCC unroll 8
			for (uint32_t r = 0; r < TILE_W; r++)
				v[r] = _mm512_loadu_si512(w[r] + at * 2);
		else /* what lies behind a row may be no number */
#pragma GCC unroll 8
			for (uint32_t r = 0; r < TILE_W; r++)
				v[r] = _mm512_maskz_loadu_epi16((1u << (len - at)) - 1, w[r] + at * 2);
#pragma GCC unroll 8
		for (uint32_t i = 0; i < rows; i++) {
			__m512i xi = _mm512_loadu_si512(x + i * ldx + at * 2);
#pragma GCC unroll 8
			for (uint32_t r = 0; r < TILE_W; r++)
				s[i][r] = _mm512_dpbf16_ps(s[i][r], (__m512bh)xi, (__m512bh)v[r]);
		}
	}
#pragma GCC unroll 8
	for (uint32_t i = 0; i < rows; i++)
#pragma GCC unroll 8
		for (uint32_t r = 0; r < TILE_W; r++)
			_mm512_storeu_ps(acc + (i * PANEL_W + r) * 16, s[i][r]);
}

static void blocks(const uint8_t *x, size_t ldx, const uint8_t *const *w, size_t len, float *acc, uint32_t n)
{
	for (; n >= TILE_X; n -= TILE_X, x += TILE_X * ldx, acc += TILE_X * PANEL_W * 16)
		block(x, ldx, w, len, acc, TILE_X);
	switch (n) {
	case 1:
		block(x, ldx, w, len, acc, 1);
		return;
	case 2:
		block(x, ldx, w, len, acc, 2);
		return;
	case 3:
		block(x, ldx, w, len, acc, 3);
		return;
	case 4:
		block(x, ldx, w, len, acc, 4);
		return;
	case 5:
		block(x, ldx, w, len, acc, 5);
		return;
	}
}

/* Elements [k0, k0 + len) of the panel's rows to the tile. */
static void panel_decode(const struct panel *p, size_t k0, size_t len)
{
	for (uint32_t r = 0; r < p->rows; r++) {
		p->kernels->row(p->m, p->r + r, k0, len, p->piece, p->piece + TILE_K);
		to_bf16(p->tile + r * p->ldt, p->piece, len);
	}
}

/* acc += x w over elements [k0, k0 + len) for n rows of x from i0 on; the tile has them at byte tile_at. */
static void panel_multiply(const struct panel *p, size_t k0, size_t tile_at, size_t len, uint32_t i0, uint32_t n)
{
	for (uint32_t r = 0; r < p->rows; r += TILE_W) {
		const uint8_t *w[TILE_W];
		for (uint32_t j = 0; j < TILE_W; j++) { /* the last row again: never looked at */
			uint32_t row = r + j < p->rows ? r + j : p->rows - 1;
			w[j] = p->tile ? p->tile + row * p->ldt + tile_at :
					 (const uint8_t *)p->m->w + ((size_t)(p->r + row) * p->m->k + k0) * 2;
		}
		blocks(p->x + i0 * p->ldx + k0 * 2, p->ldx, w, len, p->acc + r * 16, n);
	}
}

/* The sums of four vectors. */
INLINE __m128 sum4(const float *p)
{
	__m512 a = _mm512_loadu_ps(p), b = _mm512_loadu_ps(p + 16);
	__m512 c = _mm512_loadu_ps(p + 32), d = _mm512_loadu_ps(p + 48);
	a = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
	c = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
	a = _mm512_add_ps(_mm512_shuffle_ps(a, c, 0x44), _mm512_shuffle_ps(a, c, 0xEE));
	__m256 t = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
	return _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1));
}

static void panel_store(const struct panel *p, uint32_t i0, uint32_t n)
{
	const struct matmul *m = p->m;
	for (uint32_t i = 0; i < n; i++) {
		float *y = m->y + (i0 + i) * m->ldy + p->r;
		for (uint32_t r = 0; r < p->rows; r += 4) {
			__mmask8 mask = (__mmask8)(p->rows - r < 4 ? (1u << (p->rows - r)) - 1 : 15);
			__m128 s = sum4(p->acc + (i * PANEL_W + r) * 16);
			if (m->bias)
				s = _mm_add_ps(s, _mm_maskz_loadu_ps(mask, m->bias + p->r + r));
			_mm_mask_storeu_ps(y + r, mask, s);
		}
	}
}

static void panel_run(struct panel *p)
{
	const struct matmul *m = p->m;
	const bool once = p->tile && m->k <= TILE_K;
	size_t step = m->k; /* even rounds, of whole blocks of every format */
	if (m->k > PANEL_K && (m->n > TILE_X || (p->tile && !once)))
		step = (m->k / ((m->k + PANEL_K - 1) / PANEL_K) + 255) / 256 * 256;
	p->ldt = bf16_row_bytes((uint32_t)(once ? m->k : step));
	if (once)
		panel_decode(p, 0, m->k);
	for (uint32_t i0 = 0; i0 < m->n; i0 += PANEL_X) {
		uint32_t n = m->n - i0 < PANEL_X ? m->n - i0 : PANEL_X;
		memset(p->acc, 0, (size_t)n * PANEL_W * 16 * sizeof(float));
		for (size_t k0 = 0; k0 < m->k; k0 += step) {
			size_t len = m->k - k0 < step ? m->k - k0 : step;
			if (p->tile && !once)
				panel_decode(p, k0, len);
			panel_multiply(p, k0, once ? k0 * 2 : 0, len, i0, n);
		}
		panel_store(p, i0, n);
	}
}

static void bf16_matmul(const struct matmul *m, const uint8_t *x, uint32_t r0, uint32_t r1, float *scratch,
	const struct cpu_kernels *kernels)
{
	struct panel p = {.m = m, .x = x, .ldx = bf16_row_bytes(m->k), .acc = scratch, .kernels = kernels};
	if (m->dtype != DTYPE_BF16 || m->scales.how)
		p.tile = (uint8_t *)(scratch + PANEL_X * PANEL_W * 16);
	p.piece = scratch + PANEL_X * PANEL_W * 16 + PANEL_W * TILE_BYTES / sizeof(float);
	for (p.r = r0; p.r < r1; p.r += PANEL_W) {
		p.rows = r1 - p.r < PANEL_W ? r1 - p.r : PANEL_W;
		panel_run(&p);
	}
}

static const struct cpu_fast fast = {bf16_takes, bf16_row_bytes, 1, bf16_round, bf16_matmul};

#ifdef __clang__
#pragma clang attribute pop
#endif

const struct cpu_fast *cpu_fast_bf16(void)
{
	return cpu_kernels_avx512() && __builtin_cpu_supports("avx512bf16") ? &fast : NULL;
}

#else

const struct cpu_fast *cpu_fast_bf16(void)
{
	return NULL;
}

#endif
