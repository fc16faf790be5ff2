/* The families: one row each. Private to model/. */
#ifndef AIRLCHAT_MODEL_ARCH_H
#define AIRLCHAT_MODEL_ARCH_H

#include "model/model.h"

struct arch {
	const char *model_type; /* config.json */
	const char *gguf;	/* general.architecture, NULL if llama.cpp has none */
	enum rope_style rope_hf, rope_gguf;
	/* Tensor names without ".weight"; %u is the layer. NULL: the family has no such weight. */
	const char *hf[ROLES], *gguf_name[ROLES];
};

extern const struct arch arch_table[];
extern const size_t arch_count;

/* Dimensions from config.json in c->dir, or from c->gguf. They fill m->arch and the numbers. */
int config_from_json(struct model *m, const struct checkpoint *c, struct err *e);
int config_from_gguf(struct model *m, const struct checkpoint *c, struct err *e);

#endif
