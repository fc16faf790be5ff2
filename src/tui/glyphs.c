#include "tui/glyphs.h"

const struct glyphs glyphs_unicode = {
	.full = "█", .dark = "▓", .medium = "▒", .light = "░", .empty = "·",
	.level = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"},
	.hline = "─", .vline = "│", .cross = "┼", .corner = {"┌", "┐", "└", "┘"},
	.who = "▸", .up = "↑", .down = "↓", .bullet = "•", .dot = "·", .saved = "●",
	.ellipsis = "…", .thumb = "█", .cursor = "▌", .times = "×", .check = "✓",
};

const struct glyphs glyphs_ascii = {
	.full = "#", .dark = "%", .medium = "=", .light = "~", .empty = ".",
	.level = {" ", ".", ".", ":", ":", "+", "+", "#", "#"},
	.hline = "-", .vline = "|", .cross = "+", .corner = {"+", "+", "+", "+"},
	.who = ">", .up = "^", .down = "v", .bullet = "*", .dot = "-", .saved = "*",
	.ellipsis = "~", .thumb = "#", .cursor = "_", .times = "x", .check = "x",
	.ascii = true,
};
