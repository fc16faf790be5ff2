/* Few rows of x: weights are decoded in registers and multiplied at once, several weight rows side by
 * side, since one row's chain of additions is shorter on work than on waiting. Also the table of formats
 * and the decoding of rows for tiles (simd_tile.h). Included behind simd_decode.h.
 *
 * The includer says how many weight rows go together for 1, 2 and 3 rows of x: ROWS_1, ROWS_2, ROWS_3. */

#define FEW_ROWS 3
#define ROWS_MAX 4
#define FETCH_AHEAD 16384 /* bytes */
#define SCALE_RUNS 4096 /* scales of a row that fit into the scratch memory */

_Static_assert(ROWS_1 <= ROWS_MAX && ROWS_2 <= ROWS_MAX && ROWS_3 <= ROWS_MAX, "rows of a dot");

/* Where a row's scales are: group g of 32 elements has number (g + phase) >> shift. */
struct row_scale {
	const uint8_t *s; /* floats, at any alignment */
	uint32_t phase, shift;
};

struct dot {
	const uint8_t *w[ROWS_MAX];
	struct row_scale s[ROWS_MAX];
	const float *levels;
	const float *x; /* [n, ldx] */
	size_t ldx;
	size_t groups; /* of 32 elements */
	size_t ahead;  /* bytes from what is multiplied to what is fetched into the cache */
	float *out;    /* dot: sums [ROWS_MAX][FEW_ROWS][16]; decode: [groups * 32] */
};

SIMD_INLINE float row_scale_at(const struct row_scale *s, size_t g)
{
	float f;
	memcpy(&f, s->s + ((g + s->phase) >> s->shift) * sizeof(f), sizeof(f));
	return f;
}

#define UNROLL_(n) _Pragma(#n)
#define UNROLL(n) UNROLL_(GCC unroll n)

/* Block `blk` of weight row r is made ready in st[r]. */
#define BLOCK_READY(name, of, bytes, scaled)                                                      \
	do {                                                                                      \
		st[r].p = c->w[r] + blk * (bytes);                                                \
		st[r].levels = c->levels;                                                         \
		st[r].scale = (scaled) ? row_scale_at(&c->s[r], blk) : 1.0f;                      \
		init_##name(&st[r]);                                                              \
	} while (0)

/* Wide formats are bound by memory, which is read fastest as one stream: one row at a time. */
#define ROWS_OF_1(of, bytes) ((bytes) / (of) >= 64 ? 1 : ROWS_1)

/* Functions of a format: `of` groups a block of `bytes` bytes. */
#define FORMAT(name, dec, of, bytes, scaled)                                                      \
	SIMD_INLINE void dot_##dec(const struct dot *c, const uint32_t n, const uint32_t rows)    \
	{                                                                                         \
		v16 acc[ROWS_MAX][FEW_ROWS];                                                      \
		UNROLL(4) for (uint32_t r = 0; r < rows; r++)                                     \
			UNROLL(4) for (uint32_t i = 0; i < n; i++) acc[r][i] = v16_set1(0);       \
		for (size_t blk = 0; blk < c->groups / (of); blk++) {                             \
			struct block st[ROWS_MAX];                                                \
			UNROLL(4) for (uint32_t r = 0; r < rows; r++)                             \
				BLOCK_READY(name, of, bytes, scaled);                             \
			for (size_t at = 0; at < rows * (bytes); at += 64)                        \
				_mm_prefetch((const char *)c->w[0] + c->ahead + blk * rows * (bytes) + at, \
					_MM_HINT_T1);                                             \
			UNROLL(8) for (size_t g = 0; g < (of); g++) {                             \
				const float *x = c->x + (blk * (of) + g) * 32;                    \
				UNROLL(4) for (uint32_t r = 0; r < rows; r++) {                   \
					v16 d[2];                                                 \
					dec_##dec(&st[r], g, d);                                  \
					UNROLL(4) for (uint32_t i = 0; i < n; i++) {              \
						const float *xi = x + i * c->ldx;                 \
						acc[r][i] = v16_fma(v16_load(xi), d[0], acc[r][i]); \
						acc[r][i] = v16_fma(v16_load(xi + 16), d[1], acc[r][i]); \
					}                                                         \
				}                                                                 \
			}                                                                         \
		}                                                                                 \
		UNROLL(4) for (uint32_t r = 0; r < rows; r++)                                     \
			UNROLL(4) for (uint32_t i = 0; i < n; i++)                                \
				v16_store(c->out + (r * FEW_ROWS + i) * 16, acc[r][i]);           \
	}                                                                                         \
	static void dot1_##dec(const struct dot *c)                                               \
	{                                                                                         \
		dot_##dec(c, 1, ROWS_OF_1(of, bytes));                                                          \
	}                                                                                         \
	static void dot2_##dec(const struct dot *c)                                               \
	{                                                                                         \
		dot_##dec(c, 2, ROWS_2);                                                          \
	}                                                                                         \
	static void dot3_##dec(const struct dot *c)                                               \
	{                                                                                         \
		dot_##dec(c, 3, ROWS_3);                                                          \
	}                                                                                         \
	static void row_##dec(const struct dot *c)                                                \
	{                                                                                         \
		for (size_t blk = 0; blk < c->groups / (of); blk++) {                             \
			struct block st[1];                                                       \
			const size_t r = 0;                                                       \
			BLOCK_READY(name, of, bytes, scaled);                                     \
			UNROLL(8) for (size_t g = 0; g < (of); g++) {                             \
				v16 d[2];                                                         \
				dec_##dec(&st[0], g, d);                                          \
				v16_store(c->out + (blk * (of) + g) * 32, d[0]);                  \
				v16_store(c->out + (blk * (of) + g) * 32 + 16, d[1]);             \
			}                                                                         \
		}                                                                                 \
	}

#define FORMAT_ROW(dec) {{dot1_##dec, dot2_##dec, dot3_##dec}, row_##dec}

FORMAT(none, f32, 1, 128, false)
FORMAT(none, f16, 1, 64, false)
FORMAT(none, bf16, 1, 64, false)
FORMAT(none, e4m3, 1, 32, false)
FORMAT(none, e5m2, 1, 32, false)
FORMAT(none, q4_0, 1, 18, false)
FORMAT(none, q4_1, 1, 20, false)
FORMAT(none, q5_0, 1, 22, false)
FORMAT(none, q5_1, 1, 24, false)
FORMAT(none, q8_0, 1, 34, false)
FORMAT(none, iq4_nl, 1, 18, false)
FORMAT(none, mxfp4, 1, 17, false)
FORMAT(q2_k, q2_k, 8, 84, false)
FORMAT(q3_k, q3_k, 8, 110, false)
FORMAT(q4_k, q4_k, 8, 144, false)
FORMAT(q4_k, q5_k, 8, 176, false)
FORMAT(q6_k, q6_k, 8, 210, false)
FORMAT(none, iq4_xs, 8, 136, false)
FORMAT(none, e4m3_scaled, 1, 32, true)
FORMAT(none, e5m2_scaled, 1, 32, true)
FORMAT(none, i8, 1, 32, true)
FORMAT(none, i8_map, 1, 32, true)
FORMAT(none, high_first, 1, 16, true)
FORMAT(none, low_first, 1, 16, true)

struct format {
	void (*dot[FEW_ROWS])(const struct dot *c); /* for 1, 2, 3 rows of x; NULL: there are none */
	void (*row)(const struct dot *c);	    /* decode w[0] */
};

static const struct format formats_alone[DTYPE_COUNT] = {
	[DTYPE_F32] = FORMAT_ROW(f32), [DTYPE_F16] = FORMAT_ROW(f16), [DTYPE_BF16] = FORMAT_ROW(bf16),
	[DTYPE_F8_E4M3] = FORMAT_ROW(e4m3), [DTYPE_F8_E5M2] = FORMAT_ROW(e5m2),
	[DTYPE_Q4_0] = FORMAT_ROW(q4_0), [DTYPE_Q4_1] = FORMAT_ROW(q4_1), [DTYPE_Q5_0] = FORMAT_ROW(q5_0),
	[DTYPE_Q5_1] = FORMAT_ROW(q5_1), [DTYPE_Q8_0] = FORMAT_ROW(q8_0),
	[DTYPE_IQ4_NL] = FORMAT_ROW(iq4_nl), [DTYPE_MXFP4] = FORMAT_ROW(mxfp4),
	[DTYPE_Q2_K] = FORMAT_ROW(q2_k), [DTYPE_Q3_K] = FORMAT_ROW(q3_k), [DTYPE_Q4_K] = FORMAT_ROW(q4_k),
	[DTYPE_Q5_K] = FORMAT_ROW(q5_k), [DTYPE_Q6_K] = FORMAT_ROW(q6_k), [DTYPE_IQ4_XS] = FORMAT_ROW(iq4_xs),
};

static const struct format formats_scaled[DTYPE_COUNT] = {
	[DTYPE_F8_E4M3] = FORMAT_ROW(e4m3_scaled), [DTYPE_F8_E5M2] = FORMAT_ROW(e5m2_scaled),
	[DTYPE_I8] = FORMAT_ROW(i8), [DTYPE_I8_MAP] = FORMAT_ROW(i8_map),
	[DTYPE_NF4] = FORMAT_ROW(high_first), [DTYPE_FP4] = FORMAT_ROW(high_first),
	[DTYPE_E2M1] = FORMAT_ROW(low_first),
};

/* --- a weight's rows, whatever their format -------------------------------------------- */

/* How a call's weight is decoded. */
struct weights {
	const struct matmul *m;
	const struct dtype_info *info;
	const struct format *format; /* NULL: by the reference decoding */
	const float *levels;
	size_t row_bytes;
	uint32_t shift; /* of scales, see struct row_scale */
	float *scales;	/* scratch: [ROWS_MAX][SCALE_RUNS] */
};

static void weights_init(struct weights *w, const struct matmul *m, float *scratch)
{
	const struct scaling *how = m->scales.how;
	*w = (struct weights){.m = m, .info = dtype_info(m->dtype), .scales = scratch};
	w->row_bytes = (size_t)(m->k / w->info->block) * w->info->block_bytes;
	int shift = how ? scaling_shift(how, m->k) : 0;
	if (shift < 0 || (how && (m->k / 32 >> shift) + 2 > SCALE_RUNS))
		return;
	w->shift = (uint32_t)shift;
	w->format = (how ? formats_scaled : formats_alone) + m->dtype;
	w->levels = how && how->code ? how->code : w->info->levels;
	if (!w->format->row)
		w->format = NULL;
}

/* The scales of row r, as floats; slot: which part of the scratch memory. */
static struct row_scale weights_scales(const struct weights *w, uint32_t r, uint32_t slot)
{
	const struct matmul *m = w->m;
	const struct scaling *how = m->scales.how;
	struct row_scale s = {NULL, 0, w->shift};
	if (!how)
		return s;
	uint64_t row = m->row0 + r, first = scale_index(how, row, 0, m->k);
	if (how->flat)
		s.phase = (uint32_t)(row * m->k % how->flat / 32);
	if (how->kind == SCALE_F32 && !how->inverse && how->factor == 1) {
		s.s = (const uint8_t *)m->scales.p + (first - m->scales.first) * sizeof(float);
		return s;
	}
	float *to = w->scales + (size_t)slot * SCALE_RUNS;
	uint32_t runs = (((m->k + 31) / 32 - 1 + s.phase) >> s.shift) + 1;
	scales_get(&m->scales, first, runs, to);
	s.s = (const uint8_t *)to;
	return s;
}

/* Elements [k0, k0 + len) of row r to floats; k0 is a multiple of 256, len of the block. */
static void weights_row(const struct weights *w, uint32_t r, size_t k0, size_t len, float *to)
{
	const struct matmul *m = w->m;
	const uint8_t *p = (const uint8_t *)m->w + r * w->row_bytes + k0 / w->info->block * w->info->block_bytes;
	size_t done = 0;
	if (w->format) {
		struct dot c = {.w = {p}, .s = {weights_scales(w, r, 0)}, .levels = w->levels,
			.groups = len / 32, .out = to};
		c.s[0].phase += (uint32_t)(k0 / 32);
		w->format->row(&c);
		done = len / 32 * 32;
	}
	if (done < len)
		decode_scaled(m->dtype, &m->scales, p + done / w->info->block * w->info->block_bytes,
			m->row0 + r, k0 + done, m->k, to + done, len - done);
}

/* --- few rows ------------------------------------------------------------------------------ */

/* sum += x * w over n elements, w decoded. */
static void add_products(float sum[16], const float *x, const float *w, size_t n)
{
	v16 s = v16_load(sum);
	for (; n >= 16; n -= 16, x += 16, w += 16)
		s = v16_fma(v16_load(x), v16_load(w), s);
	if (n)
		s = v16_fma(v16_load_n(x, n), v16_load_n(w, n), s);
	v16_store(sum, s);
}

#define DOT_PIECE 256 /* a multiple of every block */

/* What the format's kernel left over, from element `done` on: the end of a row, or all of it. */
static void dot_rest(const struct weights *w, uint32_t r, size_t done, float (*sums)[16])
{
	const struct matmul *m = w->m;
	const uint8_t *p = (const uint8_t *)m->w + r * w->row_bytes;
	float piece[DOT_PIECE];
	for (size_t k0 = done; k0 < m->k; k0 += DOT_PIECE) {
		size_t len = m->k - k0 < DOT_PIECE ? m->k - k0 : DOT_PIECE;
		decode_scaled(m->dtype, &m->scales, p + k0 / w->info->block * w->info->block_bytes,
			m->row0 + r, k0, m->k, piece, len);
		for (uint32_t i = 0; i < m->n; i++)
			add_products(sums[i], m->x + i * m->ldx + k0, piece, len);
	}
}

static void few_rows(const struct weights *w, uint32_t r0, uint32_t r1)
{
	static const uint8_t together[FEW_ROWS] = {0, ROWS_2, ROWS_3};
	const struct matmul *m = w->m;
	const size_t group_bytes = (size_t)w->info->block_bytes * 32 / w->info->block;
	const uint32_t step = m->n == 1 ? ROWS_OF_1(1, group_bytes) : together[m->n - 1];
	/* What is read next is fetched as one stream, though several rows are read side by side; into the second
	 * cache, which can wait for more of it at once than the first. */
	const size_t ahead = (step - 1) * w->row_bytes + FETCH_AHEAD;
	float sums[ROWS_MAX][FEW_ROWS][16];
	struct dot c = {.x = m->x, .ldx = m->ldx, .groups = m->k / 32, .levels = w->levels, .ahead = ahead,
		.out = sums[0][0]};
	for (uint32_t r = r0; r < r1; r += step) {
		uint32_t rows = r1 - r < step ? r1 - r : step;
		if (w->format) {
			for (uint32_t j = 0; j < step; j++) { /* the last row again: never looked at */
				uint32_t at = r + (j < rows ? j : rows - 1);
				c.w[j] = (const uint8_t *)m->w + at * w->row_bytes;
				if (m->scales.how)
					c.s[j] = weights_scales(w, at, j);
			}
			w->format->dot[m->n - 1](&c);
		} else {
			memset(sums, 0, sizeof(sums));
		}
		for (uint32_t j = 0; j < rows; j++) {
			if (!w->format || m->k % 32)
				dot_rest(w, r + j, w->format ? m->k / 32 * 32 : 0, sums[j]);
			for (uint32_t i = 0; i < m->n; i++)
				m->y[i * m->ldy + r + j] =
					v16_sum(v16_load(sums[j][i])) + (m->bias ? m->bias[r + j] : 0.0f);
		}
	}
}
