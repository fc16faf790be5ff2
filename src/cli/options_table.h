/* The options table, for the command line, the config file and the environment. Private to cli/. */
#ifndef AIRLCHAT_CLI_OPTIONS_TABLE_H
#define AIRLCHAT_CLI_OPTIONS_TABLE_H

#include "cli/options.h"

enum option_kind { FLAG, TEXT, SETTING, VARIABLE, COUNT, SECONDS, SIZE, KV_TYPE, MATH, THREADS };

struct option_row {
	const char *name;
	char letter;
	enum option_kind kind;
	size_t offset; /* in struct options */
	unsigned commands; /* 1 << enum command; ONCE: not for the config file and the environment */
	const char *arg, *help;
};

#define ONCE (1u << 31)

const struct option_row *option_rows(size_t *n);

/* value NULL for a flag that is set; its memory stays with the caller and must outlive o. */
int option_set(struct options *o, const struct option_row *r, const char *value, enum setting_source from,
	struct err *e);

/* What the config file (path, or NULL: the user's, if there is one) and AIRLCHAT_* say. */
int options_from_file(struct options *o, const char *path, struct err *e);
int options_from_environment(struct options *o, struct err *e);
/* A completion script; ERR_USAGE when the shell is an unknown one. */
int options_print_completion(const char *shell, struct err *e);
void options_print_config(void); /* a commented config file, to stdout */

#endif
