/* Tensor names of mixtures of experts and latent attention. A second %u is the expert; a name without it
 * is one tensor for all of them. */
#include "model/arch.h"

#define QWEN_EXPERTS                                                                              \
	[ROLE_ROUTER] = "@layers.%u.mlp.gate.weight",                                             \
	[ROLE_EXPERT_GATE_UP] = "@layers.%u.mlp.experts.gate_up_proj",                            \
	[ROLE_EXPERT_GATE] = "@layers.%u.mlp.experts.%u.gate_proj.weight",                        \
	[ROLE_EXPERT_UP] = "@layers.%u.mlp.experts.%u.up_proj.weight",                            \
	[ROLE_EXPERT_DOWN] =                                                                      \
		"@layers.%u.mlp.experts.%u.down_proj.weight|@layers.%u.mlp.experts.down_proj"

#define DEEPSEEK_SHARED                                                                           \
	[ROLE_SHARED_GATE] = "@layers.%u.mlp.shared_experts.gate_proj.weight",                    \
	[ROLE_SHARED_UP] = "@layers.%u.mlp.shared_experts.up_proj.weight",                        \
	[ROLE_SHARED_DOWN] = "@layers.%u.mlp.shared_experts.down_proj.weight"

role_names names_mixtral = {
	[ROLE_ROUTER] = "@layers.%u.block_sparse_moe.gate.weight|@layers.%u.mlp.gate.weight",
	[ROLE_EXPERT_GATE_UP] = "@layers.%u.mlp.experts.gate_up_proj",
	[ROLE_EXPERT_GATE] = "@layers.%u.block_sparse_moe.experts.%u.w1.weight",
	[ROLE_EXPERT_UP] = "@layers.%u.block_sparse_moe.experts.%u.w3.weight",
	[ROLE_EXPERT_DOWN] =
		"@layers.%u.block_sparse_moe.experts.%u.w2.weight|@layers.%u.mlp.experts.down_proj",
};

role_names names_qwen2_moe = {
	QWEN_EXPERTS,
	[ROLE_SHARED_GATE] = "@layers.%u.mlp.shared_expert.gate_proj.weight",
	[ROLE_SHARED_UP] = "@layers.%u.mlp.shared_expert.up_proj.weight",
	[ROLE_SHARED_DOWN] = "@layers.%u.mlp.shared_expert.down_proj.weight",
	[ROLE_SHARED_SCALE] = "@layers.%u.mlp.shared_expert_gate.weight",
};

role_names names_qwen3_moe = {QWEN_EXPERTS};

#define DEEPSEEK_CHOICE [ROLE_ROUTER_CHOICE] = "@layers.%u.mlp.gate.e_score_correction_bias"

role_names names_glm4_moe = {QWEN_EXPERTS, DEEPSEEK_SHARED, DEEPSEEK_CHOICE};

role_names names_deepseek = {
	QWEN_EXPERTS,
	DEEPSEEK_SHARED,
	DEEPSEEK_CHOICE,
	[ROLE_Q_A] = "@layers.%u.self_attn.q_a_proj.weight",
	[ROLE_Q_A_NORM] = "@layers.%u.self_attn.q_a_layernorm.weight",
	[ROLE_Q_B] = "@layers.%u.self_attn.q_b_proj.weight",
	[ROLE_KV_A] = "@layers.%u.self_attn.kv_a_proj_with_mqa.weight",
	[ROLE_Q_A_BIAS] = "@layers.%u.self_attn.q_a_proj.bias",
	[ROLE_KV_A_BIAS] = "@layers.%u.self_attn.kv_a_proj_with_mqa.bias",
	[ROLE_KV_A_NORM] = "@layers.%u.self_attn.kv_a_layernorm.weight",
	[ROLE_K_B] = "@layers.%u.self_attn.kv_b_proj.weight",
	[ROLE_V_B] = "@layers.%u.self_attn.kv_b_proj.weight",
};

role_names names_deepseek1 = {QWEN_EXPERTS, DEEPSEEK_SHARED};

role_names names_ernie_moe = {
	QWEN_EXPERTS,
	DEEPSEEK_SHARED,
	[ROLE_ROUTER_CHOICE] = "@layers.%u.mlp.moe_statics.e_score_correction_bias",
};

role_names names_minimax_m2 = {
	[ROLE_ROUTER] = "@layers.%u.block_sparse_moe.gate.weight|@layers.%u.mlp.gate.weight",
	[ROLE_ROUTER_CHOICE] =
		"@layers.%u.block_sparse_moe.e_score_correction_bias|@layers.%u.mlp.e_score_correction_bias",
	[ROLE_EXPERT_GATE_UP] = "@layers.%u.mlp.experts.gate_up_proj",
	[ROLE_EXPERT_GATE] = "@layers.%u.block_sparse_moe.experts.%u.w1.weight",
	[ROLE_EXPERT_UP] = "@layers.%u.block_sparse_moe.experts.%u.w3.weight",
	[ROLE_EXPERT_DOWN] =
		"@layers.%u.block_sparse_moe.experts.%u.w2.weight|@layers.%u.mlp.experts.down_proj",
};

role_names names_gpt_oss = {
	[ROLE_SINKS] = "@layers.%u.self_attn.sinks",
	[ROLE_ROUTER] = "@layers.%u.mlp.router.weight",
	[ROLE_ROUTER_BIAS] = "@layers.%u.mlp.router.bias",
	[ROLE_EXPERT_GATE_UP] = "@layers.%u.mlp.experts.gate_up_proj",
	[ROLE_EXPERT_DOWN] = "@layers.%u.mlp.experts.down_proj",
	[ROLE_EXPERT_GATE_UP_BIAS] = "@layers.%u.mlp.experts.gate_up_proj_bias",
	[ROLE_EXPERT_DOWN_BIAS] = "@layers.%u.mlp.experts.down_proj_bias",
};

#define GGUF_EXPERTS                                                                              \
	[ROLE_ROUTER] = "blk.%u.ffn_gate_inp.weight",                                             \
	[ROLE_EXPERT_GATE] = "blk.%u.ffn_gate_exps.weight|blk.%u.ffn_gate.%u.weight",             \
	[ROLE_EXPERT_UP] = "blk.%u.ffn_up_exps.weight|blk.%u.ffn_up.%u.weight",                   \
	[ROLE_EXPERT_DOWN] = "blk.%u.ffn_down_exps.weight|blk.%u.ffn_down.%u.weight",             \
	[ROLE_SHARED_GATE] = "blk.%u.ffn_gate_shexp.weight",                                      \
	[ROLE_SHARED_UP] = "blk.%u.ffn_up_shexp.weight",                                          \
	[ROLE_SHARED_DOWN] = "blk.%u.ffn_down_shexp.weight",                                      \
	[ROLE_SHARED_SCALE] = "blk.%u.ffn_gate_inp_shexp.weight",                                 \
	[ROLE_ROUTER_CHOICE] = "blk.%u.exp_probs_b.bias"

role_names names_gguf_moe = {GGUF_EXPERTS};

role_names names_gguf_glm4_moe = {
	GGUF_EXPERTS,
	[ROLE_FFN_NORM] = "blk.%u.post_attention_norm.weight",
};

role_names names_gguf_deepseek2 = {
	GGUF_EXPERTS,
	[ROLE_Q_A] = "blk.%u.attn_q_a.weight",
	[ROLE_Q_A_NORM] = "blk.%u.attn_q_a_norm.weight",
	[ROLE_Q_B] = "blk.%u.attn_q_b.weight",
	[ROLE_KV_A] = "blk.%u.attn_kv_a_mqa.weight",
	[ROLE_KV_A_NORM] = "blk.%u.attn_kv_a_norm.weight",
	[ROLE_K_B] = "blk.%u.attn_k_b.weight|blk.%u.attn_kv_b.weight",
	[ROLE_V_B] = "blk.%u.attn_v_b.weight|blk.%u.attn_kv_b.weight",
};

role_names names_gguf_gpt_oss = {
	GGUF_EXPERTS,
	[ROLE_FFN_NORM] = "blk.%u.post_attention_norm.weight|blk.%u.attn_post_norm.weight|blk.%u.ffn_norm.weight",
	[ROLE_SINKS] = "blk.%u.attn_sinks.weight",
	[ROLE_ROUTER_BIAS] = "blk.%u.ffn_gate_inp.bias",
	[ROLE_EXPERT_GATE_BIAS] = "blk.%u.ffn_gate_exps.bias",
	[ROLE_EXPERT_UP_BIAS] = "blk.%u.ffn_up_exps.bias",
	[ROLE_EXPERT_DOWN_BIAS] = "blk.%u.ffn_down_exps.bias",
};
