/* airlchat MODEL -p TEXT: one answer on stdout, everything else on stderr. And plain mode: one line of
 * stdin is one message. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "cli/commands.h"

#define INPUT_LIMIT ((size_t)256 << 20)

/* --- output --- */

struct printer {
	bool json, terminal;
	struct buf safe;
};

static void print_text(void *arg, const char *p, size_t len)
{
	struct printer *out = arg;
	if (out->json)
		return;
	if (out->terminal) { /* model output is untrusted: no escapes reach a terminal */
		buf_reset(&out->safe);
		utf8_append_printable(&out->safe, p, len);
		fwrite(buf_str(&out->safe), 1, out->safe.len, stdout);
	} else {
		fwrite(p, 1, len, stdout);
	}
	fflush(stdout);
}

static void put_ids(struct buf *out, const char *name, const struct ids *ids)
{
	buf_printf(out, "\"%s\": [", name);
	for (size_t i = 0; i < ids->len; i++)
		buf_printf(out, i ? ", %u" : "%u", ids->p[i]);
	buf_puts(out, "], ");
}

static void print_json(const struct chat *c, const struct chat_result *r)
{
	struct buf out = BUF_INIT;
	buf_puts(&out, "{\"text\": ");
	json_write_str(&out, buf_str(&r->text), r->text.len);
	buf_puts(&out, ", ");
	put_ids(&out, "ids", &r->ids);
	put_ids(&out, "prompt_ids", &r->prompt_ids);
	buf_printf(&out, "\"finish\": \"%s\", \"stats\": ", chat_finish_name(r->finish));
	chat_stats_json(c, &r->stats, &out);
	buf_puts(&out, "}\n");
	fwrite(buf_str(&out), 1, out.len, stdout);
	buf_clear(&out);
}

static void print_stats(const struct chat *c, const struct chat_result *r)
{
	struct buf out = BUF_INIT;
	chat_stats_json(c, &r->stats, &out);
	fprintf(stderr, "%s\n", buf_str(&out));
	buf_clear(&out);
}

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

static int read_prompt(const struct options *o, struct buf *out, struct err *e)
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

/* --template-var K=V: V is JSON, else text. */
static char *kwargs_json(const struct options *o)
{
	struct buf out = BUF_INIT;
	buf_addc(&out, '{');
	for (size_t i = 0; i < o->n_template_vars; i++) {
		const char *kv = o->template_vars[i], *eq = strchr(kv, '=');
		size_t n = eq ? (size_t)(eq - kv) : strlen(kv);
		const char *v = eq ? eq + 1 : "true";
		cJSON *j = cJSON_ParseWithOpts(v, NULL, true);
		buf_puts(&out, i ? ", " : "");
		json_write_str(&out, kv, n);
		buf_puts(&out, ": ");
		if (j)
			buf_puts(&out, v);
		else
			json_write_str(&out, v, strlen(v));
		cJSON_Delete(j);
	}
	buf_addc(&out, '}');
	return buf_take(&out);
}

static void chat_config_from(struct chat_config *cfg, const struct options *o, struct backend *b)
{
	*cfg = (struct chat_config){.model = o->model, .template_file = o->template_file,
		.system = o->system, .raw = o->raw, .backend = b, .reader = o->reader,
		.trace_file = o->trace_file, .ram = o->ram, .ctx = o->ctx, .prefill_rows = o->prefill_rows,
		.chunk_bytes = o->chunk_size, .kv_type = o->kv_type, .max_tokens = o->max_tokens,
		.stops = o->stops, .n_stops = o->n_stops, .sampler = o->sampler};
}

/* A file name decides the form: Markdown, or JSON when it ends in .json. */
static int save(const struct chat *c, const char *path, struct err *e)
{
	struct buf out = BUF_INIT;
	size_t n = strlen(path);
	bool json = n > 5 && !strcmp(path + n - 5, ".json");
	int rc = chat_transcript(c, json, &out, e);
	if (rc == 0)
		rc = file_write(path, buf_str(&out), out.len, 0600, e);
	buf_clear(&out);
	return rc;
}

static int exit_status(enum chat_finish f)
{
	return f == FINISH_CANCELLED ? interrupted() > SIGINT ? 128 + interrupted() : 130 : 0;
}

/* Answer once and print; the exit status. */
static int answer(struct chat *c, const struct options *o, struct err *e)
{
	struct printer out = {.json = o->json, .terminal = isatty(STDOUT_FILENO)};
	const struct chat_sink sink = {.text = print_text, .arg = &out};
	struct chat_result r;
	int rc = chat_answer(c, &sink, &r, e), status = rc < 0 ? report(e) : exit_status(r.finish);
	if (rc == 0 && o->json)
		print_json(c, &r);
	else if (rc == 0 && (r.text.len == 0 || r.text.p[r.text.len - 1] != '\n'))
		putchar('\n');
	fflush(stdout);
	if (rc == 0 && o->stats)
		print_stats(c, &r);
	chat_result_clear(&r);
	buf_clear(&out.safe);
	return status;
}

int chat_open_with(struct chat **c, const struct options *o, struct backend *b, char **kwargs, struct err *e)
{
	struct chat_config cfg;
	chat_config_from(&cfg, o, b);
	cfg.kwargs_json = *kwargs = kwargs_json(o);
	if (!*kwargs)
		return err_nomem(e);
	return chat_open(c, &cfg, e);
}

int cmd_prompt(const struct options *o, struct backend *b)
{
	struct err e = ERR_INIT;
	struct buf prompt = BUF_INIT;
	struct chat *c = NULL;
	char *kwargs = NULL;
	int status;
	if (read_prompt(o, &prompt, &e) < 0 || chat_open_with(&c, o, b, &kwargs, &e) < 0 ||
		chat_add(c, "user", buf_str(&prompt), prompt.len, &e) < 0) {
		status = report(&e);
	} else {
		interrupt_watch(c);
		if (!o->raw && !chat_has_template(c))
			fprintf(stderr, "airlchat: %s has no chat template: the prompt goes in as it is\n", o->model);
		status = answer(c, o, &e);
		if (o->save && save(c, o->save, &e) < 0)
			status = report(&e);
	}
	interrupt_watch(NULL);
	chat_close(c);
	buf_clear(&prompt);
	free(kwargs);
	return status;
}

/* --- plain mode --- */

static const char help_text[] = "/help            this list\n"
				"/system TEXT     set the system prompt (empty: none)\n"
				"/clear           forget the conversation\n"
				"/save FILE       write the conversation (Markdown, or JSON by its name)\n"
				"/quit            end\n";

/* A slash command; false when the program is to end. */
static bool command(struct chat *c, const char *line)
{
	struct err e = ERR_INIT;
	size_t n = strcspn(line, " ");
	const char *rest = line + n + (line[n] == ' ');
	if (!strncmp(line, "/quit", n) && n == 5)
		return false;
	if (!strncmp(line, "/help", n) && n == 5)
		fputs(help_text, stderr);
	else if (!strncmp(line, "/clear", n) && n == 6)
		chat_clear(c);
	else if (!strncmp(line, "/system", n) && n == 7)
		chat_set_system(c, rest, strlen(rest), &e);
	else if (!strncmp(line, "/save", n) && n == 5 && *rest)
		save(c, rest, &e);
	else
		err_set(&e, ERR_USAGE, "unknown command %.40s (/help lists them)", line);
	if (e.code)
		report(&e);
	return true;
}

static int plain_loop(struct chat *c, const struct options *o)
{
	char *line = NULL;
	size_t cap = 0;
	struct err e = ERR_INIT;
	int status = 0;
	bool go_on = true;
	while (go_on && interrupted() <= SIGINT) {
		if (isatty(STDIN_FILENO))
			fputs("> ", stderr);
		ssize_t n = getline(&line, &cap, stdin);
		if (n < 0)
			break;
		while (n && (line[n - 1] == '\n' || line[n - 1] == '\r'))
			line[--n] = '\0';
		if (n == 0)
			continue;
		if (line[0] == '/') {
			go_on = command(c, line);
			continue;
		}
		interrupt_reset();
		chat_uncancel(c);
		err_clear(&e);
		status = chat_add(c, "user", line, (size_t)n, &e) < 0 ? report(&e) : answer(c, o, &e);
		if (status == 130)
			status = 0; /* stopping an answer is no failure here; what there is was kept */
	}
	free(line);
	return interrupted() > SIGINT ? 128 + interrupted() : status;
}

int cmd_plain(const struct options *o, struct backend *b)
{
	struct err e = ERR_INIT;
	struct chat *c = NULL;
	char *kwargs = NULL;
	struct options with_stats = *o;
	with_stats.stats = true;
	int status;
	if (chat_open_with(&c, o, b, &kwargs, &e) < 0) {
		status = report(&e);
	} else {
		interrupt_watch(c);
		status = plain_loop(c, &with_stats);
	}
	if (c && o->save && save(c, o->save, &e) < 0)
		status = report(&e);
	interrupt_watch(NULL);
	chat_close(c);
	free(kwargs);
	return status;
}
