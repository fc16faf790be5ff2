#include "tui/format.h"

#include <stdio.h>
#include <string.h>

static const char *unknown(struct fmt *out)
{
	strcpy(out->s, "-");
	return out->s;
}

const char *fmt_seconds(struct fmt *out, double s)
{
	char *p = out->s;
	const size_t n = sizeof(out->s);
	if (!(s >= 0 && s < 1e9))
		return unknown(out);
	if (s < 0.00995)
		snprintf(p, n, "%.1fms", s * 1e3);
	else if (s < 0.9995)
		snprintf(p, n, "%.0fms", s * 1e3);
	else if (s < 9.995)
		snprintf(p, n, "%.2fs", s);
	else if (s < 99.95)
		snprintf(p, n, "%.1fs", s);
	else if (s < 3600)
		snprintf(p, n, "%dm%02ds", (int)s / 60, (int)s % 60);
	else if (s < 360000)
		snprintf(p, n, "%dh%02dm", (int)s / 3600, (int)s % 3600 / 60);
	else
		snprintf(p, n, "%dd", (int)(s / 86400));
	return p;
}

static const char units[] = "BKMGTP";

static int unit_of(double v, double *scaled)
{
	int u = 0;
	while (v >= 1000 && units[u + 1]) {
		v /= 1024;
		u++;
	}
	*scaled = v;
	return u;
}

const char *fmt_bytes(struct fmt *out, uint64_t n)
{
	double v;
	int u = unit_of((double)n, &v);
	snprintf(out->s, sizeof(out->s), u && v < 9.95 ? "%.1f%c" : "%.0f%c", v, units[u]);
	return out->s;
}

const char *fmt_pair(struct fmt *out, uint64_t a, uint64_t b)
{
	double v, scale = 1;
	int u = unit_of((double)b, &v);
	for (int i = 0; i < u; i++)
		scale *= 1024;
	snprintf(out->s, sizeof(out->s), v < 99.5 && u > 2 ? "%.1f/%.1f%c" : "%.0f/%.0f%c", (double)a / scale, v,
		units[u]);
	return out->s;
}

const char *fmt_rate(struct fmt *out, double bytes_per_s)
{
	double v = bytes_per_s / 1e9;
	if (bytes_per_s < 0)
		return unknown(out);
	snprintf(out->s, sizeof(out->s), v < 9.95 ? "%.2f" : "%.1f", v);
	return out->s;
}

const char *fmt_count(struct fmt *out, uint64_t n)
{
	if (n < 1000)
		snprintf(out->s, sizeof(out->s), "%u", (unsigned)n);
	else if (n < 9950)
		snprintf(out->s, sizeof(out->s), "%.1fk", (double)n / 1000);
	else if (n < 999500)
		snprintf(out->s, sizeof(out->s), "%.0fk", (double)n / 1000);
	else
		snprintf(out->s, sizeof(out->s), "%.1fM", (double)n / 1e6);
	return out->s;
}

const char *fmt_percent(struct fmt *out, double part, double of)
{
	if (!(of > 0) || part < 0)
		return unknown(out);
	snprintf(out->s, sizeof(out->s), "%.0f%%", 100 * part / of);
	return out->s;
}
