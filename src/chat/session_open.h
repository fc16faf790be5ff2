/* Making a session from a chat; what cli/ needs beside session.h. */
#ifndef AIRLCHAT_CHAT_SESSION_OPEN_H
#define AIRLCHAT_CHAT_SESSION_OPEN_H

#include "chat/chat.h"
#include "chat/session.h"

struct session_options {
	bool keep;	    /* save after each message under $XDG_DATA_HOME */
	double kv_worth_s;  /* a KV cache that takes longer than this to compute again is kept at the end */
	double autosave_s;  /* an answer being made is saved this often */
	bool watched;	    /* session_view will be asked: what it predicts from is measured at the start */
	const char *resume; /* a session's name to go on with, or NULL: a new one */
};

/* The chat is borrowed: until session_close it belongs to the session's thread. A session that can't be
 * resumed is an error; a folder that can't be written is a note (an event), and nothing is kept. */
int session_open(struct session **out, struct chat *chat, const struct session_options *o, struct err *e);
/* Stop the answer and, when computing the KV cache again would take more than kv_worth_s, keep it beside the
 * session. A sentence if that was done (or failed), to be freed. After that only session_close. */
char *session_end(struct session *s);
void session_close(struct session *s); /* stops the answer, which is kept; NULL is fine */

#endif
