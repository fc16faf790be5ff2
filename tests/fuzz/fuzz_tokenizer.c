/* Tokenizer files from strangers. The first byte says which file the rest is: j tokenizer.json,
 * m tokenizer.model, t a tiktoken file, k tekken.json, v vocab.json and merges.txt (behind a NUL),
 * g GGUF, r a regular expression. What opens must encode and decode any text, and its stream must
 * give what decoding at once gives, where all bytes are good. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"
#include "store/checkpoint.h"
#include "tokenizer/regex.h"
#include "tokenizer/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const texts[] = {"", "Hello, it's a\n\n test  \xC3\xA9t\xC3\xA9 1234",
	"\xE4\xB8\xAD\xE6\x96\x87 e\xCC\x81\xCC\xA7 \xE2\x96\x81 <s>[X]</s> "
	"\xF0\x9F\x98\x80\xFF\xFE \xED\x95\x9C",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

static void write_file(const char *dir, const char *name, const uint8_t *p, size_t n)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "wb");
	if (!f || fwrite(p, 1, n, f) != n || fclose(f) != 0)
		abort();
}

static void decode_both_ways(const struct tokenizer *t, const struct ids *ids, bool skip)
{
	struct err e = ERR_INIT;
	struct buf once = BUF_INIT, pieces = BUF_INIT;
	struct tok_stream s;
	bool ok = tokenizer_decode(t, ids->p, ids->len, skip, &once, &e) == 0;
	tok_stream_init(&s, t, skip);
	for (size_t i = 0; ok && i < ids->len; i++)
		if (tok_stream_push(&s, ids->p[i], &pieces, &e) < 0)
			abort();
	if (ok && (tok_stream_flush(&s, &pieces, &e) < 0 || !utf8_valid(buf_str(&once), once.len) ||
			  !utf8_valid(buf_str(&pieces), pieces.len)))
		abort();
	/* a bad byte may take back text that the stream has given out: U+FFFD tells of one */
	bool bad_bytes = strstr(buf_str(&once), "\xEF\xBF\xBD") != NULL;
	if (ok && !bad_bytes && (pieces.len != once.len || memcmp(buf_str(&pieces), buf_str(&once), once.len) != 0))
		abort();
	tok_stream_clear(&s);
	buf_clear(&once);
	buf_clear(&pieces);
}

static void use(const struct tokenizer *t)
{
	struct err e = ERR_INIT;
	struct ids ids = {0};
	size_t n = tokenizer_vocab_size(t), len;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		for (int user = 0; user < 2; user++) {
			const struct tok_span spans[] = {
				{"<s>", 3, false}, {texts[i], strlen(texts[i]), user}};
			ids.len = 0;
			if (tokenizer_encode(t, spans, 2, i % 2 ? TOK_ADD_SPECIAL : 0, &ids, &e) <
				0)
				continue;
			for (size_t k = 0; k < ids.len; k++)
				if (ids.p[k] < n && !tokenizer_token(t, ids.p[k], &len))
					abort();
			decode_both_ways(t, &ids, user);
		}
	ids.len = 0;
	for (uint32_t id = 0; id < n && id < 300; id++)
		ids_add(&ids, (id * 7919u) % (uint32_t)n, &e);
	decode_both_ways(t, &ids, true);
	ids_clear(&ids);
}

static void fuzz_regex(const char *p, size_t len)
{
	struct err e = ERR_INIT;
	struct regex *re = regex_new(p, len, false, &e);
	struct regex_work *work = regex_work_new(&e);
	size_t start, end, last = 0;
	for (size_t i = 0; re && work && i < 2; i++) {
		struct regex_iter it;
		regex_begin(&it, re, texts[3 * i], strlen(texts[3 * i]));
		while (regex_next(&it, work, &start, &end, &e) > 0) {
			if (start > end || end > strlen(texts[3 * i]) ||
				start < (last < end ? 0 : last))
				abort();
			last = end;
		}
		last = 0;
	}
	if (!re && e.code == ERR_NONE)
		abort();
	regex_work_free(work);
	regex_free(re);
}

static void open_folder(const char *dir, struct checkpoint *c)
{
	struct err e = ERR_INIT;
	struct tokenizer *t;
	char copy[64];
	snprintf(copy, sizeof(copy), "%s", dir);
	c->dir = copy;
	if (tokenizer_open(&t, c, &e) == 0)
		use(t);
	else if (t || e.code == ERR_NONE || !e.msg[0])
		abort();
	tokenizer_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct {
		char kind;
		const char *name;
	} names[] = {{'j', "tokenizer.json"}, {'m', "tokenizer.model"}, {'t', "x.tiktoken"},
		{'k', "tekken.json"}, {'v', "vocab.json"}, {'g', "x.gguf"}};
	char dir[64], path[128];
	struct checkpoint c = {0}, *gguf = NULL;
	struct err e = ERR_INIT;
	if (size < 2)
		return 0;
	if (data[0] == 'r') {
		fuzz_regex((const char *)data + 1, size - 1);
		return 0;
	}
	snprintf(dir, sizeof(dir), "/dev/shm/airlchat-fuzz-tok-%ld", (long)getpid());
	mkdir(dir, 0700);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (data[0] != names[i].kind)
			continue;
		const uint8_t *cut = data[0] == 'v' ? memchr(data + 1, 0, size - 1) : NULL;
		size_t n = cut ? (size_t)(cut - data) - 1 : size - 1;
		write_file(dir, names[i].name, data + 1, n);
		if (cut)
			write_file(dir, "merges.txt", cut + 1, size - n - 2);
		snprintf(path, sizeof(path), "%s/%s", dir, names[i].name);
		if (data[0] != 'g')
			open_folder(dir, &c);
		else if (checkpoint_open(&gguf, path, CHECKPOINT_TENSORS_OPTIONAL, &e) == 0 &&
			 gguf->gguf)
			open_folder(dir, &(struct checkpoint){.gguf = gguf->gguf, .path = path});
		checkpoint_close(gguf);
		unlink(path);
		snprintf(path, sizeof(path), "%s/merges.txt", dir);
		unlink(path);
	}
	rmdir(dir);
	return 0;
}
