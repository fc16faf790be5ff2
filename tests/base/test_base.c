/* base/: UTF-8 by the book, the pull reader on good and bad JSON, names that leave a folder. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"

static void utf8_replaces_maximal_subparts(void **state)
{
	(void)state;
	/* The example of the Unicode standard, table 3-8. */
	static const char in[] = "\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64";
	struct buf b = BUF_INIT;
	utf8_append_valid(&b, in, sizeof(in) - 1);
	assert_string_equal(b.p, "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
				 "b\xEF\xBF\xBD"
				 "c\xEF\xBF\xBD\xEF\xBF\xBD"
				 "d");
	buf_clear(&b);
	assert_int_equal(utf8_incomplete_tail("ab\xE2\x82", 4), 2);
	assert_int_equal(utf8_incomplete_tail("\xE2\x82\xAC", 3), 0);
	assert_int_equal(utf8_incomplete_tail("\xE0\x80", 2), 0);
	assert_false(utf8_valid("\xED\xA0\x80", 3));
}

static void printable_text_has_no_escapes(void **state)
{
	(void)state;
	struct buf b = BUF_INIT;
	static const char in[] = "a\x1b[31mb\r\n\tc\xC2\x9B"
				 "d\x7f";
	utf8_append_printable(&b, in, sizeof(in) - 1);
	assert_string_equal(b.p, "a[31mb\n\tcd");
	buf_clear(&b);
}

static void half_precision_line(void **state)
{
	(void)state;
	char s[] = "x\x1b\xFFy\xE2\x82";
	utf8_sanitize_line(s);
	assert_string_equal(s, "x??y");
}

static void json_reads_values(void **state)
{
	(void)state;
	static const char text[] = "{\"a\\u00e9\": [1, -2.5e1, true, null, \"x\\ud83d\\ude80\\u0000y\"],"
				   " \"skip\": {\"deep\": [[[]]]}, \"b\": 9223372036854775808}";
	struct err e = ERR_INIT;
	struct json_reader r;
	json_reader_init(&r, text, strlen(text), "test", &e);
	struct json_str key, s;
	struct json_num n;
	bool b;
	assert_true(json_object(&r) && json_key(&r, &key));
	assert_true(json_str_is(&key, "a\xC3\xA9"));
	assert_true(json_array(&r) && json_next(&r) && json_number(&r, &n));
	assert_true(n.is_int && n.i == 1);
	assert_true(json_next(&r) && json_number(&r, &n) && !n.is_int && n.d == -25);
	assert_true(json_next(&r) && json_bool(&r, &b) && b);
	assert_true(json_next(&r) && json_null(&r));
	assert_true(json_next(&r) && json_string(&r, &s));
	assert_int_equal(s.len, 7);
	assert_memory_equal(s.p, "x\xF0\x9F\x9A\x80\0y", 7);
	assert_false(json_next(&r));
	assert_true(json_key(&r, &key) && json_str_is(&key, "skip") && json_skip(&r));
	assert_true(json_key(&r, &key) && json_number(&r, &n) && !n.is_int);
	assert_false(json_key(&r, &key));
	assert_int_equal(json_end(&r), 0);
	json_reader_clear(&r);
}

static void json_refuses_bad_text(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "{", "[1,]", "{\"a\" 1}", "[01]", "\"\x01\"", "tru", "[1 2]",
		"\"\\x\"", "1 2", "[-]", "{\"a\":}", "nul", "\"abc"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err e = ERR_INIT;
		struct json_reader r;
		json_reader_init(&r, bad[i], strlen(bad[i]), "test", &e);
		json_skip(&r);
		assert_int_equal(json_end(&r), -1);
		assert_non_null(strstr(e.msg, "test"));
		json_reader_clear(&r);
	}
	struct buf deep = BUF_INIT;
	for (int i = 0; i < 100000; i++)
		buf_addc(&deep, '[');
	struct err e = ERR_INIT;
	struct json_reader r;
	json_reader_init(&r, deep.p, deep.len, "deep", &e);
	assert_false(json_skip(&r));
	json_reader_clear(&r);
	buf_clear(&deep);
}

static void names_stay_inside(void **state)
{
	(void)state;
	assert_true(path_is_inside("model-00001-of-00002.safetensors"));
	assert_true(path_is_inside("sub/x"));
	static const char *const bad[] = {"", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", ".."};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(path_is_inside(bad[i]));
}

static void saving_follows_links_and_pipes(void **state)
{
	(void)state;
	char dir[] = "/tmp/airlchat-base-XXXXXX", file[64], link[64], pipe[64], text[8] = "";
	struct err e = ERR_INIT;
	struct stat st;
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/file", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	snprintf(pipe, sizeof(pipe), "%s/pipe", dir);
	assert_int_equal(file_save(file, "old", 3, 0600, &e), 0);
	assert_int_equal(symlink("file", link), 0);
	assert_int_equal(mkfifo(pipe, 0600), 0);
	assert_int_equal(file_save(link, "new", 3, 0600, &e), 0);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	struct buf b = BUF_INIT;
	assert_int_equal(file_read(file, 10, &b, &e), 0);
	assert_string_equal(b.p, "new");
	buf_clear(&b);
	int fd = open(pipe, O_RDWR | O_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(file_save(pipe, "text", 4, 0600, &e), 0);
	assert_int_equal(read(fd, text, sizeof(text)), 4);
	assert_string_equal(text, "text");
	close(fd);
	assert_int_equal(file_save(dir, "x", 1, 0600, &e), -1);
	assert_non_null(strstr(e.msg, dir));
	assert_int_equal(unlink(link) + unlink(file) + unlink(pipe) + rmdir(dir), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_replaces_maximal_subparts),
		cmocka_unit_test(printable_text_has_no_escapes),
		cmocka_unit_test(half_precision_line),
		cmocka_unit_test(json_reads_values),
		cmocka_unit_test(json_refuses_bad_text),
		cmocka_unit_test(names_stay_inside),
		cmocka_unit_test(saving_follows_links_and_pipes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
