#include "engine/sampler.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

struct candidate {
	float logit;
	uint32_t id;
};

struct sampler {
	struct sampler_params p;
	uint32_t vocab;
	uint64_t rng;
	struct candidate *c; /* [vocab] */
	uint32_t *counts;    /* [vocab], only when penalties are on */
};

int sampler_check(const struct sampler_params *p, struct err *e)
{
	const char *bad = !(p->temp >= 0 && p->temp <= 100)	  ? "temp (0 to 100)"
		: !(p->top_p > 0 && p->top_p <= 1)		  ? "top-p (above 0, up to 1)"
		: !(p->min_p >= 0 && p->min_p <= 1)		  ? "min-p (0 to 1)"
		: !(p->repeat_penalty > 0 && p->repeat_penalty < 100) ? "repeat-penalty (above 0)"
		: !(fabsf(p->presence_penalty) <= 100)		  ? "presence-penalty (-100 to 100)"
		: !(fabsf(p->frequency_penalty) <= 100)		  ? "frequency-penalty (-100 to 100)"
								  : NULL;
	return bad ? err_set(e, ERR_USAGE, "out of range: %s", bad) : 0;
}

struct sampler *sampler_new(const struct sampler_params *p, uint32_t vocab)
{
	struct sampler *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->p = *p;
	s->vocab = vocab;
	s->rng = p->seed;
	bool penalties = p->repeat_penalty != 1 || p->presence_penalty != 0 || p->frequency_penalty != 0;
	if (p->temp > 0)
		s->c = mem_array(vocab, sizeof(*s->c));
	if (penalties)
		s->counts = mem_array(vocab, sizeof(*s->counts));
	if ((p->temp > 0 && !s->c) || (penalties && !s->counts)) {
		sampler_free(s);
		return NULL;
	}
	return s;
}

void sampler_free(struct sampler *s)
{
	if (!s)
		return;
	free(s->c);
	free(s->counts);
	free(s);
}

/* splitmix64 (Steele, Lea, Flood 2014); 53 bits in [0, 1). */
static double uniform(struct sampler *s)
{
	uint64_t z = (s->rng += 0x9E3779B97F4A7C15u);
	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	z ^= z >> 31;
	return (double)(z >> 11) * 0x1p-53;
}

static void penalize(struct sampler *s, float *logits, const uint32_t *seen, size_t n, size_t n_new)
{
	for (size_t i = 0; i < n; i++) /* the repetition penalty counts prompt and answer, once each */
		if (seen[i] < s->vocab)
			s->counts[seen[i]] = 1;
	for (size_t i = 0; i < n; i++) {
		uint32_t id = seen[i];
		if (id >= s->vocab || !s->counts[id])
			continue;
		s->counts[id] = 0;
		float l = logits[id];
		logits[id] = l > 0 ? l / s->p.repeat_penalty : l * s->p.repeat_penalty;
	}
	for (size_t i = n - n_new; i < n; i++)
		if (seen[i] < s->vocab)
			s->counts[seen[i]]++;
	for (size_t i = n - n_new; i < n; i++) {
		uint32_t id = seen[i];
		if (id >= s->vocab || !s->counts[id])
			continue;
		logits[id] -= s->p.presence_penalty + s->p.frequency_penalty * (float)s->counts[id];
		s->counts[id] = 0;
	}
}

/* Highest logit first, lowest id among equals: an order that hangs on nothing else. */
static int by_logit(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	if (x->logit != y->logit)
		return x->logit > y->logit ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Move the k best of n to the front, unsorted (Hoare's selection, median of three). */
static void select_best(struct candidate *c, size_t n, size_t k)
{
	size_t lo = 0, hi = n;
	while (hi - lo > 1 && k > lo && k < hi) {
		struct candidate a = c[lo], m = c[lo + (hi - lo) / 2], z = c[hi - 1], pivot;
		pivot = by_logit(&a, &m) < 0 ? (by_logit(&m, &z) < 0 ? m : by_logit(&a, &z) < 0 ? z : a)
					     : (by_logit(&a, &z) < 0 ? a : by_logit(&m, &z) < 0 ? z : m);
		size_t i = lo, j = hi - 1;
		while (i <= j) {
			while (by_logit(&c[i], &pivot) < 0)
				i++;
			while (by_logit(&pivot, &c[j]) < 0)
				j--;
			if (i <= j) {
				struct candidate t = c[i];
				c[i++] = c[j];
				c[j] = t;
				if (j == 0)
					break;
				j--;
			}
		}
		if (k <= j + 1 && j + 1 < hi)
			hi = j + 1;
		else if (k >= i)
			lo = i;
		else
			return;
	}
}

static uint32_t draw(struct sampler *s, size_t n)
{
	const struct sampler_params *p = &s->p;
	struct candidate *c = s->c;
	size_t k = p->top_k && p->top_k < n ? p->top_k : n;
	if (k < n)
		select_best(c, n, k);
	qsort(c, k, sizeof(*c), by_logit);
	double top = c[0].logit, sum = 0, all = 0;
	for (size_t i = 0; i < k; i++)
		all += exp((c[i].logit - top) / p->temp);
	size_t keep = 0;
	for (; keep < k; keep++) { /* top-p keeps the token that crosses the line */
		double w = exp((c[keep].logit - top) / p->temp);
		if (keep > 0 && (sum >= p->top_p * all || w < p->min_p))
			break;
		sum += w;
	}
	double u = uniform(s) * sum;
	for (size_t i = 0; i + 1 < keep; i++) {
		u -= exp((c[i].logit - top) / p->temp);
		if (u < 0)
			return c[i].id;
	}
	return c[keep - 1].id;
}

int sampler_pick(struct sampler *s, float *logits, const uint32_t *seen, size_t n_seen, size_t n_new,
	uint32_t *token, struct err *e)
{
	if (s->counts)
		penalize(s, logits, seen, n_seen, n_new);
	size_t n = 0;
	float best = -INFINITY;
	bool found = false;
	for (uint32_t i = 0; i < s->vocab; i++) {
		if (isnan(logits[i]) || logits[i] == -INFINITY)
			continue;
		if (!found || logits[i] > best) {
			best = logits[i];
			*token = i;
			found = true;
		}
		if (s->c)
			s->c[n++] = (struct candidate){logits[i], i};
	}
	if (!found)
		return err_set(e, ERR_FORMAT, "the model gave no usable logit (NaN or -inf for every token): its weights are damaged or overflow");
	if (s->p.temp > 0 && best < INFINITY)
		*token = draw(s, n);
	return 0;
}
