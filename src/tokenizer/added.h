/* Added tokens: cut out of the text before anything else sees it, some before the normalizers and
 * some after. Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_ADDED_H
#define AIRLCHAT_TOKENIZER_ADDED_H

#include "base/err.h"
#include "tokenizer/vocab.h"

struct added {
	uint32_t id;
	char *content; /* as the file has it */
	size_t len;
	char *normal; /* what is looked for in normalized text; NULL: content */
	size_t normal_len;
	bool special, lstrip, rstrip, single_word, normalized;
};

/* The tokens of one pass, sorted by what is looked for, and a table of first bytes. */
struct added_set {
	uint32_t *sorted; /* [n] into added_list.p */
	size_t n;
	bool first[256];
};

struct added_list {
	struct added *p;
	size_t n, cap;
	struct added_set raw, normal;
};

void added_clear(struct added_list *l);
int added_add(struct added_list *l, const struct added *a, struct err *e); /* content is copied */
/* Of tokens with one content keep the last. */
int added_unique(struct added_list *l, struct err *e);
int added_index(struct added_list *l, struct err *e);

/* A stretch of text: an added token, or text between two. */
struct added_hit {
	size_t start, end;
	const struct added *token; /* NULL: text */
};

/* Walk text[0..len): start with a zeroed walk. False at the end. `user` (or NULL): for each byte,
 * whether a user wrote it; special tokens don't match there. */
struct added_walk {
	size_t pos, done, space_end;
	struct added_hit next;
	bool has_next;
};

bool added_next(const struct added_list *l, const struct added_set *set, const char *text,
	size_t len, const char *user, struct added_walk *w, struct added_hit *out);

#endif
