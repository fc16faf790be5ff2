/* Why it is slow, and what would help: rates, the floor and predictions from what a session measured. */
#ifndef AIRLCHAT_CHAT_WHY_H
#define AIRLCHAT_CHAT_WHY_H

#include "engine/predict.h"
#include "stream/stream.h"
#include "trace/trace.h"

#define WHY_RATES 32 /* half seconds of disk rate that are kept */
#define WHY_HELP 8

struct chat;
struct why;

struct why_view { /* what was not measured is negative */
	const struct plan *plan;   /* borrowed; NULL before the engine has started */
	struct stream_view stream;
	double rates[WHY_RATES];   /* bytes/s while reading, oldest first; 0: nothing was read */
	size_t n_rates;
	double disk_now, disk_limit; /* bytes/s: the last half second; the best seen or probed */
	double token_s, token_p95_s; /* measured: the last decode passes */
	struct predicted now;	   /* the model's view of the present settings */
	struct predict_option help[WHY_HELP]; /* what would be faster, the best first */
	size_t n_help;
};

struct why *why_new(void); /* NULL: no memory */
void why_free(struct why *w);
/* The speed of kernels; on the engine's thread, before the engine starts. */
void why_probe(struct why *w, const struct chat *c);
/* From one thread. Costs little: predictions are made anew every two seconds at most, in a thread that why_free ends,
 * which must be before the chat is closed. */
void why_fill(struct why *w, struct chat *c, const struct trace_view *t, struct why_view *out);

#endif
