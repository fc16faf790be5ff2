/* What the meters show. */
#include <string.h>

#include "chat/session_private.h"

int session_view(struct session *s, struct session_view *v)
{
	struct trace_view trace = v->trace;
	const struct model *m = chat_model(s->chat);
	struct engine *en = chat_engine(s->chat);
	*v = (struct session_view){.model = m->name, .dtype = s->dtype, .model_bytes = m->bytes,
		.n_layers = m->n_layers, .tokens = atomic_load(&s->tokens), .busy = atomic_load(&s->busy),
		.prefill_done = atomic_load(&s->prefill_done), .prefill_total = atomic_load(&s->prefill_total),
		.ram_used = plan_process_ram(), .device = s->device, .reader = "-", .trace = trace};
	if (en && trace_view(engine_trace(en), &v->trace) < 0)
		return -1;
	pthread_mutex_lock(&s->lock);
	why_fill(s->why, s->chat, &v->trace, &v->why);
	v->answer_max = s->settings.max_tokens;
	pthread_mutex_unlock(&s->lock);
	v->answer_tokens = (uint32_t)(v->tokens - atomic_load(&s->tokens_before));
	if (!en)
		return 0;
	const struct plan *p = chat_plan(s->chat);
	const struct stream_view sv = v->why.stream;
	v->ctx = p->ctx;
	v->ctx_used = (uint32_t)engine_cached(en);
	uint32_t room = v->ctx > v->ctx_used ? v->ctx - v->ctx_used + v->answer_tokens : v->answer_tokens;
	if (v->answer_max == 0 || v->answer_max > room)
		v->answer_max = room;
	v->ram_budget = p->ram_bytes;
	v->resident_bytes = p->resident_bytes;
	v->streamed_bytes = p->streamed_bytes;
	v->layer_resident = p->layers;
	v->disk_bytes = sv.bytes_read;
	v->reads_in_flight = (uint32_t)sv.in_flight;
	v->chunks_ahead = (uint32_t)sv.ahead;
	v->read_layer = p->schedule.chunks[sv.issued].layer;
	v->reader = chat_reader_name(s->chat);
	v->reader_note = chat_reader_note(s->chat);
	return 0;
}

struct trace *session_trace(struct session *s)
{
	struct engine *en = chat_engine(s->chat);
	return en ? engine_trace(en) : NULL;
}

void session_view_clear(struct session_view *v)
{
	trace_view_clear(&v->trace);
	*v = (struct session_view){0};
}
