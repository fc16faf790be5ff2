#include "chat/session_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"

#define FILE_LIMIT ((size_t)256 << 20)
#define NAME_LIMIT 120
#define SUFFIX ".json"
#define TITLE 60

int session_name_check(const char *name, struct err *e)
{
	size_t n = strlen(name);
	bool ok = n > 0 && n <= NAME_LIMIT && path_is_inside(name) && !strchr(name, '/') && name[0] != '.' &&
		utf8_valid(name, n);
	for (size_t i = 0; i < n; i++)
		ok &= (unsigned char)name[i] >= 32 && name[i] != 127;
	return ok ? 0 : err_set(e, ERR_USAGE, "\"%.60s\" can't be the name of a session: no slash, no dot in front, at most %d bytes",
				name, NAME_LIMIT);
}

static char *sessions_dir(bool make, struct err *e)
{
	char *data = path_user_dir(USER_DATA, make, e), *dir = data ? path_join(data, "sessions") : NULL;
	if (data && !dir)
		err_nomem(e);
	if (dir && make && mkdir(dir, 0700) < 0 && errno != EEXIST) {
		err_sys(e, errno, "can't make the folder %s", dir);
		free(dir);
		dir = NULL;
	}
	free(data);
	return dir;
}

static char *path_of(const char *name, const char *suffix, bool make, struct err *e)
{
	if (session_name_check(name, e) < 0)
		return NULL;
	char *dir = sessions_dir(make, e);
	struct buf b = BUF_INIT;
	if (!dir)
		return NULL;
	buf_printf(&b, "%s/%s%s", dir, name, suffix);
	free(dir);
	char *path = buf_take(&b);
	if (!path)
		err_nomem(e);
	return path;
}

char *session_kv_path(const char *name, struct err *e)
{
	return path_of(name, ".kv", true, e);
}

/* --- writing --- */

static void put(struct buf *out, const char *key, const char *p, size_t len)
{
	buf_printf(out, "\"%s\": ", key);
	json_write_str(out, p, len);
}

static void put_message(struct buf *out, const struct chat_message *m, bool last)
{
	buf_puts(out, "{");
	put(out, "role", m->role, strlen(m->role));
	buf_puts(out, ", ");
	put(out, "content", m->text, m->len);
	if (m->reasoning) {
		buf_puts(out, ", ");
		put(out, "reasoning_content", m->reasoning, m->reasoning_len);
		buf_printf(out, ", \"reasoning_tokens\": %u", m->reasoning_tokens);
	}
	if (!strcmp(m->role, "assistant")) {
		buf_printf(out, ", \"finish\": \"%s\"", chat_finish_name(m->finish));
		if (m->seconds >= 0)
			buf_printf(out, ", \"seconds\": %.3f", m->seconds);
	}
	if (last && m->ids.len && m->finish != FINISH_STOP) { /* for continuing it */
		buf_puts(out, ", \"ids\": [");
		for (size_t i = 0; i < m->ids.len; i++)
			buf_printf(out, i ? ", %u" : "%u", m->ids.p[i]);
		buf_puts(out, "]");
	}
	buf_puts(out, "}");
}

int session_file_write(const char *name, const struct session_file *f, struct err *e)
{
	struct buf out = BUF_INIT;
	char *path = path_of(name, SUFFIX, true, e);
	if (!path)
		return -1;
	buf_puts(&out, "{\"airlchat_session\": 1,\n ");
	put(&out, "model", f->model, strlen(f->model));
	buf_printf(&out, ",\n \"settings\": %s,\n \"messages\": [", f->settings ? f->settings : "{}");
	for (size_t i = 0; i < f->messages.n; i++) {
		buf_puts(&out, i ? ",\n  " : "\n  ");
		put_message(&out, &f->messages.m[i], i + 1 == f->messages.n);
	}
	buf_puts(&out, "]}\n");
	int rc = buf_ok(&out, e);
	if (rc == 0)
		rc = file_write(path, out.p, out.len, 0600, e);
	buf_clear(&out);
	free(path);
	return rc;
}

/* --- reading: files may be damaged or forged --- */

static void read_ids(struct json_reader *r, struct ids *ids)
{
	struct json_num n;
	struct err ignored = ERR_INIT;
	for (json_array(r); json_next(r);)
		if (json_number(r, &n) && (!n.is_int || n.i < 0 || n.i > UINT32_MAX))
			json_fail(r, "an id is no id");
		else if (!r->failed)
			ids_add(ids, (uint32_t)n.i, &ignored);
}

static char *next_string(struct json_reader *r, size_t *len)
{
	struct json_str s;
	if (!json_string(r, &s))
		return NULL;
	*len = s.len;
	return json_str_dup(&s);
}

static int read_message(struct json_reader *r, struct conversation *c, struct err *e)
{
	struct json_str key;
	struct json_num n;
	struct chat_message m = {.seconds = -1};
	size_t len = 0;
	for (json_object(r); json_key(r, &key);) {
		char **to = json_str_is(&key, "role")		     ? &m.role
			: json_str_is(&key, "content")		     ? &m.text
			: json_str_is(&key, "reasoning_content") ? &m.reasoning
								     : NULL;
		if (to) {
			free(*to);
			*to = next_string(r, to == &m.text ? &m.len : to == &m.reasoning ? &m.reasoning_len : &len);
		} else if (json_str_is(&key, "finish")) {
			char *s = next_string(r, &len);
			if (s && !chat_finish_parse(s, &m.finish))
				json_fail(r, "an unknown \"finish\"");
			free(s);
		} else if (json_str_is(&key, "seconds")) {
			m.seconds = json_number(r, &n) ? n.d : -1;
		} else if (json_str_is(&key, "reasoning_tokens")) {
			m.reasoning_tokens = json_number(r, &n) && n.is_int && n.i >= 0 && n.i < UINT32_MAX ? (uint32_t)n.i : 0;
		} else if (json_str_is(&key, "ids")) {
			read_ids(r, &m.ids);
		} else {
			json_skip(r);
		}
	}
	if (!r->failed && (!m.role || !m.text || (strcmp(m.role, "system") && strcmp(m.role, "user") &&
						       strcmp(m.role, "assistant"))))
		json_fail(r, "a message without role or content");
	int rc = r->failed ? -1 : conversation_add(c, m.role, "", 0, e);
	if (rc == 0) { /* the strings move */
		struct chat_message *to = &c->m[c->n - 1];
		free(to->text);
		free(m.role);
		m.role = to->role;
		*to = m;
		return 0;
	}
	free(m.role);
	free(m.text);
	free(m.reasoning);
	ids_clear(&m.ids);
	return -1;
}

static char *raw_object(struct json_reader *r)
{
	if (json_peek(r) != JSON_OBJECT) {
		json_skip(r);
		return NULL;
	}
	const char *from = r->p;
	if (!json_skip(r))
		return NULL;
	const struct json_str s = {from, (size_t)(r->p - from)};
	return json_str_dup(&s);
}

static int parse(const char *text, size_t len, const char *path, struct session_file *f, struct err *e)
{
	struct json_reader r;
	struct json_str key;
	size_t n;
	json_reader_init(&r, text, len, path, e);
	bool ours = false;
	for (json_object(&r); json_key(&r, &key);) {
		if (json_str_is(&key, "airlchat_session")) {
			ours = true;
			json_skip(&r);
		} else if (json_str_is(&key, "model")) {
			free(f->model);
			f->model = next_string(&r, &n);
		} else if (json_str_is(&key, "settings")) {
			free(f->settings);
			f->settings = raw_object(&r);
		} else if (json_str_is(&key, "messages")) {
			for (json_array(&r); json_next(&r);)
				if (read_message(&r, &f->messages, e) < 0)
					break;
		} else {
			json_skip(&r);
		}
	}
	int rc = json_end(&r);
	json_reader_clear(&r);
	if (rc == 0 && !ours)
		rc = err_set(e, ERR_FORMAT, "%s is no session of airlchat", path);
	return rc;
}

static int read_path(const char *path, struct session_file *f, struct err *e)
{
	struct buf text = BUF_INIT;
	*f = (struct session_file){0};
	int rc = file_read(path, FILE_LIMIT, &text, e);
	if (rc == 0)
		rc = parse(buf_str(&text), text.len, path, f, e);
	buf_clear(&text);
	if (rc < 0)
		session_file_clear(f);
	return rc;
}

int session_file_read(const char *name, struct session_file *f, struct err *e)
{
	char *path = path_of(name, SUFFIX, false, e);
	*f = (struct session_file){0};
	if (!path)
		return -1;
	int rc = file_exists(path) ? read_path(path, f, e)
				   : err_set(e, ERR_USAGE, "there is no session \"%.60s\"", name);
	free(path);
	return rc;
}

struct session_stamp session_file_stamp(const char *name)
{
	struct err ignored = ERR_INIT;
	struct stat st;
	char *path = path_of(name, SUFFIX, false, &ignored);
	struct session_stamp s = {0};
	if (path && stat(path, &st) == 0)
		s = (struct session_stamp){st.st_ino, (uint64_t)st.st_size,
			(int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
	free(path);
	return s;
}

bool session_stamp_same(const struct session_stamp *a, const struct session_stamp *b)
{
	return a->inode == b->inode && a->bytes == b->bytes && a->ns == b->ns;
}

void session_file_clear(struct session_file *f)
{
	free(f->model);
	free(f->settings);
	conversation_clear(&f->messages);
	*f = (struct session_file){0};
}

int session_file_delete(const char *name, struct err *e)
{
	char *path = path_of(name, SUFFIX, false, e), *kv = path ? path_of(name, ".kv", false, e) : NULL;
	int rc = path && kv ? 0 : -1;
	if (rc == 0 && unlink(path) < 0)
		rc = errno == ENOENT ? err_set(e, ERR_USAGE, "there is no session \"%.60s\"", name)
				     : err_sys(e, errno, "can't delete %s", path);
	if (rc == 0 && unlink(kv) < 0 && errno != ENOENT)
		rc = err_sys(e, errno, "can't delete %s", kv);
	free(path);
	free(kv);
	return rc;
}

/* --- the list --- */

static char *title_of(const struct conversation *c)
{
	struct buf b = BUF_INIT;
	for (size_t i = 0; i < c->n; i++) {
		if (strcmp(c->m[i].role, "user"))
			continue;
		size_t n = c->m[i].len < TITLE ? c->m[i].len : TITLE;
		n -= utf8_incomplete_tail(c->m[i].text, n);
		buf_add(&b, c->m[i].text, n);
		break;
	}
	char *s = b.p ? buf_take(&b) : strdup("");
	for (char *q = s; q && *q; q++)
		if (*q == '\n' || *q == '\t')
			*q = ' ';
	if (s)
		utf8_sanitize_line(s);
	return s;
}

/* One file of the folder; false if it is no readable session. */
static bool describe(const char *dir, const char *file, struct session_info *info)
{
	struct err ignored = ERR_INIT;
	struct session_file f = {0};
	struct stat st;
	size_t n = strlen(file), k = strlen(SUFFIX);
	*info = (struct session_info){0};
	if (n <= k || strcmp(file + n - k, SUFFIX) || file[0] == '.')
		return false;
	char *path = path_join(dir, file);
	bool ok = path && stat(path, &st) == 0 && read_path(path, &f, &ignored) == 0;
	if (ok) {
		info->name = strndup(file, n - k);
		info->title = title_of(&f.messages);
		info->model = f.model;
		f.model = NULL;
		info->n_messages = f.messages.n;
		info->changed = st.st_mtime;
		info->bytes = (uint64_t)st.st_size;
		memcpy(path + strlen(path) - k, ".kv", 4);
		info->kv_bytes = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
	}
	session_file_clear(&f);
	free(path);
	return ok;
}

static int newest_first(const void *a, const void *b)
{
	const struct session_info *x = a, *y = b;
	return x->changed != y->changed ? (x->changed < y->changed ? 1 : -1) : -strcmp(x->name, y->name);
}

int session_list(struct session_info **out, size_t *n, struct err *e)
{
	char *dir = sessions_dir(false, e);
	size_t cap = 0;
	*out = NULL;
	*n = 0;
	if (!dir)
		return -1;
	DIR *d = opendir(dir);
	int rc = d || errno == ENOENT ? 0 : err_sys(e, errno, "can't read the folder %s", dir);
	for (struct dirent *ent; rc == 0 && d && (ent = readdir(d));) {
		struct session_info info;
		if (mem_grow(out, &cap, *n + 1, sizeof(info)) < 0)
			rc = err_nomem(e);
		else if (describe(dir, ent->d_name, &info))
			(*out)[(*n)++] = info;
	}
	if (d)
		closedir(d);
	free(dir);
	if (rc == 0 && *n)
		qsort(*out, *n, sizeof(**out), newest_first);
	if (rc < 0) {
		session_list_free(*out, *n);
		*out = NULL;
		*n = 0;
	}
	return rc;
}

void session_list_free(struct session_info *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(list[i].name);
		free(list[i].title);
		free(list[i].model);
	}
	free(list);
}

char *session_model(const char *path)
{
	char *whole = realpath(path, NULL);
	return whole ? whole : strdup(path);
}

char *session_latest(const char *model, struct err *e)
{
	struct session_info *list;
	size_t n;
	char *name = NULL, *wanted = model ? session_model(model) : NULL;
	if (session_list(&list, &n, e) < 0) {
		free(wanted);
		return NULL;
	}
	for (size_t i = 0; i < n && !name; i++)
		if (!wanted || (list[i].model && !strcmp(list[i].model, wanted)))
			name = strdup(list[i].name);
	session_list_free(list, n);
	free(wanted);
	return name;
}
