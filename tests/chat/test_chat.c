/* Parts of the chat that need no model: reasoning, settings, the session store, export. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "chat/chat_private.h"
#include "chat/reasoning.h"
#include "chat/session_store.h"

/* --- reasoning --- */

struct parts {
	struct buf text[2]; /* answer, reasoning */
};

static void on_part(void *arg, bool reasoning, const char *p, size_t len)
{
	buf_add(&((struct parts *)arg)->text[reasoning], p, len);
}

/* Feed text in pieces of n bytes; harmony marks are written as {channel}. */
static void feed(struct reasoning *r, const char *text, size_t n)
{
	while (*text) {
		if (*text == '{') {
			char mark[40];
			size_t k = strcspn(text, "}");
			snprintf(mark, sizeof(mark), "<|%.*s|>", (int)k - 1, text + 1);
			reasoning_mark(r, mark, strlen(mark));
			text += k + 1;
			continue;
		}
		size_t k = strcspn(text, "{");
		k = k < n ? k : n;
		reasoning_text(r, text, k);
		text += k;
	}
}

static void check_split(bool harmony, const char *prompt, const char *text, const char *reasoning, const char *answer)
{
	for (size_t n = 1; n < 9; n++) {
		struct parts p = {{BUF_INIT, BUF_INIT}};
		struct reasoning r;
		reasoning_init(&r, harmony, prompt, strlen(prompt));
		r.part = on_part;
		r.arg = &p;
		feed(&r, text, n);
		reasoning_end(&r);
		assert_string_equal(buf_str(&p.text[1]), reasoning);
		assert_string_equal(buf_str(&p.text[0]), answer);
		buf_clear(&p.text[0]);
		buf_clear(&p.text[1]);
	}
}

static void test_reasoning(void **state)
{
	(void)state;
	check_split(false, "", "<think>\nhm\n\nwell\n</think>\n\nYes.", "hm\n\nwell", "Yes.");
	check_split(false, "assistant\n<think>\n", "hm\n</think>\n\nYes.", "hm", "Yes.");
	check_split(false, "<think>\n\n</think>\n\n", "Yes <think>.", "", "Yes <think>.");
	check_split(false, "", "A tag <think> in text </think>.", "", "A tag <think> in text </think>.");
	check_split(false, "", "<thi", "", "<thi");
	check_split(false, "", " \n<think>only", "only", "");
	check_split(false, "", "<think>a</thin b</think>c", "a</thin b", "c");
	check_split(false, "", "[THINK]a[/THINK]b", "a", "b");
	check_split(false, "", "  plain", "", "  plain");
	check_split(false, "", "<|channel>thought\nhm\n<channel|>Yes.", "hm", "Yes.");
	check_split(false, "<|channel>thought\n<channel|>", "Yes.", "", "Yes.");
	check_split(false, "", "<think></think>x", "", "x");
	check_split(true, "<|start|>assistant", "{channel}analysis{message}let me{end}{start}assistant{channel}final{message}Hi!",
		"let me", "Hi!");
	check_split(true, "", "{channel}analysis{message}a{end}{start}assistant{channel}analysis{message}b{end}"
			      "{start}assistant{channel}final{message}c", "a\n\nb", "c");
	check_split(true, "<|start|>assistant<|channel|>final<|message|>", "direct", "", "direct");
	check_split(true, "<|start|>assistant", "No marks.", "", "No marks."); /* of a model trained without them */
	check_split(true, "<|start|>assistant", "Nothing of the kind, though it goes on and on.", "",
		"Nothing of the kind, though it goes on and on.");
	check_split(true, "", "assistant{channel}commentary{message}Let me look.{end}{start}assistant{channel}analysis{message}x",
		"x", "Let me look.");
}

/* --- settings --- */

static void test_settings(void **state)
{
	struct settings s, t;
	struct err e = ERR_INIT;
	(void)state;
	settings_init(&s);
	assert_int_equal(settings_set(&s, SETTING_TEMP, "0.5", FROM_FLAG, &e), 0);
	assert_int_equal(settings_set(&s, SETTING_TEMP, "0.9", FROM_MODEL, &e), 0); /* weaker: no change */
	assert_true(s.sampler.temp == 0.5f);
	assert_int_equal(settings_set(&s, SETTING_TOP_K, "-1", FROM_USER, &e), -1);
	assert_int_equal(settings_set(&s, SETTING_TOP_P, "x", FROM_USER, &e), -1);
	assert_int_equal(settings_set(&s, SETTING_STOP, "a", FROM_FLAG, &e), 0);
	assert_int_equal(settings_set(&s, SETTING_STOP, "b", FROM_FLAG, &e), 0);
	assert_int_equal(s.n_stops, 2);
	assert_int_equal(settings_set(&s, SETTING_STOP, "c", FROM_USER, &e), 0);
	assert_int_equal(s.n_stops, 1);
	assert_int_equal(settings_set_var(&s, "enable_thinking", "false", FROM_USER, &e), 0);
	assert_int_equal(settings_set_var(&s, "name", "Bob \"B\"", FROM_USER, &e), 0);
	assert_int_equal(settings_set_var(&s, "messages", "1", FROM_USER, &e), -1);
	assert_int_equal(settings_set_var(&s, "a b", "1", FROM_USER, &e), -1);
	assert_int_equal(settings_copy(&t, &s, &e), 0);
	settings_clear(&s);
	char *vars = settings_vars_json(&t);
	assert_string_equal(vars, "{\"enable_thinking\": false, \"name\": \"Bob \\\"B\\\"\"}");
	free(vars);
	settings_clear(&t);
}

/* generation_config.json of a model's folder, below what the user says. */
static void recommend(const char *json, struct settings *s)
{
	struct checkpoint c = {.dir = (char[]){"/tmp/airlchat-test-XXXXXX"}};
	struct err e = ERR_INIT;
	char path[100];
	assert_non_null(mkdtemp(c.dir));
	snprintf(path, sizeof(path), "%s/generation_config.json", c.dir);
	assert_int_equal(file_write(path, json, strlen(json), 0600, &e), 0);
	assert_int_equal(chat_recommended(s, &c, &e), 0);
	unlink(path);
	rmdir(c.dir);
}

static void test_recommended(void **state)
{
	struct settings s;
	struct err e = ERR_INIT;
	(void)state;
	settings_init(&s);
	assert_int_equal(settings_set(&s, SETTING_TOP_K, "3", FROM_FLAG, &e), 0);
	recommend("{\"do_sample\": true, \"temperature\": 0.6, \"top_k\": 20, \"top_p\": 0.9, \"repetition_penalty\": 1.1}", &s);
	assert_true(s.sampler.temp == 0.6f && s.sampler.top_p == 0.9f && s.sampler.repeat_penalty == 1.1f);
	assert_int_equal(s.sampler.top_k, 3);
	assert_int_equal(s.from[SETTING_TEMP], FROM_MODEL);
	settings_init(&s); /* do_sample false: greedy, with the model's own penalty */
	recommend("{\"do_sample\": false, \"temperature\": 0.6, \"repetition_penalty\": 1.1}", &s);
	assert_true(s.sampler.temp == 0 && s.sampler.repeat_penalty == 1.1f);
	settings_init(&s); /* greedy by the user's wish: no penalty that he did not ask for */
	assert_int_equal(settings_set(&s, SETTING_TEMP, "0", FROM_FLAG, &e), 0);
	recommend("{\"temperature\": 0.6, \"repetition_penalty\": 1.1}", &s);
	assert_true(s.sampler.temp == 0 && s.sampler.repeat_penalty == 1);
	settings_init(&s); /* texts that end an answer; the user's own come instead */
	recommend("{\"stop_strings\": [\"###\", \"User:\"], \"top_k\": -1}", &s);
	assert_int_equal(s.n_stops, 2);
	assert_int_equal(s.sampler.top_k, 0);
	assert_int_equal(settings_set(&s, SETTING_STOP, "x", FROM_FLAG, &e), 0);
	assert_int_equal(s.n_stops, 1);
	settings_clear(&s);
	settings_init(&s); /* out of range: the built-in value stays */
	recommend("{\"temperature\": -3, \"top_p\": 7, \"top_k\": \"x\"}", &s);
	assert_true(s.sampler.temp == 0.8f && s.sampler.top_p == 0.95f && s.sampler.top_k == 40);
}

/* --- the store --- */

static void add(struct conversation *c, const char *role, const char *text)
{
	struct err e = ERR_INIT;
	assert_int_equal(conversation_add(c, role, text, strlen(text), &e), 0);
}

static int own_folder(void **state)
{
	static char dir[] = "/tmp/airlchat-test-XXXXXX";
	*state = dir;
	return mkdtemp(dir) && setenv("XDG_DATA_HOME", dir, 1) == 0 ? 0 : -1;
}

static int remove_folder(void **state)
{
	char path[200];
	const char *const parts[] = {"/airlchat/sessions", "/airlchat", ""};
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", (const char *)*state, parts[i]);
		rmdir(path);
	}
	return 0;
}

static void test_store(void **state)
{
	struct err e = ERR_INIT;
	struct session_file f = {.model = (char[]){"m.gguf"}}, g;
	struct session_info *list;
	struct stat st;
	size_t n;
	char path[200];
	add(&f.messages, "system", "be kind");
	add(&f.messages, "user", "What is \"x\"?\n\x01 \xC3\xA9");
	add(&f.messages, "assistant", "An x.");
	f.messages.m[2].reasoning = strdup("hm");
	f.messages.m[2].reasoning_len = 2;
	f.messages.m[2].finish = FINISH_CANCELLED;
	assert_int_equal(ids_add(&f.messages.m[2].ids, 7, &e), 0);
	assert_int_equal(session_file_write("../out", &f, &e), -1);
	assert_int_equal(session_file_write(".hidden", &f, &e), -1);
	assert_int_equal(session_file_write("", &f, &e), -1);
	assert_int_equal(session_file_write("first chat", &f, &e), 0);
	snprintf(path, sizeof(path), "%s/airlchat/sessions/first chat.json", (const char *)*state);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(session_file_read("first chat", &g, &e), 0);
	assert_string_equal(g.model, "m.gguf");
	assert_int_equal(g.messages.n, 3);
	assert_string_equal(g.messages.m[1].text, f.messages.m[1].text);
	assert_string_equal(g.messages.m[2].reasoning, "hm");
	assert_int_equal(g.messages.m[2].finish, FINISH_CANCELLED);
	assert_int_equal(g.messages.m[2].ids.len, 1);
	session_file_clear(&g);
	assert_int_equal(session_list(&list, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_string_equal(list[0].title, "What is \"x\"? ? \xC3\xA9");
	session_list_free(list, n);
	assert_int_equal(session_file_read("none", &g, &e), -1);
	assert_int_equal(file_write(path, "{\"airlchat_session\": 1, \"messages\": [{\"role\": 3}]}", 49, 0600, &e), 0);
	assert_int_equal(session_file_read("first chat", &g, &e), -1);
	assert_int_equal(session_file_delete("first chat", &e), 0);
	assert_int_equal(session_file_delete("first chat", &e), -1);
	f.model = NULL;
	session_file_clear(&f);
}

static void test_export(void **state)
{
	struct conversation c = {0}, d;
	struct err e = ERR_INIT;
	struct buf out = BUF_INIT;
	(void)state;
	add(&c, "user", "<script>alert(\"&\")</script>\x1b[31m");
	add(&c, "assistant", "ok");
	assert_int_equal(conversation_export(&c, "t<i>", EXPORT_HTML, &out, &e), 0);
	assert_null(strstr(out.p, "<script"));
	assert_null(strstr(out.p, "<i>"));
	assert_null(strchr(out.p, '\x1b'));
	assert_non_null(strstr(out.p, "&lt;script&gt;alert(&quot;&amp;&quot;)"));
	buf_reset(&out);
	assert_int_equal(conversation_export(&c, "t", EXPORT_JSON, &out, &e), 0);
	assert_string_equal(out.p, "[{\"role\": \"user\", \"content\": \"<script>alert(\\\"&\\\")</script>\\u001b[31m\"},\n"
				   " {\"role\": \"assistant\", \"content\": \"ok\"}]\n");
	buf_clear(&out);
	assert_int_equal(conversation_set_system(&c, "s", 1, &e), 0);
	assert_int_equal(c.n, 3);
	assert_int_equal(conversation_last(&c, "user"), 1);
	assert_int_equal(conversation_copy(&d, &c, &e), 0);
	conversation_remove(&c, 1, 1);
	assert_string_equal(c.m[1].text, "ok");
	assert_string_equal(d.m[2].text, "ok");
	conversation_clear(&c);
	conversation_clear(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_reasoning), cmocka_unit_test(test_settings),
		cmocka_unit_test(test_recommended),
		cmocka_unit_test_setup_teardown(test_store, own_folder, remove_folder), cmocka_unit_test(test_export)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
