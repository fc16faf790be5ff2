/* Where the source is, where the new files go, and whether they fit. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "prepare/work.h"
#include "store/checkpoint.h"

#define SPARE ((uint64_t)16 << 20) /* space that is left free */

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n >= m && !strcmp(s + n - m, end);
}

/* Is path b the folder a, or in it? Both are real paths. */
static bool is_in(const char *a, const char *b)
{
	size_t n = strlen(a);
	return !strncmp(a, b, n) && (b[n] == '\0' || b[n] == '/' || (n && a[n - 1] == '/'));
}

/* Make a folder (its parent must be there) and return its real path; free(). */
static char *make_folder(const char *path, struct err *e)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST) {
		err_sys(e, errno, "can't make the folder %s", path);
		return NULL;
	}
	char *real = realpath(path, NULL);
	if (!real || !file_is_dir(real)) {
		err_sys(e, real ? ENOTDIR : errno, "can't use %s", path);
		free(real);
		return NULL;
	}
	return real;
}

/* The real path that `path` would have, which may not be there yet. */
static char *future_path(const char *path, struct err *e)
{
	char *real = realpath(path, NULL);
	if (real || errno != ENOENT) {
		if (!real)
			err_sys(e, errno, "can't use %s", path);
		return real;
	}
	size_t n = strlen(path);
	while (n > 1 && path[n - 1] == '/')
		n--;
	char *copy = strndup(path, n), *slash = copy ? strrchr(copy, '/') : NULL;
	const char *name = slash ? slash + 1 : copy;
	if (slash)
		*slash = '\0';
	char *parent = copy ? realpath(slash == copy ? "/" : slash ? copy : ".", NULL) : NULL;
	if (!parent)
		err_sys(e, errno, "can't make %s", path);
	else if (!*name || !strcmp(name, "..") || !strcmp(name, "."))
		err_set(e, ERR_USAGE, "%s is no name for a new folder", path);
	else
		real = path_join(parent, name);
	free(parent);
	free(copy);
	return real;
}

static int check_apart(const struct work *w, const char *folder, struct err *e)
{
	if (w->src_is_dir && (is_in(w->src, folder) || is_in(folder, w->src)))
		return err_set(e, ERR_USAGE, "%s and %s lie one in the other: choose a folder apart from the source",
			w->src, folder);
	return 0;
}

static int add_target(struct work *w, char *path, struct err *e)
{
	char **p = path ? realloc(w->targets, (w->n_targets + 1) * sizeof(*p)) : NULL;
	if (!p) {
		free(path);
		return path ? err_nomem(e) : -1;
	}
	w->targets = p;
	p[w->n_targets++] = path;
	return 0;
}

/* Nothing of anyone else's may be in a folder that is not ours already. */
static int check_empty(const char *dir, struct err *e)
{
	static const char mark[] = FOLDER_UNFINISHED ".tmp-";
	DIR *d = opendir(dir);
	int rc = d ? 0 : err_sys(e, errno, "can't open the folder %s", dir);
	for (struct dirent *f; rc == 0 && (f = readdir(d));)
		if (strcmp(f->d_name, ".") != 0 && strcmp(f->d_name, "..") != 0 &&
			strcmp(f->d_name, "lost+found") != 0 && strncmp(f->d_name, mark, sizeof(mark) - 1) != 0)
			rc = err_set(e, ERR_USAGE, "%s is not empty (%s): choose another folder", dir, f->d_name);
	if (d)
		closedir(d);
	return rc;
}

static bool has_file(const char *dir, const char *name)
{
	char *path = path_join(dir, name);
	bool has = path && file_exists(path);
	free(path);
	return has;
}

/* Does the mark in a stripe name dst? */
static bool is_marked(const struct work *w, const char *target)
{
	char *path = path_join(target, FOLDER_UNFINISHED);
	struct buf text = BUF_INIT;
	struct err ignored = ERR_INIT;
	bool ours = path && file_exists(path) && file_read(path, 65536, &text, &ignored) == 0 &&
		!strcmp(buf_str(&text), w->dst);
	buf_clear(&text);
	free(path);
	return ours;
}

/* A stripe may hold another model of the same name. */
static int check_stripe(const struct work *w, const char *target, struct err *e)
{
	bool complete = has_file(w->dst, MANIFEST_NAME) && !has_file(w->dst, FOLDER_UNFINISHED);
	return complete || is_marked(w, target) ? 0 : check_empty(target, e);
}

/* In each folder of a comma-separated list, one named like dst. */
static int add_stripes(struct work *w, struct err *e)
{
	const char *name = strrchr(w->dst, '/') + 1;
	for (const char *p = w->r->stripes; *p;) {
		size_t n = strcspn(p, ",");
		char *dir = strndup(p, n), *in = NULL, *real = NULL;
		if (n && dir && (real = make_folder(dir, e)) && check_apart(w, real, e) == 0)
			in = path_join(real, name);
		char *target = in && strcmp(in, w->dst) != 0 ? make_folder(in, e) : NULL;
		if (!n)
			err_set(e, ERR_USAGE, "--stripe has an empty name of a folder");
		else if (in && !strcmp(in, w->dst))
			err_set(e, ERR_USAGE, "%s can't be a stripe of itself", w->dst);
		free(dir);
		free(real);
		free(in);
		if (target && check_stripe(w, target, e) < 0) {
			free(target);
			target = NULL;
		}
		if (add_target(w, target, e) < 0)
			return -1;
		p += n + (p[n] == ',');
	}
	return 0;
}

static int lock_folder(struct work *w, struct err *e)
{
	w->lock = open(w->dst, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->lock < 0)
		return err_sys(e, errno, "can't open %s", w->dst);
	if (flock(w->lock, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return err_set(e, ERR_USAGE, "another airlchat prepare is writing %s", w->dst);
	return 0;
}

int folders_open(struct work *w, struct err *e)
{
	w->lock = -1;
	struct err ignored = ERR_INIT;
	w->src = realpath(w->r->src, NULL);
	if (!w->src && errno == ENOENT) {
		w->src = future_path(w->r->src, &ignored);
		w->src_gone = true;
		errno = ENOENT;
	}
	if (!w->src)
		return err_sys(e, errno, "can't open %s", w->r->src);
	w->src_is_dir = !w->src_gone && !file_exists(w->src);
	char *dst = future_path(w->r->dst, e);
	if (!dst || !strchr(dst, '/')) {
		free(dst);
		return -1;
	}
	w->dst = dst;
	if (check_apart(w, dst, e) < 0)
		return -1;
	w->made_dst = !file_is_dir(dst);
	char *real = make_folder(dst, e);
	if (!real)
		return -1;
	free(w->dst);
	w->dst = real;
	if (check_apart(w, real, e) < 0 || lock_folder(w, e) < 0)
		return -1;
	if (!has_file(real, FOLDER_UNFINISHED) && !has_file(real, MANIFEST_NAME) && check_empty(real, e) < 0)
		return -1;
	return w->r->stripes ? add_stripes(w, e) : add_target(w, strdup(w->dst), e);
}

static int clean_one(const char *dir, struct err *e)
{
	DIR *d = opendir(dir);
	if (!d)
		return err_sys(e, errno, "can't open the folder %s", dir);
	int rc = 0;
	for (struct dirent *f; rc == 0 && (f = readdir(d));) {
		const char *tmp = strstr(f->d_name, ".tmp-");
		bool ours = (ends_with(f->d_name, SINK_PART) && !strncmp(f->d_name, "model-", 6)) ||
			(ends_with(f->d_name, ".json" SINK_PART)) || (tmp && strlen(tmp) == 11);
		if (ours && unlinkat(dirfd(d), f->d_name, 0) < 0 && errno != ENOENT)
			rc = err_sys(e, errno, "can't remove %s in %s", f->d_name, dir);
	}
	closedir(d);
	return rc;
}

int folders_clean(const struct work *w, struct err *e)
{
	int rc = clean_one(w->dst, e);
	for (size_t i = 0; rc == 0 && i < w->n_targets; i++)
		rc = clean_one(w->targets[i], e);
	/* They are written anew, and beside them there may be no room. But what can't be written anew stays. */
	for (uint32_t i = 0; rc == 0 && i < w->layout.n_files; i++) {
		bool stays = manifest_find(&w->manifest, w->layout.files[i].name) || !originals_have(w, &w->layout.files[i]);
		char *path = stays ? NULL : folders_path(w, i);
		if (path && unlink(path) < 0 && errno != ENOENT)
			rc = err_sys(e, errno, "can't remove %s", path);
		free(path);
	}
	return rc;
}

int folders_mark(const struct work *w, struct err *e)
{
	int rc = 0;
	for (size_t i = 0; w->r->stripes && rc == 0 && i < w->n_targets; i++) {
		char *path = path_join(w->targets[i], FOLDER_UNFINISHED);
		rc = path ? file_write(path, w->dst, strlen(w->dst), 0644, e) : err_nomem(e);
		free(path);
	}
	return rc;
}

int folders_unmark(const struct work *w, struct err *e)
{
	int rc = 0;
	for (size_t i = 0; w->r->stripes && rc == 0 && i < w->n_targets; i++) {
		char *path = path_join(w->targets[i], FOLDER_UNFINISHED);
		if (!path)
			rc = err_nomem(e);
		else if (is_marked(w, w->targets[i]) && unlink(path) < 0)
			rc = err_sys(e, errno, "can't remove %s", path);
		free(path);
	}
	return rc;
}

char *folders_path(const struct work *w, uint32_t file)
{
	return path_join(w->targets[w->layout.files[file].drive], w->layout.files[file].name);
}

int folders_link(const struct work *w, uint32_t file, struct err *e)
{
	if (!w->r->stripes)
		return 0;
	char *path = folders_path(w, file), *link = path_join(w->dst, w->layout.files[file].name);
	int rc = path && link ? 0 : err_nomem(e);
	if (rc == 0 && ((unlink(link) < 0 && errno != ENOENT) || symlink(path, link) < 0))
		rc = err_sys(e, errno, "can't link %s", link);
	if (rc == 0)
		rc = file_sync_folder(link, e);
	free(path);
	free(link);
	return rc;
}

/* --- space -------------------------------------------------------------------------------------- */

/* Bytes that deleting the sources frees on device `dev` once file `at` is written; the last file that
 * needs a source frees it, unless it has another name elsewhere. */
static uint64_t freed_by(const struct work *w, uint32_t at, dev_t dev)
{
	uint64_t bytes = 0;
	for (uint32_t s = 0; w->r->delete_original && s < w->c->n_files; s++) {
		uint32_t last = 0;
		for (uint32_t i = 0; i < w->layout.n_files; i++)
			for (size_t k = 0; k < w->layout.files[i].n; k++)
				if (w->layout.files[i].pieces[k]->from->file == s)
					last = i;
		struct stat st;
		if (last == at && stat(w->paths[s], &st) == 0 && st.st_dev == dev && st.st_nlink == 1)
			bytes += (uint64_t)st.st_size;
	}
	return bytes;
}

/* The most that the device of a target must hold at any moment beyond now. */
static uint64_t peak_on(const struct work *w, dev_t dev, const dev_t *devs)
{
	int64_t now = 0, peak = 0;
	for (uint32_t i = 0; i < w->layout.n_files; i++) {
		const struct out_file *f = &w->layout.files[i];
		if (devs[f->drive] == dev && !manifest_find(&w->manifest, f->name))
			now += (int64_t)f->bytes;
		peak = now > peak ? now : peak;
		now -= (int64_t)freed_by(w, i, dev);
	}
	return (uint64_t)peak;
}

int folders_check_space(struct work *w, struct err *e)
{
	dev_t *devs = mem_array(w->n_targets, sizeof(*devs));
	if (!devs)
		return err_nomem(e);
	int rc = 0;
	for (size_t t = 0; rc == 0 && t < w->n_targets; t++) {
		struct stat st;
		if (stat(w->targets[t], &st) < 0)
			rc = err_sys(e, errno, "can't stat %s", w->targets[t]);
		devs[t] = st.st_dev;
	}
	for (size_t t = 0; rc == 0 && t < w->n_targets; t++) {
		struct statvfs v;
		uint64_t need = peak_on(w, devs[t], devs);
		if (statvfs(w->targets[t], &v) < 0)
			rc = err_sys(e, errno, "can't tell the free space of %s", w->targets[t]);
		uint64_t have = rc == 0 ? (uint64_t)v.f_bavail * v.f_frsize : 0;
		if (rc == 0 && need && need + SPARE > have)
			rc = err_set(e, ERR_IO, "%s has %.1f MiB free, but %.1f MiB are needed", w->targets[t],
				(double)have / 1048576, (double)(need + SPARE) / 1048576);
	}
	free(devs);
	return rc;
}
