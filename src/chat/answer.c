/* One answer: prompt, prefill, then token after token until something ends it. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "chat/chat_private.h"

struct answer {
	struct chat *c;
	const struct chat_sink *sink;
	struct chat_result *r;
	struct ids all;		 /* prompt and answer */
	struct tok_stream decode;
	struct sampler *sampler;
	struct buf piece;	 /* text of the last token */
	size_t sent;		 /* bytes of r->text that the sink has */
};

static int encode_raw(struct answer *a, struct err *e)
{
	struct buf all = BUF_INIT;
	for (size_t i = 0; i < a->c->n_messages; i++)
		buf_add(&all, a->c->messages[i].text, a->c->messages[i].len);
	const struct tok_span span = {buf_str(&all), all.len, false};
	int rc = buf_ok(&all, e);
	if (rc == 0)
		rc = tokenizer_encode(a->c->tokenizer, &span, 1, TOK_ADD_SPECIAL, &a->all, e);
	buf_clear(&all);
	return rc;
}

static int encode_chat(struct answer *a, struct err *e)
{
	struct chat *c = a->c;
	struct buf messages = BUF_INIT;
	struct text text = {0};
	chat_messages_json(c, &messages);
	if (buf_ok(&messages, e) < 0)
		return -1;
	const struct template_input in = {.messages_json = messages.p, .messages_len = messages.len,
		.add_generation_prompt = true,
		.bos_token = tokenizer_role_token(c->tokenizer, "bos_token"),
		.eos_token = tokenizer_role_token(c->tokenizer, "eos_token"),
		.kwargs_json = c->cfg.kwargs_json};
	struct tok_span *spans = NULL;
	size_t n = 0;
	int rc = template_render(c->template, &in, &text, e);
	if (rc == 0)
		rc = text_spans(&text, &spans, &n, e);
	if (rc == 0) /* the template writes BOS itself where the model wants one */
		rc = tokenizer_encode(c->tokenizer, spans, n, 0, &a->all, e);
	free(spans);
	text_clear(&text);
	buf_clear(&messages);
	return rc;
}

/* Bytes at the end of the text that may be the beginning of a stop string; *cut where one begins. */
static size_t hold_back(const struct answer *a, size_t from, size_t *cut)
{
	const struct chat_config *cfg = &a->c->cfg;
	const char *text = buf_str(&a->r->text);
	size_t len = a->r->text.len, hold = 0;
	*cut = SIZE_MAX;
	for (size_t i = 0; i < cfg->n_stops; i++) {
		size_t n = strlen(cfg->stops[i]);
		if (n == 0)
			continue;
		size_t start = from >= n ? from - n + 1 : 0;
		const char *at = len - start >= n ? memmem(text + start, len - start, cfg->stops[i], n)
						  : NULL;
		if (at && (size_t)(at - text) < *cut)
			*cut = (size_t)(at - text);
		for (size_t k = n - 1 < len ? n - 1 : len; k > hold; k--)
			if (!memcmp(text + len - k, cfg->stops[i], k))
				hold = k;
	}
	return hold;
}

/* Take the new piece into the answer; true if a stop string ended it. */
static bool take_text(struct answer *a, bool last)
{
	size_t from = a->r->text.len, cut;
	buf_add(&a->r->text, buf_str(&a->piece), a->piece.len);
	buf_reset(&a->piece);
	size_t hold = hold_back(a, from, &cut);
	bool stopped = cut != SIZE_MAX;
	if (stopped)
		buf_cut(&a->r->text, cut);
	size_t until = stopped || last ? a->r->text.len : a->r->text.len - hold;
	if (until > a->sent && a->sink->text)
		a->sink->text(a->sink->arg, a->r->text.p + a->sent, until - a->sent);
	if (until > a->sent)
		a->sent = until;
	return stopped;
}

static bool is_stop(const struct chat *c, uint32_t id)
{
	for (size_t i = 0; i < c->n_stop_ids; i++)
		if (c->stop_ids[i] == id)
			return true;
	return false;
}

/* Sample, show, compute; *done when the answer has ended. */
static int one_token(struct answer *a, size_t limit, bool *done, struct err *e)
{
	struct chat *c = a->c;
	uint32_t id;
	*done = true;
	if (sampler_pick(a->sampler, engine_logits(c->engine), a->all.p, a->all.len, a->r->ids.len, &id,
		    e) < 0 ||
		ids_add(&a->all, id, e) < 0 || ids_add(&a->r->ids, id, e) < 0)
		return -1;
	a->r->finish = FINISH_STOP;
	if (is_stop(c, id))
		return 0;
	if (tok_stream_push(&a->decode, id, &a->piece, e) < 0)
		return -1;
	if (take_text(a, false))
		return 0;
	a->r->finish = FINISH_LENGTH;
	if (a->r->ids.len >= limit)
		return 0;
	*done = false;
	return engine_eval(c->engine, a->all.p, a->all.len, NULL, NULL, e);
}

static void fill_stats(struct answer *a, int64_t start, int64_t prefilled, int64_t end)
{
	struct chat_stats *s = &a->r->stats;
	struct trace_view v = {0};
	s->prompt_tokens = a->r->prompt_ids.len;
	s->new_tokens = a->r->ids.len;
	s->prefill_s = (double)(prefilled - start) / 1e9;
	s->decode_s = (double)(end - prefilled) / 1e9;
	s->peak_ram_bytes = plan_peak_ram();
	if (trace_view(engine_trace(a->c->engine), &v) < 0)
		return;
	const struct trace_pass *p[] = {&v.prefills, &v.decode};
	s->passes = v.n_prefill + v.n_decode;
	for (int i = 0; i < 2; i++) {
		s->disk_wait_s += (double)p[i]->ns[CAUSE_DISK] / 1e9;
		s->copy_wait_s += (double)p[i]->ns[CAUSE_COPY] / 1e9;
		s->compute_s += (double)p[i]->ns[CAUSE_COMPUTE] / 1e9;
		s->read_busy_s += (double)p[i]->read_busy / 1e9;
		s->bytes_from_disk += p[i]->bytes_disk;
		s->bytes_from_ram += p[i]->bytes_ram;
	}
	s->other_s = s->prefill_s + s->decode_s - s->disk_wait_s - s->copy_wait_s - s->compute_s;
	s->bytes_resident = a->c->plan.resident_bytes;
	s->bytes_needed = a->c->plan.schedule.bytes * s->passes;
	trace_view_clear(&v);
}

static int generate(struct answer *a, size_t limit, struct err *e)
{
	struct chat *c = a->c;
	trace_reset_sums(engine_trace(c->engine));
	int64_t start = clock_ns();
	const struct engine_progress progress = {.prefill = a->sink->prefill, .arg = a->sink->arg};
	int rc = engine_eval(c->engine, a->all.p, a->all.len, &progress, &a->r->stats.cached_tokens, e);
	int64_t prefilled = clock_ns();
	for (bool done = false; rc == 0 && !done;)
		rc = one_token(a, limit, &done, e);
	if (rc < 0 && e->code == ERR_CANCELLED) {
		a->r->finish = FINISH_CANCELLED;
		rc = 0;
	}
	struct err ignored = ERR_INIT;
	bool cut = a->sent < a->r->text.len && a->r->finish == FINISH_STOP;
	if (!cut && tok_stream_flush(&a->decode, &a->piece, &ignored) == 0)
		take_text(a, true);
	fill_stats(a, start, prefilled, clock_ns());
	return rc;
}

/* Prompt ids, engine, limits. */
static int begin(struct answer *a, size_t *limit, struct err *e)
{
	struct chat *c = a->c;
	if ((c->template ? encode_chat(a, e) : encode_raw(a, e)) < 0)
		return -1;
	if (a->all.len == 0)
		return err_set(e, ERR_USAGE, "the prompt is empty");
	for (size_t i = 0; i < a->all.len; i++)
		if (ids_add(&a->r->prompt_ids, a->all.p[i], e) < 0)
			return -1;
	if (chat_start(c, 0, e) < 0)
		return -1;
	if (a->all.len >= c->plan.ctx)
		return err_set(e, ERR_LIMIT, "the prompt has %zu tokens, which leaves no room in the context of %u (--ctx)",
			a->all.len, c->plan.ctx);
	*limit = c->plan.ctx - a->all.len;
	if (c->cfg.max_tokens && c->cfg.max_tokens < *limit)
		*limit = c->cfg.max_tokens;
	a->sampler = sampler_new(&c->cfg.sampler, c->model->vocab);
	return a->sampler ? 0 : err_nomem(e);
}

int chat_answer(struct chat *c, const struct chat_sink *sink, struct chat_result *r, struct err *e)
{
	struct answer a = {.c = c, .sink = sink, .r = r};
	size_t limit = 0;
	*r = (struct chat_result){0};
	tok_stream_init(&a.decode, c->tokenizer, true);
	int rc = begin(&a, &limit, e);
	if (rc == 0)
		rc = generate(&a, limit, e);
	if (rc == 0)
		rc = chat_add(c, "assistant", buf_str(&r->text), r->text.len, e);
	sampler_free(a.sampler);
	tok_stream_clear(&a.decode);
	ids_clear(&a.all);
	buf_clear(&a.piece);
	return rc;
}

static void put_num(struct buf *out, const char *name, double v, bool last)
{
	if (v < 0)
		buf_printf(out, "\"%s\": null%s", name, last ? "" : ", ");
	else
		buf_printf(out, "\"%s\": %.9g%s", name, v, last ? "" : ", ");
}

void chat_stats_json(const struct chat *c, const struct chat_stats *s, struct buf *out)
{
	const struct backend *b = c->cfg.backend;
	buf_puts(out, "{");
	put_num(out, "prompt_tokens", (double)s->prompt_tokens, false);
	put_num(out, "cached_tokens", (double)s->cached_tokens, false);
	put_num(out, "new_tokens", (double)s->new_tokens, false);
	put_num(out, "passes", (double)s->passes, false);
	put_num(out, "prefill_s", s->prefill_s, false);
	put_num(out, "decode_s", s->decode_s, false);
	put_num(out, "s_per_token", s->new_tokens > 1 ? s->decode_s / (double)(s->new_tokens - 1) : -1, false);
	buf_printf(out, "\"bytes_from_disk\": %llu, \"bytes_from_ram\": %llu, \"bytes_resident\": %llu, \"bytes_needed\": %llu, ",
		(unsigned long long)s->bytes_from_disk, (unsigned long long)s->bytes_from_ram,
		(unsigned long long)s->bytes_resident, (unsigned long long)s->bytes_needed);
	put_num(out, "disk_wait_s", s->disk_wait_s, false);
	put_num(out, "copy_wait_s", s->copy_wait_s, false);
	put_num(out, "compute_s", s->compute_s, false);
	put_num(out, "other_s", s->other_s, false);
	put_num(out, "read_busy_s", s->read_busy_s, false);
	put_num(out, "disk_gb_per_s",
		s->read_busy_s > 0 ? (double)s->bytes_from_disk / s->read_busy_s / 1e9 : -1, false);
	buf_printf(out, "\"peak_ram_bytes\": %llu, \"peak_vram_bytes\": null, \"reader\": \"%s\", \"device\": \"%s\", \"ops\": \"%s\", \"threads\": %d, \"ctx\": %u, \"kv_type\": \"%s\", \"drafted\": null, \"accepted\": null, \"expert_hits\": null, \"expert_misses\": null}",
		(unsigned long long)s->peak_ram_bytes, c->reader ? c->reader->name : "", b->name, b->variant,
		b->threads, c->plan.ctx, dtype_info(c->cfg.kv_type)->name);
}
