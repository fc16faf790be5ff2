#include "engine/route.h"

#include <math.h>
#include <stdlib.h>

static void softmax(float *x, uint32_t n)
{
	float max = x[0], sum = 0;
	for (uint32_t i = 1; i < n; i++)
		max = x[i] > max ? x[i] : max;
	for (uint32_t i = 0; i < n; i++)
		sum += x[i] = expf(x[i] - max);
	for (uint32_t i = 0; i < n; i++)
		x[i] /= sum;
}

/* The place of the largest of x [n] that is not taken, or n. Of equals the first. */
static uint32_t best(const float *x, const bool *taken, uint32_t n)
{
	uint32_t at = n;
	for (uint32_t i = 0; i < n; i++)
		if (!taken[i] && (at == n || x[i] > x[at]))
			at = i;
	return at;
}

static float group_score(const struct moe *m, const float *x, uint32_t n)
{
	float first = -INFINITY, second = -INFINITY;
	for (uint32_t i = 0; i < n; i++) {
		if (x[i] > first) {
			second = first;
			first = x[i];
		} else if (x[i] > second) {
			second = x[i];
		}
	}
	return m->group_sum2 ? first + (n > 1 ? second : 0) : first;
}

/* Experts of groups that were not chosen count as taken. */
static void choose_groups(const struct moe *m, const float *scores, bool *taken)
{
	float of_group[ROUTE_EXPERTS_MAX];
	bool kept[ROUTE_EXPERTS_MAX] = {false};
	uint32_t size = m->n_experts / m->groups;
	for (uint32_t g = 0; g < m->groups; g++)
		of_group[g] = group_score(m, scores + (size_t)g * size, size);
	for (uint32_t i = 0; i < m->top_groups; i++)
		kept[best(of_group, kept, m->groups)] = true;
	for (uint32_t i = 0; i < m->n_experts; i++)
		taken[i] = !kept[i / size];
}

static int by_expert(const void *a, const void *b)
{
	const struct chosen *x = a, *y = b;
	return (x->expert > y->expert) - (x->expert < y->expert);
}

static void weigh(const struct moe *m, struct chosen *out)
{
	if (m->score == ROUTE_TOPK_SOFTMAX) {
		float w[ROUTE_EXPERTS_MAX];
		for (uint32_t i = 0; i < m->top_k; i++)
			w[i] = out[i].weight;
		softmax(w, m->top_k);
		for (uint32_t i = 0; i < m->top_k; i++)
			out[i].weight = w[i];
	}
	if (m->normalize) {
		float sum = m->score == ROUTE_SIGMOID ? 1e-20f : 0; /* as DeepSeek V3 has it */
		for (uint32_t i = 0; i < m->top_k; i++)
			sum += out[i].weight;
		for (uint32_t i = 0; i < m->top_k; i++)
			out[i].weight /= sum;
	}
	for (uint32_t i = 0; i < m->top_k; i++)
		out[i].weight *= m->scale;
}

int route(const struct moe *m, const float *logits, const float *bias, struct chosen *out, struct err *e)
{
	float scores[ROUTE_EXPERTS_MAX], choice[ROUTE_EXPERTS_MAX];
	bool taken[ROUTE_EXPERTS_MAX] = {false};
	for (uint32_t i = 0; i < m->n_experts; i++) {
		if (isnan(logits[i]))
			return err_set(e, ERR_FORMAT, "the router's logit of expert %u is not a number: the weights hold NaN or overflow", i);
		scores[i] = m->score == ROUTE_SIGMOID ? 1 / (1 + expf(-logits[i])) : logits[i];
	}
	if (m->score == ROUTE_SOFTMAX)
		softmax(scores, m->n_experts);
	for (uint32_t i = 0; i < m->n_experts; i++)
		choice[i] = scores[i] + (bias ? bias[i] : 0);
	if (m->groups > 1)
		choose_groups(m, choice, taken);
	for (uint32_t i = 0; i < m->top_k; i++) {
		uint32_t at = best(choice, taken, m->n_experts);
		taken[at] = true;
		out[i] = (struct chosen){at, scores[at]};
	}
	weigh(m, out);
	qsort(out, m->top_k, sizeof(*out), by_expert);
	return 0;
}
