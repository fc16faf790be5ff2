/* Ids that end an answer. generation_config.json is asked first, then config.json, as transformers
 * does; GGUF names an eos and, since Llama 3, an end-of-turn token. */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "base/mem.h"
#include "model/model.h"
#include "store/gguf.h"

struct stops {
	uint32_t *ids;
	size_t n, cap;
};

static int add(struct stops *s, double id, struct err *e)
{
	if (!(id >= 0 && id < 4294967295.0))
		return 0;
	for (size_t i = 0; i < s->n; i++)
		if (s->ids[i] == (uint32_t)id)
			return 0;
	if (mem_grow(&s->ids, &s->cap, s->n + 1, sizeof(*s->ids)) < 0)
		return err_nomem(e);
	s->ids[s->n++] = (uint32_t)id;
	return 0;
}

static int from_json(struct stops *s, const char *dir, const char *name, struct err *e)
{
	char *path = path_join(dir, name);
	struct buf text = BUF_INIT;
	if (!path)
		return err_nomem(e);
	int rc = file_exists(path) ? file_read(path, (size_t)16 << 20, &text, e) : 0;
	cJSON *j = rc == 0 && text.len ? cJSON_ParseWithLength(text.p, text.len) : NULL;
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, "eos_token_id"), *item;
	if (!v || cJSON_IsNull(v)) /* of a model with more than text */
		v = cJSON_GetObjectItemCaseSensitive(
			cJSON_GetObjectItemCaseSensitive(j, "text_config"), "eos_token_id");
	if (cJSON_IsNumber(v))
		rc = add(s, v->valuedouble, e);
	else if (cJSON_IsArray(v))
		cJSON_ArrayForEach(item, v)
			if (rc == 0 && cJSON_IsNumber(item))
				rc = add(s, item->valuedouble, e);
	cJSON_Delete(j);
	buf_clear(&text);
	free(path);
	return rc;
}

int model_stop_ids(const struct checkpoint *c, uint32_t **ids, size_t *n, struct err *e)
{
	static const char *const keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
		"tokenizer.ggml.eom_token_id"};
	struct stops s = {0};
	int rc = 0;
	uint64_t id;
	if (c->gguf)
		for (size_t i = 0; rc == 0 && i < sizeof(keys) / sizeof(*keys); i++)
			rc = gguf_u64(c->gguf, keys[i], &id) ? add(&s, (double)id, e) : 0;
	else
		rc = from_json(&s, c->dir, "generation_config.json", e);
	if (rc == 0 && !c->gguf && s.n == 0)
		rc = from_json(&s, c->dir, "config.json", e);
	if (rc < 0) {
		free(s.ids);
		s = (struct stops){0};
	}
	*ids = s.ids;
	*n = s.n;
	return rc;
}
