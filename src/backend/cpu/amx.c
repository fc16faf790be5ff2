#include "backend/cpu/amx.h"

#ifdef HAVE_AMX

#include <cpuid.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_TILES 18 /* the contents; 17: their shapes */

#define WHOLE_2 64, 64
#define ROWS_2 16, 16

_Static_assert(sizeof(struct amx_shapes) == 64, "as the instruction reads them");

const struct amx_shapes amx_whole = {.palette = 1, .row_bytes = {WHOLE_2, WHOLE_2, WHOLE_2, WHOLE_2},
	.rows = {ROWS_2, ROWS_2, ROWS_2, ROWS_2}};

static bool ready;

static void ask(void)
{
	unsigned a, b, c, d, low, high;
	const unsigned tiles = 1u << 24, bf16 = 1u << 22, bytes = 1u << 25, states = 3u << 17;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return;
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (tiles | bf16 | bytes)) != (tiles | bf16 | bytes))
		return;
	__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	/* The state is large, so Linux keeps none for a process that did not ask. */
	ready = (low & states) == states && !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_TILES);
}

bool cpu_amx_ready(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	return !pthread_once(&once, ask) && ready;
}

#else

bool cpu_amx_ready(void)
{
	return false;
}

#endif
