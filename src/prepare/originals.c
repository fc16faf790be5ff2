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

/* What is at `real` lies in SRC, is it, or (the other parts of a GGUF) lies beside it. */
static bool is_original(const struct work *w, const char *real, bool link)
{
	const char *slash = strrchr(w->src, '/');
	size_t n = w->src_is_dir ? strlen(w->src) : (size_t)(slash - w->src);
	return (w->src_is_dir || !link) && !strncmp(real, w->src, n) && real[n] == '/' &&
		(w->src_is_dir || !strchr(real + n + 1, '/'));
}

/* May the file be removed from its folder? */
static int check_folder(const char *real, struct err *e)
{
	const char *slash = strrchr(real, '/');
	char *dir = strndup(real, slash > real ? (size_t)(slash - real) : 1);
	int rc = !dir ? err_nomem(e) : 0;
	if (rc == 0 && faccessat(AT_FDCWD, dir, W_OK, AT_EACCESS) < 0)
		rc = err_sys(e, errno, "--delete-original can't delete %s", real);
	free(dir);
	return rc;
}

/* Only files that lie in SRC (or are SRC) may be deleted, whatever links say. */
int originals_check(const struct work *w, struct err *e)
{
	for (size_t i = 0; i < w->manifest.n_sources; i++) {
		const char *path = w->manifest.sources[i].path;
		struct stat st;
		if (lstat(path, &st) < 0)
			continue; /* deleted by a run before */
		char *real = realpath(path, NULL);
		if (!real && errno == ENOENT && S_ISLNK(st.st_mode))
			continue; /* what it led to is deleted */
		int rc = !real ? err_sys(e, errno, "can't open %s", path) : 0;
		if (rc == 0 && !is_original(w, real, S_ISLNK(st.st_mode)))
			rc = err_set(e, ERR_USAGE,
				"%s is a link that leaves %s: --delete-original never follows those; for a model in the "
				"Hugging Face cache name its folder models--ORG--NAME",
				path, w->src);
		if (rc == 0)
			rc = check_folder(real, e);
		free(real);
		if (rc < 0)
			return -1;
	}
	return 0;
}

int originals_mtime(const char *path, uint64_t *mtime)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return -1;
	*mtime = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	return 0;
}

int originals_unchanged(const struct work *w, struct err *e)
{
	for (size_t i = 0; i < w->manifest.n_sources; i++) {
		const struct manifest_source *s = &w->manifest.sources[i];
		uint64_t now;
		if (s->mtime && originals_mtime(s->path, &now) == 0 && now != s->mtime)
			return err_set(e, ERR_FORMAT,
				"%s has changed since %s was begun, which may hold some of the old: choose another folder",
				s->path, w->dst);
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

static int copy_part(int in, int out, uint64_t at, uint64_t bytes, const char *from, const char *to, struct err *e)
{
	char *p = malloc((size_t)bytes + 1);
	int rc = p ? file_pread(in, p, (size_t)bytes, at, from, e) : err_nomem(e);
	for (uint64_t n = 0; rc == 0 && n < bytes;) {
		ssize_t k = pwrite(out, p + n, (size_t)(bytes - n), (off_t)(at + n));
		if (k < 0 && errno != EINTR)
			rc = err_sys(e, errno, "can't write %s at offset %llu", to, (unsigned long long)(at + n));
		n += k > 0 ? (uint64_t)k : 0;
	}
	free(p);
	return rc;
}

/* Is it read to open the model? What quantized weights mean stands in tensors (model/quantization.h). */
static bool is_read(const struct tensor *t)
{
	return t->bytes <= 4096 || (t->bytes <= 65536 && strstr(t->name, "quant_state."));
}

/* The header of a file, and over holes the few tensors that are read with it. */
static int copy_header(const struct work *w, uint32_t file, const char *to, struct err *e)
{
	const char *from = w->paths[file];
	const uint64_t header = header_bytes(w->c, file), size = w->c->files[file].size;
	uint64_t most = header + ((uint64_t)1 << 20);
	int in = file_open(from, NULL, e), out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct stat st;
	int rc = in < 0 ? -1 : out < 0 ? err_sys(e, errno, "can't write %s", to) : 0;
	if (rc == 0)
		rc = copy_part(in, out, 0, header, from, to, e);
	for (size_t i = 0; rc == 0 && i < w->c->n_tensors; i++) {
		const struct tensor *t = &w->c->tensors[i];
		if (t->file != file || !is_read(t))
			continue;
		most += t->bytes + 8192;
		rc = copy_part(in, out, t->offset, t->bytes, from, to, e);
	}
	if (rc == 0 && (ftruncate(out, (off_t)size) < 0 || fsync(out) < 0 || fstat(out, &st) < 0))
		rc = err_sys(e, errno, "can't write %s", to);
	if (rc == 0 && (uint64_t)st.st_blocks * 512 > most)
		rc = err_set(e, ERR_UNSUPPORTED,
			"%s: this file system has no files with holes, which --delete-original needs", to);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
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
			rc = to ? copy_header(w, i, to, e) : err_nomem(e);
			free(to);
		}
		if (rc == 0)
			rc = copy_config(w, tmp, e);
		if (rc == 0 && rename(tmp, dir) < 0)
			rc = err_sys(e, errno, "can't rename %s", tmp);
		if (rc == 0)
			rc = file_sync_folder(dir, e);
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

/* What a link in SRC leads to, which originals_check has found to be in SRC, then the link: while it is there, a
 * run that goes on knows that there is something to delete. */
static int delete_one(struct work *w, const char *path, struct err *e)
{
	char *real = realpath(path, NULL);
	int rc = real && strcmp(real, path) != 0 && unlink(real) < 0 ? err_sys(e, errno, "can't delete %s", real) : 0;
	if (rc == 0 && unlink(path) < 0 && errno != ENOENT)
		rc = err_sys(e, errno, "can't delete %s", path);
	free(real);
	w->report->deleted += rc == 0;
	return rc;
}

static bool is_gone(const struct work *w, size_t source)
{
	struct stat st;
	return stat(w->manifest.sources[source].path, &st) < 0;
}

bool originals_gone(const struct work *w)
{
	bool gone = false;
	for (size_t i = 0; i < w->manifest.n_sources; i++)
		gone = gone || is_gone(w, i);
	return gone;
}

bool originals_have(const struct work *w, const struct out_file *f)
{
	bool gone = false;
	for (size_t k = 0; k < f->n; k++)
		gone = gone || is_gone(w, f->pieces[k]->from->file);
	return !gone;
}

int originals_delete(struct work *w, struct err *e)
{
	if (originals_check(w, e) < 0)
		return -1;
	for (uint32_t i = 0; i < w->manifest.n_sources; i++) {
		const char *path = w->manifest.sources[i].path;
		struct stat st;
		if (lstat(path, &st) == 0 && !is_needed(w, i) && delete_one(w, path, e) < 0)
			return -1;
	}
	return 0;
}
