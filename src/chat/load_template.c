/* Where a model keeps its chat template. */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "chat/chat_private.h"
#include "store/gguf.h"

#define TEMPLATE_LIMIT ((size_t)4 << 20)

static int from_file(struct template **out, const char *path, struct err *e)
{
	struct buf text = BUF_INIT;
	int rc = file_read(path, TEMPLATE_LIMIT, &text, e);
	if (rc == 0)
		rc = template_new(out, buf_str(&text), text.len, e);
	buf_clear(&text);
	return rc;
}

/* chat_template is a string, or a list of {"name", "template"} of which "default" is taken. */
static const char *pick(const cJSON *v)
{
	const cJSON *item;
	if (cJSON_IsString(v))
		return v->valuestring;
	cJSON_ArrayForEach(item, v) {
		const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "name");
		const cJSON *t = cJSON_GetObjectItemCaseSensitive(item, "template");
		if (cJSON_IsString(name) && cJSON_IsString(t) && !strcmp(name->valuestring, "default"))
			return t->valuestring;
	}
	return NULL;
}

static int from_config(struct template **out, const char *path, struct err *e)
{
	struct buf text = BUF_INIT;
	int rc = file_read(path, (size_t)64 << 20, &text, e);
	cJSON *j = rc == 0 ? cJSON_ParseWithLength(buf_str(&text), text.len) : NULL;
	buf_clear(&text);
	if (rc == 0 && !j)
		rc = err_set(e, ERR_FORMAT, "%s is not valid JSON", path);
	const char *src = pick(cJSON_GetObjectItemCaseSensitive(j, "chat_template"));
	if (rc == 0 && src)
		rc = template_new(out, src, strlen(src), e);
	cJSON_Delete(j);
	return rc;
}

int chat_load_template(struct template **out, const struct checkpoint *c, const char *file,
	struct err *e)
{
	struct gguf_str s;
	*out = NULL;
	if (file)
		return from_file(out, file, e);
	if (c->gguf)
		return gguf_string(c->gguf, "tokenizer.chat_template", &s)
			? template_new(out, s.p, s.len, e)
			: 0;
	char *jinja = path_join(c->dir, "chat_template.jinja");
	char *config = path_join(c->dir, "tokenizer_config.json");
	int rc = 0;
	if (!jinja || !config)
		rc = err_nomem(e);
	else if (file_exists(jinja))
		rc = from_file(out, jinja, e);
	else if (file_exists(config))
		rc = from_config(out, config, e);
	free(jinja);
	free(config);
	return rc;
}
