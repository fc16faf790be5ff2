#include "chat/why.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "chat/chat_private.h"
#include "engine/probe.h"

#define RATE_NS 500000000
#define LEAST_BUSY_NS 20000000	  /* less reading than this in a half second tells nothing */
#define PREDICT_NS 2000000000
#define PROBE_CHUNK ((uint64_t)1 << 20) /* or larger: no more chunks than PROBE_CHUNKS, up to PROBE_CHUNK_MAX */
#define PROBE_CHUNK_MAX ((uint64_t)8 << 20)
#define PROBE_CHUNKS 16384
#define STACK ((size_t)128 << 10)
#define PROBE_CTX 64
#define WORTH 0.95		  /* an option must save this much to be told */

struct question {
	const struct model *model;
	const struct plan *plan;
	struct predict_rates rates;
	double token_s; /* the present pace */
};

struct answer {
	struct predicted now;
	struct predict_option help[WHY_HELP];
	size_t n_help;
};

struct why {
	/* Set on the engine's thread: of the drive (0: not known); seconds of computing a pass with the kernels
	 * as they are, with more threads, prepared in 4 and in 8 bits (0: not known, or the same). */
	_Atomic double probed, latency, kernels_s, wider_s, prepared_s[2];
	atomic_int threads, prepared[2]; /* how many more threads are; the dtypes */
	int64_t rate_time, rate_busy, predict_time;
	uint64_t rate_bytes, predict_passes;
	double rates[WHY_RATES], best;
	size_t n_rates;
	/* With a hundred thousand chunks the answer takes tenths of a second: a thread of its own finds it. */
	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	bool asked; /* until the answer is there */
	atomic_bool quit;
	struct question question;
	struct answer answer;
};

struct why *why_new(void)
{
	struct why *w = calloc(1, sizeof(*w));
	if (!w)
		return NULL;
	w->answer.now = (struct predicted)PREDICTED_UNKNOWN;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	return w;
}

void why_free(struct why *w)
{
	if (!w)
		return;
	if (w->started) {
		pthread_mutex_lock(&w->lock);
		atomic_store(&w->quit, true);
		pthread_cond_signal(&w->changed);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
	}
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->changed);
	free(w);
}

/* Seconds of a pass; 0: not known. */
static double time_kernels(const struct chat *c, struct backend *b, const struct schedule *s, enum dtype as)
{
	const struct probe_work w = {.backend = b, .model = c->model, .schedule = s, .as = as, .ctx = PROBE_CTX, .quick = true,
		.scratch = probe_scratch(c->cfg.ram ? c->cfg.ram / 4 : UINT64_MAX)};
	double seconds = probe_compute(&w, NULL);
	return seconds > 0 ? seconds : 0;
}

/* How fast it would be computed with other weights or more threads, where they would differ. */
static void probe_kernels(struct why *w, const struct chat *c)
{
	struct backend *b = chat_backend(c), *more = NULL;
	const struct model *m = chat_model(c);
	struct schedule s;
	struct err ignored = ERR_INIT;
	uint64_t chunk = PROBE_CHUNK;
	while (chunk < PROBE_CHUNK_MAX && m->bytes / chunk > PROBE_CHUNKS)
		chunk *= 2;
	if (schedule_make(&s, m, chunk, &ignored) < 0)
		return;
	atomic_store(&w->kernels_s, time_kernels(c, b, &s, DTYPE_UNKNOWN));
	for (int i = 0; i < 2; i++) {
		enum dtype as = predict_prepared_dtype(chat_checkpoint(c), i ? 8 : 4);
		bool other = false;
		for (size_t k = 0; k < m->n_weights && !other; k++)
			other = predict_weight_dtype(m, &m->weights[k], as) != m->weights[k].dtype;
		if (!other)
			continue;
		atomic_store(&w->prepared_s[i], time_kernels(c, b, &s, as));
		atomic_store(&w->prepared[i], (int)as);
	}
	if (b->ops->with_threads && b->ops->with_threads(b, 0, &more, &ignored) == 0) {
		atomic_store(&w->threads, more->threads);
		atomic_store(&w->wider_s, more->threads > b->threads ? time_kernels(c, more, &s, DTYPE_UNKNOWN) : 0);
		more->ops->close(more);
	}
	schedule_clear(&s);
}

void why_probe(struct why *w, const struct chat *c)
{
	probe_kernels(w, c);
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

static void add_help(struct answer *a, bool known, const struct predict_option *o)
{
	if (known && a->n_help < WHY_HELP)
		a->help[a->n_help++] = *o;
}

/* What would help: first what is still seen where room is short. */
static void find_help(struct answer *a, struct why *w, const struct model *m, const struct plan *p,
	const struct predict_rates *r)
{
	const uint64_t most = plan_free_ram() + plan_process_ram();
	const double kernels = atomic_load(&w->kernels_s), wider = atomic_load(&w->wider_s);
	struct predict_option budgets[3], o;
	size_t n = predict_budgets(budgets, 3, p, m, r, most - most / 10);
	add_help(a, n > 0, &budgets[n ? n - 1 : 0]);
	for (int i = 0; i < 2 && kernels > 0 && !atomic_load(&w->quit); i++) {
		struct predict_rates other = *r;
		double seconds = atomic_load(&w->prepared_s[i]);
		other.compute_s *= seconds / kernels;
		if (seconds > 0)
			add_help(a, predict_prepared(&o, p, m, &other, (enum dtype)atomic_load(&w->prepared[i])), &o);
		if (i == 0 && wider > 0) {
			other.compute_s = r->compute_s * wider / kernels;
			add_help(a, predict_threads(&o, p, m, &other, atomic_load(&w->threads)), &o);
		}
	}
	add_help(a, predict_stripes(&o, p, m, r), &o);
	for (size_t i = n; i-- > 1;)
		add_help(a, true, &budgets[i - 1]);
}

static void find_answer(struct answer *a, struct why *w, struct question *q)
{
	*a = (struct answer){.now = PREDICTED_UNKNOWN};
	if (q->plan->streamed_bytes)
		predict_fit(&q->rates, q->plan, q->model, q->token_s);
	predict_token(&a->now, q->plan, q->model, &q->rates);
	if (a->now.token_s > 0 && !atomic_load(&w->quit))
		find_help(a, w, q->model, q->plan, &q->rates);
}

static void *answer_thread(void *arg)
{
	struct why *w = arg;
	pthread_mutex_lock(&w->lock);
	while (!atomic_load(&w->quit)) {
		if (!w->asked) {
			pthread_cond_wait(&w->changed, &w->lock);
			continue;
		}
		struct question q = w->question;
		struct answer a;
		pthread_mutex_unlock(&w->lock);
		find_answer(&a, w, &q);
		pthread_mutex_lock(&w->lock);
		w->answer = a;
		w->asked = false;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void ask(struct why *w, const struct model *m, const struct plan *p, const struct trace_view *t)
{
	const struct trace_pass *d = &t->decode;
	double n = (double)t->n_decode, busy = (double)d->read_busy / 1e9;
	double experts = (double)(d->expert_hits + d->expert_misses);
	struct predict_rates r = {.disk_bytes_per_s = -1, .latency_s = atomic_load(&w->latency),
		.compute_s = (double)d->ns[CAUSE_COMPUTE] / 1e9 / n, .rest_s = (double)d->ns[CAUSE_OTHER] / 1e9 / n,
		.expert_miss = experts > 0 ? (double)d->expert_misses / experts : -1};
	if (busy > 0 && d->bytes_disk)
		r.disk_bytes_per_s = (double)d->bytes_disk / busy;
	if (!w->started) {
		pthread_attr_t attr;
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, STACK);
		w->started = pthread_create(&w->thread, &attr, answer_thread, w) == 0;
		pthread_attr_destroy(&attr);
	}
	pthread_mutex_lock(&w->lock);
	if (w->started && !w->asked) {
		w->question = (struct question){m, p, r, (double)d->wall / 1e9 / n};
		w->asked = true;
		pthread_cond_signal(&w->changed);
	}
	pthread_mutex_unlock(&w->lock);
}

/* The model says by how much; what it is now was measured. */
static void tell_help(const struct answer *a, struct why_view *out)
{
	out->n_help = 0;
	for (size_t i = 0; i < a->n_help && out->token_s > 0; i++) {
		struct predict_option o = a->help[i];
		double least = fmin(o.token_s, a->now.compute_s); /* the present pace says nothing of computing */
		o.token_s = fmax(o.token_s * out->token_s / a->now.token_s, least);
		if (o.token_s < out->token_s * WORTH)
			out->help[out->n_help++] = o;
	}
}

void why_fill(struct why *w, struct chat *c, const struct trace_view *t, struct why_view *out)
{
	struct engine *en = chat_engine(c);
	double probed = atomic_load(&w->probed);
	*out = (struct why_view){.disk_now = -1, .disk_limit = -1, .token_s = -1, .token_p95_s = -1,
		.now = PREDICTED_UNKNOWN};
	out->disk_limit = w->best > probed ? w->best : probed > 0 ? probed : -1;
	if (!en || !chat_plan(c))
		return;
	out->plan = chat_plan(c);
	const struct probe_disk *d = chat_drive(c); /* known or measured when the engine started */
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
	out->token_s = trace_pace(t);
	if (t->n_history)
		out->token_p95_s = (double)trace_percentile(t->history, t->n_history, 0.95) / 1e9;
	int64_t now = clock_ns();
	if (t->n_decode >= 2 && t->passes != w->predict_passes && now - w->predict_time > PREDICT_NS) {
		w->predict_time = now;
		w->predict_passes = t->passes;
		ask(w, chat_model(c), out->plan, t);
	}
	pthread_mutex_lock(&w->lock);
	const struct answer a = w->answer;
	pthread_mutex_unlock(&w->lock);
	out->now = a.now;
	if (a.now.compute_s >= 0 && out->disk_limit > 0) { /* at best: the disk at its limit */
		out->now.disk_s = ((double)out->plan->streamed_bytes + fmax(a.now.expert_bytes, 0)) / out->disk_limit;
		out->now.floor_s = out->now.disk_s > a.now.compute_s ? out->now.disk_s : a.now.compute_s;
		if (out->token_s > 0 && out->now.floor_s > out->token_s) /* means over a noisy time: this was faster */
			out->now.floor_s = out->token_s;
	}
	tell_help(&a, out);
}
