/* Methods of strings, as Python has them. */
#include <string.h>
#include <utf8proc.h>

#include "base/utf8.h"
#include "chat/jinja_run.h"

struct str str_piece(struct str s, size_t from, size_t to)
{
	return (struct str){s.p + from, s.m + from, to - from, s.safe};
}

size_t str_chars(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++)
		n += ((uint8_t)s.p[i] & 0xC0) != 0x80;
	return n;
}

bool py_is_space(uint32_t cp) /* Python's str.isspace */
{
	return (cp >= 9 && cp <= 13) || (cp >= 28 && cp <= 32) || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
		(cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F ||
		cp == 0x205F || cp == 0x3000;
}

static const struct str *want_str(struct jinja *j, const struct value *v, const char *method)
{
	if (!v || v->type != V_STR)
		jinja_fail(j, ERR_FORMAT, "%s wants a string, not a %s", method, v ? v_type_name(v) : "missing one");
	return &v->s;
}

static bool in_set(const struct str *set, const char *p, size_t n)
{
	uint32_t cp;
	if (!set) {
		utf8_decode(p, n, &cp, NULL);
		return py_is_space(cp);
	}
	return n <= set->len && memmem(set->p, set->len, p, n) != NULL;
}

/* side: 1 left, 2 right, 3 both */
static struct str strip(struct str s, const struct str *set, int side)
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
	return str_piece(s, from, to);
}

static struct value m_strip(struct eval *ev, struct str s, const struct args *a, int side)
{
	const struct value *x = arg(a, 0, NULL);
	return v_of(strip(s, x && x->type != V_NONE ? want_str(ev->j, x, "strip") : NULL, side));
}

/* First (or last) place of what in s[from, to); SIZE_MAX: none. */
static size_t find(struct str s, size_t from, size_t to, const struct str *what, bool last)
{
	if (from > to || to - from < what->len)
		return SIZE_MAX;
	if (!last) {
		const char *at = what->len ? memmem(s.p + from, to - from, what->p, what->len) : s.p + from;
		return at ? (size_t)(at - s.p) : SIZE_MAX;
	}
	for (size_t i = to - what->len + 1; i > from; i--)
		if (!what->len || !memcmp(s.p + i - 1, what->p, what->len))
			return i - 1;
	return SIZE_MAX;
}

static void reverse(struct value *l)
{
	for (size_t i = 0, k = l->list->n; i + 1 < k; i++) {
		struct value t = l->list->p[i];
		l->list->p[i] = l->list->p[--k];
		l->list->p[k] = t;
	}
}

static struct value split_spaces(struct jinja *j, struct str s, int64_t max, bool right)
{
	struct value out = v_list(j, V_LIST);
	uint32_t cp;
	for (s = strip(s, NULL, right ? 2 : 1); s.len; s = strip(s, NULL, right ? 2 : 1)) {
		size_t i = right ? s.len : 0;
		if (max >= 0 && (int64_t)out.list->n == max) {
			list_add(j, &out, v_of(s));
			break;
		}
		for (size_t n; right ? i > 0 : i < s.len; i = right ? i - n : i + n) {
			n = 1;
			while (right && i > n && ((uint8_t)s.p[i - n] & 0xC0) == 0x80)
				n++;
			size_t k = utf8_decode(s.p + (right ? i - n : i), right ? n : s.len - i, &cp, NULL);
			n = right ? n : k;
			if (py_is_space(cp))
				break;
		}
		list_add(j, &out, v_of(right ? str_piece(s, i, s.len) : str_piece(s, 0, i)));
		s = right ? str_piece(s, 0, i) : str_piece(s, i, s.len);
	}
	if (right)
		reverse(&out);
	return out;
}

static struct value m_split(struct eval *ev, struct str s, const struct args *a, bool right)
{
	const struct value *sep = arg(a, 0, "sep");
	int64_t max = arg_int(ev->j, a, 1, "maxsplit", -1);
	struct value out = v_list(ev->j, V_LIST);
	if (!sep || sep->type == V_NONE)
		return split_spaces(ev->j, s, max, right);
	const struct str *by = want_str(ev->j, sep, "split");
	if (by->len == 0)
		jinja_fail(ev->j, ERR_FORMAT, "split wants a separator that is not empty");
	size_t from = 0, to = s.len, at;
	while ((max < 0 || (int64_t)out.list->n < max) && (at = find(s, from, to, by, right)) != SIZE_MAX) {
		list_add(ev->j, &out, v_of(right ? str_piece(s, at + by->len, to) : str_piece(s, from, at)));
		if (right)
			to = at;
		else
			from = at + by->len;
	}
	list_add(ev->j, &out, v_of(str_piece(s, from, to)));
	if (right)
		reverse(&out);
	return out;
}

struct value string_iter_lines(struct jinja *j, struct str s, bool keep)
{
	struct value out = v_list(j, V_LIST);
	size_t from = 0;
	for (size_t i = 0, n; i < s.len; i += n) {
		uint32_t cp;
		n = utf8_decode(s.p + i, s.len - i, &cp, NULL);
		if (!((cp >= 10 && cp <= 13) || (cp >= 0x1C && cp <= 0x1E) || cp == 0x85 || cp == 0x2028 || cp == 0x2029))
			continue;
		n += cp == '\r' && i + 1 < s.len && s.p[i + 1] == '\n';
		list_add(j, &out, v_of(str_piece(s, from, keep ? i + n : i)));
		from = i + n;
	}
	if (from < s.len)
		list_add(j, &out, v_of(str_piece(s, from, s.len)));
	return out;
}

static struct value m_replace(struct eval *ev, struct str s, const struct args *a)
{
	const struct str *from = want_str(ev->j, arg(a, 0, NULL), "replace");
	struct value to = v_of(*want_str(ev->j, arg(a, 1, NULL), "replace"));
	int64_t left = arg_int(ev->j, a, 2, "count", -1);
	struct sbuf b = {0}, esc = {0};
	size_t i = 0, n;
	if (left < 0)
		left = INT64_MAX;
	if (s.safe) {
		sbuf_escaped(ev->j, &esc, to.s);
		to = sbuf_value(ev->j, &esc);
	}
	if (from->len == 0) { /* between all characters */
		for (; left > 0; left--, i += n) {
			uint32_t cp;
			sbuf_str(ev->j, &b, to.s);
			if (i >= s.len)
				break;
			n = utf8_decode(s.p + i, s.len - i, &cp, NULL);
			sbuf_str(ev->j, &b, str_piece(s, i, i + n));
		}
	} else {
		for (size_t at; left > 0 && (at = find(s, i, s.len, from, false)) != SIZE_MAX; left--) {
			sbuf_str(ev->j, &b, str_piece(s, i, at));
			sbuf_str(ev->j, &b, to.s);
			i = at + from->len;
		}
	}
	if (i < s.len)
		sbuf_str(ev->j, &b, str_piece(s, i, s.len));
	return sbuf_value(ev->j, &b);
}

/* --- letter case --- */

enum change { LOWER, UPPER, TITLE, CAPITALIZE, SWAP };

static bool is_cased(uint32_t cp)
{
	utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
	return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LT;
}

static struct value change_case(struct jinja *j, struct str s, enum change how)
{
	struct sbuf b = {0};
	bool start = true;
	for (size_t i = 0, n; i < s.len; i += n) {
		uint32_t cp;
		char t[4];
		n = utf8_decode(s.p + i, s.len - i, &cp, NULL);
		utf8proc_category_t is = utf8proc_category((utf8proc_int32_t)cp);
		bool up = how == UPPER || ((how == TITLE || how == CAPITALIZE) && start) || (how == SWAP && is != UTF8PROC_CATEGORY_LU);
		bool title = up && how != UPPER && how != SWAP;
		uint32_t to = (uint32_t)(title ? utf8proc_totitle((utf8proc_int32_t)cp)
					 : up  ? utf8proc_toupper((utf8proc_int32_t)cp)
					       : utf8proc_tolower((utf8proc_int32_t)cp));
		if (how == SWAP && is == UTF8PROC_CATEGORY_LT)
			to = cp;
		start = how == TITLE && !is_cased(cp);
		if (cp == 0x130 && !up) /* and the one whose small letter is two */
			sbuf_add(j, &b, "i\xCC\x87", NULL, 3, s.m[i]);
		else if (cp == 0xDF && up) /* the one common letter whose capital is two */
			sbuf_add(j, &b, title ? "Ss" : "SS", NULL, 2, s.m[i]);
		else
			sbuf_add(j, &b, t, NULL, utf8_encode(to, t), s.m[i]);
	}
	return sbuf_value(j, &b);
}

/* islower, isupper: some letter has a case, and all that have it have this one. */
static bool all_case(struct str s, bool upper)
{
	bool some = false;
	for (size_t i = 0; i < s.len;) {
		uint32_t cp;
		i += utf8_decode(s.p + i, s.len - i, &cp, NULL);
		utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
		if (c == (upper ? UTF8PROC_CATEGORY_LL : UTF8PROC_CATEGORY_LU) || c == UTF8PROC_CATEGORY_LT)
			return false;
		some |= c == (upper ? UTF8PROC_CATEGORY_LU : UTF8PROC_CATEGORY_LL);
	}
	return some;
}

static bool is_title(struct str s)
{
	bool some = false, behind_cased = false;
	for (size_t i = 0; i < s.len;) {
		uint32_t cp;
		i += utf8_decode(s.p + i, s.len - i, &cp, NULL);
		bool lower = utf8proc_category((utf8proc_int32_t)cp) == UTF8PROC_CATEGORY_LL;
		if (is_cased(cp) && lower != behind_cased)
			return false;
		behind_cased = is_cased(cp);
		some |= behind_cased;
	}
	return some;
}

/* --- classes --- */

static bool digit(uint32_t cp)
{
	return utf8proc_category((utf8proc_int32_t)cp) == UTF8PROC_CATEGORY_ND;
}

static bool digit_like(uint32_t cp) /* superscripts and circled digits too */
{
	return digit(cp) || cp == 0xB2 || cp == 0xB3 || cp == 0xB9 || (cp >= 0x2070 && cp <= 0x2089 && cp != 0x2071) ||
		(cp >= 0x2460 && cp <= 0x2468);
}

static bool numeric(uint32_t cp)
{
	utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
	return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO;
}

static bool letter(uint32_t cp)
{
	utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
	return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

static bool letter_or_digit(uint32_t cp)
{
	return letter(cp) || numeric(cp);
}

static bool ascii(uint32_t cp)
{
	return cp < 128;
}

static bool all_chars(struct str s, bool (*ok)(uint32_t cp), bool when_empty)
{
	uint32_t cp;
	for (size_t i = 0; i < s.len;) {
		i += utf8_decode(s.p + i, s.len - i, &cp, NULL);
		if (!ok(cp))
			return false;
	}
	return s.len > 0 || when_empty;
}

static bool is_identifier(struct str s)
{
	uint32_t cp;
	for (size_t i = 0; i < s.len;) {
		bool first = i == 0;
		i += utf8_decode(s.p + i, s.len - i, &cp, NULL);
		if (!(cp == '_' || letter(cp) || (!first && digit(cp))))
			return false;
	}
	return s.len > 0;
}

static const struct {
	const char *name;
	bool (*ok)(uint32_t cp);
	bool when_empty;
} classes[] = {{"isdigit", digit_like, false}, {"isdecimal", digit, false}, {"isnumeric", numeric, false},
	{"isalpha", letter, false}, {"isalnum", letter_or_digit, false}, {"isspace", py_is_space, false},
	{"isascii", ascii, true}, {"isprintable", py_is_printable, true}};

/* --- searching --- */

static size_t byte_at(struct str s, int64_t chars)
{
	size_t i = 0;
	for (; chars > 0 && i < s.len; chars--)
		for (i++; i < s.len && ((uint8_t)s.p[i] & 0xC0) == 0x80;)
			i++;
	return i;
}

/* start and end of find, count, startswith ...: characters; false when nothing is between them. */
static bool window(struct jinja *j, struct str s, const struct args *a, size_t *from, size_t *to)
{
	int64_t n = (int64_t)str_chars(s), at[2] = {0, n};
	for (size_t i = 0; i < 2; i++) {
		const struct value *x = arg(a, i + 1, NULL);
		if (x && x->type != V_NONE)
			at[i] = to_int(j, x, "a position");
		at[i] += at[i] < 0 ? n : 0;
		at[i] = at[i] < 0 ? 0 : at[i];
	}
	if (at[0] > n)
		return false;
	*from = byte_at(s, at[0]);
	*to = byte_at(s, at[1]);
	return *from <= *to;
}

static struct value search(struct eval *ev, struct str s, const char *name, const struct args *a)
{
	const struct str *what = want_str(ev->j, arg(a, 0, NULL), name);
	bool last = name[0] == 'r', must = strstr(name, "index") != NULL;
	size_t from, to, at = SIZE_MAX;
	if (window(ev->j, s, a, &from, &to))
		at = find(s, from, to, what, last);
	if (at == SIZE_MAX && must)
		jinja_fail(ev->j, ERR_FORMAT, "substring not found");
	return v_int(at == SIZE_MAX ? -1 : (int64_t)str_chars(str_piece(s, 0, at)));
}

static struct value count(struct eval *ev, struct str s, const struct args *a)
{
	const struct str *what = want_str(ev->j, arg(a, 0, NULL), "count");
	size_t from, to;
	int64_t n = 0;
	if (!window(ev->j, s, a, &from, &to))
		return v_int(0);
	if (what->len == 0)
		return v_int((int64_t)str_chars(str_piece(s, from, to)) + 1);
	for (size_t at; (at = find(s, from, to, what, false)) != SIZE_MAX; n++)
		from = at + what->len;
	return v_int(n);
}

static bool has_end(struct jinja *j, struct str s, const struct value *x, bool at_end)
{
	if (x && x->type == V_TUPLE) {
		for (size_t i = 0; i < x->list->n; i++)
			if (has_end(j, s, &x->list->p[i], at_end))
				return true;
		return false;
	}
	const struct str *e = want_str(j, x, "startswith or endswith");
	return e->len <= s.len && (e->len == 0 || !memcmp(s.p + (at_end ? s.len - e->len : 0), e->p, e->len));
}

static struct value ends(struct eval *ev, struct str s, const struct args *a, bool at_end)
{
	size_t from, to;
	if (!window(ev->j, s, a, &from, &to))
		return v_bool(false);
	return v_bool(has_end(ev->j, str_piece(s, from, to), arg(a, 0, NULL), at_end));
}

static struct value partition(struct eval *ev, struct str s, const struct args *a, bool right)
{
	const struct str *by = want_str(ev->j, arg(a, 0, NULL), "partition");
	struct value out = v_list(ev->j, V_TUPLE), none = v_literal(ev->j, "");
	if (by->len == 0)
		jinja_fail(ev->j, ERR_FORMAT, "partition wants a separator that is not empty");
	size_t at = find(s, 0, s.len, by, right);
	none.s.safe = s.safe;
	struct value parts[3] = {right ? none : v_of(s), none, right ? v_of(s) : none};
	if (at != SIZE_MAX) {
		parts[0] = v_of(str_piece(s, 0, at));
		parts[1] = v_of(str_piece(s, at, at + by->len));
		parts[2] = v_of(str_piece(s, at + by->len, s.len));
	}
	for (int i = 0; i < 3; i++)
		list_add(ev->j, &out, parts[i]);
	return out;
}

/* --- filling --- */

struct value string_pad(struct jinja *j, struct str s, size_t width, struct str fill, char align)
{
	size_t n = str_chars(s), pad = width > n ? width - n : 0;
	size_t left = align == '>' ? pad : align == '^' ? pad / 2 : align == 'c' ? pad / 2 + (pad & width & 1) : 0;
	struct sbuf b = {0};
	jinja_work(j, pad / 8);
	for (size_t i = 0; i < pad; i++) {
		if (i == left)
			sbuf_str(j, &b, s);
		sbuf_str(j, &b, fill);
	}
	if (left >= pad)
		sbuf_str(j, &b, s);
	return sbuf_value(j, &b);
}

static struct value m_pad(struct eval *ev, struct str s, const struct args *a, char align)
{
	const struct value *fill = arg(a, 1, NULL);
	struct value by = fill ? v_of(*want_str(ev->j, fill, "a fill character")) : v_literal(ev->j, " ");
	int64_t width = a->n ? to_int(ev->j, &a->p[0], "a width") : 0;
	if (a->n == 0 || str_chars(by.s) != 1)
		jinja_fail(ev->j, ERR_FORMAT, "a width and one fill character are wanted");
	if (s.safe) {
		struct sbuf b = {0};
		sbuf_escaped(ev->j, &b, by.s);
		by = sbuf_value(ev->j, &b);
	}
	return string_pad(ev->j, s, width > 0 ? (size_t)width : 0, by.s, align);
}

static struct value zfill(struct eval *ev, struct str s, const struct args *a)
{
	int64_t width = a->n ? to_int(ev->j, &a->p[0], "zfill") : 0, n = (int64_t)str_chars(s);
	size_t sign = s.len && (s.p[0] == '-' || s.p[0] == '+');
	struct sbuf b = {0};
	sbuf_str(ev->j, &b, str_piece(s, 0, sign));
	sbuf_fill(ev->j, &b, "0", width > n ? (size_t)(width - n) : 0);
	sbuf_str(ev->j, &b, str_piece(s, sign, s.len));
	return sbuf_value(ev->j, &b);
}

static struct value expandtabs(struct eval *ev, struct str s, const struct args *a)
{
	int64_t size = arg_int(ev->j, a, 0, "tabsize", 8), column = 0;
	struct sbuf b = {0};
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		if (c == '\t') {
			int64_t n = size > 0 ? size - column % size : 0;
			sbuf_fill(ev->j, &b, " ", (size_t)n);
			column += n;
			continue;
		}
		column = c == '\n' || c == '\r' ? 0 : column + (((uint8_t)c & 0xC0) != 0x80);
		sbuf_add(ev->j, &b, &c, s.m + i, 1, false);
	}
	return sbuf_value(ev->j, &b);
}

static struct value m_join(struct eval *ev, struct str s, const struct args *a)
{
	if (a->n != 1)
		jinja_fail(ev->j, ERR_FORMAT, "join wants one list");
	struct value items = v_iter(ev->j, &a->p[0]);
	struct sbuf b = {0};
	for (size_t i = 0; i < items.list->n; i++) {
		struct value any = s.safe ? v_str(ev->j, &items.list->p[i]) : items.list->p[i];
		const struct str *x = want_str(ev->j, &any, "join");
		jinja_work(ev->j, 1);
		if (i)
			sbuf_str(ev->j, &b, s);
		if (s.safe)
			sbuf_escaped(ev->j, &b, *x);
		else
			sbuf_str(ev->j, &b, *x);
	}
	return sbuf_value(ev->j, &b);
}

static struct value cut(struct eval *ev, struct str s, const struct args *a, bool end)
{
	const struct str *x = want_str(ev->j, arg(a, 0, NULL), "removeprefix or removesuffix");
	if (!has_end(ev->j, s, &a->p[0], end))
		return v_of(s);
	return v_of(end ? str_piece(s, 0, s.len - x->len) : str_piece(s, x->len, s.len));
}

/* Methods that give a string like the one they work on: a Markup of a Markup. */
static struct value text_method(struct eval *ev, struct str s, const char *name, const struct args *a, bool *known)
{
	static const char *const cases[] = {[LOWER] = "lower", [UPPER] = "upper", [TITLE] = "title",
		[CAPITALIZE] = "capitalize", [SWAP] = "swapcase"};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (!strcmp(cases[i], name))
			return change_case(ev->j, s, (enum change)i);
	if (!strcmp(name, "casefold"))
		return change_case(ev->j, s, LOWER);
	if (!strcmp(name, "strip") || !strcmp(name, "lstrip") || !strcmp(name, "rstrip"))
		return m_strip(ev, s, a, name[0] == 's' ? 3 : name[0] == 'l' ? 1 : 2);
	if (!strcmp(name, "replace"))
		return m_replace(ev, s, a);
	if (!strcmp(name, "format") || !strcmp(name, "format_map"))
		return format_braces(ev, s, name[6] ? &(struct args){NULL, 0, a->n && a->p[0].type == V_DICT ? a->p[0].dict : NULL} : a);
	if (!strcmp(name, "removeprefix") || !strcmp(name, "removesuffix"))
		return cut(ev, s, a, name[6] == 's');
	if (!strcmp(name, "join"))
		return m_join(ev, s, a);
	if (!strcmp(name, "ljust") || !strcmp(name, "rjust") || !strcmp(name, "center"))
		return m_pad(ev, s, a, name[0] == 'l' ? '<' : name[0] == 'r' ? '>' : 'c');
	if (!strcmp(name, "zfill"))
		return zfill(ev, s, a);
	if (!strcmp(name, "expandtabs"))
		return expandtabs(ev, s, a);
	*known = false;
	return v_none();
}

struct value string_method(struct eval *ev, struct str s, const char *name, const struct args *a)
{
	bool known = true;
	jinja_work(ev->j, s.len / 32);
	struct value v = text_method(ev, s, name, a, &known);
	if (known) {
		v.s.safe = s.safe;
		return v;
	}
	for (size_t i = 0; i < sizeof(classes) / sizeof(*classes); i++)
		if (!strcmp(classes[i].name, name))
			return v_bool(all_chars(s, classes[i].ok, classes[i].when_empty));
	if (!strcmp(name, "split") || !strcmp(name, "rsplit"))
		return m_split(ev, s, a, name[0] == 'r');
	if (!strcmp(name, "splitlines"))
		return string_iter_lines(ev->j, s, arg_flag(a, 0, "keepends"));
	if (!strcmp(name, "startswith") || !strcmp(name, "endswith"))
		return ends(ev, s, a, name[0] == 'e');
	if (!strcmp(name, "find") || !strcmp(name, "rfind") || !strcmp(name, "index") || !strcmp(name, "rindex"))
		return search(ev, s, name, a);
	if (!strcmp(name, "count"))
		return count(ev, s, a);
	if (!strcmp(name, "partition") || !strcmp(name, "rpartition"))
		return partition(ev, s, a, name[0] == 'r');
	if (!strcmp(name, "islower") || !strcmp(name, "isupper"))
		return v_bool(all_case(s, name[2] == 'u'));
	if (!strcmp(name, "istitle"))
		return v_bool(is_title(s));
	if (!strcmp(name, "isidentifier"))
		return v_bool(is_identifier(s));
	jinja_fail(ev->j, ERR_UNSUPPORTED, "the method \"%.60s\" of strings is not supported", name);
}

struct value string_call(struct eval *ev, struct value s, const char *name)
{
	return string_method(ev, s.s, name, &(struct args){0});
}
