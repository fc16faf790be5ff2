/* --math fast with activations of 8 bits, a scale for each 32 of them, multiplied with the integers of low-bit
 * weights as they lie. A group of 32 weights is w = d * q + m, so a dot product is the sum over groups of
 * d * dx * (q . xq) + m * dx * (sum of xq); formats with HALVES have a d and an m for each 16.
 *
 * What the kernels for few and for many rows of x share. The two add in different orders: here the bits depend
 * on the number of rows. Behind fast_codes.h and the includer's SIGNED_MIN: what m is to be for d = 1 where codes
 * are signed. */

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

/* --- a product ---------------------------------------------------------------------- */

#define ROWS_READY 8 /* weight rows whose scales are at hand */

struct call {
	const struct matmul *m;
	const uint8_t *x;
	size_t row_bytes;
	int shift;	/* of scales, see struct row */
	float *scales;	/* scratch: [ROWS_READY] rows of runs */
	uint32_t runs;
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

/* Formats in whole groups of 32, each with one scale that is known from the format. */
static bool int_format(const struct matmul *m)
{
	const struct scaling *how = m->scales.how;
	if (m->transposed || m->k % 32 || !m->k || !codes_known(m->dtype) || !(codes_flags(m->dtype) & SCALED) != !how)
		return false;
	return !how || (scaling_shift(how, m->k) >= 0 && !how->code);
}

/* Bytes of scratch memory for scales. */
static size_t call_bytes(const struct matmul *m)
{
	return ROWS_READY * ((size_t)m->k / 32 + 2) * sizeof(float);
}

static struct call call_of(const struct matmul *m, const uint8_t *x, float *scratch)
{
	const struct dtype_info *info = dtype_info(m->dtype);
	struct call c = {.m = m, .x = x, .row_bytes = (size_t)(m->k / info->block) * info->block_bytes,
		.scales = scratch, .runs = m->k / 32 + 2};
	if (m->scales.how)
		c.shift = scaling_shift(m->scales.how, m->k);
	return c;
}

INLINE void row_next(struct row *w, const enum dtype t)
{
	w->p += eight_bytes(t);
	w->phase += 8;
}

/* What is read next is fetched into the second cache as one stream, though several rows are read side by side: so
 * many bytes ahead. */
#define FETCH_AHEAD 16384

INLINE void fetch(const uint8_t *p, const size_t bytes)
{
#pragma GCC unroll 16
	for (size_t at = 0; at < bytes; at += 64)
		_mm_prefetch((const char *)p + at, _MM_HINT_T1);
}

typedef void int_fn(const struct call *c, uint32_t r, uint32_t rows);
