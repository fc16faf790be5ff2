/* Small whole files, paths and user folders. Model files must be regular files. */
#ifndef AIRLCHAT_BASE_FILE_H
#define AIRLCHAT_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Open a regular file for reading (O_CLOEXEC, never blocks on a FIFO). *size may be NULL.
 * Returns the fd, or -1 with a sentence naming the file. */
int file_open(const char *path, uint64_t *size, struct err *e);

/* Append the whole regular file to out; more than `limit` bytes is an error. The file's pages are
 * dropped from the page cache afterwards, since those count against a memory budget. */
int file_read(const char *path, size_t limit, struct buf *out, struct err *e);

/* pread that repeats until len bytes have come; short of that is an error naming path and offset. */
int file_pread(int fd, void *dst, size_t len, uint64_t offset, const char *path, struct err *e);

/* Make what was renamed or removed in it durable: fsync the folder that holds path. */
int file_sync_folder(const char *path, struct err *e);

/* Replace path atomically: temporary file in the same folder, mode, fsync, rename. A link is replaced too. */
int file_write(const char *path, const void *data, size_t len, unsigned mode, struct err *e);

/* The same for a name that the user gave: a link leads to the file that is replaced, and what is not a regular
 * file (a pipe, a terminal) is written to. */
int file_save(const char *path, const void *data, size_t len, unsigned mode, struct err *e);

bool file_exists(const char *path); /* as a regular file */
bool file_is_dir(const char *path);

/* "dir/name" (just name when dir is empty or name is absolute); NULL when out of memory. free(). */
char *path_join(const char *dir, const char *name);

/* True if a name from a file may be opened inside its folder: relative, no "..", no empty or "."
 * parts, no NUL, not longer than 255 bytes a part. */
bool path_is_inside(const char *name);

enum user_dir { USER_CONFIG, USER_DATA, USER_STATE, USER_CACHE };

/* "$XDG_..._HOME/airlchat" or its default under $HOME, made with mode 0700 when `make` is set.
 * NULL with e set when there is no home or it can't be made. free(). */
char *path_user_dir(enum user_dir which, bool make, struct err *e);

#endif
