/* The config file and the environment: the options of the table under other names. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/options_table.h"

#define LINE_LIMIT 190 /* inih cuts longer ones */

struct reading {
	struct options *o;
	struct err *e;
	bool failed;
};

static bool same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if (*a != *b && !((*a == '_' || *a == '-') && (*b == '_' || *b == '-')))
			return false;
	return *a == *b;
}

static const struct option_row *find(const char *name)
{
	size_t n;
	const struct option_row *rows = option_rows(&n);
	for (size_t i = 0; i < n; i++)
		if (!(rows[i].commands & ONCE) && same_name(rows[i].name, name))
			return &rows[i];
	return NULL;
}

static char *own(struct options *o, const char *value, struct err *e)
{
	char *copy = strdup(value), **p = realloc(o->owned, (o->n_owned + 1) * sizeof(*p));
	if (p)
		o->owned = p;
	if (!p || !copy) {
		free(copy);
		err_nomem(e);
		return NULL;
	}
	return p[o->n_owned++] = copy;
}

static int on_value(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;
	const struct option_row *row = *section ? NULL : find(name);
	char *copy = row ? own(r->o, value, r->e) : NULL;
	if (r->failed)
		return 1;
	if (*section)
		err_set(r->e, ERR_USAGE, "sections such as [%.40s] mean nothing here", section);
	else if (!row)
		err_set(r->e, ERR_USAGE, "there is no option \"%.60s\" for a config file", name);
	r->failed = !copy || option_set(r->o, row, copy, FROM_FILE, r->e) < 0;
	return !r->failed;
}

/* What inih would quietly cut is an error. */
static int check_lines(const char *text, struct err *e)
{
	int line = 1;
	for (const char *p = text; *p; line++) {
		size_t n = strcspn(p, "\n"), blank = strspn(p, " \t");
		bool comment = p[blank] == '#' || p[blank] == ';';
		if (n > LINE_LIMIT)
			return err_set(e, ERR_USAGE, "line %d is longer than %d bytes (system_file takes a long system prompt)",
				line, LINE_LIMIT);
		for (size_t i = 0; !comment && i + 1 < n; i++)
			if ((p[i] == ' ' || p[i] == '\t') && p[i + 1] == ';')
				return err_set(e, ERR_USAGE, "line %d: what follows \" ;\" would be lost; comments stand on lines of their own", line);
		p += n + (p[n] != '\0');
	}
	return 0;
}

static int parse(struct options *o, const char *path, struct err *e)
{
	struct buf text = BUF_INIT;
	struct reading r = {.o = o, .e = e};
	int rc = file_read(path, (size_t)1 << 20, &text, e);
	if (rc < 0) {
		buf_clear(&text);
		return -1;
	}
	rc = check_lines(buf_str(&text), e);
	int line = rc == 0 ? ini_parse_string(buf_str(&text), on_value, &r) : 0;
	if (r.failed)
		rc = err_prefix(e, "line %d", line);
	else if (rc == 0 && line)
		rc = err_set(e, ERR_USAGE, "line %d is no \"name = value\"", line);
	if (rc < 0)
		err_prefix(e, "%s", path);
	if (rc < 0 && e->code != ERR_NOMEM)
		e->code = ERR_USAGE;
	buf_clear(&text);
	return rc;
}

int options_from_file(struct options *o, const char *path, struct err *e)
{
	struct err none = ERR_INIT;
	if (path)
		return parse(o, path, e);
	char *dir = path_user_dir(USER_CONFIG, false, &none), *file = dir ? path_join(dir, "config") : NULL;
	int rc = file && file_exists(file) ? parse(o, file, e) : 0;
	free(file);
	free(dir);
	return rc;
}

int options_from_environment(struct options *o, struct err *e)
{
	size_t n;
	const struct option_row *rows = option_rows(&n);
	for (size_t i = 0; i < n; i++) {
		char name[64];
		snprintf(name, sizeof(name), "AIRLCHAT_%s", rows[i].name);
		for (char *p = name; *p; p++)
			*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
		const char *value = rows[i].commands & ONCE ? NULL : getenv(name);
		if (value && *value && option_set(o, &rows[i], value, FROM_ENV, e) < 0) {
			err_prefix(e, "%s", name);
			return -1;
		}
	}
	return 0;
}

void options_print_config(void)
{
	size_t n;
	const struct option_row *rows = option_rows(&n);
	puts("# Options of airlchat: name = value, one a line. Flags on the command line and AIRLCHAT_NAME in the\n"
	     "# environment override what stands here. Save it as $XDG_CONFIG_HOME/airlchat/config\n"
	     "# (~/.config/airlchat/config) and take off the # where you want another value.");
	for (size_t i = 0; i < n; i++)
		if (!(rows[i].commands & ONCE))
			printf("\n# %s\n# %s = %s\n", rows[i].help, rows[i].name, rows[i].arg ? rows[i].arg : "true");
}
