/* Chunks of experts: read when a router has chosen them, kept as long as they are worth it.
 *
 * What goes when room is needed: of a few chosen at random, the one used least, where a use counts less
 * the more passes ago it was (half after HALF_LIFE passes). Use is remembered for chunks that are not in
 * memory too. So what is used often survives a prompt that touches everything once, and chunks used
 * equally often go in random order: a fixed order of age would throw out, layer after layer, just what
 * the next pass needs first. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stream/pool.h"
#include "stream/stream_private.h"

#define HALF_LIFE 64.0f /* passes */
#define SAMPLE 24
#define NOBODY UINT32_MAX

struct expert {
	struct entry e;
	bool wanted, queued;
	bool guessed; /* read for a guess, and not wanted since */
	uint16_t leases;
	uint32_t block, place; /* in the pool; in held */
	float use;	       /* as of pass `when` */
	uint32_t when;
};

struct experts {
	struct expert *x; /* [n] */
	uint32_t n, n_held, pass;
	uint32_t *held; /* [n] those with memory, n_held of them */
	uint32_t *queue; /* [n] wanted and absent, a ring: q_len from q_head on */
	uint32_t q_head, q_len;
	uint32_t *guesses; /* [n], of which n_asked were started or passed over */
	uint32_t n_guesses, n_asked;
	uint32_t awaited; /* the engine waits for it now */
	struct pool pool;
	char *memory;		  /* on the device */
	struct ring_memory stage; /* with memory of the device's own: where reads go */
	uint64_t random;
};

size_t stream_expert_min(const struct schedule *s, uint32_t chosen)
{
	size_t most = 0, largest = 0;
	size_t n = s->n_experts ? s->n_expert_chunks : 0;
	for (size_t i = 0; i < n; i++) {
		size_t b = stream_resident_bytes(&s->expert_chunks[i]);
		largest = b > largest ? b : largest;
	}
	for (size_t g = 0; n && s->expert_first[g] < n; g++) {
		size_t sum = 0;
		for (uint32_t i = s->expert_first[g]; i < s->expert_first[g + 1]; i++)
			sum += stream_resident_bytes(&s->expert_chunks[i]);
		most = sum > most ? sum : most;
	}
	return chosen * most + ring_least(largest);
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
	x->n = (uint32_t)sc->n_expert_chunks;
	x->awaited = NOBODY;
	x->random = 1;
	x->x = mem_array(x->n, sizeof(*x->x));
	x->held = mem_array(x->n, sizeof(*x->held));
	x->queue = mem_array(x->n, sizeof(*x->queue));
	x->guesses = mem_array(x->n, sizeof(*x->guesses));
	if (!x->x || !x->held || !x->queue || !x->guesses ||
		pool_init(&x->pool, s->c.expert_bytes, x->n) < 0)
		return err_nomem(e);
	for (uint32_t i = 0; i < x->n; i++)
		x->x[i] = (struct expert){.e = {.load = NO_LOAD, .tier = TIER_RAM}, .block = POOL_NONE};
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
	free(x->held);
	free(x->queue);
	free(x->guesses);
	free(x);
	s->experts = NULL;
}

struct entry *experts_entry(struct stream *s, uint32_t chunk)
{
	return &s->experts->x[chunk].e;
}

/* --- what stays -------------------------------------------------------------------------------------- */

static float use_now(const struct experts *x, const struct expert *c)
{
	return c->use * exp2f(-(float)(x->pass - c->when) / HALF_LIFE);
}

static void used(struct experts *x, struct expert *c)
{
	c->use = use_now(x, c) + 1;
	c->when = x->pass;
}

/* May it go? `wanted`: also one that is wanted later. */
static bool may_go(const struct stream *s, const struct expert *c, bool wanted)
{
	bool here = c->e.state == HERE ||
		    (c->e.state == COMING && s->loads[c->e.load].state == LOAD_FAILED);
	return here && !c->leases && (wanted || !c->wanted);
}

/* Returns the hole that it leaves. */
static uint32_t let_go(struct stream *s, uint32_t chunk)
{
	struct experts *x = s->experts;
	struct expert *c = &x->x[chunk];
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
		struct expert *c = &x->x[x->held[at]];
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

static bool make_room(struct stream *s, uint32_t chunk, bool wanted)
{
	struct experts *x = s->experts;
	struct expert *c = &x->x[chunk];
	size_t bytes = stream_resident_bytes(&s->c.schedule->expert_chunks[chunk]);
	while ((c->block = pool_take(&x->pool, bytes, chunk)) == POOL_NONE) {
		uint32_t v = victim(s, wanted);
		if (v == NOBODY)
			return false;
		uint32_t hole = let_go(s, v);
		while (x->pool.blocks[hole].bytes < bytes && widen(s, &hole, wanted))
			;
	}
	char *memory = x->memory + x->pool.blocks[c->block].start;
	c->e.memory = s->upload ? NULL : memory;
	c->e.device = s->upload ? memory : NULL;
	c->place = x->n_held;
	x->held[x->n_held++] = chunk;
	return true;
}

/* --- the reader thread's side ------------------------------------------------------------------------ */

static bool start(struct stream *s, uint32_t chunk, bool last_resort, uint32_t *partial)
{
	struct expert *c = &s->experts->x[chunk];
	if (!make_room(s, chunk, last_resort))
		return false;
	if (load_start(s, &c->e, &s->c.schedule->expert_chunks[chunk], chunk, true,
		    &s->experts->stage, partial))
		return true;
	let_go(s, chunk);
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
		uint32_t chunk = x->queue[x->q_head];
		struct expert *c = &x->x[chunk];
		if (c->wanted && c->e.state == ABSENT && !start(s, chunk, false, &s->partial_wanted))
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

bool experts_start_guess(struct stream *s)
{
	struct experts *x = s->experts;
	while (x && x->n_asked < x->n_guesses) {
		struct expert *c = &x->x[x->guesses[x->n_asked]];
		if (c->e.state == ABSENT) {
			if (!start(s, x->guesses[x->n_asked], false, &s->partial))
				return false;
			c->guessed = true;
			s->view.expert_guesses++;
			x->n_asked++;
			return true;
		}
		x->n_asked++;
	}
	return false;
}

/* --- the engine's side ------------------------------------------------------------------------------- */

static void want(struct stream *s, uint32_t chunk)
{
	struct experts *x = s->experts;
	struct expert *c = &x->x[chunk];
	if (c->wanted)
		return;
	c->wanted = true;
	used(x, c);
	if (c->e.state == ABSENT)
		s->view.expert_misses++;
	else
		s->view.expert_hits++;
	c->guessed = false;
	if (c->e.state == ABSENT && !c->queued) {
		c->queued = true;
		x->queue[(x->q_head + x->q_len++) % x->n] = chunk;
	}
}

void stream_want(struct stream *s, const uint32_t *chunks, size_t n)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < n; i++)
		want(s, chunks[i]);
	if (s->experts->q_len)
		walker_wake(s);
	pthread_mutex_unlock(&s->lock);
}

void stream_guess(struct stream *s, const uint32_t *chunks, size_t n)
{
	struct experts *x = s->experts;
	pthread_mutex_lock(&s->lock);
	for (uint32_t i = 0; i < x->n_guesses; i++) {
		struct expert *c = &x->x[x->guesses[i]];
		s->view.expert_wrong_guesses += c->guessed;
		c->guessed = false;
	}
	x->n_asked = 0;
	x->n_guesses = n < x->n ? (uint32_t)n : x->n;
	for (uint32_t i = 0; i < x->n_guesses; i++)
		x->guesses[i] = chunks[i];
	walker_wake(s);
	pthread_mutex_unlock(&s->lock);
}

/* Wait until it is in memory. What failed while it was read ahead is tried once more. */
int experts_wait(struct stream *s, uint32_t chunk, struct err *e)
{
	struct expert *c = &s->experts->x[chunk];
	int failures = 0;
	while (c->e.state != HERE) {
		struct load *l = c->e.state == COMING ? &s->loads[c->e.load] : NULL;
		if (s->interrupted)
			return err_set(e, ERR_CANCELLED, "stopped");
		if (l && l->state == LOAD_FAILED) {
			if (++failures == 2)
				read_failed(s, l->bad_file, l->bad_offset, l->error, e);
			let_go(s, chunk);
			s->experts->awaited = NOBODY;
			if (failures == 2)
				return -1;
			continue;
		}
		if (l && l->state == LOAD_READY)
			return 0;
		if (!l && s->experts->awaited != chunk) {
			s->experts->awaited = chunk;
			walker_wake(s);
		}
		stream_sleep(s);
	}
	return 0;
}

int stream_acquire_expert(struct stream *s, uint32_t chunk, struct lease *out, struct err *e)
{
	*out = (struct lease){.index = chunk, .expert = true, .wait_from = clock_ns(), .slot = NO_LOAD,
		.tier = s->upload ? TIER_VRAM : TIER_RAM};
	pthread_mutex_lock(&s->lock);
	struct expert *c = &s->experts->x[chunk];
	want(s, chunk);
	int rc = s->upload ? upload_acquire_expert(s, chunk, out, e) : experts_wait(s, chunk, e);
	s->experts->awaited = NOBODY;
	c->wanted = false;
	if (rc == 0) {
		c->leases++;
		lease_fill(out, &s->c.schedule->expert_chunks[chunk], &c->e,
			s->upload ? c->e.device : c->e.memory);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

void experts_release(struct stream *s, uint32_t chunk)
{
	struct experts *x = s->experts;
	x->x[chunk].leases--;
	if (x->q_len)
		walker_wake(s);
}

void experts_uploaded(struct stream *s, uint32_t chunk)
{
	struct entry *en = &s->experts->x[chunk].e;
	load_drop(s, &s->loads[en->load]);
	en->state = HERE;
	walker_wake(s);
}

void experts_forget_wants(struct stream *s)
{
	struct experts *x = s->experts;
	for (uint32_t i = 0; x && i < x->n; i++)
		x->x[i].wanted = x->x[i].queued = false;
	if (x)
		x->q_len = 0;
}

void experts_new_pass(struct stream *s)
{
	if (s->experts)
		s->experts->pass++;
}
