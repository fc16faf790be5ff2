#include "engine/plan.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "engine/scales.h"
#include "engine/moe.h"
#include "stream/stream.h"

#define MIB ((uint64_t)1 << 20)
#define CHUNK_MIN (MIB / 4)
#define CHUNK_MAX (8 * MIB)
#define RING_CHUNKS 16	       /* reads ahead, but no more than RING_MAX: enough for the drive's bandwidth */
#define RING_MAX (64 * MIB)
#define RING_GAP (MIB / 5)     /* over the ring's size: the share of time in which nothing is read, about */
#define LEAST_CHUNKS 16384     /* the smallest chunk is so large that there are no more of them, up to CHUNK_MAX */
#define TABLE_BYTES 256	       /* of a chunk in the tables of schedule, plan, stream and trace */
#define EXPERT_TABLE_BYTES 384 /* likewise, of an expert's */
#define BASE_GROWTH (3 * MIB)  /* what the process still adds: stacks, heap, buffers of the reader */
#define BASE_LEAST (13 * MIB)  /* program, libraries and heap of a command that answers */
#define TOKEN_BYTES 100        /* a vocabulary entry in the tokenizer's tables, its merges included */
#define MARGIN_LEAST (16 * MIB) /* what a run may take beyond its budget */
#define DEFAULT_CTX 4096
#define SMALL_CTX 256 /* a default context is halved down to this, or below, where memory is short */
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

/* Beside ring, resident chunks and experts, in host memory. What a device holds itself is staged there. */
static uint64_t fixed_bytes(const struct plan *p)
{
	uint64_t sum = p->base_bytes + p->backend_bytes + p->activation_bytes + p->embed_bytes;
	return p->request.host_memory ? sum + p->kv_bytes + p->small_bytes : sum;
}

/* What depends on how the weights are cut: tables, and on the device's side the stage of experts. */
static uint64_t table_bytes(const struct plan *p, const struct schedule *s)
{
	uint64_t stage = p->request.host_memory ? 0 : stream_stage_bytes(s);
	return TABLE_BYTES * s->n + EXPERT_TABLE_BYTES * s->n_expert_chunks + stage;
}

static uint64_t embed_row(const struct model *m)
{
	return model_weight(m, m->n_layers, ROLE_EMBED)->row_bytes + sizeof(uint32_t);
}

static uint64_t least_chunk(const struct model *m)
{
	uint64_t chunk = CHUNK_MIN;
	while (chunk < CHUNK_MAX && m->bytes / chunk > LEAST_CHUNKS)
		chunk *= 2;
	return chunk;
}

static uint64_t spans(const struct chunk *c, size_t n)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += stream_resident_bytes(&c[i]);
	return sum;
}

/* A cache of this size holds every expert. */
static uint64_t all_experts(const struct schedule *s)
{
	return s->n_expert_chunks ? spans(s->expert_chunks, s->n_expert_chunks) + stream_expert_min(s, 0) : 0;
}

/* What the ring may take of what the fixed parts leave: a quarter. Where that is little, more: a byte of the ring is
 * one that is read each pass, but a ring that holds a few milliseconds of the disk's work runs full, or dry, at
 * each delay. gap / ring + ring / weights is least at the root. */
static uint64_t ring_allowance(const struct model *m, uint64_t room)
{
	uint64_t least = (uint64_t)sqrt((double)RING_GAP * (double)m->bytes);
	if (least > room / 4 * 3)
		least = room / 4 * 3;
	return least > room / 4 ? least : room / 4;
}

/* Choose the largest chunk whose comfortable ring is not too large; below that the smallest chunk with the smallest
 * ring, which defines the floor. */
static int choose_chunks(struct plan *p, const struct model *m, uint64_t room, uint64_t wanted,
	struct err *e)
{
	const uint64_t most = ring_allowance(m, room);
	uint64_t chunk = wanted ? wanted : CHUNK_MAX;
	for (;; chunk /= 2) {
		const struct schedule *s = &p->schedule;
		schedule_clear(&p->schedule);
		if (schedule_make(&p->schedule, m, chunk, e) < 0)
			return -1;
		uint64_t min = stream_ring_min(s), table = table_bytes(p, s);
		uint64_t all = spans(s->chunks, s->n) + all_experts(s) + min + table;
		uint64_t full = RING_CHUNKS * (mem_align_up(s->max_bytes, MEM_PAGE) + MEM_PAGE);
		bool last = wanted || chunk <= least_chunk(m);
		p->chunk_bytes = chunk;
		p->table_bytes = table;
		p->ring_bytes = full < RING_MAX ? full : RING_MAX;
		if (p->ring_bytes < min || (p->request.host_memory && all <= room))
			p->ring_bytes = min; /* all resident: the ring only feeds the first pass */
		if (p->ring_bytes + table <= most || (all <= room && last))
			return 0;
		if (last) {
			p->ring_bytes = most > min ? most / MEM_PAGE * MEM_PAGE : min;
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

/* What is needed beside the fixed parts; 0: an error. */
static uint64_t least_beside(struct plan *p, const struct model *m, uint64_t wanted, struct err *e)
{
	struct schedule s;
	if (schedule_make(&s, m, wanted ? wanted : least_chunk(m), e) < 0)
		return 0;
	uint64_t least = table_bytes(p, &s) + stream_ring_min(&s);
	if (p->request.host_memory)
		least += stream_expert_min(&s, m->moe.top_k);
	schedule_clear(&s);
	return least;
}

/* The parts that depend on the context, and the smallest budget. */
static void set_ctx(struct plan *p, const struct model *m, uint32_t ctx, uint64_t beside)
{
	const uint32_t rows = p->request.prefill_rows ? p->request.prefill_rows : PLAN_PREFILL_ROWS;
	p->ctx = ctx;
	p->prefill_rows = rows < ctx ? rows : ctx;
	p->kv_bytes = kv_bytes(m, p->kv_type, ctx);
	p->activation_bytes = activation_bytes(m, p->prefill_rows, p->logits_rows);
	p->min_ram_bytes = mem_align_up(fixed_bytes(p) + beside, MIB);
}

/* The default context: as much as fits beside the floor. The least budget is that of the smallest one. */
static int choose_ctx(struct plan *p, const struct model *m, struct err *e)
{
	uint32_t ctx = p->request.ctx, chosen = 0;
	const bool fixed = ctx || !p->request.host_memory;
	const uint64_t beside = least_beside(p, m, p->request.chunk_bytes, e);
	if (!beside)
		return -1;
	if (!ctx)
		ctx = m->ctx_train < DEFAULT_CTX ? m->ctx_train : DEFAULT_CTX;
	for (;; ctx /= 2) {
		set_ctx(p, m, ctx, beside);
		if (!chosen && p->min_ram_bytes <= p->ram_bytes)
			chosen = ctx;
		if (fixed || ctx <= SMALL_CTX)
			break;
	}
	const uint64_t least = p->min_ram_bytes;
	if (chosen)
		set_ctx(p, m, chosen, beside);
	p->min_ram_bytes = least;
	return 0;
}

/* `room` bytes of a tier: the experts of one layer first, then chunks that every pass uses, then more
 * experts: a byte of those saves a read only when its expert is chosen. Returns the bytes taken. */
static uint64_t divide(struct plan *p, const struct model *m, uint8_t tier, bool experts, uint64_t room)
{
	const struct schedule *s = &p->schedule;
	uint64_t least = experts ? stream_expert_min(s, m->moe.top_k) : 0;
	least = least < room ? least : room;
	uint64_t used = spread(p, TIER_DISK, tier, room - least);
	if (!experts || !s->n_expert_chunks)
		return used;
	uint64_t all = all_experts(s), rest = room - used;
	p->expert_bytes = (rest < all ? rest : all) / MEM_PAGE * MEM_PAGE;
	return used + p->expert_bytes;
}

static int plan_device(struct plan *p, const struct model *m, struct err *e)
{
	const uint64_t vram = p->request.vram;
	p->device_ring_bytes = p->ring_bytes;
	uint64_t fixed = p->kv_bytes + p->activation_bytes + p->small_bytes + p->device_ring_bytes;
	uint64_t least = fixed + stream_expert_min(&p->schedule, m->moe.top_k);
	if (least > vram) {
		p->device_ring_bytes = stream_ring_min(&p->schedule);
		least += p->device_ring_bytes - p->ring_bytes;
		fixed += p->device_ring_bytes - p->ring_bytes;
	}
	if (least > vram)
		return err_set(e, ERR_BUDGET, "a VRAM budget of %llu MiB is too small: the smallest that works is %llu MiB",
			(unsigned long long)(vram / MIB), (unsigned long long)((least + MIB - 1) / MIB));
	p->vram_bytes = vram;
	p->vram_used = fixed + divide(p, m, TIER_VRAM, true, vram - fixed);
	return 0;
}

/* Of the budget, at most the whole embedding; none where the resident head is the same matrix. */
static uint64_t left_over(const struct plan *p, const struct model *m)
{
	uint64_t used = fixed_bytes(p) + p->table_bytes + p->ring_bytes + p->expert_bytes, all = embed_row(m) * m->vocab;
	for (size_t i = 0; i < p->schedule.n; i++)
		if (p->tiers[i] == TIER_RAM)
			used += stream_resident_bytes(&p->schedule.chunks[i]);
	uint64_t left = p->ram_bytes > used ? p->ram_bytes - used : 0;
	return m->tied ? 0 : left < all ? left : all;
}

/* What is free, less a margin. */
static uint64_t default_ram(void)
{
	uint64_t avail = plan_free_ram() + plan_process_ram();
	uint64_t margin = avail / 10 > MARGIN_LEAST ? avail / 10 : MARGIN_LEAST;
	return avail > margin ? avail - margin : 0;
}

int plan_make(struct plan *p, const struct model *m, const struct plan_request *r, struct err *e)
{
	*p = (struct plan){.request = *r, .kv_type = r->kv_type,
		.logits_rows = r->logits_rows ? r->logits_rows : 1};
	/* The same for `plan`, which loads no tokenizer, as for a run, which does: an estimate, unless
	 * the process is larger already. */
	uint64_t now = (r->base ? r->base : plan_process_ram()) + BASE_GROWTH;
	p->base_bytes = BASE_LEAST + (uint64_t)TOKEN_BYTES * m->vocab;
	if (now > p->base_bytes)
		p->base_bytes = now;
	p->backend_bytes = r->backend;
	p->small_bytes = mem_align_up(small_bytes(m) + scales_bytes(m), MEM_PAGE);
	p->ram_bytes = r->ram ? r->ram : default_ram();
	p->embed_bytes = EMBED_ROWS * embed_row(m);
	if (choose_ctx(p, m, e) < 0)
		return -1;
	if (p->ram_bytes < p->min_ram_bytes)
		return err_set(e, ERR_BUDGET,
			"a RAM budget of %llu MiB is too small: the smallest that works here is %llu MiB (of it %llu MiB for a context of %u tokens)",
			(unsigned long long)(p->ram_bytes / MIB),
			(unsigned long long)(p->min_ram_bytes / MIB),
			(unsigned long long)((p->kv_bytes + MIB - 1) / MIB), p->ctx);
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
	if (!r->host_memory && plan_device(p, m, e) < 0)
		goto fail;
	room -= p->ring_bytes + p->table_bytes;
	divide(p, m, TIER_RAM, r->host_memory, room);
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
