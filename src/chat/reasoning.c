#include "chat/reasoning.h"

#include <string.h>

enum state {
	BEGIN,	 /* nothing but white space so far */
	THINK,	 /* inside the reasoning */
	SKIP,	 /* behind it: white space is dropped */
	ANSWER,
	HEADER,	 /* harmony: behind <|channel|> */
	BETWEEN, /* harmony: between messages; a role's name is dropped */
};

static const struct {
	const char *open, *close;
} marks[] = {{"<think>", "</think>"}, {"<thinking>", "</thinking>"}, {"<thought>", "</thought>"},
	{"<reasoning>", "</reasoning>"}, {"<seed:think>", "</seed:think>"}, {"[THINK]", "[/THINK]"},
	{"<|START_THINKING|>", "<|END_THINKING|>"}, {"<|channel>thought", "<channel|>"},
	{"<|thought_start|>", "<|thought_end|>"}, {"<|begin_of_thought|>", "<|end_of_thought|>"},
	{"<longcat_think>", "</longcat_think>"}};

/* Gemma's mark is a token and a word. */
static const char channel[] = "<|channel>";

#define UNMARKED 32 /* bytes; a longer text without a mark is no role's name */
#define MARKS (int)(sizeof(marks) / sizeof(*marks))

static const char *const harmony_tokens[HARMONY_TOKENS] = {"<|channel|>", "<|message|>", "<|end|>", "<|start|>"};

static bool is(const char *s, const char *p, size_t len)
{
	return strlen(s) == len && !memcmp(s, p, len);
}

static size_t spaces(const char *p, size_t len)
{
	size_t n = 0;
	while (n < len && strchr(" \n\t\r", p[n]) && p[n])
		n++;
	return n;
}

static bool ends_with(const char *p, size_t len, const char *what)
{
	size_t n = strlen(what);
	return len >= n && !memcmp(p + len - n, what, n);
}

void reasoning_init(struct reasoning *r, bool harmony, const char *p, size_t len)
{
	r->state = harmony ? BETWEEN : BEGIN;
	r->harmony = harmony;
	r->some_reasoning = r->marked = false;
	r->held = r->header = (struct buf)BUF_INIT;
	while (len && spaces(p + len - 1, 1))
		len--;
	if (harmony && ends_with(p, len, "<|channel|>analysis<|message|>"))
		r->state = THINK;
	else if (harmony && ends_with(p, len, "<|channel|>final<|message|>"))
		r->state = ANSWER;
	for (int i = 0; !harmony && i < MARKS; i++)
		if (ends_with(p, len, marks[i].open)) {
			r->state = THINK;
			r->mark = i;
		}
}

static void give(struct reasoning *r, bool reasoning, const char *p, size_t len)
{
	if (len == 0)
		return;
	r->some_reasoning |= reasoning;
	r->part(r->arg, reasoning, p, len);
}

/* BEGIN: an opening mark, perhaps one, or none. False when more text is needed. */
static bool begin(struct reasoning *r)
{
	size_t skip = spaces(r->held.p, r->held.len), n = r->held.len - skip;
	const char *p = r->held.p + skip;
	for (int i = 0; i < MARKS && n; i++) {
		size_t k = strlen(marks[i].open);
		if (n < k && !memcmp(marks[i].open, p, n))
			return false;
		if (n >= k && !memcmp(marks[i].open, p, k)) {
			buf_drop(&r->held, skip + k);
			r->state = THINK;
			r->mark = i;
			return true;
		}
	}
	if (n == 0)
		return false;
	r->state = ANSWER;
	return true;
}

/* THINK: give out up to the closing mark; white space before it, and a part of it, wait. */
static bool think(struct reasoning *r)
{
	const char *close = r->harmony ? "" : marks[r->mark].close, *p = r->held.p;
	size_t k = strlen(close), len = r->held.len, from = 0;
	const char *at = k && len >= k ? memmem(p, len, close, k) : NULL;
	size_t until = at ? (size_t)(at - p) : len;
	for (size_t n = k ? k - 1 : 0; !at && n > 0; n--)
		if (n <= len && !memcmp(p + len - n, close, n)) {
			until = len - n;
			break;
		}
	size_t end = until;
	while (end > 0 && spaces(p + end - 1, 1))
		end--;
	if (!r->some_reasoning)
		from = spaces(p, end);
	give(r, true, p + from, end - from);
	if (at) {
		buf_drop(&r->held, until + k);
		r->state = SKIP;
		return true;
	}
	buf_drop(&r->held, end);
	return false;
}

static void run(struct reasoning *r)
{
	bool more = true;
	while (more && r->held.len) {
		switch (r->state) {
		case BEGIN:
			more = begin(r);
			break;
		case THINK:
			more = think(r);
			break;
		case SKIP:
			buf_drop(&r->held, spaces(r->held.p, r->held.len));
			if (r->held.len)
				r->state = ANSWER;
			break;
		case HEADER:
			buf_add(&r->header, r->held.p, r->held.len);
			buf_reset(&r->held);
			break;
		case BETWEEN:
			more = !r->marked && r->held.len > UNMARKED;
			if (more)
				r->state = ANSWER;
			else if (r->marked)
				buf_reset(&r->held);
			break;
		default:
			give(r, false, r->held.p, r->held.len);
			buf_reset(&r->held);
		}
	}
}

void reasoning_text(struct reasoning *r, const char *p, size_t len)
{
	buf_add(&r->held, p, len);
	run(r);
}

/* What waits is of the state that is left now. */
static void settle(struct reasoning *r)
{
	run(r);
	if (r->state == BEGIN || (r->state == BETWEEN && !r->marked)) /* white space, half a mark that was none */
		give(r, false, r->held.p, r->held.len);
	else if (r->state == THINK && !r->harmony && spaces(r->held.p, r->held.len) < r->held.len)
		give(r, true, r->held.p, r->held.len);
	buf_reset(&r->held);
}

void reasoning_mark(struct reasoning *r, const char *content, size_t len)
{
	if (!r->harmony) {
		for (int i = 0; i < MARKS; i++)
			if (is(marks[i].open, content, len) || is(marks[i].close, content, len))
				reasoning_text(r, content, len);
		if (is(channel, content, len))
			reasoning_text(r, content, len);
		return;
	}
	r->marked = true;
	settle(r);
	if (is(harmony_tokens[HARMONY_CHANNEL], content, len)) {
		r->state = HEADER;
		buf_reset(&r->header);
	} else if (is(harmony_tokens[HARMONY_MESSAGE], content, len)) {
		const char *name = buf_str(&r->header);
		bool again = r->some_reasoning && !strncmp(name, "analysis", 8);
		r->state = !strncmp(name, "analysis", 8) ? THINK : SKIP;
		if (again)
			give(r, true, "\n\n", 2);
	} else if (is(harmony_tokens[HARMONY_END], content, len) || is(harmony_tokens[HARMONY_START], content, len)) {
		r->state = BETWEEN;
	}
}

void reasoning_end(struct reasoning *r)
{
	settle(r);
	buf_clear(&r->held);
	buf_clear(&r->header);
}

const char *reasoning_token(int i)
{
	return i < MARKS ? marks[i].open : i == MARKS ? channel : NULL;
}

bool reasoning_open(const struct reasoning *r)
{
	return r->state == THINK;
}
