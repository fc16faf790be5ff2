/* One table makes the parser, --help and the checks of the man page's option list. */
#ifndef AIRLCHAT_CLI_OPTIONS_H
#define AIRLCHAT_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "chat/settings.h"
#include "quant/dtype.h"

enum command { CMD_CHAT, CMD_PLAN, CMD_TOKENIZE, CMD_RENDER, CMD_LOGITS, CMD_PREPARE, CMD_BENCH };

struct options {
	enum command command;
	const char *model; /* NULL if not given */
	const char *prompt, *prompt_file, *system, *template_file, *trace_file, *save, *plot;
	const char *reader, *ops, *theme;
	const char *resume, *config, *completion, *system_file;
	bool math_fast;
	const char *dst, *quant, *quant_head, *stripes; /* prepare */
	uint64_t ram, chunk_size;
	uint32_t ctx, prefill_rows, prompt_tokens, tokens;
	int threads;
	double progress, keep_kv, autosave; /* seconds */
	enum dtype kv_type;
	struct settings settings;
	bool raw, json, stats, plain, no_color, ascii, last, help, version, go_on, no_keep, print_config, verify, delete_original;
	char **owned; /* values from the config file */
	size_t n_owned;
	char *system_text;
};

/* argv is permuted; strings stay borrowed from it. ERR_USAGE with a sentence on a mistake. */
int options_parse(struct options *o, int argc, char **argv, struct err *e);
void options_clear(struct options *o);
void options_help(void); /* to stdout */

#endif
