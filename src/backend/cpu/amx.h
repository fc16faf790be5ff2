/* Intel AMX: sums of products of tiles, 16 rows of 64 bytes each. A TDP instruction adds to c[16][16]
 *
 *	the sums over k of a[i][k] * b[k / step][j][k % step],
 *
 * k up to 32 in steps of 2 for bf16, up to 64 in steps of 4 for bytes: a's rows lie as in memory, those of b
 * hold step neighbours of each of 16 columns. Tiles are named by numbers, 0 to 7, that are literals.
 *
 * As instructions to the assembler: gcc 12 takes its own intrinsics for functions that read no memory. */
#ifndef AIRLCHAT_BACKEND_CPU_AMX_H
#define AIRLCHAT_BACKEND_CPU_AMX_H

#include <stdbool.h>
#include <stdint.h>

/* Threads of this process may use tiles of bf16 and of bytes: the processor and the system have them, and this
 * assembler knows them. Any thread may ask; the first has the system admit all, those that run already too. */
bool cpu_amx_ready(void);

#ifdef HAVE_AMX

struct amx_shapes { /* 64 bytes, as LDTILECFG reads them */
	uint8_t palette, start_row, zero[14];
	uint16_t row_bytes[16];
	uint8_t rows[16];
};

extern const struct amx_shapes amx_whole; /* 16 rows of 64 bytes in all eight tiles */

/* Before the first tile, by each thread and once for each part of an operation, with AMX_END after it: a thread
 * without tiles is switched faster. */
#define AMX_BEGIN(shapes) __asm__ volatile("ldtilecfg %0" : : "m"(*(shapes)) : "memory")
#define AMX_END() __asm__ volatile("tilerelease" : : : "memory")

#define AMX_ZERO(t) __asm__ volatile("tilezero %tmm" #t)
/* Rows lie `stride` bytes apart. */
#define AMX_LOAD(t, p, stride)                                                                                      \
	__asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(p), "r"((int64_t)(stride)) : "memory")
#define AMX_STORE(t, p, stride)                                                                                     \
	__asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(p), "r"((int64_t)(stride)) : "memory")

#define AMX_BF16(c, a, b) __asm__ volatile("tdpbf16ps %tmm" #b ", %tmm" #a ", %tmm" #c)
#define AMX_I8(c, a, b) __asm__ volatile("tdpbssd %tmm" #b ", %tmm" #a ", %tmm" #c) /* both signed */

#endif
#endif
