/* Making a session from a chat; what cli/ needs beside session.h. */
#ifndef AIRLCHAT_CHAT_SESSION_OPEN_H
#define AIRLCHAT_CHAT_SESSION_OPEN_H

#include "chat/chat.h"
#include "chat/session.h"

/* The chat is borrowed: until session_close it belongs to the session's thread. */
int session_open(struct session **out, struct chat *chat, struct err *e);
void session_close(struct session *s); /* stops the answer; NULL is fine */

#endif
