#include "chat/why.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "chat/chat.h"
#include "engine/probe.h"

#define RATE_NS 500000000
#define LEAST_BUSY_NS 20000000	  /* less reading than this in a half second tells nothing */
#define PREDICT_NS 2000000000
#define LATEST 16		  /* decode passes that make the present pace */
#define PROBE_CHUNK ((uint64_t)1 << 20)
#define PROBE_SCRATCH ((size_t)8 << 20)
#define WORTH 0.95		  /* an option must save this much to be told */

struct why {
	/* Set on the engine's thread: of the drive (0: not known); the seconds of a pass in four bits, and
	 * the dtype that means (-1: not known). */
	_Atomic double probed, latency, prepared_s;
	atomic_int prepared;
	int64_t rate_time, rate_busy, predict_time;
	uint64_t rate_bytes, predict_passes;
	double rates[WHY_RATES], best;
	size_t n_rates;
	struct predicted now;
	struct predict_option help[WHY_HELP];
	size_t n_help;
};

struct why *why_new(void)
{
	struct why *w = calloc(1, sizeof(*w));
	if (w) {
		w->now = (struct predicted){-1, -1, -1, -1};
		atomic_init(&w->prepared_s, -1);
	}
	return w;
}

void why_free(struct why *w)
{
	free(w);
}

/* How fast four bits would be computed: only worth knowing where weights are wider. In little memory. */
static void probe_prepared(struct why *w, const struct chat *c)
{
	const struct model *m = chat_model(c);
	struct schedule s;
	struct err ignored = ERR_INIT;
	double elements = 0;
	if (schedule_make(&s, m, PROBE_CHUNK, &ignored) < 0)
		return;
	for (size_t i = 0; i < s.n; i++)
		elements += (double)m->weights[s.chunks[i].weight].cols * s.chunks[i].rows;
	enum dtype as = predict_prepared_dtype(chat_checkpoint(c));
	if (s.n_expert_chunks == 0 && (double)s.bytes > elements * 6 / 8) {
		atomic_store(&w->prepared_s, probe_compute(chat_backend(c), m, &s, as, 64, PROBE_SCRATCH, NULL));
		atomic_store(&w->prepared, (int)as);
	}
	schedule_clear(&s);
}

void why_probe(struct why *w, const struct chat *c)
{
	struct probe_disk d;
	probe_disk_cached(&d, chat_checkpoint(c));
	atomic_store(&w->probed, d.bytes_per_s > 0 ? d.bytes_per_s : 0);
	atomic_store(&w->latency, d.latency_s > 0 ? d.latency_s : 0);
	probe_prepared(w, c);
}

/* Bytes over the time with a read in flight, each half second; the best one is a limit too. */
static void take_rate(struct why *w, const struct stream_view *sv)
{
	int64_t now = clock_ns(), busy = sv->busy_ns - w->rate_busy;
	if (now - w->rate_time < RATE_NS)
		return;
	double rate = busy > LEAST_BUSY_NS ? (double)(sv->bytes_read - w->rate_bytes) / ((double)busy / 1e9) : 0;
	if (w->rate_time) {
		if (w->n_rates == WHY_RATES)
			memmove(w->rates, w->rates + 1, --w->n_rates * sizeof(*w->rates));
		w->rates[w->n_rates++] = rate;
		w->best = rate > w->best ? rate : w->best;
	}
	w->rate_time = now;
	w->rate_bytes = sv->bytes_read;
	w->rate_busy = sv->busy_ns;
}

static void predict(struct why *w, const struct model *m, const struct plan *p, const struct trace_view *t)
{
	const struct trace_pass *d = &t->decode;
	double n = (double)t->n_decode, busy = (double)d->read_busy / 1e9;
	struct predict_rates r = {.disk_bytes_per_s = -1, .latency_s = atomic_load(&w->latency),
		.compute_s = (double)d->ns[CAUSE_COMPUTE] / 1e9 / n, .rest_s = (double)d->ns[CAUSE_OTHER] / 1e9 / n};
	if (busy > 0 && d->bytes_disk)
		r.disk_bytes_per_s = (double)d->bytes_disk / busy;
	predict_token(&w->now, p, m, &r);
	w->n_help = 0;
	if (w->now.token_s <= 0)
		return;
	uint64_t most = plan_free_ram() + plan_process_ram();
	struct predict_option options[WHY_HELP];
	size_t n_options = predict_budgets(options, WHY_HELP - 1, p, m, &r, most - most / 10);
	for (size_t i = 0; i < n_options; i++) /* the largest budget, which helps most, first */
		w->help[n_options - 1 - i] = options[i];
	w->n_help = n_options;
	if (atomic_load(&w->prepared) &&
		predict_prepared(&options[0], p, m, &r, (enum dtype)atomic_load(&w->prepared),
			atomic_load(&w->prepared_s))) {
		size_t at = n_options ? 1 : 0; /* second: where it is still seen */
		memmove(w->help + at + 1, w->help + at, (n_options - at) * sizeof(*w->help));
		w->help[at] = options[0];
		w->n_help++;
	}
}

/* The model says by how much; what it is now was measured. */
static void tell_help(const struct why *w, struct why_view *out)
{
	out->n_help = 0;
	for (size_t i = 0; i < w->n_help && out->token_s > 0; i++) {
		struct predict_option o = w->help[i];
		o.token_s *= out->token_s / w->now.token_s;
		if (o.token_s < out->token_s * WORTH)
			out->help[out->n_help++] = o;
	}
}

void why_fill(struct why *w, struct chat *c, const struct trace_view *t, struct why_view *out)
{
	struct engine *en = chat_engine(c);
	double probed = atomic_load(&w->probed);
	*out = (struct why_view){.disk_now = -1, .disk_limit = -1, .token_s = -1, .token_p95_s = -1,
		.now = {-1, -1, -1, -1}};
	out->disk_limit = w->best > probed ? w->best : probed > 0 ? probed : -1;
	if (!en || !chat_plan(c))
		return;
	out->plan = chat_plan(c);
	const struct probe_disk *d = chat_drive(c); /* measured when the engine started, if it was not known */
	if (d->bytes_per_s > 0 && probed <= 0) {
		atomic_store(&w->probed, d->bytes_per_s);
		atomic_store(&w->latency, d->latency_s);
		probed = d->bytes_per_s;
		out->disk_limit = w->best > probed ? w->best : probed;
	}
	engine_stream_view(en, &out->stream);
	take_rate(w, &out->stream);
	out->disk_limit = w->best > out->disk_limit ? w->best : out->disk_limit;
	memcpy(out->rates, w->rates, sizeof(w->rates));
	out->n_rates = w->n_rates;
	if (w->n_rates && w->rates[w->n_rates - 1] > 0)
		out->disk_now = w->rates[w->n_rates - 1];
	uint32_t n = t->n_history < LATEST ? t->n_history : LATEST;
	int64_t sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += t->history[t->n_history - 1 - i];
	if (n) {
		out->token_s = (double)sum / 1e9 / n;
		out->token_p95_s = (double)trace_percentile(t->history, t->n_history, 0.95) / 1e9;
	}
	int64_t now = clock_ns();
	if (t->n_decode >= 2 && t->passes != w->predict_passes && now - w->predict_time > PREDICT_NS) {
		w->predict_time = now;
		w->predict_passes = t->passes;
		predict(w, chat_model(c), out->plan, t);
	}
	out->now = w->now;
	if (w->now.compute_s >= 0 && out->disk_limit > 0) { /* at best: the disk at its limit */
		out->now.disk_s = (double)out->plan->streamed_bytes / out->disk_limit;
		out->now.floor_s = out->now.disk_s > w->now.compute_s ? out->now.disk_s : w->now.compute_s;
	}
	tell_help(w, out);
}
