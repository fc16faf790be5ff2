/* Which files of a folder are the model. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "store/store.h"

#define INDEX_LIMIT ((size_t)256 << 20)

static const char torch_why[] = "they can run code when opened; convert them to safetensors first "
				"(transformers: save_pretrained with safe_serialization)";

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n >= m && !strcmp(s + n - m, end);
}

static bool starts_with(const char *s, const char *start)
{
	return !strncmp(s, start, strlen(start));
}

void names_clear(struct names *l)
{
	while (l->n)
		free(l->p[--l->n]);
	free(l->p);
	*l = (struct names){0};
}

static int names_add(struct names *l, const char *s, size_t len, struct err *e)
{
	/* an index names the same shard for tensor after tensor: names_sort drops the other repeats */
	if (l->n && strlen(l->p[l->n - 1]) == len && !memcmp(l->p[l->n - 1], s, len))
		return 0;
	if (mem_grow(&l->p, &l->cap, l->n + 1, sizeof(*l->p)) < 0 || !(l->p[l->n] = strndup(s, len)))
		return err_nomem(e);
	l->n++;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sort, and drop repeats: a linear search at every addition would let an index cost hours. */
static void names_sort(struct names *l)
{
	size_t n = 0;
	if (l->n)
		qsort(l->p, l->n, sizeof(*l->p), compare_names);
	for (size_t i = 0; i < l->n; i++) {
		if (n && !strcmp(l->p[n - 1], l->p[i]))
			free(l->p[i]);
		else
			l->p[n++] = l->p[i];
	}
	l->n = n;
}

static bool names_has(const struct names *l, const char *s)
{
	return l->n && bsearch(&s, l->p, l->n, sizeof(*l->p), compare_names);
}

/* Drop the names for which keep() is false. */
static void names_filter(struct names *l, bool (*keep)(const char *name))
{
	size_t n = 0;
	for (size_t i = 0; i < l->n; i++) {
		if (keep(l->p[i]))
			l->p[n++] = l->p[i];
		else
			free(l->p[i]);
	}
	l->n = n;
}

/* Files of a folder that end in `end`, sorted. */
static int list_dir(const char *dir, const char *end, struct names *out, struct err *e)
{
	DIR *d = opendir(dir);
	if (!d)
		return err_sys(e, errno, "can't open the folder %s", dir);
	int rc = 0;
	for (struct dirent *f; rc == 0 && (f = readdir(d));)
		if (f->d_name[0] != '.' && ends_with(f->d_name, end))
			rc = names_add(out, f->d_name, strlen(f->d_name), e);
	closedir(d);
	names_sort(out);
	return rc;
}

/* The shards that model.safetensors.index.json names. */
static int read_index(const char *path, struct names *shards, struct err *e)
{
	struct buf text = BUF_INIT;
	struct json_reader r;
	struct json_str key, name;
	int rc = file_read(path, INDEX_LIMIT, &text, e);
	json_reader_init(&r, buf_str(&text), text.len, path, e);
	if (rc == 0) {
		for (json_object(&r); json_key(&r, &key);) {
			if (!json_str_is(&key, "weight_map")) {
				json_skip(&r);
				continue;
			}
			for (json_object(&r); rc == 0 && json_key(&r, &key) && json_string(&r, &name);) {
				char *s = json_str_dup(&name);
				if (!s)
					rc = err_nomem(e);
				else if (strlen(s) != name.len || !path_is_inside(s))
					rc = err_set(e, ERR_FORMAT, "%s: shard name %s leaves the folder", path, s);
				else
					rc = names_add(shards, s, name.len, e);
				free(s);
			}
			if (rc < 0)
				break;
		}
		if (rc == 0)
			rc = json_end(&r);
	}
	names_sort(shards);
	json_reader_clear(&r);
	buf_clear(&text);
	return rc;
}

static bool dir_has(const char *dir, const char *name)
{
	char *path = path_join(dir, name);
	bool there = path && file_exists(path);
	free(path);
	return there;
}

static bool is_part_of_model(const char *name)
{
	return !starts_with(name, "adapter_") && !starts_with(name, "consolidated");
}

/* AirLLM marks each finished layer X.safetensors with an empty X.safetensors.done. */
static int check_done(const char *dir, const struct names *files, bool *airllm, struct err *e)
{
	struct names done = {0};
	int rc = list_dir(dir, ".safetensors.done", &done, e);
	*airllm = rc == 0 && done.n > 0;
	for (size_t i = 0; rc == 0 && done.n && i < files->n; i++) {
		struct buf marker = BUF_INIT;
		buf_printf(&marker, "%s.done", files->p[i]);
		if (!names_has(&done, buf_str(&marker)))
			rc = err_set(e, ERR_FORMAT, "%s/%s has no .done marker: its layer was not split to the end",
				dir, files->p[i]);
		buf_clear(&marker);
	}
	names_clear(&done);
	return rc;
}

/* The safetensors files of a folder: what its index names; without one model.safetensors alone (copies
 * in other precisions, adapters may lie beside it); without that all of them. */
static int list_shards(const char *dir, struct names *out, bool *airllm, struct err *e)
{
	static const char single[] = "model.safetensors";
	char *index = path_join(dir, "model.safetensors.index.json");
	int rc;
	if (!index) {
		rc = err_nomem(e);
	} else if (file_exists(index)) {
		rc = read_index(index, out, e);
	} else if (dir_has(dir, single)) {
		rc = names_add(out, single, sizeof(single) - 1, e);
	} else {
		rc = list_dir(dir, ".safetensors", out, e);
		names_filter(out, is_part_of_model);
		if (rc == 0 && out->n)
			rc = check_done(dir, out, airllm, e);
	}
	free(index);
	return rc;
}

bool gguf_part_name(const char *name, size_t *stem, uint32_t *number, uint32_t *count)
{
	static const char shape[] = "-ddddd-of-ddddd.gguf";
	size_t n = strlen(name), m = sizeof(shape) - 1;
	if (n <= m)
		return false;
	const char *end = name + n - m;
	*number = *count = 0;
	for (size_t i = 0; i < m; i++) {
		bool digit = end[i] >= '0' && end[i] <= '9';
		if (shape[i] == 'd' ? !digit : end[i] != shape[i])
			return false;
		if (digit)
			*(i < 7 ? number : count) = *(i < 7 ? number : count) * 10 + (uint32_t)(end[i] - '0');
	}
	*stem = n - m;
	return true;
}

static bool is_first_part(const char *name)
{
	size_t stem;
	uint32_t number, count;
	return !gguf_part_name(name, &stem, &number, &count) || number == 1;
}

static int list_gguf(const char *dir, struct folder *f, struct err *e)
{
	int rc = list_dir(dir, ".gguf", &f->files, e);
	if (rc == 0 && f->files.n > 1)
		names_filter(&f->files, is_first_part);
	if (rc == 0 && f->files.n > 1)
		return err_set(e, ERR_FORMAT, "%s holds %zu GGUF models: name one of them", dir, f->files.n);
	f->gguf = f->files.n > 0;
	return rc;
}

/* The folder where AirLLM has put its layers, when the checkpoint's own shards are gone. NULL if
 * there is none. */
static char *airllm_folder(const char *dir)
{
	static const char *const names[] = {"splitted_model", "splitted_model.8bit", "splitted_model.4bit"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char *path = path_join(dir, names[i]);
		if (path && file_is_dir(path))
			return path;
		free(path);
	}
	return NULL;
}

/* models--ORG--NAME of the Hugging Face cache: refs/main names the folder in snapshots/ whose links
 * point to blobs/. NULL if this is no such folder. */
static char *cache_snapshot(const char *dir)
{
	struct err ignored = ERR_INIT;
	struct buf rev = BUF_INIT;
	char *ref = path_join(dir, "refs/main"), *out = NULL;
	if (ref && file_exists(ref) && file_read(ref, 256, &rev, &ignored) == 0) {
		while (rev.len && strchr("\r\n ", rev.p[rev.len - 1]))
			buf_cut(&rev, rev.len - 1);
		struct buf path = BUF_INIT;
		buf_printf(&path, "%s/snapshots/%s", dir, buf_str(&rev));
		if (rev.len && strlen(buf_str(&rev)) == rev.len && path_is_inside(rev.p) &&
			file_is_dir(buf_str(&path)))
			out = buf_take(&path);
		buf_clear(&path);
	}
	buf_clear(&rev);
	free(ref);
	return out;
}

static char *parent_of(const char *dir)
{
	size_t n = strlen(dir);
	while (n > 1 && dir[n - 1] == '/')
		n--;
	struct buf up = BUF_INIT;
	buf_add(&up, dir, n);
	buf_puts(&up, "/..");
	return buf_take(&up);
}

static int find_in(struct folder *f, const char *dir, struct err *e)
{
	bool airllm = false;
	if (dir_has(dir, FOLDER_UNFINISHED))
		return err_set(e, ERR_FORMAT,
			"%s was not prepared to the end: run the same `airlchat prepare` again", dir);
	if (list_shards(dir, &f->files, &airllm, e) < 0)
		return -1;
	/* AirLLM's delete_original leaves the index and takes the shards; it splits into a subfolder */
	char *split = !f->files.n || !dir_has(dir, f->files.p[0]) ? airllm_folder(dir) : NULL;
	if (split) {
		names_clear(&f->files);
		free(f->dir);
		f->dir = split;
		return list_shards(split, &f->files, &airllm, e);
	}
	if (airllm && !dir_has(dir, "config.json")) {
		free(f->config_dir);
		if (!(f->config_dir = parent_of(dir)))
			return err_nomem(e);
	}
	return f->files.n ? 0 : list_gguf(dir, f, e);
}

int folder_find(struct folder *f, const char *path, struct err *e)
{
	char *snapshot = cache_snapshot(path);
	*f = (struct folder){.dir = strdup(snapshot ? snapshot : path)};
	free(snapshot);
	if (!f->dir || !(f->config_dir = strdup(f->dir)))
		return err_nomem(e);
	char *dir = strdup(f->dir);
	int rc = dir ? find_in(f, dir, e) : err_nomem(e);
	free(dir);
	return rc;
}

void folder_clear(struct folder *f)
{
	free(f->dir);
	free(f->config_dir);
	names_clear(&f->files);
	*f = (struct folder){0};
}

static bool folder_has(const char *dir, const char *end)
{
	struct names found = {0};
	struct err ignored = ERR_INIT;
	bool has = list_dir(dir, end, &found, &ignored) == 0 && found.n > 0;
	names_clear(&found);
	return has;
}

int folder_refuse(const char *dir, struct err *e)
{
	if (dir_has(dir, "params.json") || dir_has(dir, "consolidated.safetensors"))
		return err_set(e, ERR_UNSUPPORTED,
			"%s holds a model in its maker's own format (consolidated files, params.json); use its "
			"Hugging Face form (config.json, model*.safetensors)",
			dir);
	if (dir_has(dir, "adapter_model.safetensors"))
		return err_set(e, ERR_UNSUPPORTED,
			"%s holds an adapter (LoRA), not a model: merge it into its base model first", dir);
	if (folder_has(dir, ".bin") || folder_has(dir, ".pth") || folder_has(dir, ".pt"))
		return err_set(e, ERR_UNSUPPORTED, "%s holds pytorch's pickled files only: %s", dir, torch_why);
	return err_set(e, ERR_FORMAT, "%s holds no model: no *.safetensors and no *.gguf file", dir);
}

int file_refuse(const char *path, struct err *e)
{
	static const char *const pickled[] = {".bin", ".pth", ".pt", ".ckpt"};
	for (size_t i = 0; i < sizeof(pickled) / sizeof(*pickled); i++)
		if (ends_with(path, pickled[i]) && file_exists(path))
			return err_set(e, ERR_UNSUPPORTED, "%s is one of pytorch's pickled files: %s", path,
				torch_why);
	return 0;
}
