#!/usr/bin/env python3
"""A captured terminal screen as a picture.

usage: tmux capture-pane -e -p -t SESSION | docs/screen_svg.py [TITLE] > docs/screen.svg

Reads text with SGR sequences (16, 256 and true colours, bold, dim, italic, underline, reverse) and writes SVG.
Columns are counted as terminals do: wide characters take two, combining marks none."""
import collections, html, re, sys, unicodedata

CELL_W, CELL_H, SIZE, PAD = 8.4, 18, 14, 12
FG, BG = "#d0d0d0", "#16181d"
ANSI = ["#2e3436", "#e05561", "#8cc265", "#d18f52", "#4aa5f0", "#c162de", "#42b3c2", "#d7dae0",
        "#6b717d", "#ff616e", "#a5e075", "#f0a45d", "#4dc4ff", "#de73ff", "#4cd1e0", "#ffffff"]
PLAIN = dict(fg=None, bg=None, bold=False, dim=False, italic=False, underline=False, reverse=False)
FLAGS = {1: ("bold", True), 2: ("dim", True), 3: ("italic", True), 4: ("underline", True), 7: ("reverse", True),
         23: ("italic", False), 24: ("underline", False), 27: ("reverse", False), 39: ("fg", None), 49: ("bg", None)}


def palette(n):
    if n < 16:
        return ANSI[n]
    if n >= 232:
        return "#" + f"{8 + 10 * (n - 232):02x}" * 3
    level = [0, 95, 135, 175, 215, 255]
    n -= 16
    return f"#{level[n // 36]:02x}{level[n // 6 % 6]:02x}{level[n % 6]:02x}"


def apply(state, params):
    """The state after one SGR sequence."""
    p = [int(x or 0) for x in re.split("[;:]", params)]
    while p:
        code = p.pop(0)
        if code == 0:
            state = dict(PLAIN)
        elif code == 22:
            state = dict(state, bold=False, dim=False)
        elif code in FLAGS:
            state = dict(state, **dict([FLAGS[code]]))
        elif code in (38, 48) and len(p) > 1:
            key = "fg" if code == 38 else "bg"
            if p[0] == 5:
                state, p = dict(state, **{key: palette(p[1] & 255)}), p[2:]
            elif len(p) > 3:
                state, p = dict(state, **{key: "#%02x%02x%02x" % tuple(x & 255 for x in p[1:4])}), p[4:]
        elif 30 <= code <= 37 or 90 <= code <= 97:
            state = dict(state, fg=ANSI[code % 10 + (8 if code >= 90 else 0)])
        elif 40 <= code <= 47 or 100 <= code <= 107:
            state = dict(state, bg=ANSI[code % 10 + (8 if code >= 100 else 0)])
    return state


def width(ch):
    if unicodedata.combining(ch) or ch == "\u200d" or "\ufe00" <= ch <= "\ufe0f":
        return 0
    return 2 if unicodedata.east_asian_width(ch) in "WF" else 1


def runs(line, state):
    """(column, columns, text, state) of a line's pieces, and the state behind it."""
    out, column = [], 0
    for piece in re.split(r"(\x1b\[[0-9;:]*m)", line):
        if piece.startswith("\x1b"):
            state = apply(state, piece[2:-1])
        elif piece:
            text = re.sub(r"\x1b.|[\x00-\x1f]", "", piece)
            columns = sum(width(c) for c in text)
            out.append((column, columns, text, state))
            column += columns
    return out, state


def draw(row, column, columns, text, s, page):
    fg, bg = s["fg"] or FG, s["bg"]
    if s["reverse"]:
        fg, bg = bg or BG, s["fg"] or FG
    x, y = PAD + column * CELL_W, PAD + row * CELL_H
    out = []
    if bg and bg != page:
        out.append(f'<rect x="{x:.1f}" y="{y}" width="{columns * CELL_W:.1f}" height="{CELL_H}" fill="{bg}"/>')
    if text.strip():
        style = "".join([' font-weight="bold"' if s["bold"] else "", ' font-style="italic"' if s["italic"] else "",
                         ' text-decoration="underline"' if s["underline"] else "",
                         ' opacity="0.6"' if s["dim"] else ""])
        out.append(f'<text x="{x:.1f}" y="{y + 14}" textLength="{columns * CELL_W:.1f}" fill="{fg}"{style}>'
                   f"{html.escape(text)}</text>")
    return out


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    title = sys.argv[1] if len(sys.argv) > 1 else "airlchat"
    rows, state = [], dict(PLAIN)
    for line in lines:
        pieces, state = runs(line, state)
        rows.append(pieces)
    most = max([p[0] + p[1] for pieces in rows for p in pieces], default=1)
    behind = collections.Counter()  # the theme's background, under most of the text
    for pieces in rows:
        for _, columns, _, s in pieces:
            behind[s["bg"] or BG] += columns
    page = behind.most_common(1)[0][0] if behind else BG
    body = [x for row, pieces in enumerate(rows) for p in pieces for x in draw(row, *p, page)]
    w, h = 2 * PAD + most * CELL_W, 2 * PAD + len(lines) * CELL_H
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:.0f} {h:.0f}" width="{w:.0f}" height="{h:.0f}">')
    print(f"<title>{html.escape(title)}</title>")
    print(f'<rect width="100%" height="100%" rx="8" fill="{page}"/>')
    print(f'<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="{SIZE}" xml:space="preserve">')
    print("\n".join(body))
    print("</g></svg>")


if __name__ == "__main__":
    main()
