/* Markdown (CommonMark with GitHub's tables, strike-through and task lists) laid out in rows. */
#ifndef AIRLCHAT_TUI_MARKDOWN_H
#define AIRLCHAT_TUI_MARKDOWN_H

#include "tui/rows.h"

/* How far a text that still grows has been laid out for good: its first `bytes` bytes make the first
 * `rows` rows and hold `codes` code blocks. Zero: nothing yet. */
struct markdown_mark {
	size_t bytes, rows;
	unsigned codes;
};

/* Lay out text behind *mark, replacing the rows behind mark->rows; *mark moves to the last block that
 * may still change. The text must be printable UTF-8. first_code is the number of the first code block
 * of this text, by which /copy knows it; 0: not known yet. Returns how many code blocks there are in the text.
 * Links defined behind the mark are not seen in front of it: render once from zero when it is whole. */
unsigned markdown_render(struct rows *out, struct markdown_mark *mark, const char *text, size_t len,
	int width, const struct glyphs *k, unsigned first_code);

/* The code block number n (from 0) of the text, added to out; false if there are fewer. */
bool markdown_code(const char *text, size_t len, unsigned n, struct buf *out);

#endif
