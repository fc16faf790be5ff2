/* A conversation as Markdown, JSON (the messages of OpenAI's interface) or HTML. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "chat/chat_private.h"

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);
	return n > k && !strcmp(s + n - k, end);
}

/* by the end of the name */
static enum export_format export_format_of(const char *path)
{
	return ends_with(path, ".json")				     ? EXPORT_JSON
		: ends_with(path, ".html") || ends_with(path, ".htm") ? EXPORT_HTML
								     : EXPORT_MARKDOWN;
}

static void markdown(const struct conversation *c, const char *title, struct buf *out)
{
	buf_printf(out, "# %s\n", title);
	for (size_t i = 0; i < c->n; i++) {
		const struct chat_message *m = &c->m[i];
		buf_printf(out, "\n## %s\n\n", m->role);
		if (m->reasoning) {
			buf_puts(out, "<details><summary>Reasoning</summary>\n\n");
			buf_add(out, m->reasoning, m->reasoning_len);
			buf_puts(out, "\n\n</details>\n\n");
		}
		buf_add(out, m->text, m->len);
		buf_addc(out, '\n');
	}
}

static void json(const struct conversation *c, struct buf *out)
{
	buf_puts(out, "[");
	for (size_t i = 0; i < c->n; i++) {
		const struct chat_message *m = &c->m[i];
		buf_puts(out, i ? ",\n {\"role\": " : "{\"role\": ");
		json_write_str(out, m->role, strlen(m->role));
		buf_puts(out, ", \"content\": ");
		json_write_str(out, m->text, m->len);
		if (m->reasoning) {
			buf_puts(out, ", \"reasoning_content\": ");
			json_write_str(out, m->reasoning, m->reasoning_len);
		}
		buf_addc(out, '}');
	}
	buf_puts(out, "]\n");
}

/* Text of a model or a user: escaped, and without control characters. */
static void escaped(struct buf *out, const char *p, size_t len)
{
	struct buf safe = BUF_INIT;
	utf8_append_printable(&safe, p, len);
	for (size_t i = 0; i < safe.len; i++) {
		char ch = safe.p[i];
		if (ch == '&')
			buf_puts(out, "&amp;");
		else if (ch == '<')
			buf_puts(out, "&lt;");
		else if (ch == '>')
			buf_puts(out, "&gt;");
		else if (ch == '"')
			buf_puts(out, "&quot;");
		else if (ch == '\'')
			buf_puts(out, "&#39;");
		else
			buf_addc(out, ch);
	}
	out->failed |= safe.failed;
	buf_clear(&safe);
}

static void html(const struct conversation *c, const char *title, struct buf *out)
{
	buf_puts(out, "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\">\n<title>");
	escaped(out, title, strlen(title));
	buf_puts(out, "</title>\n<style>body{max-width:48em;margin:2em auto;font-family:sans-serif;line-height:1.5}"
		      "pre{white-space:pre-wrap;font-family:inherit;margin:0}section{margin:1em 0;padding:.5em 1em;"
		      "border-left:4px solid #888}.user{border-color:#27c}details{color:#666}</style>\n</head><body>\n");
	for (size_t i = 0; i < c->n; i++) {
		const struct chat_message *m = &c->m[i];
		bool user = !strcmp(m->role, "user");
		buf_printf(out, "<section class=\"%s\"><h2>", user ? "user" : "other");
		escaped(out, m->role, strlen(m->role));
		buf_puts(out, "</h2>\n");
		if (m->reasoning) {
			buf_puts(out, "<details><summary>Reasoning</summary><pre>");
			escaped(out, m->reasoning, m->reasoning_len);
			buf_puts(out, "</pre></details>\n");
		}
		buf_puts(out, "<pre>");
		escaped(out, m->text, m->len);
		buf_puts(out, "</pre></section>\n");
	}
	buf_puts(out, "</body></html>\n");
}

int conversation_export(const struct conversation *c, const char *title, enum export_format f,
	struct buf *out, struct err *e)
{
	if (f == EXPORT_JSON)
		json(c, out);
	else if (f == EXPORT_HTML)
		html(c, title, out);
	else
		markdown(c, title, out);
	return buf_ok(out, e);
}

int conversation_save(const struct conversation *c, const char *title, const char *path, struct err *e)
{
	struct buf out = BUF_INIT;
	int rc = conversation_export(c, title, export_format_of(path), &out, e);
	if (rc == 0)
		rc = file_save(path, buf_str(&out), out.len, 0600, e);
	buf_clear(&out);
	return rc;
}
