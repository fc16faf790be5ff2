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
	size_t given;		 /* tokens of the answer that stood there before (continue) */
	struct ids old;		 /* those */
	bool quiet;		 /* text is of those: the sink has had it */
	struct tok_stream decode;
	struct sampler *sampler;
	struct reasoning marks;
	bool in_reasoning;
	struct buf piece;	 /* text of the last token */
	struct buf tail;	 /* the end of the prompt's text */
	size_t sent;		 /* bytes of r->text that the sink has */
};

static void on_part(void *arg, bool reasoning, const char *p, size_t len)
{
	struct answer *a = arg;
	buf_add(reasoning ? &a->r->reasoning : &a->r->answer, p, len);
	a->in_reasoning = reasoning;
	if (!a->quiet && a->sink->part)
		a->sink->part(a->sink->arg, reasoning, p, len);
}

/* Bytes at the end of the text that may be the beginning of a stop string; *cut where one begins. */
static size_t hold_back(const struct answer *a, size_t from, size_t *cut)
{
	const struct settings *s = &a->c->settings;
	const char *text = buf_str(&a->r->text);
	size_t len = a->r->text.len, hold = 0;
	*cut = SIZE_MAX;
	for (size_t i = 0; i < s->n_stops; i++) {
		size_t n = strlen(s->stops[i]);
		if (n == 0)
			continue;
		size_t start = from >= n ? from - n + 1 : 0;
		const char *at = len - start >= n ? memmem(text + start, len - start, s->stops[i], n) : NULL;
		if (at && (size_t)(at - text) < *cut)
			*cut = (size_t)(at - text);
		for (size_t k = n - 1 < len ? n - 1 : len; k > hold; k--)
			if (!memcmp(text + len - k, s->stops[i], k))
				hold = k;
	}
	return hold;
}

/* Give out the text up to here. */
static void send_until(struct answer *a, size_t until)
{
	if (until <= a->sent)
		return;
	const char *p = a->r->text.p + a->sent;
	size_t n = until - a->sent;
	a->sent = until;
	if (!a->quiet && a->sink->text)
		a->sink->text(a->sink->arg, p, n);
	reasoning_text(&a->marks, p, n);
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
	send_until(a, stopped || last ? a->r->text.len : a->r->text.len - hold);
	return stopped;
}

static bool is_stop(const struct chat *c, uint32_t id)
{
	for (size_t i = 0; i < c->n_stop_ids; i++)
		if (c->stop_ids[i] == id)
			return true;
	return false;
}

/* Text of one token; true if a stop string ended the answer. */
static int take_token(struct answer *a, uint32_t id, bool *stopped, struct err *e)
{
	size_t len;
	const char *content = tokenizer_token(a->c->tokenizer, id, &len);
	bool mark = false;
	for (int i = 0; a->marks.harmony && i < HARMONY_TOKENS; i++)
		mark |= a->c->harmony[i] == (int64_t)id;
	bool hidden = content && tokenizer_is_special(a->c->tokenizer, id);
	if (tok_stream_push(&a->decode, id, &a->piece, e) < 0)
		return -1;
	if (hidden || mark) {
		send_until(a, a->r->text.len); /* no stop string reaches over a mark */
		reasoning_mark(&a->marks, content, len);
		if (mark && !hidden) /* a mark that decoding shows is none of either part */
			a->sent += a->piece.len;
	}
	*stopped = take_text(a, false);
	return 0;
}

/* Sample, show, compute; *done when the answer has ended. */
static int one_token(struct answer *a, size_t limit, bool *done, struct err *e)
{
	struct chat *c = a->c;
	uint32_t id;
	bool stopped;
	*done = true;
	if (sampler_pick(a->sampler, engine_logits(c->engine), a->all.p, a->all.len,
		    a->given + a->r->ids.len, &id, e) < 0 ||
		ids_add(&a->all, id, e) < 0 || ids_add(&a->r->ids, id, e) < 0)
		return -1;
	a->r->finish = FINISH_STOP;
	if (is_stop(c, id))
		return 0;
	if (take_token(a, id, &stopped, e) < 0)
		return -1;
	a->r->reasoning_tokens += a->in_reasoning;
	if (stopped)
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
	s->experts = a->c->plan.schedule.n_experts > 0;
	s->expert_hits = v.prefills.expert_hits + v.decode.expert_hits;
	s->expert_misses = v.prefills.expert_misses + v.decode.expert_misses;
	s->expert_right = v.prefills.expert_right + v.decode.expert_right;
	s->expert_wrong = v.prefills.expert_wrong + v.decode.expert_wrong;
	if (s->experts) /* which of them a pass needs is known when it is over */
		s->bytes_needed = s->bytes_from_disk + s->bytes_from_ram;
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

/* The context that one answer needs by itself, or 0 for the default. Rotated positions go on behind those that
 * a model was trained for, learned ones end. */
static uint32_t wanted_ctx(const struct chat *c, size_t prompt)
{
	size_t n = c->settings.max_tokens;
	const bool learned = model_weight(c->model, c->model->n_layers, ROLE_POS_EMBED);
	if (!c->cfg.one_shot)
		return 0;
	if (n == 0 && prompt + 1024 <= 4096)
		return 0;
	size_t want = prompt + (n ? n : 1024), most = c->model->ctx_train;
	if (n && !learned && most < 4096)
		most = 4096;
	return (uint32_t)(most && want > most && prompt < most ? most : want);
}

/* What of the answer stood there before goes in front. */
static int replay(struct answer *a, struct err *e)
{
	bool stopped = false;
	a->quiet = true;
	for (size_t i = 0; i < a->old.len; i++)
		if (ids_add(&a->all, a->old.p[i], e) < 0 || take_token(a, a->old.p[i], &stopped, e) < 0)
			return -1;
	a->quiet = false;
	a->given = a->old.len;
	return 0;
}

/* Prompt ids, engine, limits. n: messages that make the prompt. */
static int begin(struct answer *a, size_t n, size_t *limit, struct err *e)
{
	struct chat *c = a->c;
	bool harmony = c->harmony[HARMONY_CHANNEL] >= 0 && c->harmony[HARMONY_MESSAGE] >= 0;
	if (chat_encode(c, n, &a->all, &a->tail, e) < 0)
		return -1;
	reasoning_init(&a->marks, harmony && c->template, buf_str(&a->tail), a->tail.len);
	a->marks.part = on_part;
	a->marks.arg = a;
	a->in_reasoning = reasoning_open(&a->marks);
	if (replay(a, e) < 0)
		return -1;
	if (a->all.len == 0)
		return err_set(e, ERR_USAGE, "the prompt is empty");
	for (size_t i = 0; i < a->all.len; i++)
		if (ids_add(&a->r->prompt_ids, a->all.p[i], e) < 0)
			return -1;
	if (chat_start(c, wanted_ctx(c, a->all.len), e) < 0)
		return -1;
	if (a->all.len >= c->plan.ctx)
		return err_set(e, ERR_LIMIT, "the prompt has %zu tokens, which leaves no room in the context of %u (--ctx)",
			a->all.len, c->plan.ctx);
	*limit = c->plan.ctx - a->all.len;
	if (c->settings.max_tokens && c->settings.max_tokens < *limit)
		*limit = c->settings.max_tokens;
	struct sampler_params sampling = c->settings.sampler;
	sampling.seed += c->attempt * UINT64_C(0x9E3779B97F4A7C15);
	a->sampler = sampler_new(&sampling, c->model->vocab);
	return a->sampler ? 0 : err_nomem(e);
}

static int copy_text(char **to, size_t *len, const struct buf *b, struct err *e)
{
	char *s = malloc(b->len + 1);
	if (!s)
		return err_nomem(e);
	memcpy(s, buf_str(b), b->len);
	s[b->len] = '\0';
	free(*to);
	*to = s;
	*len = b->len;
	return 0;
}

/* The answer becomes (or changes) message n. */
static int keep(struct answer *a, size_t n, double seconds, struct err *e)
{
	struct chat *c = a->c;
	struct chat_result *r = a->r;
	if (buf_ok(&r->text, e) < 0 || buf_ok(&r->answer, e) < 0 || buf_ok(&r->reasoning, e) < 0)
		return -1;
	if (n == c->conv.n && conversation_add(&c->conv, "assistant", "", 0, e) < 0)
		return -1;
	struct chat_message *m = &c->conv.m[n];
	if (copy_text(&m->text, &m->len, &r->answer, e) < 0 ||
		(r->reasoning.len && copy_text(&m->reasoning, &m->reasoning_len, &r->reasoning, e) < 0))
		return -1;
	size_t keep_ids = r->ids.len;
	if (r->finish == FINISH_STOP && keep_ids && is_stop(c, r->ids.p[keep_ids - 1]))
		keep_ids--;
	for (size_t i = 0; i < keep_ids; i++)
		if (ids_add(&m->ids, r->ids.p[i], e) < 0)
			return -1;
	m->finish = r->finish;
	m->reasoning_tokens += r->reasoning_tokens;
	m->seconds = (m->seconds > 0 ? m->seconds : 0) + seconds;
	return 0;
}

static int run(struct answer *a, size_t n, struct err *e)
{
	struct chat *c = a->c;
	size_t limit = 0;
	int64_t start = clock_ns();
	tok_stream_init(&a->decode, c->tokenizer, true);
	int rc = begin(a, n, &limit, e);
	if (rc == 0)
		rc = generate(a, limit, e);
	if (a->marks.part)
		reasoning_end(&a->marks);
	if (rc < 0 && a->r->ids.len && a->r->text.len) {
		struct err ignored = ERR_INIT;
		a->r->finish = FINISH_ERROR;
		keep(a, n, (double)(clock_ns() - start) / 1e9, &ignored);
	} else if (rc == 0) {
		rc = keep(a, n, (double)(clock_ns() - start) / 1e9, e);
	}
	sampler_free(a->sampler);
	tok_stream_clear(&a->decode);
	ids_clear(&a->all);
	buf_clear(&a->piece);
	buf_clear(&a->tail);
	return rc;
}

int chat_answer(struct chat *c, const struct chat_sink *sink, struct chat_result *r, struct err *e)
{
	struct answer a = {.c = c, .sink = sink, .r = r};
	*r = (struct chat_result){0};
	return run(&a, c->conv.n, e);
}

int chat_continue(struct chat *c, const struct chat_sink *sink, struct chat_result *r, struct err *e)
{
	struct answer a = {.c = c, .sink = sink, .r = r};
	*r = (struct chat_result){0};
	struct chat_message *m = c->conv.n ? &c->conv.m[c->conv.n - 1] : NULL;
	if (!m || strcmp(m->role, "assistant"))
		return err_set(e, ERR_USAGE, "there is no answer to continue");
	if (m->finish == FINISH_STOP)
		return err_set(e, ERR_USAGE, "the last answer ended by itself; retry makes another one");
	if (m->ids.len == 0 && m->len) { /* of a session written without its tokens, or edited */
		const struct tok_span span = {m->text, m->len, true};
		if (tokenizer_encode(c->tokenizer, &span, 1, 0, &m->ids, e) < 0)
			return -1;
	}
	a.old = m->ids;
	return run(&a, c->conv.n - 1, e);
}
