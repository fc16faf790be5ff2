#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "tui/theme_private.h"

#define FILE_LIMIT ((size_t)64 << 10)
#define INHERIT_LIMIT 8

static const char *const flat[THEME_GRADIENT] = {"main_fg", "title", "hi_fg", "inactive_fg", "meter_bg",
	"div_line", "selected_fg", "user", "assistant", "think", "code", "error", "main_bg", "selected_bg",
	"code_bg"};
static const char *const gradients[THEME_GRADIENTS] = {"disk", "ram", "vram", "copy", "compute", "stall",
	"other"};
static const char *const steps[3] = {"start", "mid", "end"};

static const char *theme_key_name(size_t key, char out[32])
{
	if (key < THEME_GRADIENT)
		snprintf(out, 32, "%s", flat[key]);
	else
		snprintf(out, 32, "%s_%s", gradients[(key - THEME_GRADIENT) / 3],
			steps[(key - THEME_GRADIENT) % 3]);
	return out;
}

static int find_key(const char *name)
{
	char s[32];
	for (size_t i = 0; i < THEME_KEYS; i++)
		if (!strcmp(theme_key_name(i, s), name))
			return (int)i;
	return -1;
}

/* --- values --- */

static const struct {
	const char *name;
	uint32_t bit;
} attributes[] = {{"bold", STYLE_BOLD}, {"dim", STYLE_DIM}, {"italic", STYLE_ITALIC},
	{"underline", STYLE_UNDERLINE}, {"reverse", STYLE_REVERSE}, {"strike", STYLE_STRIKE}, {"normal", 0}};

static int ansi_color(const char *s)
{
	static const char *const names[] = {"black", "red", "green", "yellow", "blue", "magenta", "cyan",
		"white"};
	int bright = 0;
	if (!strncmp(s, "bright", 6)) {
		bright = 8;
		s += s[6] == '_' || s[6] == '-' || s[6] == ' ' ? 7 : 6;
	}
	for (int i = 0; i < 8; i++)
		if (!strcasecmp(s, names[i]))
			return i + bright;
	if (!bright && (!strcasecmp(s, "gray") || !strcasecmp(s, "grey")))
		return 8;
	return -1;
}

/* "#rrggbb", "#rgb", and btop's "#gg" and "r g b"; -1 if it is none of them. */
static int32_t rgb_color(const char *s)
{
	unsigned r, g, b, n = 0;
	char end;
	if (*s != '#')
		return sscanf(s, "%3u %3u %3u%c", &r, &g, &b, &end) == 3 && r < 256 && g < 256 && b < 256
			? (int32_t)(r << 16 | g << 8 | b) : -1;
	size_t len = strlen(++s);
	if (strspn(s, "0123456789abcdefABCDEF") != len || sscanf(s, "%x", &n) != 1)
		return -1;
	if (len == 6)
		return (int32_t)n;
	if (len == 3)
		return (int32_t)((n >> 8) * 0x110000 + (n >> 4 & 15) * 0x1100 + (n & 15) * 0x11);
	return len == 2 ? (int32_t)(n * 0x10101) : -1;
}

static char *trim(char *s)
{
	s += strspn(s, " \t\r");
	size_t n = strlen(s);
	while (n && strchr(" \t\r", s[n - 1]))
		s[--n] = 0;
	return s;
}

/* One word of an alternative: *kind is 0 rgb, 1 of 256, 2 of 16, or stays for an attribute. */
static bool word(struct theme_value *v, char *w, int *kind, uint32_t *attrs)
{
	char *end;
	int32_t rgb = rgb_color(w);
	long n = strtol(w, &end, 10);
	for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
		if (!strcasecmp(w, attributes[i].name)) {
			*attrs |= attributes[i].bit;
			return true;
		}
	if (rgb >= 0) {
		*kind = 0;
		v->rgb = rgb;
		v->rgb_set = true;
	} else if (end != w && !*end && n >= 0 && n < 256) {
		*kind = 1;
		v->c256 = (int32_t)n;
		v->c256_set = true;
	} else if (!strcasecmp(w, "default") || ansi_color(w) >= 0) {
		*kind = 2;
		v->c16 = strcasecmp(w, "default") ? ansi_color(w) : COLOR_NONE;
		v->c16_set = true;
	} else {
		return false;
	}
	return true;
}

static bool parse_value(struct theme_value *v, char *s)
{
	bool good = true;
	char *next;
	*v = (struct theme_value){.set = true};
	for (char *alt = s; alt; alt = next) {
		int kind = 3;
		uint32_t attrs = 0;
		char *plus;
		next = strchr(alt, '|');
		if (next)
			*next++ = 0;
		if (!*trim(alt))
			continue;
		for (char *w = alt; w; w = plus) {
			plus = strchr(w, '+');
			if (plus)
				*plus++ = 0;
			good &= word(v, trim(w), &kind, &attrs);
		}
		v->attrs[kind] = attrs;
	}
	return good;
}

/* --- files --- */

/* btop's names for what we call otherwise; what we have no use for maps to "". */
static const char *const btop[][2] = {{"used", "ram"}, {"download", "disk"}, {"cpu", "compute"},
	{"upload", "copy"}, {"cached", "vram"}, {"temp", "stall"}, {"available", "other"}, {"free", ""},
	{"process", ""}};
static const char *const btop_unused[] = {"graph_text", "proc_misc", "cpu_box", "mem_box", "net_box",
	"proc_box", "selected_fg_unfocused", "selected_bg_unfocused", "banner", "followed_bg",
	"followed_fg", "proc_pause_bg", "proc_follow_bg", "proc_banner_bg", "proc_banner_fg"};

/* theme[key] -> our key in place; false if it is one of btop's that we have no use for. */
static bool from_btop(char *key, size_t cap)
{
	char inner[64];
	if (sscanf(key, "theme[%63[^]]", inner) != 1)
		return true;
	for (size_t i = 0; i < sizeof(btop_unused) / sizeof(*btop_unused); i++)
		if (!strcmp(inner, btop_unused[i]))
			return false;
	char *step = strrchr(inner, '_');
	for (size_t i = 0; step && i < sizeof(btop) / sizeof(*btop); i++) {
		size_t n = strlen(btop[i][0]);
		if (n != (size_t)(step - inner) || strncmp(inner, btop[i][0], n))
			continue;
		snprintf(key, cap, "%s%s", btop[i][1], step);
		return *btop[i][1];
	}
	snprintf(key, cap, "%s", inner);
	return true;
}

static void unquote(char *s)
{
	size_t n = strlen(s);
	if (n >= 2 && (*s == '"' || *s == '\'') && s[n - 1] == *s) {
		memmove(s, s + 1, n - 2);
		s[n - 2] = 0;
	}
}

static void warn(struct buf *w, const char *name, int line, const char *what, const char *about)
{
	struct err e = ERR_INIT; /* its message is made printable */
	if (!w)
		return;
	err_set(&e, ERR_FORMAT, "theme %.60s, line %d: %s %.60s", name, line, what, about);
	buf_printf(w, "%s\n", e.msg);
}

static void parse_line(struct theme_file *f, char *line, const char *name, int n, char parent[64],
	struct buf *warnings)
{
	char *s = trim(line), *eq = strchr(s, '='), key[80];
	if (!*s || *s == '#')
		return;
	if (!eq) {
		warn(warnings, name, n, "there is no = in", s);
		return;
	}
	*eq = 0;
	snprintf(key, sizeof(key), "%s", trim(s));
	char *value = trim(eq + 1);
	unquote(value);
	if (!strcmp(key, "inherits")) {
		snprintf(parent, 64, "%s", value);
		return;
	}
	if (!from_btop(key, sizeof(key)))
		return;
	int at = find_key(key);
	struct theme_value v;
	if (at < 0)
		warn(warnings, name, n, "unknown key", key);
	else if (!parse_value(&v, value))
		warn(warnings, name, n, "a value that is neither a colour nor an attribute for", key);
	else if (!f->v[at].set)
		f->v[at] = v;
}

static int read_theme(const char *name, struct buf *out, struct err *e)
{
	struct err none = ERR_INIT;
	char *dirs[2] = {path_user_dir(USER_CONFIG, false, &none), strdup(PKGDATADIR)};
	int rc = 1;
	if (strchr(name, '/'))
		rc = file_read(name, FILE_LIMIT, out, e);
	for (int i = 0; i < 2 && rc == 1 && !strchr(name, '/'); i++) {
		char path[1024];
		int n = dirs[i] ? snprintf(path, sizeof(path), "%s/themes/%s.theme", dirs[i], name) : -1;
		if (n > 0 && n < (int)sizeof(path) && file_exists(path))
			rc = file_read(path, FILE_LIMIT, out, e);
	}
	for (const struct theme_builtin *b = theme_builtins; rc == 1 && b->name; b++)
		if (!strcmp(b->name, name)) {
			buf_puts(out, b->text);
			rc = buf_ok(out, e);
		}
	if (rc == 1)
		rc = err_set(e, ERR_USAGE, "there is no theme \"%.60s\"", name);
	free(dirs[0]);
	free(dirs[1]);
	return rc;
}

/* A gradient that was begun in this file takes no middle or end from its parents. */
static void close_gradients(struct theme_file *f)
{
	for (struct theme_value *v = f->v + THEME_GRADIENT; v < f->v + THEME_KEYS; v += 3)
		if (v->set)
			v[1].set = v[2].set = true;
}

int theme_file_load(struct theme_file *f, const char *name, struct buf *warnings, struct err *e)
{
	char current[256], parent[64];
	snprintf(current, sizeof(current), "%s", name);
	for (int depth = 0; *current; depth++) {
		struct buf text = BUF_INIT;
		int n = 0;
		if (depth == INHERIT_LIMIT)
			return err_set(e, ERR_FORMAT, "the theme \"%.60s\" inherits in a circle", name);
		if (read_theme(current, &text, e) < 0) {
			buf_clear(&text);
			return -1;
		}
		snprintf(parent, sizeof(parent), "%s", strcmp(current, "default") ? "default" : "");
		char *rest = text.len ? text.p : NULL;
		for (char *line; (line = strsep(&rest, "\n"));)
			parse_line(f, line, current, ++n, parent, warnings);
		close_gradients(f);
		buf_clear(&text);
		snprintf(current, sizeof(current), "%s", parent);
	}
	return 0;
}

/* --- the list of names --- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_name(char **list, size_t *n, size_t cap, const char *s, size_t len)
{
	for (size_t i = 0; i < *n; i++)
		if (strlen(list[i]) == len && !strncmp(list[i], s, len))
			return;
	if (*n < cap && (list[*n] = strndup(s, len)))
		++*n;
}

static void add_folder(char **list, size_t *n, size_t cap, const char *parent)
{
	char *path = parent ? path_join(parent, "themes") : NULL;
	DIR *d = path ? opendir(path) : NULL;
	for (struct dirent *f; d && (f = readdir(d));) {
		size_t len = strlen(f->d_name);
		if (len > 6 && f->d_name[0] != '.' && !strcmp(f->d_name + len - 6, ".theme"))
			add_name(list, n, cap, f->d_name, len - 6);
	}
	if (d)
		closedir(d);
	free(path);
}

void theme_names(struct buf *out)
{
	struct err none = ERR_INIT;
	char *list[256], *user = path_user_dir(USER_CONFIG, false, &none);
	size_t n = 0;
	for (const struct theme_builtin *b = theme_builtins; b->name; b++)
		add_name(list, &n, 256, b->name, strlen(b->name));
	add_folder(list, &n, 256, PKGDATADIR);
	add_folder(list, &n, 256, user);
	qsort(list, n, sizeof(*list), by_name);
	for (size_t i = 0; i < n; i++) {
		buf_puts(out, list[i]);
		buf_addc(out, '\n');
		free(list[i]);
	}
	free(user);
}
