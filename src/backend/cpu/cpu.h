/* The CPU backend: plain C always works; AVX2 or AVX-512 is chosen at run time. */
#ifndef AIRLCHAT_BACKEND_CPU_CPU_H
#define AIRLCHAT_BACKEND_CPU_CPU_H

#include "backend/backend.h"

/* ops: "auto" or a variant's name; a variant that this machine or build lacks is an error that
 * names those it has. threads: 0 means as many as the process may run on. ops->close frees. */
int cpu_backend_open(struct backend **out, const char *ops, int threads, struct err *e);

/* The variants this machine can run, best first, NULL-terminated. */
const char *const *cpu_backend_variants(void);

#endif
