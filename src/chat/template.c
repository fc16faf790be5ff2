/* Templates from the outside: compile, render, and what came from whom. */
#include "chat/template.h"

#include <stdlib.h>
#include <string.h>

#include "chat/jinja_run.h"

#define ARENA ((size_t)256 << 20)

struct template {
	struct arena arena;
	struct node *body;
	char *src; /* a copy */
	struct template *tools; /* used instead when tools are given; NULL: none */
	char *tools_error;	/* why it can't be */
};

int template_new(struct template **out, const char *src, size_t len, struct err *e)
{
	*out = NULL;
	struct template *t = calloc(1, sizeof(*t));
	struct jinja *j = calloc(1, sizeof(*j));
	if (!t || !j || !(t->src = strndup(src, len))) {
		free(t);
		free(j);
		return err_nomem(e);
	}
	j->e = e;
	j->arena.limit = ARENA;
	int failed = setjmp(j->fail);
	if (!failed)
		t->body = jinja_parse(j, jinja_lex(j, src, len));
	t->arena = j->arena;
	free(j);
	if (failed) {
		template_free(t);
		return -1;
	}
	*out = t;
	return 0;
}

void template_free(struct template *t)
{
	if (!t)
		return;
	arena_clear(&t->arena);
	template_free(t->tools);
	free(t->tools_error);
	free(t->src);
	free(t);
}

int template_add_tools(struct template *t, const char *src, size_t len, struct err *e)
{
	struct err why = ERR_INIT;
	if (template_new(&t->tools, src, len, &why) == 0)
		return 0;
	t->tools_error = strdup(why.msg);
	return t->tools_error ? 0 : err_nomem(e);
}

static bool word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool template_mentions(const struct template *t, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = t->src; n && (p = strstr(p, name)); p++)
		if ((p == t->src || !word_char(p[-1])) && !word_char(p[n]))
			return true;
	return false;
}

bool template_contains(const struct template *t, const char *text)
{
	return strstr(t->src, text) != NULL;
}

/* One JSON text of the input; r is the caller's, so that a failure in between leaks nothing. */
static struct value parse_json(struct jinja *j, struct json_reader *r, const char *text, size_t len,
	const char *what, bool user)
{
	json_reader_clear(r);
	json_reader_init(r, text, len, what, j->e);
	struct value v = json_value(j, r, user);
	if (json_end(r) < 0)
		longjmp(j->fail, 1);
	return v;
}

static void fill(struct eval *ev, const struct template_input *in, struct json_reader *r)
{
	struct jinja *j = ev->j;
	set_var(ev, "messages", parse_json(j, r, in->messages_json, in->messages_len, "messages", true));
	set_var(ev, "add_generation_prompt", v_bool(in->add_generation_prompt));
	set_var(ev, "tools", in->tools_json ? parse_json(j, r, in->tools_json, strlen(in->tools_json), "tools", false)
					   : v_none());
	set_var(ev, "documents", v_none());
	if (in->bos_token)
		set_var(ev, "bos_token", v_literal(j, in->bos_token));
	if (in->eos_token)
		set_var(ev, "eos_token", v_literal(j, in->eos_token));
	static const char *const roles[] = {"unk_token", "pad_token", "sep_token", "cls_token"};
	for (size_t i = 0; in->tokenizer && i < sizeof(roles) / sizeof(*roles); i++) {
		const char *s = tokenizer_role_token(in->tokenizer, roles[i]);
		if (s)
			set_var(ev, roles[i], v_literal(j, s));
	}
	if (!in->kwargs_json)
		return;
	struct value kw = parse_json(j, r, in->kwargs_json, strlen(in->kwargs_json), "template variables", false);
	for (size_t i = 0; kw.type == V_DICT && i < kw.dict->n; i++)
		set_var(ev, v_name(j, &kw.dict->p[i].key), kw.dict->p[i].value);
}

static int render(const struct template *t, const struct template_input *in, struct text *out, struct err *e)
{
	struct jinja *j = calloc(1, sizeof(*j));
	struct json_reader *r = calloc(1, sizeof(*r));
	*out = (struct text){0};
	if (!j || !r) {
		free(j);
		free(r);
		return err_nomem(e);
	}
	j->e = e;
	j->arena.limit = ARENA;
	int failed = setjmp(j->fail);
	if (!failed) {
		struct sbuf text = {0};
		struct frame top = {0}; /* lives as long as everything that points to it */
		struct eval ev = {.j = j, .frame = &top, .top = &top, .out = &text, .now = in->now};
		fill(&ev, in, r);
		run(&ev, t->body);
		buf_add(&out->bytes, text.p, text.len);
		buf_add(&out->user, text.m, text.len);
	}
	json_reader_clear(r);
	arena_clear(&j->arena);
	free(j);
	free(r);
	if (failed || buf_ok(&out->bytes, e) < 0 || buf_ok(&out->user, e) < 0) {
		text_clear(out);
		return -1;
	}
	return 0;
}

int template_render(const struct template *t, const struct template_input *in, struct text *out,
	struct err *e)
{
	if (in->tools_json && t->tools_error) {
		*out = (struct text){0};
		return err_set(e, ERR_FORMAT, "the template for tools: %s", t->tools_error);
	}
	return render(in->tools_json && t->tools ? t->tools : t, in, out, e);
}

void text_clear(struct text *t)
{
	buf_clear(&t->bytes);
	buf_clear(&t->user);
}

int text_spans(const struct text *t, struct tok_span **spans, size_t *n, struct err *e)
{
	size_t len = t->bytes.len, runs = 0;
	for (size_t i = 0; i < len; i++)
		runs += i == 0 || t->user.p[i] != t->user.p[i - 1];
	*spans = calloc(runs + 1, sizeof(**spans));
	*n = 0;
	if (!*spans)
		return err_nomem(e);
	for (size_t i = 0; i < len; i++) {
		if (i == 0 || t->user.p[i] != t->user.p[i - 1])
			(*spans)[(*n)++] = (struct tok_span){t->bytes.p + i, 0, t->user.p[i] != 0};
		(*spans)[*n - 1].len++;
	}
	return 0;
}
