#include "tui/theme.h"

#include <stdlib.h>
#include <string.h>

#include "tui/theme_private.h"

struct theme {
	char name[64];
	enum theme_depth depth;
	struct theme_file file;
};

static int from_rgb(int rgb, int shift)
{
	return rgb >> shift & 0xff;
}

/* The nearest of the 6x6x6 cube and the greys of the 256 colours. */
static int rgb_to_256(int rgb)
{
	static const int level[6] = {0, 95, 135, 175, 215, 255};
	int best = 16;
	long least = -1;
	for (int i = 16; i < 256; i++) {
		int n = i - 16, grey = 8 + 10 * (i - 232);
		int r = i < 232 ? level[n / 36] : grey, g = i < 232 ? level[n / 6 % 6] : grey;
		int b = i < 232 ? level[n % 6] : grey;
		long dr = r - from_rgb(rgb, 16), dg = g - from_rgb(rgb, 8), db = b - from_rgb(rgb, 0);
		long d = 3 * dr * dr + 4 * dg * dg + 2 * db * db;
		if (least < 0 || d < least) {
			least = d;
			best = i;
		}
	}
	return best;
}

static int rgb_to_16(int rgb)
{
	static const int ansi[16] = {0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee, 0xcd00cd,
		0x00cdcd, 0xe5e5e5, 0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00, 0x5c5cff, 0xff00ff,
		0x00ffff, 0xffffff};
	int best = 0;
	long least = -1;
	for (int i = 0; i < 16; i++) {
		long dr = from_rgb(ansi[i], 16) - from_rgb(rgb, 16);
		long dg = from_rgb(ansi[i], 8) - from_rgb(rgb, 8);
		long db = from_rgb(ansi[i], 0) - from_rgb(rgb, 0);
		long d = 3 * dr * dr + 4 * dg * dg + 2 * db * db;
		if (least < 0 || d < least) {
			least = d;
			best = i;
		}
	}
	return best;
}

static int palette_to_rgb(int c)
{
	static const int level[6] = {0, 95, 135, 175, 215, 255};
	if (c >= 232)
		return (8 + 10 * (c - 232)) * 0x10101;
	c -= 16;
	return level[c / 36] << 16 | level[c / 6 % 6] << 8 | level[c % 6];
}

/* The first alternative that the terminal has; what is finer than it can is brought near. */
static int32_t choose(const struct theme_value *v, enum theme_depth depth, uint32_t *attrs)
{
	if (depth == DEPTH_MONO) {
		*attrs = v->attrs[3];
		return COLOR_NONE;
	}
	if (depth == DEPTH_TRUE && v->rgb_set) {
		*attrs = v->attrs[0];
		return COLOR_RGB | v->rgb;
	}
	if (depth >= DEPTH_256 && v->c256_set) {
		*attrs = v->attrs[1];
		return v->c256;
	}
	if (depth == DEPTH_256 && v->rgb_set) {
		*attrs = v->attrs[0];
		return rgb_to_256(v->rgb);
	}
	if (v->c16_set) {
		*attrs = v->attrs[2];
		return v->c16;
	}
	if (v->rgb_set || v->c256_set) {
		*attrs = v->attrs[v->rgb_set ? 0 : 1];
		return rgb_to_16(v->rgb_set ? v->rgb : v->c256 < 16 ? 0 : palette_to_rgb(v->c256));
	}
	*attrs = v->attrs[3];
	return COLOR_NONE;
}

static int mix(int a, int b, int n, int of)
{
	return a + (b - a) * n / of;
}

/* Between two values of a gradient: smooth where both are true colours, in steps elsewhere. */
static int32_t blend(const struct theme_value *a, const struct theme_value *b, int n, int of,
	enum theme_depth depth, uint32_t *attrs)
{
	const struct theme_value *nearer = 2 * n < of ? a : b;
	bool smooth = a->rgb_set && b->rgb_set &&
		(depth == DEPTH_TRUE || (depth == DEPTH_256 && !a->c256_set && !b->c256_set));
	if (!smooth)
		return choose(nearer, depth, attrs);
	int rgb = mix(from_rgb(a->rgb, 16), from_rgb(b->rgb, 16), n, of) << 16 |
		mix(from_rgb(a->rgb, 8), from_rgb(b->rgb, 8), n, of) << 8 |
		mix(from_rgb(a->rgb, 0), from_rgb(b->rgb, 0), n, of);
	*attrs = nearer->attrs[0];
	return depth == DEPTH_TRUE ? COLOR_RGB | rgb : rgb_to_256(rgb);
}

static bool given(const struct theme_value *v)
{
	return v->rgb_set || v->c256_set || v->c16_set || v->attrs[3];
}

static int32_t gradient(const struct theme *t, enum style item, int shade, uint32_t *attrs)
{
	const struct theme_value *v = t->file.v + THEME_GRADIENT + 3 * (item - ST_DISK);
	const struct theme_value *mid = v + 1, *end = given(v + 2) ? v + 2 : v;
	if (!given(mid))
		return blend(v, end, shade, 255, t->depth, attrs);
	if (shade < 128)
		return blend(v, mid, shade, 128, t->depth, attrs);
	return blend(mid, end, shade - 128, 127, t->depth, attrs);
}

void theme_look(const struct theme *t, style_t st, struct look *out)
{
	enum style item = STYLE_ITEM(st);
	uint32_t ignored;
	int bg = item == ST_SELECTED ? THEME_SELECTED_BG : item == ST_CODE ? THEME_CODE_BG : THEME_MAIN_BG;
	if (item >= STYLES)
		item = ST_TEXT;
	if (item >= ST_DISK)
		out->fg = gradient(t, item, (int)STYLE_SHADE(st), &out->attrs);
	else
		out->fg = choose(t->file.v + item, t->depth, &out->attrs);
	if (!given(t->file.v + bg))
		bg = THEME_MAIN_BG;
	out->bg = choose(t->file.v + bg, t->depth, &ignored);
	out->attrs |= st & STYLE_ATTRS;
}

struct theme *theme_load(const char *name, enum theme_depth depth, struct buf *warnings, struct err *e)
{
	struct theme *t = calloc(1, sizeof(*t));
	if (!t) {
		err_nomem(e);
		return NULL;
	}
	strncpy(t->name, name, sizeof(t->name) - 1);
	t->depth = depth;
	if (theme_file_load(&t->file, name, warnings, e) < 0) {
		free(t);
		return NULL;
	}
	return t;
}

void theme_free(struct theme *t)
{
	free(t);
}

const char *theme_name(const struct theme *t)
{
	return t->name;
}
