/* Numbers as people read them, in few columns. What is negative was not measured: "-". */
#ifndef AIRLCHAT_TUI_FORMAT_H
#define AIRLCHAT_TUI_FORMAT_H

#include <stddef.h>
#include <stdint.h>

struct fmt { /* a number's text; pass FMT for `out` where it is only printed */
	char s[24];
};

#define FMT (&(struct fmt){{0}})

const char *fmt_seconds(struct fmt *out, double s);  /* "67ms" "4.31s" "7m12s" "2h03m" */
const char *fmt_bytes(struct fmt *out, uint64_t n);  /* "850K" "42M" "6.0G", powers of 1024 */
const char *fmt_pair(struct fmt *out, uint64_t a, uint64_t b); /* "42/60M": one unit */
const char *fmt_rate(struct fmt *out, double bytes_per_s);     /* "0.96" GB/s, powers of 1000 */
const char *fmt_count(struct fmt *out, uint64_t n);  /* "118" "3.1k" "32k" */
const char *fmt_percent(struct fmt *out, double part, double of);

#endif
