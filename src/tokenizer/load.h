/* The files a tokenizer may come from, and what their loaders share. Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_LOAD_H
#define AIRLCHAT_TOKENIZER_LOAD_H

#include <cjson/cJSON.h>

#include "store/gguf.h"
#include "tokenizer/pipeline.h"

#define LOAD_LIMIT ((size_t)512 << 20) /* bytes of a file */

/* From the folder: tokenizer.json, else tokenizer.model, tekken.json, *.tiktoken, vocab.json with
 * merges.txt. Sets t->path. */
int load_folder(struct tokenizer *t, const char *dir, struct err *e);

/* One loader per format; text[0..len) is the file. config: tokenizer_config.json, or NULL.
 * load_json loses the text as it goes. */
int load_json(struct tokenizer *t, char *text, size_t len, struct err *e);
int load_spm(struct tokenizer *t, const cJSON *config, const char *dir, const char *text,
	size_t len, struct err *e);
int load_tiktoken(struct tokenizer *t, const cJSON *config, const char *dir, const char *text,
	size_t len, struct err *e);
int load_tekken(struct tokenizer *t, const char *text, size_t len, struct err *e);
int load_vocab_merges(struct tokenizer *t, const cJSON *config, const char *dir, const char *text,
	size_t len, struct err *e);
int load_gguf(struct tokenizer *t, const struct gguf *g, struct err *e);

/* --- tokenizer_config.json --- */

/* *out is NULL without an error if there is none; free with cJSON_Delete. */
int tokconf_read(const char *dir, cJSON **out, struct err *e);
bool tokconf_flag(const cJSON *config, const char *name, bool otherwise);
const char *tokconf_text(const cJSON *config, const char *name); /* NULL if absent */
/* Texts of the roles; those that are set already stay where the config has none. */
int tokconf_roles(struct tokenizer *t, const cJSON *config, struct err *e);
/* The same, those of special_tokens_map.json first. */
int tokconf_all_roles(struct tokenizer *t, const cJSON *config, const char *dir, struct err *e);
/* Added tokens of the config, else of added_tokens.json in dir. They have their ids. */
int tokconf_added(struct tokenizer *t, const cJSON *config, const char *dir, struct err *e);
/* Tokens with a role are special; the roles are set. After tokconf_added. */
int tokconf_special(struct tokenizer *t, const cJSON *config, const char *dir, struct err *e);
/* What a file without a post-processor adds: BOS and EOS as the config says, else as given. */
int tokconf_around(struct tokenizer *t, const cJSON *config, bool bos, bool eos, struct err *e);
int role_set(struct tokenizer *t, int role, const char *text, size_t len, struct err *e);

enum { ROLE_BOS, ROLE_EOS, ROLE_UNK, ROLE_PAD, ROLE_SEP, ROLE_CLS };

#endif
