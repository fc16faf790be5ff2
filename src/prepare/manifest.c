#include "prepare/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

#define LIMIT ((size_t)64 << 20)
#define TAIL ",\n \"xxh3\": \"%016llx\"}\n" /* the end of a manifest: the checksum of what is before it */

static bool read_uint(struct json_reader *r, uint64_t *out)
{
	struct json_num n;
	if (!json_number(r, &n) || !n.is_int || n.i < 0)
		return json_fail(r, "a whole number is expected here");
	*out = (uint64_t)n.i;
	return true;
}

static bool read_text(struct json_reader *r, char **out)
{
	struct json_str s;
	if (!json_string(r, &s))
		return false;
	free(*out);
	*out = json_str_dup(&s);
	return *out || json_fail(r, "out of memory");
}

static bool read_sum(struct json_reader *r, uint64_t *out)
{
	char *s = NULL, *end = NULL;
	if (!read_text(r, &s))
		return false;
	*out = strtoull(s, &end, 16);
	bool ok = end && end != s && !*end;
	free(s);
	return ok || json_fail(r, "a checksum is expected here");
}

static void read_file(struct json_reader *r, struct manifest_file *f)
{
	struct json_str key;
	struct json_num n;
	uint64_t layer = 0;
	for (json_object(r); json_key(r, &key);) {
		if (json_str_is(&key, "name"))
			read_text(r, &f->name);
		else if (json_str_is(&key, "bytes"))
			read_uint(r, &f->bytes);
		else if (json_str_is(&key, "xxh3"))
			read_sum(r, &f->sum);
		else if (json_str_is(&key, "weights"))
			json_bool(r, &f->weights);
		else if (json_str_is(&key, "layer"))
			read_uint(r, &layer);
		else if (json_str_is(&key, "quantized"))
			read_uint(r, &f->quantized);
		else if (json_str_is(&key, "error2") && json_number(r, &n))
			f->error2 = n.d;
		else if (json_str_is(&key, "weight2") && json_number(r, &n))
			f->weight2 = n.d;
		else
			json_skip(r);
	}
	f->layer = (uint32_t)layer;
	if (!r->failed && (!f->name || !path_is_inside(f->name)))
		json_fail(r, "a file has no name, or one that leaves the folder");
}

static int add_source(struct manifest *m, char *path, struct err *e)
{
	if (mem_grow(&m->sources, &m->cap_sources, m->n_sources + 1, sizeof(*m->sources)) < 0)
		return err_nomem(e);
	m->sources[m->n_sources++] = (struct manifest_source){.path = path};
	return 0;
}

static void read_times(struct json_reader *r, struct manifest *m)
{
	uint64_t mtime = 0;
	size_t i = 0;
	for (json_array(r); json_next(r); i++)
		if (read_uint(r, &mtime) && i < m->n_sources)
			m->sources[i].mtime = mtime;
}

static int read_all(struct json_reader *r, struct manifest *m, struct err *e)
{
	struct json_str key;
	uint64_t n = 0;
	for (json_object(r); json_key(r, &key);) {
		if (json_str_is(&key, "settings")) {
			read_text(r, &m->settings);
		} else if (json_str_is(&key, "fingerprint")) {
			read_sum(r, &m->fingerprint);
		} else if (json_str_is(&key, "layers") && read_uint(r, &n)) {
			m->n_layers = (uint32_t)n;
		} else if (json_str_is(&key, "sources")) {
			for (json_array(r); json_next(r);) {
				char *path = NULL;
				if (read_text(r, &path) && add_source(m, path, e) < 0) {
					free(path);
					return -1;
				}
			}
		} else if (json_str_is(&key, "source_times")) {
			read_times(r, m);
		} else if (json_str_is(&key, "files")) {
			for (json_array(r); json_next(r);) {
				struct manifest_file f = {0};
				read_file(r, &f);
				int rc = r->failed ? 0 : manifest_put(m, &f, e);
				free(f.name);
				if (rc < 0)
					return -1;
			}
		} else {
			json_skip(r);
		}
	}
	return json_end(r);
}

/* A list of files that lost an entry would make --verify pass, and the original be deleted. */
static int check_own_sum(const struct buf *text, const char *path, struct err *e)
{
	char tail[64];
	size_t n = (size_t)snprintf(tail, sizeof(tail), TAIL, 0ull);
	if (text->len >= n) {
		const char *end = buf_str(text) + (text->len - n);
		snprintf(tail, sizeof(tail), TAIL, (unsigned long long)XXH3_64bits(text->p, text->len - n));
		if (!memcmp(end, tail, n))
			return 0;
	}
	return err_set(e, ERR_FORMAT, "%s does not end with its own checksum: it is damaged, or of an older airlchat",
		path);
}

int manifest_read(struct manifest *m, const char *path, struct err *e)
{
	struct buf text = BUF_INIT;
	struct json_reader r;
	*m = (struct manifest){0};
	if (!file_exists(path)) {
		err_clear(e);
		return -1;
	}
	int rc = file_read(path, LIMIT, &text, e);
	if (rc == 0)
		rc = check_own_sum(&text, path, e);
	json_reader_init(&r, buf_str(&text), text.len, path, e);
	if (rc == 0)
		rc = read_all(&r, m, e);
	json_reader_clear(&r);
	buf_clear(&text);
	if (rc == 0 && !m->settings)
		rc = err_set(e, ERR_FORMAT, "%s is no manifest of a prepared folder", path);
	if (rc < 0)
		manifest_clear(m);
	return rc;
}

static void write_text(struct buf *b, const char *key, const char *s)
{
	buf_printf(b, "\"%s\": ", key);
	json_write_str(b, s, strlen(s));
}

int manifest_write(const struct manifest *m, const char *path, struct err *e)
{
	struct buf b = BUF_INIT;
	buf_puts(&b, "{\"format\": \"airlchat prepared folder\", \"version\": 1,\n ");
	write_text(&b, "settings", m->settings);
	buf_printf(&b, ", \"fingerprint\": \"%016llx\", \"layers\": %u,\n \"sources\": [",
		(unsigned long long)m->fingerprint, m->n_layers);
	for (size_t i = 0; i < m->n_sources; i++) {
		buf_puts(&b, i ? ", " : "");
		json_write_str(&b, m->sources[i].path, strlen(m->sources[i].path));
	}
	buf_puts(&b, "],\n \"source_times\": [");
	for (size_t i = 0; i < m->n_sources; i++)
		buf_printf(&b, i ? ", %llu" : "%llu", (unsigned long long)m->sources[i].mtime);
	buf_puts(&b, "],\n \"files\": [");
	for (size_t i = 0; i < m->n_files; i++) {
		const struct manifest_file *f = &m->files[i];
		buf_puts(&b, i ? ",\n  {" : "\n  {");
		write_text(&b, "name", f->name);
		buf_printf(&b, ", \"bytes\": %llu, \"xxh3\": \"%016llx\"", (unsigned long long)f->bytes,
			(unsigned long long)f->sum);
		if (f->weights)
			buf_printf(&b, ", \"weights\": true, \"layer\": %u", f->layer);
		if (f->quantized) {
			buf_printf(&b, ", \"quantized\": %llu, \"error2\": ", (unsigned long long)f->quantized);
			json_write_num(&b, f->error2);
			buf_puts(&b, ", \"weight2\": ");
			json_write_num(&b, f->weight2);
		}
		buf_addc(&b, '}');
	}
	buf_addc(&b, ']');
	int rc = buf_ok(&b, e);
	if (rc == 0) {
		buf_printf(&b, TAIL, (unsigned long long)XXH3_64bits(b.p, b.len));
		rc = buf_ok(&b, e);
	}
	if (rc == 0)
		rc = file_write(path, b.p, b.len, 0644, e);
	buf_clear(&b);
	return rc;
}

void manifest_clear(struct manifest *m)
{
	for (size_t i = 0; i < m->n_files; i++)
		free(m->files[i].name);
	for (size_t i = 0; i < m->n_sources; i++)
		free(m->sources[i].path);
	free(m->files);
	free(m->sources);
	free(m->settings);
	*m = (struct manifest){0};
}

const struct manifest_file *manifest_find(const struct manifest *m, const char *name)
{
	for (size_t i = 0; i < m->n_files; i++)
		if (!strcmp(m->files[i].name, name))
			return &m->files[i];
	return NULL;
}

int manifest_put(struct manifest *m, const struct manifest_file *f, struct err *e)
{
	for (size_t i = 0; i < m->n_files; i++) {
		if (!strcmp(m->files[i].name, f->name)) {
			char *name = m->files[i].name;
			m->files[i] = *f;
			m->files[i].name = name;
			return 0;
		}
	}
	char *name = strdup(f->name);
	if (!name || mem_grow(&m->files, &m->cap_files, m->n_files + 1, sizeof(*m->files)) < 0) {
		free(name);
		return err_nomem(e);
	}
	m->files[m->n_files] = *f;
	m->files[m->n_files++].name = name;
	return 0;
}
