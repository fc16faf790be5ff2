#include "tokenizer/postprocessor.h"

#include <string.h>

#include "tokenizer/vocab.h"

#define TEXTS 8 /* a template repeats the text at most so often */

void postprocessor_clear(struct postprocessor *p)
{
	while (p->n)
		ids_clear(&p->steps[--p->n]);
}

struct ids *postprocessor_add(struct postprocessor *p, struct err *e)
{
	if (p->n == POST_STEPS) {
		err_set(e, ERR_LIMIT, "more than %d post-processors", POST_STEPS);
		return NULL;
	}
	p->steps[p->n] = (struct ids){0};
	return &p->steps[p->n++];
}

int postprocessor_around(struct postprocessor *p, uint32_t before, uint32_t behind, struct err *e)
{
	if (before == NO_ID && behind == NO_ID)
		return 0;
	struct ids *t = postprocessor_add(p, e);
	if (!t || (before != NO_ID && ids_add(t, before, e) < 0) || ids_add(t, POST_TEXT, e) < 0 ||
		(behind != NO_ID && ids_add(t, behind, e) < 0))
		return -1;
	return 0;
}

static int apply(
	const struct ids *template, struct ids *ids, size_t from, bool special, struct err *e)
{
	struct ids out = {0};
	int texts = 0, rc = 0;
	for (size_t i = 0; rc == 0 && i < template->len; i++) {
		if (template->p[i] != POST_TEXT) {
			rc = special ? ids_add(&out, template->p[i], e) : 0;
			continue;
		}
		if (++texts > TEXTS)
			rc = err_set(e, ERR_LIMIT,
				"a template of the post-processor repeats the text too often");
		for (size_t k = from; rc == 0 && k < ids->len; k++)
			rc = ids_add(&out, ids->p[k], e);
	}
	ids->len = from;
	for (size_t k = 0; rc == 0 && k < out.len; k++)
		rc = ids_add(ids, out.p[k], e);
	ids_clear(&out);
	return rc;
}

int postprocessor_run(
	const struct postprocessor *p, struct ids *ids, size_t from, bool special, struct err *e)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct ids *t = &p->steps[i];
		bool plain = t->len == 1 && t->p[0] == POST_TEXT;
		if (!plain && apply(t, ids, from, special, e) < 0)
			return -1;
	}
	return 0;
}
