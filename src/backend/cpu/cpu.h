/* The CPU backend: plain C always works; AVX2 or AVX-512 is chosen at run time. */
#ifndef AIRLCHAT_BACKEND_CPU_CPU_H
#define AIRLCHAT_BACKEND_CPU_CPU_H

#include "backend/backend.h"

/* ops: "auto" or a variant's name; a variant that this machine or build lacks is an error that
 * names those it has. threads: 0 means as many as the process may run on. ops->close frees. */
int cpu_backend_open(struct backend **out, const char *ops, int threads, struct err *e);

/* Let activations be rounded where that is faster (struct backend's variant then says so): row invariance
 * no longer holds for the number of rows. False, and nothing changes, where no kernels do this: in the
 * variant ref. */
bool cpu_backend_fast(struct backend *b);

/* The variants this machine can run, best first, NULL-terminated. */
const char *const *cpu_backend_variants(void);

#endif
