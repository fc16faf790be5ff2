/* What the makers of a model recommend for sampling. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "chat/chat_private.h"
#include "store/gguf.h"

static const struct {
	enum setting id;
	const char *json, *gguf;
} names[] = {{SETTING_TEMP, "temperature", "general.sampling.temp"},
	{SETTING_TOP_K, "top_k", "general.sampling.top_k"}, {SETTING_TOP_P, "top_p", "general.sampling.top_p"},
	{SETTING_MIN_P, "min_p", "general.sampling.min_p"},
	{SETTING_REPEAT, "repetition_penalty", "general.sampling.penalty_repeat"}};

#define NAMES (sizeof(names) / sizeof(*names))

/* A value out of range is no reason to refuse the model: the built-in one stays. */
static void take(struct settings *s, enum setting id, double v)
{
	char text[40];
	struct err ignored = ERR_INIT;
	bool count = id == SETTING_TOP_K;
	if (id == SETTING_REPEAT && s->sampler.temp == 0 && s->from[SETTING_TEMP] > FROM_MODEL)
		return; /* greedy by the user's own wish: no penalty but what he asks for */
	if (count && v < 0)
		v = 0;
	snprintf(text, sizeof(text), count ? "%.0f" : "%.9g", v);
	settings_set(s, id, text, FROM_MODEL, &ignored);
}

/* One text, or several, that end an answer. */
static void take_stops(struct settings *s, const cJSON *v)
{
	const cJSON *item;
	struct err ignored = ERR_INIT;
	if (cJSON_IsString(v) && *v->valuestring)
		settings_set(s, SETTING_STOP, v->valuestring, FROM_MODEL, &ignored);
	cJSON_ArrayForEach(item, v)
		if (cJSON_IsString(item) && *item->valuestring)
			settings_set(s, SETTING_STOP, item->valuestring, FROM_MODEL, &ignored);
}

static void from_json(struct settings *s, const cJSON *j)
{
	take_stops(s, cJSON_GetObjectItemCaseSensitive(j, "stop_strings"));
	if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(j, "do_sample"))) {
		take(s, SETTING_TEMP, 0);
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, "repetition_penalty");
		if (cJSON_IsNumber(v))
			take(s, SETTING_REPEAT, v->valuedouble);
		return;
	}
	for (size_t i = 0; i < NAMES; i++) {
		const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, names[i].json);
		if (cJSON_IsNumber(v))
			take(s, names[i].id, v->valuedouble);
	}
}

int chat_recommended(struct settings *s, const struct checkpoint *c, struct err *e)
{
	double v;
	for (size_t i = 0; c->gguf && i < NAMES; i++)
		if (gguf_f64(c->gguf, names[i].gguf, &v))
			take(s, names[i].id, v);
	if (c->gguf)
		return 0;
	char *path = path_join(c->dir, "generation_config.json");
	struct buf text = BUF_INIT;
	if (!path)
		return err_nomem(e);
	int rc = file_exists(path) ? file_read(path, (size_t)16 << 20, &text, e) : 0;
	cJSON *j = rc == 0 && text.len ? cJSON_ParseWithLength(text.p, text.len) : NULL;
	if (rc == 0 && text.len && !j)
		rc = err_set(e, ERR_FORMAT, "%s is not valid JSON", path);
	from_json(s, j);
	cJSON_Delete(j);
	buf_clear(&text);
	free(path);
	return rc;
}

char *chat_recommended_note(const struct chat *c)
{
	struct buf b = BUF_INIT;
	for (int i = 0; i < SETTINGS; i++) {
		if (c->settings.from[i] != FROM_MODEL)
			continue;
		char *v = settings_get(&c->settings, (enum setting)i);
		buf_puts(&b, b.len ? ", " : "as the model's own files recommend: ");
		buf_printf(&b, "%s %s", setting_name((enum setting)i), v ? v : "");
		free(v);
	}
	if (c->model->note)
		buf_printf(&b, "%s%s", b.len ? "; " : "", c->model->note);
	return b.p ? buf_take(&b) : NULL;
}
