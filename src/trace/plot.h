/* A picture of where the time of a pass goes: an SVG with a bar for each layer, its causes stacked. */
#ifndef AIRLCHAT_TRACE_PLOT_H
#define AIRLCHAT_TRACE_PLOT_H

#include "base/buf.h"
#include "trace/trace.h"

/* layers: [n] times summed over `passes` passes, the last one being the head. The title may be anything:
 * it is escaped. Text is added to out; check it with buf_ok. */
void plot_layers(struct buf *out, const char *title, const struct trace_layer *layers, uint32_t n,
	uint64_t passes);

#endif
