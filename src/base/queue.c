#include "base/queue.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int queue_init(struct queue *q, struct err *e)
{
	*q = (struct queue){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	if (q->fd < 0)
		return err_sys(e, errno, "can't make an event descriptor");
	pthread_mutex_init(&q->lock, NULL);
	return 0;
}

void queue_clear(struct queue *q)
{
	if (q->fd < 0)
		return;
	close(q->fd);
	q->fd = -1;
	pthread_mutex_destroy(&q->lock);
}

static void signal_fd(struct queue *q)
{
	uint64_t one = 1;
	while (write(q->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

void queue_push(struct queue *q, struct queue_item *item)
{
	item->next = NULL;
	pthread_mutex_lock(&q->lock);
	bool was_empty = !q->head;
	if (was_empty)
		q->head = item;
	else
		q->tail->next = item;
	q->tail = item;
	if (was_empty)
		signal_fd(q);
	pthread_mutex_unlock(&q->lock);
}

struct queue_item *queue_pop(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	struct queue_item *item = q->head;
	if (item) {
		q->head = item->next;
		if (!q->head && !q->closed) {
			uint64_t n;
			while (read(q->fd, &n, sizeof(n)) < 0 && errno == EINTR)
				;
		}
	}
	pthread_mutex_unlock(&q->lock);
	return item;
}

struct queue_item *queue_wait(struct queue *q)
{
	while (true) {
		struct queue_item *item = queue_pop(q);
		if (item)
			return item;
		pthread_mutex_lock(&q->lock);
		bool closed = q->closed;
		pthread_mutex_unlock(&q->lock);
		if (closed)
			return NULL;
		struct pollfd p = {.fd = q->fd, .events = POLLIN};
		poll(&p, 1, -1);
	}
}

void queue_close(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	signal_fd(q);
	pthread_mutex_unlock(&q->lock);
}
