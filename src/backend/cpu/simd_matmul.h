/* Decoding and matrix products on vectors of 16 lanes. The file that includes this defines v16 and
 * its primitives, TILE_X, TILE_W and tile_kernel for its instruction set.
 *
 * Few rows of x: weights are decoded in registers and multiplied at once. Many rows: weights are
 * decoded into a tile in the second-level cache that a register-blocked kernel multiplies. Both add
 * element k to lane k mod 16 in rising order, so both give the same bits. */
#include <string.h>

#include "quant/half.h"

#define FEW_ROWS 3
#define PANEL_W 24	   /* weight rows of a tile: a multiple of TILE_W */
#define PANEL_X 64	   /* rows of x that share a decoded tile when k is long */
#define PANEL_K 512	   /* elements of k a round: the weights of a kernel call stay in L1 */
#define PANEL_K_MAX 2560 /* up to this k a tile holds whole rows and is decoded once */

_Static_assert(PANEL_W % TILE_W == 0 && PANEL_X % TILE_X == 0, "whole register blocks");
_Static_assert((PANEL_W * PANEL_K_MAX + PANEL_X * PANEL_W * 16) * sizeof(float) <=
		       CPU_SCRATCH_BYTES, "scratch");

/* --- decoding 32 elements, group g of a row, to two vectors ------------------- */

SIMD_INLINE v16 v16_load_n(const float *p, size_t n)
{
	float t[16] = {0};
	memcpy(t, p, n * sizeof(float));
	return v16_load(t);
}

SIMD_INLINE void v16_store_n(float *p, v16 x, size_t n)
{
	float t[16];
	v16_store(t, x);
	memcpy(p, t, n * sizeof(float));
}

SIMD_INLINE v16 v16_set1_f16(const void *p)
{
	uint16_t h;
	memcpy(&h, p, sizeof(h));
	return v16_set1(_mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(h))));
}

SIMD_INLINE __m128i load128(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

SIMD_INLINE void dec_f32(const uint8_t *w, size_t g, v16 out[2])
{
	const void *p = w + g * 128;
	out[0] = v16_load(p); /* at any alignment */
	out[1] = v16_load((const float *)p + 16);
}

SIMD_INLINE void dec_f16(const uint8_t *w, size_t g, v16 out[2])
{
	out[0] = v16_load_f16(w + g * 64);
	out[1] = v16_load_f16(w + g * 64 + 32);
}

SIMD_INLINE void dec_bf16(const uint8_t *w, size_t g, v16 out[2])
{
	out[0] = v16_load_bf16(w + g * 64);
	out[1] = v16_load_bf16(w + g * 64 + 32);
}

SIMD_INLINE void dec_q4_0(const uint8_t *w, size_t g, v16 out[2])
{
	const uint8_t *b = w + g * 18;
	v16 d = v16_set1_f16(b);
	__m128i q = load128(b + 2), low = _mm_set1_epi8(15), eight = _mm_set1_epi8(8);
	__m128i hi = _mm_and_si128(_mm_srli_epi16(q, 4), low);
	out[0] = v16_mul(v16_from_i8(_mm_sub_epi8(_mm_and_si128(q, low), eight)), d);
	out[1] = v16_mul(v16_from_i8(_mm_sub_epi8(hi, eight)), d);
}

SIMD_INLINE void dec_q4_1(const uint8_t *w, size_t g, v16 out[2])
{
	const uint8_t *b = w + g * 20;
	v16 d = v16_set1_f16(b), m = v16_set1_f16(b + 2);
	__m128i q = load128(b + 4), low = _mm_set1_epi8(15);
	__m128i hi = _mm_and_si128(_mm_srli_epi16(q, 4), low);
	out[0] = v16_add(v16_mul(v16_from_i8(_mm_and_si128(q, low)), d), m);
	out[1] = v16_add(v16_mul(v16_from_i8(hi), d), m);
}

SIMD_INLINE void dec_q8_0(const uint8_t *w, size_t g, v16 out[2])
{
	const uint8_t *b = w + g * 34;
	v16 d = v16_set1_f16(b);
	out[0] = v16_mul(v16_from_i8(load128(b + 2)), d);
	out[1] = v16_mul(v16_from_i8(load128(b + 18)), d);
}

/* 256 elements: ql[128] low nibbles, qh[64] upper pairs of bits, scales[16], d. */
SIMD_INLINE void dec_q6_k(const uint8_t *w, size_t g, v16 out[2])
{
	const uint8_t *b = w + g / 8 * 210;
	size_t half = g / 4 % 2, quarter = g % 4;
	const uint8_t *ql = b + half * 64 + quarter % 2 * 32, *qh = b + 128 + half * 32;
	const uint8_t *scales = b + 192 + half * 8 + quarter * 2;
	v16 d = v16_set1_f16(b + 208);
	__m128i shift_l = _mm_cvtsi32_si128((int)(quarter / 2 * 4));
	__m128i shift_h = _mm_cvtsi32_si128((int)quarter * 2);
	for (int i = 0; i < 2; i++) {
		__m128i l = _mm_and_si128(_mm_srl_epi16(load128(ql + i * 16), shift_l),
			_mm_set1_epi8(15));
		__m128i h = _mm_and_si128(_mm_srl_epi16(load128(qh + i * 16), shift_h),
			_mm_set1_epi8(3));
		__m128i q = _mm_sub_epi8(_mm_or_si128(l, _mm_slli_epi16(h, 4)), _mm_set1_epi8(32));
		v16 s = v16_mul(d, v16_set1((float)(int8_t)scales[i]));
		out[i] = v16_mul(s, v16_from_i8(q));
	}
}

/* --- a row to floats ----------------------------------------------------------- */

#define DECODE_LOOP(dec)                                                                          \
	for (size_t g = 0; g < n / 32; g++) {                                                     \
		v16 d[2];                                                                         \
		dec(w, g, d);                                                                     \
		v16_store(y + g * 32, d[0]);                                                      \
		v16_store(y + g * 32 + 16, d[1]);                                                 \
	}                                                                                         \
	break

static void simd_decode(float *y, const void *weights, enum dtype t, size_t n)
{
	const uint8_t *w = weights;
	switch (t) {
	case DTYPE_F32:
		memcpy(y, w, n * sizeof(float));
		return;
	case DTYPE_F16:
		DECODE_LOOP(dec_f16);
	case DTYPE_BF16:
		DECODE_LOOP(dec_bf16);
	case DTYPE_Q4_0:
		DECODE_LOOP(dec_q4_0);
	case DTYPE_Q4_1:
		DECODE_LOOP(dec_q4_1);
	case DTYPE_Q8_0:
		DECODE_LOOP(dec_q8_0);
	case DTYPE_Q6_K:
		DECODE_LOOP(dec_q6_k);
	default:
		dtype_info(t)->decode(w, y, n);
		return;
	}
	size_t done = n / 32 * 32;
	if (done < n) /* only the 16-bit formats have blocks of one element */
		dtype_info(t)->decode(w + done * 2, y + done, n - done);
}

/* --- few rows: decode in registers ---------------------------------------------- */

/* The elements behind the last full group of 32, w decoded. */
SIMD_INLINE v16 tail_fma(const float *x, const float *w, size_t n, v16 acc)
{
	if (n >= 16) {
		acc = v16_fma(v16_load(x), v16_load(w), acc);
		x += 16, w += 16, n -= 16;
	}
	return n ? v16_fma(v16_load_n(x, n), v16_load_n(w, n), acc) : acc;
}

#define DOT_LOOP(dec)                                                                             \
	for (size_t g = 0; g < groups; g++) {                                                     \
		v16 d[2];                                                                         \
		dec(w, g, d);                                                                     \
		_Pragma("GCC unroll 4") for (uint32_t i = 0; i < n; i++)                          \
		{                                                                                 \
			const float *xi = x + i * m->ldx + g * 32;                                \
			acc[i] = v16_fma(v16_load(xi), d[0], acc[i]);                             \
			acc[i] = v16_fma(v16_load(xi + 16), d[1], acc[i]);                        \
		}                                                                                 \
	}                                                                                         \
	break

#define DOT_PIECE 256 /* a multiple of every block */

/* Formats without a decoding in registers. */
static void dot_decoded(const struct matmul *m, const uint8_t *w, uint32_t r, uint32_t n, v16 *acc)
{
	const struct dtype_info *t = dtype_info(m->dtype);
	float piece[DOT_PIECE];
	for (size_t k0 = 0; k0 < m->k; k0 += DOT_PIECE) {
		size_t len = m->k - k0 < DOT_PIECE ? m->k - k0 : DOT_PIECE;
		decode_scaled(m->dtype, &m->scales, w + k0 / t->block * t->block_bytes, m->row0 + r, k0,
			m->k, piece, len);
		for (uint32_t i = 0; i < n; i++) {
			const float *x = m->x + i * m->ldx + k0;
			size_t j = 0;
			for (; j + 16 <= len; j += 16)
				acc[i] = v16_fma(v16_load(x + j), v16_load(piece + j), acc[i]);
			if (j < len)
				acc[i] = v16_fma(v16_load_n(x + j, len - j),
					v16_load_n(piece + j, len - j), acc[i]);
		}
	}
}

/* n, a constant where this is inlined, rows of x times one row of weights. */
SIMD_INLINE void dot_row(const struct matmul *m, const uint8_t *w, uint32_t r, uint32_t n)
{
	const float *x = m->x;
	size_t groups = m->k / 32;
	v16 acc[FEW_ROWS];
	_Pragma("GCC unroll 4") for (uint32_t i = 0; i < n; i++) acc[i] = v16_set1(0);
	switch (m->scales.how ? DTYPE_UNKNOWN : m->dtype) {
	case DTYPE_F32:
		DOT_LOOP(dec_f32);
	case DTYPE_F16:
		DOT_LOOP(dec_f16);
	case DTYPE_BF16:
		DOT_LOOP(dec_bf16);
	case DTYPE_Q4_0:
		DOT_LOOP(dec_q4_0);
	case DTYPE_Q4_1:
		DOT_LOOP(dec_q4_1);
	case DTYPE_Q8_0:
		DOT_LOOP(dec_q8_0);
	case DTYPE_Q6_K: /* all shifts and offsets are constants when a block's 8 groups are unrolled */
		_Pragma("GCC unroll 8") DOT_LOOP(dec_q6_k);
	default:
		dot_decoded(m, w, r, n, acc);
		groups = m->k / 32 + 1;
	}
	size_t done = groups * 32, rest = done < m->k ? m->k - done : 0;
	if (rest) {
		float tail[32];
		const struct dtype_info *t = dtype_info(m->dtype);
		t->decode(w + done * t->block_bytes, tail, rest);
		for (uint32_t i = 0; i < n; i++)
			acc[i] = tail_fma(x + i * m->ldx + done, tail, rest, acc[i]);
	}
	for (uint32_t i = 0; i < n; i++)
		m->y[i * m->ldy + r] = v16_sum(acc[i]) + (m->bias ? m->bias[r] : 0.0f);
}

static void dot_rows_1(const struct matmul *m, const uint8_t *w, size_t bytes, uint32_t r0, uint32_t r1)
{
	for (uint32_t r = r0; r < r1; r++)
		dot_row(m, w + r * bytes, r, 1);
}

static void dot_rows_2(const struct matmul *m, const uint8_t *w, size_t bytes, uint32_t r0, uint32_t r1)
{
	for (uint32_t r = r0; r < r1; r++)
		dot_row(m, w + r * bytes, r, 2);
}

static void dot_rows_3(const struct matmul *m, const uint8_t *w, size_t bytes, uint32_t r0, uint32_t r1)
{
	for (uint32_t r = r0; r < r1; r++)
		dot_row(m, w + r * bytes, r, 3);
}

/* --- many rows: tiles ------------------------------------------------------------- */

struct panel {
	const struct matmul *m;
	const uint8_t *w; /* the first row of the panel */
	size_t row_bytes;
	uint32_t r, rows;  /* <= PANEL_W rows from r on */
	float *tile;	   /* [PANEL_W][PANEL_K or PANEL_K_MAX] */
	size_t ldt;
	float *acc; /* [PANEL_X][PANEL_W][16] */
};

/* Columns [k0, k0 + len) of the panel, k0 a multiple of 256, to column `at` of the tile. */
static void panel_decode(const struct panel *p, size_t k0, size_t len, size_t at)
{
	const struct dtype_info *t = dtype_info(p->m->dtype);
	const uint8_t *w = p->w + k0 / t->block * t->block_bytes;
	for (uint32_t r = 0; r < p->rows; r++, w += p->row_bytes) {
		float *row = p->tile + r * p->ldt + at;
		if (p->m->scales.how)
			decode_scaled(p->m->dtype, &p->m->scales, w, p->m->row0 + p->r + r, k0, p->m->k,
				row, len);
		else
			simd_decode(row, w, p->m->dtype, len);
	}
}

static void edge_kernel(const float *x, const float *w, size_t len, float *acc)
{
	v16 s = v16_load(acc);
	for (; len >= 16; len -= 16, x += 16, w += 16)
		s = v16_fma(v16_load(x), v16_load(w), s);
	if (len)
		s = v16_fma(v16_load_n(x, len), v16_load_n(w, len), s);
	v16_store(acc, s);
}

/* acc += x w over `len` columns for rows [i0, i1) of x; x and tile at the first of the columns. */
static void panel_multiply(const struct panel *p, const float *x, const float *tile, size_t len,
	uint32_t n)
{
	size_t ldx = p->m->ldx, steps = len / 16, lda = PANEL_W * 16;
	uint32_t whole_x = n / TILE_X * TILE_X, whole_w = p->rows / TILE_W * TILE_W;
	for (uint32_t r = 0; r < whole_w; r += TILE_W)
		for (uint32_t i = 0; i < whole_x; i += TILE_X)
			tile_kernel(x + i * ldx, ldx, tile + r * p->ldt, p->ldt, steps,
				p->acc + i * lda + r * 16, lda);
	for (uint32_t r = 0; r < p->rows; r++) {
		for (uint32_t i = 0; i < n; i++) {
			bool whole = r < whole_w && i < whole_x;
			size_t from = whole ? steps * 16 : 0;
			if (from < len)
				edge_kernel(x + i * ldx + from, tile + r * p->ldt + from,
					len - from, p->acc + i * lda + r * 16);
		}
	}
}

static void panel_store(const struct panel *p, uint32_t i0, uint32_t n)
{
	const struct matmul *m = p->m;
	for (uint32_t i = 0; i < n; i++) {
		float *y = m->y + (i0 + i) * m->ldy + p->r;
		for (uint32_t r = 0; r < p->rows; r++)
			y[r] = v16_sum(v16_load(p->acc + (i * PANEL_W + r) * 16)) +
			       (m->bias ? m->bias[p->r + r] : 0.0f);
	}
}

static void panel_run(const struct panel *p)
{
	const struct matmul *m = p->m;
	bool once = m->k <= PANEL_K_MAX;
	if (once)
		panel_decode(p, 0, m->k, 0);
	for (uint32_t i0 = 0; i0 < m->n; i0 += PANEL_X) {
		uint32_t n = m->n - i0 < PANEL_X ? m->n - i0 : PANEL_X;
		memset(p->acc, 0, (size_t)n * PANEL_W * 16 * sizeof(float));
		for (size_t k0 = 0; k0 < m->k; k0 += PANEL_K) {
			size_t len = m->k - k0 < PANEL_K ? m->k - k0 : PANEL_K;
			if (!once)
				panel_decode(p, k0, len, 0);
			panel_multiply(p, m->x + i0 * m->ldx + k0, p->tile + (once ? k0 : 0), len, n);
		}
		panel_store(p, i0, n);
	}
}

static void simd_matmul(const struct matmul *m, uint32_t r0, uint32_t r1, float *scratch)
{
	const struct dtype_info *t = dtype_info(m->dtype);
	size_t row_bytes = (size_t)(m->k / t->block) * t->block_bytes;
	switch (m->n) {
	case 1:
		dot_rows_1(m, m->w, row_bytes, r0, r1);
		return;
	case 2:
		dot_rows_2(m, m->w, row_bytes, r0, r1);
		return;
	case 3:
		dot_rows_3(m, m->w, row_bytes, r0, r1);
		return;
	}
	struct panel p = {.m = m, .row_bytes = row_bytes, .acc = scratch,
		.tile = scratch + PANEL_X * PANEL_W * 16};
	p.ldt = m->k <= PANEL_K_MAX ? (m->k + 15) / 16 * 16 : PANEL_K;
	for (p.r = r0; p.r < r1; p.r += PANEL_W) {
		p.rows = r1 - p.r < PANEL_W ? r1 - p.r : PANEL_W;
		p.w = (const uint8_t *)m->w + p.r * row_bytes;
		panel_run(&p);
	}
}

/* --- transposed weights ------------------------------------------------------------- */

/* y[c] = fma(x[r], w[r][c], y[c]), r rising, for one row of y. */
static void add_rows(float *y, const float *x, const float *w, size_t ldw, uint32_t rows, size_t len)
{
	size_t c = 0;
	for (; c + 32 <= len; c += 32) {
		v16 a = v16_load(y + c), b = v16_load(y + c + 16);
		for (uint32_t r = 0; r < rows; r++) {
			v16 xr = v16_set1(x[r]);
			a = v16_fma(xr, v16_load(w + r * ldw + c), a);
			b = v16_fma(xr, v16_load(w + r * ldw + c + 16), b);
		}
		v16_store(y + c, a), v16_store(y + c + 16, b);
	}
	for (; c < len; c += 16) {
		size_t n = len - c < 16 ? len - c : 16;
		v16 a = v16_load_n(y + c, n);
		for (uint32_t r = 0; r < rows; r++)
			a = v16_fma(v16_set1(x[r]), v16_load(w + r * ldw + c), a);
		v16_store_n(y + c, a, n);
	}
}

#define TILE_ROWS_T 64

static void simd_matmul_t(const struct matmul *m, uint32_t c0, uint32_t c1, float *tile)
{
	const struct dtype_info *t = dtype_info(m->dtype);
	size_t row_bytes = (size_t)(m->k / t->block) * t->block_bytes;
	for (uint32_t c = c0; c < c1; c += COLUMNS_STEP) {
		size_t len = c1 - c < COLUMNS_STEP ? c1 - c : COLUMNS_STEP;
		const uint8_t *w = (const uint8_t *)m->w + c / t->block * t->block_bytes;
		for (uint32_t i = 0; !m->row0 && i < m->n; i++)
			for (size_t j = 0; j < len; j++)
				m->y[i * m->ldy + c + j] = m->bias ? m->bias[c + j] : 0.0f;
		for (uint32_t r0 = 0; r0 < m->rows; r0 += TILE_ROWS_T) {
			uint32_t rows = m->rows - r0 < TILE_ROWS_T ? m->rows - r0 : TILE_ROWS_T;
			for (uint32_t r = 0; r < rows; r++, w += row_bytes)
				if (m->scales.how)
					decode_scaled(m->dtype, &m->scales, w, m->row0 + r0 + r, c, m->k,
						tile + r * COLUMNS_STEP, len);
				else
					simd_decode(tile + r * COLUMNS_STEP, w, m->dtype, len);
			for (uint32_t i = 0; i < m->n; i++)
				add_rows(m->y + i * m->ldy + c, m->x + i * m->ldx + r0, tile,
					COLUMNS_STEP, rows, len);
		}
	}
}
