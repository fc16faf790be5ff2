#include "chat/settings.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/json.h"

static const struct row {
	const char *name;
	size_t offset; /* of a float in sampler_params; SIZE_MAX: another kind */
	const char *wants;
} table[SETTINGS] = {
	[SETTING_TEMP] = {"temp", offsetof(struct sampler_params, temp), "a number from 0 to 100"},
	[SETTING_TOP_K] = {"top-k", SIZE_MAX, "a whole number; 0 is all"},
	[SETTING_TOP_P] = {"top-p", offsetof(struct sampler_params, top_p), "a number above 0, up to 1"},
	[SETTING_MIN_P] = {"min-p", offsetof(struct sampler_params, min_p), "a number from 0 to 1"},
	[SETTING_REPEAT] = {"repeat-penalty", offsetof(struct sampler_params, repeat_penalty), "a number above 0"},
	[SETTING_PRESENCE] = {"presence-penalty", offsetof(struct sampler_params, presence_penalty), "a number"},
	[SETTING_FREQUENCY] = {"frequency-penalty", offsetof(struct sampler_params, frequency_penalty), "a number"},
	[SETTING_SEED] = {"seed", SIZE_MAX, "a whole number"},
	[SETTING_MAX_TOKENS] = {"max-tokens", SIZE_MAX, "a whole number; 0 is what the context leaves"},
	[SETTING_STOP] = {"stop", SIZE_MAX, "texts in quotes, with commas between"},
};

void settings_init(struct settings *s)
{
	*s = (struct settings){.sampler = SAMPLER_DEFAULTS};
}

static void clear_stops(struct settings *s)
{
	while (s->n_stops)
		free(s->stops[--s->n_stops]);
	free(s->stops);
	s->stops = NULL;
}

void settings_clear(struct settings *s)
{
	clear_stops(s);
	while (s->n_vars) {
		free(s->vars[--s->n_vars].name);
		free(s->vars[s->n_vars].json);
	}
	free(s->vars);
	*s = (struct settings){0};
}

static int add_stop(struct settings *s, const char *text, struct err *e)
{
	char *copy = strdup(text), **p = realloc(s->stops, (s->n_stops + 1) * sizeof(*p));
	if (p)
		s->stops = p;
	if (!p || !copy) {
		free(copy);
		return err_nomem(e);
	}
	p[s->n_stops++] = copy;
	return 0;
}

static int add_var(struct settings *s, const char *name, const char *json, enum setting_source from, struct err *e)
{
	struct setting_var v = {strdup(name), strdup(json), from};
	struct setting_var *p = realloc(s->vars, (s->n_vars + 1) * sizeof(*p));
	if (p)
		s->vars = p;
	if (!p || !v.name || !v.json) {
		free(v.name);
		free(v.json);
		return err_nomem(e);
	}
	p[s->n_vars++] = v;
	return 0;
}

int settings_copy(struct settings *to, const struct settings *from, struct err *e)
{
	struct settings s = *from;
	int rc = 0;
	s.stops = NULL;
	s.vars = NULL;
	s.n_stops = s.n_vars = 0;
	for (size_t i = 0; rc == 0 && i < from->n_stops; i++)
		rc = add_stop(&s, from->stops[i], e);
	for (size_t i = 0; rc == 0 && i < from->n_vars; i++)
		rc = add_var(&s, from->vars[i].name, from->vars[i].json, from->vars[i].from, e);
	if (rc < 0)
		settings_clear(&s);
	*to = s;
	return rc;
}

enum setting setting_find(const char *name)
{
	for (int i = 0; i < SETTINGS; i++)
		if (!strcmp(table[i].name, name))
			return (enum setting)i;
	return SETTINGS;
}

const char *setting_name(enum setting id)
{
	return table[id].name;
}

static const char *setting_source_name(enum setting_source from)
{
	static const char *const names[] = {"built in", "generation_config of the model", "session",
		"config file", "environment", "command line", "/set"};
	return names[from];
}

static int bad(enum setting id, const char *value, struct err *e)
{
	return err_set(e, ERR_USAGE, "%s: \"%.60s\" is not a valid value (%s)", table[id].name, value,
		table[id].wants);
}

static int set_number(struct settings *s, enum setting id, const char *value, struct err *e)
{
	char *end;
	struct sampler_params p = s->sampler;
	errno = 0;
	double v = strtod(value, &end);
	if (end == value || *end || errno || !isfinite(v) || fabs(v) > 1e6 || isspace((unsigned char)*value))
		if (id != SETTING_TOP_K && id != SETTING_SEED && id != SETTING_MAX_TOKENS)
			return bad(id, value, e);
	if (table[id].offset != SIZE_MAX) {
		*(float *)((char *)&p + table[id].offset) = (float)v;
	} else {
		errno = 0;
		unsigned long long n = strtoull(value, &end, 10);
		if (!isdigit((unsigned char)*value) || *end || errno ||
			(id != SETTING_SEED && n > 1000000000))
			return bad(id, value, e);
		if (id == SETTING_SEED)
			p.seed = n;
		else if (id == SETTING_TOP_K)
			p.top_k = (uint32_t)n;
		else
			s->max_tokens = (uint32_t)n;
	}
	if (sampler_check(&p, e) < 0)
		return -1;
	s->sampler = p;
	return 0;
}

/* As /set shows them: "a", "b". */
static int set_stops_json(struct settings *s, const char *value, struct err *e)
{
	struct buf list = BUF_INIT;
	buf_printf(&list, "[%s]", value);
	cJSON *j = cJSON_Parse(buf_str(&list));
	const cJSON *item;
	int rc = j ? 0 : bad(SETTING_STOP, value, e);
	cJSON_ArrayForEach(item, j)
		if (rc == 0 && !cJSON_IsString(item))
			rc = bad(SETTING_STOP, value, e);
	if (rc == 0)
		clear_stops(s);
	cJSON_ArrayForEach(item, j)
		if (rc == 0 && *item->valuestring)
			rc = add_stop(s, item->valuestring, e);
	cJSON_Delete(j);
	buf_clear(&list);
	return rc;
}

int settings_set(struct settings *s, enum setting id, const char *value, enum setting_source from, struct err *e)
{
	if (from < s->from[id])
		return 0;
	if (id == SETTING_STOP && from == FROM_USER && *value == '"') {
		if (set_stops_json(s, value, e) < 0)
			return -1;
	} else if (id == SETTING_STOP) {
		if (from > s->from[id] || from == FROM_USER)
			clear_stops(s);
		if (*value && add_stop(s, value, e) < 0)
			return -1;
	} else if (set_number(s, id, value, e) < 0) {
		return -1;
	}
	s->from[id] = from;
	return 0;
}

static bool is_identifier(const char *name)
{
	if (!isalpha((unsigned char)*name) && *name != '_')
		return false;
	while (isalnum((unsigned char)*name) || *name == '_')
		name++;
	return *name == '\0';
}

int settings_set_var(struct settings *s, const char *name, const char *value, enum setting_source from,
	struct err *e)
{
	static const char *const reserved[] = {"messages", "add_generation_prompt", "bos_token", "eos_token",
		"tools", "documents"};
	if (!is_identifier(name))
		return err_set(e, ERR_USAGE, "\"%.60s\" is not the name of a template variable", name);
	for (size_t i = 0; i < 4; i++)
		if (!strcmp(reserved[i], name))
			return err_set(e, ERR_USAGE, "the template variable %s can't be set", name);
	cJSON *j = cJSON_ParseWithOpts(value, NULL, true);
	struct buf text = BUF_INIT;
	if (j)
		buf_puts(&text, value);
	else
		json_write_str(&text, value, strlen(value));
	cJSON_Delete(j);
	char *json = buf_take(&text);
	if (!json)
		return err_nomem(e);
	int rc = 0;
	size_t i = 0;
	while (i < s->n_vars && strcmp(s->vars[i].name, name))
		i++;
	if (i == s->n_vars) {
		rc = add_var(s, name, json, from, e);
	} else if (from >= s->vars[i].from) {
		free(s->vars[i].json);
		s->vars[i].json = json;
		s->vars[i].from = from;
		return 0;
	}
	free(json);
	return rc;
}

const struct setting_var *settings_var(const struct settings *s, const char *name)
{
	for (size_t i = 0; i < s->n_vars; i++)
		if (!strcmp(s->vars[i].name, name))
			return &s->vars[i];
	return NULL;
}

static void put_value(struct buf *b, const struct settings *s, enum setting id)
{
	if (table[id].offset != SIZE_MAX)
		buf_printf(b, "%g", (double)*(const float *)((const char *)&s->sampler + table[id].offset));
	else if (id == SETTING_TOP_K)
		buf_printf(b, "%u", s->sampler.top_k);
	else if (id == SETTING_SEED)
		buf_printf(b, "%llu", (unsigned long long)s->sampler.seed);
	else if (id == SETTING_MAX_TOKENS)
		buf_printf(b, "%u", s->max_tokens);
	else
		for (size_t i = 0; i < s->n_stops; i++) {
			buf_puts(b, i ? ", " : "");
			json_write_str(b, s->stops[i], strlen(s->stops[i]));
		}
}

char *settings_get(const struct settings *s, enum setting id)
{
	struct buf b = BUF_INIT;
	buf_puts(&b, "");
	put_value(&b, s, id);
	return b.p ? buf_take(&b) : strdup("");
}

char *settings_list(const struct settings *s)
{
	struct buf b = BUF_INIT;
	for (int i = 0; i < SETTINGS; i++) {
		buf_printf(&b, "%s = ", table[i].name);
		put_value(&b, s, (enum setting)i);
		buf_printf(&b, "%s(%s)\n", i == SETTING_STOP && !s->n_stops ? "" : " ",
			setting_source_name(s->from[i]));
	}
	for (size_t i = 0; i < s->n_vars; i++)
		buf_printf(&b, "%s = %s (%s)\n", s->vars[i].name, s->vars[i].json,
			setting_source_name(s->vars[i].from));
	return buf_take(&b);
}

char *settings_vars_json(const struct settings *s)
{
	struct buf b = BUF_INIT;
	buf_addc(&b, '{');
	for (size_t i = 0; i < s->n_vars; i++)
		buf_printf(&b, "%s\"%s\": %s", i ? ", " : "", s->vars[i].name, s->vars[i].json);
	buf_addc(&b, '}');
	return buf_take(&b);
}
