/* The conversation: Markdown in rows, growing answers, scrolling, folding, searching, copying. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tui/convview.h"
#include "tui/copy.h"

static struct convview conv;
static struct grid grid;

static void draw(int w, int h)
{
	assert_int_equal(grid_resize(&grid, w, h), 0);
	convview_draw(&conv, &grid, (struct rect){0, 0, w, h});
}

static const char *row(int y)
{
	static char s[4][2048];
	static int k;
	k = (k + 1) % 4;
	grid_row(&grid, y, s[k], sizeof(s[k]));
	size_t n = strlen(s[k]);
	while (n && s[k][n - 1] == ' ')
		s[k][--n] = 0;
	return s[k];
}

static int reset(void **state)
{
	(void)state;
	convview_clear(&conv);
	conv.fold = 0;
	return 0;
}

static void answer(const char *think, const char *text)
{
	convview_begin(&conv, false);
	convview_grow(&conv, true, think, strlen(think));
	convview_grow(&conv, false, text, strlen(text));
	convview_end(&conv, 12, 61);
}

/* Rows of a text at a width, joined by '\n', trailing blanks cut. */
static char *render(const char *text, int width)
{
	struct rows r = {0};
	struct markdown_mark m = {0};
	struct buf out = BUF_INIT;
	struct grid g = {0};
	char s[2048];
	markdown_render(&r, &m, text, strlen(text), width, &glyphs_ascii, 1);
	for (size_t i = 0; i < r.n; i++) {
		assert_int_equal(grid_resize(&g, width, 1), 0);
		rows_draw(&r, i, &g, 0, 0, width);
		size_t n = grid_row(&g, 0, s, sizeof(s));
		while (n && s[n - 1] == ' ')
			n--;
		buf_add(&out, s, n);
		buf_addc(&out, '\n');
	}
	grid_free(&g);
	rows_clear(&r);
	return buf_take(&out);
}

static void markdown_is_drawn(void **state)
{
	static const struct {
		const char *in;
		int width;
		const char *out;
	} cases[] = {
		{"one two three", 8, "one two\nthree\n"},
		{"abcdefghij", 4, "abcd\nefgh\nij\n"},
		{"a\nb", 20, "a\nb\n"},
		{"# T\ntext", 20, "T\n\ntext\n"},
		{"- a\n- b\n  - c", 20, "* a\n* b\n  * c\n"},
		{"3. x\n4. y", 20, "3. x\n4. y\n"},
		{"- loose\n\n- list", 20, "* loose\n\n* list\n"},
		{"- [x] done\n- [ ] open", 20, "[x] done\n[ ] open\n"},
		{"> quote\n> more", 20, "| quote\n| more\n"},
		{"```c\nint x;\n\ty\n```", 30, "-- c -------------- /copy 1 --\n  int x;\n      y\n"},
		{"|a|b|\n|-|-:|\n|x|1|", 20, "a | b\n--+--\nx | 1\n"},
		{"[text](http://u)", 30, "text (http://u)\n"},
		{"<http://u>", 30, "http://u\n"},
		{"a\n\n***\n\nb", 5, "a\n\n-----\n\nb\n"},
		{"word word word", 10, "word word\nword\n"},
		{"\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E", 5, "\xE6\x97\xA5\xE6\x9C\xAC\n\xE8\xAA\x9E\n"},
		{"e\xCC\x81te\xCC\x81t\xC3\xA9", 4, "e\xCC\x81te\xCC\x81t\n\xC3\xA9\n"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *got = render(cases[i].in, cases[i].width);
		assert_string_equal(got, cases[i].out);
		free(got);
	}
}

/* Whatever arrives piece by piece ends up as the same rows as the whole, and costs no more than the
 * last block each time. */
static void growing_is_like_whole(void **state)
{
	static const char text[] =
		"# Title\n\nA paragraph of some words that is broken.\n\n1. one\n2. two\n\n   still two\n\n"
		"```python\nprint(1)\n\nprint(2)\n```\n\n| a | b |\n|---|---|\n| c | d |\n\n> quoted\n\n- x\n- y\n\nlast";
	(void)state;
	char want[64][256];
	answer("", text);
	draw(40, 40);
	for (int y = 0; y < 40; y++)
		snprintf(want[y], sizeof(want[y]), "%s", row(y));
	for (size_t step = 1; step < 9; step++) {
		reset(NULL);
		convview_begin(&conv, false);
		for (size_t i = 0; i < sizeof(text) - 1; i += step) {
			size_t n = sizeof(text) - 1 - i < step ? sizeof(text) - 1 - i : step;
			convview_grow(&conv, false, text + i, n);
			draw(40, 40);
		}
		assert_true(conv.items[0].mark.bytes > sizeof(text) - 20); /* only the end was open */
		for (int y = 0; y < 40; y++)
			if (strcmp(row(y), want[y]) && !strstr(row(y), "last"))
				fail_msg("step %zu row %d: \"%s\", not \"%s\"", step, y, row(y), want[y]);
		convview_end(&conv, 0, -1);
		draw(40, 40);
		for (int y = 0; y < 40; y++)
			assert_string_equal(row(y), want[y]);
	}
}

static void streaming_keeps_a_scrolled_view(void **state)
{
	(void)state;
	convview_begin(&conv, false);
	for (int i = 0; i < 30; i++) {
		char s[32];
		int n = snprintf(s, sizeof(s), "row %d\n", i);
		convview_grow(&conv, false, s, (size_t)n);
	}
	draw(50, 6);
	assert_non_null(strstr(row(5), "row 29"));
	convview_scroll(&conv, -10);
	draw(50, 6);
	const char *before = row(0);
	assert_non_null(strstr(before, "row 14"));
	assert_non_null(strstr(row(5), "10 more (End)"));
	convview_grow(&conv, false, "new 1\nnew 2\n", 12);
	draw(50, 6);
	assert_string_equal(row(0), before);
	assert_non_null(strstr(row(5), "2 new (End)"));
	convview_follow(&conv);
	draw(50, 6);
	assert_non_null(strstr(row(5), "new 2"));
	convview_scroll(&conv, -1000);
	draw(50, 6);
	assert_non_null(strstr(row(0), "row 0"));
	convview_scroll(&conv, 1000);
	assert_true(conv.following);
}

static void a_resized_view_stays_at_its_place(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++) {
		char s[64];
		snprintf(s, sizeof(s), "message %d is long enough to be broken in two", i);
		convview_note(&conv, i % 2 ? ITEM_ANSWER : ITEM_USER, s);
	}
	draw(80, 10);
	convview_home(&conv);
	convview_scroll(&conv, 20);
	draw(80, 10);
	assert_non_null(strstr(row(0), "message 10"));
	draw(30, 10);
	assert_non_null(strstr(row(0), "message 10"));
	draw(120, 20);
	assert_non_null(strstr(row(0), "message 10"));
}

static void reasoning_folds(void **state)
{
	(void)state;
	convview_begin(&conv, false);
	convview_grow(&conv, true, "deep\nthoughts", 13);
	draw(60, 8);
	assert_non_null(strstr(row(0), "deep"));
	convview_grow(&conv, false, "answer", 6);
	convview_end(&conv, 412, 1860);
	draw(60, 8);
	assert_non_null(strstr(row(0), "[thought 412 tok, 31 m"));
	assert_non_null(strstr(row(1), "answer"));
	convview_toggle_fold(&conv);
	draw(60, 8);
	assert_non_null(strstr(row(1), "thoughts"));
	assert_non_null(strstr(row(2), "answer"));
	convview_toggle_fold(&conv);
	draw(60, 8);
	assert_non_null(strstr(row(1), "answer"));
}

static void remarks_go_with_their_answer(void **state)
{
	(void)state;
	convview_note(&conv, ITEM_USER, "question");
	convview_begin(&conv, false);
	convview_grow(&conv, false, "part", 4);
	convview_end(&conv, 0, -1);
	convview_remark(&conv, "stopped");
	convview_note(&conv, ITEM_NOTE, "another note");
	draw(60, 8);
	assert_non_null(strstr(row(4), "stopped"));
	convview_begin(&conv, true);
	convview_grow(&conv, false, " and on", 7);
	draw(60, 8);
	assert_non_null(strstr(row(2), "part and on"));
	assert_non_null(strstr(row(4), "another note"));
	convview_remark(&conv, "stopped");
	convview_restart(&conv);
	convview_restarted(&conv);
	draw(60, 8);
	assert_int_equal(conv.n, 1);
}

static void found_across_broken_rows(void **state)
{
	size_t which, of;
	(void)state;
	convview_note(&conv, ITEM_USER, "Where is the needle?");
	answer("", "Some hay, then the **nee**dle and a NEEDLE in the hay stack that is long, with one more "
		   "needle at the far end of it.");
	draw(30, 20);
	assert_true(convview_find(&conv, "needle", 6));
	convview_find_count(&conv, &which, &of);
	assert_int_equal(of, 4);
	assert_int_equal(which, 4);
	assert_true(convview_find_next(&conv, -1));
	convview_find_count(&conv, &which, &of);
	assert_int_equal(which, 3);
	for (int i = 0; i < 3; i++)
		convview_find_next(&conv, -1);
	convview_find_count(&conv, &which, &of);
	assert_int_equal(which, 4); /* around */
	assert_true(convview_find(&conv, "stack that is long, with one", 28)); /* broken somewhere */
	draw(30, 20);
	int marked = 0;
	for (int i = 0; i < grid.w * grid.h; i++)
		marked += STYLE_ITEM(grid.c[i].style) == ST_SELECTED;
	assert_int_equal(marked, 27); /* without the blank at which it was broken */
	assert_false(convview_find(&conv, "no such thing", 13));
}

static void found_in_folded_reasoning(void **state)
{
	size_t which, of;
	(void)state;
	convview_note(&conv, ITEM_USER, "Where is it?");
	answer("First a thought, then a needle in the thought,\nand another row.", "It is in the **hay**.");
	convview_note(&conv, ITEM_USER, "More");
	answer("", "one\n\ntwo\n\nthree\n\nfour\n\nfive");
	draw(30, 6);
	assert_true(convview_find(&conv, "needle in the", 13)); /* broken somewhere */
	convview_find_count(&conv, &which, &of);
	assert_int_equal(of, 1);
	draw(30, 6);
	int marked = 0;
	for (int i = 0; i < grid.w * grid.h; i++)
		marked += STYLE_ITEM(grid.c[i].style) == ST_SELECTED && (grid.c[i].style & STYLE_BOLD);
	assert_in_range(marked, 12, 13); /* without the blank, if it was broken there */
	assert_true(convview_find(&conv, "hay", 3));
	draw(30, 6);
	convview_find(&conv, "", 0); /* not in the reasoning: it folds again */
	convview_home(&conv);
	draw(30, 6);
	assert_non_null(strstr(row(2), "[thought"));
	assert_true(convview_find(&conv, "another", 7));
	convview_find(&conv, "", 0); /* it can still be read */
	convview_home(&conv);
	draw(30, 6);
	assert_non_null(strstr(row(2), "First a thought"));
}

static void code_is_copied_by_number(void **state)
{
	struct buf b = BUF_INIT;
	(void)state;
	answer("", "```\nfirst\n```\ntext\n~~~\nsecond\n\n  line\n~~~");
	answer("", "    indented\n");
	draw(60, 20);
	assert_int_equal(convview_codes(&conv), 3);
	assert_true(convview_code(&conv, 2, &b));
	assert_string_equal(buf_str(&b), "second\n\n  line\n");
	buf_reset(&b);
	assert_true(convview_code(&conv, 3, &b));
	assert_string_equal(buf_str(&b), "indented\n");
	assert_false(convview_code(&conv, 4, &b));
	buf_clear(&b);
}

static void many_messages(int n)
{
	for (int i = 0; i < n; i++) {
		char s[256];
		int len = snprintf(s, sizeof(s), "question %d", i);
		convview_add(&conv, ITEM_USER, s, (size_t)len);
		snprintf(s, sizeof(s), "answer %d has words and words to be broken\n\n%s\n\nend", i,
			i % 3 ? "- a\n- b" : "```c\nint x;\n```");
		answer(i % 5 ? "" : "thought", s);
	}
}

/* The first row without the scroll bar's column. */
static void top_row(char out[200], int w)
{
	size_t n = (size_t)snprintf(out, 200, "%.*s", w - 1, row(0));
	while (n && out[n - 1] == ' ')
		out[--n] = 0;
}

/* Lay out a long conversation only where it is seen; scrolling shows what it shows when all is laid out. */
static void only_what_is_seen_is_laid_out(void **state)
{
	enum { N = 300, W = 44, H = 11 };
	static char want[5000][200];
	char got[200];
	size_t rows = 0, laid = 0;
	(void)state;
	grid.glyphs = &glyphs_ascii;
	many_messages(N);
	draw(W, H);
	while (convview_step(&conv))
		continue;
	convview_home(&conv);
	for (;; rows++) {
		assert_true(rows < 5000);
		draw(W, H);
		top_row(want[rows], W);
		if (conv.following)
			break;
		convview_scroll(&conv, 1);
	}
	reset(NULL);
	many_messages(N);
	draw(W, H);
	assert_non_null(strstr(row(H - 1), "end"));
	for (size_t i = 0; i < conv.n; i++)
		laid += conv.items[i].width != 0;
	assert_in_range(laid, 1, H);
	for (size_t at = rows; at > 0; at--) {
		draw(W, H);
		top_row(got, W);
		if (!strstr(want[at], "/copy"))
			assert_string_equal(got, want[at]);
		convview_scroll(&conv, -1);
	}
	draw(W, H);
	top_row(got, W);
	assert_string_equal(got, want[0]);
	grid.glyphs = &glyphs_unicode;
}

static void code_blocks_get_their_numbers(void **state)
{
	(void)state;
	many_messages(100);
	draw(50, 20);
	for (int y = 0; y < 20; y++)
		assert_null(strstr(row(y), "/copy 3")); /* how many are in front is not known yet */
	while (convview_step(&conv))
		continue;
	draw(50, 20);
	bool last = false;
	for (int y = 0; y < 20; y++)
		last |= strstr(row(y), "/copy 34 ") != NULL;
	assert_true(last);
	assert_int_equal(convview_codes(&conv), 34);
	answer("", "```\nx\n```\n");
	draw(50, 20);
	assert_non_null(strstr(row(18), "/copy 35 "));
}

static void osc52_is_base64(void **state)
{
	static const char *const cases[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
		{"foobar", "Zm9vYmFy"}, {"\xff\xfe", "//4="}}; /* RFC 4648, section 10 */
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf b = BUF_INIT;
		char want[64];
		assert_true(copy_sequence(cases[i][0], strlen(cases[i][0]), &b));
		snprintf(want, sizeof(want), "\x1b]52;c;%s\x1b\\", cases[i][1]);
		assert_string_equal(buf_str(&b), want);
		buf_clear(&b);
	}
}

/* Nothing that comes from a model can reach the terminal as a control. */
static void controls_are_stripped(void **state)
{
	(void)state;
	answer("\x1b[31mred\x07", "\x1b]0;title\x07 \x9b 31m \xC2\x9B" "1m `\x1b[2J` \x7f\x08\r\xE2\x80\xAE");
	convview_note(&conv, ITEM_USER, "\x1b[?1049l");
	conv.fold = -1;
	draw(70, 10);
	for (int i = 0; i < grid.w * grid.h; i++) {
		uint32_t cp = grid.c[i].cp;
		assert_true(cp == 0 || cp & CELL_CLUSTER || (cp >= 0x20 && cp != 0x7f && (cp < 0x80 || cp > 0x9f)));
		assert_true(cp != 0x202e);
	}
}

static void deep_and_wide_texts_end(void **state)
{
	struct buf b = BUF_INIT;
	(void)state;
	for (int i = 0; i < 3000; i++)
		buf_puts(&b, "> - ");
	buf_puts(&b, "x\n\n|");
	for (int i = 0; i < 300; i++)
		buf_puts(&b, "a|");
	buf_puts(&b, "\n|");
	for (int i = 0; i < 300; i++)
		buf_puts(&b, "-|");
	buf_puts(&b, "\n\n");
	for (int i = 0; i < 5000; i++)
		buf_puts(&b, "\xCC\x81*_[`");
	answer("", buf_str(&b));
	for (int w = 1; w < 60; w += 7)
		draw(w, 10);
	buf_clear(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(markdown_is_drawn, reset),
		cmocka_unit_test_setup(growing_is_like_whole, reset),
		cmocka_unit_test_setup(streaming_keeps_a_scrolled_view, reset),
		cmocka_unit_test_setup(a_resized_view_stays_at_its_place, reset),
		cmocka_unit_test_setup(reasoning_folds, reset),
		cmocka_unit_test_setup(remarks_go_with_their_answer, reset),
		cmocka_unit_test_setup(found_across_broken_rows, reset),
		cmocka_unit_test_setup(found_in_folded_reasoning, reset),
		cmocka_unit_test_setup(code_is_copied_by_number, reset),
		cmocka_unit_test_setup(only_what_is_seen_is_laid_out, reset),
		cmocka_unit_test_setup(code_blocks_get_their_numbers, reset),
		cmocka_unit_test_setup(osc52_is_base64, reset),
		cmocka_unit_test_setup(controls_are_stripped, reset),
		cmocka_unit_test_setup(deep_and_wide_texts_end, reset),
	};
	convview_init(&conv);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	convview_clear(&conv);
	grid_free(&grid);
	return rc;
}
