/* airlchat MODEL -p TEXT: one answer on stdout, everything else on stderr. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "chat/session_open.h"
#include "chat/session_store.h"
#include "cli/commands.h"

#define INPUT_LIMIT ((size_t)256 << 20)

/* --- input --- */

static int read_stdin(struct buf *out, struct err *e)
{
	char block[65536];
	size_t n;
	while ((n = fread(block, 1, sizeof(block), stdin)) > 0) {
		buf_add(out, block, n);
		if (out->len > INPUT_LIMIT)
			return err_set(e, ERR_LIMIT, "the prompt on stdin is longer than %zu MiB", INPUT_LIMIT >> 20);
	}
	return ferror(stdin) ? err_sys(e, errno, "can't read stdin") : buf_ok(out, e);
}

int read_prompt(const struct options *o, struct buf *out, struct err *e)
{
	bool stdin_used = false;
	if (!strcmp(o->prompt, "-")) {
		stdin_used = true;
		if (read_stdin(out, e) < 0)
			return -1;
	} else {
		buf_puts(out, o->prompt);
	}
	if (o->prompt_file && out->len && out->p[out->len - 1] != '\n')
		buf_addc(out, '\n');
	if (o->prompt_file && !strcmp(o->prompt_file, "-"))
		return stdin_used ? err_set(e, ERR_USAGE, "stdin can't be both -p and -f") : read_stdin(out, e);
	if (o->prompt_file && file_read(o->prompt_file, INPUT_LIMIT, out, e) < 0)
		return -1;
	return buf_ok(out, e);
}

static void chat_config_from(struct chat_config *cfg, const struct options *o, struct backend *b)
{
	*cfg = (struct chat_config){.model = o->model, .template_file = o->template_file,
		.system = o->system, .raw = o->raw, .backend = b, .reader = o->reader,
		.trace_file = o->trace_file, .ram = o->ram, .ctx = o->ctx, .prefill_rows = o->prefill_rows,
		.chunk_bytes = o->chunk_size, .kv_type = o->kv_type, .settings = &o->settings,
		.one_shot = o->prompt && !o->go_on && !o->resume};
}

int chat_open_with(struct chat **c, const struct options *o, struct backend *b, struct err *e)
{
	struct chat_config cfg;
	chat_config_from(&cfg, o, b);
	return chat_open(c, &cfg, e);
}

int session_open_with(struct session **s, struct chat *c, const struct options *o, bool watched,
	struct err *e)
{
	char *latest = NULL;
	struct session_options so = {.keep = !o->no_keep, .kv_worth_s = o->keep_kv, .autosave_s = o->autosave,
		.watched = watched, .resume = o->resume};
	if (o->go_on && !o->resume) {
		struct err why = ERR_INIT;
		so.resume = latest = session_latest(o->model, &why);
		if (!latest)
			return err_set(e, ERR_USAGE, "there is no saved chat with this model to continue%s%s",
				why.code ? ": " : "", why.msg);
	}
	int rc = session_open(s, c, &so, e);
	free(latest);
	return rc;
}

static int exit_status(enum chat_finish f)
{
	return f != FINISH_CANCELLED ? 0 : interrupted() ? 128 + interrupted() : 130;
}

static void print_line(struct buf *line, FILE *f)
{
	buf_addc(line, '\n');
	fwrite(buf_str(line), 1, line->len, f);
	buf_clear(line);
}

struct output {
	struct printer out;
	struct progress *progress;
};

static void on_text(void *arg, const char *p, size_t len)
{
	struct output *o = arg;
	progress_text(o->progress);
	print_text(&o->out, p, len);
}

static void on_part(void *arg, bool reasoning, const char *p, size_t len)
{
	struct output *o = arg;
	progress_text(o->progress);
	print_part(&o->out, reasoning, p, len);
}

static void on_prefill(void *arg, size_t done, size_t total)
{
	progress_prefill(((struct output *)arg)->progress, done, total);
}

/* Answer once and print; the exit status. */
static int answer(struct chat *c, const struct options *o, struct err *e)
{
	struct output out = {.out = {.quiet = o->json, .terminal = isatty(STDOUT_FILENO)},
		.progress = progress_new(c, o->progress)};
	const struct chat_sink whole = {.text = on_text, .prefill = on_prefill, .arg = &out},
		parts = {.part = on_part, .prefill = on_prefill, .arg = &out};
	struct chat_result r;
	struct buf line = BUF_INIT;
	progress_begin(out.progress);
	int rc = chat_answer(c, chat_marks_hidden(c) && !o->raw ? &parts : &whole, &r, e);
	progress_free(out.progress);
	int status = rc < 0 ? report(e) : exit_status(r.finish);
	if (rc == 0 && o->json) {
		chat_result_json(c, &r, &line);
		print_line(&line, stdout);
	} else if (rc == 0 || r.text.len) {
		printer_end(&out.out);
	}
	fflush(stdout);
	if (rc == 0 && chat_reader_note(c))
		fprintf(stderr, "airlchat: reads by %s: %s\n", chat_reader_name(c), chat_reader_note(c));
	if (rc == 0 && o->stats) {
		chat_stats_json(c, &r.stats, &line);
		print_line(&line, stderr);
	}
	chat_result_clear(&r);
	buf_clear(&out.out.safe);
	return status;
}

int cmd_prompt(const struct options *o, struct backend *b)
{
	struct err e = ERR_INIT;
	struct buf prompt = BUF_INIT;
	struct chat *c = NULL;
	int status;
	if (read_prompt(o, &prompt, &e) < 0 || chat_open_with(&c, o, b, &e) < 0 ||
		conversation_add(chat_conversation(c), "user", buf_str(&prompt), prompt.len, &e) < 0) {
		status = report(&e);
	} else {
		interrupt_watch(c);
		char *note = chat_recommended_note(c);
		if (note)
			fprintf(stderr, "airlchat: %s\n", note);
		free(note);
		if (!o->raw && !chat_has_template(c))
			fprintf(stderr, "airlchat: %s has no chat template: the prompt goes in as it is\n", o->model);
		status = answer(c, o, &e);
		if (o->save && conversation_save(chat_conversation(c), chat_model(c)->name, o->save, &e) < 0)
			status = report(&e);
	}
	interrupt_watch(NULL);
	chat_close(c);
	buf_clear(&prompt);
	return status;
}
