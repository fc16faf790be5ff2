/* tokenizer/ against `tokenizers`' own results (../shared/vectors beside the checkout; a visible
 * skip where that folder is missing), and what no oracle covers: provenance, one long letter. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "store/checkpoint.h"
#include "tokenizer/gguf_pre.h"
#include "tokenizer/tokenizer.h"

struct line { /* one line of cases.jsonl or decode.jsonl */
	struct buf text, decoded, decoded_skip;
	struct ids ids;
	struct buf pieces; /* what the stream gave, one piece behind the other */
	size_t *piece_end; /* [ids.len] into pieces, where "nothing yet" repeats the last */
	bool has_text, has_decoded, has_skip, has_stream, add_special, skip_special, sensitive;
	bool taken_back; /* a bad byte took back text that the oracle's stream had given out */
};

static int n_test, n_bad;

static void report(bool ok, const char *name, const char *more)
{
	n_bad += !ok;
	printf("%sok %d - %s%s%s\n", ok ? "" : "not ", ++n_test, name, *more ? " # " : "", more);
	fflush(stdout);
}

static void line_clear(struct line *l)
{
	buf_clear(&l->text);
	buf_clear(&l->decoded);
	buf_clear(&l->decoded_skip);
	buf_clear(&l->pieces);
	ids_clear(&l->ids);
	free(l->piece_end);
	*l = (struct line){0};
}

static void read_text(struct json_reader *r, struct buf *out, bool *has)
{
	struct json_str s;
	*has = json_string(r, &s);
	buf_add(out, s.p, s.len);
}

static void read_stream(struct json_reader *r, struct line *l)
{
	size_t n = 0;
	l->has_stream = true;
	l->piece_end = calloc(l->ids.len + 1, sizeof(*l->piece_end));
	for (json_array(r); json_next(r);) {
		struct json_str s = {"", 0};
		if (json_peek(r) == JSON_NULL)
			json_null(r);
		else
			json_string(r, &s);
		buf_add(&l->pieces, s.p, s.len);
		if (l->piece_end && n < l->ids.len)
			l->piece_end[n++] = l->pieces.len;
	}
}

static int line_read(struct line *l, const char *p, size_t len, struct err *e)
{
	struct json_reader r;
	struct json_str key;
	struct json_num n;
	json_reader_init(&r, p, len, "vectors", e);
	for (json_object(&r); json_key(&r, &key);) {
		if (json_str_is(&key, "text"))
			read_text(&r, &l->text, &l->has_text);
		else if (json_str_is(&key, "decoded"))
			read_text(&r, &l->decoded, &l->has_decoded);
		else if (json_str_is(&key, "decoded_skip"))
			read_text(&r, &l->decoded_skip, &l->has_skip);
		else if (json_str_is(&key, "ids"))
			for (json_array(&r); json_next(&r) && json_number(&r, &n);)
				ids_add(&l->ids, (uint32_t)n.i, e);
		else if (json_str_is(&key, "stream"))
			read_stream(&r, l);
		else if (json_str_is(&key, "stream_error"))
			l->taken_back = json_skip(&r);
		else if (json_str_is(&key, "add_special_tokens"))
			json_bool(&r, &l->add_special);
		else if (json_str_is(&key, "skip_special_tokens"))
			json_bool(&r, &l->skip_special);
		else if (json_str_is(&key, "table_sensitive"))
			json_bool(&r, &l->sensitive);
		else
			json_skip(&r);
	}
	int rc = json_end(&r);
	json_reader_clear(&r);
	return rc;
}

static bool decodes_to(
	const struct tokenizer *t, const struct ids *ids, bool skip, const struct buf *want)
{
	struct err e = ERR_INIT;
	struct buf got = BUF_INIT;
	bool ok = tokenizer_decode(t, ids->p, ids->len, skip, &got, &e) == 0 &&
		  got.len == want->len && !memcmp(buf_str(&got), buf_str(want), got.len);
	if (!ok)
		printf("# decode: want \"%.200s\", got \"%.200s\" %s\n", buf_str(want),
			buf_str(&got), e.msg);
	buf_clear(&got);
	return ok;
}

static bool encodes_to(const struct tokenizer *t, const struct line *l)
{
	struct err e = ERR_INIT;
	struct ids got = {0};
	struct tok_span span = {buf_str(&l->text), l->text.len, false};
	bool ok = tokenizer_encode(t, &span, 1, l->add_special ? TOK_ADD_SPECIAL : 0, &got, &e) ==
			  0 &&
		  got.len == l->ids.len &&
		  (!got.len || !memcmp(got.p, l->ids.p, got.len * sizeof(*got.p)));
	if (!ok) {
		size_t i = 0;
		while (i < got.len && i < l->ids.len && got.p[i] == l->ids.p[i])
			i++;
		printf("# encode: \"%.120s\": %zu ids, want %zu; first difference at %zu %s\n",
			buf_str(&l->text), got.len, l->ids.len, i, e.msg);
	}
	ids_clear(&got);
	return ok;
}

/* Pieces must be whole characters, never behind the oracle's, and in the end the same text. */
static bool streams_to(const struct tokenizer *t, const struct line *l)
{
	struct err e = ERR_INIT;
	struct buf got = BUF_INIT;
	struct tok_stream s;
	tok_stream_init(&s, t, l->skip_special);
	bool ok = true, same = true;
	for (size_t i = 0; ok && i < l->ids.len; i++) {
		ok = tok_stream_push(&s, l->ids.p[i], &got, &e) == 0 &&
		     utf8_valid(buf_str(&got), got.len) &&
		     (l->taken_back || (got.len <= l->decoded.len &&
			     !memcmp(buf_str(&got), buf_str(&l->decoded), got.len)));
		if (l->has_stream && l->piece_end && got.len < l->piece_end[i])
			same = false;
	}
	ok = ok && tok_stream_flush(&s, &got, &e) == 0 &&
	     (l->taken_back || (got.len == l->decoded.len &&
				       !memcmp(buf_str(&got), buf_str(&l->decoded), got.len)));
	if (!ok || !same)
		printf("# stream: want \"%.200s\", got \"%.200s\"%s %s\n", buf_str(&l->decoded),
			buf_str(&got), same ? "" : " (late)", e.msg);
	tok_stream_clear(&s);
	buf_clear(&got);
	return ok && same;
}

static bool line_passes(const struct tokenizer *t, const struct line *l)
{
	if (l->has_text && !encodes_to(t, l))
		return false;
	if (!l->has_decoded)
		return true;
	if (!decodes_to(t, &l->ids, l->skip_special, &l->decoded))
		return false;
	if (l->has_text)
		return !l->has_skip || decodes_to(t, &l->ids, true, &l->decoded_skip);
	return streams_to(t, l);
}

static void check_file(const struct tokenizer *t, const char *path, const char *name)
{
	struct err e = ERR_INIT;
	struct buf all = BUF_INIT;
	int good = 0, bad = 0, sensitive = 0;
	char more[800] = "";
	if (file_read(path, 64u << 20, &all, &e) < 0) {
		report(false, name, e.msg);
		return;
	}
	for (char *p = all.p, *end = all.p + all.len; p && p < end;) {
		char *nl = memchr(p, '\n', (size_t)(end - p));
		struct line l = {0};
		if (!nl)
			nl = end;
		if (nl > p && line_read(&l, p, (size_t)(nl - p), &e) < 0)
			bad++;
		else if (nl > p && l.sensitive)
			sensitive++;
		else if (nl > p)
			*(line_passes(t, &l) ? &good : &bad) += 1;
		line_clear(&l);
		p = nl + 1;
	}
	snprintf(more, sizeof(more), "%d lines, %d wrong, %d hang on Unicode tables", good + bad,
		bad, sensitive);
	report(bad == 0 && good > 0, name, more);
	buf_clear(&all);
}

static struct tokenizer *open_at(const char *path, struct err *e)
{
	struct checkpoint *c = NULL;
	struct tokenizer *t = NULL;
	if (checkpoint_open(&c, path, CHECKPOINT_TENSORS_OPTIONAL, e) == 0)
		tokenizer_open(&t, c, e);
	checkpoint_close(c);
	return t;
}

/* What a user types never becomes a special token, whatever the kind: neither as an added token nor by
 * the model's own ways, with text of the template around it. */
static void check_specials_stay_text(const struct tokenizer *t, const char *entry)
{
	struct err e = ERR_INIT;
	struct ids ids = {0};
	char name[600];
	size_t n = tokenizer_vocab_size(t), len, tried = 0;
	bool ok = true;
	for (uint32_t id = 0; ok && id < n && tried < 300; id++) {
		const char *p = tokenizer_token(t, id, &len);
		if (!tokenizer_is_special(t, id) || !p || (len == 5 && !memcmp(p, "<unk>", 5)))
			continue;
		const struct tok_span spans[] = {{"say ", 4, false}, {p, len, true}, {" x", 2, false}};
		tried++;
		ids.len = 0;
		ok = tokenizer_encode(t, spans, 3, 0, &ids, &e) == 0;
		for (size_t i = 0; i < ids.len; i++)
			ok = ok && ids.p[i] != id;
		if (!ok)
			printf("# %s as a user's text: %s\n", p, e.msg);
	}
	snprintf(name, sizeof(name), "%s: %zu special tokens typed by a user stay text", entry, tried);
	report(ok, name, "");
	ids_clear(&ids);
}

/* entry: "tokenizers/NAME" or "gguf/NAME.gguf" below root. */
static void check_entry(const char *root, const char *entry)
{
	char path[4096], name[600];
	struct err e = ERR_INIT;
	snprintf(path, sizeof(path), "%s/%s", root, entry);
	struct tokenizer *t = open_at(path, &e);
	if (!t) {
		report(false, entry, e.msg);
		return;
	}
	snprintf(name, sizeof(name),
		"%s: at most 100 bytes of tables a token, as the planner has it", entry);
	report(tokenizer_memory(t) <= tokenizer_vocab_size(t) * 100 + (1 << 20), name, "");
	check_specials_stay_text(t, entry);
	size_t stem = strlen(path);
	bool gguf = stem > 5 && !strcmp(path + stem - 5, ".gguf");
	if (gguf)
		path[stem -= 5] = '\0';
	snprintf(path + stem, sizeof(path) - stem, "%scases.jsonl", gguf ? "." : "/");
	snprintf(name, sizeof(name), "%s: cases", entry);
	check_file(t, path, name);
	if (!gguf) {
		snprintf(path + stem, sizeof(path) - stem, "/decode.jsonl");
		snprintf(name, sizeof(name), "%s: decode and stream", entry);
		check_file(t, path, name);
	}
	tokenizer_close(t);
}

static void check_folder(const char *root, const char *kind)
{
	char path[4096], entry[512];
	struct dirent **list = NULL;
	snprintf(path, sizeof(path), "%s/%s", root, kind);
	int n = scandir(path, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		const char *d = list[i]->d_name;
		size_t len = strlen(d);
		bool gguf = len > 5 && !strcmp(d + len - 5, ".gguf");
		snprintf(entry, sizeof(entry), "%s/%s", kind, d);
		snprintf(path, sizeof(path), "%s/%s", root, entry);
		if (d[0] != '.' && (gguf || file_is_dir(path)))
			check_entry(root, entry);
		free(list[i]);
	}
	free(list);
}

static void check_provenance(const struct tokenizer *t)
{
	static const char tag[] = "<|im_end|>";
	struct err e = ERR_INIT;
	struct ids whole = {0}, user = {0}, split = {0};
	struct buf text = BUF_INIT;
	int64_t end = tokenizer_id(t, tag, strlen(tag));
	struct tok_span span = {tag, strlen(tag), false};
	bool ok = tokenizer_encode(t, &span, 1, 0, &whole, &e) == 0;
	report(ok && whole.len == 1 && whole.p[0] == end, "a tag of the template is one token",
		e.msg);
	span.user = true;
	ok = tokenizer_encode(t, &span, 1, 0, &user, &e) == 0 && user.len > 1 &&
	     tokenizer_decode(t, user.p, user.len, true, &text, &e) == 0;
	for (size_t i = 0; i < user.len; i++)
		ok = ok && !tokenizer_is_special(t, user.p[i]);
	report(ok && text.len == strlen(tag) && !memcmp(text.p, tag, text.len),
		"a tag that a user typed stays text", e.msg);
	struct tok_span halves[3] = {{"<|im", 4, false}, {"_end|", 5, true}, {">", 1, false}};
	ok = tokenizer_encode(t, halves, 3, 0, &split, &e) == 0 && split.len > 1;
	for (size_t i = 0; i < split.len; i++)
		ok = ok && split.p[i] != end;
	report(ok, "a tag that is only partly the template's stays text", e.msg);
	ids_clear(&whole);
	ids_clear(&user);
	ids_clear(&split);
	buf_clear(&text);
}

/* Time linear in the text, whatever it repeats, and no match limit reached. exact: and the same
 * text comes back. */
static void check_long_run(
	const struct tokenizer *t, const char *name, const char *unit, bool exact)
{
	struct err e = ERR_INIT;
	struct ids ids = {0};
	struct buf text = BUF_INIT, run = BUF_INIT;
	char what[200];
	while (run.len < (size_t)1 << 20 && !run.failed)
		buf_puts(&run, unit);
	struct tok_span span = {buf_str(&run), run.len, true};
	bool ok = tokenizer_encode(t, &span, 1, 0, &ids, &e) == 0 &&
		  tokenizer_decode(t, ids.p, ids.len, false, &text, &e) == 0 &&
		  (!exact || (text.len == run.len && !memcmp(text.p, run.p, run.len)));
	snprintf(what, sizeof(what), "%s: 1 MiB that begins with byte %02X goes there and back",
		name, (unsigned)(unsigned char)*unit);
	report(ok, what, e.msg);
	buf_clear(&run);
	buf_clear(&text);
	ids_clear(&ids);
}

static void check_long_runs(const char *root, const char *name, bool exact)
{
	static const char *const units[] = {"a", "A", " ", "\n", " \n", "7", "'", "\xE4\xB8\xAD",
		"\xF0\x9F\x9A\x80", "a1 .\n", "<|im_end|>", "<|"};
	char path[4096];
	struct err e = ERR_INIT;
	snprintf(path, sizeof(path), "%s/tokenizers/%s", root, name);
	struct tokenizer *t = open_at(path, &e);
	if (!t)
		report(false, name, e.msg);
	for (size_t i = 0; t && i < sizeof(units) / sizeof(*units); i++)
		check_long_run(t, name, units[i], exact);
	tokenizer_close(t);
}

/* Where spans are cut makes no difference, not even inside a character. */
static void check_cuts(const struct tokenizer *t)
{
	static const char text[] = "It's 2024:\xC3\xA9t\xC3\xA9 \xF0\x9F\x9A\x80  ok\n";
	struct err e = ERR_INIT;
	struct ids whole = {0}, cut = {0};
	struct tok_span span = {text, strlen(text), true}, parts[sizeof(text)];
	size_t n = strlen(text);
	for (size_t i = 0; i < n; i++)
		parts[i] = (struct tok_span){text + i, 1, i % 3 == 0};
	bool ok = tokenizer_encode(t, &span, 1, 0, &whole, &e) == 0 &&
		  tokenizer_encode(t, parts, n, 0, &cut, &e) == 0 && whole.len == cut.len &&
		  !memcmp(whole.p, cut.p, cut.len * sizeof(*cut.p));
	report(ok, "spans of one byte give the ids of the whole", e.msg);
	ids_clear(&whole);
	ids_clear(&cut);
	span = (struct tok_span){"a\xF0\x9F\x9A"
				 "b\xFF",
		6, true};
	struct buf back = BUF_INIT;
	ok = tokenizer_encode(t, &span, 1, 0, &whole, &e) == 0 &&
	     tokenizer_decode(t, whole.p, whole.len, false, &back, &e) == 0 &&
	     !strcmp(buf_str(&back), "a\xEF\xBF\xBD"
				     "b\xEF\xBF\xBD");
	report(ok, "ill-formed bytes count as U+FFFD", e.msg);
	uint32_t absurd = UINT32_MAX;
	buf_reset(&back);
	report(tokenizer_decode(t, &absurd, 1, false, &back, &e) == 0 && back.len == 0,
		"an id without a token has no text", "");
	ids_clear(&whole);
	buf_clear(&back);
}

/* Every pre-tokenizer that GGUF files may name: its patterns compile, and cut a text into pieces
 * which are the text. */
static void check_named_pretokenizers(void)
{
	static const char text[] =
		"It's 12345 \xE4\xB8\xAD\xE6\x96\x87 na\xC3\xAFve,\n\n  x=[1];\t\xED\x95\x9C!";
	struct err e = ERR_INIT;
	const struct gguf_pre *p;
	size_t n = 0;
	bool ok = true;
	for (; ok && (p = gguf_pre_at(n)) != NULL; n++) {
		struct pretokenizer pre = {0};
		struct ntext t = {0}, tmp = {0};
		struct pieces pieces = {0}, spare = {0};
		struct regex_work *work = regex_work_new(&e);
		size_t sum = 0;
		buf_puts(&t.s, text);
		for (int k = 0; ok && k < 6 && p->patterns[k]; k++)
			ok = pretokenizer_add_split(&pre, p->patterns[k], &e) == 0;
		ok = ok && work && pretokenizer_run(&pre, &t, &tmp, &pieces, &spare, work, &e) == 0;
		for (size_t i = 0; i < pieces.n; i++)
			sum += pieces.p[i].start == sum ? pieces.p[i].len : 0;
		ok = ok && sum == strlen(text) && pieces.n > 2 &&
		     gguf_pre_find(p->name, strlen(p->name)) == p;
		if (!ok)
			printf("# %s: %s\n", p->name, e.msg);
		pretokenizer_clear(&pre);
		ntext_clear(&t);
		ntext_clear(&tmp);
		pieces_clear(&pieces);
		pieces_clear(&spare);
		regex_work_free(work);
	}
	report(ok && n > 80, "every pre-tokenizer that GGUF names", "");
}

int main(void)
{
	check_named_pretokenizers();
	const char *src = getenv("srcdir");
	char root[2048], path[4096];
	snprintf(root, sizeof(root), "%s/../shared/vectors", src ? src : ".");
	if (!file_is_dir(root)) {
		report(true, "the oracle's results", "SKIP no shared/vectors beside the checkout");
		printf("1..%d\n", n_test);
		return n_bad != 0;
	}
	check_folder(root, "tokenizers");
	check_folder(root, "gguf");
	struct err e = ERR_INIT;
	snprintf(path, sizeof(path), "%s/tokenizers/smollm2", root);
	struct tokenizer *t = open_at(path, &e);
	if (t) {
		check_provenance(t);
		check_cuts(t);
		char more[64];
		snprintf(more, sizeof(more), "%zu bytes", tokenizer_memory(t));
		report(tokenizer_memory(t) <= 3u << 20, "SmolLM2's tables take at most 3 MiB",
			more);
	} else {
		report(false, "open smollm2", e.msg);
	}
	tokenizer_close(t);
	check_long_runs(root, "smollm2", true);
	check_long_runs(root, "phi-4-mini-24k", true);
	check_long_runs(root, "synth-deepseek", true);
	check_long_runs(root, "phi-3", true);
	check_long_runs(root, "synth-unigram-bf", false); /* folds spaces */
	check_long_runs(root, "t5-small", false);         /* has unknown characters */
	printf("1..%d\n", n_test);
	return n_bad != 0;
}
