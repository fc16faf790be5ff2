#include "tui/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <readline/history.h>
#include <readline/readline.h>

#include "base/buf.h"
#include "base/utf8.h"

static struct buf queue = BUF_INIT;
static FILE *nowhere;
static void (*line_cb)(void *, char *);
static void *line_user;

static int pop(FILE *f)
{
	(void)f;
	if (!queue.len)
		return 0;
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

static void got_line(char *line)
{
	if (line && *line)
		add_history(line);
	line_cb(line_user, line);
	free(line);
}

static const char *const names[] = {"/help", "/quit", "/save", "/system", "/set", "/stats", "/clear", NULL};

static char *next_name(const char *text, int state)
{
	static int i;
	if (!state)
		i = 0;
	while (names[i])
		if (!strncmp(names[i++], text, strlen(text)))
			return strdup(names[i - 1]);
	return NULL;
}

static char **complete(const char *text, int start, int end)
{
	(void)end;
	rl_attempted_completion_over = 1;
	return start == 0 && *text == '/' ? rl_completion_matches(text, next_name) : NULL;
}

static void no_list(char **m, int n, int longest)
{
	(void)m, (void)n, (void)longest;
}

void input_open(void (*on_line)(void *user, char *line), void *user)
{
	line_cb = on_line;
	line_user = user;
	rl_catch_signals = rl_catch_sigwinch = rl_change_environment = 0;
	rl_prep_term_function = prep;
	rl_deprep_term_function = nothing;
	nowhere = fopen("/dev/null", "w");
	rl_outstream = nowhere;
	rl_getc_function = pop;
	rl_input_available_hook = available;
	rl_redisplay_function = nothing;
	rl_attempted_completion_function = complete;
	rl_completion_display_matches_hook = no_list;
	rl_completer_word_break_characters = " \t\n";
	rl_bind_key(26, rl_insert); /* ^Z never gets here: the loop takes it */
	rl_callback_handler_install("> ", got_line);
}

void input_close(void)
{
	rl_callback_handler_remove();
	if (nowhere)
		fclose(nowhere);
	nowhere = NULL;
	buf_clear(&queue);
}

void input_bytes(const char *s, size_t len)
{
	buf_add(&queue, s, len);
	while (queue.len)
		rl_callback_read_char();
}

void input_insert(const char *s, size_t len)
{
	struct buf b = BUF_INIT, nl = BUF_INIT;
	for (size_t i = 0; i < len; i++) /* terminals send a paste's line ends as CR or CR LF */
		if (s[i] != '\n' || i == 0 || s[i - 1] != '\r')
			buf_addc(&nl, s[i] == '\r' ? '\n' : s[i]);
	utf8_append_printable(&b, buf_str(&nl), nl.len);
	rl_insert_text(buf_str(&b));
	buf_clear(&b);
	buf_clear(&nl);
}

void input_discard(void)
{
	rl_delete_text(0, rl_end);
	rl_point = 0;
}

int input_empty(void)
{
	return rl_end == 0;
}

int input_lines(void)
{
	int n = 1;
	for (int i = 0; i < rl_end; i++)
		n += rl_line_buffer[i] == '\n';
	return n;
}

static int columns(const char *s, size_t len)
{
	int n = 0;
	for (size_t i = 0; i < len;) {
		uint32_t cp;
		i += utf8_decode(s + i, len - i, &cp, NULL);
		n += grid_columns(cp);
	}
	return n;
}

void input_draw(struct grid *g, int y, int rows, int *cx, int *cy)
{
	int line = 0, first, at = 0;
	for (int i = 0; i < rl_point; i++)
		line += rl_line_buffer[i] == '\n';
	first = line >= rows ? line - rows + 1 : 0;
	*cx = *cy = 0;
	for (int n = 0; at <= rl_end && n < first + rows; n++) {
		const char *s = rl_line_buffer + at, *nl = memchr(s, '\n', (size_t)(rl_end - at));
		int len = nl ? (int)(nl - s) : rl_end - at, skip = 0;
		if (n == line) { /* keep the cursor in sight */
			while (columns(s + skip, (size_t)(rl_point - at - skip)) > g->w - 3 &&
			       at + skip < rl_point)
				skip += (int)utf8_decode(s + skip, (size_t)(len - skip), &(uint32_t){0},
							 NULL);
			*cx = 2 + columns(s + skip, (size_t)(rl_point - at - skip));
			*cy = y + n - first;
		}
		if (n >= first) {
			grid_put(g, 0, y + n - first, 2, ST_USER, n ? ". " : rl_display_prompt, 2);
			grid_put(g, 2, y + n - first, g->w, ST_TEXT, s + skip, (size_t)(len - skip));
		}
		at += len + 1;
	}
}
