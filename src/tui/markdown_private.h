#ifndef AIRLCHAT_TUI_MARKDOWN_PRIVATE_H
#define AIRLCHAT_TUI_MARKDOWN_PRIVATE_H

#include <cmark-gfm.h>

#include "tui/markdown.h"

struct md {
	struct rows *out;
	const struct glyphs *k;
	int width;
	struct para first, rest; /* what stands left of the next row, and of those after it */
	struct para p;		 /* the paragraph at work */
	unsigned codes;
};

/* The inlines under node as styled text, added to p. */
void md_inlines(struct md *m, cmark_node *node, struct para *p, style_t base);
void md_table(struct md *m, cmark_node *table);
int md_columns(const struct md *m); /* left beside the indent */

#endif
