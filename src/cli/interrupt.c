/* Signals: a thread waits for them, since cancelling takes a lock. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cli/commands.h"

static _Atomic(struct chat *) watched;
static atomic_int got_signal;
static int wake = -1;

static void *wait_signals(void *arg)
{
	sigset_t *set = arg;
	for (int sig; sigwait(set, &sig) == 0;) {
		atomic_store(&got_signal, sig);
		eventfd_write(wake, 1);
		struct chat *c = atomic_load(&watched);
		if (c)
			chat_cancel(c);
		else
			_exit(sig == SIGINT ? 130 : 128 + sig);
	}
	return NULL;
}

int interrupt_start(struct err *e)
{
	static sigset_t set;
	pthread_t thread;
	wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (wake < 0)
		return err_sys(e, errno, "can't make an event descriptor");
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	int rc = pthread_create(&thread, NULL, wait_signals, &set);
	if (rc)
		return err_sys(e, rc, "can't start a thread");
	pthread_detach(thread);
	return 0;
}

void interrupt_watch(struct chat *c)
{
	atomic_store(&watched, c);
}

int interrupted(void)
{
	return atomic_load(&got_signal);
}

void interrupt_reset(void)
{
	eventfd_t ignored;
	atomic_store(&got_signal, 0);
	eventfd_read(wake, &ignored);
}

int interrupt_fd(void)
{
	return wake;
}
