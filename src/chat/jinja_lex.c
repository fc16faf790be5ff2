/* Template text to tokens, with trim_blocks, lstrip_blocks and the "-" and "+" marks. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "chat/jinja_run.h"

struct lexer {
	struct jinja *j;
	const char *p, *end;
	int line;
	bool line_starting; /* lstrip_blocks applies at the beginning of the text that comes */
	struct token *out;
	size_t n, cap;
};

static struct token *emit(struct lexer *l, enum token_kind kind)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 256;
		struct token *t = jinja_alloc(l->j, cap * sizeof(*t));
		if (l->n)
			memcpy(t, l->out, l->n * sizeof(*t));
		l->out = t;
		l->cap = cap;
	}
	struct token *t = &l->out[l->n++];
	*t = (struct token){.kind = kind, .line = l->line};
	return t;
}

/* White space at s, as Python's \s and strip see it: its bytes, or 0. */
static size_t space_at(const char *s, const char *end)
{
	uint32_t cp;
	size_t n = s < end ? utf8_decode(s, (size_t)(end - s), &cp, NULL) : 0;
	return n && py_is_space(cp) ? n : 0;
}

static size_t space_before(const char *from, const char *s)
{
	const char *q = s;
	do
		q--;
	while (q > from && ((uint8_t)*q & 0xC0) == 0x80);
	return q >= from && space_at(q, s) == (size_t)(s - q) ? (size_t)(s - q) : 0;
}

static void advance(struct lexer *l, const char *to)
{
	for (; l->p < to; l->p++)
		l->line += *l->p == '\n';
}

/* Find the next "{{", "{%" or "{#". */
static const char *find_tag(const struct lexer *l)
{
	for (const char *q = l->p; q + 1 < l->end; q++)
		if (*q == '{' && (q[1] == '{' || q[1] == '%' || q[1] == '#'))
			return q;
	return l->end;
}

/* Text up to the tag at q: stripped as the tag's mark, or lstrip_blocks, asks for. */
static void lex_text(struct lexer *l, const char *q)
{
	const char *to = q;
	char mark = q + 2 < l->end ? q[2] : 0;
	if (q < l->end && mark == '-') {
		for (size_t n; to > l->p && (n = space_before(l->p, to));)
			to -= n;
	} else if (q < l->end && q[1] != '{' && mark != '+') {
		const char *s = to;
		for (size_t n; s > l->p && s[-1] != '\n' && (n = space_before(l->p, s));)
			s -= n;
		if (s > l->p ? s[-1] == '\n' : l->line_starting)
			to = s;
	}
	if (to > l->p)
		emit(l, T_TEXT)->value = v_bytes(l->j, l->p, (size_t)(to - l->p), false);
	advance(l, q);
}

/* Behind a tag: "-" takes all white space, trim_blocks one line end. */
static void end_tag(struct lexer *l, bool strip, bool trim)
{
	const char *from = l->p, *q = l->p;
	if (strip)
		for (size_t n; (n = space_at(q, l->end));)
			q += n;
	else if (trim && q < l->end && *q == '\n')
		q++;
	advance(l, q);
	l->line_starting = q > from && q[-1] == '\n';
}

static void lex_string(struct lexer *l)
{
	char quote = *l->p++;
	struct sbuf b = {0};
	while (l->p < l->end && *l->p != quote) {
		char c = *l->p++;
		l->line += c == '\n';
		if (c == '\\' && l->p < l->end) {
			static const char from[] = "nrtabfv\\'\"", to[] = "\n\r\t\a\b\f\v\\'\"";
			char d = *l->p++, utf[4];
			const char *at = d ? strchr(from, d) : NULL;
			unsigned width = d == 'x' ? 2 : d == 'u' ? 4 : d == 'U' ? 8 : 0;
			if (width && (size_t)(l->end - l->p) >= width) {
				char hex[9] = {0};
				memcpy(hex, l->p, width);
				l->p += width;
				sbuf_add(l->j, &b, utf, NULL, utf8_encode((uint32_t)strtoul(hex, NULL, 16), utf), false);
			} else if (d >= '0' && d <= '7') {
				unsigned octal = (unsigned)(d - '0');
				for (int i = 0; i < 2 && l->p < l->end && *l->p >= '0' && *l->p <= '7'; i++)
					octal = octal * 8 + (unsigned)(*l->p++ - '0');
				sbuf_add(l->j, &b, utf, NULL, utf8_encode(octal, utf), false);
			} else if (at) {
				sbuf_add(l->j, &b, &to[at - from], NULL, 1, false);
			} else if (d != '\n') {
				sbuf_add(l->j, &b, &c, NULL, 1, false);
				sbuf_add(l->j, &b, &d, NULL, 1, false);
			}
			continue;
		}
		sbuf_add(l->j, &b, &c, NULL, 1, false);
	}
	if (l->p == l->end)
		jinja_fail(l->j, ERR_FORMAT, "a string does not end");
	l->p++;
	emit(l, T_STRING)->value = sbuf_value(l->j, &b);
}

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

static size_t digits(const char *s, const char *end, int base)
{
	size_t n = 0;
	while (s + n < end) {
		int c = s[n] | 32, d = c >= 'a' && c <= 'f' ? c - 'a' + 10 : s[n] >= '0' && s[n] <= '9' ? s[n] - '0' : 99;
		bool joined = s[n] == '_' && n && s[n - 1] != '_' && s + n + 1 < end && s[n + 1] != '_';
		if (d >= base && !joined)
			break;
		n++;
	}
	while (n && s[n - 1] == '_')
		n--;
	return n;
}

/* 0x1F 0o17 0b11, 1_000, 1.5e-3. Behind a dot ("a.0.1") no fraction. */
static void lex_number(struct lexer *l, bool behind_dot)
{
	const char *s = l->p, *end = l->end;
	int kind = s + 2 < end && *s == '0' ? s[1] | 32 : 0, base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 10;
	if (base != 10) {
		const char *from = s + 2 + (s[2] == '_');
		size_t n = digits(from, end, base);
		if (n) {
			l->p = from + n;
			emit(l, T_INT)->value = number_parse(l->j, from, n, base);
			return;
		}
	}
	size_t n = digits(s, end, 10), k, e;
	bool real = false;
	if (!behind_dot && s + n + 1 < end && s[n] == '.' && (k = digits(s + n + 1, end, 10))) {
		n += 1 + k;
		real = true;
	}
	e = n + 1 + (s + n + 1 < end && (s[n + 1] == '+' || s[n + 1] == '-'));
	if (!behind_dot && s + n < end && (s[n] | 32) == 'e' && s + e < end && (k = digits(s + e, end, 10))) {
		n = e + k;
		real = true;
	}
	l->p = s + n;
	if (!real) { /* a 0 in front stands alone: 007 is three numbers, and no expression */
		if (*s == '0' && strspn(s, "0_") < n)
			jinja_fail(l->j, ERR_FORMAT, "a number begins with 0");
		emit(l, T_INT)->value = number_parse(l->j, s, n, 10);
		return;
	}
	char *text = jinja_alloc(l->j, n + 1);
	for (size_t i = 0, o = 0; i < n; i++)
		if (s[i] != '_')
			text[o++] = s[i];
	emit(l, T_FLOAT)->value = v_float(strtod(text, NULL));
}

static void lex_operator(struct lexer *l)
{
	static const struct {
		char s[3];
		enum token_kind kind;
	} ops[] = {{"==", T_EQ}, {"!=", T_NE}, {"<=", T_LE}, {">=", T_GE}, {"//", T_FLOORDIV}, {"**", T_POW},
		{"+", T_ADD}, {"-", T_SUB}, {"*", T_MUL}, {"/", T_DIV}, {"%", T_MOD}, {"~", T_TILDE},
		{"<", T_LT}, {">", T_GT}, {"=", T_ASSIGN}, {"|", T_PIPE}, {".", T_DOT}, {",", T_COMMA},
		{":", T_COLON}, {"(", T_LPAREN}, {")", T_RPAREN}, {"[", T_LBRACKET}, {"]", T_RBRACKET},
		{"{", T_LBRACE}, {"}", T_RBRACE}};
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		size_t n = strlen(ops[i].s);
		if ((size_t)(l->end - l->p) >= n && !memcmp(l->p, ops[i].s, n)) {
			l->p += n;
			emit(l, ops[i].kind);
			return;
		}
	}
	jinja_fail(l->j, ERR_FORMAT, "unexpected character '%c'", *l->p);
}

#define NESTING 200

static void balance(struct lexer *l, char *open, int *n, char c)
{
	const char *at = c ? strchr("([{", c) : NULL;
	if (at) {
		if (*n == NESTING)
			jinja_fail(l->j, ERR_LIMIT, "brackets are nested too deeply");
		open[(*n)++] = c == '(' ? ')' : c == '[' ? ']' : '}';
	} else if (c && strchr(")]}", c) && (*n == 0 || open[--*n] != c)) {
		jinja_fail(l->j, ERR_FORMAT, "unexpected '%c'", c);
	}
}

/* The inside of {{ }} or {% %}. */
static void lex_tag(struct lexer *l, char close, enum token_kind begin, enum token_kind end)
{
	const char *start = l->p;
	emit(l, begin);
	l->p += 2;
	if (l->p < l->end && (*l->p == '-' || *l->p == '+'))
		l->p++;
	char brackets[NESTING];
	int nesting = 0;
	while (true) {
		for (size_t n; (n = space_at(l->p, l->end));)
			advance(l, l->p + n);
		l->j->line = l->line;
		if (l->p >= l->end)
			jinja_fail(l->j, ERR_FORMAT, "a tag does not end");
		const char *q = l->p + (*l->p == '-' || (*l->p == '+' && close == '%'));
		bool ends = q + 1 < l->end && q[0] == close && q[1] == '}' && nesting == 0;
		if (ends) {
			bool strip = *l->p == '-', keep = *l->p == '+';
			l->p = q + 2;
			emit(l, end);
			end_tag(l, strip, !keep && close == '%');
			return;
		}
		char c = *l->p;
		balance(l, brackets, &nesting, c);
		if (c == '\'' || c == '"') {
			lex_string(l);
		} else if (c >= '0' && c <= '9') {
			lex_number(l, l->p > start && l->p[-1] == '.');
		} else if (name_char(c)) {
			const char *s = l->p;
			while (l->p < l->end && name_char(*l->p))
				l->p++;
			char *name = jinja_alloc(l->j, (size_t)(l->p - s) + 1);
			memcpy(name, s, (size_t)(l->p - s));
			emit(l, T_NAME)->name = name;
		} else {
			lex_operator(l);
		}
	}
}

static void lex_comment(struct lexer *l)
{
	const char *q = memmem(l->p, (size_t)(l->end - l->p), "#}", 2);
	if (!q)
		jinja_fail(l->j, ERR_FORMAT, "a comment does not end");
	bool strip = q > l->p + 2 && q[-1] == '-', keep = q > l->p + 2 && q[-1] == '+';
	advance(l, q + 2);
	end_tag(l, strip, !keep);
}

static const char *skip_spaces(const struct lexer *l, const char *q)
{
	for (size_t n; (n = space_at(q, l->end));)
		q += n;
	return q;
}

/* "{% word %}" at q, with marks: the byte behind it, or NULL. *mark is that of its end. */
static const char *bare_tag(const struct lexer *l, const char *q, const char *word, char *mark)
{
	size_t n = strlen(word);
	if ((size_t)(l->end - q) < n + 4 || q[0] != '{' || q[1] != '%')
		return NULL;
	q += 2;
	q = skip_spaces(l, q + (*q == '-' || *q == '+'));
	if ((size_t)(l->end - q) < n + 2 || memcmp(q, word, n))
		return NULL;
	q = skip_spaces(l, q + n);
	*mark = q < l->end && (*q == '-' || *q == '+') ? *q++ : 0;
	return l->end - q >= 2 && q[0] == '%' && q[1] == '}' ? q + 2 : NULL;
}

/* {% raw %} ... {% endraw %}, where q is its first tag's end. */
static void lex_raw(struct lexer *l, const char *q, char mark)
{
	char end_mark;
	const char *close, *after = NULL;
	advance(l, q);
	end_tag(l, mark == '-', false);
	if (l->p == l->end)
		return;
	for (close = l->p; close < l->end && !(after = bare_tag(l, close, "endraw", &end_mark));)
		close++;
	if (!after)
		jinja_fail(l->j, ERR_FORMAT, "{%% raw %%} does not end");
	lex_text(l, close);
	advance(l, after);
	end_tag(l, end_mark == '-', end_mark != '+');
}

/* Jinja counts every kind of line end as \n, and drops one at the end of the template. */
static char *normalize(struct jinja *j, const char *src, size_t *len)
{
	char *out = jinja_alloc(j, *len + 1);
	size_t n = 0;
	for (size_t i = 0; i < *len; i++) {
		if (src[i] == '\r') {
			out[n++] = '\n';
			i += i + 1 < *len && src[i + 1] == '\n';
		} else {
			out[n++] = src[i];
		}
	}
	if (n && out[n - 1] == '\n')
		n--;
	*len = n;
	return out;
}

struct token *jinja_lex(struct jinja *j, const char *src, size_t len)
{
	const char *text = normalize(j, src, &len);
	struct lexer l = {.j = j, .p = text, .end = text + len, .line = 1, .line_starting = true};
	while (l.p < l.end) {
		const char *q = find_tag(&l);
		lex_text(&l, q);
		j->line = l.line;
		if (q == l.end)
			break;
		char mark;
		const char *raw = bare_tag(&l, q, "raw", &mark);
		if (raw && mark != '+')
			lex_raw(&l, raw, mark);
		else if (q[1] == '#')
			lex_comment(&l);
		else if (q[1] == '{')
			lex_tag(&l, '}', T_VAR_BEGIN, T_VAR_END);
		else
			lex_tag(&l, '%', T_BLOCK_BEGIN, T_BLOCK_END);
	}
	emit(&l, T_END);
	return l.out;
}
