#include "trace/plot.h"

#include <string.h>

#include "base/utf8.h"

#define WIDTH 960
#define HEIGHT 400
#define LEFT 70
#define RIGHT 20
#define TOP 70
#define BOTTOM 50

static const struct {
	const char *name, *color; /* told apart by people who don't see all colours (Okabe and Ito) */
} causes[CAUSES] = {{"disk wait", "#D55E00"}, {"copy wait", "#CC79A7"}, {"compute", "#009E73"}, {"other", "#999999"}};

/* Text from files: well-formed, without controls, markup escaped. */
static void put_text(struct buf *out, const char *s)
{
	struct buf safe = BUF_INIT;
	utf8_append_printable(&safe, s, strlen(s));
	for (size_t i = 0; i < safe.len; i++)
		switch (safe.p[i]) {
		case '<':
			buf_puts(out, "&lt;");
			break;
		case '>':
			buf_puts(out, "&gt;");
			break;
		case '&':
			buf_puts(out, "&amp;");
			break;
		case '"':
			buf_puts(out, "&quot;");
			break;
		case '\n':
		case '\t':
			buf_addc(out, ' ');
			break;
		default:
			buf_addc(out, safe.p[i]);
		}
	buf_clear(&safe);
}

/* 1, 2 or 5 times a power of ten, so that there are four to ten of it. */
static double step_of(double max)
{
	double step = 1;
	if (!(max > 0))
		return 1;
	while (step * 10 <= max)
		step *= 10;
	while (step > max)
		step /= 10;
	return max / step >= 5 ? step : max / step >= 2 ? step / 2 : step / 5;
}

static void axis(struct buf *out, double max_ms, double scale)
{
	double step = step_of(max_ms);
	for (int i = 0; i * step <= max_ms * 1.0001; i++) {
		double y = HEIGHT - BOTTOM - i * step * scale;
		buf_printf(out, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", LEFT, y,
			WIDTH - RIGHT, y);
		buf_printf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", LEFT - 6, y + 4, i * step);
	}
	buf_printf(out, "<text x=\"16\" y=\"%d\" transform=\"rotate(-90 16 %d)\" text-anchor=\"middle\">ms a pass</text>\n",
		(TOP + HEIGHT - BOTTOM) / 2, (TOP + HEIGHT - BOTTOM) / 2);
}

static void bars(struct buf *out, const struct trace_layer *layers, uint32_t n, double passes, double scale)
{
	double cell = (double)(WIDTH - LEFT - RIGHT) / n, gap = cell > 4 ? 1 : 0;
	uint32_t every = n > 40 ? 10 : n > 12 ? 5 : 1;
	for (uint32_t i = 0; i < n; i++) {
		double y = HEIGHT - BOTTOM, x = LEFT + cell * i;
		buf_printf(out, "<g><title>%s%u:", i + 1 == n ? "head, after layer " : "layer ", i + 1 == n ? n - 2 : i);
		for (int c = 0; c < CAUSES; c++)
			buf_printf(out, " %s %.3f ms", causes[c].name, (double)layers[i].ns[c] / 1e6 / passes);
		buf_puts(out, "</title>");
		for (int c = 0; c < CAUSES; c++) {
			double h = (double)layers[i].ns[c] / 1e6 / passes * scale;
			if (h <= 0)
				continue;
			y -= h;
			buf_printf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>", x, y,
				cell - gap, h, causes[c].color);
		}
		buf_puts(out, "</g>\n");
		if (i + 1 == n)
			buf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">head</text>\n", x + cell / 2,
				HEIGHT - BOTTOM + 18);
		else if (i % every == 0 && i + 2 < n)
			buf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%u</text>\n", x + cell / 2,
				HEIGHT - BOTTOM + 18, i);
	}
}

void plot_layers(struct buf *out, const char *title, const struct trace_layer *layers, uint32_t n, uint64_t passes)
{
	int64_t max = 0, sums[CAUSES] = {0};
	double count = passes ? (double)passes : 1;
	for (uint32_t i = 0; i < n; i++) {
		int64_t wall = 0;
		for (int c = 0; c < CAUSES; c++) {
			wall += layers[i].ns[c];
			sums[c] += layers[i].ns[c];
		}
		max = wall > max ? wall : max;
	}
	double max_ms = (double)max / 1e6 / count, scale = max_ms > 0 ? (HEIGHT - TOP - BOTTOM) / max_ms : 0;
	buf_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
			"font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n",
		WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH, HEIGHT);
	buf_printf(out, "<text x=\"%d\" y=\"24\" font-size=\"15\">", LEFT);
	put_text(out, title);
	buf_puts(out, "</text>\n");
	int x = LEFT;
	for (int c = 0; c < CAUSES; c++, x += 190) {
		buf_printf(out, "<rect x=\"%d\" y=\"38\" width=\"12\" height=\"12\" fill=\"%s\"/>\n", x, causes[c].color);
		buf_printf(out, "<text x=\"%d\" y=\"48\">%s %.2f ms</text>\n", x + 18, causes[c].name,
			(double)sums[c] / 1e6 / count);
	}
	axis(out, max_ms, scale);
	bars(out, layers, n, count, scale);
	buf_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">layer</text>\n</svg>\n",
		(LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10);
}
