/* What the system has left, and what this process takes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/plan.h"

static FILE *open_under(const char *root, const char *path)
{
	char *name = NULL;
	FILE *f = asprintf(&name, "%s%s", root, path) < 0 ? NULL : fopen(name, "re");
	free(name);
	return f;
}

/* The number behind `key` in a file of lines "key number", or the file's first number with an empty key;
 * UINT64_MAX without one, also for "max". */
static uint64_t number_in(const char *root, const char *dir, const char *file, const char *key)
{
	char *path = NULL, line[256];
	FILE *f = asprintf(&path, "%s/%s", dir, file) < 0 ? NULL : open_under(root, path);
	unsigned long long v = UINT64_MAX;
	const size_t n = strlen(key);
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, n) && sscanf(line + n, n ? " %llu" : "%llu", &v) == 1)
			break;
	if (f)
		fclose(f);
	free(path);
	return v;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

struct ram { /* bytes; UINT64_MAX: no limit */
	uint64_t room, limit;
};

/* A memory cgroup's limit, and what is left of it. Cached file data count as free: the kernel drops them for
 * whoever needs memory. */
static struct ram cgroup_ram(const char *root, const char *dir, bool v2)
{
	struct ram r = {UINT64_MAX, UINT64_MAX};
	uint64_t used, cache = 0;
	if (v2) {
		r.limit = smaller(number_in(root, dir, "memory.max", ""), number_in(root, dir, "memory.high", ""));
		used = number_in(root, dir, "memory.current", "");
	} else {
		r.limit = number_in(root, dir, "memory.limit_in_bytes", "");
		used = number_in(root, dir, "memory.usage_in_bytes", "");
	}
	if (r.limit == UINT64_MAX || used == UINT64_MAX)
		return (struct ram){UINT64_MAX, r.limit};
	static const char *const keys[2][2] = {{"total_inactive_file ", "total_active_file "},
		{"inactive_file ", "active_file "}};
	for (int i = 0; i < 2; i++) {
		uint64_t bytes = number_in(root, dir, "memory.stat", keys[v2][i]);
		cache += bytes == UINT64_MAX ? 0 : bytes;
	}
	used -= smaller(cache, used);
	r.room = r.limit > used ? r.limit - used : 0;
	return r;
}

/* The tightest limits from the group at `path` up to the root. A container may see its own group as the root, its
 * path being the host's: what isn't there has no limit, and the way up ends at the root. */
static struct ram path_ram(const char *root, char *path, bool v2)
{
	struct ram least = {UINT64_MAX, UINT64_MAX};
	while (true) {
		char *dir = NULL;
		if (asprintf(&dir, "/sys/fs/cgroup%s%s", v2 ? "" : "/memory", path) < 0)
			break;
		struct ram r = cgroup_ram(root, dir, v2);
		free(dir);
		least.room = smaller(least.room, r.room);
		least.limit = smaller(least.limit, r.limit);
		char *slash = strrchr(path, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	return least;
}

/* Of the memory cgroups that this process is in, v1 and v2. */
static struct ram cgroups_ram(const char *root)
{
	struct ram least = {UINT64_MAX, UINT64_MAX};
	FILE *f = open_under(root, "/proc/self/cgroup");
	char *line = NULL;
	size_t cap = 0;
	while (f && getline(&line, &cap, f) > 0) { /* "4:memory:/path", "0::/path" */
		line[strcspn(line, "\n")] = '\0';
		char *ctl = strchr(line, ':'), *path = ctl ? strchr(ctl + 1, ':') : NULL;
		if (!path)
			continue;
		*path++ = '\0';
		bool v2 = ctl[1] == '\0', memory = false;
		for (char *save = NULL, *c = strtok_r(ctl + 1, ",", &save); c; c = strtok_r(NULL, ",", &save))
			memory = memory || !strcmp(c, "memory");
		if (!v2 && !memory)
			continue;
		struct ram r = path_ram(root, path, v2);
		least.room = smaller(least.room, r.room);
		least.limit = smaller(least.limit, r.limit);
	}
	free(line);
	if (f)
		fclose(f);
	return least;
}

static uint64_t meminfo(const char *root, const char *key)
{
	uint64_t kib = number_in(root, "/proc", "meminfo", key);
	return kib == UINT64_MAX ? (uint64_t)1 << 30 : kib << 10;
}

uint64_t system_free_ram(const char *root)
{
	return smaller(meminfo(root, "MemAvailable:"), cgroups_ram(root).room);
}

uint64_t system_total_ram(const char *root)
{
	return smaller(meminfo(root, "MemTotal:"), cgroups_ram(root).limit);
}

uint64_t plan_free_ram(void)
{
	return system_free_ram("");
}

uint64_t plan_total_ram(void)
{
	return system_total_ram("");
}

uint64_t plan_process_ram(void)
{
	unsigned long long total, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	if (f && fscanf(f, "%llu %llu", &total, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t plan_peak_ram(void)
{
	struct rusage u;
	return getrusage(RUSAGE_SELF, &u) == 0 ? (uint64_t)u.ru_maxrss << 10 : 0;
}
