/* --math fast for many rows of x: LANES weight rows are unpacked into a tile, four bytes of each beside each other,
 * so that a vector's lanes are weight rows.
 *
 * Behind fast_int.h and the includer's primitives: tile_code and tile_dot; and on vectors of LANES floats or
 * words, vf and vi, those of tile_rows. */
#define VECTOR_BYTES ((size_t)LANES * 4)
#define GROUP_BYTES(flags) ((8 + 2 * HALVES_OF(flags)) * VECTOR_BYTES) /* of a tile: codes, d, m */

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

/* [k / 32] groups */
INLINE void unpack(const struct call *c, uint8_t *to, uint32_t r, uint32_t rows, const enum dtype t)
{
	const unsigned flags = codes_flags(t);
	for (uint32_t lane = 0; lane < LANES; lane += 8) {
		struct row w[8];
		for (uint32_t i = 0; i < 8; i++) /* the last row again: not stored */
			row_init(c, &w[i], r + (lane + i < rows ? lane + i : rows - 1), i);
		for (size_t block = 0; block * 256 < c->m->k; block++) {
			uint8_t *tile = to + block * 8 * GROUP_BYTES(flags) + lane * 4;
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
INLINE void tile_rows(const struct call *c, const uint8_t *tile, uint32_t i, uint32_t r, uint32_t rows,
	const uint32_t n, const unsigned flags)
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
		const uint8_t *t = tile + g * GROUP_BYTES(flags);
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
	uint8_t *tile = (uint8_t *)(c->scales + ROWS_READY * (size_t)c->runs);
	unpack(c, tile, r, rows, t);
	for (; i + TILE_X <= n; i += TILE_X)
		tile_rows(c, tile, i, r, rows, TILE_X, flags);
	for (; i + 2 <= n; i += 2)
		tile_rows(c, tile, i, r, rows, 2, flags);
	for (; i < n; i++)
		tile_rows(c, tile, i, r, rows, 1, flags);
}

#define MANY(name, t)                                                                   \
	static void many_##name(const struct call *c, uint32_t r, uint32_t rows)        \
	{                                                                               \
		many_rows(c, r, rows, t);                                               \
	}
#define MANY_ENTRY(name, t) [t] = many_##name,

INT_FORMATS(MANY)

static int_fn *const many_formats[DTYPE_COUNT] = {INT_FORMATS(MANY_ENTRY)};

static bool many_takes(const struct matmul *m)
{
	return int_format(m) && m->k / 32 * GROUP_BYTES(codes_flags(m->dtype)) + call_bytes(m) <= CPU_SCRATCH_BYTES;
}

static void many_matmul(const struct matmul *m, const uint8_t *x, uint32_t r0, uint32_t r1, float *scratch,
	const struct cpu_kernels *kernels)
{
	(void)kernels;
	const struct call c = call_of(m, x, scratch);
	for (uint32_t r = r0; r < r1; r += LANES)
		many_formats[m->dtype](&c, r, r1 - r < LANES ? r1 - r : LANES);
}
