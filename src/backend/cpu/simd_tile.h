/* Many rows of x: weights are decoded into a tile in the second-level cache, which a register-blocked
 * kernel multiplies; and transposed weights. Included behind simd_dot.h.
 *
 * Element k is added to lane k mod 16 in rising order, as in simd_dot.h, so both give the same bits.
 * The includer defines TILE_X x TILE_W, the sums that fit into its registers, PANEL_W, the weight rows
 * of a tile, and PANEL_K, elements of k a round: more spare moving sums, fewer keep weights in L1; with TILE_KERNEL
 * also a tile_kernel of its own for whole vectors of just that many. */

#define PANEL_X 48	   /* rows of x that share sums in scratch memory */
#define PANEL_K_MAX 2048   /* up to this k a tile holds whole rows and is decoded once */
#define PANEL_LD (PANEL_K_MAX + 16) /* rows of 4096 bytes would share places in the caches */
#define SCALES_FLOATS (ROWS_MAX * SCALE_RUNS)

_Static_assert(SCALES_FLOATS * sizeof(float) <= ROW_SCRATCH_BYTES, "scratch of a row");
_Static_assert(PANEL_W % TILE_W == 0 && PANEL_X % TILE_X == 0, "whole register blocks");
_Static_assert((PANEL_W * PANEL_LD + PANEL_X * PANEL_W * 16 + SCALES_FLOATS) * sizeof(float) <=
		       CPU_SCRATCH_BYTES, "scratch");

struct panel {
	const struct weights *w;
	uint32_t r, rows; /* <= PANEL_W rows from r on */
	float *tile;	  /* [PANEL_W][PANEL_LD] */
	float *acc;	  /* [PANEL_X][PANEL_W][16] */
};

/* Columns [k0, k0 + len) of the panel, k0 a multiple of 256, to the tile; zeros up to whole vectors. */
static void panel_decode(const struct panel *p, size_t k0, size_t len)
{
	for (uint32_t r = 0; r < p->rows; r++) {
		float *row = p->tile + r * PANEL_LD;
		weights_row(p->w, p->r + r, k0, len, row);
		for (size_t j = len; j % 16; j++)
			row[j] = 0;
	}
}

/* acc[i][r] += x[i] * w[r] for `rows` rows of x and TILE_W of w over `len` elements. */
SIMD_INLINE void tile_block(const float *x, size_t ldx, const float *w, size_t ldw, size_t len, float *acc,
	const uint32_t rows)
{
	v16 s[TILE_X][TILE_W];
	UNROLL(8) for (uint32_t i = 0; i < rows; i++)
		UNROLL(8) for (uint32_t r = 0; r < TILE_W; r++) s[i][r] =
			v16_load(acc + (i * PANEL_W + r) * 16);
	for (; len >= 16; x += 16, w += 16, len -= 16) {
		v16 v[TILE_W];
		UNROLL(8) for (uint32_t r = 0; r < TILE_W; r++) v[r] = v16_load(w + r * ldw);
		UNROLL(8) for (uint32_t i = 0; i < rows; i++) {
			v16 xi = v16_load(x + i * ldx);
			UNROLL(8) for (uint32_t r = 0; r < TILE_W; r++) s[i][r] =
				v16_fma(xi, v[r], s[i][r]);
		}
	}
	UNROLL(8) for (uint32_t i = 0; len && i < rows; i++) {
		v16 xi = v16_load_n(x + i * ldx, len);
		UNROLL(8) for (uint32_t r = 0; r < TILE_W; r++) s[i][r] =
			v16_fma(xi, v16_load(w + r * ldw), s[i][r]);
	}
	UNROLL(8) for (uint32_t i = 0; i < rows; i++)
		UNROLL(8) for (uint32_t r = 0; r < TILE_W; r++)
			v16_store(acc + (i * PANEL_W + r) * 16, s[i][r]);
}

static void tile_edge(const float *x, size_t ldx, const float *w, size_t ldw, size_t len, float *acc,
	uint32_t rows)
{
	switch (rows) {
	case 1:
		tile_block(x, ldx, w, ldw, len, acc, 1);
		return;
	case 2:
		tile_block(x, ldx, w, ldw, len, acc, 2);
		return;
#if TILE_X > 2
	case 3:
		tile_block(x, ldx, w, ldw, len, acc, 3);
		return;
	case 4:
		tile_block(x, ldx, w, ldw, len, acc, 4);
		return;
	case 5:
		tile_block(x, ldx, w, ldw, len, acc, 5);
		return;
#endif
	default:
		tile_block(x, ldx, w, ldw, len, acc, TILE_X);
	}
}

/* acc += x w over `len` columns; x and tile at the first of the columns. Weight rows behind the panel's
 * last are multiplied too, and never looked at. */
static void panel_multiply(const struct panel *p, const float *x, size_t ldx, const float *tile, size_t len,
	uint32_t n)
{
	for (uint32_t r = 0; r < p->rows; r += TILE_W) {
		const float *w = tile + r * PANEL_LD;
		for (uint32_t i = 0; i < n; i += TILE_X) {
			float *acc = p->acc + (i * PANEL_W + r) * 16;
			if (n - i < TILE_X) {
				tile_edge(x + i * ldx, ldx, w, PANEL_LD, len, acc, n - i);
				continue;
			}
#ifdef TILE_KERNEL
			const size_t whole = len / 16 * 16;
			tile_kernel(x + i * ldx, ldx, w, PANEL_LD, whole / 16, acc, PANEL_W * 16);
			if (whole < len)
				tile_edge(x + i * ldx + whole, ldx, w + whole, PANEL_LD, len - whole, acc,
					TILE_X);
#else
			tile_edge(x + i * ldx, ldx, w, PANEL_LD, len, acc, TILE_X);
#endif
		}
	}
}

static void panel_store(const struct panel *p, uint32_t i0, uint32_t n)
{
	const struct matmul *m = p->w->m;
	float sums[(PANEL_W + 15) / 16 * 16];
	for (uint32_t i = 0; i < n; i++) {
		float *y = m->y + (i0 + i) * m->ldy + p->r;
		sum_lanes(p->acc + i * PANEL_W * 16, p->rows, sums);
		for (uint32_t r = 0; r < p->rows; r++)
			y[r] = sums[r] + (m->bias ? m->bias[p->r + r] : 0.0f);
	}
}

static void panel_run(const struct panel *p)
{
	const struct matmul *m = p->w->m;
	const bool once = m->k <= PANEL_K_MAX;
	size_t step = m->k; /* even rounds, of whole blocks */
	if (m->k > PANEL_K)
		step = (m->k / ((m->k + PANEL_K - 1) / PANEL_K) + 255) / 256 * 256;
	if (once)
		panel_decode(p, 0, m->k);
	for (uint32_t i0 = 0; i0 < m->n; i0 += PANEL_X) {
		uint32_t n = m->n - i0 < PANEL_X ? m->n - i0 : PANEL_X;
		memset(p->acc, 0, (size_t)n * PANEL_W * 16 * sizeof(float));
		for (size_t k0 = 0; k0 < m->k; k0 += step) {
			size_t len = m->k - k0 < step ? m->k - k0 : step;
			if (!once)
				panel_decode(p, k0, len);
			panel_multiply(p, m->x + i0 * m->ldx + k0, m->ldx, p->tile + (once ? k0 : 0), len, n);
		}
		panel_store(p, i0, n);
	}
}

static void simd_matmul(const struct matmul *m, uint32_t r0, uint32_t r1, float *scratch)
{
	struct weights w;
	weights_init(&w, m, scratch);
	if (m->n <= FEW_ROWS) {
		few_rows(&w, r0, r1);
		return;
	}
	struct panel p = {.w = &w, .acc = scratch + SCALES_FLOATS};
	p.tile = p.acc + PANEL_X * PANEL_W * 16;
	for (p.r = r0; p.r < r1; p.r += PANEL_W) {
		p.rows = r1 - p.r < PANEL_W ? r1 - p.r : PANEL_W;
		panel_run(&p);
	}
}

static void simd_row(const struct matmul *m, uint32_t r, size_t k0, size_t len, float *to, float *scratch)
{
	struct weights w;
	weights_init(&w, m, scratch);
	weights_row(&w, r, k0, len, to);
}

static void simd_decode(float *y, const void *weights, enum dtype t, size_t n)
{
	struct matmul m = {.w = weights, .dtype = t, .k = 256, .rows = 1};
	struct weights w;
	weights_init(&w, &m, NULL);
	weights_row(&w, 0, 0, n, y);
}

/* --- transposed weights ------------------------------------------------------------------ */

#define TILE_ROWS_T 64

/* y[i][c] = fma(x[i][r], w[r][c], y[i][c]) for r = 0, 1, ...; `rows` rows of y, COLS_T vectors of each. */
SIMD_INLINE void columns_block(float *y, size_t ldy, const float *x, size_t ldx, const float *w, uint32_t depth,
	const uint32_t rows)
{
	v16 s[ROWS_T][COLS_T];
	UNROLL(8) for (uint32_t i = 0; i < rows; i++)
		UNROLL(8) for (uint32_t j = 0; j < COLS_T; j++) s[i][j] = v16_load(y + i * ldy + j * 16);
	for (uint32_t r = 0; r < depth; r++, w += COLUMNS_STEP) {
		UNROLL(8) for (uint32_t j = 0; j < COLS_T; j++) {
			v16 v = v16_load(w + j * 16);
			UNROLL(8) for (uint32_t i = 0; i < rows; i++) s[i][j] =
				v16_fma(v16_set1(x[i * ldx + r]), v, s[i][j]);
		}
	}
	UNROLL(8) for (uint32_t i = 0; i < rows; i++)
		UNROLL(8) for (uint32_t j = 0; j < COLS_T; j++) v16_store(y + i * ldy + j * 16, s[i][j]);
}

/* The last columns of a weight, one vector at a time. */
static void columns_rest(float *y, const float *x, const float *w, uint32_t depth, size_t len)
{
	for (size_t c = 0; c < len; c += 16) {
		size_t n = len - c < 16 ? len - c : 16;
		v16 s = v16_load_n(y + c, n);
		for (uint32_t r = 0; r < depth; r++)
			s = v16_fma(v16_set1(x[r]), v16_load(w + r * COLUMNS_STEP + c), s);
		v16_store_n(y + c, s, n);
	}
}

/* y += x tile for all rows: `depth` rows of the tile, its first len columns. */
static void columns_multiply(const struct matmul *m, float *y, const float *x, const float *tile,
	uint32_t depth, size_t len)
{
	size_t whole = len / (COLS_T * 16) * (COLS_T * 16);
	for (uint32_t i = 0; i < m->n; i++) {
		bool many = m->n - i >= ROWS_T;
		for (size_t c = 0; c < whole; c += COLS_T * 16) {
			if (many)
				columns_block(y + c, m->ldy, x, m->ldx, tile + c, depth, ROWS_T);
			else
				columns_block(y + c, m->ldy, x, m->ldx, tile + c, depth, 1);
		}
		for (uint32_t j = 0; whole < len && j < (many ? ROWS_T : 1); j++)
			columns_rest(y + j * m->ldy + whole, x + j * m->ldx, tile + whole, depth, len - whole);
		uint32_t step = many ? ROWS_T : 1;
		i += step - 1;
		y += step * m->ldy;
		x += step * m->ldx;
	}
}

static void simd_matmul_t(const struct matmul *m, uint32_t c0, uint32_t c1, float *scratch)
{
	struct weights w;
	float *tile = scratch + SCALES_FLOATS;
	weights_init(&w, m, scratch);
	for (uint32_t c = c0; c < c1; c += COLUMNS_STEP) {
		size_t len = c1 - c < COLUMNS_STEP ? c1 - c : COLUMNS_STEP;
		for (uint32_t i = 0; !m->row0 && i < m->n; i++)
			for (size_t j = 0; j < len; j++)
				m->y[i * m->ldy + c + j] = m->bias ? m->bias[c + j] : 0.0f;
		for (uint32_t r0 = 0; r0 < m->rows; r0 += TILE_ROWS_T) {
			uint32_t depth = m->rows - r0 < TILE_ROWS_T ? m->rows - r0 : TILE_ROWS_T;
			for (uint32_t r = 0; r < depth; r++)
				weights_row(&w, r0 + r, c, len, tile + r * COLUMNS_STEP);
			columns_multiply(m, m->y + c, m->x + r0, tile, depth, len);
		}
	}
}
