/* Which file of a folder the tokenizer is read from. */
#include "tokenizer/load.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum format { FORMAT_JSON, FORMAT_MODEL, FORMAT_TEKKEN, FORMAT_TIKTOKEN, FORMAT_VOCAB };

static const struct {
	const char *name;
	enum format format;
} names[] = {/* the first that is there */
	{"tokenizer.json", FORMAT_JSON}, {"tokenizer.model", FORMAT_MODEL},
	{"tekken.json", FORMAT_TEKKEN}, {"tiktoken.model", FORMAT_TIKTOKEN},
	{"*.tiktoken", FORMAT_TIKTOKEN}, {"spiece.model", FORMAT_MODEL},
	{"sentencepiece.bpe.model", FORMAT_MODEL}, {"vocab.json", FORMAT_VOCAB}};

/* The one file of dir whose name ends so; NULL if there is none. free(). */
static char *find_ending(const char *dir, const char *end)
{
	DIR *d = opendir(dir);
	const struct dirent *f;
	char *best = NULL;
	while (d && (f = readdir(d)) != NULL) {
		size_t n = strlen(f->d_name), k = strlen(end);
		if (n <= k || strcmp(f->d_name + n - k, end) != 0 ||
			(best && strcmp(f->d_name, best) > 0))
			continue;
		free(best);
		best = strdup(f->d_name);
	}
	if (d)
		closedir(d);
	char *path = best ? path_join(dir, best) : NULL;
	free(best);
	return path;
}

static char *find_file(const char *dir, enum format *format)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		bool any = names[i].name[0] == '*';
		char *path =
			any ? find_ending(dir, names[i].name + 1) : path_join(dir, names[i].name);
		*format = names[i].format;
		if (path && file_exists(path))
			return path;
		free(path);
	}
	return NULL;
}

/* A tokenizer.model is SentencePiece's, or a tiktoken file: lines of base64 and a number. */
static bool looks_like_tiktoken(const struct buf *text)
{
	size_t i = 0;
	for (; i < text->len && text->p[i] != ' '; i++) {
		char c = text->p[i];
		bool base64 = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			      (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '=';
		if (!base64)
			return false;
	}
	return i > 0 && i + 1 < text->len && text->p[i + 1] >= '0' && text->p[i + 1] <= '9';
}

static int load_text(struct tokenizer *t, enum format format, const char *dir, const cJSON *config,
	const struct buf *text, struct err *e)
{
	if (format == FORMAT_MODEL && looks_like_tiktoken(text))
		format = FORMAT_TIKTOKEN;
	switch (format) {
	case FORMAT_JSON:
		return load_json(t, text->p, text->len, e) < 0
			       ? -1
			       : tokconf_all_roles(t, config, dir, e);
	case FORMAT_MODEL:
		return load_spm(t, config, dir, text->p, text->len, e);
	case FORMAT_TEKKEN:
		return load_tekken(t, text->p, text->len, e);
	case FORMAT_TIKTOKEN:
		return load_tiktoken(t, config, dir, text->p, text->len, e);
	default:
		return load_vocab_merges(t, config, dir, text->p, text->len, e);
	}
}

int load_folder(struct tokenizer *t, const char *dir, struct err *e)
{
	enum format format;
	struct buf text = BUF_INIT;
	cJSON *config = NULL;
	t->path = find_file(dir, &format);
	if (!t->path)
		return err_set(e, ERR_FORMAT,
			"%s holds no tokenizer (tokenizer.json, tokenizer.model, "
			"tekken.json, *.tiktoken or vocab.json)",
			dir);
	t->vocab.path = t->path;
	int rc = file_read(t->path, LOAD_LIMIT, &text, e);
	if (rc == 0)
		rc = tokconf_read(dir, &config, e);
	if (rc == 0 && text.len == 0)
		rc = err_set(e, ERR_FORMAT, "%s is empty", t->path);
	if (rc == 0)
		rc = load_text(t, format, dir, config, &text, e);
	buf_clear(&text);
	cJSON_Delete(config);
	return rc;
}
