/* Attention on vectors of 16 lanes: query heads that read the same keys and values, of one row or of several, go
 * through the cells block by block together. Included behind simd_ops.h; the includer defines SCORE_Q, the queries
 * that share a key in registers, SCORE_SUMS, the scores that score_sums makes of as many sums, and VALUE_V, the vectors of a value
 * that VALUE_Q queries share.
 *
 * What is added to what does not depend on who goes together: a score is a canonical sum (backend.h), and values
 * are added cell by cell. */

#define VALUE_Q 4
#define SCORE_LD (ATTN_BLOCK + 16) /* whole groups of scores are written, so some behind the block's end */
#define DECODED_LD(n) (((n) + 15) / 16 * 16 + 16) /* floats from key or value to the next; not 4096 bytes */
#define DIRECT_QUERIES 4	   /* up to so many, decoding keys and values where they are used is faster */

_Static_assert(SCORE_SUMS <= 16 && SCORE_SUMS % SCORE_Q == 0, "groups of scores");

struct queries {
	const struct attention *a;
	uint32_t count, v_dim, kv_head, last; /* last: the highest end */
	const float *q[ATTN_QUERIES];
	float *state[ATTN_QUERIES];
	uint32_t head[ATTN_QUERIES], first[ATTN_QUERIES], end[ATTN_QUERIES];
	/* Of the present block: cells [lo, hi) seen, counted from its first; scores, then weights; what the
	 * state is multiplied with; keys and values of the cells. */
	uint32_t lo[ATTN_QUERIES], hi[ATTN_QUERIES];
	float p[ATTN_QUERIES][SCORE_LD], keep[ATTN_QUERIES];
	const void *k[SCORE_LD], *v[SCORE_LD];
};

/* 16 (or n) values from p + at on. */
SIMD_INLINE v16 kv_load(const void *p, enum dtype type, size_t at, size_t n)
{
	if (type == DTYPE_F32) {
		const float *f = (const float *)p + at;
		return n < 16 ? v16_load_n(f, n) : v16_load(f);
	}
	const uint16_t *h = (const uint16_t *)p + at;
	uint16_t t[16] = {0};
	if (n < 16) {
		memcpy(t, h, n * sizeof(*t));
		h = t;
	}
	return type == DTYPE_BF16 ? v16_load_bf16(h) : v16_load_f16(h);
}

/* Scores of nq queries from m on with the SCORE_SUMS / nq cells from c on. */
SIMD_INLINE void score_tile(struct queries *s, uint32_t m, uint32_t c, enum dtype type, const uint32_t nq)
{
	const uint32_t d = s->a->head_dim, nc = SCORE_SUMS / nq;
	v16 acc[SCORE_SUMS], q[SCORE_Q];
	UNROLL(16) for (uint32_t i = 0; i < SCORE_SUMS; i++) acc[i] = v16_set1(0);
	uint32_t j = 0;
	for (; j + 16 <= d; j += 16) {
		UNROLL(16) for (uint32_t i = 0; i < nq; i++) q[i] = v16_load(s->q[m + i] + j);
		UNROLL(16) for (uint32_t r = 0; r < nc; r++) {
			v16 k = kv_load(s->k[c + r], type, j, 16);
			UNROLL(16) for (uint32_t i = 0; i < nq; i++) acc[i * nc + r] =
				v16_fma(q[i], k, acc[i * nc + r]);
		}
	}
	if (j < d) {
		UNROLL(16) for (uint32_t i = 0; i < nq; i++) q[i] = v16_load_n(s->q[m + i] + j, d - j);
		UNROLL(16) for (uint32_t r = 0; r < nc; r++) {
			v16 k = kv_load(s->k[c + r], type, j, d - j);
			UNROLL(16) for (uint32_t i = 0; i < nq; i++) acc[i * nc + r] =
				v16_fma(q[i], k, acc[i * nc + r]);
		}
	}
	float sums[SCORE_SUMS];
	score_sums(sums, acc, s->a->scale);
	UNROLL(16) for (uint32_t i = 0; i < nq; i++) memcpy(s->p[m + i] + c, sums + i * nc, nc * sizeof(*sums));
}

SIMD_INLINE void score_queries(struct queries *s, uint32_t m, enum dtype type, const uint32_t nq)
{
	uint32_t lo = ATTN_BLOCK, hi = 0;
	for (uint32_t i = 0; i < nq; i++) {
		lo = s->lo[m + i] < lo ? s->lo[m + i] : lo;
		hi = s->hi[m + i] > hi ? s->hi[m + i] : hi;
	}
	for (uint32_t c = lo; c < hi; c += SCORE_SUMS / nq)
		score_tile(s, m, c, type, nq);
}

/* So that the number of queries is a constant inside. */
SIMD_INLINE void scores(struct queries *s, enum dtype type)
{
	uint32_t m = 0;
	for (; m + SCORE_Q <= s->count; m += SCORE_Q)
		score_queries(s, m, type, SCORE_Q);
#if SCORE_Q > 2
	if (s->count - m == 3)
		score_queries(s, m, type, 3);
	if (s->count - m == 2)
		score_queries(s, m, type, 2);
#endif
	if (s->count - m == 1)
		score_queries(s, m, type, 1);
}

/* out = out * keep + sum over cells of weight * value: nv vectors from element j on (of the last one n elements)
 * of nq queries from m on. */
SIMD_INLINE void value_tile(struct queries *s, uint32_t m, uint32_t j, size_t n, enum dtype type, const uint32_t nq,
	const uint32_t nv)
{
	v16 acc[VALUE_Q][VALUE_V], v[VALUE_V];
	uint32_t lo = ATTN_BLOCK, hi = 0, from = 0, to = ATTN_BLOCK; /* [from, to): all see it */
	UNROLL(8) for (uint32_t i = 0; i < nq; i++) {
		const uint32_t l = s->lo[m + i], h = s->hi[m + i];
		lo = l < lo ? l : lo, from = l > from ? l : from;
		hi = h > hi ? h : hi, to = h < to ? h : to;
		UNROLL(8) for (uint32_t r = 0; r < nv; r++) acc[i][r] =
			v16_mul(v16_load(s->state[m + i] + j + 16 * r), v16_set1(s->keep[m + i]));
	}
	for (uint32_t c = lo; c < hi; c++) {
		for (; c >= from && c < to; c++) {
			UNROLL(8) for (uint32_t r = 0; r < nv; r++) v[r] = kv_load(s->v[c], type, j + 16 * r, n);
			UNROLL(8) for (uint32_t i = 0; i < nq; i++) {
				v16 p = v16_set1(s->p[m + i][c]);
				UNROLL(8) for (uint32_t r = 0; r < nv; r++) acc[i][r] =
					v16_fma(p, v[r], acc[i][r]);
			}
		}
		if (c >= hi)
			break;
		UNROLL(8) for (uint32_t r = 0; r < nv; r++) v[r] = kv_load(s->v[c], type, j + 16 * r, n);
		UNROLL(8) for (uint32_t i = 0; i < nq; i++) {
			if (c < s->lo[m + i] || c >= s->hi[m + i])
				continue; /* not even with weight 0: a value may be infinite */
			UNROLL(8) for (uint32_t r = 0; r < nv; r++) acc[i][r] =
				v16_fma(v16_set1(s->p[m + i][c]), v[r], acc[i][r]);
		}
	}
	UNROLL(8) for (uint32_t i = 0; i < nq; i++)
		UNROLL(8) for (uint32_t r = 0; r < nv; r++) v16_store(s->state[m + i] + j + 16 * r, acc[i][r]);
}

SIMD_INLINE void value_queries(struct queries *s, uint32_t m, enum dtype type, const uint32_t nq)
{
	uint32_t j = 0;
	for (; j + 16 * VALUE_V <= s->v_dim; j += 16 * VALUE_V)
		value_tile(s, m, j, 16, type, nq, VALUE_V);
	for (; j < s->v_dim; j += 16)
		value_tile(s, m, j, s->v_dim - j < 16 ? s->v_dim - j : 16, type, nq, 1);
}

SIMD_INLINE void values(struct queries *s, enum dtype type)
{
	uint32_t m = 0;
	for (; m + VALUE_Q <= s->count; m += VALUE_Q)
		value_queries(s, m, type, VALUE_Q);
	switch (s->count - m) {
	case 1:
		value_queries(s, m, type, 1);
		break;
	case 2:
		value_queries(s, m, type, 2);
		break;
	case 3:
		value_queries(s, m, type, 3);
	}
}

/* The softcap, then ALiBi: scores fall with the distance to the query's last cell, `last` places behind the
 * block's first. */
static void bend_scores(const struct attention *a, float *p, uint32_t head, uint32_t last)
{
	for (uint32_t c = 0; a->softcap > 0 && c < ATTN_BLOCK; c += 16) {
		/* tanh u = 1 - 2 / (e^2u + 1) */
		v16 e = v16_exp(v16_mul(v16_load(p + c), v16_set1(2.0f / a->softcap)));
		v16 t = v16_div(v16_set1(2.0f), v16_add(e, v16_set1(1.0f)));
		v16_store(p + c, v16_mul(v16_set1(a->softcap), v16_sub(v16_set1(1.0f), t)));
	}
	if (!a->slopes)
		return;
	const float slope = a->slopes[head];
	for (uint32_t c = 0; c < ATTN_BLOCK; c++)
		p[c] -= slope * (float)(int32_t)(last - c);
}

/* Scores of query m to weights e^(s - max), with its running maximum and sum. */
static void softmax(struct queries *s, uint32_t m, uint32_t block)
{
	float *p = s->p[m], *max = s->state[m] + attn_state_dim(s->a), *sum = max + 1;
	s->keep[m] = 1;
	if (s->lo[m] >= s->hi[m])
		return;
	bend_scores(s->a, p, s->head[m], s->end[m] - 1 - block);
	for (uint32_t c = 0; c < s->lo[m]; c++)
		p[c] = -INFINITY;
	for (uint32_t c = s->hi[m]; c < ATTN_BLOCK; c++)
		p[c] = -INFINITY;
	v16 top = v16_set1(*max); /* what is not a number does not count */
	for (uint32_t c = 0; c < ATTN_BLOCK; c += 16)
		top = v16_max(v16_load(p + c), top);
	const float now = v16_top(top), from = now == -INFINITY ? 0.0f : now; /* all -inf: every weight is 0 */
	v16 total = v16_set1(0);
	for (uint32_t c = 0; c < ATTN_BLOCK; c += 16) {
		v16 e = v16_exp(v16_sub(v16_load(p + c), v16_set1(from)));
		v16_store(p + c, e);
		total = v16_add(total, e);
	}
	if (now != *max) { /* else e^0 */
		float t[16];
		v16_store(t, v16_exp(v16_set1(*max - from)));
		s->keep[m] = t[0];
		*max = now;
	}
	*sum = *sum * s->keep[m] + v16_sum(total);
}

SIMD_INLINE void kv_decode_type(float *to, const void *from, enum dtype type, uint32_t n)
{
	uint32_t j = 0;
	for (; j + 16 <= n; j += 16)
		v16_store(to + j, kv_load(from, type, j, 16));
	if (j < n)
		v16_store_n(to + j, kv_load(from, type, j, n - j), n - j);
}

/* n values of a cell to floats at `to`. */
static void kv_decode(float *to, const void *from, enum dtype type, uint32_t n)
{
	if (type == DTYPE_BF16)
		kv_decode_type(to, from, DTYPE_BF16, n);
	else
		kv_decode_type(to, from, DTYPE_F16, n);
}

static inline void fetch(const void *p, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 64)
		__builtin_prefetch((const char *)p + i);
}

/* Where keys and values of cells [lo, hi) of the block lie, decoded to `to` if that is not NULL. Places behind
 * are those of the last cell. */
static void block_cells(struct queries *s, uint32_t block, uint32_t lo, uint32_t hi, float *to)
{
	const struct attention *a = s->a;
	const size_t bytes = a->kv_type == DTYPE_F32 ? sizeof(float) : sizeof(uint16_t);
	const size_t k_step = attn_k_stride(a) * bytes, v_step = attn_v_stride(a) * bytes;
	const unsigned char *k = (const unsigned char *)a->k + (size_t)s->kv_head * a->head_dim * bytes;
	const unsigned char *v = (const unsigned char *)a->v + (size_t)s->kv_head * s->v_dim * bytes;
	const bool same = k == v && k_step == v_step && s->v_dim <= a->head_dim; /* latent attention */
	for (uint32_t c = lo; c < hi; c++) {
		s->k[c] = k + a->cells[block + c] * k_step;
		s->v[c] = v + a->cells[block + c] * v_step;
		if (!to) {
			fetch(s->v[c], s->v_dim * bytes);
			if (block + c + ATTN_BLOCK < s->last)
				fetch(k + a->cells[block + c + ATTN_BLOCK] * k_step, a->head_dim * bytes);
			continue;
		}
		kv_decode(to, s->k[c], a->kv_type, a->head_dim);
		s->k[c] = to;
		if (!same) {
			to += DECODED_LD(a->head_dim);
			kv_decode(to, s->v[c], a->kv_type, s->v_dim);
		}
		s->v[c] = to;
		to += DECODED_LD(same ? a->head_dim : s->v_dim);
	}
	for (uint32_t c = hi; c < hi + SCORE_SUMS; c++)
		s->k[c] = s->k[hi - 1];
}

SIMD_INLINE void attend_cells(struct queries *s, uint32_t block, enum dtype type)
{
	scores(s, type);
	for (uint32_t m = 0; m < s->count; m++)
		softmax(s, m, block);
	values(s, type);
}

/* decoded: room for that, or NULL */
static void attend_block(struct queries *s, uint32_t block, float *decoded)
{
	uint32_t lo = ATTN_BLOCK, hi = 0;
	for (uint32_t m = 0; m < s->count; m++) {
		s->lo[m] = s->first[m] > block ? s->first[m] - block : 0;
		s->hi[m] = s->end[m] < block ? 0 : s->end[m] - block < ATTN_BLOCK ? s->end[m] - block : ATTN_BLOCK;
		if (s->lo[m] >= s->hi[m])
			s->lo[m] = ATTN_BLOCK, s->hi[m] = 0;
		lo = s->lo[m] < lo ? s->lo[m] : lo;
		hi = s->hi[m] > hi ? s->hi[m] : hi;
	}
	if (lo >= hi)
		return;
	block_cells(s, block, lo, hi, decoded);
	if (decoded || s->a->kv_type == DTYPE_F32)
		attend_cells(s, block, DTYPE_F32);
	else if (s->a->kv_type == DTYPE_BF16)
		attend_cells(s, block, DTYPE_BF16);
	else
		attend_cells(s, block, DTYPE_F16);
}

static void simd_attend(const struct attn_part *p, uint32_t from, uint32_t to, float *states, float *scratch)
{
	const struct attention *a = p->a;
	struct queries s; /* large: what is not set is not read */
	s.a = a, s.v_dim = attn_v_dim(a), s.kv_head = p->head / (a->heads / a->kv_heads), s.count = s.last = 0;
	for (uint32_t i = 0; i < p->rows; i++)
		for (uint32_t h = 0; h < p->heads; h++, s.count++, states += attn_state_floats(a)) {
			const struct attn_row *r = &a->rows[p->row + i];
			s.q[s.count] = a->q + (p->row + i) * a->ldq + head_offset(&a->q_map, p->head + h, a->head_dim);
			s.state[s.count] = states;
			s.head[s.count] = p->head + h;
			s.first[s.count] = r->first;
			s.end[s.count] = r->first + r->count;
			s.last = s.end[s.count] > s.last ? s.end[s.count] : s.last;
		}
	const size_t decoded = (size_t)ATTN_BLOCK * (DECODED_LD(a->head_dim) + DECODED_LD(s.v_dim)) * sizeof(float);
	if (s.count <= DIRECT_QUERIES || a->kv_type == DTYPE_F32 || decoded > ATTN_SCRATCH_BYTES)
		scratch = NULL;
	for (uint32_t block = from; block < to; block += ATTN_BLOCK)
		attend_block(&s, block, scratch);
}
