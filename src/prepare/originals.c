/* Deleting the source, file by file, each only when nothing needs it any more: every output file made
 * from it is on the disk and has been read back. So that a later run can go on with some of the source
 * gone, its headers are kept over holes of the files' sizes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "prepare/work.h"

/* Only files that lie in SRC (or are SRC) may be deleted, whatever links say. */
int originals_check(const struct work *w, struct err *e)
{
	size_t n = strlen(w->src);
	for (size_t i = 0; i < w->c->n_files; i++) {
		struct stat st;
		if (lstat(w->paths[i], &st) < 0)
			continue; /* deleted by a run before */
		char *real = realpath(w->paths[i], NULL);
		bool inside = real && (w->src_is_dir ? !strncmp(real, w->src, n) && real[n] == '/'
						     : !strcmp(real, w->src) && !S_ISLNK(st.st_mode));
		if (!w->src_is_dir && real) { /* the other parts of a GGUF lie beside it */
			const char *slash = strrchr(w->src, '/');
			size_t dir = (size_t)(slash - w->src);
			inside = !S_ISLNK(st.st_mode) && !strncmp(real, w->src, dir + 1) &&
				!strchr(real + dir + 1, '/');
		}
		free(real);
		if (!inside)
			return err_set(e, ERR_USAGE,
				"%s is a link that leaves %s: --delete-original never follows those; for a model in the "
				"Hugging Face cache name its folder models--ORG--NAME",
				w->paths[i], w->src);
		if (faccessat(AT_FDCWD, w->paths[i], R_OK, 0) < 0)
			return err_sys(e, errno, "can't read %s", w->paths[i]);
	}
	return 0;
}

/* --- copies of the headers ----------------------------------------------------------------------- */

static uint64_t header_bytes(const struct checkpoint *c, uint32_t file)
{
	uint64_t first = c->files[file].size;
	for (size_t i = 0; i < c->n_tensors; i++)
		if (c->tensors[i].file == file && c->tensors[i].offset < first)
			first = c->tensors[i].offset;
	return first;
}

static int copy_header(const char *from, const char *to, uint64_t header, uint64_t size, struct err *e)
{
	void *p = malloc((size_t)header + 1);
	int in = file_open(from, NULL, e), out = -1;
	struct stat st;
	int rc = !p ? err_nomem(e) : in < 0 ? -1 : file_pread(in, p, (size_t)header, 0, from, e);
	if (rc == 0 && (out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) < 0)
		rc = err_sys(e, errno, "can't write %s", to);
	if (rc == 0 && (pwrite(out, p, (size_t)header, 0) != (ssize_t)header || ftruncate(out, (off_t)size) < 0 ||
			fsync(out) < 0 || fstat(out, &st) < 0))
		rc = err_sys(e, errno, "can't write %s", to);
	if (rc == 0 && (uint64_t)st.st_blocks * 512 > header + ((uint64_t)1 << 20))
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: this file system has no files with holes, which --delete-original needs", to);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	free(p);
	return rc;
}

static char *header_name(const struct work *w, const char *dir, size_t i)
{
	struct buf b = BUF_INIT;
	buf_printf(&b, "%s/model-%05zu-of-%05zu.%s", dir, i + 1, w->c->n_files, w->layout.gguf ? "gguf" : "safetensors");
	return buf_take(&b);
}

static int copy_config(const struct work *w, const char *dir, struct err *e)
{
	char *from = path_join(w->c->dir, "config.json"), *to = path_join(dir, "config.json");
	struct buf text = BUF_INIT;
	int rc = from && to ? 0 : err_nomem(e);
	if (rc == 0 && file_exists(from) && (rc = file_read(from, (size_t)16 << 20, &text, e)) == 0)
		rc = file_write(to, buf_str(&text), text.len, 0644, e);
	buf_clear(&text);
	free(from);
	free(to);
	return rc;
}

int originals_keep_headers(struct work *w, struct err *e)
{
	char *dir = path_join(w->dst, HEADERS_NAME), *tmp = path_join(w->dst, HEADERS_NAME ".new");
	int rc = dir && tmp ? 0 : err_nomem(e);
	if (rc == 0 && !file_is_dir(dir)) {
		if (mkdir(tmp, 0755) < 0 && errno != EEXIST)
			rc = err_sys(e, errno, "can't make the folder %s", tmp);
		for (uint32_t i = 0; rc == 0 && i < w->c->n_files; i++) {
			char *to = header_name(w, tmp, i);
			rc = to ? copy_header(w->paths[i], to, header_bytes(w->c, i), w->c->files[i].size, e)
				: err_nomem(e);
			free(to);
		}
		if (rc == 0)
			rc = copy_config(w, tmp, e);
		if (rc == 0 && rename(tmp, dir) < 0)
			rc = err_sys(e, errno, "can't rename %s", tmp);
		if (rc == 0)
			rc = sync_folder_of(dir, e);
	}
	free(dir);
	free(tmp);
	return rc;
}

static int drop_folder(const struct work *w, const char *name, struct err *e)
{
	char *dir = path_join(w->dst, name);
	DIR *d = dir ? opendir(dir) : NULL;
	for (struct dirent *f; d && (f = readdir(d));)
		if (f->d_name[0] != '.')
			unlinkat(dirfd(d), f->d_name, 0);
	if (d)
		closedir(d);
	int rc = !dir ? err_nomem(e) : 0;
	if (rc == 0 && rmdir(dir) < 0 && errno != ENOENT)
		rc = err_sys(e, errno, "can't remove %s", dir);
	free(dir);
	return rc;
}

int originals_drop_headers(const struct work *w, struct err *e)
{
	return drop_folder(w, HEADERS_NAME ".new", e) < 0 ? -1 : drop_folder(w, HEADERS_NAME, e);
}

/* --- deleting ------------------------------------------------------------------------------------- */

static bool is_needed(const struct work *w, uint32_t source)
{
	for (uint32_t i = 0; i < w->layout.n_files; i++) {
		const struct out_file *f = &w->layout.files[i];
		bool from = false;
		for (size_t k = 0; k < f->n; k++)
			from = from || f->pieces[k]->from->file == source;
		if (from && !manifest_find(&w->manifest, f->name))
			return true;
	}
	/* sides that encoding reads, and what is dropped: kept until all is written */
	for (size_t i = 0; i < w->layout.n_files; i++)
		if (!manifest_find(&w->manifest, w->layout.files[i].name))
			for (size_t t = 0; t < w->m->n_weights; t++) {
				const struct weight *x = &w->m->weights[t];
				if ((x->scale && x->scale->file == source) || (x->nested && x->nested->file == source))
					return true;
			}
	return false;
}

/* A link in SRC and what it points to, which originals_check has found to be in SRC. */
static int delete_one(struct work *w, const char *path, struct err *e)
{
	char *real = realpath(path, NULL);
	struct stat st;
	if (!real || lstat(path, &st) < 0) {
		free(real);
		return 0; /* by a run before */
	}
	int rc = unlink(path) < 0 ? err_sys(e, errno, "can't delete %s", path) : 0;
	if (rc == 0 && S_ISLNK(st.st_mode) && unlink(real) < 0)
		rc = err_sys(e, errno, "can't delete %s", real);
	free(real);
	w->report->deleted += rc == 0;
	return rc;
}

bool originals_gone(const struct work *w)
{
	struct stat st;
	for (size_t i = 0; i < w->manifest.n_sources; i++)
		if (lstat(w->manifest.sources[i], &st) < 0)
			return true;
	return false;
}

int originals_delete(struct work *w, struct err *e)
{
	if (originals_check(w, e) < 0)
		return -1;
	for (uint32_t i = 0; i < w->c->n_files; i++) {
		struct stat st;
		if (lstat(w->paths[i], &st) == 0 && !is_needed(w, i) && delete_one(w, w->paths[i], e) < 0)
			return -1;
	}
	return 0;
}
