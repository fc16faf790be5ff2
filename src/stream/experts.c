/* Chunks of experts: read when a router has chosen them, kept as long as they are worth it.
 *
 * What is read, kept and thrown out is a pack: chunks of one expert that are read together, in as few reads as
 * their places in the files allow. What goes when room is needed: of a few packs chosen at random, the one
 * used least, where a use counts less the more passes ago it was (half after HALF_LIFE passes). Use is
 * remembered for packs that are not in memory too. So what is used often survives a prompt that touches
 * everything once, and packs used equally often go in random order: a fixed order of age would throw out,
 * layer after layer, just what the next pass needs first. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stream/pool.h"
#include "stream/stream_private.h"

#define HALF_LIFE 16.0f /* passes; tests/bench/expert_cache.py compares */
#define SAMPLE 24
#define NOBODY UINT32_MAX

struct pack {
	struct entry e;
	bool wanted, queued;
	uint16_t leases;
	uint32_t loads;		/* how often it was read */
	uint32_t block, place;	/* in the pool; in held */
	uint32_t first_extent, n_extents;
	size_t span;		/* bytes of all extents */
	float use;		/* as of pass `when` */
	uint32_t when;
};

struct part { /* a chunk: where it is in its pack */
	uint32_t pack;
	uint32_t told; /* the pack's `loads` when it was last acquired */
	size_t data, scale; /* of their first bytes */
};

struct experts {
	struct pack *x; /* [n] */
	struct part *parts; /* [n_expert_chunks] */
	struct extent *extents;
	size_t *guessed; /* [experts of all layers] bytes read for a guess, if not wanted since */
	uint32_t n, n_held, pass;
	uint32_t *held; /* [n] those with memory, n_held of them */
	uint32_t *queue; /* [n] wanted and absent, a ring: q_len from q_head on */
	uint32_t q_head, q_len;
	uint32_t *guesses; /* [n_experts], of which n_asked were started or passed over */
	uint32_t n_guesses, n_asked, asked_pack; /* asked_pack: likewise, of the next one's packs */
	uint32_t awaited; /* pack; the engine waits for it now */
	struct pool pool;
	char *memory;		  /* on the device */
	struct ring_memory stage; /* with memory of the device's own: where reads go */
	uint64_t random;
};

/* --- packs ------------------------------------------------------------------------------------------- */

static size_t most_bytes(const struct schedule *s, size_t from, size_t to)
{
	size_t sum = 0;
	for (size_t i = from; i < to; i++)
		sum += stream_resident_bytes(&s->expert_chunks[i]);
	return sum;
}

size_t stream_expert_min(const struct schedule *s, uint32_t chosen)
{
	size_t most = 0, largest = 0, n = s->n_experts ? s->n_expert_chunks : 0;
	for (size_t p = 0; p < s->n_packs; p++) {
		size_t b = most_bytes(s, s->pack_first[p], s->pack_first[p + 1]);
		largest = b > largest ? b : largest;
	}
	for (size_t g = 0; n && s->expert_first[g] < n; g++) {
		size_t sum = most_bytes(s, s->expert_first[g], s->expert_first[g + 1]);
		most = sum > most ? sum : most;
	}
	return chosen * most + ring_least(largest);
}

static int by_place(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Where the bytes at x are in the pack. */
static size_t place_in(const struct experts *x, const struct pack *p, const struct extent *at)
{
	size_t begin = 0;
	for (uint32_t i = 0; i < p->n_extents; i++) {
		const struct extent *e = &x->extents[p->first_extent + i];
		if (e->file == at->file && at->offset >= e->offset && at->offset < e->offset + e->bytes)
			return begin + (size_t)(at->offset - span_start(e));
		begin += span_bytes(e);
	}
	return 0;
}

/* Extents whose pages touch are one. Returns where the next pack's begin. */
static uint32_t make_pack(struct experts *x, const struct schedule *sc, uint32_t number, uint32_t at)
{
	struct pack *p = &x->x[number];
	const uint32_t first = sc->pack_first[number], end = sc->pack_first[number + 1];
	struct extent *list = &x->extents[at];
	uint32_t n = 0, last = 0;
	*p = (struct pack){.e = {.load = NO_LOAD, .tier = TIER_RAM}, .block = POOL_NONE, .first_extent = at};
	for (uint32_t c = first; c < end; c++) {
		list[n++] = sc->expert_chunks[c].data;
		if (sc->expert_chunks[c].scale.bytes)
			list[n++] = sc->expert_chunks[c].scale;
	}
	qsort(list, n, sizeof(*list), by_place);
	for (uint32_t i = 1; i < n; i++) {
		struct extent *l = &list[last];
		uint64_t stop = list[i].offset + list[i].bytes;
		if (list[i].file != l->file || span_start(&list[i]) > span_start(l) + span_bytes(l))
			list[++last] = list[i];
		else if (stop > l->offset + l->bytes)
			l->bytes = stop - l->offset;
	}
	p->n_extents = last + 1;
	for (uint32_t i = 0; i <= last; i++)
		p->span += span_bytes(&list[i]);
	for (uint32_t c = first; c < end; c++)
		x->parts[c] = (struct part){number, 0, place_in(x, p, &sc->expert_chunks[c].data),
			place_in(x, p, &sc->expert_chunks[c].scale)};
	return at + last + 1;
}

static int allocate(struct experts *x, const struct schedule *sc)
{
	uint32_t groups = 0;
	while (sc->expert_first[groups] < sc->n_expert_chunks)
		groups++;
	x->n = (uint32_t)sc->n_packs;
	x->x = mem_array(x->n, sizeof(*x->x));
	x->parts = mem_array(sc->n_expert_chunks, sizeof(*x->parts));
	x->extents = mem_array(2 * sc->n_expert_chunks, sizeof(*x->extents));
	x->guessed = mem_array(groups, sizeof(*x->guessed));
	x->guesses = mem_array(sc->n_experts, sizeof(*x->guesses));
	x->held = mem_array(x->n, sizeof(*x->held));
	x->queue = mem_array(x->n, sizeof(*x->queue));
	return x->x && x->parts && x->extents && x->guessed && x->guesses && x->held && x->queue ? 0 : -1;
}

int experts_init(struct stream *s, struct err *e)
{
	const struct schedule *sc = s->c.schedule;
	if (!sc->n_expert_chunks)
		return 0;
	if (s->c.expert_bytes < stream_expert_min(sc, 0))
		return err_set(e, ERR_BUDGET, "%zu bytes are too few for the chunks of experts", s->c.expert_bytes);
	struct experts *x = s->experts = calloc(1, sizeof(*x));
	if (!x)
		return err_nomem(e);
	x->awaited = NOBODY;
	x->random = 1;
	if (allocate(x, sc) < 0 || pool_init(&x->pool, s->c.expert_bytes, x->n) < 0)
		return err_nomem(e);
	for (uint32_t i = 0, at = 0; i < x->n; i++)
		at = make_pack(x, sc, i, at);
	struct backend *b = s->c.backend;
	x->memory = b->host_memory ? host_memory(s, x->pool.size) : b->ops->alloc(b, x->pool.size);
	if (!x->memory)
		return err_set(e, ERR_NOMEM, "out of memory for %zu MiB of experts", x->pool.size >> 20);
	return b->host_memory ? 0 : ring_memory_init(s, &x->stage, stream_stage_bytes(sc), e);
}

void experts_clear(struct stream *s)
{
	struct experts *x = s->experts;
	if (!x)
		return;
	struct backend *b = s->c.backend;
	if (x->memory)
		b->ops->free(b, x->memory, x->pool.size);
	ring_memory_clear(s, &x->stage);
	pool_clear(&x->pool);
	free(x->x);
	free(x->parts);
	free(x->extents);
	free(x->guessed);
	free(x->held);
	free(x->queue);
	free(x->guesses);
	free(x);
	s->experts = NULL;
}

struct entry *experts_entry(struct stream *s, uint32_t pack)
{
	return &s->experts->x[pack].e;
}

const struct extent *experts_extent(const struct stream *s, uint32_t pack, size_t i)
{
	const struct pack *p = &s->experts->x[pack];
	return i < p->n_extents ? &s->experts->extents[p->first_extent + i] : NULL;
}

/* --- what stays -------------------------------------------------------------------------------------- */

static float use_now(const struct experts *x, const struct pack *c)
{
	return c->use * exp2f(-(float)(x->pass - c->when) / HALF_LIFE);
}

static void used(struct experts *x, struct pack *c)
{
	c->use = use_now(x, c) + 1;
	c->when = x->pass;
}

/* May it go? `wanted`: also one that is wanted later. */
static bool may_go(const struct stream *s, const struct pack *c, bool wanted)
{
	bool here = c->e.state == HERE ||
		    (c->e.state == COMING && s->loads[c->e.load].state == LOAD_FAILED);
	return here && !c->leases && (wanted || !c->wanted);
}

/* Returns the hole that it leaves. */
static uint32_t let_go(struct stream *s, uint32_t pack)
{
	struct experts *x = s->experts;
	struct pack *c = &x->x[pack];
	if (c->e.state == COMING)
		load_drop(s, &s->loads[c->e.load]);
	c->e.state = ABSENT;
	c->e.memory = c->e.device = NULL;
	uint32_t last = x->held[--x->n_held];
	x->held[c->place] = last;
	x->x[last].place = c->place;
	uint32_t hole = pool_give(&x->pool, c->block);
	c->block = POOL_NONE;
	return hole;
}

static uint32_t victim(struct stream *s, bool wanted)
{
	struct experts *x = s->experts;
	uint32_t best = NOBODY;
	float least = 0;
	/* a sample; when none of it may go, all */
	for (uint32_t i = 0, n = x->n_held; i < n && !(i == SAMPLE && best != NOBODY); i++) {
		x->random = x->random * 6364136223846793005u + 1442695040888963407u;
		uint32_t at = i < SAMPLE ? (uint32_t)((x->random >> 33) % n) : i;
		struct pack *c = &x->x[x->held[at]];
		float use = use_now(x, c);
		if (may_go(s, c, wanted) && (best == NOBODY || use < least)) {
			best = x->held[at];
			least = use;
		}
	}
	for (uint32_t i = 0; best == NOBODY && i < x->n_held; i++)
		if (may_go(s, &x->x[x->held[i]], wanted))
			best = x->held[i];
	return best;
}

/* Enlarge the hole by what lies beside it, the less used side first. False when nothing may go. */
static bool widen(struct stream *s, uint32_t *hole, bool wanted)
{
	struct experts *x = s->experts;
	const struct pool_block *h = &x->pool.blocks[*hole];
	const uint32_t beside[2] = {h->before, h->behind};
	uint32_t best = NOBODY;
	for (int i = 0; i < 2; i++) {
		uint32_t owner = beside[i] == POOL_NONE ? POOL_NONE : x->pool.blocks[beside[i]].owner;
		if (owner != POOL_NONE && may_go(s, &x->x[owner], wanted) &&
			(best == NOBODY || use_now(x, &x->x[owner]) < use_now(x, &x->x[best])))
			best = owner;
	}
	if (best == NOBODY)
		return false;
	*hole = let_go(s, best);
	return true;
}

static bool make_room(struct stream *s, uint32_t pack, bool wanted)
{
	struct experts *x = s->experts;
	struct pack *c = &x->x[pack];
	while ((c->block = pool_take(&x->pool, c->span, pack)) == POOL_NONE) {
		uint32_t v = victim(s, wanted);
		if (v == NOBODY)
			return false;
		uint32_t hole = let_go(s, v);
		while (x->pool.blocks[hole].bytes < c->span && widen(s, &hole, wanted))
			;
	}
	char *memory = x->memory + x->pool.blocks[c->block].start;
	c->e.memory = s->upload ? NULL : memory;
	c->e.device = s->upload ? memory : NULL;
	c->place = x->n_held;
	x->held[x->n_held++] = pack;
	return true;
}

/* --- the reader thread's side ------------------------------------------------------------------------ */

static bool start(struct stream *s, uint32_t pack, bool last_resort, uint32_t *partial)
{
	struct pack *c = &s->experts->x[pack];
	if (!make_room(s, pack, last_resort))
		return false;
	if (load_start(s, &c->e, c->span, pack, true, &s->experts->stage, partial))
		return true;
	let_go(s, pack);
	return false;
}

bool experts_start_wanted(struct stream *s)
{
	struct experts *x = s->experts;
	if (!x)
		return false;
	if (x->awaited != NOBODY && x->x[x->awaited].e.state == ABSENT)
		return start(s, x->awaited, true, &s->partial_wanted);
	while (x->q_len) {
		uint32_t pack = x->queue[x->q_head];
		struct pack *c = &x->x[pack];
		if (c->wanted && c->e.state == ABSENT && !start(s, pack, false, &s->partial_wanted))
			return false;
		bool started = s->partial_wanted != NO_LOAD;
		c->queued = false;
		x->q_head = (x->q_head + 1) % x->n;
		x->q_len--;
		if (started)
			return true;
	}
	return false;
}

/* The packs of an expert: first up to, not including, *end. */
static uint32_t packs_of(const struct stream *s, uint32_t expert, uint32_t *end)
{
	const uint32_t *first = s->c.schedule->expert_first + expert;
	*end = first[1] > first[0] ? s->experts->parts[first[1] - 1].pack + 1 : 0;
	return first[1] > first[0] ? s->experts->parts[first[0]].pack : 0;
}

bool experts_start_guess(struct stream *s)
{
	struct experts *x = s->experts;
	for (; x && x->n_asked < x->n_guesses; x->n_asked++, x->asked_pack = 0) {
		uint32_t expert = x->guesses[x->n_asked], end, first = packs_of(s, expert, &end);
		for (; first + x->asked_pack < end; x->asked_pack++) {
			uint32_t pack = first + x->asked_pack;
			if (x->x[pack].e.state != ABSENT)
				continue;
			if (!start(s, pack, false, &s->partial))
				return false;
			s->view.expert_guesses += !x->guessed[expert];
			x->guessed[expert] += x->x[pack].span;
			x->asked_pack++;
			return true;
		}
	}
	return false;
}

/* --- the engine's side ------------------------------------------------------------------------------- */

static void want(struct stream *s, uint32_t pack)
{
	struct experts *x = s->experts;
	struct pack *c = &x->x[pack];
	if (c->wanted)
		return;
	c->wanted = true;
	used(x, c);
	if (c->e.state == ABSENT && !c->queued) {
		c->queued = true;
		x->queue[(x->q_head + x->q_len++) % x->n] = pack;
	}
}

/* What the last guess named and nobody wanted was wrong. */
static void end_guess(struct stream *s, struct stream_experts *told)
{
	struct experts *x = s->experts;
	for (uint32_t i = 0; i < x->n_guesses; i++) {
		size_t *bytes = &x->guessed[x->guesses[i]];
		told->wrong += *bytes > 0;
		told->wrong_bytes += *bytes;
		*bytes = 0;
	}
	x->n_guesses = x->n_asked = x->asked_pack = 0;
	s->view.expert_wrong_guesses += told->wrong;
}

void stream_want(struct stream *s, const uint32_t *experts, size_t n, struct stream_experts *told)
{
	struct experts *x = s->experts;
	*told = (struct stream_experts){0};
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < n; i++) {
		uint32_t end, first = packs_of(s, experts[i], &end);
		bool here = true;
		for (uint32_t p = first; p < end; p++) {
			here = here && x->x[p].e.state != ABSENT;
			want(s, p);
		}
		*(here ? &told->hits : &told->misses) += 1;
		told->right += x->guessed[experts[i]] > 0;
		x->guessed[experts[i]] = 0;
	}
	s->view.expert_hits += told->hits;
	s->view.expert_misses += told->misses;
	end_guess(s, told);
	if (x->q_len)
		walker_wake(s);
	pthread_mutex_unlock(&s->lock);
}

void stream_guess(struct stream *s, const uint32_t *experts, size_t n)
{
	struct experts *x = s->experts;
	struct stream_experts late = {0};
	pthread_mutex_lock(&s->lock);
	end_guess(s, &late);
	x->n_guesses = n < s->c.schedule->n_experts ? (uint32_t)n : s->c.schedule->n_experts;
	for (uint32_t i = 0; i < x->n_guesses; i++)
		x->guesses[i] = experts[i];
	walker_wake(s);
	pthread_mutex_unlock(&s->lock);
}

static bool in_memory(const struct stream *s, uint32_t pack)
{
	const struct entry *en = &s->experts->x[pack].e;
	return en->state == HERE || (en->state == COMING && !s->upload && s->loads[en->load].state == LOAD_READY);
}

size_t stream_pick_expert(struct stream *s, const uint32_t *experts, size_t n)
{
	size_t pick = n;
	pthread_mutex_lock(&s->lock);
	while (pick == n) {
		bool coming = false;
		for (size_t i = 0; i < n && pick == n; i++) {
			uint32_t end, first = packs_of(s, experts[i], &end);
			const struct entry *en = &s->experts->x[first].e;
			bool reading = en->state == COMING && s->loads[en->load].state == LOAD_READING;
			coming = coming || reading;
			if (first == end || in_memory(s, first) || (en->state == COMING && !reading))
				pick = i;
		}
		if (pick == n && (!coming || s->upload || s->interrupted))
			pick = 0; /* which one waits in acquire */
		if (pick == n)
			stream_sleep(s);
	}
	pthread_mutex_unlock(&s->lock);
	return pick;
}

/* Wait until it is in memory. What failed while it was read ahead is tried once more. */
int experts_wait(struct stream *s, uint32_t pack, struct err *e)
{
	struct pack *c = &s->experts->x[pack];
	int failures = 0;
	while (c->e.state != HERE) {
		struct load *l = c->e.state == COMING ? &s->loads[c->e.load] : NULL;
		if (s->interrupted)
			return err_set(e, ERR_CANCELLED, "stopped");
		if (l && l->state == LOAD_FAILED) {
			if (++failures == 2)
				read_failed(s, l->bad_file, l->bad_offset, l->error, e);
			let_go(s, pack);
			s->experts->awaited = NOBODY;
			if (failures == 2)
				return -1;
			continue;
		}
		if (l && l->state == LOAD_READY)
			return 0;
		if (!l && s->experts->awaited != pack) {
			s->experts->awaited = pack;
			walker_wake(s);
		}
		stream_sleep(s);
	}
	return 0;
}

static void give(struct stream *s, uint32_t chunk, struct lease *out)
{
	struct part *part = &s->experts->parts[chunk];
	struct pack *c = &s->experts->x[part->pack];
	const struct chunk *k = &s->c.schedule->expert_chunks[chunk];
	const char *memory = s->upload ? c->e.device : c->e.memory;
	c->leases++;
	c->loads += c->e.fresh;
	c->e.fresh = false;
	out->data = memory + part->data;
	out->scale = k->scale.bytes ? memory + part->scale : NULL;
	if (part->told != c->loads) {
		out->bytes_from_disk = k->bytes;
		out->issued = c->e.issued;
		out->in_ram = c->e.in_ram;
	}
	part->told = c->loads;
	out->in_hand = clock_ns();
}

int stream_acquire_expert(struct stream *s, uint32_t chunk, struct lease *out, struct err *e)
{
	*out = (struct lease){.index = chunk, .expert = true, .wait_from = clock_ns(), .slot = NO_LOAD,
		.tier = s->upload ? TIER_VRAM : TIER_RAM};
	pthread_mutex_lock(&s->lock);
	const uint32_t pack = s->experts->parts[chunk].pack;
	struct pack *c = &s->experts->x[pack];
	const bool last = chunk + 1 == s->c.schedule->pack_first[pack + 1] || !c->wanted;
	want(s, pack);
	int rc = s->upload ? upload_acquire_expert(s, pack, out, e) : experts_wait(s, pack, e);
	s->experts->awaited = NOBODY;
	c->wanted = !last;
	if (rc == 0)
		give(s, chunk, out);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void experts_release(struct stream *s, uint32_t chunk)
{
	struct experts *x = s->experts;
	x->x[x->parts[chunk].pack].leases--;
	if (x->q_len)
		walker_wake(s);
}

void experts_uploaded(struct stream *s, uint32_t pack)
{
	struct entry *en = &s->experts->x[pack].e;
	load_drop(s, &s->loads[en->load]);
	en->state = HERE;
	walker_wake(s);
}

void experts_forget_wants(struct stream *s)
{
	struct experts *x = s->experts;
	if (!x)
		return;
	for (uint32_t i = 0; i < x->n; i++)
		x->x[i].wanted = x->x[i].queued = false;
	x->q_len = 0;
}

void experts_new_pass(struct stream *s)
{
	if (s->experts)
		s->experts->pass++;
}
