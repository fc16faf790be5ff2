/* The conversation: messages laid out once per width, scrolled by rows, searched. Only what is seen is laid
 * out at once; the rest follows piece by piece (convview_step), so that a long conversation opens as
 * quickly as a short one. What still grows is laid out again from its last block on. A view that was
 * scrolled stays where it is, whatever comes. */
#ifndef AIRLCHAT_TUI_CONVVIEW_H
#define AIRLCHAT_TUI_CONVVIEW_H

#include "base/buf.h"
#include "tui/grid.h"
#include "tui/markdown.h"

enum item_kind { ITEM_USER, ITEM_ANSWER, ITEM_NOTE, ITEM_ERROR };

struct item {
	enum item_kind kind;
	struct buf text, think; /* printable UTF-8; think: the reasoning of an answer */
	uint64_t think_tokens;
	double think_seconds; /* negative: unknown */
	bool growing;
	bool remark;	      /* a note about the answer above: it goes when that changes */
	struct rows rows, think_rows;
	struct markdown_mark mark, think_mark;
	int width;	     /* of the rows; 0: to be laid out; negative: its end is to be laid out again */
	bool folded;	     /* how think_rows were made */
	bool counted;	     /* codes is right */
	unsigned first_code, codes; /* number of the first code block (0: not known yet); how many */
	size_t guess;	     /* rows before it is laid out ... */
	int guess_width;     /* ... at this width */
};

struct conv_pos {
	size_t item, row; /* row counts from the item's first, its gap to the one above included */
};

struct found_count { /* of what is searched for */
	bool known;
	size_t n, bytes; /* items, and their text, when it was counted */
	size_t which, of;
};

struct convview {
	struct item *items;
	size_t n, cap;
	int fold; /* of reasoning: 0 folded when the answer begins, 1 always, -1 never */
	bool following;	     /* shows the end */
	struct conv_pos top; /* when not following */
	struct conv_pos seen; /* the end when the view was scrolled away: what is behind it is new */
	int seen_width;
	int width, height;   /* at the last drawing; 0: none yet */
	const struct glyphs *k;
	size_t done;	     /* so many items from the first on are laid out for good */
	unsigned done_codes; /* code blocks in them */
	struct buf query;    /* what is searched for; empty: nothing */
	size_t found_item, found_at;
	bool found;
	struct found_count count;
	struct buf flat; /* the running text of one item, kept for find.c */
	size_t flat_item, flat_len;
	int flat_width;
	size_t notes;	/* between restart and restarted: how many come first */
};

void convview_init(struct convview *c);
void convview_clear(struct convview *c); /* frees; empty and usable again */

/* Texts are made printable here. */
void convview_add(struct convview *c, enum item_kind kind, const char *s, size_t len);
void convview_note(struct convview *c, enum item_kind kind, const char *s);
void convview_remark(struct convview *c, const char *s); /* a note about the last answer */
void convview_begin(struct convview *c, bool extends); /* an answer; extends: the last one goes on */
void convview_grow(struct convview *c, bool think, const char *s, size_t len);
void convview_end(struct convview *c, uint64_t think_tokens, double think_seconds);
void convview_unsend(struct convview *c); /* the last message of the user and its empty answer go */
/* The messages go, the notes behind the last one stay: messages added after convview_restart come in
 * front of them at convview_restarted. */
void convview_restart(struct convview *c);
void convview_restarted(struct convview *c);

void convview_draw(struct convview *c, struct grid *g, struct rect r);
void convview_scroll(struct convview *c, int rows); /* negative: back in time */
void convview_home(struct convview *c);
void convview_follow(struct convview *c);
void convview_toggle_fold(struct convview *c);
void convview_fold_changed(struct convview *c); /* what is_folded goes by */
void convview_relayout(struct convview *c); /* the glyphs are others now */
/* Lay out one more item that was not seen yet; false when all are. */
bool convview_step(struct convview *c);

/* The text of answer number n from the end (0: the last); NULL if there is none. */
const struct buf *convview_answer(const struct convview *c, size_t n);
unsigned convview_codes(struct convview *c); /* code blocks in all answers */
/* The code block that is labelled `number`, added to out. */
bool convview_code(struct convview *c, unsigned number, struct buf *out);

/* --- find.c --- */

/* Search for `query` (empty: stop), from where the view is; case does not matter, nor where rows are
 * broken. Moves the view to the nearest place above, or below if there is none. */
bool convview_find(struct convview *c, const char *query, size_t len);
bool convview_find_next(struct convview *c, int direction); /* -1: further back in time */
void convview_find_count(struct convview *c, size_t *which, size_t *total);
void convview_mark_found(struct convview *c, size_t item, size_t row, struct grid *g, int x, int y);

/* --- inside --- */

size_t item_rows(struct convview *c, size_t item); /* laid out if it was not; with its gap above */
size_t item_guess(struct convview *c, size_t item); /* its rows, or about how many there will be */
void convview_show(struct convview *c, size_t item, size_t row); /* scroll so that it can be seen */
/* For convview_draw: what is at the top; the mark at the right; the word at the bottom. */
struct conv_pos convview_top(struct convview *c);
void convview_scroll_bar(struct convview *c, struct grid *g, struct rect r, struct conv_pos top);
void convview_below(struct convview *c, struct grid *g, struct rect r, struct conv_pos top);

#endif
