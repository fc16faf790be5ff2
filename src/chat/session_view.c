/* What the meters show. */
#include <string.h>

#include "base/clock.h"
#include "chat/session_private.h"

/* Bytes over the time with a read in flight: of the last second, and the best such second. */
static void measure_disk(struct session *s, struct session_view *v, const struct stream_view *sv)
{
	int64_t now = clock_ns();
	pthread_mutex_lock(&s->lock);
	if (now - s->rate_time > 500000000) {
		int64_t busy = sv->busy_ns - s->rate_busy;
		if (busy > 50000000) {
			s->rate = (double)(sv->bytes_read - s->rate_bytes) / (double)busy;
			s->disk_limit = s->rate > s->disk_limit ? s->rate : s->disk_limit;
		}
		s->rate_time = now;
		s->rate_bytes = sv->bytes_read;
		s->rate_busy = sv->busy_ns;
	}
	v->disk_gb_s = s->rate > 0 ? s->rate : -1;
	v->disk_limit_gb_s = s->disk_limit > 0 ? s->disk_limit : -1;
	pthread_mutex_unlock(&s->lock);
}

int session_view(struct session *s, struct session_view *v)
{
	struct trace_view trace = v->trace;
	const struct model *m = chat_model(s->chat);
	struct engine *en = chat_engine(s->chat);
	*v = (struct session_view){.model = m->name, .dtype = s->dtype, .model_bytes = m->bytes,
		.n_layers = m->n_layers, .tokens = atomic_load(&s->tokens), .busy = atomic_load(&s->busy),
		.prefill_done = atomic_load(&s->prefill_done), .prefill_total = atomic_load(&s->prefill_total),
		.ram_used = plan_process_ram(), .disk_gb_s = -1, .disk_limit_gb_s = -1, .device = s->device,
		.reader = "-", .trace = trace};
	if (!en)
		return 0;
	const struct plan *p = chat_plan(s->chat);
	struct stream_view sv;
	engine_stream_view(en, &sv);
	v->ctx = p->ctx;
	v->ctx_used = (uint32_t)engine_cached(en);
	v->ram_budget = p->ram_bytes;
	v->resident_bytes = p->resident_bytes;
	v->streamed_bytes = p->streamed_bytes;
	v->layer_resident = p->layers;
	v->disk_bytes = sv.bytes_read;
	v->reads_in_flight = (uint32_t)sv.in_flight;
	v->chunks_ahead = (uint32_t)sv.ahead;
	v->read_layer = p->schedule.chunks[sv.issued].layer;
	v->reader = chat_reader_name(s->chat);
	measure_disk(s, v, &sv);
	return trace_view(engine_trace(en), &v->trace);
}

void session_view_clear(struct session_view *v)
{
	trace_view_clear(&v->trace);
	*v = (struct session_view){0};
}
