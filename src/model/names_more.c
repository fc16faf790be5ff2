/* Tensor names of families whose layouts share little with the common sets. */
#include "model/arch.h"

role_names names_gptj = {
	[ROLE_EMBED] = "@wte.weight",
	[ROLE_ATTN_NORM] = "@h.%u.ln_1.weight",
	[ROLE_ATTN_NORM_BIAS] = "@h.%u.ln_1.bias",
	[ROLE_Q] = "@h.%u.attn.q_proj.weight",
	[ROLE_K] = "@h.%u.attn.k_proj.weight",
	[ROLE_V] = "@h.%u.attn.v_proj.weight",
	[ROLE_O] = "@h.%u.attn.out_proj.weight",
	[ROLE_UP] = "@h.%u.mlp.fc_in.weight",
	[ROLE_UP_BIAS] = "@h.%u.mlp.fc_in.bias",
	[ROLE_DOWN] = "@h.%u.mlp.fc_out.weight",
	[ROLE_DOWN_BIAS] = "@h.%u.mlp.fc_out.bias",
	[ROLE_OUT_NORM] = "@ln_f.weight",
	[ROLE_OUT_NORM_BIAS] = "@ln_f.bias",
	[ROLE_HEAD] = "lm_head.weight",
	[ROLE_HEAD_BIAS] = "lm_head.bias",
};

role_names names_gpt_neo = { /* over GPT-2's */
	[ROLE_QKV] = "",
	[ROLE_QKV_BIAS] = "",
	[ROLE_Q] = "@h.%u.attn.attention.q_proj.weight",
	[ROLE_K] = "@h.%u.attn.attention.k_proj.weight",
	[ROLE_V] = "@h.%u.attn.attention.v_proj.weight",
	[ROLE_O] = "@h.%u.attn.attention.out_proj.weight",
	[ROLE_O_BIAS] = "@h.%u.attn.attention.out_proj.bias",
};

role_names names_exaone = {
	[ROLE_EMBED] = "@wte.weight",
	[ROLE_ATTN_NORM] = "@h.%u.ln_1.weight",
	[ROLE_Q] = "@h.%u.attn.attention.q_proj.weight",
	[ROLE_K] = "@h.%u.attn.attention.k_proj.weight",
	[ROLE_V] = "@h.%u.attn.attention.v_proj.weight",
	[ROLE_O] = "@h.%u.attn.attention.out_proj.weight",
	[ROLE_Q_BIAS] = "@h.%u.attn.attention.q_proj.bias",
	[ROLE_K_BIAS] = "@h.%u.attn.attention.k_proj.bias",
	[ROLE_V_BIAS] = "@h.%u.attn.attention.v_proj.bias",
	[ROLE_O_BIAS] = "@h.%u.attn.attention.out_proj.bias",
	[ROLE_FFN_NORM] = "@h.%u.ln_2.weight",
	[ROLE_GATE] = "@h.%u.mlp.c_fc_0.weight",
	[ROLE_GATE_BIAS] = "@h.%u.mlp.c_fc_0.bias",
	[ROLE_UP] = "@h.%u.mlp.c_fc_1.weight",
	[ROLE_UP_BIAS] = "@h.%u.mlp.c_fc_1.bias",
	[ROLE_DOWN] = "@h.%u.mlp.c_proj.weight",
	[ROLE_DOWN_BIAS] = "@h.%u.mlp.c_proj.bias",
	[ROLE_OUT_NORM] = "@ln_f.weight",
	[ROLE_HEAD] = "lm_head.weight",
};

role_names names_bloom = {
	[ROLE_EMBED] = "@word_embeddings.weight",
	[ROLE_EMBED_NORM] = "@word_embeddings_layernorm.weight",
	[ROLE_EMBED_NORM_BIAS] = "@word_embeddings_layernorm.bias",
	[ROLE_ATTN_NORM] = "@h.%u.input_layernorm.weight",
	[ROLE_ATTN_NORM_BIAS] = "@h.%u.input_layernorm.bias",
	[ROLE_QKV] = "@h.%u.self_attention.query_key_value.weight",
	[ROLE_QKV_BIAS] = "@h.%u.self_attention.query_key_value.bias",
	[ROLE_O] = "@h.%u.self_attention.dense.weight",
	[ROLE_O_BIAS] = "@h.%u.self_attention.dense.bias",
	[ROLE_FFN_NORM] = "@h.%u.post_attention_layernorm.weight",
	[ROLE_FFN_NORM_BIAS] = "@h.%u.post_attention_layernorm.bias",
	[ROLE_UP] = "@h.%u.mlp.dense_h_to_4h.weight",
	[ROLE_UP_BIAS] = "@h.%u.mlp.dense_h_to_4h.bias",
	[ROLE_DOWN] = "@h.%u.mlp.dense_4h_to_h.weight",
	[ROLE_DOWN_BIAS] = "@h.%u.mlp.dense_4h_to_h.bias",
	[ROLE_OUT_NORM] = "@ln_f.weight",
	[ROLE_OUT_NORM_BIAS] = "@ln_f.bias",
	[ROLE_HEAD] = "lm_head.weight",
};

role_names names_mpt = {
	[ROLE_EMBED] = "@wte.weight",
	[ROLE_ATTN_NORM] = "@blocks.%u.norm_1.weight",
	[ROLE_QKV] = "@blocks.%u.attn.Wqkv.weight",
	[ROLE_O] = "@blocks.%u.attn.out_proj.weight",
	[ROLE_FFN_NORM] = "@blocks.%u.norm_2.weight",
	[ROLE_UP] = "@blocks.%u.ffn.up_proj.weight",
	[ROLE_DOWN] = "@blocks.%u.ffn.down_proj.weight",
	[ROLE_OUT_NORM] = "@norm_f.weight",
	[ROLE_HEAD] = "lm_head.weight",
};

role_names names_hunyuan = {
	[ROLE_Q_NORM] = "@layers.%u.self_attn.query_layernorm.weight",
	[ROLE_K_NORM] = "@layers.%u.self_attn.key_layernorm.weight",
};

role_names names_hunyuan_moe = {
	[ROLE_Q_NORM] = "@layers.%u.self_attn.query_layernorm.weight",
	[ROLE_K_NORM] = "@layers.%u.self_attn.key_layernorm.weight",
	[ROLE_ROUTER] = "@layers.%u.mlp.gate.wg.weight",
	[ROLE_EXPERT_GATE] = "@layers.%u.mlp.experts.%u.gate_proj.weight",
	[ROLE_EXPERT_UP] = "@layers.%u.mlp.experts.%u.up_proj.weight",
	[ROLE_EXPERT_DOWN] = "@layers.%u.mlp.experts.%u.down_proj.weight",
	[ROLE_SHARED_GATE] = "@layers.%u.mlp.shared_mlp.gate_proj.weight",
	[ROLE_SHARED_UP] = "@layers.%u.mlp.shared_mlp.up_proj.weight",
	[ROLE_SHARED_DOWN] = "@layers.%u.mlp.shared_mlp.down_proj.weight",
};

/* Without experts the shared one is the feed-forward network. */
role_names names_granite_moe = {
	[ROLE_GATE] = "",
	[ROLE_UP] = "",
	[ROLE_GATE_UP] = "@layers.%u.shared_mlp.input_linear.weight",
	[ROLE_DOWN] = "@layers.%u.shared_mlp.output_linear.weight",
	[ROLE_ROUTER] = "@layers.%u.block_sparse_moe.router.layer.weight",
	[ROLE_EXPERT_GATE_UP] = "@layers.%u.block_sparse_moe.input_linear.weight",
	[ROLE_EXPERT_DOWN] = "@layers.%u.block_sparse_moe.output_linear.weight",
	[ROLE_SHARED_GATE_UP] = "@layers.%u.shared_mlp.input_linear.weight",
	[ROLE_SHARED_DOWN] = "@layers.%u.shared_mlp.output_linear.weight",
};

role_names names_vaultgemma = {
	[ROLE_FFN_NORM] = "@layers.%u.pre_feedforward_layernorm.weight",
};

role_names names_gguf_bloom = {
	[ROLE_EMBED_NORM] = "token_embd_norm.weight",
	[ROLE_EMBED_NORM_BIAS] = "token_embd_norm.bias",
	[ROLE_GATE] = "",
};
