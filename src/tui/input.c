#include "tui/input.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/history.h>
#include <readline/readline.h>
#include <readline/tilde.h>

#include "base/file.h"
#include "base/utf8.h"

#define PROMPT "> "
#define HISTORY_LINES 2000
#define LINE_LIMIT (16 << 20) /* readline counts in int */

static struct buf queue = BUF_INIT;
static FILE *nowhere;
static struct input_callbacks cb;
static char *history_file;

/* --- readline's side --- */

static int pop(FILE *f)
{
	(void)f;
	if (!queue.len)
		return EOF;
	int c = (unsigned char)queue.p[0];
	buf_drop(&queue, 1);
	return c;
}

static int available(void)
{
	return queue.len != 0;
}

static void prep(int meta)
{
	(void)meta;
}

static void nothing(void)
{
}

static bool in_line;   /* readline empties its line when got_line has returned */
static struct buf next; /* what input_set asked for meanwhile */

static void got_line(char *line)
{
	in_line = true;
	cb.line(cb.user, line);
	in_line = false;
	free(line);
}

/* --- history: each line is appended at once, so that several programs may share the file --- */

static void open_history(const char *path)
{
	history_comment_char = '#'; /* with time stamps, entries of several lines stay together */
	history_write_timestamps = 1;
	if (!path)
		return;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return;
	close(fd);
	history_file = strdup(path);
	read_history(path);
	if (history_length > HISTORY_LINES + HISTORY_LINES / 4)
		history_truncate_file(path, HISTORY_LINES);
	stifle_history(HISTORY_LINES);
	using_history();
}

void input_remember(const char *line)
{
	HIST_ENTRY *last = history_length ? history_get(history_base + history_length - 1) : NULL;
	if (!*line || (last && !strcmp(last->line, line)))
		return;
	add_history(line);
	if (history_file)
		append_history(1, history_file);
	using_history();
}

/* --- completion --- */

static struct buf offers = BUF_INIT; /* words, each terminated */
static bool whole_line; /* the offers are lines, of which the word is the end */
static int word_start;

void input_offer(const char *word)
{
	buf_add(&offers, word, strlen(word) + 1);
}

static char *next_offer(const char *text, int state)
{
	static size_t at;
	if (!state)
		at = 0;
	while (at < offers.len) {
		const char *w = offers.p + at;
		at += strlen(w) + 1;
		if (!strncmp(w, text, strlen(text)))
			return strdup(w);
	}
	return NULL;
}

static bool is_folder(const char *typed)
{
	char *path = tilde_expand(typed);
	bool is = path && file_is_dir(path);
	free(path);
	return is;
}

/* File names may hold spaces: the word is all of the line from `start` on, and what readline replaces is
 * the whole line. */
static char **complete_file(const char *line, int start)
{
	char **m = rl_completion_matches(line + start, rl_filename_completion_function);
	bool single = m && !m[1];
	for (size_t i = 0; m && m[i]; i++) {
		struct buf b = BUF_INIT;
		buf_add(&b, line, (size_t)start);
		buf_puts(&b, m[i]);
		if ((i || single) && is_folder(m[i]))
			buf_addc(&b, '/');
		char *whole = buf_take(&b);
		if (!whole)
			break;
		free(m[i]);
		m[i] = whole;
	}
	rl_completion_suppress_append = 1;
	word_start = start;
	return m;
}

static char *break_at(void)
{
	static char everywhere[] = " \t\n", nowhere_[] = "";
	return cb.file_argument(cb.user, rl_line_buffer) > 0 ? nowhere_ : everywhere;
}

static char **complete(const char *text, int start, int end)
{
	(void)end;
	int file = start == 0 ? cb.file_argument(cb.user, text) : -1;
	rl_attempted_completion_over = 1;
	word_start = start;
	buf_reset(&offers);
	whole_line = file > 0;
	if (whole_line)
		return complete_file(text, file);
	cb.complete(cb.user, rl_line_buffer, start, text);
	return rl_completion_matches(text, next_offer);
}

static void list_matches(char **m, int n, int longest)
{
	(void)longest;
	char **words = n > 0 ? calloc((size_t)n, sizeof(*words)) : NULL;
	for (int i = 0; words && i < n; i++)
		words[i] = m[i + 1] + (whole_line ? word_start : 0);
	if (words)
		cb.choices(cb.user, words, (size_t)n, word_start);
	free(words);
}

void input_replace_word(int start, const char *word)
{
	rl_begin_undo_group();
	if (start <= rl_point)
		rl_delete_text(start, rl_point);
	rl_point = start;
	rl_insert_text(word);
	rl_end_undo_group();
}

/* --- our side --- */

void input_open(const struct input_callbacks *callbacks, const char *history)
{
	cb = *callbacks;
	rl_readline_name = "airlchat"; /* for $if in inputrc */
	rl_catch_signals = rl_catch_sigwinch = rl_change_environment = 0;
	rl_prep_term_function = prep;
	rl_deprep_term_function = nothing;
	nowhere = fopen("/dev/null", "we");
	rl_outstream = nowhere;
	rl_getc_function = pop;
	rl_input_available_hook = available;
	rl_redisplay_function = nothing;
	rl_attempted_completion_function = complete;
	rl_completion_display_matches_hook = list_matches;
	rl_completion_word_break_hook = break_at;
	rl_completion_query_items = -1;
	/* Defaults that an inputrc may change. */
	rl_variable_bind("show-all-if-ambiguous", "on");
	rl_variable_bind("enable-bracketed-paste", "off"); /* the screen does it */
	rl_variable_bind("bell-style", "none");
	rl_variable_bind("expand-tilde", "on");
	open_history(history);
	rl_callback_handler_install(PROMPT, got_line);
	rl_variable_bind("enable-bracketed-paste", "off");
	rl_bind_key(26, rl_insert); /* ^Z never gets here: the loop takes it */
}

void input_close(void)
{
	rl_callback_handler_remove();
	if (nowhere)
		fclose(nowhere);
	nowhere = NULL;
	rl_outstream = stdout;
	clear_history(); /* not rl_clear_history: it may free an undo list twice (8.2) */
	free(history_file);
	history_file = NULL;
	buf_clear(&queue);
	buf_clear(&offers);
	buf_clear(&next);
}

void input_key(const char *s, size_t len)
{
	if (rl_end > LINE_LIMIT)
		return;
	buf_add(&queue, s, len);
	while (queue.len)
		rl_callback_read_char();
	if (next.len)
		input_insert(buf_str(&next), next.len);
	buf_reset(&next);
}

void input_insert(const char *s, size_t len)
{
	struct buf b = BUF_INIT, nl = BUF_INIT;
	if (len > LINE_LIMIT || rl_end > LINE_LIMIT)
		return;
	for (size_t i = 0; i < len; i++) /* terminals send a paste's line ends as CR or CR LF */
		if (s[i] != '\n' || i == 0 || s[i - 1] != '\r')
			buf_addc(&nl, s[i] == '\r' ? '\n' : s[i]);
	utf8_append_printable(&b, buf_str(&nl), nl.len);
	rl_begin_undo_group();
	rl_insert_text(buf_str(&b));
	rl_end_undo_group();
	buf_clear(&b);
	buf_clear(&nl);
}

void input_set(const char *s, size_t len)
{
	if (in_line) {
		buf_reset(&next);
		buf_add(&next, s, len);
		return;
	}
	input_discard();
	input_insert(s, len);
}

void input_discard(void)
{
	if (input_searching())
		input_key("\x07", 1); /* ends the search */
	rl_begin_undo_group();
	rl_delete_text(0, rl_end);
	rl_point = 0;
	rl_mark = 0;
	rl_end_undo_group();
}

bool input_empty(void)
{
	return rl_end == 0;
}

const char *input_text(void)
{
	return rl_line_buffer ? rl_line_buffer : "";
}

struct input_line input_line(const char *prompt)
{
	const char *p = rl_display_prompt ? rl_display_prompt : PROMPT, *nl = strrchr(p, '\n');
	p = nl ? nl + 1 : p;
	return (struct input_line){strcmp(p, PROMPT) || !prompt ? p : prompt, input_text(),
		rl_line_buffer ? rl_end : 0, rl_line_buffer ? rl_point : 0};
}

bool input_searching(void)
{
	return RL_ISSTATE(RL_STATE_ISEARCH | RL_STATE_NSEARCH | RL_STATE_NUMERICARG | RL_STATE_VIMOTION |
		RL_STATE_MULTIKEY | RL_STATE_CHARSEARCH) != 0;
}

bool input_vi(void)
{
	return rl_editing_mode == 0;
}
