/* JSON in and out of template values; tojson as transformers overrides it (json.dumps without HTML
 * escaping, ensure_ascii false by default). */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "chat/jinja_run.h"

struct value json_value(struct jinja *j, struct json_reader *r, bool user)
{
	struct json_str s;
	struct json_num n;
	struct value out;
	const char *from;
	size_t len;
	bool b;
	switch (json_peek(r)) {
	case JSON_NULL:
		json_null(r);
		return v_none();
	case JSON_BOOL:
		json_bool(r, &b);
		return v_bool(b);
	case JSON_NUMBER:
		from = r->p;
		if (!json_number(r, &n))
			return v_none();
		len = (size_t)(r->p - from);
		if (n.is_int)
			return v_int(n.i);
		for (size_t i = 0; i < len; i++)
			if (from[i] == '.' || from[i] == 'e' || from[i] == 'E')
				return v_float(n.d);
		return number_parse(j, from, len, 10);
	case JSON_STRING:
		json_string(r, &s);
		return v_bytes(j, s.p, s.len, user);
	case JSON_ARRAY:
		out = v_list(j, V_LIST);
		for (json_array(r); json_next(r);)
			list_add(j, &out, json_value(j, r, user));
		return out;
	case JSON_OBJECT:
		out = v_dict(j);
		for (json_object(r); json_key(r, &s);) {
			struct value key = v_bytes(j, s.p, s.len, user);
			dict_set(j, out.dict, key, json_value(j, r, user));
		}
		return out;
	default:
		json_skip(r);
		return v_none();
	}
}

static void put_string(struct jinja *j, struct sbuf *out, struct str s, bool ascii)
{
	static const char esc[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
	sbuf_puts(j, out, "\"");
	for (size_t i = 0, n; i < s.len; i += n) {
		uint32_t cp;
		char t[16];
		n = utf8_decode(s.p + i, s.len - i, &cp, NULL);
		const char *at = cp && cp < 128 ? strchr(esc, (int)cp) : NULL;
		if (at)
			snprintf(t, sizeof(t), "\\%c", letter[at - esc]);
		else if (cp < 32 || (ascii && cp > 126 && cp < 0x10000))
			snprintf(t, sizeof(t), "\\u%04x", cp);
		else if (ascii && cp >= 0x10000)
			snprintf(t, sizeof(t), "\\u%04x\\u%04x", 0xD800 + ((cp - 0x10000) >> 10),
				0xDC00 + ((cp - 0x10000) & 0x3FF));
		else
			t[0] = '\0';
		if (t[0])
			sbuf_add(j, out, t, NULL, strlen(t), s.m[i]);
		else
			sbuf_add(j, out, s.p + i, s.m + i, n, false);
	}
	sbuf_puts(j, out, "\"");
}

struct style {
	bool ascii, sort, lines;
	struct value indent, item, key; /* of one level; separators */
};

static void line_break(struct jinja *j, struct sbuf *out, const struct style *s, int depth)
{
	if (!s->lines)
		return;
	sbuf_puts(j, out, "\n");
	for (int i = 0; i < depth; i++)
		sbuf_str(j, out, s->indent.s);
}

static const struct dict *sorted(struct jinja *j, const struct dict *d)
{
	struct dict *out = v_dict(j).dict;
	for (size_t i = 0; i < d->n; i++) {
		dict_set(j, out, d->p[i].key, d->p[i].value);
		for (size_t k = out->n - 1; k > 0 && v_compare(j, &out->p[k].key, &out->p[k - 1].key) == -1; k--) {
			struct pair t = out->p[k];
			jinja_work(j, 1);
			out->p[k] = out->p[k - 1];
			out->p[k - 1] = t;
		}
	}
	return out;
}

static void put_float(struct jinja *j, struct sbuf *out, double f)
{
	char s[40];
	float_repr(s, f);
	sbuf_puts(j, out, !strcmp(s, "nan") ? "NaN" : !strcmp(s, "inf") ? "Infinity" : !strcmp(s, "-inf") ? "-Infinity" : s);
}

static void put_scalar(struct jinja *j, struct sbuf *out, const struct value *v, const struct style *s)
{
	switch (v->type) {
	case V_STR:
		put_string(j, out, v->s, s->ascii);
		break;
	case V_NONE:
		sbuf_puts(j, out, "null");
		break;
	case V_BOOL:
		sbuf_puts(j, out, v->b ? "true" : "false");
		break;
	case V_INT:
	case V_BIG:
		sbuf_puts(j, out, number_text(j, v));
		break;
	case V_FLOAT:
		put_float(j, out, v->f);
		break;
	default:
		if (v->type == V_UNDEFINED && v->name)
			jinja_fail(j, ERR_FORMAT, "'%.60s' is undefined, which has no JSON form", v->name);
		jinja_fail(j, ERR_FORMAT, "a %s has no JSON form", v_type_name(v));
	}
}

static void put_key(struct jinja *j, struct sbuf *out, const struct value *key, const struct style *s)
{
	struct sbuf b = {0};
	if (key->type == V_STR) {
		put_string(j, out, key->s, s->ascii);
		return;
	}
	if (!is_number(key) && key->type != V_NONE)
		jinja_fail(j, ERR_FORMAT, "a %s can't be a key in JSON", v_type_name(key));
	put_scalar(j, &b, key, s);
	put_string(j, out, sbuf_value(j, &b).s, s->ascii);
}

static void put(struct jinja *j, struct sbuf *out, const struct value *v, const struct style *s, int depth)
{
	bool list = v->type == V_LIST || v->type == V_TUPLE;
	jinja_work(j, 1);
	if (depth > 100)
		jinja_fail(j, ERR_LIMIT, "values are nested too deeply for tojson");
	if (!list && v->type != V_DICT) {
		put_scalar(j, out, v, s);
		return;
	}
	const struct dict *d = list ? NULL : s->sort ? sorted(j, v->dict) : v->dict;
	size_t n = list ? v->list->n : d->n;
	sbuf_puts(j, out, list ? "[" : "{");
	for (size_t i = 0; i < n; i++) {
		if (i)
			sbuf_str(j, out, s->item.s);
		line_break(j, out, s, depth + 1);
		if (!list) {
			put_key(j, out, &d->p[i].key, s);
			sbuf_str(j, out, s->key.s);
		}
		put(j, out, list ? &v->list->p[i] : &d->p[i].value, s, depth + 1);
	}
	if (n)
		line_break(j, out, s, depth);
	sbuf_puts(j, out, list ? "]" : "}");
}

void value_tojson(struct jinja *j, struct sbuf *out, const struct value *v, const struct args *a)
{
	const struct value *indent = arg(a, 1, "indent"), *sep = arg(a, 2, "separators");
	struct style s = {.ascii = arg_flag(a, 0, "ensure_ascii"), .sort = arg_flag(a, 3, "sort_keys"),
		.lines = indent && indent->type != V_NONE, .item = v_literal(j, ", "), .key = v_literal(j, ": ")};
	if (s.lines && indent->type == V_STR) {
		s.indent = *indent;
	} else if (s.lines) {
		struct sbuf b = {0};
		int64_t n = to_int(j, indent, "indent");
		sbuf_fill(j, &b, " ", n > 0 ? (size_t)n : 0);
		s.indent = sbuf_value(j, &b);
	}
	if (s.lines)
		s.item = v_literal(j, ",");
	if (sep && sep->type != V_NONE) {
		struct value parts = v_iter(j, sep);
		if (parts.list->n != 2)
			jinja_fail(j, ERR_FORMAT, "tojson: separators are two strings");
		s.item = v_str(j, &parts.list->p[0]);
		s.key = v_str(j, &parts.list->p[1]);
	}
	put(j, out, v, &s, 0);
}
