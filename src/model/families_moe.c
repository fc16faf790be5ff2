/* Mixtures of experts and latent attention, as config.json and GGUF metadata say them. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/arch.h"
#include "model/families.h"

#define EXPERTS_MAX 4096 /* as many as the engine's router takes */

/* --- config.json -------------------------------------------------------------------------------- */

/* Layers that have experts: all but the first `dense`, of these every `step`-th, and not those that a
 * list of numbers under `except` names. */
static void json_layers(struct config *c, struct model *m, uint32_t dense, uint32_t step, const char *except)
{
	const cJSON *list = except ? config_get(c->text, except) : NULL, *v;
	for (uint32_t i = 0; i < m->n_layers; i++)
		m->layers[i].experts = i >= dense && (i + 1) % step == 0;
	cJSON_ArrayForEach(v, list)
		if (cJSON_IsNumber(v) && v->valuedouble >= 0 && v->valuedouble < m->n_layers)
			m->layers[(uint32_t)v->valuedouble].experts = false;
}

static void check(struct config *c, struct model *m)
{
	const struct moe *o = &m->moe;
	if (o->n_experts > EXPERTS_MAX || o->top_k > o->n_experts)
		config_fail(c, "num_experts_per_tok", "and the number of experts make no sense");
	else if (o->groups > o->n_experts || o->n_experts % o->groups || o->top_groups > o->groups ||
		 o->top_k > o->n_experts / o->groups * o->top_groups)
		config_fail(c, "n_group", "and topk_group make no sense");
	if (!isfinite(o->scale))
		config_fail(c, "routed_scaling_factor", "is no sensible number");
}

static void json_experts(struct config *c, struct model *m, const char *count_keys, double experts, double top_k)
{
	m->moe = (struct moe){.n_experts = config_count(c, count_keys, experts),
		.top_k = config_count(c, "num_experts_per_tok|experts_per_token", top_k), .scale = 1, .groups = 1,
		.top_groups = 1, .ffn = m->ffn};
}

void json_mixtral(struct config *c, struct model *m)
{
	json_experts(c, m, "num_local_experts|num_experts", 8, 2);
	m->moe.normalize = true;
	json_layers(c, m, 0, 1, NULL);
	check(c, m);
}

static void qwen_experts(struct config *c, struct model *m, double experts, double top_k, double ffn)
{
	json_experts(c, m, "num_experts|num_local_experts", experts, top_k);
	m->moe.ffn = config_count(c, "moe_intermediate_size", ffn);
	m->moe.normalize = config_flag(c, "norm_topk_prob", false);
	json_layers(c, m, 0, config_count(c, "decoder_sparse_step", 1), "mlp_only_layers");
	check(c, m);
}

void json_qwen2_moe(struct config *c, struct model *m)
{
	const bool windows = config_flag(c, "use_sliding_window", false) && m->window;
	const uint32_t below = config_count_or_none(c, "max_window_layers", 28);
	if (!config_get(c->text, "layer_types")) /* every second of the lower layers */
		for (uint32_t i = 0; i < m->n_layers; i++)
			m->layers[i].windowed = windows && i % 2 == 0 && i < below;
	m->window = windows ? m->window : 0;
	qwen_experts(c, m, 60, 4, 1408);
	m->moe.shared_ffn = config_count(c, "shared_expert_intermediate_size", 5632);
}

void json_qwen3_moe(struct config *c, struct model *m)
{
	if (!config_flag(c, "use_sliding_window", false))
		m->window = 0;
	for (uint32_t i = 0; i < m->n_layers; i++) /* all or none */
		m->layers[i].windowed = m->window > 0;
	qwen_experts(c, m, 128, 8, 768);
}

void json_qwen3_vl_moe(struct config *c, struct model *m)
{
	qwen_experts(c, m, 60, 4, 1408);
	m->moe.normalize = true; /* whatever norm_topk_prob says */
}

void json_olmoe(struct config *c, struct model *m)
{
	m->clip_qkv = (float)config_number(c, c->text, "clip_qkv", 0);
	json_experts(c, m, "num_experts", 64, 8);
	m->moe.normalize = config_flag(c, "norm_topk_prob", false);
	json_layers(c, m, 0, 1, NULL);
	check(c, m);
}

/* The feed-forward part that DeepSeek V2, V3 and GLM 4.5 share. */
static void deepseek_experts(struct config *c, struct model *m, double experts, double top_k, double ffn,
	double dense, double shared)
{
	const cJSON *routed = config_get(c->text, "n_routed_experts|num_experts|num_local_experts");
	if (!routed && experts == 0)
		return; /* a dense model */
	json_experts(c, m, "n_routed_experts|num_experts|num_local_experts", experts, top_k);
	m->moe.ffn = config_count(c, "moe_intermediate_size", ffn);
	uint32_t n = config_get(c->text, "n_shared_experts") ? config_count_or_none(c, "n_shared_experts", 1)
							      : (uint32_t)shared;
	m->moe.shared_ffn = (uint64_t)n * m->moe.ffn <= 1u << 28 ? n * m->moe.ffn : 0;
	m->moe.scale = (float)config_number(c, c->text, "routed_scaling_factor", 1);
	m->moe.groups = config_count(c, "n_group", 1);
	m->moe.top_groups = config_count(c, "topk_group", 1);
	json_layers(c, m, config_count_or_none(c, "first_k_dense_replace", (uint32_t)dense),
		config_count(c, "moe_layer_freq", 1), NULL);
}

/* Attention scores of rotated keys stretched by YaRN are scaled with them. */
static void scale_yarn(struct config *c, struct model *m)
{
	const cJSON *s = config_get(c->text, "rope_parameters|rope_scaling");
	double all = config_number(c, s, "mscale_all_dim", 0);
	if (m->rope[0].kind == ROPE_DEFAULT || all == 0 || m->rope[0].factor <= 1)
		return;
	double scale = 0.1 * all * log(m->rope[0].factor) + 1;
	m->attn_scale *= (float)(scale * scale);
}

static void latent_attention(struct config *c, struct model *m)
{
	struct mla *a = &m->mla;
	a->kv_rank = config_count(c, "kv_lora_rank", 512);
	a->q_rank = config_count_or_none(c, "q_lora_rank", 1536);
	a->nope = config_count(c, "qk_nope_head_dim", 128);
	a->rope = config_count(c, "qk_rope_head_dim", 64);
	a->v = config_count(c, "v_head_dim", 128);
	if (a->kv_rank > 4096 || a->q_rank > 1 << 20 || a->nope > 2048 || a->rope > 2048 || a->v > 4096 || a->rope % 2) {
		config_fail(c, "kv_lora_rank", "and the sizes of the heads make no sense");
		return;
	}
	m->head_dim = a->nope + a->rope;
	m->kv_heads = m->heads;
	m->rope[0].rot = a->rope;
	m->attn_scale = 1.0f / sqrtf((float)m->head_dim);
	scale_yarn(c, m);
}

void json_deepseek2(struct config *c, struct model *m)
{
	latent_attention(c, m);
	deepseek_experts(c, m, 64, 6, 1407, 0, 2);
	const char *method = config_string(c, c->text, "topk_method");
	if (strcmp(method, "group_limited_greedy") != 0)
		m->moe.groups = m->moe.top_groups = 1;
	if (*method && strcmp(method, "greedy") != 0 && strcmp(method, "group_limited_greedy") != 0)
		config_refuse(c, "topk_method \"%s\" is not supported", method);
	if (m->moe.n_experts)
		check(c, m);
}

void json_deepseek3(struct config *c, struct model *m)
{
	latent_attention(c, m);
	deepseek_experts(c, m, 256, 8, 2048, 3, 1);
	m->moe.score = ROUTE_SIGMOID;
	m->moe.group_sum2 = true;
	m->moe.normalize = config_flag(c, "norm_topk_prob", true);
	if (!config_get(c->text, "n_group")) {
		m->moe.groups = 8;
		m->moe.top_groups = 4;
	}
	if (!config_get(c->text, "routed_scaling_factor"))
		m->moe.scale = 2.5f;
	if (!config_flag(c, "rope_interleave", true))
		m->rope_style = ROPE_HALF;
	check(c, m);
}

void json_glm4_moe(struct config *c, struct model *m)
{
	deepseek_experts(c, m, 128, 8, 1408, 1, 1);
	m->moe.score = ROUTE_SIGMOID;
	m->moe.group_sum2 = true;
	m->moe.normalize = config_flag(c, "norm_topk_prob", true);
	check(c, m);
}

void json_gpt_oss(struct config *c, struct model *m)
{
	json_experts(c, m, "num_local_experts|num_experts", 128, 4);
	m->moe.score = ROUTE_TOPK_SOFTMAX;
	m->moe.interleaved = true;
	m->moe.glu_alpha = (float)config_number(c, c->text, "swiglu_alpha", 1.702);
	m->moe.glu_limit = (float)config_number(c, c->text, "swiglu_limit", 7);
	if (!(m->moe.glu_alpha > 0 && m->moe.glu_limit > 0))
		config_fail(c, "swiglu_limit", "is no sensible number");
	if (!config_get(c->text, "rope_parameters|rope_scaling")) /* the family's own, as published */
		m->rope[0] = (struct rope_params){.kind = ROPE_YARN, .rot = m->rope[0].rot, .theta = m->rope[0].theta,
			.factor = 32, .beta_fast = 32, .beta_slow = 1, .attention = 0.1 * log(32) + 1,
			.proportion = 1, .original_ctx = 4096};
	config_windows(c, m, 2);
	if (!config_get(c->text, "layer_types")) /* the even ones have the window */
		for (uint32_t i = 0; i < m->n_layers; i++)
			m->layers[i].windowed = m->window && i % 2 == 0;
	json_layers(c, m, 0, 1, NULL);
	check(c, m);
}

/* --- more of config.json ------------------------------------------------------------------------ */

/* The MLA of DeepSeek with the scales of MiniCPM. */
void json_minicpm3(struct config *c, struct model *m)
{
	struct mla *a = &m->mla;
	latent_attention(c, m);
	a->kv_rank = config_count(c, "kv_lora_rank", 256);
	if (!config_get(c->text, "q_lora_rank"))
		a->q_rank = cJSON_HasObjectItem(c->text, "q_lora_rank") ? 0 : 768;
	a->nope = config_count(c, "qk_nope_head_dim", 64);
	a->v = config_count(c, "v_head_dim", m->hidden / m->heads);
	m->head_dim = a->nope + a->rope;
	m->attn_scale = 1.0f / sqrtf((float)m->head_dim);
	scale_yarn(c, m);
	m->embed_scale = (float)config_number(c, c->text, "scale_emb", 12);
	const bool none = cJSON_HasObjectItem(c->text, "scale_depth") && !config_get(c->text, "scale_depth");
	m->residual_scale = none ? 1 : (float)(config_number(c, c->text, "scale_depth", 1.4) / sqrt(m->n_layers));
	const bool whole = cJSON_HasObjectItem(c->text, "dim_model_base") && !config_get(c->text, "dim_model_base");
	m->logit_scale = whole ? 1 : (float)(config_number(c, c->text, "dim_model_base", 256) / m->hidden);
}

/* A number, or a list of the same number for each layer. */
static uint32_t same_count(struct config *c, const char *key, uint32_t fallback)
{
	const cJSON *v = config_get(c->text, key), *one;
	if (!cJSON_IsArray(v) || !v->child)
		return config_count(c, key, fallback);
	cJSON_ArrayForEach(one, v)
		if (!cJSON_IsNumber(one) || one->valuedouble != v->child->valuedouble || !(one->valuedouble >= 1) ||
			one->valuedouble > 1e6) {
			config_refuse(c, "%s that differs from layer to layer is not supported", key);
			return fallback;
		}
	return (uint32_t)v->child->valuedouble;
}

void json_hunyuan_moe(struct config *c, struct model *m)
{
	json_hunyuan(c, m);
	m->moe = (struct moe){.n_experts = same_count(c, "num_experts", 1), .top_k = same_count(c, "moe_topk", 1),
		.scale = 1, .groups = 1, .top_groups = 1, .normalize = true, .ffn = m->ffn, .shared_ffn = m->ffn};
	json_layers(c, m, 0, 1, NULL);
	check(c, m);
}

void json_granite_moe(struct config *c, struct model *m)
{
	json_granite(c, m);
	json_experts(c, m, "num_local_experts", 8, 2);
	m->moe.score = ROUTE_TOPK_SOFTMAX;
	json_layers(c, m, 0, 1, NULL);
	check(c, m);
}

void json_granite_shared(struct config *c, struct model *m)
{
	json_granite_moe(c, m);
	m->moe.shared_ffn = config_count_or_none(c, "shared_intermediate_size", 0);
}

/* Of the hybrids those whose layers all have attention. */
void json_granite_hybrid(struct config *c, struct model *m)
{
	const cJSON *types = config_get(c->text, "layer_types|layers_block_type"), *t;
	const char *rope = config_string(c, c->text, "position_embedding_type");
	uint32_t attention = 0;
	cJSON_ArrayForEach(t, types)
		attention += cJSON_IsString(t) &&
			(!strcmp(t->valuestring, "attention") || !strcmp(t->valuestring, "full_attention"));
	if (attention != m->n_layers) {
		config_refuse(c, "state-space layers (Mamba) are not supported");
		return;
	}
	if (strcmp(rope, "rope") != 0)
		for (uint32_t i = 0; i < m->n_layers; i++)
			m->layers[i].rope = ROPE_NONE;
	if (config_count_or_none(c, "num_local_experts", 8)) {
		json_granite_moe(c, m);
		m->moe.shared_ffn = config_count(c, "shared_intermediate_size", 1024);
	} else {
		json_granite(c, m);
		m->ffn = config_count(c, "shared_intermediate_size", 1024);
	}
}

void json_ernie_moe(struct config *c, struct model *m)
{
	const uint32_t first = config_count_or_none(c, "moe_layer_start_index", 1);
	const double last = config_number(c, c->text, "moe_layer_end_index", -1);
	json_experts(c, m, "moe_num_experts", 64, 6);
	m->moe.top_k = config_count(c, "moe_k", 6);
	m->moe.ffn = config_count(c, "moe_intermediate_size", 1536);
	m->moe.normalize = true;
	m->moe.shared_ffn = config_count_or_none(c, "moe_num_shared_experts", 2) % 4096 * m->moe.ffn;
	json_layers(c, m, first, config_count(c, "moe_layer_interval", 1), NULL);
	for (uint32_t i = 0; last >= 0 && i < m->n_layers; i++)
		m->layers[i].experts = m->layers[i].experts && i <= last;
	check(c, m);
}

/* rotary_dim in files is what partial_rotary_factor stands for elsewhere. */
void json_minimax_m2(struct config *c, struct model *m)
{
	json_experts(c, m, "num_local_experts", 256, 8);
	m->moe.score = ROUTE_SIGMOID;
	m->moe.normalize = true;
	if (config_get(c->text, "rotary_dim"))
		m->rope[0].rot = config_count(c, "rotary_dim", m->head_dim);
	json_layers(c, m, 0, 1, NULL);
	check(c, m);
}

void json_dots1(struct config *c, struct model *m)
{
	const uint32_t full = config_count_or_none(c, "max_window_layers", 62);
	if (!config_get(c->text, "layer_types"))
		for (uint32_t i = 0; i < m->n_layers; i++)
			m->layers[i].windowed = m->window && i >= full;
	deepseek_experts(c, m, 0, 0, 1408, 0, 0);
	m->moe.score = ROUTE_SIGMOID;
	m->moe.group_sum2 = true;
	m->moe.normalize = config_flag(c, "norm_topk_prob", false);
	if (m->moe.n_experts)
		check(c, m);
}

/* GLM 4.7 Flash: DeepSeek V3 by other numbers. */
void json_glm4_lite(struct config *c, struct model *m)
{
	const cJSON *types = config_get(c->text, "mlp_layer_types"), *t = types ? types->child : NULL;
	latent_attention(c, m);
	if (!config_get(c->text, "q_lora_rank") && !cJSON_HasObjectItem(c->text, "q_lora_rank"))
		m->mla.q_rank = 768;
	deepseek_experts(c, m, 64, 4, 1536, 1, 1);
	m->moe.score = ROUTE_SIGMOID;
	m->moe.group_sum2 = true;
	m->moe.normalize = config_flag(c, "norm_topk_prob", true);
	m->moe.scale = (float)config_number(c, c->text, "routed_scaling_factor", 1.8);
	for (uint32_t i = 0; t && i < m->n_layers; i++, t = t->next)
		m->layers[i].experts = cJSON_IsString(t) && !strcmp(t->valuestring, "sparse");
	if (!config_flag(c, "rope_interleave", true))
		m->rope_style = ROPE_HALF;
	check(c, m);
}

/* DeepSeek's first mixture, with Llama's attention. */
void json_deepseek1(struct config *c, struct model *m)
{
	const char *score = config_string(c, c->text, "scoring_func");
	deepseek_experts(c, m, 0, 0, 1407, 0, 0);
	m->moe.groups = m->moe.top_groups = 1;
	m->moe.normalize = config_flag(c, "norm_topk_prob", false);
	if (*score && strcmp(score, "softmax") != 0)
		config_refuse(c, "scoring_func \"%s\" is not supported", score);
	if (m->moe.n_experts)
		check(c, m);
}

/* --- GGUF --------------------------------------------------------------------------------------- */

/* A whole number that may be 0 or absent. */
static uint32_t whole(struct gguf_config *c, const char *key, uint32_t fallback)
{
	char k[160];
	uint64_t v = fallback;
	gguf_u64(c->g, gguf_key(c, key, k), &v);
	if (v > 1u << 20)
		gguf_refuse(c, "a number so large for experts is");
	return c->failed ? fallback : (uint32_t)v;
}

static bool flag(const struct gguf_config *c, const char *key, bool fallback)
{
	char k[160];
	bool b = fallback;
	return gguf_bool(c->g, gguf_key(c, key, k), &b) ? b : fallback;
}

/* A layer's tensor, or NULL. */
static const struct tensor *layer_tensor(const struct gguf_config *c, const char *suffix, uint32_t layer)
{
	char name[96];
	snprintf(name, sizeof(name), "blk.%u.%s", layer, suffix);
	return checkpoint_find(c->ck, name);
}

/* Keys: expert_* of gguf-py/gguf/constants.py. */
static void gguf_experts(struct gguf_config *c, struct model *m)
{
	struct moe *o = &m->moe;
	*o = (struct moe){.n_experts = gguf_count(c, "expert_count", 0), .top_k = gguf_count(c, "expert_used_count", 0),
		.ffn = gguf_has(c, "expert_feed_forward_length") ? gguf_count(c, "expert_feed_forward_length", 0) : m->ffn,
		.groups = 1, .top_groups = 1, .normalize = true};
	o->scale = (float)gguf_number(c, "expert_weights_scale", 1);
	if (o->scale == 0)
		o->scale = 1;
	if (gguf_has(c, "expert_shared_feed_forward_length"))
		o->shared_ffn = gguf_count(c, "expert_shared_feed_forward_length", 0);
	/* files without the key: scores that something is added to for the choice are sigmoids */
	const bool chosen = layer_tensor(c, "exp_probs_b.bias", m->n_layers - 1);
	uint32_t gating = whole(c, "expert_gating_func", chosen ? 2 : 1);
	o->score = gating == 2 ? ROUTE_SIGMOID : gating == 3 ? ROUTE_TOPK_SOFTMAX : ROUTE_SOFTMAX;
	if (gating > 3)
		gguf_refuse(c, "this expert_gating_func is");
	if (whole(c, "expert_group_count", 1) > 1) {
		o->groups = gguf_count(c, "expert_group_count", 0);
		o->top_groups = gguf_count(c, "expert_group_used_count", 0);
		o->group_sum2 = o->score == ROUTE_SIGMOID; /* DeepSeek V2 takes the best score of a group */
	}
	for (uint32_t i = 0; i < m->n_layers; i++) /* leading_dense_block_count is not always right */
		m->layers[i].experts = layer_tensor(c, "ffn_gate_inp.weight", i) ||
			!layer_tensor(c, "ffn_down.weight", i);
	if (!c->failed && (o->n_experts > EXPERTS_MAX || o->top_k > o->n_experts || !isfinite(o->scale) ||
				o->groups > o->n_experts || o->n_experts % o->groups || o->top_groups > o->groups ||
				o->top_k > o->n_experts / o->groups * o->top_groups))
		gguf_refuse(c, "this number of experts is");
}

void gguf_llama(struct gguf_config *c, struct model *m)
{
	if (whole(c, "expert_count", 0) > 0) /* Mixtral has llama's name */
		gguf_experts(c, m);
}

void gguf_qwen2_moe(struct gguf_config *c, struct model *m)
{
	gguf_experts(c, m);
	m->moe.normalize = flag(c, "expert_weights_norm", false);
}

void gguf_qwen3_moe(struct gguf_config *c, struct model *m)
{
	gguf_experts(c, m);
}

void gguf_glm4_moe(struct gguf_config *c, struct model *m)
{
	gguf_experts(c, m);
	m->moe.normalize = flag(c, "expert_weights_norm", true);
	m->moe.shared_ffn = whole(c, "expert_shared_count", 0) % 4096 * m->moe.ffn;
}

void gguf_deepseek2(struct gguf_config *c, struct model *m)
{
	struct mla *a = &m->mla;
	a->kv_rank = gguf_count(c, "attention.kv_lora_rank", 0);
	a->q_rank = gguf_has(c, "attention.q_lora_rank") ? gguf_count(c, "attention.q_lora_rank", 0) : 0;
	a->rope = gguf_count(c, "rope.dimension_count", 0);
	/* files with the latent form of heads keep the sizes of whole heads under _mla */
	uint32_t k = gguf_has(c, "attention.key_length_mla") ? gguf_count(c, "attention.key_length_mla", 0)
							      : gguf_count(c, "attention.key_length", 0);
	a->v = gguf_has(c, "attention.value_length_mla") ? gguf_count(c, "attention.value_length_mla", 0)
							  : gguf_count(c, "attention.value_length", 0);
	if (k <= a->rope || a->rope % 2 || k > 4096 || a->v > 4096 || a->kv_rank > 4096) {
		gguf_refuse(c, "these sizes of heads are");
		return;
	}
	a->nope = k - a->rope;
	m->head_dim = k;
	m->kv_heads = m->heads;
	m->rope[0].rot = a->rope;
	m->attn_scale = 1.0f / sqrtf((float)k);
	if (m->rope[0].kind == ROPE_YARN && gguf_has(c, "rope.scaling.yarn_log_multiplier")) {
		/* the converter stores 0.1 * mscale_all_dim; cos and sin are not scaled when mscale equals it */
		double s = gguf_number(c, "rope.scaling.yarn_log_multiplier", 0) * log(m->rope[0].factor) + 1;
		m->attn_scale *= (float)(s * s);
		m->rope[0].attention = 1;
	}
	if (whole(c, "expert_count", 0) > 0) {
		gguf_experts(c, m);
		m->moe.normalize = flag(c, "expert_weights_norm", false);
		m->moe.shared_ffn = whole(c, "expert_shared_count", 0) % 4096 * m->moe.ffn;
	}
}

void gguf_gpt_oss(struct gguf_config *c, struct model *m)
{
	gguf_experts(c, m);
	m->moe.score = ROUTE_TOPK_SOFTMAX;
	m->moe.normalize = false;
	m->moe.glu_alpha = 1.702f;
	m->moe.glu_limit = 7;
	m->rope[0].truncate = false; /* as its config.json says; GGUF has no key for it */
	m->window = gguf_count(c, "attention.sliding_window", 0);
	for (uint32_t i = 0; i < m->n_layers; i++)
		m->layers[i].windowed = i % 2 == 0;
}

void gguf_granite_moe(struct gguf_config *c, struct model *m)
{
	gguf_granite(c, m);
	gguf_experts(c, m);
}

void gguf_hunyuan_moe(struct gguf_config *c, struct model *m)
{
	gguf_hunyuan(c, m);
	gguf_experts(c, m);
}

void gguf_ernie_moe(struct gguf_config *c, struct model *m)
{
	const uint32_t step = gguf_count(c, "interleave_moe_layer_step", 1);
	gguf_experts(c, m);
	m->moe.score = ROUTE_SOFTMAX;
	for (uint32_t i = 0; i < m->n_layers; i++) {
		m->layers[i].experts = m->layers[i].experts && (i + 1) % step == 0;
		const struct tensor *shared = layer_tensor(c, "ffn_gate_shexp.weight", i);
		if (shared && shared->n_dims == 2 && shared->shape[0] < 1u << 28) /* the key's number is unreliable */
			m->moe.shared_ffn = (uint32_t)shared->shape[0];
	}
}

void gguf_dots1(struct gguf_config *c, struct model *m)
{
	gguf_experts(c, m);
	m->moe.normalize = flag(c, "expert_weights_norm", false);
	m->moe.shared_ffn = whole(c, "expert_shared_count", 0) % 4096 * m->moe.ffn;
}

void gguf_minimax_m2(struct gguf_config *c, struct model *m)
{
	gguf_experts(c, m);
}
