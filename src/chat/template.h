/* Chat templates: the part of Jinja2 that they use, with the semantics of transformers'
 * apply_chat_template (trim_blocks, lstrip_blocks, a sandbox without side effects, tojson without HTML
 * escaping, loop controls, the generation tag). A template is read-only once made. Rendering is bounded
 * in steps, depth, memory and output; nothing outside is touched. */
#ifndef AIRLCHAT_CHAT_TEMPLATE_H
#define AIRLCHAT_CHAT_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "tokenizer/tokenizer.h"

struct template;

/* Errors name line and construct. On failure *out is NULL. */
int template_new(struct template **out, const char *src, size_t len, struct err *e);
void template_free(struct template *t); /* NULL is fine */
/* The model has another template for when tools are given. One that does not compile is an error when
 * it is used. */
int template_add_tools(struct template *t, const char *src, size_t len, struct err *e);
bool template_mentions(const struct template *t, const char *name); /* as a word of its source; any thread */
bool template_contains(const struct template *t, const char *text);

struct template_input {
	const char *messages_json; /* a JSON array */
	size_t messages_len;
	const char *tools_json; /* NULL: none */
	bool add_generation_prompt;
	const char *bos_token, *eos_token; /* NULL: the variable is not defined */
	const struct tokenizer *tokenizer; /* whose unk_token, pad_token ... are variables too; or NULL */
	const char *kwargs_json;	   /* an object of further variables, or NULL */
	int64_t now;			   /* seconds since 1970, local time, for strftime_now; 0: the clock */
};

/* Rendered text and, for each byte, whether it came from the messages (1) or the template (0). */
struct text {
	struct buf bytes, user;
};

int template_render(const struct template *t, const struct template_input *in, struct text *out,
	struct err *e);
void text_clear(struct text *t);

/* The text as runs of one origin; *spans points into t and is to be freed. */
int text_spans(const struct text *t, struct tok_span **spans, size_t *n, struct err *e);

#endif
