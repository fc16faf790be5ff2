#include "model/families.h"

#include <math.h>
#include <string.h>

#include "model/arch.h"

static void without(struct model *m, enum role role)
{
	m->without[role] = true;
}

/* Families whose code knows one key-value head for each head, whatever the file says. */
static void plain_heads(struct config *c, struct model *m)
{
	m->kv_heads = m->heads;
	m->head_dim = m->hidden / m->heads;
	if (!m->head_dim)
		config_fail(c, "hidden_size", "is smaller than the number of heads");
	m->attn_scale = 1.0f / sqrtf((float)m->head_dim);
}

/* InternLM 1.1 keeps its rope under a key of its own. */
void json_llama(struct config *c, struct model *m)
{
	const cJSON *s = config_get(c->text, "rotary");
	const char *type = s ? config_string(c, s, "type") : "";
	if (!*type)
		return;
	m->rope[0].theta = config_number(c, s, "base", 10000);
	m->rope[0].factor = config_number(c, s, "scaling_factor", 1);
	if (!strcmp(type, "dynamic")) {
		m->rope[0].kind = ROPE_DYNAMIC;
		m->rope[0].original_ctx = m->ctx_train;
	} else if (strcmp(type, "origin") != 0) {
		config_refuse(c, "rope type \"%s\" is not supported", type);
	}
	if (!(m->rope[0].theta > 0) || !(m->rope[0].factor > 0) || m->ctx_train < 2)
		config_fail(c, "rotary", "has senseless numbers");
}

void json_qwen2(struct config *c, struct model *m)
{
	if (!config_flag(c, "use_sliding_window", false)) {
		m->window = 0;
		for (uint32_t i = 0; i < m->n_layers; i++)
			m->layers[i].windowed = false;
	} else if (!config_get(c->text, "layer_types")) {
		uint32_t full = config_count_or_none(c, "max_window_layers", 28);
		for (uint32_t i = 0; i < m->n_layers; i++)
			m->layers[i].windowed = m->window && i >= full;
	}
}

void json_gemma(struct config *c, struct model *m)
{
	(void)c;
	m->embed_scale = sqrtf((float)m->hidden);
	if (m->act == ACT_GELU_ERF) /* old files say "gelu" and mean this */
		m->act = ACT_GELU_TANH;
}

static void gemma_numbers(struct config *c, struct model *m, double scalar)
{
	m->embed_scale = sqrtf((float)m->hidden);
	m->attn_scale = (float)(1 / sqrt(config_number(c, c->text, "query_pre_attn_scalar", scalar)));
	if (!isfinite(m->attn_scale))
		config_fail(c, "query_pre_attn_scalar", "is not a positive number");
	if (config_get(c->text, "use_bidirectional_attention") &&
		config_flag(c, "use_bidirectional_attention", false))
		config_refuse(c, "attention in both directions is not supported");
}

/* null means none, absence the default. */
static float cap(struct config *c, const char *key, double fallback)
{
	if (cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(c->text, key)))
		return 0;
	double d = config_number(c, c->text, key, fallback);
	if (d < 0)
		config_fail(c, key, "is negative");
	return (float)d;
}

void json_gemma2(struct config *c, struct model *m)
{
	gemma_numbers(c, m, 256);
	m->attn_softcap = cap(c, "attn_logit_softcapping", 50);
	m->logit_softcap = cap(c, "final_logit_softcapping", 30);
	config_windows(c, m, 2);
}

/* Layers of rope 1 are the windowed ones, whose rope is `sliding`; both kinds may be in one object. */
static void local_rope(struct config *c, struct model *m, double theta)
{
	if (m->n_ropes < 2)
		config_rope_set(c, m, &m->rope[1], NULL, theta);
	m->n_ropes = 2;
	for (uint32_t i = 0; i < m->n_layers; i++)
		m->layers[i].rope = m->layers[i].windowed;
}

void json_gemma3(struct config *c, struct model *m)
{
	gemma_numbers(c, m, 256);
	m->logit_softcap = cap(c, "final_logit_softcapping", 0); /* attn_logit_softcapping has no effect here */
	config_windows(c, m, config_count(c, "sliding_window_pattern|_sliding_window_pattern", 6));
	double local = config_number(c, c->text, "rope_local_base_freq", 10000);
	if (m->n_ropes == 2 && !config_get(config_get(config_get(c->text, "rope_parameters"),
					   "sliding_attention"), "rope_theta"))
		m->rope[1].theta = local;
	local_rope(c, m, local);
}

void json_olmo(struct config *c, struct model *m)
{
	m->clip_qkv = (float)config_number(c, c->text, "clip_qkv", 0);
	m->norm_eps = 1e-5f; /* fixed in the family's code */
}

void json_olmo3(struct config *c, struct model *m)
{
	config_windows(c, m, 4);
	local_rope(c, m, config_number(c, c->text, "rope_theta", m->arch->defaults.theta));
}

void json_granite(struct config *c, struct model *m)
{
	double scaling = config_number(c, c->text, "logits_scaling", 1);
	m->embed_scale = (float)config_number(c, c->text, "embedding_multiplier", 1);
	m->residual_scale = (float)config_number(c, c->text, "residual_multiplier", 1);
	m->attn_scale = (float)config_number(c, c->text, "attention_multiplier", 1);
	if (scaling == 0)
		config_fail(c, "logits_scaling", "is 0");
	else
		m->logit_scale = (float)(1 / scaling);
}

void json_smollm3(struct config *c, struct model *m)
{
	const cJSON *list = config_get(c->text, "no_rope_layers"), *v = list ? list->child : NULL;
	uint32_t interval = config_count(c, "no_rope_layer_interval", 4);
	bool windows = config_flag(c, "use_sliding_window", false) && m->window;
	if (list && (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != (int)m->n_layers)) {
		config_fail(c, "no_rope_layers", "does not hold a number for each layer");
		return;
	}
	for (uint32_t i = 0; i < m->n_layers; i++, v = v ? v->next : NULL) {
		bool rope = v ? v->valuedouble != 0 : (i + 1) % interval != 0;
		m->layers[i].rope = rope ? 0 : ROPE_NONE;
		if (!config_get(c->text, "layer_types"))
			m->layers[i].windowed = windows && !rope;
	}
}

void json_stablelm(struct config *c, struct model *m)
{
	m->parallel = config_flag(c, "use_parallel_residual", false);
	if (m->parallel) {
		without(m, ROLE_FFN_NORM);
		without(m, ROLE_FFN_NORM_BIAS);
	}
}

void json_cohere(struct config *c, struct model *m)
{
	m->logit_scale = (float)config_number(c, c->text, "logit_scale", 0.0625);
}

/* Full layers have no positions. */
void json_cohere2(struct config *c, struct model *m)
{
	json_cohere(c, m);
	config_windows(c, m, config_count(c, "sliding_window_pattern", 4));
	for (uint32_t i = 0; i < m->n_layers; i++)
		m->layers[i].rope = m->layers[i].windowed ? 0 : ROPE_NONE;
}

/* Beside windowed layers, full ones have no positions; without any window, all have. */
void json_exaone4(struct config *c, struct model *m)
{
	if (!m->window)
		return;
	const cJSON *pattern = config_get(c->text, "sliding_window_pattern");
	if (pattern && cJSON_IsString(pattern)) { /* such as LLLG, repeated */
		size_t len = strlen(pattern->valuestring);
		for (uint32_t i = 0; len && i < m->n_layers; i++)
			m->layers[i].windowed = pattern->valuestring[i % len] == 'L';
		if (config_get(c->text, "layer_types"))
			config_windows(c, m, 0);
	} else {
		config_windows(c, m, config_count(c, "sliding_window_pattern", 4));
	}
	for (uint32_t i = 0; i < m->n_layers; i++)
		m->layers[i].rope = m->layers[i].windowed ? 0 : ROPE_NONE;
}

void json_falcon(struct config *c, struct model *m)
{
	bool new_style = config_flag(c, "new_decoder_architecture", false);
	bool multi_query = config_flag(c, "multi_query", true);
	uint32_t norms = config_count(c, "num_ln_in_parallel_attn", new_style ? 2 : 1);
	m->parallel = new_style || config_flag(c, "parallel_attn", true);
	m->qkv_groups = new_style || !multi_query;
	if (!new_style)
		m->kv_heads = multi_query ? 1 : m->heads;
	if (m->parallel && !(new_style && norms == 2)) {
		without(m, ROLE_FFN_NORM);
		without(m, ROLE_FFN_NORM_BIAS);
	}
	if (config_flag(c, "alibi", false)) {
		m->alibi = m->attn_scale; /* added before the scores are scaled */
		for (uint32_t i = 0; i < m->n_layers; i++)
			m->layers[i].rope = ROPE_NONE;
	}
}

void json_gpt2(struct config *c, struct model *m)
{
	plain_heads(c, m);
	if (!config_flag(c, "scale_attn_weights", true))
		m->attn_scale = 1;
	if (config_flag(c, "scale_attn_by_inverse_layer_idx", false))
		for (uint32_t i = 0; i < m->n_layers; i++)
			m->layers[i].attn_scale = 1.0f / (float)(i + 1);
	if (config_flag(c, "add_cross_attention", false))
		config_refuse(c, "cross attention is not supported");
}

void json_neox(struct config *c, struct model *m)
{
	plain_heads(c, m);
	m->parallel = config_flag(c, "use_parallel_residual", true);
}

void json_opt(struct config *c, struct model *m)
{
	plain_heads(c, m);
	m->pos_offset = 2;
	m->norm_eps = 1e-5f;
	m->embed_dim = config_count(c, "word_embed_proj_dim", m->hidden);
	m->norm_last = !config_flag(c, "do_layer_norm_before", true);
	if (m->norm_last || config_flag(c, "_remove_final_layer_norm", false)) {
		without(m, ROLE_OUT_NORM);
		without(m, ROLE_OUT_NORM_BIAS);
	}
	if (m->embed_dim == m->hidden) {
		without(m, ROLE_PROJ_IN);
		without(m, ROLE_PROJ_OUT);
	}
	if (!config_flag(c, "layer_norm_elementwise_affine", true))
		m->norm_bare = true;
}

/* Baichuan and Baichuan 2, 7B and 13B, share a name. The 13B models have ALiBi instead of positions, and
 * so no max_position_embeddings; the second generation has z_loss_weight, and a head of unit rows. */
void json_baichuan(struct config *c, struct model *m)
{
	m->norm_head_rows = config_get(c->text, "z_loss_weight") || m->vocab == 125696;
	if (config_get(c->text, "max_position_embeddings"))
		return;
	m->ctx_train = config_count(c, "model_max_length", 4096);
	m->alibi = 1;
	for (uint32_t i = 0; i < m->n_layers; i++)
		m->layers[i].rope = ROPE_NONE;
}

/* intermediate_size counts both halves. Beyond seq_length the base of rope grows and queries are scaled. */
void json_qwen(struct config *c, struct model *m)
{
	m->ffn /= 2;
	if (!m->ffn)
		config_fail(c, "intermediate_size", "is too small");
	const uint32_t trained = config_count(c, "seq_length", 8192);
	if (trained < 2)
		config_fail(c, "seq_length", "is too small");
	if (config_flag(c, "use_dynamic_ntk", true)) {
		m->rope[0].kind = ROPE_NTK_STEPS;
		m->rope[0].original_ctx = trained;
	}
	if (config_flag(c, "use_logn_attn", true))
		m->growth = (struct query_growth){.kind = GROWTH_LOG, .from = trained};
	if (!config_flag(c, "no_bias", true))
		config_refuse(c, "biases of all layers (no_bias false) are not supported");
}

void json_chatglm(struct config *c, struct model *m)
{
	if (config_get(c->text, "position_encoding_2d") || config_get(c->text, "inner_hidden_size")) {
		config_refuse(c, "the first generation of model type \"chatglm\" is not supported");
		return;
	}
	bool multi = config_flag(c, "multi_query_attention", false);
	m->kv_heads = multi ? config_count(c, "multi_query_group_num", 1) : m->heads;
	m->qkv_groups = !multi;
	m->rope[0].theta *= config_number(c, c->text, "rope_ratio", 1);
	if (!config_flag(c, "rmsnorm", true) || config_flag(c, "apply_residual_connection_post_layernorm", false) ||
		!config_flag(c, "post_layer_norm", true))
		config_refuse(c, "these norms of model type \"chatglm\" are not supported");
	if (!(m->rope[0].theta > 0))
		config_fail(c, "rope_ratio", "is not a positive number");
}

void json_minicpm(struct config *c, struct model *m)
{
	double base = config_number(c, c->text, "dim_model_base", 1);
	m->embed_scale = (float)config_number(c, c->text, "scale_emb", 1);
	m->residual_scale = (float)(config_number(c, c->text, "scale_depth", 1) / sqrt(m->n_layers));
	m->logit_scale = (float)(base / m->hidden);
	if (config_get(c->text, "num_experts"))
		config_refuse(c, "the mixture of experts of model type \"minicpm\" is not supported");
}

/* Without the key it is as published. A number of mscale and the like is Mistral's, whose own is 1. */
void json_ministral3(struct config *c, struct model *m)
{
	const cJSON *s = config_get(c->text, "rope_parameters|rope_scaling");
	struct rope_params *r = &m->rope[0];
	if (!s)
		*r = (struct rope_params){.kind = ROPE_YARN, .rot = r->rot, .theta = r->theta, .factor = 16,
			.beta_fast = 32, .beta_slow = 1, .attention = 1, .truncate = true, .proportion = 1,
			.original_ctx = 16384};
	const double beta = config_number(c, s, "llama_4_scaling_beta", s ? 0 : 0.1);
	const double from = config_number(c, s, "original_max_position_embeddings", s ? m->ctx_train : 16384);
	if (!(from >= 1 && from <= 1e9))
		config_fail(c, "original_max_position_embeddings", "is not a sensible number");
	else if (beta != 0)
		m->growth = (struct query_growth){.kind = GROWTH_STEPS, .from = (uint32_t)from, .beta = beta};
}

/* What files call dynamic has a fixed base. */
void json_hunyuan(struct config *c, struct model *m)
{
	struct rope_params *r = &m->rope[0];
	const double alpha = config_number(c, config_get(c->text, "rope_parameters|rope_scaling"), "alpha", 0);
	m->rope_first = true;
	if (r->kind != ROPE_DYNAMIC || alpha == 0)
		return;
	r->kind = ROPE_DEFAULT;
	r->theta *= pow(alpha, (double)r->rot / (r->rot - 2));
	if (!(r->theta > 0) || !isfinite(r->theta))
		config_fail(c, "alpha", "is no sensible number");
}

void json_cwm(struct config *c, struct model *m)
{
	struct rope_params *r = &m->rope[0];
	if (!config_get(c->text, "rope_parameters|rope_scaling"))
		*r = (struct rope_params){.kind = ROPE_LLAMA3, .rot = r->rot, .theta = r->theta, .factor = 16,
			.attention = 1, .low_freq_factor = 1, .high_freq_factor = 4, .proportion = 1,
			.original_ctx = 8192};
	for (uint32_t i = 0; !config_get(c->text, "layer_types") && i < m->n_layers; i++)
		m->layers[i].windowed = m->window && i % 4 != 0;
}

/* rotary_dim dimensions of a head are rotated. */
void json_gptj(struct config *c, struct model *m)
{
	plain_heads(c, m);
	m->rope[0].rot = config_count(c, "rotary_dim", 64);
	if (m->rope[0].rot % 2 || m->rope[0].rot > m->head_dim)
		config_fail(c, "rotary_dim", "makes no sense");
}

void json_bigcode(struct config *c, struct model *m)
{
	plain_heads(c, m);
	if (config_flag(c, "multi_query", true))
		m->kv_heads = 1;
	else
		m->qkv_groups = true;
	if (!config_flag(c, "scale_attn_weights", true))
		m->attn_scale = 1;
	if (config_flag(c, "add_cross_attention", false))
		config_refuse(c, "cross attention is not supported");
}

/* attention_types: [[["global", "local"], 12]], kinds and how often they are repeated; or attention_layers,
 * a kind for each. Scores are not scaled. */
void json_gpt_neo(struct config *c, struct model *m)
{
	const cJSON *list = config_get(c->text, "attention_layers"), *types = config_get(c->text, "attention_types");
	const cJSON *item, *kind, *pairs = list ? NULL : types;
	uint32_t n = 0;
	plain_heads(c, m);
	m->attn_scale = 1;
	m->window = config_count(c, "window_size", 256);
	for (uint32_t i = 0; i < m->n_layers; i++)
		m->layers[i].windowed = i % 2; /* what silence means */
	cJSON_ArrayForEach(kind, list)
		if (n < m->n_layers)
			m->layers[n++].windowed = cJSON_IsString(kind) && !strcmp(kind->valuestring, "local");
	cJSON_ArrayForEach(item, pairs) {
		const cJSON *kinds = cJSON_GetArrayItem(item, 0), *times = cJSON_GetArrayItem(item, 1);
		for (double t = 0; cJSON_IsNumber(times) && t < times->valuedouble && n < m->n_layers; t++)
			cJSON_ArrayForEach(kind, kinds)
				if (n < m->n_layers)
					m->layers[n++].windowed = cJSON_IsString(kind) &&
						!strcmp(kind->valuestring, "local");
		if (!cJSON_IsArray(kinds) || cJSON_GetArraySize(kinds) == 0)
			break;
	}
	if ((list || types) && n != m->n_layers)
		config_fail(c, "attention_types", "does not name the kind of each layer");
}

static void all_alibi(struct model *m)
{
	m->alibi = 1;
	for (uint32_t i = 0; i < m->n_layers; i++)
		m->layers[i].rope = ROPE_NONE;
}

void json_bloom(struct config *c, struct model *m)
{
	plain_heads(c, m);
	all_alibi(m);
	m->qkv_groups = true;
	m->ctx_train = config_count(c, "seq_length", 2048);
	if (config_flag(c, "apply_residual_connection_post_layernorm", false))
		config_refuse(c, "apply_residual_connection_post_layernorm is not supported");
}

void json_mpt(struct config *c, struct model *m)
{
	const cJSON *a = config_get(c->text, "attn_config");
	const cJSON *alibi = config_get(a, "alibi"), *norms = config_get(a, "qk_ln");
	const char *kind = config_string(c, a, "attn_type");
	plain_heads(c, m);
	all_alibi(m);
	m->ffn = config_count(c, "expansion_ratio", 4) * m->hidden;
	m->clip_qkv = (float)config_number(c, a, "clip_qkv", 0);
	m->attn_scale = (float)config_number(c, a, "softmax_scale", m->attn_scale);
	if ((alibi && !cJSON_IsTrue(alibi)) || cJSON_IsTrue(norms) || (*kind && strcmp(kind, "multihead_attention") != 0) ||
		config_number(c, a, "alibi_bias_max", 8) != 8 || !config_flag(c, "no_bias", true) ||
		config_get(c->text, "logit_scale"))
		config_refuse(c, "this attention of model type \"mpt\" is not supported");
}
