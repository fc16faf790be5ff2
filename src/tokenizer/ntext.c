#include "tokenizer/ntext.h"

#include <string.h>

#include "base/utf8.h"

void ntext_clear(struct ntext *t)
{
	buf_clear(&t->s);
	buf_clear(&t->user);
	*t = (struct ntext){0};
}

void ntext_begin(struct ntext *to, const struct ntext *from)
{
	buf_reset(&to->s);
	buf_reset(&to->user);
	to->track = from->track;
	to->zero = 0;
}

void ntext_swap(struct ntext *a, struct ntext *b)
{
	struct ntext c = *a;
	*a = *b;
	*b = c;
}

void ntext_copy(struct ntext *out, const struct ntext *in, size_t from, size_t to)
{
	if (from >= to)
		return;
	if (from < in->zero)
		out->zero = out->s.len + ((to < in->zero ? to : in->zero) - from);
	buf_add(&out->s, in->s.p + from, to - from);
	if (in->track)
		buf_add(&out->user, in->user.p + from, to - from);
}

void ntext_put(
	struct ntext *out, const struct ntext *in, size_t from, size_t to, const char *p, size_t n)
{
	buf_add(&out->s, p, n);
	if (from < in->zero)
		out->zero = out->s.len;
	if (!in->track)
		return;
	char any = 0;
	for (size_t i = from; i < to && i < in->user.len; i++)
		any |= in->user.p[i];
	if (buf_reserve(&out->user, n)) {
		memset(out->user.p + out->user.len, any, n);
		out->user.len += n;
	}
}

void ntext_put_char(struct ntext *out, const struct ntext *in, size_t from, size_t to, uint32_t cp)
{
	char c[4];
	ntext_put(out, in, from, to, c, utf8_encode(cp, c));
}
