/* What single families say in their configs beyond the generic readers. Private to model/. */
#ifndef AIRLCHAT_MODEL_FAMILIES_H
#define AIRLCHAT_MODEL_FAMILIES_H

#include "model/config.h"

typedef void json_hook(struct config *c, struct model *m);

json_hook json_qwen2, json_gemma, json_gemma2, json_gemma3, json_olmo, json_olmo3, json_granite,
	json_smollm3, json_stablelm, json_cohere, json_cohere2, json_falcon, json_gpt2, json_neox, json_opt;

#endif
