#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tui/keys.h"

static struct buf seen = BUF_INIT;

static void note(void *user, enum key k, const char *s, size_t len)
{
	(void)user;
	if (k == KEY_BYTES || k == KEY_PASTE)
		buf_printf(&seen, "%d:%.*s;", (int)k, (int)len, s);
	else
		buf_printf(&seen, "%d;", (int)k);
}

static void expect(const char *in, size_t n, const char *want)
{
	for (size_t cut = 0; cut <= n; cut++)
		for (size_t more = cut; more <= n; more += n / 7 + 1) {
			struct keys k = {.on_key = note};
			buf_reset(&seen);
			keys_feed(&k, in, cut);
			keys_feed(&k, in + cut, more - cut);
			keys_feed(&k, in + more, n - more);
			assert_string_equal(buf_str(&seen), want);
			assert_false(keys_waiting(&k));
			keys_clear(&k);
		}
}

#define EXPECT(in, ...)                                                \
	do {                                                           \
		char want_[512];                                       \
		snprintf(want_, sizeof(want_), __VA_ARGS__);           \
		expect(in, sizeof(in) - 1, want_);                     \
	} while (0)

static void sequences_split_anywhere(void **state)
{
	(void)state;
	EXPECT("a\x1b[5~\x1b[200~x\ny\x1b[201~\x1b[<64;3;4M\x1b[A\x1b\r", "0:a;%d;1:x\ny;%d;%d;%d;", KEY_PAGE_UP,
		KEY_WHEEL_UP, KEY_UP, KEY_NEWLINE);
	EXPECT("\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80", "0:\xC3\xA9;0:\xE6\x97\xA5;0:\xF0\x9F\x98\x80;");
	EXPECT("\x1bOP\x1b[[B\x1b[13~\x1b[24~\x1b[1;2P", "%d;%d;%d;%d;%d;", KEY_F1, KEY_F1 + 1, KEY_F1 + 2,
		KEY_F12, KEY_F1);
	EXPECT("\x1b[1;5H\x1b[1;5F\x1b[H\x1bOF\x1b[1~\x1b[8~", "%d;%d;%d;%d;%d;%d;", KEY_TOP, KEY_BOTTOM,
		KEY_HOME, KEY_END, KEY_HOME, KEY_END);
	EXPECT("\x1b[13;2u\x1b[27;2;13~\n\r\t\x1b[Z\x03", "%d;%d;%d;%d;%d;%d;%d;", KEY_NEWLINE, KEY_NEWLINE,
		KEY_NEWLINE, KEY_ENTER, KEY_TAB, KEY_BACKTAB, KEY_STOP);
	EXPECT("\x1b[99;5u\x1b[115;5u\x1bt\x1b[1;2A", "%d;0:\x13;%d;%d;", KEY_STOP, KEY_FOLD, KEY_SCROLL_UP);
	EXPECT("\x1b[M !!x\x1b[I\x1b[Oy", "0:x;0:y;");	/* an old mouse report; the focus */
	EXPECT("\x1b[<0;7;9M\x1b[<0;7;9m", "%d;", KEY_CLICK);
	EXPECT("\x1b" "f\x1b\xC3\xA9", "0:\x1b" "f;0:\x1b\xC3\xA9;");
}

static void what_is_no_key_is_dropped(void **state)
{
	(void)state;
	EXPECT("\x80\xFFz", "0:z;");		 /* no character begins so */
	EXPECT("\xE6\x97q", "0:q;");		 /* one that was cut off */
	EXPECT("\x1b\x1b[A", "%d;%d;", KEY_ESC, KEY_UP);
	EXPECT("\x1b[12\x1b[A", "%d;", KEY_UP);	 /* so was this sequence */
}

static void esc_is_a_key_when_nothing_follows(void **state)
{
	(void)state;
	struct keys k = {.on_key = note};
	buf_reset(&seen);
	keys_feed(&k, "\x1b", 1);
	assert_true(keys_waiting(&k));
	assert_string_equal(buf_str(&seen), "");
	keys_timeout(&k);
	char want[16];
	snprintf(want, sizeof(want), "%d;", KEY_ESC);
	assert_string_equal(buf_str(&seen), want);
	assert_false(keys_waiting(&k));
	keys_clear(&k);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sequences_split_anywhere),
		cmocka_unit_test(what_is_no_key_is_dropped),
		cmocka_unit_test(esc_is_a_key_when_nothing_follows),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	buf_clear(&seen);
	return rc;
}
