#include "model/arch.h"

#include "model/families.h"

/* Names that differ from the common sets. "" takes a name away. */

static role_names names_gemma2 = {
	[ROLE_ATTN_POST] = "@layers.%u.post_attention_layernorm.weight",
	[ROLE_FFN_NORM] = "@layers.%u.pre_feedforward_layernorm.weight",
	[ROLE_FFN_POST] = "@layers.%u.post_feedforward_layernorm.weight",
};

static role_names names_gguf_both_norms = {
	[ROLE_ATTN_POST] = "blk.%u.post_attention_norm.weight",
	[ROLE_FFN_POST] = "blk.%u.post_ffw_norm.weight",
};

static role_names names_phi = {
	[ROLE_O] = "@layers.%u.self_attn.dense.weight",
	[ROLE_O_BIAS] = "@layers.%u.self_attn.dense.bias",
	[ROLE_FFN_NORM] = "",
	[ROLE_GATE] = "",
	[ROLE_UP] = "@layers.%u.mlp.fc1.weight",
	[ROLE_UP_BIAS] = "@layers.%u.mlp.fc1.bias",
	[ROLE_DOWN] = "@layers.%u.mlp.fc2.weight",
	[ROLE_DOWN_BIAS] = "@layers.%u.mlp.fc2.bias",
	[ROLE_OUT_NORM] = "@final_layernorm.weight",
	[ROLE_OUT_NORM_BIAS] = "@final_layernorm.bias",
	[ROLE_Q_NORM] = "@layers.%u.self_attn.q_layernorm.weight",
	[ROLE_K_NORM] = "@layers.%u.self_attn.k_layernorm.weight",
	[ROLE_Q_NORM_BIAS] = "@layers.%u.self_attn.q_layernorm.bias",
	[ROLE_K_NORM_BIAS] = "@layers.%u.self_attn.k_layernorm.bias",
};

static role_names names_gguf_phi2 = {
	[ROLE_FFN_NORM] = "",
	[ROLE_GATE] = "",
};

static role_names names_phi3 = {
	[ROLE_QKV] = "@layers.%u.self_attn.qkv_proj.weight",
	[ROLE_GATE_UP] = "@layers.%u.mlp.gate_up_proj.weight",
};

static role_names names_gguf_gate_in_up = {
	[ROLE_GATE] = "",
	[ROLE_UP] = "",
	[ROLE_GATE_UP] = "blk.%u.ffn_up.weight",
	[ROLE_GATE_UP_BIAS] = "blk.%u.ffn_up.bias",
};

static role_names names_bare = {
	[ROLE_ATTN_NORM] = "",
	[ROLE_FFN_NORM] = "",
	[ROLE_OUT_NORM] = "",
};

static role_names names_olmo2 = {
	[ROLE_ATTN_NORM] = "",
	[ROLE_FFN_NORM] = "",
	[ROLE_ATTN_POST] = "@layers.%u.post_attention_layernorm.weight",
	[ROLE_FFN_POST] = "@layers.%u.post_feedforward_layernorm.weight",
};

static role_names names_gguf_olmo2 = {
	[ROLE_ATTN_NORM] = "",
	[ROLE_FFN_NORM] = "",
	[ROLE_ATTN_POST] = "blk.%u.post_attention_norm.weight",
	[ROLE_FFN_POST] = "blk.%u.post_ffw_norm.weight",
};

static role_names names_glm = {
	[ROLE_GATE_UP] = "@layers.%u.mlp.gate_up_proj.weight",
};

static role_names names_glm4 = {
	[ROLE_GATE_UP] = "@layers.%u.mlp.gate_up_proj.weight",
	[ROLE_ATTN_POST] = "@layers.%u.post_self_attn_layernorm.weight",
	[ROLE_FFN_POST] = "@layers.%u.post_mlp_layernorm.weight",
};

static role_names names_gguf_glm4 = {
	[ROLE_GATE] = "",
	[ROLE_UP] = "",
	[ROLE_GATE_UP] = "blk.%u.ffn_up.weight",
	[ROLE_ATTN_POST] = "blk.%u.post_attention_norm.weight",
	[ROLE_FFN_POST] = "blk.%u.post_ffw_norm.weight",
};

static role_names names_stablelm = {
	[ROLE_Q_NORM] = "@layers.%u.self_attn.q_layernorm.norms.%u.weight",
	[ROLE_K_NORM] = "@layers.%u.self_attn.k_layernorm.norms.%u.weight",
};

static role_names names_one_norm = {
	[ROLE_FFN_NORM] = "",
	[ROLE_FFN_NORM_BIAS] = "",
};

static role_names names_falcon = {
	[ROLE_EMBED] = "@word_embeddings.weight",
	[ROLE_ATTN_NORM] = "@h.%u.ln_attn.weight|@h.%u.input_layernorm.weight",
	[ROLE_ATTN_NORM_BIAS] = "@h.%u.ln_attn.bias|@h.%u.input_layernorm.bias",
	[ROLE_QKV] = "@h.%u.self_attention.query_key_value.weight",
	[ROLE_QKV_BIAS] = "@h.%u.self_attention.query_key_value.bias",
	[ROLE_O] = "@h.%u.self_attention.dense.weight",
	[ROLE_O_BIAS] = "@h.%u.self_attention.dense.bias",
	[ROLE_FFN_NORM] = "@h.%u.ln_mlp.weight|@h.%u.post_attention_layernorm.weight",
	[ROLE_FFN_NORM_BIAS] = "@h.%u.ln_mlp.bias|@h.%u.post_attention_layernorm.bias",
	[ROLE_UP] = "@h.%u.mlp.dense_h_to_4h.weight",
	[ROLE_UP_BIAS] = "@h.%u.mlp.dense_h_to_4h.bias",
	[ROLE_DOWN] = "@h.%u.mlp.dense_4h_to_h.weight",
	[ROLE_DOWN_BIAS] = "@h.%u.mlp.dense_4h_to_h.bias",
	[ROLE_OUT_NORM] = "@ln_f.weight",
	[ROLE_OUT_NORM_BIAS] = "@ln_f.bias",
	[ROLE_HEAD] = "lm_head.weight",
};

static role_names names_gguf_falcon = {
	[ROLE_ATTN_NORM] = "blk.%u.attn_norm_2.weight|blk.%u.attn_norm.weight",
	[ROLE_ATTN_NORM_BIAS] = "blk.%u.attn_norm_2.bias|blk.%u.attn_norm.bias",
	[ROLE_FFN_NORM] = "blk.%u.attn_norm.weight",
	[ROLE_FFN_NORM_BIAS] = "blk.%u.attn_norm.bias",
	[ROLE_GATE] = "",
};

static role_names names_starcoder2 = {
	[ROLE_GATE] = "",
	[ROLE_UP] = "@layers.%u.mlp.c_fc.weight",
	[ROLE_UP_BIAS] = "@layers.%u.mlp.c_fc.bias",
	[ROLE_DOWN] = "@layers.%u.mlp.c_proj.weight",
	[ROLE_DOWN_BIAS] = "@layers.%u.mlp.c_proj.bias",
};

static role_names names_no_gate = {
	[ROLE_GATE] = "",
};

static role_names names_gguf_seed = {
	[ROLE_FFN_NORM] = "blk.%u.post_attention_norm.weight",
};

static role_names names_gpt2 = {
	[ROLE_EMBED] = "@wte.weight",
	[ROLE_POS_EMBED] = "@wpe.weight",
	[ROLE_ATTN_NORM] = "@h.%u.ln_1.weight",
	[ROLE_ATTN_NORM_BIAS] = "@h.%u.ln_1.bias",
	[ROLE_QKV] = "@h.%u.attn.c_attn.weight",
	[ROLE_QKV_BIAS] = "@h.%u.attn.c_attn.bias",
	[ROLE_O] = "@h.%u.attn.c_proj.weight",
	[ROLE_O_BIAS] = "@h.%u.attn.c_proj.bias",
	[ROLE_FFN_NORM] = "@h.%u.ln_2.weight",
	[ROLE_FFN_NORM_BIAS] = "@h.%u.ln_2.bias",
	[ROLE_UP] = "@h.%u.mlp.c_fc.weight",
	[ROLE_UP_BIAS] = "@h.%u.mlp.c_fc.bias",
	[ROLE_DOWN] = "@h.%u.mlp.c_proj.weight",
	[ROLE_DOWN_BIAS] = "@h.%u.mlp.c_proj.bias",
	[ROLE_OUT_NORM] = "@ln_f.weight",
	[ROLE_OUT_NORM_BIAS] = "@ln_f.bias",
	[ROLE_HEAD] = "lm_head.weight",
};

static role_names names_gguf_gpt2 = {
	[ROLE_POS_EMBED] = "position_embd.weight",
	[ROLE_GATE] = "",
};

static role_names names_neox = {
	[ROLE_EMBED] = "@embed_in.weight",
	[ROLE_ATTN_NORM] = "@layers.%u.input_layernorm.weight",
	[ROLE_ATTN_NORM_BIAS] = "@layers.%u.input_layernorm.bias",
	[ROLE_QKV] = "@layers.%u.attention.query_key_value.weight",
	[ROLE_QKV_BIAS] = "@layers.%u.attention.query_key_value.bias",
	[ROLE_O] = "@layers.%u.attention.dense.weight",
	[ROLE_O_BIAS] = "@layers.%u.attention.dense.bias",
	[ROLE_FFN_NORM] = "@layers.%u.post_attention_layernorm.weight",
	[ROLE_FFN_NORM_BIAS] = "@layers.%u.post_attention_layernorm.bias",
	[ROLE_UP] = "@layers.%u.mlp.dense_h_to_4h.weight",
	[ROLE_UP_BIAS] = "@layers.%u.mlp.dense_h_to_4h.bias",
	[ROLE_DOWN] = "@layers.%u.mlp.dense_4h_to_h.weight",
	[ROLE_DOWN_BIAS] = "@layers.%u.mlp.dense_4h_to_h.bias",
	[ROLE_OUT_NORM] = "@final_layer_norm.weight",
	[ROLE_OUT_NORM_BIAS] = "@final_layer_norm.bias",
	[ROLE_HEAD] = "embed_out.weight",
};

static role_names names_opt = {
	[ROLE_EMBED] = "@embed_tokens.weight",
	[ROLE_POS_EMBED] = "@embed_positions.weight",
	[ROLE_PROJ_IN] = "@project_in.weight",
	[ROLE_ATTN_NORM] = "@layers.%u.self_attn_layer_norm.weight",
	[ROLE_ATTN_NORM_BIAS] = "@layers.%u.self_attn_layer_norm.bias",
	[ROLE_Q] = "@layers.%u.self_attn.q_proj.weight",
	[ROLE_K] = "@layers.%u.self_attn.k_proj.weight",
	[ROLE_V] = "@layers.%u.self_attn.v_proj.weight",
	[ROLE_O] = "@layers.%u.self_attn.out_proj.weight",
	[ROLE_Q_BIAS] = "@layers.%u.self_attn.q_proj.bias",
	[ROLE_K_BIAS] = "@layers.%u.self_attn.k_proj.bias",
	[ROLE_V_BIAS] = "@layers.%u.self_attn.v_proj.bias",
	[ROLE_O_BIAS] = "@layers.%u.self_attn.out_proj.bias",
	[ROLE_FFN_NORM] = "@layers.%u.final_layer_norm.weight",
	[ROLE_FFN_NORM_BIAS] = "@layers.%u.final_layer_norm.bias",
	[ROLE_UP] = "@layers.%u.fc1.weight",
	[ROLE_UP_BIAS] = "@layers.%u.fc1.bias",
	[ROLE_DOWN] = "@layers.%u.fc2.weight",
	[ROLE_DOWN_BIAS] = "@layers.%u.fc2.bias",
	[ROLE_OUT_NORM] = "@final_layer_norm.weight",
	[ROLE_OUT_NORM_BIAS] = "@final_layer_norm.bias",
	[ROLE_PROJ_OUT] = "@project_out.weight",
	[ROLE_HEAD] = "lm_head.weight",
};

static role_names names_baichuan = {
	[ROLE_QKV] = "@layers.%u.self_attn.W_pack.weight",
};

static role_names names_internlm2 = {
	[ROLE_EMBED] = "@tok_embeddings.weight",
	[ROLE_ATTN_NORM] = "@layers.%u.attention_norm.weight",
	[ROLE_QKV] = "@layers.%u.attention.wqkv.weight",
	[ROLE_QKV_BIAS] = "@layers.%u.attention.wqkv.bias",
	[ROLE_O] = "@layers.%u.attention.wo.weight",
	[ROLE_O_BIAS] = "@layers.%u.attention.wo.bias",
	[ROLE_FFN_NORM] = "@layers.%u.ffn_norm.weight",
	[ROLE_GATE] = "@layers.%u.feed_forward.w1.weight",
	[ROLE_UP] = "@layers.%u.feed_forward.w3.weight",
	[ROLE_DOWN] = "@layers.%u.feed_forward.w2.weight",
	[ROLE_OUT_NORM] = "@norm.weight",
	[ROLE_HEAD] = "output.weight",
};

static role_names names_qwen = {
	[ROLE_EMBED] = "@wte.weight",
	[ROLE_ATTN_NORM] = "@h.%u.ln_1.weight",
	[ROLE_QKV] = "@h.%u.attn.c_attn.weight",
	[ROLE_QKV_BIAS] = "@h.%u.attn.c_attn.bias",
	[ROLE_O] = "@h.%u.attn.c_proj.weight",
	[ROLE_FFN_NORM] = "@h.%u.ln_2.weight",
	[ROLE_GATE] = "@h.%u.mlp.w2.weight",
	[ROLE_UP] = "@h.%u.mlp.w1.weight",
	[ROLE_DOWN] = "@h.%u.mlp.c_proj.weight",
	[ROLE_OUT_NORM] = "@ln_f.weight",
	[ROLE_HEAD] = "lm_head.weight",
};

static role_names names_chatglm = {
	[ROLE_EMBED] = "@embedding.word_embeddings.weight",
	[ROLE_ATTN_NORM] = "@encoder.layers.%u.input_layernorm.weight",
	[ROLE_QKV] = "@encoder.layers.%u.self_attention.query_key_value.weight",
	[ROLE_QKV_BIAS] = "@encoder.layers.%u.self_attention.query_key_value.bias",
	[ROLE_O] = "@encoder.layers.%u.self_attention.dense.weight",
	[ROLE_O_BIAS] = "@encoder.layers.%u.self_attention.dense.bias",
	[ROLE_FFN_NORM] = "@encoder.layers.%u.post_attention_layernorm.weight",
	[ROLE_GATE_UP] = "@encoder.layers.%u.mlp.dense_h_to_4h.weight",
	[ROLE_GATE_UP_BIAS] = "@encoder.layers.%u.mlp.dense_h_to_4h.bias",
	[ROLE_DOWN] = "@encoder.layers.%u.mlp.dense_4h_to_h.weight",
	[ROLE_DOWN_BIAS] = "@encoder.layers.%u.mlp.dense_4h_to_h.bias",
	[ROLE_OUT_NORM] = "@encoder.final_layernorm.weight",
	[ROLE_HEAD] = "@output_layer.weight",
};

#define LLAMA .base = "model.", .hf = &names_hf_llama, .gguf_names = &names_gguf

/* rope_gguf: llama.cpp's converter permutes q and k of some families so that pairs lie side by side. */
const struct arch arch_table[] = {
	{"llama|internlm|Yi|yi|aquila", "llama", ARCH_EXPERTS, ROPE_HALF, ROPE_PAIR,
		{4096, 11008, 32, 32, 0, 0, 32000, 2048, 1e-6, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.gguf_more = &names_gguf_moe, .json = json_llama, .gguf_meta = gguf_llama},
	{"mistral|ministral", NULL, ARCH_WINDOW, ROPE_HALF, ROPE_PAIR,
		{4096, 14336, 32, 32, 8, 0, 32000, 131072, 1e-6, 10000, 0, ACT_SILU, false, 4096}, LLAMA},
	{"qwen2", "qwen2", ARCH_WINDOW, ROPE_HALF, ROPE_HALF,
		{4096, 22016, 32, 32, 32, 0, 151936, 32768, 1e-6, 10000, 0, ACT_SILU, false, 4096}, LLAMA,
		.json = json_qwen2},
	{"qwen2_vl|qwen2_5_vl|qwen2_vl_text|qwen2_5_vl_text", "qwen2vl", ARCH_WINDOW, ROPE_HALF, ROPE_HALF,
		{8192, 29568, 80, 64, 8, 0, 152064, 32768, 1e-5, 1e6, 0, ACT_SILU, false, 4096}, LLAMA,
		.json = json_qwen2},
	{"qwen3", "qwen3", ARCH_WINDOW, ROPE_HALF, ROPE_HALF,
		{4096, 22016, 32, 32, 32, 128, 151936, 32768, 1e-6, 10000, 0, ACT_SILU, false, 4096}, LLAMA,
		.json = json_qwen2},
	{"qwen3_vl_text", "qwen3vl", ARCH_WINDOW, ROPE_HALF, ROPE_HALF,
		{4096, 22016, 32, 32, 32, 128, 151936, 128000, 1e-6, 500000, 0, ACT_SILU, false, 0}, LLAMA,
		.json = json_qwen2},
	{"gemma", "gemma", ARCH_PLUS_ONE, ROPE_HALF, ROPE_HALF,
		{3072, 24576, 28, 16, 16, 256, 256000, 8192, 1e-6, 10000, 0, ACT_GELU_TANH, true, 0}, LLAMA,
		.json = json_gemma, .gguf_meta = gguf_gemma},
	{"gemma2", "gemma2", ARCH_PLUS_ONE | ARCH_WINDOW, ROPE_HALF, ROPE_HALF,
		{2304, 9216, 26, 8, 4, 256, 256000, 8192, 1e-6, 10000, 0, ACT_GELU_TANH, true, 4096}, LLAMA,
		.hf_more = &names_gemma2, .gguf_more = &names_gguf_both_norms, .json = json_gemma2, .gguf_meta = gguf_gemma2},
	{"gemma3_text|gemma3", "gemma3", ARCH_PLUS_ONE | ARCH_WINDOW, ROPE_HALF, ROPE_HALF,
		{2304, 9216, 26, 8, 4, 256, 262208, 131072, 1e-6, 1e6, 0, ACT_GELU_TANH, true, 4096}, LLAMA,
		.hf_more = &names_gemma2, .gguf_more = &names_gguf_both_norms, .json = json_gemma3, .gguf_meta = gguf_gemma3},
	{"phi", "phi2", ARCH_LAYER_NORM | ARCH_PARALLEL, ROPE_HALF, ROPE_HALF,
		{2048, 8192, 24, 32, 0, 0, 51200, 2048, 1e-5, 10000, 0.5, ACT_GELU_TANH, false, 0}, LLAMA,
		.hf_more = &names_phi, .gguf_more = &names_gguf_phi2},
	{"phi3", "phi3", ARCH_WINDOW, ROPE_HALF, ROPE_HALF,
		{3072, 8192, 32, 32, 0, 0, 32064, 4096, 1e-5, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_phi3, .gguf_more = &names_gguf_gate_in_up, .gguf_meta = gguf_windows},
	{"olmo", "olmo", ARCH_BARE_NORM, ROPE_HALF, ROPE_PAIR,
		{4096, 11008, 32, 32, 0, 0, 50304, 2048, 1e-5, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_bare, .gguf_more = &names_bare, .json = json_olmo, .gguf_meta = gguf_olmo},
	{"olmo2", "olmo2", 0, ROPE_HALF, ROPE_HALF,
		{4096, 11008, 32, 32, 0, 0, 50304, 2048, 1e-5, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_olmo2, .gguf_more = &names_gguf_olmo2, .gguf_meta = gguf_olmo2},
	{"olmo3", NULL, ARCH_WINDOW, ROPE_HALF, ROPE_HALF,
		{4096, 11008, 32, 32, 0, 0, 50304, 2048, 1e-5, 500000, 0, ACT_SILU, false, 4096}, LLAMA,
		.hf_more = &names_olmo2, .json = json_olmo3},
	{"granite", "granite", 0, ROPE_HALF, ROPE_PAIR,
		{4096, 11008, 32, 32, 0, 0, 32000, 2048, 1e-6, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.json = json_granite, .gguf_meta = gguf_granite},
	{"smollm3", "smollm3", ARCH_WINDOW, ROPE_HALF, ROPE_PAIR,
		{2048, 11008, 36, 16, 4, 0, 128256, 32768, 1e-6, 2e6, 0, ACT_SILU, true, 0}, LLAMA,
		.json = json_smollm3, .gguf_meta = gguf_smollm3},
	{"glm", NULL, 0, ROPE_PAIR, ROPE_PAIR,
		{4096, 13696, 40, 32, 2, 128, 151552, 131072, 1.5625e-7, 10000, 0.5, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_glm},
	{"glm4", "glm4", 0, ROPE_PAIR, ROPE_PAIR,
		{4096, 13696, 40, 32, 2, 128, 151552, 131072, 1.5625e-7, 10000, 0.5, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_glm4, .gguf_more = &names_gguf_glm4},
	{"arcee", "arcee", 0, ROPE_HALF, ROPE_PAIR,
		{2560, 18432, 32, 32, 0, 0, 32000, 4096, 1e-5, 10000, 0, ACT_RELU2, false, 0}, LLAMA,
		.hf_more = &names_no_gate, .gguf_more = &names_no_gate},
	{"seed_oss", "seed_oss", 0, ROPE_HALF, ROPE_HALF,
		{4096, 27648, 64, 80, 8, 128, 155136, 524288, 1e-6, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.gguf_more = &names_gguf_seed},
	{"ernie4_5", "ernie4_5", 0, ROPE_PAIR, ROPE_PAIR,
		{1024, 3072, 18, 16, 2, 128, 103424, 131072, 1e-5, 500000, 0, ACT_SILU, true, 0}, LLAMA},
	{"nemotron", "nemotron", ARCH_LAYER_NORM | ARCH_PLUS_ONE, ROPE_HALF, ROPE_HALF,
		{6144, 24576, 32, 48, 0, 0, 256000, 4096, 1e-5, 10000, 0.5, ACT_RELU2, false, 0}, LLAMA,
		.hf_more = &names_no_gate, .gguf_more = &names_no_gate},
	{"exaone4", "exaone4", ARCH_WINDOW, ROPE_HALF, ROPE_HALF,
		{4096, 16384, 32, 32, 32, 0, 102400, 2048, 1e-5, 10000, 0, ACT_SILU, false, 4096}, LLAMA,
		.hf_more = &names_olmo2, .gguf_more = &names_gguf_olmo2, .json = json_exaone4,
		.gguf_meta = gguf_exaone4},
	{"stablelm|stablelm_epoch", "stablelm", ARCH_LAYER_NORM, ROPE_HALF, ROPE_HALF,
		{2560, 6912, 32, 32, 32, 0, 50304, 4096, 1e-5, 10000, 0.25, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_stablelm, .json = json_stablelm, .gguf_meta = gguf_stablelm},
	{"cohere", "command-r", ARCH_LAYER_NORM | ARCH_PARALLEL, ROPE_PAIR, ROPE_PAIR,
		{8192, 22528, 40, 64, 0, 0, 256000, 8192, 1e-5, 500000, 0, ACT_SILU, true, 0}, LLAMA,
		.hf_more = &names_one_norm, .gguf_more = &names_one_norm, .json = json_cohere, .gguf_meta = gguf_cohere},
	{"cohere2", "cohere2", ARCH_LAYER_NORM | ARCH_PARALLEL | ARCH_WINDOW, ROPE_PAIR, ROPE_PAIR,
		{8192, 22528, 40, 64, 0, 0, 256000, 8192, 1e-5, 10000, 0, ACT_SILU, true, 4096}, LLAMA,
		.hf_more = &names_one_norm, .gguf_more = &names_one_norm, .json = json_cohere2, .gguf_meta = gguf_cohere2},
	{"falcon|RefinedWeb|RefinedWebModel", "falcon", ARCH_LAYER_NORM | ARCH_PARALLEL, ROPE_HALF, ROPE_HALF,
		{4544, 0, 32, 71, 0, 0, 65024, 2048, 1e-5, 10000, 0, ACT_GELU_ERF, true, 0},
		"transformer.", &names_falcon, NULL, &names_gguf, &names_gguf_falcon, json_falcon, NULL},
	{"starcoder2", "starcoder2", ARCH_LAYER_NORM | ARCH_WINDOW, ROPE_HALF, ROPE_HALF,
		{3072, 12288, 30, 24, 2, 0, 49152, 4096, 1e-5, 10000, 0, ACT_GELU_TANH, true, 0}, LLAMA,
		.hf_more = &names_starcoder2, .gguf_more = &names_no_gate},
	{"gpt2", "gpt2", ARCH_LAYER_NORM | ARCH_TRANSPOSED | ARCH_NO_ROPE, ROPE_HALF, ROPE_HALF,
		{768, 0, 12, 12, 0, 0, 50257, 1024, 1e-5, 10000, 0, ACT_GELU_TANH, true, 0},
		"transformer.", &names_gpt2, NULL, &names_gguf, &names_gguf_gpt2, json_gpt2, NULL},
	{"gpt_neox", "gptneox", ARCH_LAYER_NORM | ARCH_PARALLEL | ARCH_QKV_GROUPS, ROPE_HALF, ROPE_HALF,
		{6144, 24576, 44, 64, 0, 0, 50432, 2048, 1e-5, 10000, 0.25, ACT_GELU_ERF, false, 0},
		"gpt_neox.", &names_neox, NULL, &names_gguf, &names_no_gate, json_neox, gguf_neox},
	{"opt", NULL, ARCH_LAYER_NORM | ARCH_NO_ROPE, ROPE_HALF, ROPE_HALF,
		{768, 3072, 12, 12, 0, 0, 50272, 2048, 1e-5, 10000, 0, ACT_RELU, true, 0},
		"model.decoder.", &names_opt, NULL, NULL, NULL, json_opt, NULL},
	/* Families whose code came with their files. */
	{"baichuan", "baichuan", 0, ROPE_HALF, ROPE_PAIR,
		{4096, 11008, 32, 32, 0, 0, 64000, 4096, 1e-6, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_baichuan, .json = json_baichuan, .gguf_meta = gguf_baichuan},
	{"internlm2", "internlm2", ARCH_QKV_GROUPS, ROPE_HALF, ROPE_PAIR,
		{4096, 11008, 32, 32, 0, 0, 103168, 2048, 1e-6, 10000, 0, ACT_SILU, false, 0},
		"model.", &names_internlm2, NULL, &names_gguf, NULL, NULL, NULL},
	{"qwen", "qwen", 0, ROPE_HALF, ROPE_HALF,
		{4096, 22016, 32, 32, 0, 128, 151936, 8192, 1e-6, 10000, 0, ACT_SILU, false, 0},
		"transformer.", &names_qwen, NULL, &names_gguf, NULL, json_qwen, gguf_qwen},
	{"chatglm", "chatglm", 0, ROPE_PAIR, ROPE_PAIR,
		{4096, 13696, 28, 32, 0, 128, 65024, 2048, 1e-5, 10000, 0.5, ACT_SILU, false, 0},
		"transformer.", &names_chatglm, NULL, &names_gguf, &names_gguf_gate_in_up, json_chatglm, NULL},
	{"minicpm", "minicpm", 0, ROPE_HALF, ROPE_PAIR,
		{4096, 11008, 32, 32, 0, 0, 32000, 2048, 1e-6, 10000, 0, ACT_SILU, true, 0}, LLAMA,
		.json = json_minicpm, .gguf_meta = gguf_minicpm},
	{"mixtral", NULL, ARCH_WINDOW, ROPE_HALF, ROPE_PAIR,
		{4096, 14336, 32, 32, 8, 0, 32000, 131072, 1e-5, 1e6, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_mixtral, .json = json_mixtral},
	{"qwen2_moe", "qwen2moe", ARCH_WINDOW | ARCH_EXPERTS, ROPE_HALF, ROPE_HALF,
		{2048, 5632, 24, 16, 16, 0, 151936, 32768, 1e-6, 10000, 0, ACT_SILU, false, 4096}, LLAMA,
		.hf_more = &names_qwen2_moe, .gguf_more = &names_gguf_moe, .json = json_qwen2_moe,
		.gguf_meta = gguf_qwen2_moe},
	{"qwen3_moe", "qwen3moe", ARCH_WINDOW | ARCH_EXPERTS, ROPE_HALF, ROPE_HALF,
		{2048, 6144, 24, 32, 4, 0, 151936, 32768, 1e-6, 10000, 0, ACT_SILU, false, 4096}, LLAMA,
		.hf_more = &names_qwen3_moe, .gguf_more = &names_gguf_moe, .json = json_qwen3_moe, .gguf_meta = gguf_qwen3_moe},
	{"olmoe", "olmoe", ARCH_EXPERTS, ROPE_HALF, ROPE_HALF,
		{2048, 2048, 16, 16, 0, 0, 50304, 4096, 1e-5, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_qwen3_moe, .gguf_more = &names_gguf_moe, .json = json_olmoe,
		.gguf_meta = gguf_qwen2_moe},
	{"deepseek_v2", "deepseek2", ARCH_EXPERTS | ARCH_LATENT, ROPE_PAIR, ROPE_PAIR,
		{4096, 11008, 32, 32, 0, 0, 102400, 2048, 1e-6, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_deepseek, .gguf_more = &names_gguf_deepseek2, .json = json_deepseek2,
		.gguf_meta = gguf_deepseek2},
	{"deepseek_v3|kimi_k2", NULL, ARCH_EXPERTS | ARCH_LATENT, ROPE_PAIR, ROPE_PAIR,
		{7168, 18432, 61, 128, 128, 0, 129280, 4096, 1e-6, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_deepseek, .json = json_deepseek3},
	{"glm4_moe", "glm4moe", ARCH_EXPERTS, ROPE_HALF, ROPE_HALF,
		{4096, 10944, 46, 96, 8, 0, 151552, 131072, 1e-5, 10000, 0.5, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_glm4_moe, .gguf_more = &names_gguf_glm4_moe, .json = json_glm4_moe,
		.gguf_meta = gguf_glm4_moe},
	{"gpt_oss", "gpt-oss", ARCH_WINDOW | ARCH_EXPERTS | ARCH_TRANSPOSED_EXPERTS, ROPE_HALF, ROPE_HALF,
		{2880, 2880, 36, 64, 8, 64, 201088, 131072, 1e-5, 150000, 0, ACT_SILU, false, 128}, LLAMA,
		.hf_more = &names_gpt_oss, .gguf_more = &names_gguf_gpt_oss, .json = json_gpt_oss,
		.gguf_meta = gguf_gpt_oss},
	{"ministral3", NULL, ARCH_WINDOW, ROPE_HALF, ROPE_PAIR,
		{4096, 14336, 34, 32, 8, 128, 131072, 262144, 1e-5, 1e6, 0, ACT_SILU, false, 0}, LLAMA,
		.json = json_ministral3},
	{"internlm3", NULL, 0, ROPE_HALF, ROPE_PAIR,
		{4096, 10240, 48, 32, 2, 128, 128512, 32768, 1e-5, 10000, 0, ACT_SILU, false, 0}, LLAMA},
	{"helium", NULL, 0, ROPE_PAIR, ROPE_PAIR,
		{2560, 7040, 24, 20, 20, 128, 48000, 4096, 1e-8, 100000, 0, ACT_SILU, false, 0}, LLAMA},
	{"cwm", NULL, ARCH_WINDOW, ROPE_HALF, ROPE_PAIR,
		{6144, 21504, 64, 48, 8, 128, 128256, 131072, 1e-5, 1e6, 0, ACT_SILU, false, 8192}, LLAMA,
		.json = json_cwm},
	{"jais2", NULL, ARCH_LAYER_NORM, ROPE_HALF, ROPE_HALF,
		{3328, 26624, 32, 26, 0, 128, 150272, 8192, 1e-5, 10000, 0, ACT_RELU2, false, 0}, LLAMA,
		.hf_more = &names_no_gate},
	{"vaultgemma", NULL, ARCH_PLUS_ONE | ARCH_WINDOW, ROPE_HALF, ROPE_HALF,
		{2304, 9216, 26, 8, 4, 256, 256000, 8192, 1e-6, 10000, 0, ACT_GELU_TANH, true, 4096}, LLAMA,
		.hf_more = &names_vaultgemma, .json = json_gemma2},
	{"hunyuan_v1_dense", NULL, 0, ROPE_HALF, ROPE_HALF,
		{4096, 11008, 32, 32, 0, 0, 290943, 2048, 1e-5, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_hunyuan, .json = json_hunyuan},
	{"exaone", NULL, 0, ROPE_HALF, ROPE_HALF,
		{4096, 14336, 32, 32, 8, 0, 102400, 4096, 1e-5, 500000, 0, ACT_SILU, false, 0},
		"transformer.", &names_exaone, NULL, NULL, NULL, NULL, NULL},
	{"gptj", NULL, ARCH_LAYER_NORM | ARCH_PARALLEL, ROPE_PAIR, ROPE_PAIR,
		{4096, 0, 28, 16, 0, 0, 50400, 2048, 1e-5, 10000, 0, ACT_GELU_TANH, false, 0},
		"transformer.", &names_gptj, NULL, NULL, NULL, json_gptj, NULL},
	{"gpt_neo", NULL, ARCH_LAYER_NORM | ARCH_NO_ROPE, ROPE_HALF, ROPE_HALF,
		{2048, 0, 24, 16, 0, 0, 50257, 2048, 1e-5, 10000, 0, ACT_GELU_TANH, true, 0},
		"transformer.", &names_gpt_neo, NULL, NULL, NULL, json_gpt_neo, NULL},
	{"gpt_bigcode", NULL, ARCH_LAYER_NORM | ARCH_NO_ROPE, ROPE_HALF, ROPE_HALF,
		{768, 0, 12, 12, 0, 0, 50257, 1024, 1e-5, 10000, 0, ACT_GELU_TANH, true, 0},
		"transformer.", &names_gpt2, NULL, NULL, NULL, json_bigcode, NULL},
	{"bloom", NULL, ARCH_LAYER_NORM | ARCH_NO_ROPE, ROPE_HALF, ROPE_HALF,
		{64, 0, 2, 8, 0, 0, 250880, 2048, 1e-5, 10000, 0, ACT_GELU_TANH, true, 0},
		"transformer.", &names_bloom, NULL, NULL, NULL, json_bloom, NULL},
	{"mpt", NULL, ARCH_LAYER_NORM | ARCH_NO_ROPE, ROPE_HALF, ROPE_HALF,
		{2048, 0, 24, 16, 0, 0, 50368, 2048, 1e-5, 10000, 0, ACT_GELU_ERF, true, 0},
		"transformer.", &names_mpt, NULL, NULL, NULL, json_mpt, NULL},
	{"granitemoe", NULL, ARCH_EXPERTS, ROPE_HALF, ROPE_PAIR,
		{4096, 11008, 32, 32, 0, 0, 32000, 2048, 1e-6, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_granite_moe, .json = json_granite_moe},
	{"granitemoeshared", NULL, ARCH_EXPERTS, ROPE_HALF, ROPE_PAIR,
		{4096, 11008, 32, 32, 0, 0, 32000, 2048, 1e-6, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_granite_moe, .json = json_granite_shared},
	{"granitemoehybrid", NULL, ARCH_EXPERTS, ROPE_HALF, ROPE_PAIR,
		{4096, 11008, 32, 32, 0, 0, 32000, 2048, 1e-6, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_granite_moe, .json = json_granite_hybrid},
	{"hunyuan_v1_moe", NULL, ARCH_EXPERTS, ROPE_HALF, ROPE_HALF,
		{4096, 11008, 32, 32, 0, 0, 290943, 2048, 1e-5, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_hunyuan_moe, .json = json_hunyuan_moe},
	{"ernie4_5_moe", NULL, ARCH_EXPERTS, ROPE_PAIR, ROPE_PAIR,
		{2560, 12288, 28, 20, 4, 0, 103424, 131072, 1e-5, 500000, 0, ACT_SILU, true, 0}, LLAMA,
		.hf_more = &names_ernie_moe, .json = json_ernie_moe},
	{"minimax_m2", NULL, ARCH_EXPERTS, ROPE_HALF, ROPE_HALF,
		{3072, 1536, 62, 48, 8, 128, 200064, 196608, 1e-6, 5e6, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_minimax_m2, .json = json_minimax_m2},
	{"dots1", NULL, ARCH_EXPERTS | ARCH_WINDOW, ROPE_HALF, ROPE_HALF,
		{4608, 10944, 62, 32, 32, 0, 152064, 2048, 1e-6, 10000, 0, ACT_SILU, false, 4096}, LLAMA,
		.hf_more = &names_glm4_moe, .json = json_dots1},
	{"qwen3_vl_moe_text", NULL, ARCH_EXPERTS | ARCH_TRANSPOSED_EXPERTS, ROPE_HALF, ROPE_HALF,
		{2048, 5632, 24, 16, 16, 0, 151936, 128000, 1e-6, 500000, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_qwen3_moe, .json = json_qwen3_vl_moe},
	{"glm4_moe_lite", NULL, ARCH_EXPERTS | ARCH_LATENT, ROPE_PAIR, ROPE_PAIR,
		{2048, 10240, 47, 20, 20, 0, 154880, 202752, 1e-5, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_deepseek, .json = json_glm4_lite},
	{"minicpm3", NULL, ARCH_LATENT, ROPE_HALF, ROPE_HALF,
		{2560, 6400, 62, 40, 40, 32, 73448, 32768, 1e-5, 10000, 0, ACT_SILU, true, 0}, LLAMA,
		.hf_more = &names_deepseek, .json = json_minicpm3},
	{"deepseek", NULL, ARCH_EXPERTS, ROPE_HALF, ROPE_PAIR,
		{4096, 11008, 30, 32, 32, 0, 102400, 2048, 1e-6, 10000, 0, ACT_SILU, false, 0}, LLAMA,
		.hf_more = &names_deepseek1, .json = json_deepseek1},
};

const size_t arch_count = sizeof(arch_table) / sizeof(*arch_table);
