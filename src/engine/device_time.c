/* The times of a pass on a device with memory of its own. The host runs ahead of it, so that only the
 * events on its queues tell what the compute queue waited for. */
#include "base/clock.h"
#include "engine/forward.h"

static void span(struct engine *en, enum cause cause, int64_t until)
{
	if (until <= en->mark)
		return;
	trace_span(en->trace, cause, NULL, en->mark, until);
	en->mark = until;
}

void forward_device_times(struct engine *en)
{
	const struct schedule *s = &en->c.plan->schedule;
	const struct stream_timing *t = NULL;
	size_t n = stream_timings(en->stream, &t);
	for (size_t i = 0; i < n; i++) {
		if (t[i].copied <= t[i].before)
			continue; /* it was there in time */
		trace_layer(en->trace, s->chunks[t[i].index].layer);
		span(en, CAUSE_COMPUTE, t[i].before);
		span(en, CAUSE_DISK, t[i].in_ram < t[i].copied ? t[i].in_ram : t[i].copied);
		span(en, CAUSE_COPY, t[i].copied);
	}
	trace_layer(en->trace, en->c.model->n_layers);
	span(en, CAUSE_COMPUTE, clock_ns());
}
