/* AMX as the CPU backend uses it: asked for once, then for every thread and what is forked. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/cpu/amx.h"

#ifdef HAVE_AMX

static void skip_without(void)
{
	if (cpu_amx_ready())
		return;
	print_message("skipped: no AMX on this machine, or the system refuses it\n");
	skip();
}

/* c[i][j] = 1 + the products of row i of a, all elements i, and column j of b, all elements j. */
static bool tiles_multiply(void)
{
	int8_t a[16][64], b[16][64];
	int32_t c[16][16], one[16][16];
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < 64; j++)
			a[i][j] = (int8_t)(i - 8), b[i][j] = (int8_t)(j / 4 - 3);
	for (int i = 0; i < 256; i++)
		one[i / 16][i % 16] = 1;
	AMX_BEGIN(&amx_whole);
	AMX_LOAD(0, one, 64);
	AMX_LOAD(6, a, 64);
	AMX_LOAD(7, b, 64);
	AMX_I8(0, 6, 7);
	AMX_STORE(0, c, 64);
	AMX_END();
	for (int i = 0; i < 256; i++)
		if (c[i / 16][i % 16] != 1 + 64 * (i / 16 - 8) * (i % 16 - 3))
			return false;
	return true;
}

static bool tiles_of_bf16(void)
{
	uint16_t a[16][32], b[16][32];
	float c[16][16];
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < 32; j++)
			a[i][j] = j == i ? 0x4000 : 0, b[i][j] = (uint16_t)(0x3F80 + i); /* 2; 1 + i / 128 */
	AMX_BEGIN(&amx_whole);
	AMX_ZERO(3);
	AMX_LOAD(4, a, 64);
	AMX_LOAD(5, b, 64);
	AMX_BF16(3, 4, 5);
	AMX_STORE(3, c, 64);
	AMX_END();
	for (int i = 0; i < 256; i++)
		if (c[i / 16][i % 16] != 2 + (float)(i / 16 / 2) / 64)
			return false;
	return true;
}

static void products_are_right(void **state)
{
	(void)state;
	skip_without();
	assert_true(tiles_multiply());
	assert_true(tiles_of_bf16());
}

static int asked[2];

/* A thread that runs before anybody asks. */
static void *older_thread(void *arg)
{
	char byte;
	(void)arg;
	return read(asked[0], &byte, 1) == 1 && (!cpu_amx_ready() || tiles_multiply()) ? asked : NULL;
}

static void threads_that_run_already_may(void **state)
{
	(void)state;
	pthread_t t;
	void *ok;
	assert_int_equal(pipe(asked), 0);
	assert_int_equal(pthread_create(&t, NULL, older_thread, NULL), 0);
	bool ready = cpu_amx_ready();
	assert_int_equal(write(asked[1], "", 1), 1);
	assert_int_equal(pthread_join(t, &ok), 0);
	close(asked[0]), close(asked[1]);
	assert_non_null(ok);
	if (!ready)
		skip_without();
}

static void forks_may(void **state)
{
	(void)state;
	int status;
	skip_without();
	pid_t child = fork();
	if (!child)
		_exit(!tiles_multiply());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static bool handled;

static void handler(int sig)
{
	(void)sig;
	handled = tiles_multiply();
}

/* The frame of a signal holds the tiles: it fits on the stack the system asks for, and they are given back. */
static void signals_keep_tiles(void **state)
{
	(void)state;
	float c[16][16], one[16][16];
	skip_without();
	size_t bytes = (size_t)sysconf(_SC_SIGSTKSZ);
	stack_t stack = {.ss_sp = malloc(bytes), .ss_size = bytes}, old;
	struct sigaction act = {.sa_handler = handler, .sa_flags = SA_ONSTACK}, before;
	assert_int_equal(sigaltstack(&stack, &old), 0);
	assert_int_equal(sigaction(SIGUSR1, &act, &before), 0);
	for (int i = 0; i < 256; i++)
		one[i / 16][i % 16] = (float)i;
	AMX_BEGIN(&amx_whole);
	AMX_LOAD(0, one, 64);
	raise(SIGUSR1);
	AMX_STORE(0, c, 64);
	AMX_END();
	sigaction(SIGUSR1, &before, NULL);
	sigaltstack(&old, NULL);
	free(stack.ss_sp);
	assert_true(handled);
	assert_memory_equal(c, one, sizeof(c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_that_run_already_may), /* first: nobody has asked */
		cmocka_unit_test(products_are_right),
		cmocka_unit_test(forks_may),
		cmocka_unit_test(signals_keep_tiles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	printf("skipped: this build has no AMX\n");
	return cpu_amx_ready() ? 1 : 77;
}

#endif
