/* The line being typed: readline does the editing, we read and draw. One at a time. */
#ifndef AIRLCHAT_TUI_INPUT_H
#define AIRLCHAT_TUI_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "tui/grid.h"

struct input_callbacks {
	void (*line)(void *user, char *line); /* Enter; NULL: Ctrl-D on an empty line */
	/* Words that can stand where the word text[0..len) stands, which begins at `start` of `line`: add
	 * them by input_offer. */
	void (*complete)(void *user, const char *line, int start, const char *text);
	/* Where a file name begins that takes all the rest of the line, spaces too; -1: there is none. */
	int (*file_argument)(void *user, const char *line);
	/* Several words are possible: show them; text begins at `start` of the line. */
	void (*choices)(void *user, char **words, size_t n, int start);
	void *user;
};

/* history: a file that is read now and appended to, 0600; NULL: none. */
void input_open(const struct input_callbacks *cb, const char *history);
void input_close(void);
/* One key's bytes, whole. */
void input_key(const char *s, size_t len);
void input_insert(const char *s, size_t len); /* a paste or a newline, as text */
void input_set(const char *s, size_t len);    /* replace the line */
void input_discard(void);
void input_remember(const char *line); /* add to the history */
void input_offer(const char *word);    /* within complete() */
void input_replace_word(int start, const char *word); /* from start to the cursor */
bool input_empty(void);
const char *input_text(void);
bool input_searching(void); /* Ctrl-R: it takes every key */
bool input_vi(void);

/* The line as it is drawn; borrowed until the next call of anything else here. */
struct input_line {
	const char *prompt, *text;
	int len, point; /* bytes of text; the cursor is in front of text[point] */
};

/* prompt: ours; readline's own come before it (Ctrl-R, numeric arguments). */
struct input_line input_line(const char *prompt);
/* Rows that it needs at this width. */
int input_rows(const struct input_line *l, int width);
/* Draw at row y the `rows` rows around the cursor; where the cursor is goes to *cx, *cy. */
void input_draw(const struct input_line *l, struct grid *g, int y, int rows, int *cx, int *cy);

#endif
