/* Whether guesses are worth their reads. What is read early fills the time in which the drive would rest, but what
 * was read for nothing was paid for with bytes, and took the place of something else. So:
 * - of the experts guessed for a layer, best first, only those ranks are read that were right lately: what was
 *   chosen then is known, read or not;
 * - wrong reads may be at most 1 in WAGER_SHARE of all that is read;
 * - from time to time some passes go with and some without guesses, in turn, and the faster way is kept.
 * Private to engine/. */
#ifndef AIRLCHAT_ENGINE_WAGER_H
#define AIRLCHAT_ENGINE_WAGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAGER_SURE 0.8f /* share of right guesses of a rank from which on they are read */
#define WAGER_SHARE 32
#define WAGER_CREDIT 8 /* wrong reads that may be had in advance, and be saved up */
#define WAGER_BLOCK 4  /* passes of a trial with guesses, then as many without, */
#define WAGER_TRIAL 32 /* in all */
#define WAGER_KEEP 512 /* passes until the next trial */
#define WAGER_GAIN 0.99 /* guesses have to make a pass shorter by so much */

struct wager {
	float *right; /* [n_layers * ranks] share of right guesses, lately */
	uint32_t ranks;
	float credit;
	bool on;
	uint32_t pass; /* of the trial, or after it */
	int64_t walls[2][WAGER_TRIAL]; /* ns; without and with guesses */
	size_t n[2];
};

int wager_init(struct wager *w, uint32_t n_layers, uint32_t ranks); /* -1: no memory */
void wager_clear(struct wager *w);

bool wager_takes(const struct wager *w, uint32_t layer, uint32_t rank); /* is the guess to be read? */
void wager_rank(struct wager *w, uint32_t layer, uint32_t rank, bool right);
void wager_reads(struct wager *w, uint32_t useful, uint32_t wrong); /* of a layer: experts */
void wager_pass(struct wager *w, int64_t wall); /* a pass is over */

#endif
