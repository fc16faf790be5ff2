#include "store/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/gguf.h"
#include "store/store.h"

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

static int open_folder(struct builder *b, const char *path, unsigned flags)
{
	struct folder f;
	int rc = folder_find(&f, path, b->e);
	if (rc == 0) {
		free(b->c->dir);
		b->c->dir = strdup(f.config_dir);
		if (!b->c->dir)
			rc = err_nomem(b->e);
	}
	for (size_t i = 0; rc == 0 && i < f.files.n; i++) {
		char *file = path_join(f.dir, f.files.p[i]);
		rc = !file ? err_nomem(b->e) : f.gguf ? gguf_read(b, file) : safetensors_read(b, file);
		free(file);
	}
	if (rc == 0 && !f.files.n && !(flags & CHECKPOINT_TENSORS_OPTIONAL))
		rc = folder_refuse(f.dir, b->e);
	folder_clear(&f);
	return rc;
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static int open_file(struct builder *b, const char *path)
{
	static const char st[] = ".safetensors";
	size_t n = strlen(path), m = sizeof(st) - 1;
	if (file_refuse(path, b->e) < 0)
		return -1;
	return n >= m && !strcmp(path + n - m, st) ? safetensors_read(b, path) : gguf_read(b, path);
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
	else if (rc == 0)
		rc = open_file(&b, path);
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
