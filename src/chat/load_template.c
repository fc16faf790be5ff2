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

/* chat_template is a string, or a list of {"name", "template"}. */
static const char *pick(const cJSON *v, const char *which)
{
	const cJSON *item;
	if (cJSON_IsString(v))
		return strcmp(which, "default") ? NULL : v->valuestring;
	cJSON_ArrayForEach(item, v) {
		const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "name");
		const cJSON *t = cJSON_GetObjectItemCaseSensitive(item, "template");
		if (cJSON_IsString(name) && cJSON_IsString(t) && !strcmp(name->valuestring, which))
			return t->valuestring;
	}
	return NULL;
}

/* tokenizer_config.json, or a processor's chat_template.json. */
static int from_config(struct template **out, const char *dir, const char *name, struct err *e)
{
	struct buf text = BUF_INIT;
	char *path = path_join(dir, name);
	if (!path)
		return err_nomem(e);
	int rc = file_exists(path) ? file_read(path, (size_t)64 << 20, &text, e) : 0;
	cJSON *j = rc == 0 && text.len ? cJSON_ParseWithLength(text.p, text.len) : NULL;
	if (rc == 0 && text.len && !j)
		rc = err_set(e, ERR_FORMAT, "%s is not valid JSON", path);
	const cJSON *all = cJSON_GetObjectItemCaseSensitive(j, "chat_template");
	const char *src = pick(all, "default"), *tools = pick(all, "tool_use");
	if (rc == 0 && src)
		rc = template_new(out, src, strlen(src), e);
	if (rc == 0 && src && tools)
		rc = template_add_tools(*out, tools, strlen(tools), e);
	cJSON_Delete(j);
	buf_clear(&text);
	free(path);
	return rc;
}

/* chat_template.jinja, and the one for tools in a folder beside it. */
static int from_folder(struct template **out, const char *dir, struct err *e)
{
	struct buf text = BUF_INIT;
	char *main = path_join(dir, "chat_template.jinja");
	char *tools = path_join(dir, "additional_chat_templates/tool_use.jinja");
	int rc = main && tools ? 0 : err_nomem(e);
	if (rc == 0 && file_exists(main)) {
		rc = from_file(out, main, e);
		if (rc == 0 && file_exists(tools) && (rc = file_read(tools, TEMPLATE_LIMIT, &text, e)) == 0)
			rc = template_add_tools(*out, buf_str(&text), text.len, e);
	}
	buf_clear(&text);
	free(main);
	free(tools);
	return rc;
}

static int from_gguf(struct template **out, const struct gguf *g, struct err *e)
{
	struct gguf_str s;
	if (!gguf_string(g, "tokenizer.chat_template", &s))
		return 0;
	int rc = template_new(out, s.p, s.len, e);
	if (rc == 0 && gguf_string(g, "tokenizer.chat_template.tool_use", &s))
		rc = template_add_tools(*out, s.p, s.len, e);
	return rc;
}

int chat_load_template(struct template **out, const struct checkpoint *c, const char *file,
	struct err *e)
{
	static const char *const configs[] = {"tokenizer_config.json", "chat_template.json"};
	*out = NULL;
	if (file)
		return from_file(out, file, e);
	int rc = c->gguf ? from_gguf(out, c->gguf, e) : from_folder(out, c->dir, e);
	for (int i = 0; rc == 0 && !*out && !c->gguf && i < 2; i++)
		rc = from_config(out, c->dir, configs[i], e);
	if (rc < 0) {
		template_free(*out);
		*out = NULL;
	}
	return rc;
}
