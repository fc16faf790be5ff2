/* Methods of strings, lists and mappings, as Python has them; those that change a value are refused,
 * as the sandbox does. */
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "chat/jinja.h"

static struct str piece(const struct str *s, size_t from, size_t to)
{
	return (struct str){s->p + from, s->m + from, to - from};
}

static struct value of_str(struct str s)
{
	return (struct value){.type = V_STR, .s = s};
}

static bool is_space(uint32_t cp) /* Python's str.isspace */
{
	return (cp >= 9 && cp <= 13) || (cp >= 28 && cp <= 32) || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
		(cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
		cp == 0x205F || cp == 0x3000;
}

static bool in_set(const struct str *set, const char *p, size_t n)
{
	uint32_t cp;
	if (!set) {
		utf8_decode(p, n, &cp, NULL);
		return is_space(cp);
	}
	return n <= set->len && memmem(set->p, set->len, p, n) != NULL;
}

/* side: 1 left, 2 right, 3 both */
static struct value strip(struct str s, const struct str *set, int side)
{
	size_t from = 0, to = s.len, n;
	uint32_t cp;
	while ((side & 1) && from < to) {
		n = utf8_decode(s.p + from, to - from, &cp, NULL);
		if (!in_set(set, s.p + from, n))
			break;
		from += n;
	}
	while ((side & 2) && to > from) {
		size_t i = to - 1;
		while (i > from && ((uint8_t)s.p[i] & 0xC0) == 0x80)
			i--;
		if (!in_set(set, s.p + i, to - i))
			break;
		to = i;
	}
	return of_str(piece(&s, from, to));
}

static const char *find(const struct str *s, size_t from, const struct str *what)
{
	return s->len - from >= what->len ? memmem(s->p + from, s->len - from, what->p, what->len) : NULL;
}

static struct value split_spaces(struct jinja *j, struct str s, int64_t max)
{
	struct value out = v_list(j, V_LIST);
	size_t i = 0;
	uint32_t cp;
	while (true) {
		s = strip(piece(&s, i, s.len), NULL, 1).s;
		i = 0;
		if (s.len == 0)
			return out;
		if (max >= 0 && (int64_t)out.list->n == max) {
			list_add(j, &out, strip(s, NULL, 2));
			return out;
		}
		for (size_t n; i < s.len; i += n) {
			n = utf8_decode(s.p + i, s.len - i, &cp, NULL);
			if (is_space(cp))
				break;
		}
		list_add(j, &out, of_str(piece(&s, 0, i)));
	}
}

static struct value split(struct jinja *j, struct str s, const struct args *a, bool right)
{
	const struct value *sep = arg(a, 0, "sep"), *max = arg(a, 1, "maxsplit");
	int64_t limit = max && max->type == V_INT ? max->i : -1;
	struct value out = v_list(j, V_LIST);
	if (!sep || sep->type == V_NONE)
		return split_spaces(j, s, limit);
	if (sep->type != V_STR || sep->s.len == 0)
		jinja_fail(j, ERR_FORMAT, "split wants a separator that is not empty");
	size_t total = 0, from = 0;
	for (size_t i = 0; (find(&s, i, &sep->s)); total++)
		i = (size_t)(find(&s, i, &sep->s) - s.p) + sep->s.len;
	size_t skip = right && limit >= 0 && total > (size_t)limit ? total - (size_t)limit : 0;
	for (size_t i = 0;;) { /* rsplit joins the first `skip` separators */
		const char *at = find(&s, i, &sep->s);
		if (!at || (!right && limit >= 0 && (int64_t)out.list->n == limit))
			break;
		size_t pos = (size_t)(at - s.p);
		i = pos + sep->s.len;
		if (skip) {
			skip--;
			continue;
		}
		list_add(j, &out, of_str(piece(&s, from, pos)));
		from = i;
	}
	list_add(j, &out, of_str(piece(&s, from, s.len)));
	return out;
}

static struct value replace(struct jinja *j, struct str s, const struct args *a)
{
	const struct value *from = arg(a, 0, "old"), *to = arg(a, 1, "new"), *max = arg(a, 2, "count");
	int64_t left = max && max->type == V_INT && max->i >= 0 ? max->i : INT64_MAX;
	struct sbuf b = {0};
	size_t i = 0;
	if (!from || !to || from->type != V_STR || to->type != V_STR)
		jinja_fail(j, ERR_FORMAT, "replace wants two strings");
	if (from->s.len == 0) { /* between all characters */
		for (size_t n; left > 0; left--, i += n) {
			uint32_t cp;
			sbuf_str(j, &b, to->s);
			if (i >= s.len)
				break;
			n = utf8_decode(s.p + i, s.len - i, &cp, NULL);
			sbuf_str(j, &b, piece(&s, i, i + n));
		}
		if (i < s.len)
			sbuf_str(j, &b, piece(&s, i, s.len));
		return sbuf_value(j, &b);
	}
	for (const char *at; left > 0 && (at = find(&s, i, &from->s)); left--) {
		size_t pos = (size_t)(at - s.p);
		sbuf_str(j, &b, piece(&s, i, pos));
		sbuf_str(j, &b, to->s);
		i = pos + from->s.len;
	}
	sbuf_str(j, &b, piece(&s, i, s.len));
	return sbuf_value(j, &b);
}

enum change { LOWER, UPPER, TITLE, CAPITALIZE };

static struct value change_case(struct jinja *j, struct str s, enum change how)
{
	struct sbuf b = {0};
	bool start = true;
	for (size_t i = 0, n; i < s.len; i += n) {
		uint32_t cp;
		char t[4];
		n = utf8_decode(s.p + i, s.len - i, &cp, NULL);
		utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
		bool letter = c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LT;
		bool up = how == UPPER || ((how == TITLE || how == CAPITALIZE) && start);
		uint32_t to = (uint32_t)(up ? how == UPPER ? utf8proc_toupper((utf8proc_int32_t)cp)
							   : utf8proc_totitle((utf8proc_int32_t)cp)
					    : utf8proc_tolower((utf8proc_int32_t)cp));
		start = how == TITLE ? !letter : false;
		if (cp == 0xDF && up) /* the one common letter whose capital is two */
			sbuf_add(j, &b, how == UPPER ? "SS" : "Ss", NULL, 2, s.m[i]);
		else
			sbuf_add(j, &b, t, NULL, utf8_encode(to, t), s.m[i]);
	}
	return sbuf_value(j, &b);
}

/* startswith and endswith take a string or a tuple of them. */
static bool has_end(const struct str *s, const struct value *x, bool at_end)
{
	if (x && (x->type == V_TUPLE || x->type == V_LIST)) {
		for (size_t i = 0; i < x->list->n; i++)
			if (has_end(s, &x->list->p[i], at_end))
				return true;
		return false;
	}
	return x && x->type == V_STR && x->s.len <= s->len &&
		(x->s.len == 0 || !memcmp(s->p + (at_end ? s->len - x->s.len : 0), x->s.p, x->s.len));
}

/* "{} {0} {name}".format(...), without conversions or format specifications. */
static struct value format(struct jinja *j, struct str s, const struct args *a)
{
	struct sbuf b = {0};
	size_t next = 0;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		bool twice = i + 1 < s.len && s.p[i + 1] == c;
		if ((c == '{' || c == '}') && twice) {
			sbuf_add(j, &b, &c, s.m + i++, 1, false);
			continue;
		}
		if (c != '{') {
			sbuf_add(j, &b, &c, s.m + i, 1, false);
			continue;
		}
		const char *end = memchr(s.p + i, '}', s.len - i);
		size_t n = end ? (size_t)(end - s.p) - i - 1 : 0;
		struct value key = v_bytes(j, s.p + i + 1, n, false);
		const struct value *x = NULL;
		if (n == 0)
			x = arg(a, next++, NULL);
		else if (key.s.p[0] >= '0' && key.s.p[0] <= '9' && n == 1)
			x = arg(a, (size_t)(key.s.p[0] - '0'), NULL);
		else if (a->kw)
			x = dict_get(a->kw, &key);
		if (!end || !x)
			jinja_fail(j, ERR_UNSUPPORTED, "this use of format is not supported");
		sbuf_str(j, &b, v_str(j, x).s);
		i += n + 1;
	}
	return sbuf_value(j, &b);
}

static int64_t count_chars(const struct str *s, size_t bytes)
{
	int64_t n = 0;
	for (size_t i = 0; i < bytes; i++)
		n += ((uint8_t)s->p[i] & 0xC0) != 0x80;
	return n;
}

static bool all_chars(const struct str *s, bool (*ok)(uint32_t cp))
{
	uint32_t cp;
	for (size_t i = 0; i < s->len;) {
		i += utf8_decode(s->p + i, s->len - i, &cp, NULL);
		if (!ok(cp))
			return false;
	}
	return s->len > 0;
}

static bool digit(uint32_t cp)
{
	return utf8proc_category((utf8proc_int32_t)cp) == UTF8PROC_CATEGORY_ND;
}

static bool letter(uint32_t cp)
{
	utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
	return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

static bool letter_or_digit(uint32_t cp)
{
	return letter(cp) || digit(cp);
}

static struct value string_method(struct eval *ev, const struct method *m, const struct args *a)
{
	struct jinja *j = ev->j;
	const char *name = m->name;
	struct str s = m->self.s;
	const struct value *x = arg(a, 0, "chars");
	const struct str *set = x && x->type == V_STR ? &x->s : NULL;
	if (!strcmp(name, "strip"))
		return strip(s, set, 3);
	if (!strcmp(name, "lstrip"))
		return strip(s, set, 1);
	if (!strcmp(name, "rstrip"))
		return strip(s, set, 2);
	if (!strcmp(name, "split") || !strcmp(name, "rsplit"))
		return split(j, s, a, name[0] == 'r');
	if (!strcmp(name, "replace"))
		return replace(j, s, a);
	if (!strcmp(name, "startswith") || !strcmp(name, "endswith"))
		return v_bool(has_end(&s, x, name[0] == 'e'));
	if (!strcmp(name, "lower") || !strcmp(name, "casefold"))
		return change_case(j, s, LOWER);
	if (!strcmp(name, "upper"))
		return change_case(j, s, UPPER);
	if (!strcmp(name, "title"))
		return change_case(j, s, TITLE);
	if (!strcmp(name, "capitalize"))
		return change_case(j, s, CAPITALIZE);
	if (!strcmp(name, "format"))
		return format(j, s, a);
	if (!strcmp(name, "isdigit") || !strcmp(name, "isdecimal") || !strcmp(name, "isnumeric"))
		return v_bool(all_chars(&s, digit));
	if (!strcmp(name, "isalpha"))
		return v_bool(all_chars(&s, letter));
	if (!strcmp(name, "isalnum"))
		return v_bool(all_chars(&s, letter_or_digit));
	if (!strcmp(name, "isspace"))
		return v_bool(all_chars(&s, is_space));
	if (!strcmp(name, "splitlines")) {
		struct value nl = v_literal(j, "\n"), list;
		struct args by = {&nl, 1, NULL};
		list = split(j, s, &by, false);
		if (list.list->n && list.list->p[list.list->n - 1].s.len == 0)
			list.list->n--;
		return list;
	}
	if (x && x->type == V_STR && (!strcmp(name, "find") || !strcmp(name, "index"))) {
		const char *at = find(&s, 0, &x->s);
		if (!at && name[0] == 'i')
			jinja_fail(j, ERR_FORMAT, "substring not found");
		return v_int(at ? count_chars(&s, (size_t)(at - s.p)) : -1);
	}
	if (x && x->type == V_STR && !strcmp(name, "count")) {
		int64_t n = 0;
		for (size_t i = 0; x->s.len && find(&s, i, &x->s); n++)
			i = (size_t)(find(&s, i, &x->s) - s.p) + x->s.len;
		return v_int(n);
	}
	if (x && (!strcmp(name, "removeprefix") || !strcmp(name, "removesuffix"))) {
		bool end = name[6] == 's';
		if (!has_end(&s, x, end) || x->type != V_STR)
			return m->self;
		return of_str(end ? piece(&s, 0, s.len - x->s.len) : piece(&s, x->s.len, s.len));
	}
	if (x && !strcmp(name, "join")) {
		struct value items = v_iter(j, x);
		struct sbuf b = {0};
		for (size_t i = 0; i < items.list->n; i++) {
			if (items.list->p[i].type != V_STR)
				jinja_fail(j, ERR_FORMAT, "join wants strings");
			if (i)
				sbuf_str(j, &b, s);
			sbuf_str(j, &b, items.list->p[i].s);
		}
		return sbuf_value(j, &b);
	}
	jinja_fail(j, ERR_UNSUPPORTED, "strings have no method \"%.60s\" here", name);
}

static struct value dict_method(struct eval *ev, const struct method *m, const struct args *a)
{
	struct jinja *j = ev->j;
	const struct dict *d = m->self.dict;
	struct value out = v_list(j, V_LIST);
	if (!strcmp(m->name, "get")) {
		const struct value *key = arg(a, 0, "key"), *other = arg(a, 1, "default");
		struct value *x = key ? dict_get(d, key) : NULL;
		return x ? *x : other ? *other : v_none();
	}
	int what = !strcmp(m->name, "items") ? 3 : !strcmp(m->name, "keys") ? 1 : !strcmp(m->name, "values") ? 2 : 0;
	if (!strcmp(m->name, "copy"))
		return m->self;
	if (!what)
		jinja_fail(j, ERR_FORMAT, "the method \"%.60s\" of a mapping is not allowed in a template", m->name);
	for (size_t i = 0; i < d->n; i++) {
		struct value pair = v_list(j, V_TUPLE);
		list_add(j, &pair, d->p[i].key);
		list_add(j, &pair, d->p[i].value);
		list_add(j, &out, what == 3 ? pair : what == 1 ? d->p[i].key : d->p[i].value);
	}
	return out;
}

static struct value list_method(struct eval *ev, const struct method *m, const struct args *a)
{
	const struct value *x = arg(a, 0, NULL);
	const struct list *l = m->self.list;
	int64_t n = 0;
	if (x && !strcmp(m->name, "count")) {
		for (size_t i = 0; i < l->n; i++)
			n += v_equal(&l->p[i], x);
		return v_int(n);
	}
	if (x && !strcmp(m->name, "index"))
		for (size_t i = 0; i < l->n; i++)
			if (v_equal(&l->p[i], x))
				return v_int((int64_t)i);
	jinja_fail(ev->j, ERR_FORMAT, "the method \"%.60s\" of a list is not allowed in a template", m->name);
}

struct value eval_method(struct eval *ev, const struct method *m, const struct args *a)
{
	switch (m->self.type) {
	case V_STR:
		return string_method(ev, m, a);
	case V_DICT:
		return dict_method(ev, m, a);
	default:
		return list_method(ev, m, a);
	}
}
