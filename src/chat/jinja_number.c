/* Integers of any size and the arithmetic of Python's numbers. A struct big is only for what does not
 * fit in 64 bits. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "chat/jinja_syntax.h"

#define BASE 1000000000u
#define LIMBS 4000 /* 36,000 digits */

struct big {
	bool neg;
	uint32_t n;	/* limbs of nine digits, the lowest first */
	uint32_t d[];
};

static struct big *big_new(struct jinja *j, size_t n)
{
	if (n > LIMBS)
		jinja_fail(j, ERR_LIMIT, "a number has too many digits");
	jinja_work(j, n);
	struct big *b = jinja_alloc(j, sizeof(*b) + n * sizeof(b->d[0]));
	b->n = (uint32_t)n;
	return b;
}

static struct big *from_u64(struct jinja *j, uint64_t u, bool neg)
{
	struct big *b = big_new(j, 3);
	b->neg = neg;
	for (int i = 0; i < 3; i++, u /= BASE)
		b->d[i] = (uint32_t)(u % BASE);
	while (b->n && !b->d[b->n - 1])
		b->n--;
	return b;
}

static const struct big *to_big(struct jinja *j, const struct value *v)
{
	if (v->type == V_BIG)
		return v->big;
	int64_t i = v->type == V_BOOL ? v->b : v->i;
	return from_u64(j, i < 0 ? 0 - (uint64_t)i : (uint64_t)i, i < 0);
}

/* A value again: a small one when it fits. */
static struct value settle(struct big *b)
{
	while (b->n && !b->d[b->n - 1])
		b->n--;
	if (b->n <= 3) {
		uint64_t u = 0;
		bool over = false;
		for (uint32_t i = b->n; i > 0; i--)
			over |= __builtin_mul_overflow(u, BASE, &u) || __builtin_add_overflow(u, b->d[i - 1], &u);
		if (!over && u <= INT64_MAX)
			return v_int(b->neg ? -(int64_t)u : (int64_t)u);
		if (!over && b->neg && u == (uint64_t)INT64_MAX + 1)
			return v_int(INT64_MIN);
	}
	return (struct value){.type = V_BIG, .big = b};
}

static int compare_size(const struct big *a, const struct big *b)
{
	if (a->n != b->n)
		return a->n < b->n ? -1 : 1;
	for (uint32_t i = a->n; i > 0; i--)
		if (a->d[i - 1] != b->d[i - 1])
			return a->d[i - 1] < b->d[i - 1] ? -1 : 1;
	return 0;
}

static struct big *add_size(struct jinja *j, const struct big *a, const struct big *b)
{
	uint32_t n = (a->n > b->n ? a->n : b->n) + 1, carry = 0;
	struct big *r = big_new(j, n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t s = carry + (i < a->n ? a->d[i] : 0) + (i < b->n ? b->d[i] : 0);
		r->d[i] = s % BASE;
		carry = s / BASE;
	}
	return r;
}

/* |a| >= |b| */
static struct big *sub_size(struct jinja *j, const struct big *a, const struct big *b)
{
	struct big *r = big_new(j, a->n);
	int64_t borrow = 0;
	for (uint32_t i = 0; i < a->n; i++) {
		int64_t s = (int64_t)a->d[i] - (i < b->n ? b->d[i] : 0) - borrow;
		borrow = s < 0;
		r->d[i] = (uint32_t)(s + (borrow ? BASE : 0));
	}
	return r;
}

static struct big *add(struct jinja *j, const struct big *a, const struct big *b, bool minus)
{
	bool neg_b = b->neg != minus;
	struct big *r;
	if (a->neg == neg_b) {
		r = add_size(j, a, b);
		r->neg = a->neg;
	} else if (compare_size(a, b) >= 0) {
		r = sub_size(j, a, b);
		r->neg = a->neg;
	} else {
		r = sub_size(j, b, a);
		r->neg = neg_b;
	}
	return r;
}

static struct big *multiply(struct jinja *j, const struct big *a, const struct big *b)
{
	struct big *r = big_new(j, (size_t)a->n + b->n);
	jinja_work(j, (uint64_t)a->n * b->n / 16);
	for (uint32_t i = 0; i < a->n; i++) {
		uint64_t carry = 0;
		for (uint32_t k = 0; k < b->n || carry; k++) {
			uint64_t s = r->d[i + k] + carry + (k < b->n ? (uint64_t)a->d[i] * b->d[k] : 0);
			r->d[i + k] = (uint32_t)(s % BASE);
			carry = s / BASE;
		}
	}
	r->neg = a->neg != b->neg;
	return r;
}

/* Long division of sizes, one limb of the quotient at a time by bisection. */
static struct big *divide_size(struct jinja *j, const struct big *a, const struct big *b, struct big **rest)
{
	struct big *q = big_new(j, a->n), *r = big_new(j, (size_t)b->n + 1), *t;
	r->n = 0;
	for (uint32_t i = a->n; i > 0; i--) {
		memmove(r->d + 1, r->d, r->n * sizeof(r->d[0]));
		r->d[0] = a->d[i - 1];
		r->n++;
		while (r->n && !r->d[r->n - 1])
			r->n--;
		uint32_t lo = 0, hi = BASE - 1;
		while (lo < hi) {
			uint32_t mid = lo + (hi - lo + 1) / 2;
			t = multiply(j, b, from_u64(j, mid, false));
			while (t->n && !t->d[t->n - 1])
				t->n--;
			if (compare_size(t, r) <= 0)
				lo = mid;
			else
				hi = mid - 1;
		}
		q->d[i - 1] = lo;
		t = sub_size(j, r, multiply(j, b, from_u64(j, lo, false)));
		while (t->n && !t->d[t->n - 1])
			t->n--;
		r = big_new(j, (size_t)b->n + 1);
		memcpy(r->d, t->d, t->n * sizeof(t->d[0]));
		r->n = t->n;
	}
	*rest = r;
	return q;
}

/* Python's // and %: rounded down, the rest has the divisor's sign. */
static struct value divide(struct jinja *j, const struct value *a, const struct value *b, bool want_rest)
{
	const struct big *x = to_big(j, a), *y = to_big(j, b);
	struct big *rest, *q = divide_size(j, x, y, &rest);
	bool down = x->neg != y->neg && rest->n > 0;
	q->neg = x->neg != y->neg;
	rest->neg = x->neg;
	if (down) {
		q = add(j, q, from_u64(j, 1, false), true);
		rest = add(j, rest, y, false);
	}
	return settle(want_rest ? rest : q);
}

static struct value power(struct jinja *j, const struct value *a, const struct value *b)
{
	const struct value one = v_int(1);
	struct value r = one, x = *a;
	if (b->type == V_BIG || (b->type == V_INT && b->i < 0)) {
		if (b->type == V_INT && to_double(a) == 0)
			jinja_fail(j, ERR_FORMAT, "0 can't be raised to a negative power");
		if (b->type == V_BIG)
			jinja_fail(j, ERR_LIMIT, "a number has too many digits");
		return v_float(pow(to_double(a), to_double(b)));
	}
	for (int64_t n = b->type == V_BOOL ? b->b : b->i; n > 0; n >>= 1) {
		if (n & 1)
			r = number_op(j, T_MUL, &r, &x);
		if (n > 1)
			x = number_op(j, T_MUL, &x, &x);
	}
	return r;
}

static struct value whole_op(struct jinja *j, int op, const struct value *a, const struct value *b)
{
	bool small = a->type != V_BIG && b->type != V_BIG;
	int64_t i = a->type == V_BOOL ? a->b : a->i, k = b->type == V_BOOL ? b->b : b->i, r;
	switch (op) {
	case T_ADD:
		return small && !__builtin_add_overflow(i, k, &r) ? v_int(r)
								  : settle(add(j, to_big(j, a), to_big(j, b), false));
	case T_SUB:
		return small && !__builtin_sub_overflow(i, k, &r) ? v_int(r)
								  : settle(add(j, to_big(j, a), to_big(j, b), true));
	case T_MUL:
		return small && !__builtin_mul_overflow(i, k, &r) ? v_int(r)
								  : settle(multiply(j, to_big(j, a), to_big(j, b)));
	case T_FLOORDIV:
	case T_MOD:
		if (!small || k == -1)
			return divide(j, a, b, op == T_MOD);
		r = i / k - (i % k != 0 && (i < 0) != (k < 0));
		return v_int(op == T_MOD ? i - r * k : r);
	default:
		return power(j, a, b);
	}
}

static struct value float_op(struct jinja *j, int op, double x, double y)
{
	double r;
	switch (op) {
	case T_ADD:
		return v_float(x + y);
	case T_SUB:
		return v_float(x - y);
	case T_MUL:
		return v_float(x * y);
	case T_DIV:
		return v_float(x / y);
	case T_FLOORDIV:
	case T_MOD:
		r = fmod(x, y);
		if (r != 0 && (r < 0) != (y < 0))
			r += y;
		else if (r == 0)
			r = copysign(0, y);
		if (op == T_MOD)
			return v_float(r);
		r = (x - r) / y;
		return v_float(r == 0 ? copysign(0, x / y) : floor(r + 0.5));
	default:
		if ((x == 0 && y < 0) || (x < 0 && y != floor(y)))
			jinja_fail(j, ERR_FORMAT, "this power is not a real number");
		return v_float(pow(x, y));
	}
}

struct value number_op(struct jinja *j, int op, const struct value *a, const struct value *b)
{
	bool whole = is_int(a) && is_int(b);
	double y = to_double(b);
	if ((op == T_DIV || op == T_FLOORDIV || op == T_MOD) && y == 0)
		jinja_fail(j, ERR_FORMAT, "division by zero");
	return whole && op != T_DIV ? whole_op(j, op, a, b) : float_op(j, op, to_double(a), y);
}

int number_compare(const struct value *a, const struct value *b)
{
	if (a->type == V_BIG && b->type == V_BIG) {
		if (a->big->neg != b->big->neg)
			return a->big->neg ? -1 : 1;
		int d = compare_size(a->big, b->big);
		return a->big->neg ? -d : d;
	}
	if ((a->type == V_BIG && is_int(b)) || (b->type == V_BIG && is_int(a)))
		return a->type == V_BIG ? a->big->neg ? -1 : 1 : b->big->neg ? 1 : -1;
	if (is_int(a) && is_int(b)) {
		int64_t x = a->type == V_BOOL ? a->b : a->i, y = b->type == V_BOOL ? b->b : b->i;
		return x < y ? -1 : x > y;
	}
	double x = to_double(a), y = to_double(b);
	return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
}

double big_to_double(const struct big *b)
{
	double d = 0;
	for (uint32_t i = b->n; i > 0; i--)
		d = d * BASE + b->d[i - 1];
	return b->neg ? -d : d;
}

struct value number_parse(struct jinja *j, const char *p, size_t len, int base)
{
	struct value v = v_int(0), by = v_int(base);
	bool neg = len && *p == '-';
	jinja_work(j, len);
	if (len > 36000)
		jinja_fail(j, ERR_LIMIT, "a number has too many digits");
	for (size_t i = len && (*p == '-' || *p == '+'); i < len; i++) {
		if (p[i] == '_')
			continue;
		int c = p[i] | 32, digit = c >= 'a' ? c - 'a' + 10 : p[i] - '0';
		struct value d = v_int(digit);
		v = number_op(j, T_MUL, &v, &by);
		v = number_op(j, T_ADD, &v, &d);
	}
	by = v_int(0);
	return neg ? number_op(j, T_SUB, &by, &v) : v;
}

struct value number_from_double(struct jinja *j, double whole)
{
	if (fabs(whole) < 9.2e18)
		return v_int((int64_t)whole);
	int exp;
	double m = frexp(whole, &exp); /* 53 bits of it, times a power of two */
	struct value v = v_int((int64_t)ldexp(m, 53)), two = v_int(2), up = v_int(exp - 53);
	up = number_op(j, T_POW, &two, &up);
	return number_op(j, T_MUL, &v, &up);
}

const char *number_text(struct jinja *j, const struct value *v)
{
	if (v->type != V_BIG) {
		char *s = jinja_alloc(j, 24);
		snprintf(s, 24, "%lld", (long long)(v->type == V_BOOL ? v->b : v->i));
		return s;
	}
	const struct big *b = v->big;
	size_t cap = (size_t)b->n * 9 + 3, n = 0;
	char *s = jinja_alloc(j, cap);
	n += (size_t)snprintf(s, cap, "%s%u", b->neg ? "-" : "", b->d[b->n - 1]);
	for (uint32_t i = b->n - 1; i > 0; i--)
		n += (size_t)snprintf(s + n, cap - n, "%09u", b->d[i - 1]);
	return s;
}
