/* The operations of the CPU backend but matrix products (test_matmul.c): every variant against plain C,
 * and the same bits whatever the rows of a pass and the number of threads. */
#include "support/ops_support.h"

/* --- attention ------------------------------------------------------------------- */

struct attend {
	float *q, *out;
	void *k, *v;
	uint32_t *cells;
	struct attn_row *rows;
	struct attention a;
};

enum { CELLS = 1300 }; /* more than two spans */

static void attend_init(struct attend *t, enum dtype type, uint32_t n, uint32_t heads,
	uint32_t kv_heads, uint32_t head_dim)
{
	size_t width = (size_t)heads * head_dim, kv = (size_t)CELLS * kv_heads * head_dim;
	*t = (struct attend){malloc(n * width * 4), malloc(n * width * 4), malloc(kv * 4),
		malloc(kv * 4), malloc(CELLS * 4), malloc(n * sizeof(struct attn_row)), {0}};
	fill(t->q, n * width);
	for (size_t i = 0; i < kv; i++) {
		float k = rnd_float() * 2, v = rnd_float();
		if (type == DTYPE_F32) {
			((float *)t->k)[i] = k, ((float *)t->v)[i] = v;
		} else if (type == DTYPE_BF16) {
			((uint16_t *)t->k)[i] = f32_to_bf16(k), ((uint16_t *)t->v)[i] = f32_to_bf16(v);
		} else {
			((uint16_t *)t->k)[i] = f32_to_f16(k), ((uint16_t *)t->v)[i] = f32_to_f16(v);
		}
	}
	for (uint32_t i = 0; i < CELLS; i++)
		t->cells[i] = i * 7 % CELLS; /* a permutation */
	for (uint32_t i = 0; i < n; i++) {
		uint32_t base = i % 3 * 5, first = base + (i % 4 == 3 ? rnd() % 100 : 0);
		t->rows[i] = (struct attn_row){base, first, i == 1 ? 0 : 1 + rnd() % (CELLS - first)};
	}
	t->a = (struct attention){.out = t->out, .ldo = width, .q = t->q, .ldq = width,
		.q_map = {0, 0, heads}, .k = t->k, .v = t->v, .kv_type = type, .cells = t->cells,
		.rows = t->rows, .n = n, .heads = heads, .kv_heads = kv_heads,
		.head_dim = head_dim, .max_count = CELLS, .scale = 0.5f};
}

static void attend_clear(struct attend *t)
{
	free(t->q), free(t->out), free(t->k), free(t->v), free(t->cells), free(t->rows);
}

/* Every variant against ref; then rows one by one, and on 1 to 3 threads: the same bits. */
static void check_attention(struct attend *t)
{
	size_t count = t->a.n * t->a.ldo;
	float *want = malloc(count * 4), *all = malloc(count * 4);
	struct backend *ref = open_cpu("ref", 1);
	t->a.out = want;
	ref->ops->attention(ref, &t->a);
	ref->ops->close(ref);
	for (const char *const *v = cpu_backend_variants(); *v; v++) {
		for (int threads = 1; threads <= 3; threads++) {
			struct backend *b = open_cpu(*v, threads);
			t->a.out = threads == 1 ? all : t->out;
			b->ops->attention(b, &t->a);
			if (threads > 1)
				assert_memory_equal(all, t->out, count * 4);
			for (size_t i = 0; i < count; i++)
				if (!(fabsf(all[i] - want[i]) <= 2e-5f))
					fail_msg("%s: out[%zu] %g, not %g", *v, i, (double)all[i],
						(double)want[i]);
			for (uint32_t i = 0; i < t->a.n; i++) {
				struct attention one = t->a;
				one.n = 1;
				one.q += i * one.ldq, one.rows += i;
				one.out = t->out + i * one.ldo;
				b->ops->attention(b, &one);
			}
			assert_memory_equal(all, t->out, count * 4);
			b->ops->close(b);
		}
	}
	free(want);
	free(all);
}

static void attention_is_close_and_invariant(void **state)
{
	(void)state;
	static const struct {
		uint32_t n, heads, kv_heads, head_dim;
	} sizes[] = {{9, 9, 3, 64}, {5, 4, 4, 16}, {6, 14, 2, 8}, {4, 2, 1, 80}, {3, 1, 1, 1}, {8, 10, 2, 37}};
	for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
		static const enum dtype types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
		for (int kind = 0; kind < 6; kind++) {
			struct attend t;
			attend_init(&t, types[kind / 2], sizes[s].n, sizes[s].heads,
				sizes[s].kv_heads, sizes[s].head_dim);
			t.a.softcap = kind & 1 ? 3.0f : 0.0f;
			check_attention(&t);
			attend_clear(&t);
		}
	}
}

/* Rows of a prompt: causal, all of base 5; with a window as far as that is not 0. */
static void prompt_rows(struct attend *t, uint32_t before, uint32_t window)
{
	for (uint32_t i = 0; i < t->a.n; i++) {
		const uint32_t seen = before + i + 1, out = window && seen > window ? seen - window : 0;
		t->rows[i] = (struct attn_row){5, 5 + out, seen - out};
	}
}

/* Rows that share keys and values, in every number up to several groups, with few cells and with several spans: as
 * in ref, and with the bits that each row has alone. */
static void prompts_are_close_and_invariant(void **state)
{
	(void)state;
	static const struct {
		uint32_t heads, kv_heads, head_dim, before, window;
		enum dtype type;
	} kinds[] = {{6, 2, 40, 0, 0, DTYPE_F16}, {6, 2, 40, 1240, 0, DTYPE_F16}, {4, 4, 16, 500, 70, DTYPE_BF16},
		{32, 1, 33, 470, 0, DTYPE_F16}, {5, 1, 20, 30, 0, DTYPE_F32}, {8, 8, 64, 1000, 600, DTYPE_F32}};
	for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++)
		for (uint32_t n = 1; n <= 40; n += n < 8 ? 1 : 8) {
			struct attend t;
			attend_init(&t, kinds[k].type, n, kinds[k].heads, kinds[k].kv_heads, kinds[k].head_dim);
			prompt_rows(&t, kinds[k].before, kinds[k].window);
			check_attention(&t);
			attend_clear(&t);
		}
}

/* As latent attention has it: many heads, more than a part holds, values that are the beginning of the keys. The
 * states of one row are so large that one thread's scratch memory holds less than there are spans. */
static void latent_attention_is_close_and_invariant(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 3; n += 2)
		for (uint32_t before = 20; before < 1300; before += 1250) {
			struct attend t;
			attend_init(&t, DTYPE_F16, n, 100, 1, 272);
			prompt_rows(&t, before, 0);
			void *v = t.v;
			t.a.v = t.a.k, t.a.v_dim = 250, t.a.k_stride = t.a.v_stride = 272, t.a.ldo = 100 * 250;
			t.a.scale = 0.05f;
			check_attention(&t);
			t.v = v;
			attend_clear(&t);
		}
}

/* A value that is infinite or no number reaches only the rows that see its cell. */
static void cells_not_seen_do_not_count(void **state)
{
	(void)state;
	enum { N = 12, HEADS = 2, D = 16 };
	for (const char *const *v = cpu_backend_variants(); *v; v++) {
		struct attend t;
		attend_init(&t, DTYPE_F32, N, HEADS, 1, D);
		prompt_rows(&t, 100, 0);
		const uint32_t cell = t.cells[5 + 100 + 6]; /* rows from 6 on see it */
		for (uint32_t j = 0; j < D; j++)
			((float *)t.v)[cell * D + j] = j % 2 ? INFINITY : NAN;
		struct backend *b = open_cpu(*v, 2);
		b->ops->attention(b, &t.a);
		b->ops->close(b);
		for (uint32_t i = 0; i < N; i++)
			for (uint32_t j = 0; j < HEADS * D; j++)
				assert_int_equal(isfinite(t.out[i * HEADS * D + j]), i < 6);
		attend_clear(&t);
	}
}

/* Slopes, sinks, a cap, value heads of their own size, cells apart: ref against the formula in double. */
static double plain_attention(const struct attention *a, uint32_t i, uint32_t h, uint32_t j)
{
	const struct attn_row *r = &a->rows[i];
	uint32_t last = r->first + r->count - 1, kv = h / (a->heads / a->kv_heads);
	double sum = exp((double)a->sinks[h]), out = 0;
	for (uint32_t c = r->first; c < r->first + r->count; c++) {
		const float *q = a->q + i * a->ldq + (size_t)h * a->head_dim;
		const float *k = (const float *)a->k + (size_t)a->cells[c] * a->k_stride + kv * a->head_dim;
		const float *v = (const float *)a->v + (size_t)a->cells[c] * a->v_stride + kv * a->v_dim;
		double s = 0;
		for (uint32_t d = 0; d < a->head_dim; d++)
			s += (double)q[d] * (double)k[d];
		s = (double)a->softcap * tanh(s * (double)a->scale / (double)a->softcap);
		s = exp(s - (double)a->slopes[h] * (last - c));
		sum += s;
		out += s * (double)v[j];
	}
	return out / sum;
}

static void attention_extras_follow_the_formula(void **state)
{
	(void)state;
	enum { N = 7, HEADS = 6, KV = 3, D = 24, V = 16 };
	static const float slopes[HEADS] = {0.5f, 0.25f, 0, 0.125f, 1, 0.01f};
	static const float sinks[HEADS] = {0, 1, -1, 3, -20, 0.5f};
	struct attend t;
	attend_init(&t, DTYPE_F32, N, HEADS, KV, D);
	t.a.v_dim = V, t.a.k_stride = KV * D, t.a.v_stride = KV * D, t.a.ldo = HEADS * V;
	t.a.slopes = slopes, t.a.sinks = sinks, t.a.softcap = 5;
	struct backend *ref = open_cpu("ref", 1);
	ref->ops->attention(ref, &t.a);
	ref->ops->close(ref);
	for (uint32_t i = 0; i < N; i++)
		for (uint32_t h = 0; t.rows[i].count && h < HEADS; h++)
			for (uint32_t j = 0; j < V; j++) {
				double want = plain_attention(&t.a, i, h, j);
				double got = (double)t.a.out[i * t.a.ldo + h * V + j];
				if (!(fabs(got - want) <= 2e-5))
					fail_msg("row %u head %u [%u]: %g, not %g", i, h, j, got, want);
			}
	check_attention(&t);
	attend_clear(&t);
}

/* --- the rest --------------------------------------------------------------------- */

static void assert_close(const char *what, const float *got, const float *want, size_t n, float tol)
{
	for (size_t i = 0; i < n; i++)
		if (!(fabsf(got[i] - want[i]) <= tol * (1 + fabsf(want[i]))))
			fail_msg("%s: [%zu] %g, not %g", what, i, (double)got[i], (double)want[i]);
}

static void row_operations_are_close(void **state)
{
	(void)state;
	enum { N = 5, D = 77, LD = 80 };
	float x[N * LD], u[N * LD], w[D], c[N * D], s[N * D], want[N * LD], got[N * LD];
	fill(x, N * LD), fill(u, N * LD), fill(w, D), fill(c, N * D), fill(s, N * D);
	struct backend *ref = open_cpu("ref", 1);
	for (const char *const *v = cpu_backend_variants(); *v; v++) {
		struct backend *b = open_cpu(*v, 2);
		memset(want, 0, sizeof(want)), memset(got, 0, sizeof(got));
		for (int kind = 0; kind < 8; kind++) {
			struct norm o = {want, x, LD, {1, 40, 1}, N, kind & 4 ? 1 : 2, kind & 4 ? D : 36,
				kind & 1 ? w : NULL, kind & 1 ? u : NULL, 0, 1e-5f, kind & 2};
			o.map.start = kind & 4 ? 0 : 1;
			ref->ops->norm(ref, &o);
			o.y = got;
			b->ops->norm(b, &o);
			assert_close("norm", got, want, N * LD, 4e-6f);
		}
		memcpy(want, x, sizeof(x)), memcpy(got, x, sizeof(x));
		ref->ops->softcap(ref, want, 2.5f, N * LD);
		b->ops->softcap(b, got, 2.5f, N * LD);
		assert_close("softcap", got, want, N * LD, 2e-6f);
		for (int act = ACT_SILU; act <= ACT_GELU_QUICK; act++) {
			ref->ops->act_mul(ref, (enum act_kind)act, want, x, act % 2 ? u : NULL, N, D, LD);
			b->ops->act_mul(b, (enum act_kind)act, got, x, act % 2 ? u : NULL, N, D, LD);
			assert_close("act_mul", got, want, N * LD, 2e-6f);
		}
		memcpy(want, x, sizeof(x)), memcpy(got, x, sizeof(x));
		ref->ops->add(ref, want, u, 0.3f, N, D, LD);
		b->ops->add(b, got, u, 0.3f, N, D, LD);
		ref->ops->scale(ref, want, 1.7f, N * LD);
		b->ops->scale(b, got, 1.7f, N * LD);
		assert_memory_equal(want, got, sizeof(got));
		for (int style = ROPE_HALF; style <= ROPE_PAIR; style++) {
			struct rope r = {want, LD, {1, 0, 2}, c, s, N, 2, 38, 36, (enum rope_style)style};
			ref->ops->rope(ref, &r);
			r.x = got;
			b->ops->rope(b, &r);
			assert_close("rope", got, want, N * LD, 2e-6f);
		}
		b->ops->close(b);
	}
	ref->ops->close(ref);
}

static void kv_store_rounds_and_maps(void **state)
{
	(void)state;
	enum { N = 3, HEADS = 2, DIM = 19, STRIDE = 50, LD = 120, CELL = HEADS * DIM };
	static const uint32_t cells[N] = {4, 0, 2};
	float src[N * LD], f32[5 * CELL];
	uint16_t f16[5 * CELL], bf16[5 * CELL];
	fill(src, N * LD);
	for (const char *const *v = cpu_backend_variants(); *v; v++) {
		struct backend *b = open_cpu(*v, 2);
		struct head_map map = {10, STRIDE, 1};
		b->ops->kv_store(b, f32, DTYPE_F32, src, LD, map, HEADS, DIM, cells, N);
		b->ops->kv_store(b, f16, DTYPE_F16, src, LD, map, HEADS, DIM, cells, N);
		b->ops->kv_store(b, bf16, DTYPE_BF16, src, LD, map, HEADS, DIM, cells, N);
		for (size_t i = 0; i < N * CELL; i++) {
			size_t row = i / CELL, head = i / DIM % HEADS, j = i % DIM;
			float x = src[row * LD + 10 + head * STRIDE + j];
			size_t at = cells[row] * CELL + head * DIM + j;
			assert_true(f32[at] == x);
			assert_int_equal(f16[at], f32_to_f16(x));
			assert_int_equal(bf16[at], f32_to_bf16(x));
		}
		b->ops->close(b);
	}
}

/* silu shows e^x: with x = -t it is -t / (1 + e^t). */
static void exponential_is_accurate(void **state)
{
	(void)state;
	enum { N = 4001 };
	static float x[N], y[N];
	for (int i = 0; i < N; i++)
		x[i] = (float)(i - 2000) * 0.05f;
	for (const char *const *v = cpu_backend_variants(); *v; v++) {
		struct backend *b = open_cpu(*v, 1);
		b->ops->act_mul(b, ACT_SILU, y, x, NULL, 1, N, N);
		for (int i = 0; i < N; i++) {
			double want = (double)x[i] / (1 + exp(-(double)x[i]));
			if (!(fabs((double)y[i] - want) <= 4e-7 * fabs(want) + 1e-36))
				fail_msg("%s: silu(%g) is %.9g, not %.9g", *v, (double)x[i], (double)y[i],
					want);
		}
		b->ops->close(b);
	}
}

static void wrong_options_are_explained(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	struct backend *b;
	assert_int_equal(cpu_backend_open(&b, "mmx", 1, &e), -1);
	assert_non_null(strstr(e.msg, "ref"));
	assert_int_equal(cpu_backend_open(&b, "auto", -1, &e), -1);
	b = open_cpu("auto", 0);
	assert_true(b->threads >= 1 && b->host_memory);
	b->ops->close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attention_is_close_and_invariant),
		cmocka_unit_test(prompts_are_close_and_invariant),
		cmocka_unit_test(latent_attention_is_close_and_invariant),
		cmocka_unit_test(cells_not_seen_do_not_count),
		cmocka_unit_test(attention_extras_follow_the_formula),
		cmocka_unit_test(row_operations_are_close),
		cmocka_unit_test(kv_store_rounds_and_maps),
		cmocka_unit_test(exponential_is_accurate),
		cmocka_unit_test(wrong_options_are_explained),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
