/* JSON in and out of template values; tojson as transformers overrides it (json.dumps without HTML
 * escaping, ensure_ascii false by default). */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "chat/jinja.h"

struct value json_value(struct jinja *j, struct json_reader *r, bool user)
{
	struct json_str s;
	struct json_num n;
	struct value out;
	bool b;
	switch (json_peek(r)) {
	case JSON_NULL:
		json_null(r);
		return v_none();
	case JSON_BOOL:
		json_bool(r, &b);
		return v_bool(b);
	case JSON_NUMBER:
		json_number(r, &n);
		return n.is_int ? v_int(n.i) : v_float(n.d);
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
	bool ascii, sort;
	int indent; /* -1: one line */
	struct value item, key; /* separators */
};

static void line_break(struct jinja *j, struct sbuf *out, const struct style *s, int depth)
{
	if (s->indent < 0)
		return;
	sbuf_puts(j, out, "\n");
	for (int i = 0; i < s->indent * depth; i++)
		sbuf_puts(j, out, " ");
}

static struct dict *sorted(struct jinja *j, const struct dict *d)
{
	struct dict *out = v_dict(j).dict;
	for (size_t i = 0; i < d->n; i++) {
		dict_set(j, out, d->p[i].key, d->p[i].value);
		for (size_t k = out->n - 1; k > 0 && v_compare(j, &out->p[k].key, &out->p[k - 1].key) < 0; k--) {
			struct pair t = out->p[k];
			out->p[k] = out->p[k - 1];
			out->p[k - 1] = t;
		}
	}
	return out;
}

static void put(struct jinja *j, struct sbuf *out, const struct value *v, const struct style *s, int depth)
{
	if (depth > 100)
		jinja_fail(j, ERR_LIMIT, "values are nested too deeply for tojson");
	if (v->type == V_STR) {
		put_string(j, out, v->s, s->ascii);
	} else if (v->type == V_NONE) {
		sbuf_puts(j, out, "null");
	} else if (v->type == V_BOOL) {
		sbuf_puts(j, out, v->b ? "true" : "false");
	} else if (v->type == V_INT || v->type == V_FLOAT) {
		sbuf_str(j, out, v_str(j, v).s);
	} else if (v->type == V_LIST || v->type == V_TUPLE) {
		sbuf_puts(j, out, "[");
		for (size_t i = 0; i < v->list->n; i++) {
			if (i)
				sbuf_str(j, out, s->item.s);
			line_break(j, out, s, depth + 1);
			put(j, out, &v->list->p[i], s, depth + 1);
		}
		if (v->list->n)
			line_break(j, out, s, depth);
		sbuf_puts(j, out, "]");
	} else if (v->type == V_DICT) {
		const struct dict *d = s->sort ? sorted(j, v->dict) : v->dict;
		sbuf_puts(j, out, "{");
		for (size_t i = 0; i < d->n; i++) {
			if (i)
				sbuf_str(j, out, s->item.s);
			line_break(j, out, s, depth + 1);
			put_string(j, out, v_str(j, &d->p[i].key).s, s->ascii);
			sbuf_str(j, out, s->key.s);
			put(j, out, &d->p[i].value, s, depth + 1);
		}
		if (d->n)
			line_break(j, out, s, depth);
		sbuf_puts(j, out, "}");
	} else {
		jinja_fail(j, ERR_FORMAT, "a %s has no JSON form", v_type_name(v));
	}
}

void value_tojson(struct jinja *j, struct sbuf *out, const struct value *v, const struct args *a, int depth)
{
	const struct value *ascii = arg(a, 0, "ensure_ascii"), *indent = arg(a, 1, "indent");
	const struct value *sep = arg(a, 2, "separators"), *sort = arg(a, 3, "sort_keys");
	struct style s = {.ascii = ascii && v_truth(ascii), .sort = sort && v_truth(sort),
		.indent = indent && indent->type == V_INT ? (int)indent->i : -1, .item = v_literal(j, ", "),
		.key = v_literal(j, ": ")};
	if (s.indent > 64)
		s.indent = 64;
	if (s.indent >= 0)
		s.item = v_literal(j, ",");
	if (sep && (sep->type == V_TUPLE || sep->type == V_LIST) && sep->list->n == 2) {
		s.item = v_str(j, &sep->list->p[0]);
		s.key = v_str(j, &sep->list->p[1]);
	}
	put(j, out, v, &s, depth);
}
