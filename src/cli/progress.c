/* A sentence on stderr while an answer is slow: nothing has come for some seconds, so how far is it? A
 * thread of its own looks, since the answer's thread is busy with a pass that may take minutes. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "tui/format.h"

struct progress {
	struct chat *chat;
	int64_t every; /* ns */
	bool terminal; /* stdout and stderr are the same one to look at */
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake;
	bool on, end;	     /* an answer is being made; the thread is to end */
	int64_t began, told; /* the answer; the last sign of life */
	uint64_t done, total; /* tokens of the prompt */
	uint64_t pieces;      /* of text */
	struct trace_view view;
};

/* How much of the pass that runs is done, by layers. */
static double part(const struct trace_view *v)
{
	return v->in_pass ? (double)v->layer / (v->n_layers + 1) : 0;
}

static void tell_prompt(const struct progress *p, double took)
{
	double done = (double)p->done + (p->view.in_pass ? p->view.now.rows * part(&p->view) : 0);
	double f = p->total ? done / (double)p->total : 0;
	fprintf(stderr, "airlchat: reading the prompt: %.0f%% of %llu tokens after %s", 100 * f,
		(unsigned long long)p->total, fmt_seconds(FMT, took));
	if (f > 0.02)
		fprintf(stderr, ", about %s to go", fmt_seconds(FMT, took * (1 - f) / f));
	fputc('\n', stderr);
}

static void tell_tokens(const struct progress *p)
{
	const struct trace_view *v = &p->view;
	const double pace = trace_pace(v);
	fprintf(stderr, "airlchat: %llu token%s so far", (unsigned long long)v->n_decode + 1, v->n_decode ? "s" : "");
	if (pace >= 0)
		fprintf(stderr, ", %.3g s each", pace);
	if (v->in_pass)
		fprintf(stderr, ", the next one is %.0f%% done", 100 * part(v));
	fputc('\n', stderr);
}

static void tell(struct progress *p, int64_t now)
{
	struct engine *en = chat_engine(p->chat);
	if (!en || trace_view(engine_trace(en), &p->view) < 0)
		return;
	if (p->terminal && p->pieces)
		fputc('\n', stderr);
	if (p->done < p->total)
		tell_prompt(p, (double)(now - p->began) / 1e9);
	else
		tell_tokens(p);
}

static void *look(void *arg)
{
	struct progress *p = arg;
	pthread_mutex_lock(&p->lock);
	while (!p->end) {
		int64_t now = clock_ns(), due = p->told + p->every;
		if (!p->on) {
			pthread_cond_wait(&p->wake, &p->lock);
		} else if (now >= due) {
			tell(p, now);
			p->told = now;
		} else {
			struct timespec t = {.tv_sec = due / 1000000000, .tv_nsec = due % 1000000000};
			pthread_cond_timedwait(&p->wake, &p->lock, &t);
		}
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct progress *progress_new(struct chat *c, double seconds)
{
	pthread_condattr_t attr;
	struct progress *p = seconds > 0 ? calloc(1, sizeof(*p)) : NULL;
	if (!p)
		return NULL;
	p->chat = c;
	p->every = (int64_t)(seconds * 1e9);
	p->terminal = isatty(STDOUT_FILENO) && isatty(STDERR_FILENO);
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&p->thread, NULL, look, p) == 0)
		return p;
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
	return NULL;
}

static void set_on(struct progress *p, bool on)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->on = on;
	p->began = p->told = clock_ns();
	p->done = p->total = p->pieces = 0;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

void progress_begin(struct progress *p)
{
	set_on(p, true);
}

void progress_end(struct progress *p)
{
	set_on(p, false);
}

void progress_prefill(struct progress *p, uint64_t done, uint64_t total)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->done = done;
	p->total = total;
	pthread_mutex_unlock(&p->lock);
}

void progress_text(struct progress *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->told = clock_ns();
	p->pieces++;
	pthread_mutex_unlock(&p->lock);
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->end = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	trace_view_clear(&p->view);
	free(p);
}
