/* What single families say in their configs beyond the generic readers. Private to model/. */
#ifndef AIRLCHAT_MODEL_FAMILIES_H
#define AIRLCHAT_MODEL_FAMILIES_H

#include "model/config.h"

typedef void json_hook(struct config *c, struct model *m);
typedef void gguf_hook(struct gguf_config *c, struct model *m);

json_hook json_llama, json_qwen2, json_gemma, json_gemma2, json_gemma3, json_olmo, json_olmo3, json_granite,
	json_smollm3, json_stablelm, json_cohere, json_cohere2, json_falcon, json_gpt2, json_neox, json_opt, json_exaone4,
	json_baichuan, json_chatglm, json_qwen, json_minicpm, json_mixtral, json_qwen2_moe, json_qwen3_moe,
	json_ministral3, json_hunyuan, json_cwm, json_minicpm3, json_gptj, json_bigcode, json_gpt_neo, json_bloom, json_mpt,
	json_hunyuan_moe, json_granite_moe, json_granite_shared, json_granite_hybrid, json_ernie_moe, json_minimax_m2,
	json_dots1, json_qwen3_vl_moe, json_glm4_lite, json_deepseek1, json_olmoe, json_deepseek2, json_deepseek3, json_glm4_moe, json_gpt_oss;

gguf_hook gguf_mistral3, gguf_hunyuan, gguf_alibi, gguf_granite_moe, gguf_hunyuan_moe, gguf_ernie_moe, gguf_dots1,
	gguf_minimax_m2, gguf_gemma, gguf_gemma2, gguf_gemma3, gguf_windows, gguf_olmo, gguf_olmo2, gguf_granite,
	gguf_minicpm, gguf_smollm3, gguf_stablelm, gguf_neox, gguf_cohere, gguf_cohere2, gguf_exaone4, gguf_baichuan,
	gguf_qwen, gguf_llama, gguf_qwen2_moe, gguf_qwen3_moe, gguf_deepseek2, gguf_glm4_moe, gguf_gpt_oss;

#endif
