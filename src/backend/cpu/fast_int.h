/* --math fast with activations of 8 bits, a scale for each 32 of them, multiplied with the integers of low-bit
 * weights as they lie. A group of 32 weights is w = d * q + m, so a dot product is the sum over groups of
 * d * dx * (q . xq) + m * dx * (sum of xq); formats with HALVES have a d and an m for each 16.
 *
 * Few rows of x: weights are unpacked in registers. Many rows: LANES weight rows are unpacked into a tile,
 * four bytes of each beside each other, so that a vector's lanes are weight rows. The two add in different
 * orders: here the bits depend on the number of rows.
 *
 * Behind fast_codes.h and the includer's primitives: dot32, for 32 elements; SIGNED_MIN, what it wants m to be
 * for d = 1 where codes are signed; and on vectors of LANES floats or words, vf and vi, those of tile_rows. */
#define FEW_ROWS 4
#define TOGETHER 2 /* weight rows of few: two chains of additions */
#define VECTOR_BYTES ((size_t)LANES * 4)
#define GROUP_BYTES(flags) ((8 + 2 * HALVES_OF(flags)) * VECTOR_BYTES) /* of a tile: codes, d, m */

/* --- activations ------------------------------------------------------------------- */

/* A rounded row: x = d * q; s = d * (the sum of the q), h the same of half groups. */
struct rounded {
	const int8_t *q;
	const float *d, *s, *h; /* with zeros up to whole eights of groups */
};

static size_t int_row_bytes(uint32_t k)
{
	return ((size_t)k + 255) / 256 * (256 + 32 * sizeof(float));
}

INLINE struct rounded rounded_row(const uint8_t *x, uint32_t k, uint32_t i)
{
	const size_t eights = ((size_t)k + 255) / 256;
	const uint8_t *row = x + i * int_row_bytes(k);
	const float *d = (const float *)(const void *)(row + eights * 256);
	return (struct rounded){(const int8_t *)row, d, d + eights * 8, d + eights * 16};
}

INLINE float max8(__m256 t)
{
	__m128 u = _mm_max_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1));
	u = _mm_max_ps(u, _mm_movehl_ps(u, u));
	return _mm_cvtss_f32(_mm_max_ss(u, _mm_movehdup_ps(u)));
}

INLINE float sum8(__m256 t)
{
	__m128 u = _mm_add_ps(_mm256_castps256_ps128(t), _mm256_extractf128_ps(t, 1));
	u = _mm_add_ps(u, _mm_movehl_ps(u, u));
	return _mm_cvtss_f32(_mm_add_ss(u, _mm_movehdup_ps(u)));
}

static void int_round(const struct matmul *m, uint8_t *to, uint32_t i)
{
	const size_t eights = ((size_t)m->k + 255) / 256;
	const float *x = m->x + i * m->ldx;
	float *d = (float *)(void *)(to + eights * 256), *s = d + eights * 8, *h = s + eights * 8;
	memset(d, 0, eights * 32 * sizeof(float));
	for (size_t g = 0; g < m->k / 32; g++, x += 32, to += 32) {
		__m256 v[4], top = _mm256_setzero_ps(), odd = top;
		__m256i q[4];
		for (int j = 0; j < 4; j++) {
			v[j] = _mm256_loadu_ps(x + 8 * j);
			top = _mm256_max_ps(top, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v[j]));
			odd = _mm256_or_ps(odd, _mm256_cmp_ps(v[j], v[j], _CMP_UNORD_Q));
		}
		float max = max8(top), inv = max > 0 ? 127 / max : 0;
		for (int j = 0; j < 4; j++)
			q[j] = _mm256_cvtps_epi32(_mm256_mul_ps(v[j], _mm256_set1_ps(inv)));
		d[g] = _mm256_movemask_ps(odd) ? NAN : max / 127;
		h[2 * g] = d[g] * sum8(_mm256_cvtepi32_ps(_mm256_add_epi32(q[0], q[1])));
		h[2 * g + 1] = d[g] * sum8(_mm256_cvtepi32_ps(_mm256_add_epi32(q[2], q[3])));
		s[g] = h[2 * g] + h[2 * g + 1];
		__m256i p = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
		p = _mm256_permutevar8x32_epi32(p, _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0));
		_mm256_storeu_si256((__m256i *)(void *)to, p);
	}
}

/* --- few rows ------------------------------------------------------------------------- */

struct call {
	const struct matmul *m;
	const uint8_t *x;
	size_t row_bytes;
	int shift;	/* of scales, see struct row */
	float *scales;	/* scratch: [8] rows of runs */
	uint32_t runs;
	uint8_t *tile;	/* [k / 32] groups */
};

static void row_init(const struct call *c, struct row *w, uint32_t r, uint32_t slot)
{
	const struct scales *s = &c->m->scales;
	*w = (struct row){.p = (const uint8_t *)c->m->w + r * c->row_bytes, .shift = (uint32_t)c->shift};
	if (!s->how)
		return;
	uint64_t row = c->m->row0 + r, first = scale_index(s->how, row, 0, c->m->k);
	float *to = c->scales + (size_t)slot * c->runs;
	if (s->how->flat)
		w->phase = (uint32_t)(row * c->m->k % s->how->flat / 32);
	w->s = (const uint8_t *)to;
	if (s->how->kind == SCALE_F32 && !s->how->inverse && s->how->factor == 1)
		w->s = (const uint8_t *)s->p + (first - s->first) * sizeof(float);
	else
		scales_get(s, first, ((c->m->k / 32 - 1 + w->phase) >> w->shift) + 1, to);
}

/* The d and m of eight groups from block * 8 on; m as dot32 wants it. */
INLINE void eight_of(const struct row *w, size_t block, uint32_t count, const enum dtype t, struct eight *e)
{
	const unsigned flags = codes_flags(t);
	codes_eight(w, block, count, t, e);
	if (flags & SIGNED)
		e->m[0] = _mm256_mul_ps(e->d[0], _mm256_set1_ps(SIGNED_MIN));
}

/* Scales d * dx of an eight of groups to `to`, and the sum of m times sums added to min. */
INLINE __m256 eight_scales(const struct eight *e, const struct rounded *x, size_t block, const unsigned flags,
	float *to, __m256 min)
{
	if (!(flags & HALVES)) {
		_mm256_storeu_ps(to, _mm256_mul_ps(e->d[0], _mm256_loadu_ps(x->d + block * 8)));
		if (HAS_MIN(flags))
			min = _mm256_fmadd_ps(e->m[0], _mm256_loadu_ps(x->s + block * 8), min);
		return min;
	}
#pragma GCC unroll 2
	for (int h = 0; h < 2; h++) {
		__m256 twice = _mm256_permutevar8x32_ps(_mm256_loadu_ps(x->d + block * 8),
			_mm256_add_epi32(_mm256_set_epi32(3, 3, 2, 2, 1, 1, 0, 0), _mm256_set1_epi32(4 * h)));
		_mm256_storeu_ps(to + 8 * h, _mm256_mul_ps(e->d[h], twice));
		min = _mm256_fmadd_ps(e->m[h], _mm256_loadu_ps(x->h + block * 16 + 8 * h), min);
	}
	return min;
}

/* The scale of group g of an eight, for each of the sums of four elements that dot32 gives. */
INLINE __m256 group_scale(const float *d, uint32_t g, const unsigned flags)
{
	if (!(flags & HALVES))
		return _mm256_broadcast_ss(d + g);
	__m256 pair = _mm256_castpd_ps(_mm256_broadcast_sd((const double *)(const void *)(d + 2 * g)));
	return _mm256_permutevar_ps(pair, _mm256_set_epi32(1, 1, 1, 1, 0, 0, 0, 0));
}

/* y of n rows of x and `rows` weight rows from r on. */
INLINE void few(const struct call *c, uint32_t r, uint32_t rows, const uint32_t n, const enum dtype t)
{
	const struct matmul *m = c->m;
	const unsigned flags = codes_flags(t);
	const uint32_t chains = n == 1 ? 2 : 1; /* of additions, for each sum */
	const size_t eight_bytes = c->row_bytes * 8 * TOGETHER / (m->k / 32);
	struct row w[TOGETHER];
	struct rounded x[FEW_ROWS];
	__m256 acc[TOGETHER][FEW_ROWS][2], min[TOGETHER][FEW_ROWS];
#pragma GCC unroll 4
	for (uint32_t i = 0; i < n; i++)
		x[i] = rounded_row(c->x, m->k, i);
#pragma GCC unroll 2
	for (uint32_t j = 0; j < TOGETHER; j++) { /* the last row again: not stored */
		row_init(c, &w[j], j < rows ? r + j : r, j);
#pragma GCC unroll 4
		for (uint32_t i = 0; i < n; i++)
			acc[j][i][0] = acc[j][i][1] = min[j][i] = _mm256_setzero_ps();
	}
	for (size_t block = 0; block * 256 < m->k; block++) {
		const uint32_t left = (uint32_t)(m->k / 32 - block * 8), count = left < 8 ? left : 8;
		float d[TOGETHER][FEW_ROWS][16];
		for (size_t at = 0; at < eight_bytes; at += 64)
			_mm_prefetch((const char *)w[0].p + TOGETHER * c->row_bytes + block * eight_bytes + at,
				_MM_HINT_T0);
#pragma GCC unroll 2
		for (uint32_t j = 0; j < TOGETHER; j++) {
			struct eight e;
			eight_of(&w[j], block, count, t, &e);
#pragma GCC unroll 4
			for (uint32_t i = 0; i < n; i++)
				min[j][i] = eight_scales(&e, &x[i], block, flags, d[j][i], min[j][i]);
		}
#define GROUP_PRODUCTS(g)                                                                         \
	_Pragma("GCC unroll 2") for (uint32_t j = 0; j < TOGETHER; j++)                           \
	{                                                                                         \
		__m256i q = codes_of(&w[j], block * 8 + (g), (g), t);                             \
		_Pragma("GCC unroll 4") for (uint32_t i = 0; i < n; i++)                          \
		{                                                                                 \
			const int8_t *xq = x[i].q + (block * 8 + (g)) * 32;                       \
			__m256i s = dot32(q, load256((const uint8_t *)xq), flags & SIGNED);       \
			acc[j][i][(g) % chains] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(s),          \
				group_scale(d[j][i], (g), flags), acc[j][i][(g) % chains]);       \
		}                                                                                 \
	}
		if (count == 8)
#pragma GCC unroll 8
			for (uint32_t g = 0; g < 8; g++)
				GROUP_PRODUCTS(g)
		else
			for (uint32_t g = 0; g < count; g++)
				GROUP_PRODUCTS(g)
	}
#pragma GCC unroll 2
	for (uint32_t j = 0; j < TOGETHER; j++)
#pragma GCC unroll 4
		for (uint32_t i = 0; i < n && j < rows; i++) {
			__m256 s = _mm256_add_ps(_mm256_add_ps(acc[j][i][0], acc[j][i][1]), min[j][i]);
			m->y[i * m->ldy + r + j] = sum8(s) + (m->bias ? m->bias[r + j] : 0.0f);
		}
}

INLINE void few_rows(const struct call *c, uint32_t r, uint32_t rows, const enum dtype t)
{
	switch (c->m->n) {
	case 1:
		few(c, r, rows, 1, t);
		return;
	case 2:
		few(c, r, rows, 2, t);
		return;
	case 3:
		few(c, r, rows, 3, t);
		return;
	default:
		few(c, r, rows, FEW_ROWS, t);
	}
}

/* --- many rows ------------------------------------------------------------------------ */

/* 8 x 8 words, transposed. */
INLINE void transpose8(__m256i q[8])
{
	__m256i a[8], b[8];
	for (int i = 0; i < 8; i += 2) {
		a[i] = _mm256_unpacklo_epi32(q[i], q[i + 1]);
		a[i + 1] = _mm256_unpackhi_epi32(q[i], q[i + 1]);
	}
	for (int i = 0; i < 8; i += 4) {
		b[i] = _mm256_unpacklo_epi64(a[i], a[i + 2]);
		b[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 2]);
		b[i + 2] = _mm256_unpacklo_epi64(a[i + 1], a[i + 3]);
		b[i + 3] = _mm256_unpackhi_epi64(a[i + 1], a[i + 3]);
	}
	for (int i = 0; i < 4; i++) {
		q[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
		q[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
	}
}

INLINE void store256(uint8_t *p, __m256i v)
{
	_mm256_storeu_si256((__m256i *)(void *)p, v);
}

/* Rows [0, 8) of w to lanes from `lane` on of eight groups of the tile; vector `at` of each is the first of d
 * or m: `halves` of them a group. */
INLINE void unpack_scales(uint8_t *tile, __m256 v[2][8], uint32_t count, uint32_t at, const unsigned flags)
{
	const uint32_t halves = HALVES_OF(flags);
#pragma GCC unroll 2
	for (uint32_t h = 0; h < halves; h++) {
		__m256i q[8];
		for (int i = 0; i < 8; i++)
			q[i] = _mm256_castps_si256(v[h][i]);
		transpose8(q);
		for (uint32_t i = 0; i < 8; i++) {
			uint32_t half = h * 8 + i;
			if (half / halves < count)
				store256(tile + half / halves * GROUP_BYTES(flags) + (at + half % halves) * VECTOR_BYTES,
					q[i]);
		}
	}
}

INLINE void unpack(const struct call *c, uint32_t r, uint32_t rows, const enum dtype t)
{
	const unsigned flags = codes_flags(t);
	for (uint32_t lane = 0; lane < LANES; lane += 8) {
		struct row w[8];
		for (uint32_t i = 0; i < 8; i++) /* the last row again: not stored */
			row_init(c, &w[i], r + (lane + i < rows ? lane + i : rows - 1), i);
		for (size_t block = 0; block * 256 < c->m->k; block++) {
			uint8_t *tile = c->tile + block * 8 * GROUP_BYTES(flags) + lane * 4;
			const uint32_t left = (uint32_t)(c->m->k / 32 - block * 8), count = left < 8 ? left : 8;
			__m256 d[2][8], min[2][8];
			for (uint32_t i = 0; i < 8; i++) {
				struct eight e;
				eight_of(&w[i], block, count, t, &e);
				for (uint32_t h = 0; h < HALVES_OF(flags); h++)
					d[h][i] = e.d[h], min[h][i] = e.m[h];
			}
			unpack_scales(tile, d, count, 8, flags);
			unpack_scales(tile, min, count, 8 + HALVES_OF(flags), flags);
			for (uint32_t g = 0; g < count; g++, tile += GROUP_BYTES(flags)) {
				__m256i q[8];
				for (uint32_t i = 0; i < 8; i++)
					q[i] = tile_code(codes_of(&w[i], block * 8 + g, g, t), flags & SIGNED);
				transpose8(q);
				for (uint32_t e = 0; e < 8; e++)
					store256(tile + e * VECTOR_BYTES, q[e]);
			}
		}
	}
}

/* y of `n` rows of x from i on and the tile's `rows` weight rows from r on. */
INLINE void tile_rows(const struct call *c, uint32_t i, uint32_t r, uint32_t rows, const uint32_t n,
	const unsigned flags)
{
	const struct matmul *m = c->m;
	const uint32_t halves = HALVES_OF(flags);
	const size_t ldx = int_row_bytes(m->k);
	struct rounded x[TILE_X];
	vf acc[TILE_X];
#pragma GCC unroll 8
	for (uint32_t j = 0; j < n; j++) {
		x[j] = rounded_row(c->x, m->k, i + j);
		acc[j] = vf_set1(0);
	}
	for (size_t g = 0; g < m->k / 32; g++) {
		const uint8_t *t = c->tile + g * GROUP_BYTES(flags);
#pragma GCC unroll 2
		for (uint32_t h = 0; h < halves; h++) {
			vi s[TILE_X];
			tile_dot(s, t + h * 4 * VECTOR_BYTES, x[0].q + g * 32 + h * 16, ldx, 8 / halves, n, flags);
			vf d = vf_load(t + (8 + h) * VECTOR_BYTES);
#pragma GCC unroll 8
			for (uint32_t j = 0; j < n; j++)
				acc[j] = vf_fma(vf_from(s[j]), vf_mul(d, vf_set1(x[j].d[g])), acc[j]);
			if (!HAS_MIN(flags))
				continue;
			vf min = vf_load(t + (8 + halves + h) * VECTOR_BYTES);
#pragma GCC unroll 8
			for (uint32_t j = 0; j < n; j++)
				acc[j] = vf_fma(min, vf_set1(halves == 1 ? x[j].s[g] : x[j].h[2 * g + h]), acc[j]);
		}
	}
#pragma GCC unroll 8
	for (uint32_t j = 0; j < n; j++) {
		float *y = m->y + (i + j) * m->ldy + r;
		vf_store_n(y, m->bias ? vf_add(acc[j], vf_load_n(m->bias + r, rows)) : acc[j], rows);
	}
}

INLINE void many_rows(const struct call *c, uint32_t r, uint32_t rows, const enum dtype t)
{
	const unsigned flags = codes_flags(t);
	uint32_t i = 0, n = c->m->n;
	unpack(c, r, rows, t);
	for (; i + TILE_X <= n; i += TILE_X)
		tile_rows(c, i, r, rows, TILE_X, flags);
	for (; i + 2 <= n; i += 2)
		tile_rows(c, i, r, rows, 2, flags);
	for (; i < n; i++)
		tile_rows(c, i, r, rows, 1, flags);
}

/* --- formats -------------------------------------------------------------------------- */

#define FORMAT(name, t)                                                                 \
	static void few_##name(const struct call *c, uint32_t r, uint32_t rows)         \
	{                                                                               \
		few_rows(c, r, rows, t);                                                \
	}                                                                               \
	static void many_##name(const struct call *c, uint32_t r, uint32_t rows)        \
	{                                                                               \
		many_rows(c, r, rows, t);                                               \
	}

FORMAT(q4_0, DTYPE_Q4_0)
FORMAT(q4_1, DTYPE_Q4_1)
FORMAT(q5_0, DTYPE_Q5_0)
FORMAT(q5_1, DTYPE_Q5_1)
FORMAT(q8_0, DTYPE_Q8_0)
FORMAT(iq4_nl, DTYPE_IQ4_NL)
FORMAT(mxfp4, DTYPE_MXFP4)
FORMAT(q2_k, DTYPE_Q2_K)
FORMAT(q3_k, DTYPE_Q3_K)
FORMAT(q4_k, DTYPE_Q4_K)
FORMAT(q5_k, DTYPE_Q5_K)
FORMAT(q6_k, DTYPE_Q6_K)
FORMAT(iq4_xs, DTYPE_IQ4_XS)
FORMAT(i8, DTYPE_I8)
FORMAT(e2m1, DTYPE_E2M1)

typedef void int_fn(const struct call *c, uint32_t r, uint32_t rows);

/* For at most FEW_ROWS rows of x, and for more. */
static const struct {
	int_fn *few, *many;
} int_formats[DTYPE_COUNT] = {
	[DTYPE_Q4_0] = {few_q4_0, many_q4_0}, [DTYPE_Q4_1] = {few_q4_1, many_q4_1},
	[DTYPE_Q5_0] = {few_q5_0, many_q5_0}, [DTYPE_Q5_1] = {few_q5_1, many_q5_1},
	[DTYPE_Q8_0] = {few_q8_0, many_q8_0}, [DTYPE_IQ4_NL] = {few_iq4_nl, many_iq4_nl},
	[DTYPE_MXFP4] = {few_mxfp4, many_mxfp4}, [DTYPE_Q2_K] = {few_q2_k, many_q2_k},
	[DTYPE_Q3_K] = {few_q3_k, many_q3_k}, [DTYPE_Q4_K] = {few_q4_k, many_q4_k},
	[DTYPE_Q5_K] = {few_q5_k, many_q5_k}, [DTYPE_Q6_K] = {few_q6_k, many_q6_k},
	[DTYPE_IQ4_XS] = {few_iq4_xs, many_iq4_xs}, [DTYPE_I8] = {few_i8, many_i8},
	[DTYPE_E2M1] = {few_e2m1, many_e2m1},
};

/* Formats in whole groups of 32, each with one scale. Where these lie elsewhere, the exact kernels are as fast
 * for few rows, unless a row has just one. */
static bool int_takes(const struct matmul *m)
{
	const struct scaling *how = m->scales.how;
	if (m->transposed || m->k % 32 || !m->k || !int_formats[m->dtype].few)
		return false;
	const unsigned flags = codes_flags(m->dtype);
	size_t bytes = m->k / 32 * GROUP_BYTES(flags) + 8 * ((size_t)m->k / 32 + 2) * sizeof(float);
	if (bytes > CPU_SCRATCH_BYTES || !(flags & SCALED) != !how)
		return false;
	int shift = how ? scaling_shift(how, m->k) : 0;
	return shift >= 0 && !(how && how->code) && (!how || shift == 31 || m->n >= FEW_ROWS);
}

static void int_matmul(const struct matmul *m, const uint8_t *x, uint32_t r0, uint32_t r1, float *scratch,
	const struct cpu_kernels *kernels)
{
	(void)kernels;
	const struct dtype_info *info = dtype_info(m->dtype);
	const uint32_t step = m->n <= FEW_ROWS ? TOGETHER : LANES;
	struct call c = {.m = m, .x = x, .row_bytes = (size_t)(m->k / info->block) * info->block_bytes,
		.scales = scratch, .runs = m->k / 32 + 2};
	c.tile = (uint8_t *)(scratch + 8 * (size_t)c.runs);
	if (m->scales.how)
		c.shift = scaling_shift(m->scales.how, m->k);
	for (uint32_t r = r0; r < r1; r += step)
		(m->n <= FEW_ROWS ? int_formats[m->dtype].few : int_formats[m->dtype].many)(&c, r,
			r1 - r < step ? r1 - r : step);
}
