/* What single families mean by their GGUF metadata beyond the generic reader: llama.cpp's src/models. */
#include <math.h>

#include "model/arch.h"
#include "model/families.h"

/* The window, and the layers that have one: a list of flags, else all but every pattern-th (0: all). */
static void windows(struct gguf_config *c, struct model *m, uint32_t fallback, uint32_t pattern)
{
	char k[160];
	uint64_t window = fallback, every;
	gguf_u64(c->g, gguf_key(c, "attention.sliding_window", k), &window);
	if (window > 1000000000) {
		gguf_refuse(c, "such a sliding window is");
		return;
	}
	m->window = (uint32_t)window;
	const struct gguf_kv *list = gguf_find(c->g, gguf_key(c, "attention.sliding_window_pattern", k));
	if (list && list->type != GGUF_ARRAY && gguf_u64(c->g, k, &every) && every <= m->n_layers)
		pattern = (uint32_t)every;
	if (list && list->type == GGUF_ARRAY && list->count != m->n_layers) {
		gguf_refuse(c, "a list of windows of another length than the layers is");
		return;
	}
	for (uint32_t i = 0; i < m->n_layers; i++) {
		int64_t flag = pattern == 0 || (i + 1) % pattern != 0;
		if (list && list->type == GGUF_ARRAY && list->elem_type == GGUF_BOOL)
			flag = list->data[i];
		else if (list && list->type == GGUF_ARRAY && !gguf_elem_i64(list, i, &flag))
			gguf_refuse(c, "such a list of windows is");
		m->layers[i].windowed = window && flag;
	}
}

/* Windowed layers rotate by a base of their own, without scaling. */
static void local_rope(struct gguf_config *c, struct model *m, double theta)
{
	m->rope[1] = (struct rope_params){.rot = m->rope[0].rot, .factor = 1, .attention = 1,
		.theta = gguf_number(c, "rope.freq_base_swa", theta), .original_ctx = m->ctx_train};
	if (!(m->rope[1].theta > 0))
		gguf_refuse(c, "these rope numbers are");
	m->n_ropes = 2;
	for (uint32_t i = 0; i < m->n_layers; i++)
		m->layers[i].rope = m->layers[i].windowed;
}

static void divide(struct gguf_config *c, float *to, const char *key)
{
	double d = gguf_number(c, key, 1);
	if (d == 0)
		gguf_refuse(c, "a scale of 0 is");
	else
		*to = (float)(1 / d);
}

void gguf_gemma(struct gguf_config *c, struct model *m)
{
	(void)c;
	m->embed_scale = sqrtf((float)m->hidden);
}

void gguf_gemma2(struct gguf_config *c, struct model *m)
{
	gguf_gemma(c, m);
	m->attn_softcap = (float)gguf_number(c, "attn_logit_softcapping", 50);
	m->logit_softcap = (float)gguf_number(c, "final_logit_softcapping", 30);
	if (m->n_layers == 46) /* the 27B model scales by another size, which the file does not hold */
		m->attn_scale = 1.0f / sqrtf((float)(m->hidden / m->heads));
	windows(c, m, 4096, 2);
}

void gguf_gemma3(struct gguf_config *c, struct model *m)
{
	gguf_gemma(c, m);
	m->logit_softcap = (float)gguf_number(c, "final_logit_softcapping", 0);
	if (m->n_layers == 62) /* as for Gemma 2 27B */
		m->attn_scale = 1.0f / sqrtf((float)(m->hidden / m->heads));
	windows(c, m, 0, 6);
	local_rope(c, m, 10000);
}

void gguf_windows(struct gguf_config *c, struct model *m)
{
	windows(c, m, 0, 0);
}

/* Files of this architecture hold OLMo 2, and OLMo 3, which has windows. */
void gguf_olmo2(struct gguf_config *c, struct model *m)
{
	windows(c, m, 0, 4);
	if (m->window)
		local_rope(c, m, m->rope[0].theta);
}

void gguf_olmo(struct gguf_config *c, struct model *m)
{
	m->clip_qkv = (float)gguf_number(c, "attention.clamp_kqv", 0);
}

void gguf_granite(struct gguf_config *c, struct model *m)
{
	m->embed_scale = (float)gguf_number(c, "embedding_scale", 1);
	m->residual_scale = (float)gguf_number(c, "residual_scale", 1);
	double attention = gguf_number(c, "attention.scale", 0);
	if (attention != 0)
		m->attn_scale = (float)attention;
	divide(c, &m->logit_scale, "logit_scale");
}

void gguf_minicpm(struct gguf_config *c, struct model *m)
{
	m->embed_scale = (float)gguf_number(c, "embedding_scale", 12);
	m->residual_scale = (float)gguf_number(c, "residual_scale", 1.4 / sqrt(m->n_layers));
	m->logit_scale = 256.0f / (float)m->hidden; /* what older files mean by silence */
	if (gguf_has(c, "logit_scale"))
		divide(c, &m->logit_scale, "logit_scale");
}

void gguf_smollm3(struct gguf_config *c, struct model *m)
{
	(void)c;
	for (uint32_t i = 0; i < m->n_layers; i++)
		m->layers[i].rope = (i + 1) % 4 ? 0 : ROPE_NONE;
}

void gguf_stablelm(struct gguf_config *c, struct model *m)
{
	m->parallel = !checkpoint_find(c->ck, "blk.0.ffn_norm.weight");
	if (m->parallel)
		m->without[ROLE_FFN_NORM] = m->without[ROLE_FFN_NORM_BIAS] = true;
}

void gguf_neox(struct gguf_config *c, struct model *m)
{
	char k[160];
	gguf_bool(c->g, gguf_key(c, "use_parallel_residual", k), &m->parallel);
}

void gguf_cohere(struct gguf_config *c, struct model *m)
{
	m->logit_scale = (float)gguf_number(c, "logit_scale", 1);
}

void gguf_cohere2(struct gguf_config *c, struct model *m)
{
	gguf_cohere(c, m);
	windows(c, m, 4096, 4);
	for (uint32_t i = 0; i < m->n_layers; i++)
		m->layers[i].rope = m->layers[i].windowed ? 0 : ROPE_NONE;
}

void gguf_exaone4(struct gguf_config *c, struct model *m)
{
	windows(c, m, 0, 4);
	for (uint32_t i = 0; m->window && i < m->n_layers; i++)
		m->layers[i].rope = m->layers[i].windowed ? 0 : ROPE_NONE;
}

/* The 13B models have ALiBi; the file does not say so, but they alone have 40 layers. */
void gguf_baichuan(struct gguf_config *c, struct model *m)
{
	(void)c;
	m->norm_head_rows = m->vocab == 125696; /* the second generation; harmless where it is done already */
	if (m->n_layers != 40)
		return;
	m->alibi = 1;
	for (uint32_t i = 0; i < m->n_layers; i++)
		m->layers[i].rope = ROPE_NONE;
}

/* feed_forward_length counts both halves. */
void gguf_qwen(struct gguf_config *c, struct model *m)
{
	(void)c;
	m->ffn /= 2;
}

void gguf_mistral3(struct gguf_config *c, struct model *m)
{
	const double beta = gguf_number(c, "attention.temperature_scale", 0);
	if (beta != 0)
		m->growth = (struct query_growth){.kind = GROWTH_STEPS, .from = m->rope[0].original_ctx, .beta = beta};
}

void gguf_hunyuan(struct gguf_config *c, struct model *m)
{
	(void)c;
	m->rope_first = true;
}

/* BLOOM, MPT */
void gguf_alibi(struct gguf_config *c, struct model *m)
{
	m->alibi = 1;
	m->clip_qkv = (float)gguf_number(c, "attention.clamp_kqv", 0);
	if (gguf_number(c, "attention.max_alibi_bias", 8) != 8)
		gguf_refuse(c, "such ALiBi is");
}
