/* Reading config.json and GGUF metadata. Everything in them is untrusted: each number is checked where
 * it is read. After the first failure the readers return harmless values. Private to model/. */
#ifndef AIRLCHAT_MODEL_CONFIG_H
#define AIRLCHAT_MODEL_CONFIG_H

#include <cjson/cJSON.h>

#include "model/model.h"
#include "store/gguf.h"

struct config {
	cJSON *json; /* what config_from_json parsed */
	const cJSON *top;  /* its root */
	const cJSON *text; /* the language model's part: the root, or text_config in it */
	char *path;
	struct err *e;
	bool failed;
};

/* `keys` are names with | between: the first that is there and not null counts. */
const cJSON *config_get(const cJSON *o, const char *keys);
void config_fail(struct config *c, const char *key, const char *why);
void config_refuse(struct config *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
uint32_t config_count(struct config *c, const char *keys, double fallback); /* 1 .. 10^9 */
/* The same, but 0, false, negative numbers and null mean 0. */
uint32_t config_count_or_none(struct config *c, const char *keys, uint32_t fallback);
double config_number(struct config *c, const cJSON *o, const char *keys, double fallback);
bool config_flag(struct config *c, const char *keys, bool fallback);
/* "" when absent; an error when it is no string. */
const char *config_string(struct config *c, const cJSON *o, const char *keys);

/* Which layers have a window: layer_types, or every layer whose number + 1 is no multiple of pattern. */
void config_windows(struct config *c, struct model *m, uint32_t pattern);
/* config.json's forms of rope; sets m->rope, m->n_ropes. */
void config_rope(struct config *c, struct model *m);
/* One set from an object like rope_scaling. */
void config_rope_set(struct config *c, struct model *m, struct rope_params *r, const cJSON *s, double theta);

struct gguf_config {
	const struct gguf *g;
	const struct checkpoint *ck;
	const char *path;
	char arch[64];
	struct err *e;
	bool failed;
};

const char *gguf_key(const struct gguf_config *c, const char *key, char out[160]);
uint32_t gguf_count(struct gguf_config *c, const char *key, uint32_t fallback); /* 0: must be there */
double gguf_number(struct gguf_config *c, const char *key, double fallback);
bool gguf_has(const struct gguf_config *c, const char *key);
int gguf_refuse(struct gguf_config *c, const char *what);

#endif
