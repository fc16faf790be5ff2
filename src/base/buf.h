/* A growing byte buffer. p is always NUL-terminated behind len once anything was added.
 * Running out of memory (or past 1 GiB) sets `failed`, after which additions do nothing: check once
 * at the end with buf_ok. */
#ifndef AIRLCHAT_BASE_BUF_H
#define AIRLCHAT_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf {
	char *p; /* owned; NULL when nothing was ever added */
	size_t len, cap;
	bool failed;
};

#define BUF_INIT {NULL, 0, 0, false}

void buf_clear(struct buf *b); /* free everything; b is empty and usable again */
void buf_reset(struct buf *b); /* len = 0, memory kept */
bool buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *p, size_t len);
void buf_addc(struct buf *b, char c);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_cut(struct buf *b, size_t len);   /* shorten to len */
void buf_drop(struct buf *b, size_t n);	   /* remove the first n bytes */
int buf_ok(const struct buf *b, struct err *e); /* 0, or -1 and "out of memory" */
const char *buf_str(const struct buf *b);  /* p, or "" when empty */
char *buf_take(struct buf *b);		   /* hand p to the caller (free()); NULL on failure */

#endif
