/* Methods by type. Those that would change a value are there, but the sandbox doesn't let them be used. */
#include <string.h>

#include "chat/jinja_run.h"

static const char *const string_names[] = {"strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "replace",
	"startswith", "endswith", "lower", "upper", "title", "capitalize", "casefold", "swapcase", "format",
	"format_map", "isdigit", "isdecimal", "isnumeric", "isalpha", "isalnum", "isspace", "isascii", "isprintable",
	"isidentifier", "islower", "isupper", "istitle", "find", "rfind", "index", "rindex", "count", "join",
	"removeprefix", "removesuffix", "partition", "rpartition", "zfill", "ljust", "rjust", "center", "encode",
	"translate", "expandtabs", NULL};
static const char *const dict_names[] = {"items", "keys", "values", "get", "copy", NULL};
static const char *const dict_refused[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
static const char *const list_names[] = {"count", "index", "copy", NULL};
static const char *const list_refused[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove",
	NULL};
static const char *const tuple_names[] = {"count", "index", NULL};
static const char *const loop_names[] = {"cycle", "changed", NULL};
static const char *const cycler_names[] = {"next", "reset", NULL};

static bool among(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

bool method_known(const struct value *v, const char *name, bool *allowed)
{
	const char *const *names = NULL, *const *refused = NULL;
	switch (v->type) {
	case V_STR:
		names = string_names;
		break;
	case V_DICT:
		names = dict_names;
		refused = dict_refused;
		break;
	case V_LIST:
		names = list_names;
		refused = list_refused;
		break;
	case V_TUPLE:
	case V_RANGE:
		names = tuple_names;
		break;
	case V_LOOP:
		names = loop_names;
		break;
	case V_CYCLER:
		names = cycler_names;
		break;
	default:
		break;
	}
	*allowed = among(names, name);
	return *allowed || among(refused, name);
}

static struct value view(struct eval *ev, const struct dict *d, const char *name)
{
	struct value out = v_list(ev->j, V_VIEW);
	out.list->what = name[0] == 'i' ? "dict_items" : name[0] == 'k' ? "dict_keys" : "dict_values";
	jinja_work(ev->j, d->n / 8);
	for (size_t i = 0; i < d->n; i++) {
		struct value pair = d->p[i].key;
		if (name[0] == 'i') {
			pair = v_list(ev->j, V_TUPLE);
			list_add(ev->j, &pair, d->p[i].key);
			list_add(ev->j, &pair, d->p[i].value);
		}
		list_add(ev->j, &out, name[0] == 'v' ? d->p[i].value : pair);
	}
	return out;
}

static struct value dict_method(struct eval *ev, const struct method *m, const struct args *a)
{
	const struct dict *d = m->self.dict;
	if (!strcmp(m->name, "get")) {
		const struct value *key = arg(a, 0, NULL), *other = arg(a, 1, NULL);
		if (!key || a->n > 2)
			jinja_fail(ev->j, ERR_FORMAT, "get wants a key and perhaps a default");
		if (!v_hashable(key))
			jinja_fail(ev->j, ERR_FORMAT, "a %s can't be a key", v_type_name(key));
		const struct value *x = dict_get(d, key);
		return x ? *x : other ? *other : v_none();
	}
	if (a->n)
		jinja_fail(ev->j, ERR_FORMAT, "%s takes no argument", m->name);
	if (strcmp(m->name, "copy"))
		return view(ev, d, m->name);
	struct value out = v_dict(ev->j);
	for (size_t i = 0; i < d->n; i++)
		dict_set(ev->j, out.dict, d->p[i].key, d->p[i].value);
	return out;
}

static struct value list_method(struct eval *ev, const struct method *m, const struct args *a)
{
	const struct value *x = arg(a, 0, NULL);
	const struct list *l = m->self.list;
	int64_t n = 0;
	jinja_work(ev->j, l->n / 8);
	if (!strcmp(m->name, "copy"))
		return eval_filter(ev, "list", m->self, &(struct args){0});
	if (!x)
		jinja_fail(ev->j, ERR_FORMAT, "%s wants an argument", m->name);
	for (size_t i = 0; i < l->n; i++) {
		bool same = v_equal(&l->p[i], x);
		if (same && m->name[0] == 'i')
			return v_int((int64_t)i);
		n += same;
	}
	if (m->name[0] == 'i')
		jinja_fail(ev->j, ERR_FORMAT, "the value is not in the list");
	return v_int(n);
}

static struct value loop_method(struct eval *ev, const struct method *m, const struct args *a)
{
	struct loop *l = m->self.loop;
	if (!strcmp(m->name, "cycle")) {
		if (a->n == 0)
			jinja_fail(ev->j, ERR_FORMAT, "cycle wants items");
		return a->p[l->index % a->n];
	}
	struct value now = v_list(ev->j, V_TUPLE); /* changed(values): not as they were last time */
	for (size_t i = 0; i < a->n; i++)
		list_add(ev->j, &now, a->p[i]);
	bool same = l->changed && v_equal(l->changed, &now);
	if (!l->changed)
		l->changed = jinja_alloc(ev->j, sizeof(now));
	*l->changed = now;
	return v_bool(!same);
}

static struct value cycler_method(const struct method *m)
{
	struct list *l = m->self.list;
	if (!strcmp(m->name, "reset")) {
		l->taken = 0;
		return v_none();
	}
	struct value x = l->p[l->taken];
	l->taken = (l->taken + 1) % l->n;
	return x;
}

struct value eval_method(struct eval *ev, const struct method *m, const struct args *a)
{
	switch (m->self.type) {
	case V_STR:
		return string_method(ev, m->self.s, m->name, a);
	case V_DICT:
		return dict_method(ev, m, a);
	case V_LOOP:
		return loop_method(ev, m, a);
	case V_CYCLER:
		return cycler_method(m);
	default:
		return list_method(ev, m, a);
	}
}
