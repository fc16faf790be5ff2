/* The numbers of an answer as one JSON object. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "chat/chat_private.h"

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
	const char *why = chat_reader_note(c);
	struct buf note = BUF_INIT;
	if (why)
		json_write_str(&note, why, strlen(why));
	else
		buf_puts(&note, "null");
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
	buf_printf(out, "\"peak_ram_bytes\": %llu, \"peak_vram_bytes\": null, \"reader\": \"%s\", \"reader_note\": %s, \"device\": \"%s\", \"ops\": \"%s\", \"threads\": %d, \"ctx\": %u, \"kv_type\": \"%s\", \"drafted\": null, \"accepted\": null, ",
		(unsigned long long)s->peak_ram_bytes, c->reader ? c->reader->name : "", buf_str(&note), b->name, b->variant,
		b->threads, c->plan.ctx, dtype_info(c->cfg.kv_type)->name);
	buf_clear(&note);
	put_num(out, "expert_hits", s->experts ? (double)s->expert_hits : -1, false);
	put_num(out, "expert_misses", s->experts ? (double)s->expert_misses : -1, false);
	put_num(out, "expert_right_guesses", s->experts ? (double)s->expert_right : -1, false);
	put_num(out, "expert_wrong_guesses", s->experts ? (double)s->expert_wrong : -1, true);
	buf_puts(out, "}");
}

static void put_ids(struct buf *out, const char *name, const struct ids *ids)
{
	buf_printf(out, "\"%s\": [", name);
	for (size_t i = 0; i < ids->len; i++)
		buf_printf(out, i ? ", %u" : "%u", ids->p[i]);
	buf_puts(out, "], ");
}

void chat_result_json(const struct chat *c, const struct chat_result *r, struct buf *out)
{
	buf_puts(out, "{\"text\": ");
	json_write_str(out, buf_str(&r->text), r->text.len);
	if (r->reasoning.len) {
		buf_puts(out, ", \"reasoning\": ");
		json_write_str(out, buf_str(&r->reasoning), r->reasoning.len);
		buf_puts(out, ", \"answer\": ");
		json_write_str(out, buf_str(&r->answer), r->answer.len);
	}
	buf_puts(out, ", ");
	put_ids(out, "ids", &r->ids);
	put_ids(out, "prompt_ids", &r->prompt_ids);
	buf_printf(out, "\"finish\": \"%s\", \"stats\": ", chat_finish_name(r->finish));
	chat_stats_json(c, &r->stats, out);
	buf_puts(out, "}");
}
