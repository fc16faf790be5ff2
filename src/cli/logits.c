/* airlchat logits: {"tokens": [T]} -> {"logits": [T][V]}, for comparing with other engines. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "engine/engine.h"
#include "engine/probe.h"

#define ROWS 8 /* logits of so many rows are kept at once; exact kernels give the same bits as 512 */

struct logits {
	struct model *model;
	struct engine *engine;
	struct buf *out;
	bool last, first;
};

static int put_row(void *arg, size_t position, const float *row, struct err *e)
{
	struct logits *l = arg;
	(void)position;
	buf_puts(l->out, l->first ? "[" : ", [");
	l->first = false;
	for (uint32_t i = 0; i < l->model->vocab; i++) {
		if (isfinite(row[i]))
			buf_printf(l->out, i ? ", %.9g" : "%.9g", (double)row[i]);
		else
			buf_puts(l->out, i ? ", null" : "null");
	}
	buf_addc(l->out, ']');
	return buf_ok(l->out, e);
}

static int read_tokens(const char *text, size_t len, struct ids *ids, struct err *e)
{
	struct json_reader r;
	struct json_str key;
	struct json_num n;
	bool found = false;
	json_reader_init(&r, text, len, "input line", e);
	for (json_object(&r); json_key(&r, &key);) {
		if (!json_str_is(&key, "tokens")) {
			json_skip(&r);
			continue;
		}
		found = true;
		for (json_array(&r); json_next(&r) && json_number(&r, &n);) {
			if (!n.is_int || n.i < 0 || n.i > UINT32_MAX)
				json_fail(&r, "a token must be a whole number");
			else if (mem_grow(&ids->p, &ids->cap, ids->len + 1, sizeof(*ids->p)) < 0)
				json_fail(&r, "out of memory");
			else
				ids->p[ids->len++] = (uint32_t)n.i;
		}
	}
	int rc = json_end(&r);
	json_reader_clear(&r);
	if (rc == 0 && (!found || !ids->len))
		rc = err_set(e, ERR_USAGE, "a line needs \"tokens\", a list of token ids");
	return rc;
}

static int one_line(void *arg, const char *text, size_t len, struct buf *out, struct err *e)
{
	struct logits *l = arg;
	struct ids ids = {0};
	const struct engine_progress rows = {.row = put_row, .arg = l};
	l->out = out;
	l->first = true;
	int rc = read_tokens(text, len, &ids, e);
	buf_puts(out, "{\"logits\": [");
	if (rc == 0)
		rc = engine_eval(l->engine, ids.p, ids.len, l->last ? NULL : &rows, NULL, e);
	if (rc == 0 && l->last)
		rc = put_row(l, ids.len - 1, engine_logits(l->engine), e);
	buf_puts(out, "]}");
	free(ids.p);
	return rc;
}

int cmd_logits(const struct options *o, struct backend *b)
{
	struct err e = ERR_INIT;
	struct checkpoint *ck = NULL;
	struct reader *reader = NULL;
	struct plan plan = {0};
	struct probe_disk drive = {0};
	struct logits l = {.last = o->last};
	const struct plan_request r = {.ram = o->ram, .backend = b->overhead, .host_memory = b->host_memory,
		.ctx = o->ctx, .prefill_rows = o->prefill_rows ? o->prefill_rows : ROWS,
		.logits_rows = o->last ? 1 : o->prefill_rows ? o->prefill_rows : ROWS,
		.kv_type = o->kv_type, .chunk_bytes = o->chunk_size};
	int status = 0;
	if (checkpoint_open(&ck, o->model, 0, &e) == 0)
		probe_disk_cached(&drive, ck);
	if (!ck || model_open(&l.model, ck, &e) < 0 || plan_make(&plan, l.model, &r, &e) < 0 ||
		probe_reader_open(&reader, o->reader, ck, &drive, &e) < 0) {
		status = report(&e);
	} else {
		const struct engine_config ec = {ck, l.model, &plan, b, reader};
		if (engine_open(&l.engine, &ec, &e) < 0 ||
			(o->trace_file && trace_export(engine_trace(l.engine), o->trace_file, &e) < 0))
			status = report(&e);
		else
			status = json_lines(one_line, &l);
	}
	engine_close(l.engine);
	if (reader)
		reader->ops->close(reader);
	plan_clear(&plan);
	model_close(l.model);
	checkpoint_close(ck);
	return status;
}
