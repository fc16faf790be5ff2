#include "engine/probe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "stream/reader.h"

/* --- the drive ----------------------------------------------------------------------------------- */

#define LEAST_BYTES ((uint64_t)4 << 20) /* a smaller file tells nothing */
#define MOST_MEMORY ((size_t)32 << 20)
#define LATENCY_READS 8
#define ROUNDS 3
#define SLOW 300e6	/* bytes/s: below that requests of any size wait longer than they cost */
#define CLEARLY 1.1	/* so much faster than the usual requests others must be */
#define CACHE_MAGIC "airlchat-disk 2"
#define CACHE_AGE_S (7 * 24 * 3600)

/* What may be asked of the drive at once; the first is what is usual. */
static const struct {
	size_t request;
	unsigned depth;
} settings[] = {{READER_REQUEST, READER_DEPTH}, {(size_t)512 << 10, 16},
	{(size_t)256 << 10, 32}, {(size_t)128 << 10, 64}, {(size_t)2 << 20, 16}};
#define SETTINGS (sizeof(settings) / sizeof(*settings))
#define DEPTH_MAX 64

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
	uint64_t end;	     /* of what may be read */
	char *memory;
	size_t memory_bytes, request;
	unsigned depth;
};

static bool submit(struct probing *p, uint64_t slot, size_t bytes)
{
	if (p->req.offset + p->request > p->end)
		p->req.offset = 0;
	p->req.dst = p->memory + slot * p->request;
	p->req.tag = slot;
	p->req.bytes = bytes;
	if (!p->reader->ops->submit(p->reader, &p->req))
		return false;
	p->req.offset += p->request;
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

/* Bytes per second; what is read before the first eighth of the time has passed doesn't count. A slow drive, which
 * in this time brings little more than what was in flight, gets up to four times as long. */
static double measure_rate(struct probing *p, double seconds)
{
	const int64_t start = clock_ns(), end = start + (int64_t)(seconds * 1e9), latest = end + 3 * (end - start);
	const uint64_t enough = 2 * (uint64_t)p->depth * p->request;
	int64_t from = 0, to = 0;
	uint64_t bytes = 0;
	size_t in_flight = 0;
	bool failed = false;
	while (in_flight < p->depth && submit(p, in_flight, p->request))
		in_flight++;
	while (in_flight) {
		struct read_req done[DEPTH_MAX];
		size_t n = p->reader->ops->reap(p->reader, done, DEPTH_MAX, true);
		int64_t now = clock_ns();
		bool over = now >= end && (bytes >= enough || now >= latest);
		in_flight -= n;
		for (size_t i = 0; i < n; i++) {
			failed |= done[i].result <= 0;
			if (from && !to && done[i].result > 0)
				bytes += (uint64_t)done[i].result;
			if (!to && !over && !failed && submit(p, done[i].tag, p->request))
				in_flight++;
		}
		if (n && !from && now - start > (end - start) / 8)
			from = now;
		if (n && !to && over)
			to = now;
	}
	return failed || !from || to <= from ? -1 : (double)bytes / ((double)(to - from) / 1e9);
}

/* As many in flight as there is memory for. */
static void set(struct probing *p, size_t i)
{
	const uint64_t most = p->memory_bytes < p->end ? p->memory_bytes : p->end;
	p->request = settings[i].request;
	while (p->request > most)
		p->request /= 2;
	p->depth = settings[i].depth;
	if (p->depth > most / p->request)
		p->depth = (unsigned)(most / p->request);
}

/* The usual requests for half of the time, then, on a drive that is fast enough for it to matter, all kinds in
 * turn. Drives swing and have other users: another kind is chosen only if it is clearly faster in every round. */
static void measure(struct probe_disk *out, struct probing *p, double seconds)
{
	double gain[SETTINGS];
	size_t chosen = 0;
	set(p, 0);
	out->bytes_per_s = measure_rate(p, seconds / 2);
	if (out->bytes_per_s > 0 && out->bytes_per_s <= SLOW) /* other requests are not tried: there is time */
		out->bytes_per_s = measure_rate(p, seconds);
	for (size_t i = 0; i < SETTINGS; i++)
		gain[i] = out->bytes_per_s > SLOW ? 1000 : 0; /* of the worst round */
	for (size_t k = 0; out->bytes_per_s > SLOW && k < ROUNDS; k++) {
		double usual = 0;
		for (size_t i = 0; i < SETTINGS; i++) {
			set(p, i);
			double rate = measure_rate(p, seconds / 2 / (ROUNDS * SETTINGS));
			usual = i ? usual : rate;
			gain[i] = fmin(gain[i], usual > 0 ? rate / usual : 0);
		}
	}
	for (size_t i = 1; i < SETTINGS; i++)
		if (gain[i] > CLEARLY && gain[i] > gain[chosen])
			chosen = i;
	out->request = settings[chosen].request;
	out->depth = settings[chosen].depth;
	if (chosen) {
		set(p, chosen);
		out->bytes_per_s = fmax(out->bytes_per_s, measure_rate(p, seconds / 4));
	}
}

static int open_probing(struct probing *p, const struct checkpoint *c, const char *reader, struct err *e)
{
	uint8_t *wanted = mem_array(c->n_files, 1);
	p->memory = mem_pages(p->memory_bytes);
	int rc = wanted && p->memory ? 0 : err_nomem(e);
	if (rc == 0) {
		p->req.file = largest_file(c);
		wanted[p->req.file] = 1;
		p->end = mem_align_down(c->files[p->req.file].size, MEM_PAGE);
		/* somewhere else each time: what was read the last time may lie in a cache */
		p->req.offset = mem_align_down((uint64_t)clock_ns() * 2654435761u % p->end, MEM_PAGE);
		rc = reader_open(&p->reader, reader, c, wanted, DEPTH_MAX, e);
	}
	if (rc == 0 && p->reader->ops->use_buffer)
		p->reader->ops->use_buffer(p->reader, p->memory, p->memory_bytes);
	free(wanted);
	return rc;
}

int probe_disk(struct probe_disk *out, const struct checkpoint *c, const char *reader, double seconds,
	size_t memory, struct err *e)
{
	struct probing p = {.memory_bytes = memory && memory < MOST_MEMORY ? memory / MEM_PAGE * MEM_PAGE : MOST_MEMORY,
		.request = MEM_PAGE};
	struct stat st;
	*out = (struct probe_disk){.bytes_per_s = -1, .latency_s = -1};
	if (!file_stat(c, &st))
		return err_set(e, ERR_IO, "the model's file can't be looked at");
	const struct checkpoint_file *f = &c->files[largest_file(c)];
	if ((uint64_t)st.st_blocks * 512 < f->size / 4 * 3)
		return err_set(e, ERR_IO, "%s: its data are not on the disk", f->path);
	if (f->size < LEAST_BYTES)
		return err_set(e, ERR_IO, "%s is too small to measure the disk with", f->path);
	int rc = p.memory_bytes ? open_probing(&p, c, reader, e) : err_nomem(e);
	if (rc == 0) {
		out->latency_s = measure_latency(&p);
		measure(out, &p, seconds);
		snprintf(out->reader, sizeof(out->reader), "%s", p.reader->name);
		snprintf(out->note, sizeof(out->note), "%s", p.reader->note);
		if (p.reader->ops->use_buffer)
			p.reader->ops->use_buffer(p.reader, NULL, 0);
		p.reader->ops->close(p.reader);
		if (out->bytes_per_s <= 0)
			rc = err_set(e, ERR_IO, "%s can't be read to measure the disk", f->path);
	}
	mem_pages_free(p.memory, p.memory_bytes);
	return rc;
}

/* One small file for each device and file system. NULL without a cache folder. */
static char *cache_path(const struct checkpoint *c, bool make)
{
	struct stat st;
	struct statfs fs;
	struct err ignored = ERR_INIT;
	uint64_t id = 0;
	char name[96];
	if (!file_stat(c, &st) || statfs(c->files[largest_file(c)].path, &fs) < 0)
		return NULL;
	char *dir = path_user_dir(USER_CACHE, make, &ignored);
	if (!dir)
		return NULL;
	memcpy(&id, &fs.f_fsid, sizeof(fs.f_fsid) < sizeof(id) ? sizeof(fs.f_fsid) : sizeof(id));
	snprintf(name, sizeof(name), "disk-%u-%u-%lx-%llx", major(st.st_dev), minor(st.st_dev),
		(unsigned long)fs.f_type, (unsigned long long)id);
	char *path = path_join(dir, name);
	free(dir);
	return path;
}

static bool parse(struct probe_disk *out, const char *text)
{
	char reader[32];
	double rate, latency;
	unsigned long request;
	unsigned depth;
	long long at;
	if (strncmp(text, CACHE_MAGIC " ", sizeof(CACHE_MAGIC)) != 0 ||
		sscanf(text + sizeof(CACHE_MAGIC), "%lf %lf %lu %u %lld %31s", &rate, &latency, &request, &depth,
			&at, reader) != 6)
		return false;
	const long long age = (long long)time(NULL) - at;
	if (!(rate > 0 && rate < 1e15 && latency > 0 && latency < 100) || age < 0 || age > CACHE_AGE_S)
		return false;
	size_t i = 0;
	while (i < SETTINGS && (settings[i].request != request || settings[i].depth != depth))
		i++;
	if (i == SETTINGS)
		return false;
	*out = (struct probe_disk){.bytes_per_s = rate, .latency_s = latency, .request = request, .depth = depth,
		.age_s = age > 1 ? age : 1};
	for (const char *p = reader; *p; p++) /* it is printed */
		if (!strchr("abcdefghijklmnopqrstuvwxyz+", *p))
			return false;
	snprintf(out->reader, sizeof(out->reader), "%s", reader);
	return true;
}

bool probe_disk_cached(struct probe_disk *out, const struct checkpoint *c)
{
	struct buf b = BUF_INIT;
	struct err ignored = ERR_INIT;
	char *path = cache_path(c, false);
	bool found = path && file_read(path, 4096, &b, &ignored) == 0 && parse(out, buf_str(&b));
	if (!found)
		*out = (struct probe_disk){.bytes_per_s = -1, .latency_s = -1};
	free(path);
	buf_clear(&b);
	return found;
}

void probe_disk_keep(const struct probe_disk *d, const struct checkpoint *c)
{
	char text[192];
	struct err ignored = ERR_INIT;
	char *path = cache_path(c, true);
	int n = snprintf(text, sizeof(text), CACHE_MAGIC " %.0f %.9f %zu %u %lld %s\n", d->bytes_per_s, d->latency_s,
		d->request, d->depth, (long long)time(NULL), d->reader);
	if (path && d->bytes_per_s > 0 && d->latency_s > 0)
		(void)file_write(path, text, (size_t)n, 0600, &ignored);
	free(path);
}

/* Drives that the files lie on, up to 4: each is to have its reads in flight. */
static unsigned count_drives(const struct checkpoint *c)
{
	dev_t seen[4];
	unsigned n = 0;
	for (size_t i = 0; i < c->n_files && n < 4; i++) {
		struct stat st;
		unsigned k = 0;
		if (stat(c->files[i].path, &st) < 0)
			continue;
		while (k < n && seen[k] != st.st_dev)
			k++;
		if (k == n)
			seen[n++] = st.st_dev;
	}
	return n ? n : 1;
}

int probe_reader_open(struct reader **out, const char *kind, const struct checkpoint *c,
	const struct probe_disk *d, struct err *e)
{
	if (reader_open(out, kind, c, NULL, (d->depth ? d->depth : READER_DEPTH) * count_drives(c), e) < 0)
		return -1;
	if (d->request)
		(*out)->request = d->request;
	return 0;
}
