/* Template text to tokens, with trim_blocks, lstrip_blocks and the "-" and "+" marks. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "chat/jinja.h"

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

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
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
		while (to > l->p && is_space(to[-1]))
			to--;
	} else if (q < l->end && q[1] != '{' && mark != '+') {
		const char *s = to;
		while (s > l->p && s[-1] != '\n' && is_space(s[-1]))
			s--;
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
		while (q < l->end && is_space(*q))
			q++;
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
			static const char from[] = "nrtabfv0\\'\"", to[] = "\n\r\t\a\b\f\v\0\\'\"";
			char d = *l->p++;
			const char *at = d ? strchr(from, d) : NULL;
			unsigned width = d == 'x' ? 2 : d == 'u' ? 4 : d == 'U' ? 8 : 0;
			if (width && (size_t)(l->end - l->p) >= width) {
				char hex[9] = {0}, utf[4];
				memcpy(hex, l->p, width);
				l->p += width;
				sbuf_add(l->j, &b, utf, NULL, utf8_encode((uint32_t)strtoul(hex, NULL, 16), utf), false);
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

static void lex_number(struct lexer *l)
{
	char text[64];
	size_t n = 0;
	bool real = false;
	const char *s = l->p;
	while (l->p < l->end && n + 1 < sizeof(text)) {
		char c = *l->p;
		bool digit_next = l->p + 1 < l->end && l->p[1] >= '0' && l->p[1] <= '9';
		if (c == '.' && !real && digit_next)
			real = true;
		else if ((c == 'e' || c == 'E') && l->p > s)
			real = true;
		else if ((c == '+' || c == '-') && !(l->p > s && (l->p[-1] == 'e' || l->p[-1] == 'E')))
			break;
		else if (c != '+' && c != '-' && c != '_' && !(c >= '0' && c <= '9'))
			break;
		if (c != '_')
			text[n++] = c;
		l->p++;
	}
	text[n] = '\0';
	emit(l, real ? T_FLOAT : T_INT)->value =
		real ? v_float(strtod(text, NULL)) : v_int(strtoll(text, NULL, 10));
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

/* The inside of {{ }} or {% %}. */
static void lex_tag(struct lexer *l, char close, enum token_kind begin, enum token_kind end)
{
	emit(l, begin);
	l->p += 2;
	if (l->p < l->end && (*l->p == '-' || *l->p == '+'))
		l->p++;
	int nesting = 0;
	while (true) {
		while (l->p < l->end && is_space(*l->p)) {
			l->line += *l->p == '\n';
			l->p++;
		}
		l->j->line = l->line;
		if (l->p >= l->end)
			jinja_fail(l->j, ERR_FORMAT, "a tag does not end");
		const char *q = l->p + (*l->p == '-' || *l->p == '+');
		bool ends = q + 1 < l->end && q[0] == close && q[1] == '}' && (close != '}' || nesting == 0);
		if (ends) {
			bool strip = *l->p == '-', keep = *l->p == '+';
			l->p = q + 2;
			emit(l, end);
			end_tag(l, strip, !keep && close == '%');
			return;
		}
		char c = *l->p;
		nesting += (c == '{') - (c == '}');
		if (c == '\'' || c == '"') {
			lex_string(l);
		} else if (c >= '0' && c <= '9') {
			lex_number(l);
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
		if (q[1] == '#')
			lex_comment(&l);
		else if (q[1] == '{')
			lex_tag(&l, '}', T_VAR_BEGIN, T_VAR_END);
		else
			lex_tag(&l, '%', T_BLOCK_BEGIN, T_BLOCK_END);
	}
	emit(&l, T_END);
	return l.out;
}
