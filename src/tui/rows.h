/* Text laid out for one width: rows of styled spans. And the breaking of text into them. */
#ifndef AIRLCHAT_TUI_ROWS_H
#define AIRLCHAT_TUI_ROWS_H

#include "base/buf.h"
#include "tui/grid.h"

struct span {
	uint32_t at, len; /* in the text */
	style_t style;
};

struct row {
	uint32_t first, n; /* spans */
	uint32_t decor;	   /* how many of them, at the left, are not text: indents, bullets, marks */
	bool soft;	   /* goes on in the next row: broken by the width, at a space or inside a word */
	bool space;	   /* a space was left out at that break */
	style_t fill;	   /* of the columns behind the text */
};

struct rows {
	struct buf text;
	struct span *spans;
	struct row *rows;
	size_t n_spans, cap_spans, n, cap;
	bool failed; /* out of memory: rows are missing */
};

void rows_clear(struct rows *r); /* frees */
void rows_cut(struct rows *r, size_t n); /* keep the first n rows */
void rows_begin(struct rows *r);	 /* an empty row; spans are added to the last row */
void rows_add(struct rows *r, style_t st, const char *s, size_t len);
void rows_decor(struct rows *r); /* what the row holds by now is decoration */
void rows_draw(const struct rows *r, size_t row, struct grid *g, int x, int y, int w);
int rows_width(const struct rows *r, size_t row);
/* The text of a row without its decoration, added to out. */
void rows_text(const struct rows *r, size_t row, struct buf *out);

/* A paragraph before it is broken: styled text in which '\n' is a line break. */
struct para {
	struct buf text;
	struct span *spans; /* that cover the text, in order */
	size_t n, cap;
	bool failed;
};

void para_clear(struct para *p);
void para_reset(struct para *p);
void para_cut(struct para *p, size_t len); /* keep the first len bytes */
void para_add(struct para *p, style_t st, const char *s, size_t len);
/* Columns of its longest line, and of its longest word. */
void para_measure(const struct para *p, int *line, int *word);

/* What stands left of a paragraph's first row and of its others. */
struct indent {
	const struct para *first, *rest; /* one line each; NULL: nothing */
};

/* Break p into rows of `width` columns, indents included. code: break anywhere, keep spaces. */
void rows_wrap(struct rows *out, const struct para *p, int width, const struct indent *in, bool code,
	style_t fill);

#endif
