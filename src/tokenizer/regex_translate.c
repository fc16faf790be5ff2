/* From Oniguruma's syntax to PCRE2's. Differences that matter: what \s, \w, \h, \v, \b mean; nested
 * brackets and && in them; {n,m}+, which is no possessive form; {,n}; (?m) for "dot matches
 * newline" and how far (?i) reaches; \p{Han} as a script, not as script extensions; long names of
 * properties. A character class is read into `struct set`, since it may come out as several. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizer/chars.h"
#include "tokenizer/regex.h"
#include "tokenizer/regex_property.h"

#define GROUPS 100
#define NESTING 16
#define WORD_ALONE                                                                                 \
	WORD "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}" /* \w outside of brackets: Oniguruma's habit   \
						     */

struct reader {
	const char *p, *end;
	struct buf *out;
	struct err *e;
	struct {
		size_t at;   /* where the group begins in out */
		int pretend; /* groups opened for (?i) inside of it, to be closed with it */
		bool fold;   /* case is ignored in it */
	} group[GROUPS];
	int depth, nesting;
	size_t atom; /* where the last item that can be repeated begins in out */
	bool has_atom;
};

static int refuse(struct reader *r, const char *what)
{
	return err_set(r->e, ERR_UNSUPPORTED, "a pattern with %s is not supported", what);
}

/* --- properties --- */

/* r->p stands behind "\p" or "\P". Fills body (for use inside brackets) and whether it is negated.
 */
static int read_property(struct reader *r, bool upper, char body[REGEX_PROPERTY_MAX], bool *negated)
{
	const char *close = memchr(r->p, '}', (size_t)(r->end - r->p));
	*negated = upper;
	if (r->p == r->end || *r->p != '{' || !close ||
		!regex_property(r->p + 1, (size_t)(close - r->p - 1), body, negated))
		return refuse(r, "an odd name of a property");
	r->p = close + 1;
	return 0;
}

/* --- escapes --- */

struct item { /* what one escape stands for */
	bool is_set, negated;
	char body[256]; /* of a set: for use inside brackets */
	uint32_t cp;    /* else the character */
};

static uint32_t hex_digits(struct reader *r, int max, int *n)
{
	uint32_t v = 0;
	for (*n = 0; *n < max && r->p < r->end && isxdigit((unsigned char)*r->p); ++*n, r->p++)
		v = v << 4 | (uint32_t)(*r->p <= '9' ? *r->p - '0' : (*r->p | 32) - 'a' + 10);
	return v;
}

static int set_item(struct item *it, const char *body, bool negated)
{
	it->is_set = true;
	it->negated = negated;
	snprintf(it->body, sizeof(it->body), "%s", body);
	return 0;
}

static int read_hex(struct reader *r, struct item *it, char kind)
{
	int n;
	if (r->p < r->end && *r->p == '{') {
		r->p++;
		it->cp = hex_digits(r, 8, &n);
		if (n == 0 || r->p == r->end || *r->p++ != '}' || it->cp > 0x10FFFF)
			return refuse(r, "an odd \\x{...}");
		return 0;
	}
	it->cp = hex_digits(r, kind == 'u' ? 4 : 2, &n);
	if (kind == 'x' && it->cp >= 0x80)
		return refuse(r, "a raw byte (\\x80 and above)");
	return 0;
}

/* r->p stands behind the backslash. An escape that is a set or a character, in or out of brackets.
 */
static int read_escape(struct reader *r, struct item *it)
{
	char body[REGEX_PROPERTY_MAX];
	bool negated;
	static const char letters[] = "tnvfrae0", means[] = "\t\n\v\f\r\a\x1B";
	char c = *r->p;
	const char *at = c ? strchr(letters, c) : NULL;
	if (at) {
		r->p++;
		it->cp = (uint32_t)means[at - letters]; /* of '0': the end of the string */
		return 0;
	}
	r->p++;
	switch (c) {
	case 's':
	case 'S':
		return set_item(it, SPACES, c == 'S');
	case 'w':
	case 'W':
		return set_item(it, WORD, c == 'W');
	case 'd':
	case 'D':
		return set_item(it, "\\p{Nd}", c == 'D');
	case 'h':
	case 'H':
		return set_item(it, HEX, c == 'H');
	case 'p':
	case 'P':
		return read_property(r, c == 'P', body, &negated) < 0 ? -1
								      : set_item(it, body, negated);
	case 'x':
	case 'u':
		return read_hex(r, it, c);
	default:
		r->p--;
		r->p += char_at(r->p, &it->cp);
		return 0;
	}
}

static void put_char(struct buf *out, uint32_t cp)
{
	if (cp < 0x80 && !isalnum((int)cp) && cp > 32)
		buf_printf(out, "\\%c", (int)cp);
	else
		buf_printf(out, "\\x{%X}", (unsigned)cp);
}

/* --- character classes --- */

struct set { /* one part between &&: characters and ranges, and matchers of one character each */
	struct buf body, others;
	int n_others;
};

static void set_clear(struct set *s)
{
	buf_clear(&s->body);
	buf_clear(&s->others);
	s->n_others = 0;
}

static void add_other(struct set *s, const char *text)
{
	if (s->others.len)
		buf_addc(&s->others, '|');
	buf_puts(&s->others, text);
	s->n_others++;
}

/* The part as one matcher; no group around a single one, since PCRE2 repeats those better. */
static void put_set(const struct set *s, struct buf *out)
{
	if (!s->others.len && !s->body.len)
		buf_puts(out, "(?!)");
	else if (!s->others.len)
		buf_printf(out, "[%s]", s->body.p);
	else if (!s->body.len)
		buf_printf(out, s->n_others > 1 ? "(?:%s)" : "%s", s->others.p);
	else
		buf_printf(out, "(?:[%s]|%s)", s->body.p, s->others.p);
}

static void add_item(struct set *s, const struct item *it)
{
	if (!it->is_set) {
		put_char(&s->body, it->cp);
	} else if (!it->negated) {
		buf_puts(&s->body, it->body);
	} else {
		char text[300];
		snprintf(text, sizeof(text), "[^%s]", it->body);
		add_other(s, text);
	}
}

/* [:name:] inside brackets; r->p stands at "[:". False if it is none. */
static bool read_posix(struct reader *r, struct item *it)
{
	const char *close = memmem(r->p, (size_t)(r->end - r->p), ":]", 2);
	bool negated = r->end - r->p > 2 && r->p[2] == '^';
	const char *name = r->p + 2 + negated;
	if (!close || close < name)
		return false;
	size_t n = (size_t)(close - name);
	bool punct = n == 5 && !memcmp(name, "punct", 5); /* with symbols, unlike \p{Punct} */
	const char *body = punct ? "\\p{P}\\p{S}" : regex_property_find(name, n);
	if (!body)
		return false;
	r->p = close + 2;
	set_item(it, body, negated);
	return true;
}

/* Where case is ignored, a property of case inside brackets (only there) holds for the partners too. */
static void add_partners(struct set *s, const struct item *it)
{
	static const char partners[] = "\\p{Changes_When_Casemapped}";
	if (!it->is_set || it->negated)
		return;
	if (!strcmp(it->body, "\\p{Uppercase}") || !strcmp(it->body, "\\p{Lowercase}")) {
		buf_puts(&s->body, partners);
	} else if (!strncmp(it->body, "\\p{L", 4) && strchr("ult", it->body[4])) {
		char text[64];
		snprintf(text, sizeof(text), "(?=\\p{L&})%s", partners);
		add_other(s, text);
	}
}

static int read_class(struct reader *r, struct set *into, bool *plain);

/* One element of a class, or a range, or a nested class. */
static int read_element(struct reader *r, struct set *s)
{
	struct item it = {0};
	bool plain;
	if (*r->p == '[' && !(r->end - r->p > 1 && r->p[1] == ':' && read_posix(r, &it)))
		return read_class(r, s, &plain);
	if (it.is_set) {
		add_item(s, &it);
		if (r->group[r->depth].fold)
			add_partners(s, &it);
		return 0;
	}
	if (*r->p == '\\' && r->p + 1 < r->end) {
		r->p++;
		if (*r->p == 'b') {
			it.cp = 8;
			r->p++;
		} else if (read_escape(r, &it) < 0) {
			return -1;
		}
	} else {
		r->p += char_at(r->p, &it.cp);
	}
	add_item(s, &it);
	if (r->group[r->depth].fold)
		add_partners(s, &it);
	bool range =
		!it.is_set && r->end - r->p > 1 && *r->p == '-' && r->p[1] != ']' && r->p[1] != '[';
	if (!range || (r->p[1] == '\\' && r->end - r->p > 2 && strchr("sSwWdDhHpP", r->p[2])))
		return 0;
	struct item to = {0};
	r->p++;
	if (*r->p == '\\' && r->p + 1 < r->end) {
		r->p++;
		if (read_escape(r, &to) < 0)
			return -1;
	} else {
		r->p += char_at(r->p, &to.cp);
	}
	buf_addc(&s->body, '-');
	put_char(&s->body, to.cp);
	return 0;
}

/* Add what was read of a whole class to `into`. */
static void close_class(
	struct set *last, const struct buf *parts, bool negated, struct set *into, bool *plain)
{
	struct buf text = BUF_INIT;
	*plain = !parts->len && !last->others.len && last->body.len;
	if (*plain && !negated) {
		buf_add(&into->body, last->body.p, last->body.len);
		return;
	}
	if (*plain) {
		buf_printf(&text, "[^%s]", last->body.p);
	} else {
		buf_puts(&text, negated ? "(?:(?!" : "(?:");
		buf_add(&text, buf_str(parts), parts->len);
		put_set(last, &text);
		buf_puts(&text, negated ? ")(?s:.))" : ")");
	}
	add_other(into, buf_str(&text));
	buf_clear(&text);
}

/* r->p stands at '['. The class becomes part of `into`: its characters where it is a plain one,
 * else a matcher. */
static int read_class(struct reader *r, struct set *into, bool *plain)
{
	struct set s = {BUF_INIT, BUF_INIT, 0};
	struct buf parts =
		BUF_INIT; /* of an intersection: lookaheads, and at last the part itself */
	int rc = ++r->nesting > NESTING ? refuse(r, "deeply nested brackets") : 0;
	r->p++;
	bool negated = r->p < r->end && *r->p == '^', first = true;
	r->p += negated;
	while (rc == 0) {
		if (r->p == r->end) {
			rc = refuse(r, "a bracket that does not close");
		} else if (*r->p == ']' && !first) {
			r->p++;
			break;
		} else if (r->end - r->p > 1 && r->p[0] == '&' && r->p[1] == '&') {
			r->p += 2;
			buf_puts(&parts, "(?=");
			put_set(&s, &parts);
			buf_addc(&parts, ')');
			set_clear(&s);
		} else {
			rc = read_element(r, &s);
		}
		first = false;
	}
	r->nesting--;
	if (rc == 0)
		close_class(&s, &parts, negated, into, plain);
	set_clear(&s);
	buf_clear(&parts);
	return rc;
}

/* --- outside brackets --- */

static void put_item(struct reader *r, const struct item *it)
{
	if (!it->is_set)
		put_char(r->out, it->cp);
	else
		buf_printf(r->out, it->negated ? "[^%s]" : "[%s]",
			strcmp(it->body, WORD) ? it->body : WORD_ALONE);
}

static int escape_outside(struct reader *r)
{
	struct item it = {0};
	if (r->p + 1 == r->end)
		return refuse(r, "a backslash at its end");
	char c = r->p[1];
	r->has_atom = strchr("bBAzZG", c) == NULL;
	r->atom = r->out->len;
	if (c == 'b' || c == 'B') {
		buf_printf(r->out,
			c == 'b' ? "(?:(?<=[%s])(?![%s])|(?<![%s])(?=[%s]))"
				 : "(?:(?<=[%s])(?=[%s])|(?<![%s])(?![%s]))",
			WORD_ALONE, WORD_ALONE, WORD_ALONE, WORD_ALONE);
		r->p += 2;
		return 0;
	}
	if (strchr("yYCgQE", c) && c != 'Q' && c != 'E')
		return refuse(r, c == 'C' ? "\\C" : "\\y or \\g");
	if (c == 'O') {
		buf_puts(r->out, "(?s:.)");
		r->p += 2;
		return 0;
	}
	if (strchr("AzZGRXKN", c) || (c >= '1' && c <= '9')) { /* the same in both */
		buf_printf(r->out, "\\%c", c);
		r->p += 2;
		return 0;
	}
	if (c == 'k' && r->end - r->p > 2 && r->p[2] == '<') {
		const char *close = memchr(r->p, '>', (size_t)(r->end - r->p));
		if (!close)
			return refuse(r, "an odd \\k");
		buf_add(r->out, r->p, (size_t)(close + 1 - r->p));
		r->p = close + 1;
		return 0;
	}
	r->p++;
	if (read_escape(r, &it) < 0)
		return -1;
	put_item(r, &it);
	return 0;
}

static int open_group(struct reader *r, size_t at)
{
	if (r->depth == GROUPS - 1)
		return refuse(r, "deeply nested groups");
	bool fold = r->group[r->depth].fold;
	r->depth++;
	r->group[r->depth].at = at;
	r->group[r->depth].pretend = 0;
	r->group[r->depth].fold = fold;
	r->has_atom = false;
	return 0;
}

/* "(?im-x:" or "(?i)"; r->p stands behind "(?". The latter reaches to the end of its group. */
static int option_group(struct reader *r, size_t at)
{
	bool fold = r->group[r->depth].fold, on = true;
	buf_puts(r->out, "(?");
	for (; r->p < r->end && (*r->p == '-' || isalpha((unsigned char)*r->p)); r->p++) {
		if (!strchr("-imsx", *r->p))
			return refuse(r, "an unknown option");
		on &= *r->p != '-';
		fold = *r->p == 'i' ? on : fold;
		buf_addc(r->out, *r->p == 'm' ? 's' : *r->p);
	}
	if (r->p == r->end || (*r->p != ':' && *r->p != ')'))
		return refuse(r, "an odd group");
	buf_addc(r->out, ':');
	if (*r->p++ == ':') {
		int rc = open_group(r, at);
		r->group[r->depth].fold = fold;
		return rc;
	}
	r->group[r->depth].fold = fold;
	r->group[r->depth].pretend++;
	r->has_atom = false;
	return 0;
}

static int group_outside(struct reader *r)
{
	size_t at = r->out->len;
	const char *p = r->p + 1;
	if (r->end - p < 2 || *p != '?') {
		r->p++;
		buf_addc(r->out, '(');
		return open_group(r, at);
	}
	if (p[1] == '#') {
		const char *close = memchr(p, ')', (size_t)(r->end - p));
		r->p = close ? close + 1 : r->end;
		return 0;
	}
	bool behind = p[1] == '<' && r->end - p > 2 && (p[2] == '=' || p[2] == '!');
	if (strchr(":=!>", p[1]) || behind) {
		size_t n = behind ? 4 : 3;
		buf_add(r->out, r->p, n);
		r->p += n;
		return open_group(r, at);
	}
	if (p[1] == '<') {
		const char *close = memchr(p, '>', (size_t)(r->end - p));
		if (!close)
			return refuse(r, "an odd group");
		buf_add(r->out, r->p, (size_t)(close + 1 - r->p));
		r->p = close + 1;
		return open_group(r, at);
	}
	r->p = p + 1;
	return option_group(r, at);
}

static int close_group(struct reader *r)
{
	if (r->depth == 0)
		return refuse(r, "a ) without a (");
	for (; r->group[r->depth].pretend; r->group[r->depth].pretend--)
		buf_addc(r->out, ')');
	buf_addc(r->out, ')');
	r->atom = r->group[r->depth--].at;
	r->has_atom = true;
	r->p++;
	return 0;
}

/* Put (?: ) around the last item, so that a further quantifier applies to it as it is. */
static void wrap_atom(struct reader *r)
{
	struct buf tail = BUF_INIT;
	buf_add(&tail, r->out->p + r->atom, r->out->len - r->atom);
	buf_cut(r->out, r->atom);
	buf_printf(r->out, "(?:%s)", buf_str(&tail));
	buf_clear(&tail);
}

/* {n,m}, {n}, {n,}, {,n}; anything else is a literal brace. */
static void brace_outside(struct reader *r)
{
	int n = 0;
	unsigned lo = 0, hi = 0;
	char comma = 0;
	const char *close = memchr(r->p, '}', (size_t)(r->end - r->p));
	char text[32] = "";
	if (close && close - r->p < 20)
		memcpy(text, r->p, (size_t)(close - r->p + 1));
	bool exact = sscanf(text, "{%5u}%n", &lo, &n) == 1 && n;
	bool full = !exact && sscanf(text, "{%5u,%5u}%n", &lo, &hi, &n) == 2 && n;
	bool least = !exact && !full && sscanf(text, "{%5u%c}%n", &lo, &comma, &n) == 2 && n &&
		     comma == ',';
	bool most = !exact && !full && !least && sscanf(text, "{,%5u}%n", &hi, &n) == 1 && n;
	if (!r->has_atom || (!exact && !full && !least && !most)) {
		r->atom = r->out->len;
		r->has_atom = true;
		buf_puts(r->out, "\\{");
		r->p++;
		return;
	}
	if (exact)
		buf_printf(r->out, "{%u}", lo);
	else if (least)
		buf_printf(r->out, "{%u,}", lo);
	else
		buf_printf(r->out, "{%u,%u}", most ? 0 : lo, hi);
	r->p = close + 1;
	if (r->p < r->end && (*r->p == '+' || (*r->p == '?' && exact)))
		wrap_atom(r);
}

static int one_outside(struct reader *r)
{
	struct set s = {BUF_INIT, BUF_INIT, 0};
	bool plain;
	uint32_t cp;
	int rc;
	switch (*r->p) {
	case '\\':
		return escape_outside(r);
	case '[':
		r->atom = r->out->len;
		r->has_atom = true;
		rc = read_class(r, &s, &plain);
		if (rc == 0)
			put_set(&s, r->out);
		set_clear(&s);
		return rc;
	case '(':
		return group_outside(r);
	case ')':
		return close_group(r);
	case '{':
		brace_outside(r);
		return 0;
	case '*':
	case '+':
	case '?':
		buf_addc(r->out, *r->p++);
		return 0;
	case '|':
	case '^':
	case '$':
		r->has_atom = false;
		buf_addc(r->out, *r->p++);
		return 0;
	case ']':
	case '}':
		buf_addc(r->out, '\\');
		break;
	default:
		break;
	}
	r->atom = r->out->len - (*r->p == ']' || *r->p == '}');
	r->has_atom = true;
	size_t n = char_at(r->p, &cp);
	buf_add(r->out, r->p, n);
	r->p += n;
	return 0;
}

int regex_translate(const char *p, size_t len, struct buf *out, struct err *e)
{
	struct reader *r = calloc(1, sizeof(*r));
	if (!r)
		return err_nomem(e);
	*r = (struct reader){.p = p, .end = p + len, .out = out, .e = e};
	int rc = 0;
	while (rc == 0 && r->p < r->end)
		rc = one_outside(r);
	if (rc == 0 && r->depth)
		rc = refuse(r, "a ( without a )");
	for (int i = 0; i < r->group[0].pretend; i++)
		buf_addc(out, ')');
	free(r);
	return rc < 0 ? -1 : buf_ok(out, e);
}
