/* What a user may set while chatting, and where each value comes from. Owned strings; copies are
 * independent. Not shared between threads. */
#ifndef AIRLCHAT_CHAT_SETTINGS_H
#define AIRLCHAT_CHAT_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/sampler.h"

/* In rising order of precedence: a weaker source never overrides a stronger one. */
enum setting_source { FROM_BUILTIN, FROM_MODEL, FROM_SESSION, FROM_FILE, FROM_ENV, FROM_FLAG, FROM_USER };

enum setting { SETTING_TEMP, SETTING_TOP_K, SETTING_TOP_P, SETTING_MIN_P, SETTING_REPEAT, SETTING_PRESENCE,
	SETTING_FREQUENCY, SETTING_SEED, SETTING_MAX_TOKENS, SETTING_STOP, SETTINGS };

struct setting_var { /* a variable of the template */
	char *name, *json;
	enum setting_source from;
};

struct settings {
	struct sampler_params sampler;
	uint32_t max_tokens; /* 0: what the context leaves */
	char **stops;
	size_t n_stops;
	struct setting_var *vars;
	size_t n_vars;
	enum setting_source from[SETTINGS];
};

void settings_init(struct settings *s); /* the built-in values */
void settings_clear(struct settings *s);
int settings_copy(struct settings *to, const struct settings *from, struct err *e);

/* The id of "temp", "max-tokens" ...; SETTINGS if there is none. */
enum setting setting_find(const char *name);
const char *setting_name(enum setting id);

/* Set from text. Nothing happens if the present value has a stronger source. A "stop" of the same
 * source is added, of FROM_USER it replaces all ("" clears). -1 with a sentence on a wrong value. */
int settings_set(struct settings *s, enum setting id, const char *value, enum setting_source from,
	struct err *e);
/* A variable of the template: value is JSON, or else text. */
int settings_set_var(struct settings *s, const char *name, const char *value, enum setting_source from,
	struct err *e);
const struct setting_var *settings_var(const struct settings *s, const char *name);

char *settings_get(const struct settings *s, enum setting id); /* as text; free(); NULL: no memory */
char *settings_list(const struct settings *s);	 /* "name = value (source)" lines; free() */
char *settings_vars_json(const struct settings *s); /* the variables as one JSON object; free() */

#endif
