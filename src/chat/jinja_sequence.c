/* Filters of lists and mappings. Those that are generators in jinja2 give a V_GENERATOR: true, without a
 * length, and used up by the first loop over it. */
#include <stdlib.h>
#include <string.h>

#include "chat/jinja_run.h"

static struct value generator(struct value list, const char *what)
{
	list.type = V_GENERATOR;
	list.list->what = what;
	return list;
}

/* Over nothing that can be iterated: fails when it is used, not before. */
static struct value broken(struct eval *ev, const char *what)
{
	struct value g = generator(v_list(ev->j, V_LIST), what);
	g.list->broken = true;
	return g;
}

static struct value f_list(struct eval *ev, struct value in, const struct args *a)
{
	struct value items = v_iter(ev->j, &in), out = v_list(ev->j, V_LIST);
	(void)a;
	jinja_work(ev->j, items.list->n / 8);
	for (size_t i = 0; i < items.list->n; i++)
		list_add(ev->j, &out, items.list->p[i]);
	return out;
}

/* --- attribute paths: "function.name", "items.0", 1 --- */

static struct value path_of(struct eval *ev, struct value x, const struct value *path)
{
	if (!path || path->type == V_NONE)
		return x;
	if (path->type != V_STR)
		return eval_attr(ev->j, &x, path, false);
	for (size_t i = 0; i <= path->s.len;) {
		const char *p = path->s.p + i, *dot = i < path->s.len ? memchr(p, '.', path->s.len - i) : NULL;
		size_t n = dot ? (size_t)(dot - p) : path->s.len - i;
		struct value key = v_of(str_piece(path->s, i, i + n));
		bool digits = n > 0;
		for (size_t k = 0; k < n; k++)
			digits &= p[k] >= '0' && p[k] <= '9';
		if (digits)
			key = number_parse(ev->j, p, n, 10);
		x = eval_attr(ev->j, &x, &key, false);
		i += n + 1;
	}
	return x;
}

static struct value lowered(struct eval *ev, struct value x, bool exact)
{
	return exact || x.type != V_STR ? x : string_call(ev, x, "lower");
}

/* --- choosing --- */

/* select, reject, selectattr, rejectattr: skip is how many arguments stand before the test's name. */
static struct value choose(struct eval *ev, struct value in, const struct args *a, size_t skip, bool keep)
{
	struct value out = v_list(ev->j, V_LIST);
	if (!v_truth(&in))
		return generator(out, "<generator object select_or_reject>");
	if (!is_iterable(&in))
		return broken(ev, "<generator object select_or_reject>");
	struct value items = v_iter(ev->j, &in);
	if (a->n < skip)
		jinja_fail(ev->j, ERR_FORMAT, "an attribute's name is missing");
	const char *name = a->n > skip ? v_name(ev->j, &a->p[skip]) : NULL;
	const struct args rest = name ? (struct args){a->p + skip + 1, a->n - skip - 1, a->kw} : (struct args){0};
	for (size_t i = 0; i < items.list->n; i++) {
		struct value x = skip ? path_of(ev, items.list->p[i], &a->p[0]) : items.list->p[i];
		jinja_work(ev->j, 1);
		if ((name ? eval_test(ev, name, &x, &rest) : v_truth(&x)) == keep)
			list_add(ev->j, &out, items.list->p[i]);
	}
	return generator(out, "<generator object select_or_reject>");
}

static struct value f_select(struct eval *ev, struct value in, const struct args *a)
{
	return choose(ev, in, a, 0, true);
}

static struct value f_reject(struct eval *ev, struct value in, const struct args *a)
{
	return choose(ev, in, a, 0, false);
}

static struct value f_selectattr(struct eval *ev, struct value in, const struct args *a)
{
	return choose(ev, in, a, 1, true);
}

static struct value f_rejectattr(struct eval *ev, struct value in, const struct args *a)
{
	return choose(ev, in, a, 1, false);
}

static struct value f_map(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *by = a->n ? NULL : dict_get_str(a->kw, "attribute"), *d = dict_get_str(a->kw, "default");
	struct value out = v_list(ev->j, V_LIST);
	if (!v_truth(&in))
		return generator(out, "<generator object do_map>");
	if (!is_iterable(&in))
		return broken(ev, "<generator object do_map>");
	struct value items = v_iter(ev->j, &in);
	if (!by && a->n == 0)
		jinja_fail(ev->j, ERR_FORMAT, "map wants a filter or an attribute");
	const char *name = by ? NULL : v_name(ev->j, &a->p[0]);
	const struct args rest = by ? (struct args){0} : (struct args){a->p + 1, a->n - 1, a->kw};
	for (size_t i = 0; i < items.list->n; i++) {
		struct value x = items.list->p[i];
		jinja_work(ev->j, 1);
		if (by) {
			x = path_of(ev, x, by);
			if (x.type == V_UNDEFINED && d && d->type != V_NONE)
				x = *d;
		} else {
			x = eval_filter(ev, name, x, &rest);
		}
		list_add(ev->j, &out, x);
	}
	return generator(out, "<generator object do_map>");
}

static struct value f_items(struct eval *ev, struct value in, const struct args *a)
{
	(void)a;
	struct value out = v_list(ev->j, V_LIST);
	if (in.type != V_DICT && in.type != V_UNDEFINED)
		return broken(ev, "<generator object do_items>");
	for (size_t i = 0; in.type == V_DICT && i < in.dict->n; i++) {
		struct value pair = v_list(ev->j, V_TUPLE);
		list_add(ev->j, &pair, in.dict->p[i].key);
		list_add(ev->j, &pair, in.dict->p[i].value);
		list_add(ev->j, &out, pair);
	}
	return generator(out, "<generator object do_items>");
}

/* --- order --- */

struct keyed {
	struct value item, key;
};

/* A stable merge sort: a < b never changes places. */
static void merge_sort(struct eval *ev, struct keyed *p, struct keyed *tmp, size_t n, bool reverse)
{
	if (n < 2)
		return;
	size_t half = n / 2, i = 0, k = half, o = 0;
	merge_sort(ev, p, tmp, half, reverse);
	merge_sort(ev, p + half, tmp, n - half, reverse);
	while (i < half && k < n) {
		jinja_work(ev->j, 1);
		int d = reverse ? v_compare(ev->j, &p[i].key, &p[k].key) : v_compare(ev->j, &p[k].key, &p[i].key);
		tmp[o++] = d == -1 ? p[k++] : p[i++];
	}
	while (i < half)
		tmp[o++] = p[i++];
	memcpy(p, tmp, o * sizeof(*p));
}

/* key: by several attributes a list of values, as jinja2 sorts; else one. */
static struct value sort_key(struct eval *ev, struct value x, const struct value *by, bool exact, bool lists)
{
	struct value key = v_list(ev->j, V_LIST);
	if (!lists)
		return lowered(ev, path_of(ev, x, by), exact);
	if (!by || by->type != V_STR) {
		list_add(ev->j, &key, lowered(ev, path_of(ev, x, by), exact));
		return key;
	}
	for (size_t i = 0; i <= by->s.len;) {
		const char *p = by->s.p + i, *comma = i < by->s.len ? memchr(p, ',', by->s.len - i) : NULL;
		size_t n = comma ? (size_t)(comma - p) : by->s.len - i;
		struct value part = v_of(str_piece(by->s, i, i + n));
		list_add(ev->j, &key, lowered(ev, path_of(ev, x, &part), exact));
		i += n + 1;
	}
	return key;
}

static struct value sorted(struct eval *ev, struct value in, const struct value *by, bool exact, bool reverse,
	bool lists)
{
	struct value items = v_iter(ev->j, &in), out = v_list(ev->j, V_LIST);
	size_t n = items.list->n;
	struct keyed *p = jinja_alloc(ev->j, (n + 1) * sizeof(*p)), *tmp = jinja_alloc(ev->j, (n + 1) * sizeof(*p));
	for (size_t i = 0; i < n; i++) {
		jinja_work(ev->j, 1);
		p[i] = (struct keyed){items.list->p[i], sort_key(ev, items.list->p[i], by, exact, lists)};
	}
	merge_sort(ev, p, tmp, n, reverse);
	for (size_t i = 0; i < n; i++)
		list_add(ev->j, &out, p[i].item);
	return out;
}

static struct value f_sort(struct eval *ev, struct value in, const struct args *a)
{
	return sorted(ev, in, arg(a, 2, "attribute"), arg_flag(a, 1, "case_sensitive"), arg_flag(a, 0, "reverse"), true);
}

static struct value f_dictsort(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *by = arg(a, 1, "by");
	if (by && !str_is(by, "key") && !str_is(by, "value"))
		jinja_fail(ev->j, ERR_FORMAT, "dictsort sorts by \"key\" or \"value\"");
	if (in.type != V_DICT)
		jinja_fail(ev->j, ERR_FORMAT, "dictsort wants a mapping, not a %s", v_type_name(&in));
	struct value index = v_int(by && str_is(by, "value") ? 1 : 0);
	return sorted(ev, f_items(ev, in, a), &index, arg_flag(a, 0, "case_sensitive"), arg_flag(a, 2, "reverse"), false);
}

static struct value f_groupby(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *by = arg(a, 0, "attribute"), *d = arg(a, 1, "default");
	bool exact = arg_flag(a, 2, "case_sensitive");
	struct jinja *j = ev->j;
	if (!by)
		jinja_fail(j, ERR_FORMAT, "groupby wants an attribute");
	struct value pairs = v_list(j, V_LIST), items = v_iter(j, &in), out = v_list(j, V_LIST), last = v_none();
	struct value zero = v_int(0), group = v_none();
	for (size_t i = 0; i < items.list->n; i++) { /* (key, real key, item) */
		struct value t = v_list(j, V_TUPLE), key = path_of(ev, items.list->p[i], by);
		if (key.type == V_UNDEFINED && d && d->type != V_NONE)
			key = *d;
		list_add(j, &t, lowered(ev, key, exact));
		list_add(j, &t, key);
		list_add(j, &t, items.list->p[i]);
		list_add(j, &pairs, t);
	}
	pairs = sorted(ev, pairs, &zero, true, false, false);
	for (size_t i = 0; i < pairs.list->n; i++) {
		struct value *t = pairs.list->p[i].list->p;
		if (i == 0 || !v_equal(&last, &t[0])) {
			struct value g = v_list(j, V_TUPLE);
			g.list->what = "group";
			group = v_list(j, V_LIST);
			list_add(j, &g, t[1]);
			list_add(j, &g, group);
			list_add(j, &out, g);
		}
		last = t[0];
		list_add(j, &group, t[2]);
	}
	return out;
}

static struct value f_unique(struct eval *ev, struct value in, const struct args *a)
{
	if (!is_iterable(&in))
		return broken(ev, "<generator object do_unique>");
	struct value items = v_iter(ev->j, &in), out = v_list(ev->j, V_LIST);
	struct dict *seen = v_dict(ev->j).dict;
	for (size_t i = 0; i < items.list->n; i++) {
		struct value x = lowered(ev, path_of(ev, items.list->p[i], arg(a, 1, "attribute")),
			arg_flag(a, 0, "case_sensitive"));
		jinja_work(ev->j, 1 + seen->n / 16);
		if (v_hashable(&x) && dict_get(seen, &x))
			continue;
		dict_set(ev->j, seen, x, v_none());
		list_add(ev->j, &out, items.list->p[i]);
	}
	return generator(out, "<generator object do_unique>");
}

static struct value extreme(struct eval *ev, struct value in, const struct args *a, int sign)
{
	struct value items = v_iter(ev->j, &in), best = v_undefined("min or max of nothing"), best_key = v_none();
	for (size_t i = 0; i < items.list->n; i++) {
		struct value key = lowered(ev, path_of(ev, items.list->p[i], arg(a, 1, "attribute")),
			arg_flag(a, 0, "case_sensitive"));
		jinja_work(ev->j, 1);
		if (i == 0 || v_compare(ev->j, &key, &best_key) == sign) {
			best = items.list->p[i];
			best_key = key;
		}
	}
	return best;
}

static struct value f_max(struct eval *ev, struct value in, const struct args *a)
{
	return extreme(ev, in, a, 1);
}

static struct value f_min(struct eval *ev, struct value in, const struct args *a)
{
	return extreme(ev, in, a, -1);
}

/* --- the rest --- */

static struct value f_first(struct eval *ev, struct value in, const struct args *a)
{
	(void)a;
	if (in.type == V_GENERATOR) {
		struct list *l = in.list;
		if (l->broken)
			v_iter(ev->j, &in);
		return l->taken < l->n ? l->p[l->taken++] : v_undefined("first of nothing");
	}
	struct value items = v_iter(ev->j, &in);
	return items.list->n ? items.list->p[0] : v_undefined("first of nothing");
}

static struct value f_last(struct eval *ev, struct value in, const struct args *a)
{
	(void)a;
	if (in.type == V_GENERATOR)
		jinja_fail(ev->j, ERR_FORMAT, "a %s has no last item", v_type_name(&in));
	struct value items = v_iter(ev->j, &in);
	return items.list->n ? items.list->p[items.list->n - 1] : v_undefined("last of nothing");
}

static struct value f_reverse(struct eval *ev, struct value in, const struct args *a)
{
	struct value items = v_iter(ev->j, &in), out = v_list(ev->j, V_LIST);
	struct sbuf b = {0};
	(void)a;
	for (size_t i = items.list->n; i > 0; i--) {
		if (in.type == V_STR)
			sbuf_str(ev->j, &b, items.list->p[i - 1].s);
		else
			list_add(ev->j, &out, items.list->p[i - 1]);
	}
	if (in.type != V_STR)
		return in.type == V_GENERATOR || in.type == V_UNDEFINED ? out : generator(out, "<reverse iterator object>");
	out = sbuf_value(ev->j, &b);
	out.s.safe = in.s.safe;
	return out;
}

static struct value f_sum(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *start = arg(a, 1, "start");
	struct value items = v_iter(ev->j, &in), sum = start ? *start : v_int(0);
	if (sum.type == V_STR)
		jinja_fail(ev->j, ERR_FORMAT, "strings can't be summed");
	for (size_t i = 0; i < items.list->n; i++) {
		struct value x = path_of(ev, items.list->p[i], arg(a, 0, "attribute"));
		sum = eval_binary(ev, T_ADD, &sum, &x);
	}
	return sum;
}

static struct value f_join(struct eval *ev, struct value in, const struct args *a)
{
	const struct value *sep = arg(a, 0, "d"), *by = arg(a, 1, "attribute");
	struct value items = v_iter(ev->j, &in);
	struct sbuf b = {0};
	for (size_t i = 0; i < items.list->n; i++) {
		struct value x = path_of(ev, items.list->p[i], by);
		jinja_work(ev->j, 1);
		if (i && sep)
			sbuf_str(ev->j, &b, v_str(ev->j, sep).s);
		sbuf_str(ev->j, &b, v_str(ev->j, &x).s);
	}
	return sbuf_value(ev->j, &b);
}

static struct value f_batch(struct eval *ev, struct value in, const struct args *a)
{
	if (!is_iterable(&in))
		return broken(ev, "<generator object do_batch>");
	int64_t n = arg_int(ev->j, a, 0, "linecount", 0);
	const struct value *fill = arg(a, 1, "fill_with");
	struct value items = v_iter(ev->j, &in), out = v_list(ev->j, V_LIST), row = v_list(ev->j, V_LIST);
	for (size_t i = 0; i < items.list->n; i++) {
		if ((int64_t)row.list->n == n) {
			list_add(ev->j, &out, row);
			row = v_list(ev->j, V_LIST);
		}
		list_add(ev->j, &row, items.list->p[i]);
	}
	if (row.list->n) {
		while (fill && fill->type != V_NONE && (int64_t)row.list->n < n) {
			jinja_work(ev->j, 1);
			list_add(ev->j, &row, *fill);
		}
		list_add(ev->j, &out, row);
	}
	return generator(out, "<generator object do_batch>");
}

static struct value f_slice(struct eval *ev, struct value in, const struct args *a)
{
	if (!is_iterable(&in))
		return broken(ev, "<generator object do_slice>");
	int64_t n = arg_int(ev->j, a, 0, "slices", 0);
	const struct value *fill = arg(a, 1, "fill_with");
	struct value items = f_list(ev, in, a), out = v_list(ev->j, V_LIST);
	if (n == 0)
		jinja_fail(ev->j, ERR_FORMAT, "division by zero");
	size_t at = 0, each = n > 0 ? items.list->n / (size_t)n : 0, extra = n > 0 ? items.list->n % (size_t)n : 0;
	for (int64_t i = 0; i < n; i++) {
		struct value part = v_list(ev->j, V_LIST);
		size_t count = each + ((size_t)i < extra);
		jinja_work(ev->j, 1);
		for (size_t k = 0; k < count; k++)
			list_add(ev->j, &part, items.list->p[at++]);
		if (fill && fill->type != V_NONE && (size_t)i >= extra)
			list_add(ev->j, &part, *fill);
		list_add(ev->j, &out, part);
	}
	return generator(out, "<generator object do_slice>");
}

const struct filter sequence_filters[] = {{"list", f_list}, {"select", f_select}, {"reject", f_reject},
	{"selectattr", f_selectattr}, {"rejectattr", f_rejectattr}, {"map", f_map}, {"items", f_items},
	{"sort", f_sort}, {"dictsort", f_dictsort}, {"groupby", f_groupby}, {"unique", f_unique}, {"max", f_max},
	{"min", f_min}, {"first", f_first}, {"last", f_last}, {"reverse", f_reverse}, {"sum", f_sum},
	{"join", f_join}, {"batch", f_batch}, {"slice", f_slice}, {NULL, NULL}};
