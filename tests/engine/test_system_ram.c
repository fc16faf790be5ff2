/* engine/system_ram: what is free and what the limit is, from files as the kernel shows them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "engine/plan.h"

#define MIB ((uint64_t)1 << 20)

static char root[64];

/* A file under the root, with the folders that lead to it. */
static void put(const char *path, const char *text)
{
	char name[512];
	snprintf(name, sizeof(name), "%s%s", root, path);
	for (char *p = name + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(name, 0755);
		*p = '/';
	}
	FILE *f = fopen(name, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void put_mib(const char *path, uint64_t mib)
{
	char text[32];
	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)(mib * MIB));
	put(path, text);
}

static int make_root(void **state)
{
	(void)state;
	const char *tmp = getenv("TMPDIR");
	snprintf(root, sizeof(root), "%.40s/ramXXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(root))
		return -1;
	put("/proc/meminfo", "MemTotal:       16777216 kB\nMemFree:          100 kB\nMemAvailable:    8388608 kB\n");
	return 0;
}

static int drop_root(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

static void expect(uint64_t free_mib, uint64_t total_mib)
{
	assert_int_equal(system_free_ram(root) / MIB, free_mib);
	assert_int_equal(system_total_ram(root) / MIB, total_mib);
}

static void without_groups(void **state)
{
	(void)state;
	expect(8192, 16384);
	put("/proc/self/cgroup", "0::/\n");
	expect(8192, 16384);
}

static void second_version(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "0::/user.slice/a.scope\n");
	put("/sys/fs/cgroup/user.slice/a.scope/memory.max", "max\n");
	put_mib("/sys/fs/cgroup/user.slice/a.scope/memory.current", 100);
	expect(8192, 16384);
	put_mib("/sys/fs/cgroup/user.slice/memory.max", 4096); /* the group around it is tighter */
	put_mib("/sys/fs/cgroup/user.slice/memory.current", 1000);
	expect(3096, 4096);
	put("/sys/fs/cgroup/user.slice/memory.stat",
		"anon 1\nfile 3\ninactive_anon 9999999999\nactive_file 104857600\ninactive_file 314572800\n");
	expect(3496, 4096); /* 400 MiB of what is used is cached file data */
	put_mib("/sys/fs/cgroup/user.slice/a.scope/memory.max", 2048);
	expect(1948, 2048);
	put_mib("/sys/fs/cgroup/user.slice/a.scope/memory.high", 1024); /* above this the kernel slows it down */
	expect(924, 1024);
	put_mib("/sys/fs/cgroup/user.slice/a.scope/memory.current", 3000);
	expect(0, 1024);
}

/* A container whose own group is the root that it sees, while its path is the host's. */
static void container(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "0::/system.slice/docker-0123.scope\n");
	put_mib("/sys/fs/cgroup/memory.max", 512);
	put_mib("/sys/fs/cgroup/memory.current", 12);
	expect(500, 512);
	put("/proc/self/cgroup", "12:pids:/docker/0123\n4:cpu,memory:/docker/0123\n1:name=systemd:/x\n");
	put_mib("/sys/fs/cgroup/memory/memory.limit_in_bytes", 300);
	put_mib("/sys/fs/cgroup/memory/memory.usage_in_bytes", 280);
	put("/sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 104857600\ntotal_active_file 0\n");
	expect(120, 300);
}

static void first_version(void **state)
{
	(void)state;
	char line[700] = "4:memory:", dir[700] = "/sys/fs/cgroup/memory", file[800];
	for (int i = 0; i < 12; i++) { /* longer than a line that is read in one piece often is */
		strcat(line, "/a-group-with-a-name-of-some-length-0123456789");
		strcat(dir, i < 3 ? "/a-group-with-a-name-of-some-length-0123456789" : "");
	}
	strcat(line, "\n");
	put("/proc/self/cgroup", line);
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"); /* none */
	put_mib("/sys/fs/cgroup/memory/memory.usage_in_bytes", 8000);
	snprintf(file, sizeof(file), "%s/memory.limit_in_bytes", dir);
	put_mib(file, 1000);
	snprintf(file, sizeof(file), "%s/memory.usage_in_bytes", dir);
	put_mib(file, 100);
	expect(900, 1000);
}

static void process(void **state)
{
	(void)state;
	assert_true(plan_free_ram() > MIB && plan_free_ram() < (uint64_t)1 << 50);
	assert_true(plan_total_ram() >= plan_process_ram());
}

#define IN_ROOT(f) cmocka_unit_test_setup_teardown(f, make_root, drop_root)

int main(void)
{
	static const struct CMUnitTest tests[] = {IN_ROOT(without_groups), IN_ROOT(second_version), IN_ROOT(container),
		IN_ROOT(first_version), IN_ROOT(process)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
