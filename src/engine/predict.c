#include "engine/predict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stream/stream.h"

#define MIB ((uint64_t)1 << 20)
#define LAPS 3 /* passes until the walk repeats itself */

static double chunk_seconds(const struct plan *p, const struct model *m, const struct predict_rates *r,
	const struct chunk *c)
{
	if (r->weight_s)
		return r->weight_s[c->weight] * c->rows / m->weights[c->weight].rows;
	return r->compute_s * (double)c->bytes / (double)p->schedule.bytes;
}

/* The engine takes chunk after chunk; the disk reads one after the other, each as soon as the ring has
 * room for it. end[i]: when the engine was done with the i-th streamed chunk of all laps; a read may begin
 * when those that the ring can't hold beside it are done. Returns the time of the last lap. */
static double walk(const struct plan *p, const struct predict_rates *r, double *end, const double *chunk_s)
{
	const struct schedule *s = &p->schedule;
	double disk = 0, now = 0, lap = 0;
	size_t n = 0, tail = 0;
	uint64_t held = 0;
	size_t *which = (size_t *)(void *)(end + LAPS * s->n);
	for (int k = 0; k < LAPS; k++) {
		double start = now;
		for (size_t i = 0; i < s->n; i++) {
			if (p->tiers[i] == TIER_DISK) {
				uint64_t bytes = stream_resident_bytes(&s->chunks[i]);
				double room = 0;
				for (; tail < n && held + bytes > p->ring_bytes; tail++) {
					held -= stream_resident_bytes(&s->chunks[which[tail]]);
					room = end[tail];
				}
				disk = fmax(disk, room + fmax(r->latency_s, 0)) +
				       (double)s->chunks[i].bytes / r->disk_bytes_per_s;
				now = fmax(now, disk);
				held += bytes;
				which[n] = i;
				end[n++] = now + chunk_s[i];
			}
			now += chunk_s[i];
		}
		now += r->rest_s;
		lap = now - start;
	}
	return lap;
}

void predict_token(struct predicted *out, const struct plan *p, const struct model *m,
	const struct predict_rates *r)
{
	const struct schedule *s = &p->schedule;
	*out = (struct predicted){-1, -1, -1, -1};
	bool disk = p->streamed_bytes == 0 || r->disk_bytes_per_s > 0;
	bool compute = (r->weight_s || r->compute_s >= 0) && r->rest_s >= 0;
	if (disk)
		out->disk_s = p->streamed_bytes ? (double)p->streamed_bytes / r->disk_bytes_per_s : 0;
	if (s->n_expert_chunks) /* which experts a token takes isn't known in advance */
		return;
	double *chunk_s = mem_array(s->n, sizeof(*chunk_s));
	double *end = mem_array(s->n * LAPS, sizeof(*end) + sizeof(size_t));
	if (compute && chunk_s && end) {
		out->compute_s = r->rest_s;
		for (size_t i = 0; i < s->n; i++)
			out->compute_s += chunk_s[i] = chunk_seconds(p, m, r, &s->chunks[i]);
		if (disk) {
			out->floor_s = fmax(out->disk_s, out->compute_s);
			out->token_s = walk(p, r, end, chunk_s);
		}
	}
	free(chunk_s);
	free(end);
}

void predict_size(char *out, size_t cap, uint64_t bytes)
{
	double mib = ceil((double)bytes / (double)MIB);
	if (mib < 1024)
		snprintf(out, cap, "%.0fM", mib);
	else
		snprintf(out, cap, "%.1fG", ceil(mib / 102.4) / 10);
}

static double with_budget(const struct plan *p, const struct model *m, const struct predict_rates *r, uint64_t ram)
{
	struct plan_request request = p->request;
	struct plan other;
	struct predicted t = {-1, -1, -1, -1};
	struct err ignored = ERR_INIT;
	request.ram = ram;
	if (plan_make(&other, m, &request, &ignored) == 0) {
		predict_token(&t, &other, m, r);
		plan_clear(&other);
	}
	return t.token_s;
}

/* The bytes that `predict_size` says. */
static uint64_t rounded(uint64_t bytes, char *text, size_t cap)
{
	predict_size(text, cap, bytes);
	return (uint64_t)(strtod(text, NULL) * (strchr(text, 'G') ? 1024.0 : 1.0) * (double)MIB);
}

size_t predict_budgets(struct predict_option *out, size_t max, const struct plan *p, const struct model *m,
	const struct predict_rates *r, uint64_t most)
{
	static const double parts[] = {0.25, 0.5, 1};
	size_t n = 0;
	if (p->streamed_bytes == 0)
		return 0;
	/* Alignment takes a page or two a chunk more. */
	uint64_t all = p->streamed_bytes + p->schedule.n * 2 * MEM_PAGE;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts) && n < max; i++) {
		char size[16];
		uint64_t ram = rounded(p->ram_bytes + (uint64_t)((double)all * parts[i]), size, sizeof(size));
		if (ram > most)
			break;
		double s = with_budget(p, m, r, ram);
		if (s < 0)
			continue;
		out[n] = (struct predict_option){.ram = ram, .token_s = s};
		snprintf(out[n++].change, sizeof(out->change), "--ram %s", size);
	}
	return n;
}

enum dtype predict_prepared_dtype(const struct checkpoint *c)
{
	return c->kind == CHECKPOINT_GGUF ? DTYPE_Q4_0 : DTYPE_NF4;
}

bool predict_prepared(struct predict_option *out, const struct plan *p, const struct model *m,
	const struct predict_rates *r, enum dtype as, double compute_s)
{
	double now = 0, then = 0;
	for (size_t i = 0; i < p->schedule.n; i++) {
		const struct chunk *c = &p->schedule.chunks[i];
		uint64_t elements = (uint64_t)m->weights[c->weight].cols * c->rows;
		double bytes = (double)dtype_bytes(as, elements);
		if (as == DTYPE_NF4) /* a byte of scale for 64 elements, and a float for 256 of those */
			bytes += (double)elements / 64 * (1 + 4.0 / 256);
		now += (double)c->bytes;
		then += c->layer < m->n_layers ? bytes : (double)c->bytes;
	}
	if (then > 0.8 * now || compute_s < 0 || r->disk_bytes_per_s <= 0 || p->schedule.n_expert_chunks)
		return false;
	/* The same budget holds more of the smaller weights: what streams is what is left over. */
	double streams = then - (double)p->resident_bytes;
	*out = (struct predict_option){
		.token_s = fmax(streams > 0 ? streams / r->disk_bytes_per_s : 0, compute_s + fmax(r->rest_s, 0))};
	snprintf(out->change, sizeof(out->change), "prepare --quant %s", dtype_info(as)->name);
	return true;
}
