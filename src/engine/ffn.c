/* The feed-forward part of one layer: down(act(gate(x)) * up(x)), or down(act(up(x))). */
#include "engine/moe.h"

size_t ffn_width(const struct model *m)
{
	size_t dense = 2 * (size_t)m->ffn, moe = moe_width(m);
	return dense > moe ? dense : moe;
}

int ffn_forward(struct engine *en, const struct pass *p, uint32_t layer, float *y, const float *x,
	struct err *e)
{
	const struct model *m = en->c.model;
	struct backend *b = en->c.backend;
	const bool fused = model_weight(m, layer, ROLE_GATE_UP), gated = model_weight(m, layer, ROLE_GATE);
	const size_t ld = 2 * (size_t)m->ffn;
	float *gate = en->w.b, *up = gate + m->ffn;
	int rc;

	if (m->layers[layer].experts)
		return moe_forward(en, p, layer, y, x, e);
	if (fused)
		rc = forward_matmul(en, layer, ROLE_GATE_UP, gate, ld, x, m->hidden, p->n, e);
	else if (gated)
		rc = forward_matmul(en, layer, ROLE_GATE, gate, ld, x, m->hidden, p->n, e);
	else
		rc = forward_matmul(en, layer, ROLE_UP, gate, ld, x, m->hidden, p->n, e);
	if (rc == 0 && gated)
		rc = forward_matmul(en, layer, ROLE_UP, up, ld, x, m->hidden, p->n, e);
	if (rc < 0)
		return -1;
	b->ops->act_mul(b, m->act, gate, gate, fused || gated ? up : NULL, p->n, m->ffn, ld);
	return forward_matmul(en, layer, ROLE_DOWN, y, m->hidden, gate, ld, p->n, e);
}
