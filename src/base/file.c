#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_open(const char *path, uint64_t *size, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_sys(e, errno, "can't open %s", path);
	struct stat st;
	if (fstat(fd, &st) < 0) {
		err_sys(e, errno, "can't stat %s", path);
		close(fd);
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(e, ERR_IO, "%s is not a regular file", path);
	}
	if (size)
		*size = (uint64_t)st.st_size;
	return fd;
}

int file_pread(int fd, void *dst, size_t len, uint64_t offset, const char *path, struct err *e)
{
	char *p = dst;
	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, errno, "can't read %s at offset %llu", path,
				(unsigned long long)offset);
		if (n == 0)
			return err_set(e, ERR_FORMAT, "%s ends at offset %llu, %zu bytes are missing",
				path, (unsigned long long)offset, len);
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int file_read(const char *path, size_t limit, struct buf *out, struct err *e)
{
	uint64_t size;
	int fd = file_open(path, &size, e);
	if (fd < 0)
		return -1;
	int rc = -1;
	if (size > limit)
		err_set(e, ERR_LIMIT, "%s has %llu bytes, more than the %zu allowed", path,
			(unsigned long long)size, limit);
	else if (!buf_reserve(out, (size_t)size))
		err_nomem(e);
	else
		rc = file_pread(fd, out->p + out->len, (size_t)size, 0, path, e);
	if (rc == 0) {
		out->len += (size_t)size;
		out->p[out->len] = '\0';
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
	return rc;
}

static int write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_sync_folder(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	if (!dir)
		return err_nomem(e);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* some network file systems can't sync folders and say EINVAL; one that may be written to may still be closed
	 * to reading */
	bool can = fd < 0 ? errno == EACCES : fsync(fd) == 0 || errno == EINVAL;
	int rc = can ? 0 : err_sys(e, errno, "can't sync the folder %s", dir);
	if (fd >= 0)
		close(fd);
	free(dir);
	return rc;
}

int file_write(const char *path, const void *data, size_t len, unsigned mode, struct err *e)
{
	struct buf tmp = BUF_INIT;
	buf_printf(&tmp, "%s.tmp-XXXXXX", path);
	if (buf_ok(&tmp, e) < 0)
		return -1;
	int fd = mkostemp(tmp.p, O_CLOEXEC);
	if (fd < 0) {
		err_sys(e, errno, "can't write %s", path);
		buf_clear(&tmp);
		return -1;
	}
	int rc = 0;
	if (fchmod(fd, mode) < 0 || write_all(fd, data, len) < 0 || fsync(fd) < 0)
		rc = err_sys(e, errno, "can't write %s", path);
	if (close(fd) < 0 && rc == 0)
		rc = err_sys(e, errno, "can't write %s", path);
	if (rc == 0 && rename(tmp.p, path) < 0)
		rc = err_sys(e, errno, "can't rename %s to %s", tmp.p, path);
	if (rc < 0)
		unlink(tmp.p);
	else
		rc = file_sync_folder(path, e);
	buf_clear(&tmp);
	return rc;
}

/* The shell may have led this process's own output to a file, which must not be replaced under it. */
static int own_output(const char *path)
{
	return !strcmp(path, "/dev/stdout") ? STDOUT_FILENO : !strcmp(path, "/dev/stderr") ? STDERR_FILENO : -1;
}

static int write_to(const char *path, const void *data, size_t len, struct err *e)
{
	const int own = own_output(path);
	int fd = own >= 0 ? fcntl(own, F_DUPFD_CLOEXEC, 0) : open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	int rc = fd < 0 || write_all(fd, data, len) < 0 ? err_sys(e, errno, "can't write %s", path) : 0;
	if (fd >= 0 && close(fd) < 0 && rc == 0)
		rc = err_sys(e, errno, "can't write %s", path);
	return rc;
}

int file_save(const char *path, const void *data, size_t len, unsigned mode, struct err *e)
{
	struct stat st;
	if (own_output(path) >= 0 || (stat(path, &st) == 0 && !S_ISREG(st.st_mode)))
		return write_to(path, data, len, e);
	char *real = realpath(path, NULL); /* NULL: a new file */
	int rc = file_write(real ? real : path, data, len, mode, e);
	free(real);
	return rc;
}

bool file_exists(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool file_is_dir(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *path_join(const char *dir, const char *name)
{
	struct buf b = BUF_INIT;
	size_t n = strlen(dir);
	if (n && name[0] != '/') {
		buf_add(&b, dir, n);
		if (dir[n - 1] != '/')
			buf_addc(&b, '/');
	}
	buf_puts(&b, name);
	return buf_take(&b);
}

bool path_is_inside(const char *name)
{
	while (true) {
		size_t n = strcspn(name, "/");
		if (n == 0 || n > 255 || (n == 1 && name[0] == '.') ||
			(n == 2 && name[0] == '.' && name[1] == '.'))
			return false;
		if (!name[n])
			return true;
		name += n + 1;
	}
}

static int make_dirs(char *path, struct err *e)
{
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		int rc = mkdir(path, 0700);
		*p = '/';
		if (rc < 0 && errno != EEXIST)
			return err_sys(e, errno, "can't make the folder %s", path);
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, errno, "can't make the folder %s", path);
	return 0;
}

char *path_user_dir(enum user_dir which, bool make, struct err *e)
{
	static const struct {
		const char *env, *fallback;
	} where[] = {
		[USER_CONFIG] = {"XDG_CONFIG_HOME", ".config"},
		[USER_DATA] = {"XDG_DATA_HOME", ".local/share"},
		[USER_STATE] = {"XDG_STATE_HOME", ".local/state"},
		[USER_CACHE] = {"XDG_CACHE_HOME", ".cache"},
	};
	const char *xdg = getenv(where[which].env), *home = getenv("HOME");
	struct buf b = BUF_INIT;
	if (xdg && xdg[0] == '/') { /* the XDG standard: relative values are ignored */
		buf_printf(&b, "%s/airlchat", xdg);
	} else if (home && home[0] == '/') {
		buf_printf(&b, "%s/%s/airlchat", home, where[which].fallback);
	} else {
		err_set(e, ERR_IO, "neither %s nor HOME names a folder", where[which].env);
		return NULL;
	}
	char *path = buf_take(&b);
	if (!path) {
		err_nomem(e);
		return NULL;
	}
	if (make && make_dirs(path, e) < 0) {
		free(path);
		return NULL;
	}
	return path;
}
