#include "model/arch.h"

/* The Hugging Face names are those of transformers' modeling_llama.py; the GGUF names those of
 * gguf-py/gguf/constants.py. llama.cpp's converter permutes the rows of q and k so that pairs lie
 * side by side, hence the two rope styles. */
const struct arch arch_table[] = {
	{
		.model_type = "llama",
		.gguf = "llama",
		.rope_hf = ROPE_HALF,
		.rope_gguf = ROPE_PAIR,
		.hf = {
			[ROLE_EMBED] = "model.embed_tokens.weight",
			[ROLE_ATTN_NORM] = "model.layers.%u.input_layernorm.weight",
			[ROLE_Q] = "model.layers.%u.self_attn.q_proj.weight",
			[ROLE_K] = "model.layers.%u.self_attn.k_proj.weight",
			[ROLE_V] = "model.layers.%u.self_attn.v_proj.weight",
			[ROLE_O] = "model.layers.%u.self_attn.o_proj.weight",
			[ROLE_FFN_NORM] = "model.layers.%u.post_attention_layernorm.weight",
			[ROLE_GATE] = "model.layers.%u.mlp.gate_proj.weight",
			[ROLE_UP] = "model.layers.%u.mlp.up_proj.weight",
			[ROLE_DOWN] = "model.layers.%u.mlp.down_proj.weight",
			[ROLE_OUT_NORM] = "model.norm.weight",
			[ROLE_HEAD] = "lm_head.weight",
			[ROLE_Q_BIAS] = "model.layers.%u.self_attn.q_proj.bias",
			[ROLE_K_BIAS] = "model.layers.%u.self_attn.k_proj.bias",
			[ROLE_V_BIAS] = "model.layers.%u.self_attn.v_proj.bias",
			[ROLE_O_BIAS] = "model.layers.%u.self_attn.o_proj.bias",
			[ROLE_GATE_BIAS] = "model.layers.%u.mlp.gate_proj.bias",
			[ROLE_UP_BIAS] = "model.layers.%u.mlp.up_proj.bias",
			[ROLE_DOWN_BIAS] = "model.layers.%u.mlp.down_proj.bias",
		},
		.gguf_name = {
			[ROLE_EMBED] = "token_embd.weight",
			[ROLE_ATTN_NORM] = "blk.%u.attn_norm.weight",
			[ROLE_Q] = "blk.%u.attn_q.weight",
			[ROLE_K] = "blk.%u.attn_k.weight",
			[ROLE_V] = "blk.%u.attn_v.weight",
			[ROLE_O] = "blk.%u.attn_output.weight",
			[ROLE_FFN_NORM] = "blk.%u.ffn_norm.weight",
			[ROLE_GATE] = "blk.%u.ffn_gate.weight",
			[ROLE_UP] = "blk.%u.ffn_up.weight",
			[ROLE_DOWN] = "blk.%u.ffn_down.weight",
			[ROLE_OUT_NORM] = "output_norm.weight",
			[ROLE_HEAD] = "output.weight",
			[ROLE_Q_BIAS] = "blk.%u.attn_q.bias",
			[ROLE_K_BIAS] = "blk.%u.attn_k.bias",
			[ROLE_V_BIAS] = "blk.%u.attn_v.bias",
			[ROLE_O_BIAS] = "blk.%u.attn_output.bias",
			[ROLE_GATE_BIAS] = "blk.%u.ffn_gate.bias",
			[ROLE_UP_BIAS] = "blk.%u.ffn_up.bias",
			[ROLE_DOWN_BIAS] = "blk.%u.ffn_down.bias",
			[ROLE_ROPE_FACTORS] = "rope_freqs.weight",
		},
	},
};

const size_t arch_count = sizeof(arch_table) / sizeof(*arch_table);
