/* Saved sessions: one JSON file each in $XDG_DATA_HOME/airlchat/sessions (0600 in 0700). A name is
 * one file name, so that it can't leave the folder. Files are untrusted when read back. */
#ifndef AIRLCHAT_CHAT_SESSION_STORE_H
#define AIRLCHAT_CHAT_SESSION_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "chat/conversation.h"

struct session_info {
	char *name, *title; /* title: the first words of the user; may be "" */
	char *model;	    /* its path */
	size_t n_messages;
	int64_t changed;    /* seconds since 1970 */
	uint64_t bytes, kv_bytes; /* of the session's file, and of its KV cache (0: none) */
};

/* All of them, the last changed first; session_list_free. No folder: an empty list. */
int session_list(struct session_info **out, size_t *n, struct err *e);
void session_list_free(struct session_info *list, size_t n);

/* The name of the last changed session of this model (a path; NULL: of any); NULL without an error if there
 * is none. To be freed. */
char *session_latest(const char *model, struct err *e);

int session_name_check(const char *name, struct err *e);

/* What a session remembers a model by: its path from the root, wherever it was named from. To be freed. */
char *session_model(const char *path);

struct session_file { /* what a file holds */
	char *model;	    /* session_model() */
	char *settings;	    /* JSON object, name -> value as text */
	struct conversation messages;
};

int session_file_read(const char *name, struct session_file *f, struct err *e);
int session_file_write(const char *name, const struct session_file *f, struct err *e); /* atomic */
int session_file_delete(const char *name, struct err *e); /* its KV cache too */
/* Which writing of the file is there now: whether another program wrote it. All 0: no file. */
struct session_stamp {
	uint64_t inode, bytes;
	int64_t ns;
};
struct session_stamp session_file_stamp(const char *name);
bool session_stamp_same(const struct session_stamp *a, const struct session_stamp *b);
void session_file_clear(struct session_file *f);
char *session_kv_path(const char *name, struct err *e); /* where its KV cache lies; free() */

#endif
