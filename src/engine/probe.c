#include "engine/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "stream/reader.h"

/* --- the drive ----------------------------------------------------------------------------------- */

#define READ_BYTES ((size_t)512 << 10)
#define READS 16		       /* in flight: 8 MiB in all */
#define LEAST_BYTES ((uint64_t)4 << 20) /* a smaller file tells nothing */
#define LATENCY_READS 8

/* The file that holds most of the model. */
static uint32_t largest_file(const struct checkpoint *c)
{
	size_t best = 0;
	for (size_t i = 1; i < c->n_files; i++)
		best = c->files[i].size > c->files[best].size ? i : best;
	return (uint32_t)best;
}

static bool file_stat(const struct checkpoint *c, struct stat *st)
{
	return c->n_files && stat(c->files[largest_file(c)].path, st) == 0;
}

struct probing {
	struct reader *reader;
	struct read_req req; /* the next one */
	uint64_t end;	     /* of what may be read; a multiple of READ_BYTES */
	char *memory;
};

static bool submit(struct probing *p, uint64_t slot, size_t bytes)
{
	p->req.dst = p->memory + slot * READ_BYTES;
	p->req.tag = slot;
	p->req.bytes = bytes;
	if (!p->reader->ops->submit(p->reader, &p->req))
		return false;
	p->req.offset += READ_BYTES;
	if (p->req.offset >= p->end)
		p->req.offset = 0;
	return true;
}

static double measure_latency(struct probing *p)
{
	double best = -1;
	for (int i = 0; i < LATENCY_READS; i++) {
		struct read_req done;
		int64_t start = clock_ns();
		if (!submit(p, 0, MEM_PAGE))
			return -1;
		while (p->reader->ops->reap(p->reader, &done, 1, true) == 0)
			;
		double s = (double)(clock_ns() - start) / 1e9;
		if (done.result < 0)
			return -1;
		best = best < 0 || s < best ? s : best;
	}
	return best;
}

/* Bytes per second; what is read before the first eighth of the time has passed doesn't count. */
static double measure_rate(struct probing *p, double seconds)
{
	const int64_t start = clock_ns(), end = start + (int64_t)(seconds * 1e9);
	int64_t from = 0, to = 0;
	uint64_t bytes = 0;
	size_t in_flight = 0;
	bool failed = false;
	while (in_flight < READS && submit(p, in_flight, READ_BYTES))
		in_flight++;
	while (in_flight) {
		struct read_req done[READS];
		size_t n = p->reader->ops->reap(p->reader, done, READS, true);
		int64_t now = clock_ns();
		in_flight -= n;
		for (size_t i = 0; i < n; i++) {
			failed |= done[i].result <= 0;
			if (from && !to && done[i].result > 0)
				bytes += (uint64_t)done[i].result;
			if (!to && now < end && !failed && submit(p, done[i].tag, READ_BYTES))
				in_flight++;
		}
		if (n && !from && now - start > (end - start) / 8)
			from = now;
		if (n && !to && now >= end)
			to = now;
	}
	return failed || !from || to <= from ? -1 : (double)bytes / ((double)(to - from) / 1e9);
}

int probe_disk(struct probe_disk *out, const struct checkpoint *c, const char *reader, double seconds,
	struct err *e)
{
	struct probing p = {0};
	struct stat st;
	*out = (struct probe_disk){.bytes_per_s = -1, .latency_s = -1};
	if (!file_stat(c, &st))
		return err_set(e, ERR_IO, "the model's file can't be looked at");
	const struct checkpoint_file *f = &c->files[largest_file(c)];
	if ((uint64_t)st.st_blocks * 512 < f->size / 4 * 3)
		return err_set(e, ERR_IO, "%s: its data are not on the disk", f->path);
	if (f->size < LEAST_BYTES)
		return err_set(e, ERR_IO, "%s is too small to measure the disk with", f->path);
	uint8_t *wanted = mem_array(c->n_files, 1);
	p.memory = mem_pages(READS * READ_BYTES);
	int rc = wanted && p.memory ? 0 : err_nomem(e);
	if (rc == 0) {
		p.req.file = largest_file(c);
		wanted[p.req.file] = 1;
		p.end = f->size / READ_BYTES * READ_BYTES;
		rc = reader_open(&p.reader, reader, c, wanted, READS, e);
	}
	if (rc == 0) {
		out->latency_s = measure_latency(&p);
		out->bytes_per_s = measure_rate(&p, seconds);
		snprintf(out->reader, sizeof(out->reader), "%s", p.reader->name);
		p.reader->ops->close(p.reader);
		if (out->bytes_per_s <= 0)
			rc = err_set(e, ERR_IO, "%s can't be read to measure the disk", f->path);
	}
	mem_pages_free(p.memory, READS * READ_BYTES);
	free(wanted);
	return rc;
}

/* One small file a device: "bytes_per_s latency_s time". NULL without a cache folder. */
static char *cache_path(const struct checkpoint *c, bool make)
{
	struct stat st;
	struct err ignored = ERR_INIT;
	char name[64];
	if (!file_stat(c, &st))
		return NULL;
	char *dir = path_user_dir(USER_CACHE, make, &ignored);
	if (!dir)
		return NULL;
	snprintf(name, sizeof(name), "disk-%u-%u", major(st.st_dev), minor(st.st_dev));
	char *path = path_join(dir, name);
	free(dir);
	return path;
}

bool probe_disk_cached(struct probe_disk *out, const struct checkpoint *c)
{
	struct buf b = BUF_INIT;
	struct err ignored = ERR_INIT;
	double rate = 0, latency = 0;
	long long at = 0;
	char *path = cache_path(c, false);
	*out = (struct probe_disk){.bytes_per_s = -1, .latency_s = -1};
	bool found = path && file_read(path, 4096, &b, &ignored) == 0 &&
		     sscanf(buf_str(&b), "%lf %lf %lld", &rate, &latency, &at) == 3 && rate > 0 && rate < 1e15 &&
		     latency > 0 && latency < 100;
	if (found) {
		int64_t age = (int64_t)time(NULL) - at;
		*out = (struct probe_disk){.bytes_per_s = rate, .latency_s = latency,
			.age_s = age > 1 ? age : 1, .reader = "cached"};
	}
	free(path);
	buf_clear(&b);
	return found;
}

void probe_disk_keep(const struct probe_disk *d, const struct checkpoint *c)
{
	char text[128];
	struct err ignored = ERR_INIT;
	char *path = cache_path(c, true);
	int n = snprintf(text, sizeof(text), "%.0f %.9f %lld\n", d->bytes_per_s, d->latency_s,
		(long long)time(NULL));
	if (path && d->bytes_per_s > 0 && d->latency_s > 0)
		(void)file_write(path, text, (size_t)n, 0600, &ignored);
	free(path);
}
