/* Matrix products of the CPU backend: every variant against sums in double of the reference decoding,
 * and the same bits whatever the rows of a pass, the split of a weight and the number of threads. */
#include "backend/cpu/fast.h"
#include "support/ops_support.h"

#define MAX_N 70
#define MAX_K 5376

static void put16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, 2);
}

/* Random bytes are weights of every format once its scales are tame. */
static void fill_weights(uint8_t *w, enum dtype t, size_t elements)
{
	static const int8_t f16_at[DTYPE_COUNT][2] = {[DTYPE_F16] = {0, -1}, [DTYPE_Q4_0] = {0, -1},
		[DTYPE_Q8_0] = {0, -1}, [DTYPE_Q5_0] = {0, -1}, [DTYPE_IQ4_NL] = {0, -1},
		[DTYPE_IQ4_XS] = {0, -1}, [DTYPE_Q4_1] = {0, 2}, [DTYPE_Q5_1] = {0, 2},
		[DTYPE_Q4_K] = {0, 2}, [DTYPE_Q5_K] = {0, 2}, [DTYPE_Q2_K] = {80, 82},
		[DTYPE_Q3_K] = {108, -1}};
	const struct dtype_info *info = dtype_info(t);
	size_t blocks = elements / info->block;
	for (size_t i = 0; i < blocks; i++) {
		uint8_t *b = w + i * info->block_bytes;
		for (uint32_t j = 0; j < info->block_bytes; j++)
			b[j] = (uint8_t)rnd();
		float f = rnd_float();
		if (t == DTYPE_F32)
			memcpy(b, &f, 4);
		else if (t == DTYPE_BF16)
			put16(b, f32_to_bf16(f));
		else if (t == DTYPE_Q6_K)
			put16(b + 208, f32_to_f16(f * 0.01f)); /* beyond int8_t */
		else if (t == DTYPE_MXFP4)
			b[0] = (uint8_t)(118 + rnd() % 10);
		else if (t == DTYPE_F8_E4M3 && (b[0] & 0x7F) == 0x7F)
			b[0] ^= 1;
		else if (t == DTYPE_F8_E5M2 && (b[0] & 0x7F) >= 0x7C)
			b[0] ^= 0x40;
		else if (f16_at[t][0] || f16_at[t][1])
			for (int j = 0; j < 2 && f16_at[t][j] >= 0; j++)
				put16(b + f16_at[t][j], f32_to_f16(rnd_float() * (t == DTYPE_F16 ? 1 : 0.1f)));
	}
}

static size_t row_bytes(enum dtype t, size_t k)
{
	return k / dtype_info(t)->block * dtype_info(t)->block_bytes;
}

/* --- formats: a dtype and, for those that need them, a way of scaling -------------- */

static float nested_map[256], own_code[256];

static const struct format {
	enum dtype t;
	struct scaling how; /* factor 0: none */
} formats[] = {{DTYPE_F32, {0}}, {DTYPE_F16, {0}}, {DTYPE_BF16, {0}}, {DTYPE_Q4_0, {0}}, {DTYPE_Q4_1, {0}},
	{DTYPE_Q8_0, {0}}, {DTYPE_Q6_K, {0}}, {DTYPE_Q5_0, {0}}, {DTYPE_Q5_1, {0}}, {DTYPE_IQ4_NL, {0}},
	{DTYPE_MXFP4, {0}}, {DTYPE_Q2_K, {0}}, {DTYPE_Q3_K, {0}}, {DTYPE_Q4_K, {0}}, {DTYPE_Q5_K, {0}},
	{DTYPE_IQ4_XS, {0}}, {DTYPE_F8_E4M3, {0}}, {DTYPE_F8_E5M2, {0}},
	{DTYPE_F8_E4M3, {SCALE_F32, .group_rows = 13, .group_cols = 128, .factor = 1}},
	{DTYPE_F8_E4M3, {SCALE_BF16, .group_rows = 1, .group_cols = 1 << 20, .factor = 1}},
	{DTYPE_F8_E5M2, {SCALE_F16, .group_rows = 1 << 20, .group_cols = 1 << 20, .factor = 1, .inverse = true}},
	{DTYPE_I8, {SCALE_F32, .group_rows = 1, .group_cols = 1 << 20, .factor = 1 / 127.0f}},
	{DTYPE_I8_MAP, {SCALE_F32, .flat = 256, .factor = 1}},
	{DTYPE_I8_MAP, {SCALE_F32, .flat = 64, .factor = 1, .code = own_code}},
	{DTYPE_NF4, {SCALE_F32, .flat = 64, .factor = 1}},
	{DTYPE_NF4, {SCALE_NESTED, .flat = 64, .factor = 1, .nested_group = 8, .offset = 0.5f, .map = nested_map}},
	{DTYPE_FP4, {SCALE_F16, .flat = 64, .factor = 1}},
	{DTYPE_FP4, {SCALE_F32, .flat = 32, .factor = 1, .code = own_code}},
	{DTYPE_E2M1, {SCALE_E8M0, .group_rows = 1, .group_cols = 32, .factor = 1}},
	{DTYPE_BF16, {SCALE_F32, .group_rows = 2, .group_cols = 16, .factor = 1}}};

#define FORMATS (sizeof(formats) / sizeof(*formats))

enum { ROW0 = 26 }; /* a part of a weight: scales are found from here on */

struct product { /* one problem; the weights lie at an odd address */
	float *x, *y, *bias, *nested;
	uint8_t *raw, *scales;
	struct matmul m;
};

static void fill_scales(uint8_t *p, const struct scaling *how, size_t n)
{
	for (size_t i = 0; i < n; i++, p += scale_bytes(how->kind)) {
		float f = 0.1f + fabsf(rnd_float());
		if (how->kind == SCALE_F32)
			memcpy(p, &f, 4);
		else if (how->kind == SCALE_F16)
			put16(p, f32_to_f16(f));
		else if (how->kind == SCALE_BF16)
			put16(p, f32_to_bf16(f));
		else
			*p = (uint8_t)(how->kind == SCALE_E8M0 ? 120 + rnd() % 10 : rnd());
	}
}

/* Random scales for all rows up to the part's end; given from the part's first on. */
static void product_scales(struct product *p, const struct scaling *how)
{
	uint64_t cols = p->m.k, first = scale_index(how, ROW0, 0, cols);
	uint64_t end = scale_index(how, ROW0 + p->m.rows - 1, cols - 1, cols) + 1;
	p->scales = malloc((end - first) * scale_bytes(how->kind) + 1);
	fill_scales(p->scales + 1, how, end - first);
	if (how->kind == SCALE_NESTED) {
		p->nested = malloc((end / how->nested_group + 1) * sizeof(float));
		fill(p->nested, end / how->nested_group + 1);
	}
	p->m.scales = (struct scales){how, p->scales + 1, first, p->nested};
	p->m.row0 = ROW0;
}

static void product_init(struct product *p, const struct format *f, uint32_t n, uint32_t k, uint32_t rows)
{
	size_t ldx = k + rows + 3, ldy = rows + k + 5;
	memset(p, 0, sizeof(*p));
	p->x = malloc(n * ldx * sizeof(float));
	p->y = malloc(n * ldy * sizeof(float));
	p->bias = malloc((rows + k) * sizeof(float));
	p->raw = malloc(rows * row_bytes(f->t, k) + 1);
	fill(p->x, n * ldx);
	fill(p->y, n * ldy);
	fill(p->bias, rows + k);
	fill_weights(p->raw + 1, f->t, (size_t)rows * k);
	p->m = (struct matmul){.y = p->y, .ldy = ldy, .x = p->x, .ldx = ldx, .w = p->raw + 1,
		.dtype = f->t, .n = n, .k = k, .rows = rows, .bias = p->bias};
	if (f->how.factor != 0)
		product_scales(p, &f->how);
}

static void product_clear(struct product *p)
{
	free(p->x);
	free(p->y);
	free(p->bias);
	free(p->raw);
	free(p->scales);
	free(p->nested);
}

/* All weights, decoded by the definition: [rows, k]. */
static float *decoded(const struct matmul *m)
{
	float *w = malloc((size_t)m->rows * m->k * sizeof(float));
	for (uint32_t r = 0; r < m->rows; r++)
		decode_scaled(m->dtype, &m->scales, (const uint8_t *)m->w + r * row_bytes(m->dtype, m->k),
			m->row0 + r, 0, m->k, w + (size_t)r * m->k, m->k);
	return w;
}

/* In double. start: y before the product (transposed parts add to it). */
static void check_product(const struct matmul *m, const float *start, const char *variant)
{
	float *w = decoded(m);
	uint32_t outs = m->transposed ? m->k : m->rows, ins = m->transposed ? m->rows : m->k;
	for (uint32_t o = 0; o < outs; o++) {
		for (uint32_t i = 0; i < m->n; i++) {
			double sum = start ? (double)start[i * m->ldy + o] : m->bias ? (double)m->bias[o] : 0;
			double size = fabs(sum);
			for (uint32_t j = 0; j < ins; j++) {
				float wj = w[m->transposed ? (size_t)j * m->k + o : (size_t)o * m->k + j];
				double v = (double)wj * (double)m->x[i * m->ldx + j];
				sum += v;
				size += fabs(v);
			}
			double y = (double)m->y[i * m->ldy + o];
			if (!(fabs(y - sum) <= 4e-6 * size + 1e-30))
				fail_msg("%s %s n %u k %u rows %u%s: y[%u][%u] %g, not %g", variant,
					dtype_info(m->dtype)->name, m->n, m->k, m->rows,
					m->transposed ? " transposed" : "", i, o, y, sum);
		}
	}
	free(w);
}

static bool possible(enum dtype t, uint32_t k)
{
	return k % dtype_info(t)->block == 0;
}

static const struct {
	uint32_t n, k, rows;
} shapes[] = {{1, 1, 1}, {1, 15, 3}, {2, 16, 2}, {3, 17, 7}, {4, 31, 25}, {5, 33, 5}, {7, 100, 29},
	{70, 511, 26}, {1, 256, 9}, {2, 256, 11}, {3, 512, 10}, {6, 256, 31}, {65, 768, 49},
	{66, 2816, 27}, {4, 2560, 8}, {1, 2816, 3}, {67, 1025, 5}, {1, 576, 200}, {5, 64, 30},
	{9, 96, 24}, {2, 288, 70}};

static void matmul_is_close(void **state)
{
	(void)state;
	for (const char *const *v = cpu_backend_variants(); *v; v++) {
		struct backend *b = open_cpu(*v, 2);
		for (size_t s = 0; s < sizeof(shapes) / sizeof(*shapes); s++) {
			for (size_t f = 0; f < FORMATS; f++) {
				struct product p;
				if (!possible(formats[f].t, shapes[s].k))
					continue;
				product_init(&p, &formats[f], shapes[s].n, shapes[s].k, shapes[s].rows);
				if (s % 2)
					p.m.bias = NULL;
				b->ops->matmul(b, &p.m);
				check_product(&p.m, NULL, *v);
				product_clear(&p);
			}
		}
		b->ops->close(b);
	}
}

/* The part [r, r + rows) of the weight. */
static struct matmul part_of(const struct matmul *m, uint32_t r, uint32_t rows)
{
	struct matmul q = *m;
	q.rows = rows;
	q.w = (const uint8_t *)m->w + r * row_bytes(m->dtype, m->k);
	q.row0 = m->row0 + r;
	return q;
}

/* The whole product at once, row by row of x, and the weight in ragged parts: the same bits. */
static void check_same_bits(struct backend *const *b, int backends, const struct product *p)
{
	struct matmul m = p->m;
	size_t bytes = m.n * m.ldy * sizeof(float);
	float *want = malloc(bytes), *got = malloc(bytes);
	memcpy(want, p->y, bytes);
	m.y = want;
	b[0]->ops->matmul(b[0], &m);
	for (int j = 0; j < backends; j++) {
		for (uint32_t step_n = 1; step_n <= m.n; step_n += step_n < 9 ? 1 : 29) {
			memcpy(got, p->y, bytes);
			uint32_t part;
			for (uint32_t r = 0; r < m.rows; r += part) {
				part = 1 + rnd() % 50;
				if (part > m.rows - r)
					part = m.rows - r;
				for (uint32_t i = 0; i < m.n; i += step_n) {
					struct matmul q = part_of(&m, r, part);
					q.y = got + i * m.ldy + (m.transposed ? 0 : r);
					q.x = m.x + i * m.ldx + (m.transposed ? r : 0);
					q.n = m.n - i < step_n ? m.n - i : step_n;
					q.bias = m.transposed ? m.bias : m.bias + r;
					b[j]->ops->matmul(b[j], &q);
				}
			}
			if (memcmp(got, want, bytes))
				fail_msg("%s %s n %u by %u, k %u: other bits with %d threads",
					b[j]->variant, dtype_info(m.dtype)->name, m.n, step_n, m.k,
					b[j]->threads);
		}
	}
	free(want);
	free(got);
}

static void check_invariance(bool transposed)
{
	static const struct {
		uint32_t n, k, rows;
	} sizes[] = {{MAX_N, 768, 60}, {9, MAX_K, 30}, {5, 1023, 40}, {4, 17, 130}, {66, 32, 33}};
	for (const char *const *v = cpu_backend_variants(); *v; v++) {
		struct backend *b[] = {open_cpu(*v, 1), open_cpu(*v, 2), open_cpu(*v, 3)};
		for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
			for (size_t f = 0; f < FORMATS; f++) {
				struct product p;
				if (!possible(formats[f].t, sizes[s].k))
					continue;
				product_init(&p, &formats[f], sizes[s].n, sizes[s].k, sizes[s].rows);
				p.m.transposed = transposed;
				check_same_bits(b, 3, &p);
				product_clear(&p);
			}
		}
		for (int i = 0; i < 3; i++)
			b[i]->ops->close(b[i]);
	}
}

static void matmul_rows_are_invariant(void **state)
{
	(void)state;
	check_invariance(false);
}

static void transposed_chunks_are_invariant(void **state)
{
	(void)state;
	check_invariance(true);
}

/* The first chunk starts from the bias or 0, a later one adds to what is there. */
static void transposed_is_close(void **state)
{
	(void)state;
	for (const char *const *v = cpu_backend_variants(); *v; v++) {
		struct backend *b = open_cpu(*v, 2);
		for (size_t s = 0; s < sizeof(shapes) / sizeof(*shapes); s++) {
			for (size_t f = 0; f < FORMATS; f++) {
				struct product p;
				if (!possible(formats[f].t, shapes[s].k))
					continue;
				product_init(&p, &formats[f], shapes[s].n, shapes[s].k, shapes[s].rows);
				size_t bytes = p.m.n * p.m.ldy * sizeof(float);
				float *start = malloc(bytes);
				memcpy(start, p.y, bytes);
				p.m.transposed = true;
				if (!p.m.scales.how && s % 3)
					p.m.row0 = 5;
				if (s % 2)
					p.m.bias = NULL;
				b->ops->matmul(b, &p.m);
				check_product(&p.m, p.m.row0 ? start : NULL, *v);
				free(start);
				product_clear(&p);
			}
		}
		b->ops->close(b);
	}
}

/* x = a unit vector picks a weight: the bits of the reference decoding, as does decode. */
static void weights_are_decoded_exactly(void **state)
{
	(void)state;
	enum { K = 512 };
	for (const char *const *v = cpu_backend_variants(); *v; v++) {
		struct backend *b = open_cpu(*v, 1);
		for (size_t f = 0; f < FORMATS; f++) {
			struct product p;
			float got[K], *want;
			product_init(&p, &formats[f], 1, K, 1);
			p.m.bias = NULL;
			want = decoded(&p.m);
			if (!p.m.scales.how) {
				b->ops->decode(b, got, p.m.w, p.m.dtype, K);
				assert_memory_equal(want, got, sizeof(got));
			}
			for (size_t j = 0; j < K; j++) {
				memset(p.x, 0, K * sizeof(float));
				p.x[j] = 1;
				b->ops->matmul(b, &p.m);
				if (p.y[0] != want[j])
					fail_msg("%s %s element %zu: %a, not %a", *v,
						dtype_info(p.m.dtype)->name, j, (double)p.y[0], (double)want[j]);
			}
			free(want);
			product_clear(&p);
		}
		b->ops->close(b);
	}
}

/* Every bit set is a scale or an element that is not a number, in formats that have such. */
static void odd_weights_are_survived(void **state)
{
	(void)state;
	for (const char *const *v = cpu_backend_variants(); *v; v++) {
		struct backend *b = open_cpu(*v, 2);
		for (size_t f = 0; f < FORMATS; f++) {
			struct product p;
			product_init(&p, &formats[f], 5, 512, 30);
			memset(p.raw, 0xFF, 30 * row_bytes(formats[f].t, 512) + 1);
			p.x[0] = INFINITY, p.x[1] = -INFINITY;
			b->ops->matmul(b, &p.m);
			assert_true(isnan(p.y[0]));
			product_clear(&p);
		}
		b->ops->close(b);
	}
}

/* What kernels of --math fast multiply, and what they leave to the exact ones. */
static bool is_fast(const struct matmul *m, bool wide)
{
	const struct scaling *how = m->scales.how;
	if (m->dtype == DTYPE_F32 || m->dtype == DTYPE_F16)
		return false;
	if (wide && __builtin_cpu_supports("avx512bf16") && m->n > (m->dtype == DTYPE_BF16 ? 2 : 3))
		return true;
	if (how && m->dtype != DTYPE_I8 && m->dtype != DTYPE_E2M1)
		return false;
	return m->k % 32 == 0 && m->dtype != DTYPE_BF16 && m->dtype != DTYPE_F8_E4M3 && m->dtype != DTYPE_F8_E5M2;
}

/* got is off want by no more than activations and weights rounded to 8 bits of mantissa are, |x| < 1. */
static void check_near(const struct matmul *m, const float *want, const float *got)
{
	float *w = decoded(m);
	for (uint32_t i = 0; i < m->n; i++)
		for (uint32_t r = 0; r < m->rows; r++) {
			float size = 0, off = fabsf(got[i * m->ldy + r] - want[i * m->ldy + r]);
			for (uint32_t j = 0; j < m->k; j++)
				size += fabsf(w[(size_t)r * m->k + j]);
			if (!(off <= size / 254 + 1e-5f * size))
				fail_msg("%s n %u k %u: y[%u][%u] off by %g of %g", dtype_info(m->dtype)->name,
					m->n, m->k, i, r, (double)off, (double)size);
		}
	free(w);
}

/* b[0] is exact, b[1] and b[2] are fast and have other threads. */
static void check_fast(struct backend *const b[3], const struct format *f, uint32_t n, uint32_t k, uint32_t rows)
{
	struct product p;
	product_init(&p, f, n, k, rows);
	size_t bytes = p.m.n * p.m.ldy * sizeof(float);
	float *want = calloc(1, bytes), *got = calloc(1, bytes);
	p.m.y = want;
	b[0]->ops->matmul(b[0], &p.m);
	p.m.y = got;
	b[1]->ops->matmul(b[1], &p.m);
	check_near(&p.m, want, got);
	if (rows > 2 && is_fast(&p.m, !strcmp(b[0]->variant, "avx512")) == !memcmp(want, got, bytes))
		fail_msg("%s %s n %u k %u: the wrong kernel", b[1]->variant, dtype_info(f->t)->name, n, k);
	memset(want, 0, bytes);
	for (uint32_t r = 0, part; r < p.m.rows; r += part) {
		part = 1 + rnd() % 20;
		part = part < p.m.rows - r ? part : p.m.rows - r;
		struct matmul q = part_of(&p.m, r, part);
		q.y = want + r;
		q.bias = p.m.bias + r;
		b[2]->ops->matmul(b[2], &q);
	}
	assert_memory_equal(want, got, bytes);
	free(want), free(got);
	product_clear(&p);
}

/* --math fast: as near as it may be, the same bits however the weight is split. */
static void fast_is_near_and_splits_alike(void **state)
{
	(void)state;
	static const struct {
		uint32_t n, k, rows;
	} sizes[] = {{1, 256, 33}, {2, 544, 7}, {3, 512, 40}, {4, 32, 5}, {5, 768, 50}, {9, 256, 16}, {17, 1024, 31},
		{100, 512, 18}, {3, 33, 9}, {1, 1280, 3}, {4, 512, 19}, {7, 5120, 35}, {103, 4352, 6}, {8, 1057, 37},
		{6, 352, 13}, {8, 800, 21}};
	for (const char *const *v = cpu_backend_variants(); *v; v++) {
		struct backend *b[] = {open_cpu(*v, 1), open_cpu(*v, 1), open_cpu(*v, 3)};
		bool fast = cpu_backend_fast(b[1]) && cpu_backend_fast(b[2]);
		assert_int_equal(fast, strcmp(*v, "ref") != 0);
		assert_true(fast == (strcmp(b[0]->variant, b[1]->variant) != 0));
		for (size_t s = 0; fast && s < sizeof(sizes) / sizeof(*sizes); s++)
			for (size_t f = 0; f < FORMATS; f++)
				if (possible(formats[f].t, sizes[s].k))
					check_fast(b, &formats[f], sizes[s].n, sizes[s].k, sizes[s].rows);
		for (int i = 0; i < 3; i++)
			b[i]->ops->close(b[i]);
	}
}

static const struct kind {
	const char *name;
	const struct cpu_fast *(*get)(void);
	const struct cpu_kernels *(*kernels)(void);
} kinds[] = {{"8 bits with AVX2", cpu_fast_avx2, cpu_kernels_avx2},
	{"8 bits with AVX512_VNNI", cpu_fast_avx512, cpu_kernels_avx512},
	{"few rows of 8 bits with AVX2", cpu_fast_few_avx2, cpu_kernels_avx2},
	{"few rows of 8 bits with AVX512_VNNI", cpu_fast_few_avx512, cpu_kernels_avx512},
	{"bf16 with AVX512_BF16", cpu_fast_bf16, cpu_kernels_avx512}, {"bf16 with AMX", cpu_fast_amx, cpu_kernels_avx512}};

/* All weight rows but the first in one part, in memory that just suffices: y of the others stays. */
static void check_kind(const struct kind *kind, const struct product *p)
{
	const struct cpu_fast *fast = kind->get();
	struct matmul m = p->m;
	if (!fast->takes(&m))
		return;
	size_t row = fast->row_bytes(m.k), bytes = m.n * m.ldy * sizeof(float);
	uint8_t *x = aligned_alloc(64, (m.n + fast->rows_round - 1) / fast->rows_round * fast->rows_round * row);
	float *scratch = aligned_alloc(4096, CPU_SCRATCH_BYTES), *want = malloc(bytes), *got = malloc(bytes);
	memset(scratch, 0xFF, CPU_SCRATCH_BYTES); /* not numbers */
	for (uint32_t i = 0; i < m.n; i += fast->rows_round)
		fast->round(&m, x + i * row, i);
	memcpy(want, m.y, bytes), memcpy(got, m.y, bytes);
	m.y = want;
	for (uint32_t r = 1; r < m.rows; r++)
		for (uint32_t i = 0; i < m.n; i++)
			want[i * m.ldy + r] = NAN;
	kind->kernels()->matmul(&m, 1, m.rows, scratch);
	m.y = got;
	fast->matmul(&m, x, 1, m.rows, scratch, kind->kernels());
	check_near(&m, want, got);
	for (uint32_t i = 0; i < m.n; i++)
		memcpy(want + i * m.ldy + 1, got + i * m.ldy + 1, (m.rows - 1) * sizeof(float));
	assert_memory_equal(want, got, bytes);
	free(x), free(scratch), free(want), free(got);
}

/* Each kind by itself, though another one may be preferred to it. */
static void kind_is_near(void **state)
{
	static const struct {
		uint32_t n, k, rows;
	} sizes[] = {{1, 256, 34}, {9, 96, 17}, {16, 768, 34}, {17, 33, 2}, {33, 1057, 36}, {47, 1536, 140}, {517, 64, 20}};
	const struct kind *kind = *state;
	if (!kind->get()) {
		print_message("skipped: %s is not possible here\n", kind->name);
		skip();
	}
	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++)
		for (size_t f = 0; f < FORMATS; f++) {
			struct product p;
			if (!possible(formats[f].t, sizes[s].k))
				continue;
			product_init(&p, &formats[f], sizes[s].n, sizes[s].k, sizes[s].rows);
			if (s % 2)
				p.m.bias = NULL;
			check_kind(kind, &p);
			product_clear(&p);
		}
}

/* An infinity or NaN among the activations is seen in every sum, in no other row. */
static void fast_shows_odd_activations(void **state)
{
	(void)state;
	for (const char *const *v = cpu_backend_variants(); *v; v++) {
		struct backend *b = open_cpu(*v, 1);
		for (size_t f = 0; cpu_backend_fast(b) && f < FORMATS; f++)
			for (uint32_t n = 2; n <= 12; n += 5) {
				struct product p;
				product_init(&p, &formats[f], n, 512, 9);
				p.x[77] = NAN;
				p.x[p.m.ldx + 300] = INFINITY;
				b->ops->matmul(b, &p.m);
				for (uint32_t r = 0; r < 9; r++)
					for (uint32_t i = 0; i < n; i++)
						if (!isfinite(p.y[i * p.m.ldy + r]) != (i < 2))
							fail_msg("%s %s n %u: y[%u][%u] %g", b->variant,
								dtype_info(formats[f].t)->name, n, i, r,
								(double)p.y[i * p.m.ldy + r]);
				product_clear(&p);
			}
		b->ops->close(b);
	}
}

static int make_tables(void **state)
{
	(void)state;
	fill(nested_map, 256);
	fill(own_code, 256);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matmul_is_close),
		cmocka_unit_test(matmul_rows_are_invariant),
		cmocka_unit_test(transposed_is_close),
		cmocka_unit_test(transposed_chunks_are_invariant),
		cmocka_unit_test(weights_are_decoded_exactly),
		cmocka_unit_test(odd_weights_are_survived),
		cmocka_unit_test(fast_is_near_and_splits_alike),
		cmocka_unit_test(fast_shows_odd_activations),
		cmocka_unit_test_prestate(kind_is_near, (void *)(uintptr_t)&kinds[0]),
		cmocka_unit_test_prestate(kind_is_near, (void *)(uintptr_t)&kinds[1]),
		cmocka_unit_test_prestate(kind_is_near, (void *)(uintptr_t)&kinds[2]),
		cmocka_unit_test_prestate(kind_is_near, (void *)(uintptr_t)&kinds[3]),
		cmocka_unit_test_prestate(kind_is_near, (void *)(uintptr_t)&kinds[4]),
		cmocka_unit_test_prestate(kind_is_near, (void *)(uintptr_t)&kinds[5]),
	};
	return cmocka_run_group_tests(tests, make_tables, NULL);
}
