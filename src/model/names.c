/* Tensor names that most families share. Hugging Face: modeling_llama.py and its kin in transformers;
 * GGUF: gguf-py/gguf/constants.py. */
#include <stdio.h>
#include <string.h>

#include "model/arch.h"

role_names names_hf_llama = {
	[ROLE_EMBED] = "@embed_tokens.weight",
	[ROLE_ATTN_NORM] = "@layers.%u.input_layernorm.weight",
	[ROLE_Q] = "@layers.%u.self_attn.q_proj.weight",
	[ROLE_K] = "@layers.%u.self_attn.k_proj.weight",
	[ROLE_V] = "@layers.%u.self_attn.v_proj.weight",
	[ROLE_O] = "@layers.%u.self_attn.o_proj.weight",
	[ROLE_FFN_NORM] = "@layers.%u.post_attention_layernorm.weight",
	[ROLE_GATE] = "@layers.%u.mlp.gate_proj.weight",
	[ROLE_UP] = "@layers.%u.mlp.up_proj.weight",
	[ROLE_DOWN] = "@layers.%u.mlp.down_proj.weight",
	[ROLE_OUT_NORM] = "@norm.weight",
	[ROLE_HEAD] = "lm_head.weight",
	[ROLE_ATTN_NORM_BIAS] = "@layers.%u.input_layernorm.bias",
	[ROLE_Q_BIAS] = "@layers.%u.self_attn.q_proj.bias",
	[ROLE_K_BIAS] = "@layers.%u.self_attn.k_proj.bias",
	[ROLE_V_BIAS] = "@layers.%u.self_attn.v_proj.bias",
	[ROLE_O_BIAS] = "@layers.%u.self_attn.o_proj.bias",
	[ROLE_FFN_NORM_BIAS] = "@layers.%u.post_attention_layernorm.bias",
	[ROLE_GATE_BIAS] = "@layers.%u.mlp.gate_proj.bias",
	[ROLE_UP_BIAS] = "@layers.%u.mlp.up_proj.bias",
	[ROLE_DOWN_BIAS] = "@layers.%u.mlp.down_proj.bias",
	[ROLE_OUT_NORM_BIAS] = "@norm.bias",
	[ROLE_HEAD_BIAS] = "lm_head.bias",
	[ROLE_Q_NORM] = "@layers.%u.self_attn.q_norm.weight",
	[ROLE_K_NORM] = "@layers.%u.self_attn.k_norm.weight",
};

role_names names_gguf = {
	[ROLE_EMBED] = "token_embd.weight",
	[ROLE_ATTN_NORM] = "blk.%u.attn_norm.weight",
	[ROLE_QKV] = "blk.%u.attn_qkv.weight",
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
	[ROLE_ATTN_NORM_BIAS] = "blk.%u.attn_norm.bias",
	[ROLE_QKV_BIAS] = "blk.%u.attn_qkv.bias",
	[ROLE_Q_BIAS] = "blk.%u.attn_q.bias",
	[ROLE_K_BIAS] = "blk.%u.attn_k.bias",
	[ROLE_V_BIAS] = "blk.%u.attn_v.bias",
	[ROLE_O_BIAS] = "blk.%u.attn_output.bias",
	[ROLE_FFN_NORM_BIAS] = "blk.%u.ffn_norm.bias",
	[ROLE_GATE_BIAS] = "blk.%u.ffn_gate.bias",
	[ROLE_UP_BIAS] = "blk.%u.ffn_up.bias",
	[ROLE_DOWN_BIAS] = "blk.%u.ffn_down.bias",
	[ROLE_OUT_NORM_BIAS] = "output_norm.bias",
	[ROLE_HEAD_BIAS] = "output.bias",
	[ROLE_Q_NORM] = "blk.%u.attn_q_norm.weight",
	[ROLE_K_NORM] = "blk.%u.attn_k_norm.weight",
	[ROLE_ROPE_FACTORS] = "rope_freqs.weight",
	[ROLE_ROPE_SHORT] = "rope_factors_short.weight",
	[ROLE_ROPE_LONG] = "rope_factors_long.weight",
};

bool arch_list_has(const char *list, const char *name)
{
	size_t len = strlen(name);
	for (const char *p = list; p; p = strchr(p, '|')) {
		p += *p == '|';
		if (!strncmp(p, name, len) && (p[len] == '\0' || p[len] == '|'))
			return true;
	}
	return false;
}

const char *arch_name(const struct arch *a, bool gguf, enum role role)
{
	role_names *more = gguf ? a->gguf_more : a->hf_more, *common = gguf ? a->gguf_names : a->hf;
	const char *s = more && (*more)[role] ? (*more)[role] : common ? (*common)[role] : NULL;
	return s && *s ? s : NULL; /* "": this family has none */
}

bool model_expert_name(const struct model *m, enum role role, const char *stacked, uint32_t layer, uint32_t expert,
	char *out, size_t size)
{
	const char *pattern = arch_name(m->arch, false, role), *base_end = strstr(stacked, "layers.");
	const char *first = pattern ? strstr(pattern, "%u") : NULL, *second = first ? strstr(first + 2, "%u") : NULL;
	const size_t len = pattern ? strcspn(pattern, "|") : 0;
	if (!second || !base_end || second > pattern + len || pattern[0] != '@' || m->arch->flags & ARCH_TRANSPOSED_EXPERTS)
		return false;
	int n = snprintf(out, size, "%.*s%.*s%u%.*s%u%.*s", (int)(base_end - stacked), stacked, (int)(first - pattern - 1),
		pattern + 1, layer, (int)(second - first - 2), first + 2, expert, (int)(pattern + len - second - 2),
		second + 2);
	return n > 0 && (size_t)n < size;
}
