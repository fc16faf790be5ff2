#include "engine/plan.h"

#include <stdlib.h>

#include "base/mem.h"
#include "engine/scales.h"
#include "engine/moe.h"
#include "stream/stream.h"

#define MIB ((uint64_t)1 << 20)
#define CHUNK_MIN (MIB / 2)
#define CHUNK_MAX (8 * MIB)
#define RING_CHUNKS 16	       /* reads ahead: enough for the drive's full bandwidth */
#define BASE_GROWTH (3 * MIB)  /* what the process still adds: stacks, heap, buffers of the reader */
#define BASE_LEAST (13 * MIB)  /* program, libraries and heap of a command that answers */
#define TOKEN_BYTES 100        /* a vocabulary entry in the tokenizer's tables, its merges included */
#define DEFAULT_CTX 4096
#define EMBED_ROWS 64 /* of the embedding's rows that are remembered */

static uint64_t kv_bytes(const struct model *m, enum dtype type, uint64_t ctx)
{
	uint64_t k, v;
	attention_cell_bytes(m, type, &k, &v);
	return m->n_layers * (mem_align_up(ctx * k, MEM_PAGE) + mem_align_up(ctx * v, MEM_PAGE));
}

static uint64_t activation_bytes(const struct model *m, uint64_t n, uint64_t logits_rows)
{
	struct work w;
	return buffers_work(&w, NULL, m, n, logits_rows, 0) + moe_host_bytes(m, n) + 16 * MEM_PAGE;
}

static uint64_t fixed_bytes(const struct plan *p)
{
	return p->base_bytes + p->backend_bytes + p->kv_bytes + p->activation_bytes + p->small_bytes +
		p->embed_bytes;
}

static uint64_t embed_row(const struct model *m)
{
	return model_weight(m, m->n_layers, ROLE_EMBED)->row_bytes + sizeof(uint32_t);
}

/* Choose the largest chunk whose comfortable ring takes at most a quarter of what the fixed parts
 * leave; below that the smallest chunk with the smallest ring, which defines the floor. */
static int choose_chunks(struct plan *p, const struct model *m, uint64_t all_room, uint64_t wanted,
	struct err *e)
{
	uint64_t chunk = wanted ? wanted : CHUNK_MAX;
	for (;; chunk /= 2) {
		schedule_clear(&p->schedule);
		if (schedule_make(&p->schedule, m, chunk, e) < 0)
			return -1;
		uint64_t min = stream_ring_min(&p->schedule), all = 0;
		uint64_t experts = stream_expert_min(&p->schedule, 0);
		uint64_t room = all_room > experts ? all_room - experts : 0;
		for (size_t i = 0; i < p->schedule.n; i++)
			all += stream_resident_bytes(&p->schedule.chunks[i]);
		uint64_t full = RING_CHUNKS * (mem_align_up(p->schedule.max_bytes, MEM_PAGE) + MEM_PAGE);
		p->chunk_bytes = chunk;
		p->ring_bytes = full > min ? full : min;
		if (all + min <= room) /* everything will be resident: the ring only feeds the first pass */
			p->ring_bytes = min;
		bool last = wanted || chunk <= CHUNK_MIN;
		if (p->ring_bytes <= room / 4 || (all + min <= room && last))
			return 0;
		if (last) {
			p->ring_bytes = room / 4 > min ? room / 4 / MEM_PAGE * MEM_PAGE : min;
			return 0;
		}
	}
}

/* Mark chunks of tier `from` as `to`, spread evenly, as many as fit in `budget`. Error diffusion: a
 * chunk is taken when the share that is due has reached half of it. Returns the bytes taken. */
static uint64_t spread(struct plan *p, uint8_t from, uint8_t to, uint64_t budget)
{
	uint64_t total = 0, used = 0;
	for (size_t i = 0; i < p->schedule.n; i++)
		if (p->tiers[i] == from)
			total += stream_resident_bytes(&p->schedule.chunks[i]);
	double share = total ? (double)budget / (double)total : 0, due = 0;
	for (int greedy = 0; greedy < 2; greedy++) { /* the second round fills what rounding left */
		for (size_t i = 0; i < p->schedule.n; i++) {
			uint64_t b = stream_resident_bytes(&p->schedule.chunks[i]);
			if (p->tiers[i] != from)
				continue;
			due += (double)b * share;
			if ((!greedy && due < (double)b / 2) || b > budget - used)
				continue;
			p->tiers[i] = to;
			used += b;
			due -= (double)b;
		}
	}
	return used;
}

static int tell_layers(struct plan *p, const struct model *m, struct err *e)
{
	uint64_t *sum = mem_array(2 * ((size_t)m->n_layers + 1), sizeof(*sum));
	p->layers = mem_array((size_t)m->n_layers + 1, 1);
	if (!sum || !p->layers) {
		free(sum);
		return err_nomem(e);
	}
	p->resident_bytes = p->streamed_bytes = 0;
	for (size_t i = 0; i < p->schedule.n; i++) {
		const struct chunk *c = &p->schedule.chunks[i];
		bool kept = p->tiers[i] != TIER_DISK;
		*(kept ? &p->resident_bytes : &p->streamed_bytes) += c->bytes;
		sum[2 * c->layer] += kept ? c->bytes : 0;
		sum[2 * c->layer + 1] += c->bytes;
	}
	for (uint32_t l = 0; l <= m->n_layers; l++)
		p->layers[l] = (uint8_t)(sum[2 * l + 1] ? sum[2 * l] * 100 / sum[2 * l + 1] : 0);
	free(sum);
	return 0;
}

static uint64_t floor_of(struct plan *p, const struct model *m, uint64_t wanted, struct err *e)
{
	struct schedule s;
	if (schedule_make(&s, m, wanted ? wanted : CHUNK_MIN, e) < 0)
		return 0;
	uint64_t min = fixed_bytes(p) + stream_ring_min(&s) + stream_expert_min(&s, 0);
	schedule_clear(&s);
	return mem_align_up(min, MIB);
}

/* The default context: as much as fits beside the floor. */
static void choose_ctx(struct plan *p, const struct model *m, const struct plan_request *r)
{
	if (r->ctx) {
		p->ctx = r->ctx;
		p->kv_bytes = kv_bytes(m, p->kv_type, p->ctx);
		return;
	}
	p->ctx = m->ctx_train < DEFAULT_CTX ? m->ctx_train : DEFAULT_CTX;
	for (;; p->ctx /= 2) {
		p->kv_bytes = kv_bytes(m, p->kv_type, p->ctx);
		struct err ignored = ERR_INIT;
		if (p->ctx <= 256 || !r->host_memory ||
			floor_of(p, m, r->chunk_bytes, &ignored) <= p->ram_bytes)
			return;
	}
}

static int plan_device(struct plan *p, const struct plan_request *r, struct err *e)
{
	uint64_t fixed = p->kv_bytes + p->activation_bytes + p->small_bytes;
	p->device_ring_bytes = p->ring_bytes;
	if (fixed + p->device_ring_bytes > r->vram)
		return err_set(e, ERR_BUDGET, "a VRAM budget of %llu MiB is too small: the smallest that works is %llu MiB",
			(unsigned long long)(r->vram / MIB),
			(unsigned long long)((fixed + p->device_ring_bytes + MIB - 1) / MIB));
	p->vram_bytes = r->vram;
	p->vram_used = fixed + p->device_ring_bytes;
	p->vram_used += spread(p, TIER_DISK, TIER_VRAM, r->vram - p->vram_used);
	return 0;
}

/* Of the budget, at most the whole embedding; none where the resident head is the same matrix. */
static uint64_t left_over(const struct plan *p, const struct model *m)
{
	uint64_t used = fixed_bytes(p) + p->ring_bytes + p->expert_bytes, all = embed_row(m) * m->vocab;
	for (size_t i = 0; i < p->schedule.n; i++)
		if (p->tiers[i] == TIER_RAM)
			used += stream_resident_bytes(&p->schedule.chunks[i]);
	uint64_t left = p->ram_bytes > used ? p->ram_bytes - used : 0;
	return m->tied ? 0 : left < all ? left : all;
}

/* A cache for experts: what `room` is left, at most all of them. Every token needs the dense weights, but
 * of the experts only a few, so that these come second. */
static uint64_t expert_bytes(const struct plan *p, uint64_t room)
{
	const struct schedule *s = &p->schedule;
	uint64_t all = stream_expert_min(s, 0);
	for (size_t i = 0; i < s->n_expert_chunks; i++)
		all += stream_resident_bytes(&s->expert_chunks[i]) + MEM_PAGE;
	room = mem_align_down(room, MEM_PAGE);
	return !s->n_expert_chunks ? 0 : room < all ? room : all;
}

int plan_make(struct plan *p, const struct model *m, const struct plan_request *r, struct err *e)
{
	*p = (struct plan){.kv_type = r->kv_type,
		.prefill_rows = r->prefill_rows ? r->prefill_rows : PLAN_PREFILL_ROWS,
		.logits_rows = r->logits_rows ? r->logits_rows : 1};
	/* The same for `plan`, which loads no tokenizer, as for a run, which does: an estimate, unless
	 * the process is larger already. */
	uint64_t now = (r->base ? r->base : plan_process_ram()) + BASE_GROWTH;
	p->base_bytes = BASE_LEAST + (uint64_t)TOKEN_BYTES * m->vocab;
	if (now > p->base_bytes)
		p->base_bytes = now;
	p->backend_bytes = r->backend;
	p->small_bytes = mem_align_up(small_bytes(m) + scales_bytes(m), MEM_PAGE);
	uint64_t avail = plan_free_ram() + plan_process_ram();
	p->ram_bytes = r->ram ? r->ram : avail - avail / 10;
	if (r->ctx && r->ctx < p->prefill_rows)
		p->prefill_rows = r->ctx;
	p->activation_bytes = activation_bytes(m, p->prefill_rows, p->logits_rows);
	p->embed_bytes = EMBED_ROWS * embed_row(m);
	choose_ctx(p, m, r);
	p->min_ram_bytes = floor_of(p, m, r->chunk_bytes, e);
	if (!p->min_ram_bytes)
		return -1;
	if (p->ram_bytes < p->min_ram_bytes)
		return err_set(e, ERR_BUDGET,
			"a RAM budget of %llu MiB is too small: the smallest that works here is %llu MiB (of it %llu MiB for a context of %u tokens)",
			(unsigned long long)(p->ram_bytes / MIB),
			(unsigned long long)(p->min_ram_bytes / MIB),
			(unsigned long long)((p->kv_bytes + MIB - 1) / MIB), p->ctx);
	p->request = *r;
	p->request.ctx = p->ctx;
	p->request.base = p->base_bytes - BASE_GROWTH;
	uint64_t room = p->ram_bytes - fixed_bytes(p);
	if (choose_chunks(p, m, room, r->chunk_bytes, e) < 0)
		goto fail;
	p->tiers = mem_array(p->schedule.n, 1);
	if (!p->tiers) {
		err_nomem(e);
		goto fail;
	}
	if (!r->host_memory && plan_device(p, r, e) < 0)
		goto fail;
	uint64_t least = stream_expert_min(&p->schedule, 0);
	uint64_t kept = spread(p, TIER_DISK, TIER_RAM, room - p->ring_bytes - least);
	p->expert_bytes = expert_bytes(p, room - p->ring_bytes - kept);
	if (tell_layers(p, m, e) == 0) {
		if (!p->streamed_bytes) /* what is left is for rows of the embedding */
			p->embed_bytes += left_over(p, m);
		return 0;
	}
fail:
	plan_clear(p);
	return -1;
}

void plan_clear(struct plan *p)
{
	schedule_clear(&p->schedule);
	free(p->tiers);
	free(p->layers);
	p->tiers = p->layers = NULL;
}
