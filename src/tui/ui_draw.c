/* One frame: what it shows is asked for, drawn on the grid, and the grid on the terminal. */
#include "tui/paint.h"
#include "tui/term.h"
#include "tui/ui.h"

void ui_draw(struct ui *u)
{
	int w, h;
	term_size(&w, &h);
	u->line = input_line(u->editing ? "edit> " : NULL);
	u->queued = session_queued(u->s);
	u->attached = session_attached(u->s);
	u->trace = session_trace(u->s);
	if (compose(u, w, h))
		return;
	term_locale(true);
	paint(&u->grid, u->theme, u->cx, u->cy, term_utf8());
	term_locale(false);
	if (u->after.len) { /* between frames: nothing of a frame is split by it */
		term_write(buf_str(&u->after), u->after.len);
		buf_reset(&u->after);
	}
}
