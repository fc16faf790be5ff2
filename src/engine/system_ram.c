/* What the system has left, and what this process takes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/plan.h"

static bool read_number(const char *path, uint64_t *out)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	unsigned long long v;
	bool ok = fscanf(f, "%llu", &v) == 1;
	fclose(f);
	*out = v;
	return ok;
}

static uint64_t mem_available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib ? (uint64_t)kib << 10 : (uint64_t)1 << 30;
}

/* The room in the memory cgroup whose folder is `dir`, or UINT64_MAX. Page cache that the kernel can
 * drop is counted as used; the margin is the caller's. */
static uint64_t cgroup_room(const char *dir, const char *limit_name, const char *used_name)
{
	char path[512];
	uint64_t limit, used;
	snprintf(path, sizeof(path), "%s/%s", dir, limit_name);
	if (!read_number(path, &limit))
		return UINT64_MAX;
	snprintf(path, sizeof(path), "%s/%s", dir, used_name);
	if (!read_number(path, &used))
		return UINT64_MAX;
	return limit > used ? limit - used : 0;
}

/* The tightest limit from the process's group up to the root, cgroup v1 or v2. */
static uint64_t cgroup_free(void)
{
	uint64_t room = UINT64_MAX;
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[400];
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		char *ctl = strchr(line, ':'), *path = ctl ? strchr(ctl + 1, ':') : NULL;
		if (!path)
			continue;
		*path++ = '\0';
		bool v2 = ctl[1] == '\0';
		if (!v2 && strcmp(ctl + 1, "memory") != 0)
			continue;
		while (true) {
			char dir[480];
			snprintf(dir, sizeof(dir), "/sys/fs/cgroup%s%s", v2 ? "" : "/memory", path);
			uint64_t r = v2 ? cgroup_room(dir, "memory.max", "memory.current")
					: cgroup_room(dir, "memory.limit_in_bytes",
						  "memory.usage_in_bytes");
			room = r < room ? r : room;
			char *slash = strrchr(path, '/');
			if (!slash || !*path)
				break;
			*slash = '\0';
		}
	}
	if (f)
		fclose(f);
	return room;
}

uint64_t plan_free_ram(void)
{
	uint64_t a = mem_available(), b = cgroup_free();
	return a < b ? a : b;
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
