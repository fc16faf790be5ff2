#include "tui/grid.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "base/mem.h"
#include "base/utf8.h"

int grid_resize(struct grid *g, int w, int h)
{
	struct cell *c = mem_array((size_t)w * (size_t)h, sizeof(*c));
	if (!c)
		return -1;
	free(g->c);
	*g = (struct grid){w, h, c};
	for (int i = 0; i < w * h; i++)
		c[i].cp = ' ';
	return 0;
}

void grid_free(struct grid *g)
{
	free(g->c);
	*g = (struct grid){0, 0, NULL};
}

int grid_columns(uint32_t cp)
{
	int n = utf8proc_charwidth((utf8proc_int32_t)cp);
	return n < 0 ? 0 : n > 2 ? 2 : n;
}

int grid_put(struct grid *g, int x, int y, int max, enum style st, const char *s, size_t len)
{
	int used = 0;
	if (y < 0 || y >= g->h || x < 0)
		return 0;
	for (size_t i = 0; i < len;) {
		uint32_t cp;
		i += utf8_decode(s + i, len - i, &cp, NULL);
		int n = grid_columns(cp);
		if (n == 0)
			continue; /* combining marks are not kept in this form of the grid */
		if (used + n > max || x + used + n > g->w)
			break;
		struct cell *c = g->c + (size_t)y * (size_t)g->w + x + used;
		c[0] = (struct cell){cp, (uint8_t)st};
		if (n == 2)
			c[1] = (struct cell){0, (uint8_t)st};
		used += n;
	}
	return used;
}

size_t grid_row(const struct grid *g, int y, char *out, size_t cap)
{
	size_t n = 0;
	for (int x = 0; x < g->w && n + 5 < cap; x++) {
		const struct cell *c = g->c + (size_t)y * (size_t)g->w + x;
		if (c->cp)
			n += utf8_encode(c->cp, out + n);
	}
	out[n] = 0;
	return n;
}
