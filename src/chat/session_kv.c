/* The KV cache beside a session's file: read when the session goes on, written on request, or at the end
 * when computing it again would take long. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "chat/session_private.h"
#include "chat/session_store.h"
#include "engine/kv_file.h"

#define SIZE_LIMIT ((uint64_t)8 << 30)
#define DISK_LEFT ((uint64_t)1 << 30)	   /* stays free */

static double mib(uint64_t bytes)
{
	return (double)bytes / 1048576.0;
}

/* Measured rates: of the answer whose prompt was computed in the most rows, and of a pass. */
void session_kv_measure(struct session *s, const struct chat_result *r)
{
	size_t computed = r->prompt_ids.len - r->stats.cached_tokens;
	if (computed >= s->prefill_rows && computed > 0) {
		s->prefill_rows = computed;
		s->prefill_row_s = r->stats.prefill_s / (double)computed;
	}
	if (r->ids.len > 1)
		s->pass_s = r->stats.decode_s / (double)(r->ids.len - 1);
}

/* Seconds that computing the present cells again would take, as far as measured. */
static double seconds_again(const struct session *s, size_t n)
{
	const struct plan *p = chat_plan(s->chat);
	double blocks = (double)((n + p->prefill_rows - 1) / p->prefill_rows) * s->pass_s;
	double rows = s->prefill_rows >= 64 ? s->prefill_row_s * (double)n : 0;
	return blocks > rows ? blocks : rows;
}

static int check_room(const char *path, uint64_t bytes, struct err *e)
{
	struct statvfs v;
	char *dir = strdup(path), *slash = dir ? strrchr(dir, '/') : NULL;
	if (slash)
		*slash = '\0';
	uint64_t room = dir && statvfs(dir, &v) == 0 ? (uint64_t)v.f_bavail * v.f_frsize : 0;
	free(dir);
	if (bytes > SIZE_LIMIT)
		return err_set(e, ERR_LIMIT, "the KV cache takes %.0f MiB, more than the limit of %.0f MiB", mib(bytes), mib(SIZE_LIMIT));
	if (room < bytes + DISK_LEFT)
		return err_set(e, ERR_IO, "the KV cache takes %.0f MiB, for which the disk has no room", mib(bytes));
	return 0;
}

/* Write it; *note says what was done. */
static int keep(struct session *s, struct buf *note, struct err *e)
{
	struct engine *en = chat_engine(s->chat);
	char *path = session_kv_path(s->name, e);
	if (!path)
		return -1;
	uint64_t bytes = engine_kv_bytes(en);
	int rc = check_room(path, bytes, e);
	if (rc == 0)
		rc = engine_kv_save(en, path, e);
	if (rc == 0) {
		s->kv_kept = engine_cached(en);
		buf_printf(note, "the KV cache of %zu tokens is kept beside the session: %.1f MiB", s->kv_kept, mib(bytes));
	}
	free(path);
	return rc;
}

int session_kv_keep(struct session *s, struct err *e)
{
	struct buf note = BUF_INIT;
	struct engine *en = chat_engine(s->chat);
	if (!s->keep || !s->name || !s->on_disk)
		return err_set(e, ERR_USAGE, "this session is not kept, so its KV cache can't be");
	if (!en || engine_cached(en) == 0)
		return err_set(e, ERR_USAGE, "nothing has been computed yet");
	int rc = keep(s, &note, e);
	if (rc == 0)
		session_emit_text(s, SESSION_NOTE, buf_str(&note));
	buf_clear(&note);
	return rc;
}

/* When the session is left: keep what would take long to compute again. */
char *session_kv_leave(struct session *s)
{
	struct buf note = BUF_INIT;
	struct err e = ERR_INIT;
	struct engine *en = chat_engine(s->chat);
	size_t n = en ? engine_cached(en) : 0;
	if (!s->keep || !s->name || !s->on_disk || n == 0 || n == s->kv_kept || seconds_again(s, n) < s->kv_worth_s)
		return NULL;
	if (keep(s, &note, &e) < 0) {
		buf_reset(&note);
		buf_puts(&note, e.msg);
	}
	return note.p ? buf_take(&note) : NULL;
}

void session_kv_restore(struct session *s)
{
	struct err e = ERR_INIT;
	struct buf note = BUF_INIT;
	if (!s->kv_wanted)
		return;
	s->kv_wanted = false;
	char *path = session_kv_path(s->name, &e);
	if (path && file_exists(path) && chat_start(s->chat, 0, &e) == 0) {
		struct engine *en = chat_engine(s->chat);
		if (engine_kv_load(en, path, &e) == 0) {
			s->kv_kept = engine_cached(en);
			buf_printf(&note, "the KV cache of %zu tokens was read back: %.1f MiB", s->kv_kept, mib(engine_kv_bytes(en)));
		} else {
			buf_printf(&note, "the kept KV cache can't be used, the conversation is computed again: %s", e.msg);
		}
		session_emit_text(s, SESSION_NOTE, buf_str(&note));
	}
	buf_clear(&note);
	free(path);
}
