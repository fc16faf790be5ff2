/* Signals: a thread waits for them, since cancelling takes a lock. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "cli/commands.h"

static _Atomic(struct chat *) watched;
static atomic_int got_signal;

static void *wait_signals(void *arg)
{
	sigset_t *set = arg;
	for (int sig; sigwait(set, &sig) == 0;) {
		atomic_store(&got_signal, sig);
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
	atomic_store(&got_signal, 0);
}
