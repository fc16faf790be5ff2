#include "engine/wager.h"

#include <stdlib.h>

#include "base/mem.h"
#include "trace/trace.h"

#define FADE 0.1f /* weight of the last pass in a rank's share */

int wager_init(struct wager *w, uint32_t n_layers, uint32_t ranks)
{
	const size_t n = (size_t)n_layers * ranks;
	*w = (struct wager){.ranks = ranks, .credit = WAGER_CREDIT, .on = true};
	if (!(w->right = mem_array(n, sizeof(*w->right))))
		return -1;
	for (size_t i = 0; i < n; i++)
		w->right[i] = 0.5f;
	return 0;
}

void wager_clear(struct wager *w)
{
	free(w->right);
	w->right = NULL;
}

bool wager_takes(const struct wager *w, uint32_t layer, uint32_t rank)
{
	return w->on && w->credit >= 0 && w->right[(size_t)layer * w->ranks + rank] >= WAGER_SURE;
}

void wager_rank(struct wager *w, uint32_t layer, uint32_t rank, bool right)
{
	float *share = &w->right[(size_t)layer * w->ranks + rank];
	*share += FADE * ((right ? 1.0f : 0.0f) - *share);
}

void wager_reads(struct wager *w, uint32_t useful, uint32_t wrong)
{
	w->credit += (float)useful / WAGER_SHARE - (float)wrong;
	w->credit = w->credit < WAGER_CREDIT ? w->credit : WAGER_CREDIT;
}

static double median(const struct wager *w, bool on)
{
	return (double)trace_percentile(w->walls[on], w->n[on], 0.5);
}

void wager_pass(struct wager *w, int64_t wall)
{
	if (w->pass < WAGER_TRIAL)
		w->walls[w->on][w->n[w->on]++] = wall;
	w->pass++;
	if (w->pass < WAGER_TRIAL) {
		w->on = w->pass / WAGER_BLOCK % 2 == 0;
	} else if (w->pass == WAGER_TRIAL) {
		w->on = median(w, true) < WAGER_GAIN * median(w, false);
	} else if (w->pass == WAGER_TRIAL + WAGER_KEEP) {
		w->pass = 0;
		w->n[0] = w->n[1] = 0;
		w->on = true;
	}
}
