#include "chat/conversation.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *const finish_names[] = {"stop", "length", "cancelled", "error"};

const char *chat_finish_name(enum chat_finish f)
{
	return finish_names[f];
}

bool chat_finish_parse(const char *name, enum chat_finish *f)
{
	for (size_t i = 0; i < sizeof(finish_names) / sizeof(*finish_names); i++)
		if (!strcmp(finish_names[i], name)) {
			*f = (enum chat_finish)i;
			return true;
		}
	return false;
}

static void message_free(struct chat_message *m)
{
	free(m->role);
	free(m->text);
	free(m->reasoning);
	ids_clear(&m->ids);
	*m = (struct chat_message){0};
}

static char *copy_text(const char *p, size_t len)
{
	return p ? mem_text(p, len) : NULL;
}

int conversation_add(struct conversation *c, const char *role, const char *text, size_t len, struct err *e)
{
	if (mem_grow(&c->m, &c->cap, c->n + 1, sizeof(*c->m)) < 0)
		return err_nomem(e);
	struct chat_message m = {.role = strdup(role), .text = copy_text(text, len), .len = len, .seconds = -1};
	if (!m.role || !m.text) {
		message_free(&m);
		return err_nomem(e);
	}
	c->m[c->n++] = m;
	return 0;
}

int conversation_replace_text(struct chat_message *m, const char *text, size_t len, struct err *e)
{
	char *role = m->role, *copy = copy_text(text, len);
	if (!copy)
		return err_nomem(e);
	m->role = NULL;
	message_free(m);
	*m = (struct chat_message){.role = role, .text = copy, .len = len, .seconds = -1};
	return 0;
}

void conversation_remove(struct conversation *c, size_t from, size_t n)
{
	if (from > c->n)
		return;
	if (n > c->n - from)
		n = c->n - from;
	for (size_t i = 0; i < n; i++)
		message_free(&c->m[from + i]);
	if (n)
		memmove(c->m + from, c->m + from + n, (c->n - from - n) * sizeof(*c->m));
	c->n -= n;
}

void conversation_cut(struct conversation *c, size_t n)
{
	if (n < c->n)
		conversation_remove(c, n, c->n - n);
}

bool conversation_has_system(const struct conversation *c)
{
	return c->n && !strcmp(c->m[0].role, "system");
}

int conversation_set_system(struct conversation *c, const char *text, size_t len, struct err *e)
{
	if (len && conversation_has_system(c))
		return conversation_replace_text(&c->m[0], text, len, e);
	if (conversation_has_system(c))
		conversation_remove(c, 0, 1);
	if (len == 0)
		return 0;
	if (conversation_add(c, "system", text, len, e) < 0)
		return -1;
	struct chat_message m = c->m[c->n - 1];
	memmove(c->m + 1, c->m, (c->n - 1) * sizeof(m));
	c->m[0] = m;
	return 0;
}

size_t conversation_last(const struct conversation *c, const char *role)
{
	for (size_t i = c->n; i > 0; i--)
		if (!strcmp(c->m[i - 1].role, role))
			return i - 1;
	return c->n;
}

static int message_copy(struct chat_message *to, const struct chat_message *from)
{
	*to = *from;
	to->role = strdup(from->role);
	to->text = copy_text(from->text, from->len);
	to->reasoning = copy_text(from->reasoning, from->reasoning_len);
	to->ids = (struct ids){0};
	bool ok = to->role && to->text && !from->reasoning == !to->reasoning;
	if (ok && from->ids.len) {
		to->ids.p = mem_array(from->ids.len, sizeof(*to->ids.p));
		ok = to->ids.p != NULL;
		if (ok) {
			memcpy(to->ids.p, from->ids.p, from->ids.len * sizeof(*to->ids.p));
			to->ids.len = to->ids.cap = from->ids.len;
		}
	}
	if (!ok)
		message_free(to);
	return ok ? 0 : -1;
}

int conversation_copy(struct conversation *to, const struct conversation *from, struct err *e)
{
	*to = (struct conversation){0};
	if (from->n && !(to->m = mem_array(from->n, sizeof(*to->m))))
		return err_nomem(e);
	to->cap = from->n;
	for (; to->n < from->n; to->n++)
		if (message_copy(&to->m[to->n], &from->m[to->n]) < 0) {
			conversation_clear(to);
			return err_nomem(e);
		}
	return 0;
}

void conversation_clear(struct conversation *c)
{
	conversation_cut(c, 0);
	free(c->m);
	*c = (struct conversation){0};
}
