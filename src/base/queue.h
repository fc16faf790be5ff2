/* A queue of messages between two threads whose arrival wakes a file descriptor, so that a poll loop
 * can wait for it beside the terminal. Any number of writers and readers.
 * Locking: `lock` guards head, tail and closed; fd is written once. */
#ifndef AIRLCHAT_BASE_QUEUE_H
#define AIRLCHAT_BASE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"

struct queue_item { /* embed as the first member of a message */
	struct queue_item *next;
};

struct queue {
	pthread_mutex_t lock;
	struct queue_item *head, *tail;
	bool closed;
	int fd; /* eventfd: readable while the queue is not empty or is closed */
};

int queue_init(struct queue *q, struct err *e);
void queue_clear(struct queue *q); /* must be empty */

void queue_push(struct queue *q, struct queue_item *item);
struct queue_item *queue_pop(struct queue *q);	/* NULL when empty; never waits */
struct queue_item *queue_wait(struct queue *q); /* waits; NULL when closed and empty */
void queue_close(struct queue *q);		/* wakes every waiter */

#endif
