#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/arch.h"
#include "model/quantization.h"
#include "store/gguf.h"

static char *display_name(const struct checkpoint *c)
{
	struct gguf_str s;
	if (c->gguf && gguf_string(c->gguf, "general.name", &s) && s.len && s.len < 200)
		return strndup(s.p, s.len);
	const char *end = c->path + strlen(c->path);
	while (end > c->path && end[-1] == '/')
		end--;
	const char *start = end;
	while (start > c->path && start[-1] != '/')
		start--;
	return strndup(start, (size_t)(end - start));
}

static int check_dimensions(const struct model *m, const struct checkpoint *c, struct err *e)
{
	const float scales[] = {m->norm_eps, m->embed_scale, m->residual_scale, m->logit_scale, m->attn_scale,
		m->attn_softcap, m->logit_softcap, m->alibi, m->clip_qkv};
	bool rot_fits = true;
	for (uint32_t i = 0; i < m->n_ropes; i++)
		rot_fits = rot_fits && m->rope[i].rot <= m->head_dim && m->rope[i].rot % 2 == 0;
	if (m->heads % m->kv_heads || m->head_dim > 4096 || !rot_fits ||
		(uint64_t)m->heads * m->head_dim > 1u << 24 || m->hidden > 1u << 24 || m->ffn > 1u << 28)
		return err_set(e, ERR_FORMAT, "%s: %u heads on %u key-value heads of %u dimensions make no sense",
			c->path, m->heads, m->kv_heads, m->head_dim);
	for (size_t i = 0; i < sizeof(scales) / sizeof(*scales); i++)
		if (!isfinite(scales[i]))
			return err_set(e, ERR_FORMAT, "%s: the config has a number that is too large", c->path);
	return 0;
}

int model_open(struct model **out, const struct checkpoint *c, struct err *e)
{
	*out = NULL;
	struct model *m = calloc(1, sizeof(*m));
	if (!m || !(m->name = display_name(c))) {
		free(m);
		return err_nomem(e);
	}
	int rc = c->kind == CHECKPOINT_GGUF ? config_from_gguf(m, c, e) : config_from_json(m, c, e);
	for (uint32_t i = 0; rc == 0 && i < m->n_layers; i++)
		m->layers[i].windowed = m->layers[i].windowed && m->window;
	if (rc == 0)
		rc = check_dimensions(m, c, e);
	if (rc == 0 && !m->quantization) /* a GGUF's types say it all */
		rc = quantization_open(&m->quantization, c, NULL, NULL, e);
	if (rc == 0)
		rc = weights_find(m, c, e);
	if (rc < 0) {
		model_close(m);
		return -1;
	}
	*out = m;
	return 0;
}

void model_close(struct model *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < sizeof(m->rope) / sizeof(*m->rope); i++) {
		free(m->rope[i].short_factor);
		free(m->rope[i].long_factor);
	}
	for (size_t i = 0; i < m->n_weights; i++)
		free(m->weights[i].parts);
	free(m->name);
	free(m->layers);
	free(m->weights);
	free(m->by_role);
	quantization_close(m->quantization);
	free(m);
}

const struct weight *model_weight(const struct model *m, uint32_t layer, enum role role)
{
	int32_t i = m->by_role[(size_t)layer * ROLES + role];
	return i < 0 ? NULL : &m->weights[i];
}

uint32_t model_copies(const struct model *m, enum role role)
{
	return role_is_expert(role) ? m->moe.n_experts : role == ROLE_K_B || role == ROLE_V_B ? m->heads : 1;
}

struct qkv_layout model_qkv_layout(const struct model *m, bool fused)
{
	const uint32_t d = m->head_dim, q = m->heads * d, kv = m->kv_heads * d;
	struct qkv_layout l = {.width = q + 2 * kv};
	if (fused && m->qkv_groups) {
		uint32_t group = m->heads / m->kv_heads, stride = (group + 2) * d;
		l.q = (struct head_map){0, stride, group};
		l.k = (struct head_map){group * d, stride, 1};
		l.v = (struct head_map){(group + 1) * d, stride, 1};
	} else {
		l.q = (struct head_map){0, 0, m->heads};
		l.k = (struct head_map){q, 0, m->kv_heads};
		l.v = (struct head_map){q + kv, 0, m->kv_heads};
	}
	return l;
}
