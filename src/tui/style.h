/* How a cell looks, without saying in which colours: an item of the theme, a place on its gradient,
 * and attributes. The theme turns it into colours when a grid is painted, so what draws needs no
 * theme, and one drawing serves them all. */
#ifndef AIRLCHAT_TUI_STYLE_H
#define AIRLCHAT_TUI_STYLE_H

#include <stdint.h>

enum style {
	ST_TEXT, /* main_fg */
	ST_TITLE,
	ST_KEY,	     /* hi_fg: keys and links */
	ST_DIM,	     /* inactive_fg */
	ST_METER,    /* meter_bg: the empty part of a meter */
	ST_LINE,     /* div_line: rules and frames */
	ST_SELECTED, /* selected_fg on selected_bg */
	ST_USER,
	ST_ASSISTANT,
	ST_THINK,
	ST_CODE, /* on code_bg */
	ST_ERROR,
	ST_DISK, /* from here on gradients: X_start, X_mid, X_end */
	ST_RAM,
	ST_VRAM,
	ST_COPY,
	ST_COMPUTE,
	ST_STALL,
	ST_OTHER,
	STYLES
};

/* A style_t is an enum style, alone or with more in its upper bits. */
typedef uint32_t style_t;

#define STYLE_BOLD 0x010000u
#define STYLE_DIM 0x020000u
#define STYLE_ITALIC 0x040000u
#define STYLE_UNDERLINE 0x080000u
#define STYLE_REVERSE 0x100000u
#define STYLE_STRIKE 0x200000u
#define STYLE_ATTRS 0x3f0000u
#define STYLE_ITEM(st) ((enum style)((st) & 0xffu))
#define STYLE_SHADE(st) ((st) >> 8 & 0xffu)

/* `item` at a fraction (0 to 1) of its gradient. */
static inline style_t style_at(enum style item, double fraction)
{
	double f = fraction > 1 ? 1 : fraction > 0 ? fraction : 0;
	return (style_t)item | (style_t)(f * 255 + 0.5) << 8;
}

#endif
