#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tui/theme.h"
#include "tui/theme_private.h"

static char dir[] = "/tmp/airlchat-theme-XXXXXX";

static void put_theme(const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/airlchat/themes/%s.theme", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static struct theme *load(const char *name, enum theme_depth depth, const char *warning)
{
	struct err e = ERR_INIT;
	struct buf w = BUF_INIT;
	struct theme *t = theme_load(name, depth, &w, &e);
	if (!t)
		fail_msg("%s", e.msg);
	if (!warning)
		assert_string_equal(buf_str(&w), "");
	else if (!strstr(buf_str(&w), warning))
		fail_msg("no \"%s\" in \"%s\"", warning, buf_str(&w));
	buf_clear(&w);
	return t;
}

static void expect(const char *name, enum theme_depth depth, style_t st, int fg, int bg, uint32_t attrs)
{
	struct theme *t = load(name, depth, NULL);
	struct look l;
	theme_look(t, st, &l);
	theme_free(t);
	assert_int_equal(l.fg, fg);
	assert_int_equal(l.bg, bg);
	assert_int_equal(l.attrs, attrs);
}

static void the_terminal_chooses(void **state)
{
	(void)state;
	put_theme("four", "user = #102030 | 84+italic | green | bold+underline\nmain_bg =\n");
	expect("four", DEPTH_TRUE, ST_USER, COLOR_RGB | 0x102030, COLOR_NONE, 0);
	expect("four", DEPTH_256, ST_USER, 84, COLOR_NONE, STYLE_ITALIC);
	expect("four", DEPTH_16, ST_USER, 2, COLOR_NONE, 0);
	expect("four", DEPTH_MONO, ST_USER, COLOR_NONE, COLOR_NONE, STYLE_BOLD | STYLE_UNDERLINE);
	expect("four", DEPTH_16, (style_t)ST_USER | STYLE_REVERSE, 2, COLOR_NONE, STYLE_REVERSE);
	put_theme("rgb", "inherits = four\ncode = #f00\nerror = 196\n");
	expect("rgb", DEPTH_256, ST_CODE, 196, COLOR_NONE, 0); /* the cube's own red */
	expect("rgb", DEPTH_16, ST_CODE, 9, COLOR_NONE, 0);
	expect("rgb", DEPTH_16, ST_ERROR, 9, COLOR_NONE, 0);
	expect("rgb", DEPTH_TRUE, ST_ERROR, 196, COLOR_NONE, 0);
	expect("rgb", DEPTH_16, ST_USER, 2, COLOR_NONE, 0); /* inherited */
}

static void gradients_run_through_the_middle(void **state)
{
	(void)state;
	put_theme("grad", "disk_start = #000000 | red\ndisk_mid = #804020\ndisk_end = #ff0000 | blue\n"
			  "ram_start = #000000\nram_end = #ff8000\n");
	expect("grad", DEPTH_TRUE, style_at(ST_DISK, 0), COLOR_RGB, COLOR_NONE, 0);
	expect("grad", DEPTH_TRUE, style_at(ST_DISK, 128.0 / 255), COLOR_RGB | 0x804020, COLOR_NONE, 0);
	expect("grad", DEPTH_TRUE, style_at(ST_DISK, 1), COLOR_RGB | 0xff0000, COLOR_NONE, 0);
	expect("grad", DEPTH_TRUE, style_at(ST_DISK, 64.0 / 255), COLOR_RGB | 0x402010, COLOR_NONE, 0);
	expect("grad", DEPTH_TRUE, style_at(ST_RAM, 51.0 / 255), COLOR_RGB | 0x331900, COLOR_NONE, 0);
	expect("grad", DEPTH_16, style_at(ST_DISK, 0.1), 1, COLOR_NONE, 0);
	expect("grad", DEPTH_16, style_at(ST_DISK, 0.9), 4, COLOR_NONE, 0);
	put_theme("own", "inherits = dark\ncompute_start = 1\ncompute_end = 2\n"); /* not dark's middle */
	struct theme *t = load("own", DEPTH_256, NULL);
	for (int i = 0; i <= 255; i++) {
		struct look l;
		theme_look(t, style_at(ST_COMPUTE, i / 255.0), &l);
		assert_int_equal(l.fg, i < 128 ? 1 : 2);
	}
	theme_free(t);
}

static void files_of_btop_load(void **state)
{
	(void)state;
	put_theme("btop", "# Theme: by someone\n\ntheme[main_bg]=\"#1e1e2e\"\ntheme[main_fg]=\"#CDD6F4\"\n"
			  "theme[title]=\"#cc\"\ntheme[hi_fg]=\"10 20 30\"\ntheme[graph_text]=\"#fff\"\n"
			  "theme[cpu_start]=\"#010203\"\ntheme[cpu_mid]=\"\"\ntheme[cpu_end]=\"#010203\"\n"
			  "theme[used_start]='#0a0b0c'\ntheme[process_start]=\"#111111\"\n");
	expect("btop", DEPTH_TRUE, ST_TEXT, COLOR_RGB | 0xcdd6f4, COLOR_RGB | 0x1e1e2e, 0);
	expect("btop", DEPTH_TRUE, ST_TITLE, COLOR_RGB | 0xcccccc, COLOR_RGB | 0x1e1e2e, 0);
	expect("btop", DEPTH_TRUE, ST_KEY, COLOR_RGB | 0x0a141e, COLOR_RGB | 0x1e1e2e, 0);
	expect("btop", DEPTH_TRUE, style_at(ST_COMPUTE, 0.7), COLOR_RGB | 0x010203, COLOR_RGB | 0x1e1e2e, 0);
	expect("btop", DEPTH_TRUE, ST_RAM, COLOR_RGB | 0x0a0b0c, COLOR_RGB | 0x1e1e2e, 0);
}

static void mistakes_are_told(void **state)
{
	(void)state;
	struct err e = ERR_INIT;
	put_theme("bad", "flavour = red\n");
	theme_free(load("bad", DEPTH_16, "theme bad, line 1: unknown key flavour"));
	put_theme("worse", "\nuser = reddish\n");
	theme_free(load("worse", DEPTH_16, "line 2: a value that is neither a colour nor an attribute"));
	put_theme("line", "just words\n");
	theme_free(load("line", DEPTH_16, "there is no ="));
	put_theme("a", "inherits = b\n");
	put_theme("b", "inherits = a\n");
	assert_null(theme_load("a", DEPTH_16, NULL, &e));
	assert_non_null(strstr(e.msg, "circle"));
	assert_null(theme_load("nowhere", DEPTH_16, NULL, &e));
	assert_string_equal(e.msg, "there is no theme \"nowhere\"");
}

/* Every shipped theme, in every kind of terminal: no warning, each key given, and parts of the token
 * bar that can be told apart. */
static void shipped_themes_are_whole(void **state)
{
	(void)state;
	int n = 0;
	for (const struct theme_builtin *b = theme_builtins; b->name; b++, n++)
		for (int depth = DEPTH_MONO; depth <= DEPTH_TRUE; depth++) {
			struct theme *t = load(b->name, (enum theme_depth)depth, NULL);
			struct look disk, compute, copy;
			theme_look(t, ST_DISK, &disk);
			theme_look(t, ST_COMPUTE, &compute);
			theme_look(t, ST_COPY, &copy);
			theme_free(t);
			if (depth == DEPTH_MONO || !strcmp(b->name, "mono"))
				assert_true(disk.fg == COLOR_NONE && disk.bg == COLOR_NONE);
			else
				assert_true(disk.fg != compute.fg && disk.fg != copy.fg);
		}
	assert_int_equal(n, 6);
}

static void names_are_listed_once(void **state)
{
	(void)state;
	struct buf b = BUF_INIT;
	put_theme("dark", "user = red\n"); /* the user's own shadows the shipped one */
	theme_names(&b);
	const char *at = strstr(buf_str(&b), "dark\n");
	assert_non_null(at);
	assert_null(strstr(at + 1, "dark\n"));
	assert_non_null(strstr(buf_str(&b), "colour-blind\n"));
	buf_clear(&b);
	expect("dark", DEPTH_16, ST_USER, 1, COLOR_NONE, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_terminal_chooses),
		cmocka_unit_test(gradients_run_through_the_middle),
		cmocka_unit_test(files_of_btop_load),
		cmocka_unit_test(mistakes_are_told),
		cmocka_unit_test(shipped_themes_are_whole),
		cmocka_unit_test(names_are_listed_once),
	};
	char path[256], command[300];
	if (!mkdtemp(dir) || setenv("XDG_CONFIG_HOME", dir, 1))
		return 1;
	snprintf(path, sizeof(path), "%s/airlchat", dir);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/airlchat/themes", dir);
	mkdir(path, 0700);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) ? 1 : rc;
}
