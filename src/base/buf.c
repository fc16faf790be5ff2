#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_MAX ((size_t)1 << 30)

void buf_clear(struct buf *b)
{
	free(b->p);
	*b = (struct buf)BUF_INIT;
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->p)
		b->p[0] = '\0';
}

bool buf_reserve(struct buf *b, size_t more)
{
	if (b->failed)
		return false;
	if (b->p && more < b->cap - b->len)
		return true;
	if (more > BUF_MAX - b->len - 1) {
		b->failed = true;
		return false;
	}
	size_t need = b->len + more + 1, cap = b->cap ? b->cap : 64;
	while (cap < need)
		cap += cap / 2 + 64;
	char *p = realloc(b->p, cap);
	if (!p) {
		b->failed = true;
		return false;
	}
	b->p = p;
	b->cap = cap;
	return true;
}

void buf_add(struct buf *b, const void *p, size_t len)
{
	if (!buf_reserve(b, len))
		return;
	if (len)
		memcpy(b->p + b->len, p, len);
	b->len += len;
	b->p[b->len] = '\0';
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_puts(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		b->failed = true;
	else if (buf_reserve(b, (size_t)n)) {
		vsnprintf(b->p + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void buf_cut(struct buf *b, size_t len)
{
	if (len < b->len) {
		b->len = len;
		b->p[len] = '\0';
	}
}

void buf_drop(struct buf *b, size_t n)
{
	if (!n)
		return;
	if (n > b->len)
		n = b->len;
	memmove(b->p, b->p + n, b->len - n);
	b->len -= n;
	b->p[b->len] = '\0';
}

int buf_ok(const struct buf *b, struct err *e)
{
	return b->failed ? err_nomem(e) : 0;
}

const char *buf_str(const struct buf *b)
{
	return b->p ? b->p : "";
}

char *buf_take(struct buf *b)
{
	if (!b->p)
		buf_puts(b, "");
	char *p = b->failed ? NULL : b->p;
	if (b->failed)
		free(b->p);
	*b = (struct buf)BUF_INIT;
	return p;
}
