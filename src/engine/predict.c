#include "engine/predict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stream/stream.h"

#define MIB ((uint64_t)1 << 20)
#define LAPS 3 /* passes until the walk repeats itself */

/* Bytes of experts that a token is multiplied with. */
static double active_bytes(const struct plan *p, const struct model *m)
{
	const struct schedule *s = &p->schedule;
	return s->n_experts ? (double)s->expert_bytes * m->moe.top_k / s->n_experts : 0;
}

/* Of those, the share that is not in memory. */
static double miss_share(const struct plan *p, const struct predict_rates *r)
{
	const double all = (double)p->schedule.expert_bytes;
	if (r->expert_miss >= 0)
		return fmin(r->expert_miss, 1);
	return all > 0 ? fmax(1 - (double)p->expert_bytes / all, 0) : 0;
}

static double chunk_seconds(const struct plan *p, const struct model *m, const struct predict_rates *r,
	const struct chunk *c)
{
	if (r->weight_s)
		return r->weight_s[c->weight] * c->rows / m->weights[c->weight].rows;
	return r->compute_s * (double)c->bytes / ((double)p->schedule.bytes + active_bytes(p, m));
}

/* What a token needs of one layer's experts, if all are chosen equally often. */
struct chosen {
	double bytes, compute_s;
};

static struct chosen chosen_of(const struct plan *p, const struct model *m, const struct predict_rates *r,
	uint32_t layer)
{
	const struct schedule *s = &p->schedule;
	struct chosen c = {0, 0};
	if (!s->n_experts || layer >= m->n_layers)
		return c;
	const uint32_t *first = s->expert_first + (size_t)layer * s->n_experts;
	const double share = (double)m->moe.top_k / s->n_experts;
	for (uint32_t i = first[0]; i < first[s->n_experts]; i++) {
		c.bytes += share * (double)s->expert_chunks[i].bytes;
		c.compute_s += share * chunk_seconds(p, m, r, &s->expert_chunks[i]);
	}
	return c;
}

/* A row of the embedding is read for each token, unless it is in memory. */
static double embed_seconds(const struct plan *p, const struct model *m, const struct predict_rates *r)
{
	const struct weight *w = m->by_role ? model_weight(m, m->n_layers, ROLE_EMBED) : NULL;
	double all = w ? (double)w->row_bytes * m->vocab : 0, here = (double)p->embed_bytes;
	if (m->tied)
		here = all * p->layers[m->n_layers] / 100;
	return all > here && r->latency_s > 0 ? r->latency_s * (1 - here / all) : 0;
}

struct walk {
	const struct plan *p;
	const struct model *m;
	const struct predict_rates *r;
	double *chunk_s;       /* [s.n] */
	struct chosen *chosen; /* [n_layers + 1] */
	double *end;	       /* when the engine was done with the i-th streamed chunk of all laps */
	size_t *which;	       /* which chunk that was */
	uint8_t *drive;	       /* [s.n] */
	double disk[2], now;
	size_t n, tail;
	uint64_t held;
};

/* A read may begin when those that the ring can't hold beside it are done. */
static void walk_read(struct walk *w, size_t i)
{
	const struct chunk *c = &w->p->schedule.chunks[i];
	const uint64_t bytes = stream_resident_bytes(c);
	double room = 0, *disk = &w->disk[w->drive[i]];
	for (; w->tail < w->n && w->held + bytes > w->p->ring_bytes; w->tail++) {
		w->held -= stream_resident_bytes(&w->p->schedule.chunks[w->which[w->tail]]);
		room = w->end[w->tail];
	}
	*disk = fmax(*disk, room + fmax(w->r->latency_s, 0)) + (double)c->bytes / w->r->disk_bytes_per_s;
	w->now = fmax(w->now, *disk);
	w->held += bytes;
	w->which[w->n] = i;
	w->end[w->n++] = w->now + w->chunk_s[i];
}

/* The chosen experts of a layer: known only now, those that are missing are read before all else, and computed
 * with as they come. */
static void walk_experts(struct walk *w, uint32_t layer, double miss)
{
	const struct chosen *c = &w->chosen[layer];
	if (c->bytes <= 0)
		return;
	if (miss > 0) {
		const uint32_t drives = w->r->drives > 1 ? w->r->drives : 1;
		double last = c->compute_s / w->m->moe.top_k;
		w->disk[0] = fmax(w->disk[0], w->now + fmax(w->r->latency_s, 0)) +
			     c->bytes * miss / w->r->disk_bytes_per_s / drives;
		w->now = fmax(w->now + c->compute_s - last, w->disk[0]) + last;
	} else {
		w->now += c->compute_s;
	}
}

/* The engine takes chunk after chunk; the disk reads one after the other, each as soon as the ring has
 * room for it. Returns the time of the last lap. */
static double walk(struct walk *w)
{
	const struct schedule *s = &w->p->schedule;
	const double miss = miss_share(w->p, w->r), embed = embed_seconds(w->p, w->m, w->r);
	double lap = 0;
	for (int k = 0; k < LAPS; k++) {
		double start = w->now;
		w->now += embed;
		for (size_t i = 0; i < s->n; i++) {
			if (w->p->tiers[i] == TIER_DISK)
				walk_read(w, i);
			w->now += w->chunk_s[i];
			if (i + 1 == s->n || s->chunks[i + 1].layer != s->chunks[i].layer)
				walk_experts(w, s->chunks[i].layer, miss);
		}
		w->now += w->r->rest_s;
		lap = w->now - start;
	}
	return lap;
}

/* As prepare spreads them: each matrix to the drive that has less. */
static void place_drives(struct walk *w)
{
	const struct schedule *s = &w->p->schedule;
	uint64_t filled[2] = {0, 0};
	uint8_t to = 0;
	for (size_t i = 0; i < s->n && w->r->drives > 1; i++) {
		if (i == 0 || s->chunks[i].weight != s->chunks[i - 1].weight)
			to = filled[1] < filled[0];
		filled[to] += s->chunks[i].bytes;
		w->drive[i] = to;
	}
}

void predict_token(struct predicted *out, const struct plan *p, const struct model *m,
	const struct predict_rates *r)
{
	const struct schedule *s = &p->schedule;
	*out = (struct predicted)PREDICTED_UNKNOWN;
	struct walk w = {.p = p, .m = m, .r = r, .chunk_s = mem_array(s->n, sizeof(double)),
		.chosen = mem_array((size_t)m->n_layers + 1, sizeof(*w.chosen)),
		.end = mem_array(s->n * LAPS, sizeof(double)), .which = mem_array(s->n * LAPS, sizeof(size_t)),
		.drive = mem_array(s->n, 1)};
	out->expert_bytes = active_bytes(p, m) * miss_share(p, r);
	double bytes = (double)p->streamed_bytes + out->expert_bytes, drives = r->drives > 1 ? r->drives : 1;
	bool disk = bytes <= 0 || r->disk_bytes_per_s > 0;
	bool compute = (r->weight_s || r->compute_s >= 0) && r->rest_s >= 0;
	if (disk)
		out->disk_s = bytes > 0 ? bytes / r->disk_bytes_per_s / drives : 0;
	if (compute && w.chunk_s && w.chosen && w.end && w.which && w.drive) {
		out->compute_s = r->rest_s;
		for (size_t i = 0; i < s->n; i++)
			out->compute_s += w.chunk_s[i] = chunk_seconds(p, m, r, &s->chunks[i]);
		for (uint32_t l = 0; l < m->n_layers; l++) {
			w.chosen[l] = chosen_of(p, m, r, l);
			out->compute_s += w.chosen[l].compute_s;
		}
		place_drives(&w);
		if (disk) {
			out->floor_s = fmax(out->disk_s, out->compute_s);
			out->token_s = walk(&w);
		}
	}
	free(w.chunk_s);
	free(w.chosen);
	free(w.end);
	free(w.which);
	free(w.drive);
}

static double with_latency(struct predict_rates *r, const struct plan *p, const struct model *m, double s)
{
	struct predicted out;
	r->latency_s = s;
	predict_token(&out, p, m, r);
	return out.token_s;
}

void predict_fit(struct predict_rates *r, const struct plan *p, const struct model *m, double token_s)
{
	double low = 0, known = r->latency_s, high = fmax(known, 1e-6);
	if (with_latency(r, p, m, high) < 0) {
		r->latency_s = known;
		return;
	}
	for (int i = 0; i < 12 && with_latency(r, p, m, high) < token_s; i++)
		high *= 4;
	for (int i = 0; i < 16; i++) {
		double mid = (low + high) / 2;
		if (with_latency(r, p, m, mid) < token_s)
			low = mid;
		else
			high = mid;
	}
	r->latency_s = low;
}

void predict_size(char *out, size_t cap, uint64_t bytes)
{
	double mib = ceil((double)bytes / (double)MIB);
	if (mib < 1024)
		snprintf(out, cap, "%.0fM", mib);
	else
		snprintf(out, cap, "%.1fG", ceil(mib / 102.4) / 10);
}

/* The time of a token with this budget; negative when it is not known. */
static double with_budget(const struct plan *p, const struct model *m, const struct predict_rates *r, uint64_t ram)
{
	struct plan_request request = p->request;
	struct plan other;
	struct predicted t = PREDICTED_UNKNOWN;
	struct predict_rates rates = *r;
	struct err ignored = ERR_INIT;
	request.ram = ram;
	if (plan_make(&other, m, &request, &ignored) == 0) {
		/* what was measured of the experts' cache changes as it would if all were chosen equally often */
		const struct predict_rates even = {.expert_miss = -1};
		double now = miss_share(p, &even);
		if (r->expert_miss >= 0 && now > 0)
			rates.expert_miss = r->expert_miss * miss_share(&other, &even) / now;
		predict_token(&t, &other, m, &rates);
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
	uint64_t cached = p->expert_bytes < p->schedule.expert_bytes ? p->expert_bytes : p->schedule.expert_bytes;
	uint64_t all = p->streamed_bytes + p->schedule.expert_bytes - cached;
	if (all == 0)
		return 0;
	/* Alignment takes a page or two a chunk more. */
	all += (p->schedule.n + p->schedule.n_expert_chunks) * 2 * MEM_PAGE;
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

enum dtype predict_prepared_dtype(const struct checkpoint *c, int bits)
{
	if (c->kind == CHECKPOINT_GGUF)
		return bits == 4 ? DTYPE_Q4_0 : DTYPE_Q8_0;
	return bits == 4 ? DTYPE_NF4 : DTYPE_I8;
}

static double bits_an_element(enum dtype t)
{
	return (double)dtype_info(t)->block_bytes * 8 / dtype_info(t)->block;
}

enum dtype predict_weight_dtype(const struct model *m, const struct weight *w, enum dtype as)
{
	if (as == DTYPE_UNKNOWN || w->layer >= m->n_layers || w->rows < 2 || !role_is_streamed(w->role) ||
		w->role == ROLE_ROUTER || w->cols % dtype_info(as)->block ||
		bits_an_element(w->dtype) <= bits_an_element(as))
		return w->dtype;
	return as;
}

/* m with its weights as prepare would store them, for the planner alone: `weights` is to be freed. Scales are
 * counted with their rows. */
static bool prepared_model(struct model *out, const struct model *m, enum dtype as)
{
	struct weight *w = mem_array(m->n_weights, sizeof(*w));
	if (!w)
		return false;
	*out = *m;
	out->weights = w;
	for (size_t i = 0; i < m->n_weights; i++) {
		w[i] = m->weights[i];
		enum dtype to = predict_weight_dtype(m, &w[i], as);
		if (to == w[i].dtype)
			continue;
		const uint64_t scales = as == DTYPE_NF4 ? (w[i].cols + 63) / 64 * 65 / 64 : as == DTYPE_I8 ? 4 : 0;
		w[i].row_bytes = dtype_bytes(to, w[i].cols) + scales;
		w[i].dtype = to;
		w[i].has_scaling = w[i].scales_streamed = false;
		w[i].scale = w[i].nested = NULL;
		out->bytes += w[i].rows * w[i].row_bytes;
		out->bytes -= w[i].rows * m->weights[i].row_bytes;
	}
	return true;
}

bool predict_prepared(struct predict_option *out, const struct plan *p, const struct model *m,
	const struct predict_rates *r, enum dtype as)
{
	struct model small;
	struct plan other;
	struct predicted t = PREDICTED_UNKNOWN;
	struct err ignored = ERR_INIT;
	if (!prepared_model(&small, m, as))
		return false;
	if ((double)small.bytes < 0.8 * (double)m->bytes && plan_make(&other, &small, &p->request, &ignored) == 0) {
		predict_token(&t, &other, &small, r);
		plan_clear(&other);
	}
	free(small.weights);
	*out = (struct predict_option){.token_s = t.token_s};
	snprintf(out->change, sizeof(out->change), "prepare --quant %s", as == DTYPE_I8 ? "int8" : dtype_info(as)->name);
	return t.token_s > 0;
}

bool predict_threads(struct predict_option *out, const struct plan *p, const struct model *m,
	const struct predict_rates *r, int threads)
{
	struct predicted t;
	predict_token(&t, p, m, r);
	*out = (struct predict_option){.token_s = t.token_s};
	snprintf(out->change, sizeof(out->change), "--threads %d", threads);
	return t.token_s > 0;
}

bool predict_stripes(struct predict_option *out, const struct plan *p, const struct model *m,
	const struct predict_rates *r)
{
	struct predict_rates two = *r;
	struct predicted t;
	two.drives = 2;
	predict_token(&t, p, m, &two);
	*out = (struct predict_option){.token_s = t.token_s};
	snprintf(out->change, sizeof(out->change), "prepare --stripe DIR1,DIR2");
	return t.token_s > 0 && p->streamed_bytes + p->schedule.n_expert_chunks > 0;
}
