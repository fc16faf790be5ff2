/* tokenizer_config.json and added_tokens.json: what stands beside the vocabulary. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tokenizer/load.h"

#define CONFIG_LIMIT ((size_t)64 << 20)

static int read_json(const char *dir, const char *name, cJSON **out, struct err *e)
{
	char *path = path_join(dir, name);
	struct buf text = BUF_INIT;
	*out = NULL;
	if (!path)
		return err_nomem(e);
	int rc = file_exists(path) ? file_read(path, CONFIG_LIMIT, &text, e) : 0;
	if (rc == 0 && text.len)
		*out = cJSON_ParseWithLength(text.p, text.len);
	buf_clear(&text);
	free(path);
	return rc;
}

int tokconf_read(const char *dir, cJSON **out, struct err *e)
{
	return read_json(dir, "tokenizer_config.json", out, e);
}

static const cJSON *field(const cJSON *j, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(j, name);
}

bool tokconf_flag(const cJSON *config, const char *name, bool otherwise)
{
	const cJSON *f = field(config, name);
	return cJSON_IsBool(f) ? cJSON_IsTrue(f) : otherwise;
}

/* A token is written as a string or as {"content": ...}. */
const char *tokconf_text(const cJSON *config, const char *name)
{
	const cJSON *f = field(config, name);
	if (cJSON_IsObject(f))
		f = field(f, "content");
	return cJSON_IsString(f) ? f->valuestring : NULL;
}

int role_set(struct tokenizer *t, int role, const char *text, size_t len, struct err *e)
{
	char *copy = strndup(text, len);
	if (!copy)
		return err_nomem(e);
	free(t->roles[role]);
	t->roles[role] = copy;
	return 0;
}

int tokconf_roles(struct tokenizer *t, const cJSON *config, struct err *e)
{
	for (int i = 0; i < N_ROLES; i++) {
		const char *s = tokconf_text(config, tokenizer_role_names[i]);
		if (s && role_set(t, i, s, strlen(s), e) < 0)
			return -1;
	}
	return 0;
}

static int add(struct tokenizer *t, double id, const char *content, const cJSON *flags,
	bool special, struct err *e)
{
	if (!content || !*content || !(id >= 0 && id < VOCAB_ID_LIMIT))
		return 0;
	const struct added a = {.id = (uint32_t)id,
		.content = (char *)(uintptr_t)content,
		.len = strlen(content),
		.special = tokconf_flag(flags, "special", special),
		.lstrip = tokconf_flag(flags, "lstrip", false),
		.rstrip = tokconf_flag(flags, "rstrip", false),
		.single_word = tokconf_flag(flags, "single_word", false),
		.normalized = tokconf_flag(flags, "normalized", false)};
	return added_add(&t->added, &a, e);
}

/* Has the content a role, or is it among the additional special tokens? */
static bool is_special(const cJSON *config, const char *content)
{
	const cJSON *item;
	for (int i = 0; i < N_ROLES; i++) {
		const char *s = tokconf_text(config, tokenizer_role_names[i]);
		if (s && !strcmp(s, content))
			return true;
	}
	cJSON_ArrayForEach(item, field(config, "additional_special_tokens"))
		if (cJSON_IsString(item) && !strcmp(item->valuestring, content))
			return true;
	return false;
}

int tokconf_added(struct tokenizer *t, const cJSON *config, const char *dir, struct err *e)
{
	const cJSON *item, *decoder = field(config, "added_tokens_decoder");
	cJSON *file = NULL;
	int rc = decoder ? 0 : read_json(dir, "added_tokens.json", &file, e);
	cJSON_ArrayForEach(item, decoder)
		if (rc == 0)
			rc = add(t, strtod(item->string, NULL), tokconf_text(decoder, item->string),
				item, false, e);
	cJSON_ArrayForEach(item, file)
		if (rc == 0 && cJSON_IsNumber(item))
			rc = add(t, item->valuedouble, item->string, NULL,
				is_special(config, item->string), e);
	cJSON_Delete(file);
	return rc;
}

int tokconf_all_roles(struct tokenizer *t, const cJSON *config, const char *dir, struct err *e)
{
	cJSON *map = NULL;
	int rc = read_json(dir, "special_tokens_map.json", &map, e);
	if (rc == 0)
		rc = tokconf_roles(t, map, e);
	cJSON_Delete(map);
	return rc < 0 ? -1 : tokconf_roles(t, config, e);
}

static int add_special(struct tokenizer *t, const char *content, struct err *e)
{
	uint32_t id = content && *content ? vocab_find(&t->vocab, content, strlen(content)) : NO_ID;
	for (size_t i = 0; i < t->added.n; i++)
		if (id == NO_ID || t->added.p[i].id == id)
			return 0;
	return id == NO_ID ? 0 : add(t, id, content, NULL, true, e);
}

/* Entries of the vocabulary that have a role, in the config or in special_tokens_map.json, are
 * special tokens even where no list of added tokens says so. */
int tokconf_special(struct tokenizer *t, const cJSON *config, const char *dir, struct err *e)
{
	const cJSON *item;
	cJSON *map = NULL;
	if (vocab_index(&t->vocab, e) < 0 || read_json(dir, "special_tokens_map.json", &map, e) < 0)
		return -1;
	const cJSON *sources[2] = {map, config};
	int rc = 0;
	for (int k = 0; rc == 0 && k < 2; k++) {
		for (int i = 0; rc == 0 && i < N_ROLES; i++)
			rc = add_special(t, tokconf_text(sources[k], tokenizer_role_names[i]), e);
		cJSON_ArrayForEach(item, field(sources[k], "additional_special_tokens"))
			if (rc == 0 && cJSON_IsString(item))
				rc = add_special(t, item->valuestring, e);
		if (rc == 0)
			rc = tokconf_roles(t, sources[k], e);
	}
	cJSON_Delete(map);
	return rc;
}

static uint32_t role_id(const struct tokenizer *t, int role)
{
	const char *s = t->roles[role];
	return s ? vocab_find(&t->vocab, s, strlen(s)) : NO_ID;
}

int tokconf_around(struct tokenizer *t, const cJSON *config, bool bos, bool eos, struct err *e)
{
	bos = tokconf_flag(config, "add_bos_token", bos);
	eos = tokconf_flag(config, "add_eos_token", eos);
	return postprocessor_around(&t->post, bos ? role_id(t, ROLE_BOS) : NO_ID,
		eos ? role_id(t, ROLE_EOS) : NO_ID, e);
}
