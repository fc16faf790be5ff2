/* --math fast with AMX, for many rows: weights of any format but F32 and F16 are decoded and rounded to bf16 into
 * tiles, x is rounded into tiles once. A tile of sums is 16 weight rows by 16 rows of x, which is y on its side.
 *
 * Sums of a block of x stay in scratch memory over rounds of k, so that a round's weights stay in the first-level
 * cache and its x in the second. */
#include "backend/cpu/amx.h"
#include "backend/cpu/fast.h"

#if defined(HAVE_AMX) && defined(__GNUC__)

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma,f16c")
#endif
#include "backend/cpu/fast_bf16.h"

#define TILE 1024     /* bytes */
#define TILE_K 32     /* elements of k in a tile */
#define PANEL_W 32    /* weight rows in tiles at once */
#define GROUP_W 128   /* weight rows whose sums are kept */
#define PANEL_X 512   /* rows of x */
#define ROUND_K 512   /* elements of k */
#define ROUND_MOST 768 /* that one round still does */
#define ALONE 8	      /* up to so many rows of x other kernels do better */

#define SUMS_FLOATS ((size_t)GROUP_W * PANEL_X)
#define WEIGHTS_BYTES ((size_t)PANEL_W * ROUND_MOST * 2)

_Static_assert(GROUP_W % PANEL_W == 0 && PANEL_W == 32 && PANEL_X % 32 == 0, "whole pairs of tiles");
_Static_assert((SUMS_FLOATS + ROUND_MOST) * sizeof(float) + WEIGHTS_BYTES + ROW_SCRATCH_BYTES <= CPU_SCRATCH_BYTES,
	"scratch");

static bool amx_takes(const struct matmul *m)
{
	return m->n > ALONE && !m->transposed && m->dtype != DTYPE_F32 && m->dtype != DTYPE_F16;
}

static size_t amx_row_bytes(uint32_t k)
{
	return ((size_t)k + TILE_K - 1) / TILE_K * TILE_K * 2;
}

/* to[j][i] = from[i][j], of words that lie 64 bytes to a row. */
INLINE void transpose(__m512 to[16], const uint8_t *from)
{
	for (int q = 0; q < 4; q++) { /* columns 4q to 4q + 3 of rows i, i + 4, i + 8 and i + 12 */
		__m512 v[4];
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++) {
			const uint8_t *p = from + i * 64 + q * 16;
			v[i] = _mm512_castps128_ps512(_mm_loadu_ps((const float *)(const void *)p));
			v[i] = _mm512_mask_broadcast_f32x4(v[i], 0x00F0, _mm_loadu_ps((const float *)(const void *)(p + 256)));
			v[i] = _mm512_mask_broadcast_f32x4(v[i], 0x0F00, _mm_loadu_ps((const float *)(const void *)(p + 512)));
			v[i] = _mm512_mask_broadcast_f32x4(v[i], 0xF000, _mm_loadu_ps((const float *)(const void *)(p + 768)));
		}
		__m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(v[0], v[1]));
		__m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(v[0], v[1]));
		__m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(v[2], v[3]));
		__m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(v[2], v[3]));
		to[4 * q] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
		to[4 * q + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
		to[4 * q + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
		to[4 * q + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
	}
}

/* 16 rows of x: [k / 32] tiles of [16 pairs of neighbours][16 rows]. */
static void amx_round(const struct matmul *m, uint8_t *to, uint32_t i)
{
	const float *x = m->x + i * m->ldx;
	const uint32_t rows = m->n - i < 16 ? m->n - i : 16;
	_Alignas(64) uint8_t plain[TILE] = {0};
	for (size_t k0 = 0; k0 < m->k; k0 += TILE_K, to += TILE) {
		__m512 t[16];
		const size_t n = m->k - k0 < TILE_K ? m->k - k0 : TILE_K;
		for (uint32_t r = 0; r < rows; r++)
			_mm512_store_si512(plain + r * 64, bf16_of(x + r * m->ldx + k0, n));
		transpose(t, plain);
		for (int j = 0; j < 16; j++)
			_mm512_storeu_ps(to + j * 64, t[j]);
	}
}

struct panel {
	const struct matmul *m;
	const struct cpu_kernels *kernels;
	const uint8_t *x; /* in tiles, from row i0 on */
	size_t ldx;	  /* bytes of 16 rows */
	uint32_t i0, n;	  /* <= PANEL_X rows of x */
	uint32_t r, rows; /* <= PANEL_W weight rows */
	size_t k0, len;	  /* a round */
	uint8_t *weights; /* [len / 32][PANEL_W] rows of 32 elements */
	float *sums;	  /* of these weight rows: [n / 16][PANEL_W][16] */
	float *piece;	  /* [ROUND_MOST], and behind it the scratch of kernels->row */
};

/* The round's weights to tiles, zeros up to whole ones. */
static void panel_decode(const struct panel *p)
{
	const bool plain = p->m->dtype == DTYPE_BF16 && !p->m->scales.how;
	for (uint32_t r = 0; r < p->rows; r++) {
		uint8_t *to = p->weights + r * 64;
		const uint8_t *from = (const uint8_t *)p->m->w + ((size_t)(p->r + r) * p->m->k + p->k0) * 2;
		if (!plain)
			p->kernels->row(p->m, p->r + r, p->k0, p->len, p->piece, p->piece + ROUND_MOST);
		for (size_t k = 0; k < p->len; k += TILE_K, to += PANEL_W * 64) {
			size_t n = p->len - k < TILE_K ? p->len - k : TILE_K;
			__m512i v;
			if (!plain)
				v = bf16_of(p->piece + k, n);
			else if (n < TILE_K)
				v = _mm512_maskz_loadu_epi16((1u << n) - 1, from + k * 2);
			else
				v = _mm512_loadu_si512(from + k * 2);
			_mm512_store_si512(to, v);
		}
	}
}

/* sums += w x over `steps` tiles, of two tiles of weight rows and one or two of x. */
INLINE void block(float *sums, const uint8_t *w, const uint8_t *x, size_t ldx, size_t steps, bool first, const bool two)
{
	if (first) {
		AMX_ZERO(0);
		AMX_ZERO(1);
		AMX_ZERO(2);
		AMX_ZERO(3);
	} else {
		AMX_LOAD(0, sums, 64);
		AMX_LOAD(1, sums + 256, 64);
		if (two) {
			AMX_LOAD(2, sums + 512, 64);
			AMX_LOAD(3, sums + 768, 64);
		}
	}
	for (; steps; steps--, w += 2 * TILE, x += TILE) {
		AMX_LOAD(6, x, 64);
		AMX_LOAD(4, w, 64);
		AMX_BF16(0, 4, 6);
		AMX_LOAD(5, w + TILE, 64);
		AMX_BF16(1, 5, 6);
		if (two) {
			AMX_LOAD(7, x + ldx, 64);
			AMX_BF16(2, 4, 7);
			AMX_BF16(3, 5, 7);
		}
	}
	AMX_STORE(0, sums, 64);
	AMX_STORE(1, sums + 256, 64);
	if (two) {
		AMX_STORE(2, sums + 512, 64);
		AMX_STORE(3, sums + 768, 64);
	}
}

/* 16 rows of x from row i of the panel on. */
static void store(const struct panel *p, uint32_t i, const float *sums)
{
	const struct matmul *m = p->m;
	const uint32_t n = p->n - i < 16 ? p->n - i : 16;
	for (uint32_t r = 0; r < p->rows; r += 16, sums += 256) {
		const __mmask16 mask = (__mmask16)(p->rows - r < 16 ? (1u << (p->rows - r)) - 1 : 0xFFFF);
		const __m512 bias = m->bias ? _mm512_maskz_loadu_ps(mask, m->bias + p->r + r) : _mm512_setzero_ps();
		float *y = m->y + (p->i0 + i) * m->ldy + p->r + r;
		__m512 t[16];
		transpose(t, (const uint8_t *)sums);
		for (uint32_t j = 0; j < n; j++, y += m->ldy)
			_mm512_mask_storeu_ps(y, mask, _mm512_add_ps(t[j], bias));
	}
}

static void panel_multiply(const struct panel *p)
{
	const bool first = !p->k0, last = p->k0 + p->len == p->m->k;
	const size_t steps = (p->len + TILE_K - 1) / TILE_K;
	const uint8_t *x = p->x + p->k0 / TILE_K * TILE;
	float *sums = p->sums;
	for (uint32_t i = 0; i < p->n; i += 32, x += 2 * p->ldx, sums += 2 * PANEL_W * 16) {
		if (p->n - i > 16)
			block(sums, p->weights, x, p->ldx, steps, first, true);
		else
			block(sums, p->weights, x, p->ldx, steps, first, false);
		if (!last)
			continue;
		store(p, i, sums);
		if (p->n - i > 16)
			store(p, i + 16, sums + PANEL_W * 16);
	}
}

/* Weight rows [r0, r1), no more than GROUP_W. */
static void group_run(struct panel *p, uint32_t r0, uint32_t r1, float *scratch)
{
	const size_t k = p->m->k, rounds = k <= ROUND_MOST ? 1 : (k + ROUND_K - 1) / ROUND_K;
	const size_t step = rounds == 1 ? k : ROUND_K;
	for (p->k0 = 0; p->k0 < k; p->k0 += step) {
		p->len = k - p->k0 < step ? k - p->k0 : step;
		for (p->r = r0; p->r < r1; p->r += PANEL_W) {
			p->rows = r1 - p->r < PANEL_W ? r1 - p->r : PANEL_W;
			p->sums = scratch + (size_t)(p->r - r0) * PANEL_X;
			panel_decode(p);
			panel_multiply(p);
		}
	}
}

static void amx_matmul(const struct matmul *m, const uint8_t *x, uint32_t r0, uint32_t r1, float *scratch,
	const struct cpu_kernels *kernels)
{
	struct panel p = {.m = m, .kernels = kernels, .ldx = 16 * amx_row_bytes(m->k),
		.weights = (uint8_t *)(scratch + SUMS_FLOATS),
		.piece = scratch + SUMS_FLOATS + WEIGHTS_BYTES / sizeof(float)};
	AMX_BEGIN(&amx_whole);
	for (p.i0 = 0; p.i0 < m->n; p.i0 += PANEL_X) {
		p.n = m->n - p.i0 < PANEL_X ? m->n - p.i0 : PANEL_X;
		p.x = x + p.i0 / 16 * p.ldx;
		for (uint32_t r = r0; r < r1; r += GROUP_W)
			group_run(&p, r, r1 - r < GROUP_W ? r1 : r + GROUP_W, scratch);
	}
	AMX_END();
}

static const struct cpu_fast fast = {amx_takes, amx_row_bytes, 16, amx_round, amx_matmul};

#ifdef __clang__
#pragma clang attribute pop
#endif

const struct cpu_fast *cpu_fast_amx(void)
{
	return cpu_fast_bf16() && cpu_amx_ready() ? &fast : NULL;
}

#else

const struct cpu_fast *cpu_fast_amx(void)
{
	return NULL;
}

#endif
