#include "store/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "store/gguf.h"
#include "store/store.h"

#define INDEX_LIMIT ((size_t)256 << 20)

struct strings { /* a block of names */
	struct strings *next;
	size_t used, cap;
	char p[];
};

const char *builder_string(struct builder *b, const char *p, size_t len)
{
	struct strings *s = b->strings;
	if (!s || s->cap - s->used < len + 1) {
		size_t cap = len + 1 > 65536 ? len + 1 : 65536;
		struct strings *n = malloc(sizeof(*n) + cap);
		if (!n)
			return NULL;
		*n = (struct strings){.cap = cap};
		if (s)
			s->next = n;
		else
			b->c->strings = n;
		b->strings = s = n;
	}
	char *out = s->p + s->used;
	memcpy(out, p, len);
	out[len] = '\0';
	s->used += len + 1;
	return out;
}

int builder_file(struct builder *b, const char *path, uint64_t size, uint32_t *index)
{
	struct checkpoint *c = b->c;
	if (mem_grow(&c->files, &b->cap_files, c->n_files + 1, sizeof(*c->files)) < 0)
		return err_nomem(b->e);
	char *copy = strdup(path);
	if (!copy)
		return err_nomem(b->e);
	*index = (uint32_t)c->n_files;
	c->files[c->n_files++] = (struct checkpoint_file){copy, size};
	return 0;
}

struct tensor *builder_tensor(struct builder *b)
{
	struct checkpoint *c = b->c;
	if (mem_grow(&c->tensors, &b->cap_tensors, c->n_tensors + 1, sizeof(*c->tensors)) < 0) {
		err_nomem(b->e);
		return NULL;
	}
	struct tensor *t = &c->tensors[c->n_tensors++];
	*t = (struct tensor){0};
	return t;
}

static int by_place(const void *a, const void *b)
{
	const struct tensor *x = a, *y = b;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static int by_name(const void *a, const void *b)
{
	const struct tensor *const *x = a, *const *y = b;
	return strcmp((*x)->name, (*y)->name);
}

/* Sort, refuse overlaps and duplicate names, build the index by name. */
static int finish(struct builder *b)
{
	struct checkpoint *c = b->c;
	if (c->n_tensors)
		qsort(c->tensors, c->n_tensors, sizeof(*c->tensors), by_place);
	for (size_t i = 1; i < c->n_tensors; i++) {
		const struct tensor *p = &c->tensors[i - 1], *t = &c->tensors[i];
		if (p->file == t->file && p->offset + p->bytes > t->offset)
			return err_set(b->e, ERR_FORMAT, "%s: tensors %s and %s overlap at offset %llu",
				c->files[t->file].path, p->name, t->name, (unsigned long long)t->offset);
	}
	const struct tensor **index = mem_array(c->n_tensors, sizeof(*index));
	if (!index)
		return err_nomem(b->e);
	c->index = index;
	for (size_t i = 0; i < c->n_tensors; i++)
		index[i] = &c->tensors[i];
	if (c->n_tensors)
		qsort(index, c->n_tensors, sizeof(*index), by_name);
	for (size_t i = 1; i < c->n_tensors; i++)
		if (!strcmp(index[i - 1]->name, index[i]->name))
			return err_set(b->e, ERR_FORMAT, "%s: tensor %s is there twice",
				c->files[index[i]->file].path, index[i]->name);
	return 0;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n >= m && !strcmp(s + n - m, end);
}

struct names {
	char **p;
	size_t n, cap;
};

static void names_clear(struct names *l)
{
	while (l->n)
		free(l->p[--l->n]);
	free(l->p);
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

/* Files of a folder that end in `end`. */
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

/* The safetensors files of a folder: what its index names; without one model.safetensors alone (copies
 * in other precisions, adapters may lie beside it); without that all of them. */
static int list_shards(const char *dir, struct names *out, struct err *e)
{
	static const char single[] = "model.safetensors";
	char *index = path_join(dir, "model.safetensors.index.json"), *one = path_join(dir, single);
	int rc;
	if (!index || !one)
		rc = err_nomem(e);
	else if (file_exists(index))
		rc = read_index(index, out, e);
	else if (file_exists(one))
		rc = names_add(out, single, sizeof(single) - 1, e);
	else
		rc = list_dir(dir, ".safetensors", out, e);
	free(index);
	free(one);
	return rc;
}

/* Headers of every shard; names are relative to dir. */
static int read_shards(struct builder *b, const char *dir, const struct names *l)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < l->n; i++) {
		char *path = path_join(dir, l->p[i]);
		rc = path ? safetensors_read(b, path) : err_nomem(b->e);
		free(path);
	}
	return rc;
}

static int no_tensors(struct builder *b, const char *dir)
{
	struct names bins = {0};
	struct err ignored = ERR_INIT;
	bool torch = list_dir(dir, ".bin", &bins, &ignored) == 0 && bins.n > 0;
	names_clear(&bins);
	if (torch)
		return err_set(b->e, ERR_UNSUPPORTED,
			"%s holds pytorch .bin files only: they can run code when opened; convert them to "
			"safetensors first (transformers: save_pretrained with safe_serialization)",
			dir);
	return err_set(b->e, ERR_FORMAT, "%s holds no model: no *.safetensors and no *.gguf file", dir);
}

static int open_folder(struct builder *b, const char *dir, unsigned flags)
{
	struct names files = {0};
	char *gguf = NULL;
	int rc = list_shards(dir, &files, b->e);
	if (rc == 0 && files.n) {
		rc = read_shards(b, dir, &files);
	} else if (rc == 0) {
		rc = list_dir(dir, ".gguf", &files, b->e);
		if (rc == 0 && files.n > 1)
			rc = err_set(b->e, ERR_FORMAT, "%s holds %zu GGUF files: name one of them", dir,
				files.n);
		else if (rc == 0 && files.n == 1 && !(gguf = path_join(dir, files.p[0])))
			rc = err_nomem(b->e);
		else if (rc == 0 && files.n == 1)
			rc = gguf_read(b, gguf);
		else if (rc == 0 && !(flags & CHECKPOINT_TENSORS_OPTIONAL))
			rc = no_tensors(b, dir);
	}
	free(gguf);
	names_clear(&files);
	return rc;
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

int checkpoint_open(struct checkpoint **out, const char *path, unsigned flags, struct err *e)
{
	*out = NULL;
	struct checkpoint *c = calloc(1, sizeof(*c));
	if (!c)
		return err_nomem(e);
	struct builder b = {.c = c, .e = e};
	bool dir = file_is_dir(path);
	c->path = strdup(path);
	c->dir = dir ? strdup(path) : folder_of(path);
	int rc = c->path && c->dir ? 0 : err_nomem(e);
	if (rc == 0 && dir)
		rc = open_folder(&b, path, flags);
	else if (rc == 0 && ends_with(path, ".safetensors"))
		rc = safetensors_read(&b, path);
	else if (rc == 0)
		rc = gguf_read(&b, path);
	if (rc == 0)
		rc = finish(&b);
	if (rc < 0) {
		checkpoint_close(c);
		return -1;
	}
	*out = c;
	return 0;
}

void checkpoint_close(struct checkpoint *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_files; i++)
		free(c->files[i].path);
	for (struct strings *s = c->strings, *next; s; s = next) {
		next = s->next;
		free(s);
	}
	gguf_free(c->gguf);
	free(c->files);
	free(c->tensors);
	free(c->index);
	free(c->path);
	free(c->dir);
	free(c);
}

const struct tensor *checkpoint_find(const struct checkpoint *c, const char *name)
{
	const struct tensor key = {.name = name}, *k = &key;
	const struct tensor *const *hit =
		c->n_tensors ? bsearch(&k, c->index, c->n_tensors, sizeof(k), by_name) : NULL;
	return hit ? *hit : NULL;
}
