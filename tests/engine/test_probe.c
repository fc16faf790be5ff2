/* The drive's probe: what it measures is kept for its device, and nothing else is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "engine/probe.h"
#include "support/sanitized.h"

static char dir[64], model[96], kept[400];
static struct checkpoint_file file = {.path = model};
static const struct checkpoint ck = {.files = &file, .n_files = 1};

static void make_model(size_t bytes, bool sparse)
{
	char block[4096] = "weights";
	int fd = open(model, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	for (size_t i = 0; !sparse && i < bytes; i += sizeof(block))
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	file.size = bytes;
}

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "probe-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	char cwd[256], cache[340];
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(cache, sizeof(cache), "%s/%s", cwd, dir);
	setenv("XDG_CACHE_HOME", cache, 1);
	snprintf(model, sizeof(model), "%s/model", dir);
	make_model((size_t)8 << 20, false);
	return 0;
}

/* The only file in the cache folder. */
static void find_kept(void)
{
	char folder[100];
	struct dirent *d;
	snprintf(folder, sizeof(folder), "%s/airlchat", dir);
	DIR *p = opendir(folder);
	assert_non_null(p);
	kept[0] = '\0';
	while ((d = readdir(p)))
		if (d->d_name[0] != '.') {
			assert_string_equal(kept, "");
			snprintf(kept, sizeof(kept), "%s/%s", folder, d->d_name);
		}
	closedir(p);
	assert_string_not_equal(kept, "");
}

static int tear_down(void **state)
{
	(void)state;
	char folder[100];
	unlink(kept);
	snprintf(folder, sizeof(folder), "%s/airlchat", dir);
	rmdir(folder);
	unlink(model);
	return rmdir(dir);
}

static void what_was_measured_is_kept(void **state)
{
	(void)state;
	struct probe_disk d, again;
	struct err e = ERR_INIT;
	struct stat st;
	struct reader *r;
	assert_false(probe_disk_cached(&again, &ck));
	assert_true(again.bytes_per_s < 0 && again.depth == 0);
	int64_t from = clock_ns();
	assert_int_equal(probe_disk(&d, &ck, "auto", 0.2, 0, &e), 0);
	assert_true(clock_ns() - from < (int64_t)10000000000);
	assert_true(d.bytes_per_s > 0 && d.latency_s > 0 && d.depth > 0 && d.request >= 65536);
	probe_disk_keep(&d, &ck);
	find_kept();
	assert_int_equal(stat(kept, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_true(probe_disk_cached(&again, &ck));
	assert_true(again.bytes_per_s > 0.99 * d.bytes_per_s && again.bytes_per_s < 1.01 * d.bytes_per_s);
	assert_true(again.request == d.request && again.depth == d.depth && again.age_s > 0);
	assert_string_equal(again.reader, d.reader);
	assert_int_equal(probe_reader_open(&r, "auto", &ck, &again, &e), 0);
	assert_true(r->request == d.request && r->depth == d.depth);
	r->ops->close(r);
}

/* In as little memory as the smallest ring has, and with less of it than one usual request. */
static void little_memory_is_enough(void **state)
{
	(void)state;
	static const size_t memory[] = {4096, 12288, 300000, 1 << 20};
	for (size_t i = 0; i < sizeof(memory) / sizeof(*memory); i++) {
		struct probe_disk d;
		struct err e = ERR_INIT;
		assert_int_equal(probe_disk(&d, &ck, "pread", 0.05, memory[i], &e), 0);
		assert_true(d.bytes_per_s > 0);
	}
}

static void put(const char *text)
{
	FILE *f = fopen(kept, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void anything_else_is_not_believed(void **state)
{
	(void)state;
	static const char *const lines[] = {"", "\n", "airlchat-disk 2", "909008516 0.000058277 %lld\n",
		"airlchat-disk 1 1e9 0.0001 1048576 32 %lld uring+direct\n",
		"airlchat-disk 2 -5 0.0001 1048576 32 %lld uring+direct\n",
		"airlchat-disk 2 nan 0.0001 1048576 32 %lld uring+direct\n",
		"airlchat-disk 2 inf 0.0001 1048576 32 %lld uring+direct\n",
		"airlchat-disk 2 1e9 nan 1048576 32 %lld uring+direct\n",
		"airlchat-disk 2 1e9 0.0001 0 32 %lld uring+direct\n",
		"airlchat-disk 2 1e9 0.0001 1099511627776 32 %lld uring+direct\n",
		"airlchat-disk 2 1e9 0.0001 1048576 0 %lld uring+direct\n",
		"airlchat-disk 2 1e9 0.0001 1048576 4000000000 %lld uring+direct\n",
		"airlchat-disk 2 1e9 0.0001 1048576 32 %lld \033[31mred\n"};
	const long long now = (long long)time(NULL);
	struct probe_disk d;
	char text[200];
	find_kept();
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof(text), lines[i], now - 5);
#pragma GCC diagnostic pop
		put(text);
		if (probe_disk_cached(&d, &ck))
			fail_msg("believed: %s", text);
	}
	static const struct {
		long long age;
		bool good;
	} ages[] = {{5, true}, {86400, true}, {8 * 86400, false}, {-86400, false}};
	for (size_t i = 0; i < sizeof(ages) / sizeof(*ages); i++) {
		snprintf(text, sizeof(text), "airlchat-disk 2 1000000000 0.0001 1048576 32 %lld uring+direct\n", now - ages[i].age);
		put(text);
		assert_int_equal(probe_disk_cached(&d, &ck), ages[i].good);
	}
}

static void holes_and_small_files_tell_nothing(void **state)
{
	(void)state;
	struct probe_disk d;
	struct err e = ERR_INIT;
	make_model((size_t)8 << 20, true);
	assert_int_equal(probe_disk(&d, &ck, "auto", 0.1, 0, &e), -1);
	assert_non_null(strstr(e.msg, "not on the disk"));
	make_model((size_t)1 << 20, false);
	assert_int_equal(probe_disk(&d, &ck, "auto", 0.1, 0, &e), -1);
	assert_true(d.bytes_per_s < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_measured_is_kept),
		cmocka_unit_test(little_memory_is_enough),
		cmocka_unit_test(anything_else_is_not_believed),
		cmocka_unit_test(holes_and_small_files_tell_nothing),
	};
	alarm(PATIENCE * 120);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
