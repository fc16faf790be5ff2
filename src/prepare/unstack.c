/* Experts that a checkpoint keeps in stacked tensors ([experts, rows, cols]) are written one by one, under the names by
 * which their family publishes them: stacked, an expert lies in as many pieces as it has matrices. Bytes stay
 * what they are. Stacks of families that have no such names (gpt-oss, Granite) stay, so that others can read them. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "prepare/layout.h"

static int parts_of(enum role role, enum role parts[2])
{
	parts[0] = role == ROLE_EXPERT_GATE_UP ? ROLE_EXPERT_GATE : role;
	parts[1] = ROLE_EXPERT_UP;
	return role == ROLE_EXPERT_GATE_UP ? 2 : 1;
}

static bool can_unstack(const struct layout *l, const struct weight *w)
{
	char name[256];
	enum role parts[2];
	if (l->gguf || (w->role != ROLE_EXPERT_GATE_UP && w->role != ROLE_EXPERT_DOWN) || w->has_scaling ||
		w->transposed || w->tensor->n_dims != 3 || !dtype_info(w->dtype)->safetensors ||
		dtype_info(w->dtype)->block != 1 || l->m->moe.interleaved)
		return false;
	for (int i = parts_of(w->role, parts) - 1; i >= 0; i--)
		if (!model_expert_name(l->m, parts[i], w->tensor->name, w->layer, 0, name, sizeof(name)))
			return false;
	return true;
}

static int add_slices(struct layout *l, const struct weight *w, uint32_t expert, struct fate *fate, struct err *e)
{
	char name[256];
	enum role parts[2];
	const int n = parts_of(w->role, parts);
	const uint64_t rows = w->rows / (uint64_t)n;
	for (int i = 0; i < n; i++) {
		struct tensor *t = &l->slices[l->n_slices];
		*t = *w->tensor;
		t->n_dims = 2;
		t->shape[0] = rows;
		t->shape[1] = w->cols;
		t->bytes = rows * w->row_bytes;
		t->offset = w->offset + (uint64_t)i * t->bytes;
		fate[i] = fate[0];
		fate[i].order += (uint64_t)i * ORDER_STEP / 2;
		model_expert_name(l->m, parts[i], w->tensor->name, w->layer, expert, name, sizeof(name));
		if (!(t->name = strdup(name)))
			return err_nomem(e);
		l->n_slices++;
	}
	return 0;
}

int unstack(struct layout *l, const struct prepare_request *r, const struct schedule *s, struct fate *fates,
	struct fate **slice_fates, struct err *e)
{
	size_t count = 0;
	for (size_t i = 0; i < l->m->n_weights; i++)
		count += can_unstack(l, &l->m->weights[i]) ? 2 : 0;
	l->slices = count ? mem_array(count, sizeof(*l->slices)) : NULL;
	*slice_fates = count ? mem_array(count, sizeof(**slice_fates)) : NULL;
	if (count && (!l->slices || !*slice_fates))
		return err_nomem(e);
	size_t group = 0;
	for (size_t i = 0; count && i < s->n_expert_chunks; i++) {
		const struct weight *w = &l->m->weights[s->expert_chunks[i].weight];
		while (s->expert_first[group + 1] <= i)
			group++;
		if (!can_unstack(l, w))
			continue;
		struct fate *f = &(*slice_fates)[l->n_slices];
		f->layer = w->layer;
		f->order = (l->m->n_weights + s->n + i) * ORDER_STEP;
		f->group = (l->m->n_weights + s->n + s->expert_first[group]) * ORDER_STEP;
		struct weight whole = *w; /* as a tensor of its own */
		whole.tensor = &l->slices[l->n_slices];
		if (add_slices(l, w, (uint32_t)(group % s->n_experts), f, e) < 0)
			return -1;
		f->quant = layout_quant(r, &whole);
		f[w->role == ROLE_EXPERT_GATE_UP].quant = f->quant;
		struct fate *stack = &fates[w->tensor - l->c->tensors];
		stack->quant = f->quant;
		stack->dropped = true;
	}
	return 0;
}
