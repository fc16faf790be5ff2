/* config.json files of published models, and rope's parameters, against what transformers makes of them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "base/file.h"
#include "model/arch.h"

static const char *srcdir(void)
{
	const char *s = getenv("srcdir");
	return s ? s : ".";
}

static cJSON *read_json(const char *path)
{
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;
	if (file_read(path, 1 << 20, &b, &e) < 0)
		fail_msg("%s", e.msg);
	cJSON *j = cJSON_ParseWithLength(b.p, b.len);
	buf_clear(&b);
	return j;
}

static void clear(struct model *m)
{
	for (int i = 0; i < 2; i++) {
		free(m->rope[i].short_factor);
		free(m->rope[i].long_factor);
	}
	free(m->layers);
}

static bool near(double a, double b)
{
	return fabs(a - b) <= 1e-6 * fabs(b);
}

/* --- rope ------------------------------------------------------------------------------------- */

static void check_rope(const cJSON *one)
{
	static const struct arch none = {.model_type = "test"};
	struct err e = ERR_INIT;
	struct config c = {.path = (char *)"case", .e = &e};
	struct model m = {.arch = &none};
	struct rope_params *r = &m.rope[0];
	c.text = c.top = one;
	m.head_dim = (uint32_t)config_number(&c, one, "head_dim", 0);
	m.ctx_train = (uint32_t)config_number(&c, one, "max_position_embeddings", 0);
	config_rope_set(&c, &m, r, config_get(one, "rope_parameters"), 10000);
	if (c.failed)
		fail_msg("%s", e.msg);
	const cJSON *want = config_get(one, "inv_freq"), *v;
	float *got = calloc(m.head_dim, sizeof(*got));
	rope_inv_freq(r, (uint32_t)config_number(&c, one, "seq_len", 0), got);
	assert_int_equal(cJSON_GetArraySize(want), r->rot / 2);
	uint32_t i = 0;
	cJSON_ArrayForEach(v, want) {
		if (!(fabs((double)got[i] - v->valuedouble) <= 2e-6 * fabs(v->valuedouble)))
			fail_msg("%s: [%u] %g, not %g", cJSON_PrintUnformatted(config_get(one, "rope_parameters")),
				i, (double)got[i], v->valuedouble);
		i++;
	}
	assert_true(near(r->attention, config_number(&c, one, "attention_factor", 0)));
	free(got);
	clear(&m);
}

static void frequencies_are_those_of_transformers(void **state)
{
	(void)state;
	char path[512];
	struct err e = ERR_INIT;
	struct buf b = BUF_INIT;
	snprintf(path, sizeof(path), "%s/tests/vectors/rope.jsonl", srcdir());
	if (file_read(path, 1 << 20, &b, &e) < 0)
		fail_msg("%s", e.msg);
	int n = 0;
	for (char *line = strtok(b.p, "\n"); line; line = strtok(NULL, "\n"), n++) {
		cJSON *j = cJSON_Parse(line);
		assert_non_null(j);
		check_rope(j);
		cJSON_Delete(j);
	}
	assert_true(n >= 10);
	buf_clear(&b);
}

/* --- config.json ------------------------------------------------------------------------------ */

static void want_number(const char *dir, const cJSON *expected, const char *key, double got)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(expected, key);
	if (v && cJSON_IsNumber(v) && !near(got, v->valuedouble))
		fail_msg("%s: %s is %g, not %g", dir, key, got, v->valuedouble);
}

static void check_rope_of(const char *dir, const struct model *m, const cJSON *want)
{
	static const char *const names[] = {"default", "linear", "dynamic", "llama3", "yarn", "longrope",
		"proportional"};
	if (!want)
		return;
	for (uint32_t i = 0; i < m->n_ropes; i++) {
		const cJSON *nested = config_get(want, i ? "sliding_attention" : "full_attention");
		const cJSON *w = nested ? nested : want;
		want_number(dir, w, "rope_theta", m->rope[i].theta);
		want_number(dir, w, "factor", m->rope[i].factor);
		want_number(dir, w, "original_max_position_embeddings", m->rope[i].original_ctx);
		const cJSON *part = config_get(w, "partial_rotary_factor");
		if (part)
			assert_int_equal(m->rope[i].rot, (uint32_t)(part->valuedouble * m->head_dim));
		const cJSON *type = config_get(w, "rope_type");
		if (type)
			assert_string_equal(type->valuestring, names[m->rope[i].kind]);
	}
}

static void check_layers(const char *dir, const struct model *m, const cJSON *expected)
{
	const cJSON *types = config_get(expected, "layer_types"), *t;
	uint32_t i = 0;
	cJSON_ArrayForEach(t, types) {
		bool sliding = !strcmp(t->valuestring, "sliding_attention");
		if (m->layers[i].windowed != (sliding && m->window))
			fail_msg("%s: layer %u is of another kind than %s", dir, i, t->valuestring);
		i++;
	}
	want_number(dir, expected, "sliding_window", m->window);
}

static void check_values(const char *dir, const struct model *m, const cJSON *x)
{
	const cJSON *tied = config_get(x, "tie_word_embeddings");
	want_number(dir, x, "hidden_size", m->hidden);
	want_number(dir, x, "num_hidden_layers", m->n_layers);
	want_number(dir, x, "num_attention_heads", m->heads);
	want_number(dir, x, "num_key_value_heads", m->kv_heads);
	if (!config_get(x, "kv_lora_rank")) /* there it means the rotated part */
		want_number(dir, x, "head_dim", m->head_dim);
	want_number(dir, x, "intermediate_size", m->ffn);
	want_number(dir, x, "vocab_size", m->vocab);
	want_number(dir, x, "max_position_embeddings", m->ctx_train);
	want_number(dir, x, "rms_norm_eps", (double)m->norm_eps);
	want_number(dir, x, "layer_norm_eps", (double)m->norm_eps);
	want_number(dir, x, "attn_logit_softcapping", (double)m->attn_softcap);
	want_number(dir, x, "final_logit_softcapping", (double)m->logit_softcap);
	want_number(dir, x, "logit_scale", (double)m->logit_scale);
	const cJSON *scalar = config_get(x, "query_pre_attn_scalar");
	if (scalar)
		assert_true(near((double)m->attn_scale, 1 / sqrt(scalar->valuedouble)));
	if (tied)
		assert_int_equal(cJSON_IsTrue(tied), m->tied);
	check_layers(dir, m, x);
	check_rope_of(dir, m, config_get(x, "rope_parameters"));
}

/* 1: read and right, 0: refused with a sentence that names what is not known. */
static int check_folder(const char *root, const char *name)
{
	char dir[800], path[1000];
	struct err e = ERR_INIT;
	struct model m = {0};
	snprintf(dir, sizeof(dir), "%s/%s", root, name);
	const struct checkpoint ck = {.path = dir, .dir = dir};
	snprintf(path, sizeof(path), "%s/config.json", dir);
	cJSON *config = read_json(path);
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(config, "model_type");
	const char *family = type ? type->valuestring : "falcon_h1"; /* Infinity: no JSON for cJSON */
	snprintf(path, sizeof(path), "%s/expected.json", dir);
	cJSON *expected = read_json(path);
	int rc = config_from_json(&m, &ck, &e);
	if (rc == 0)
		check_values(name, &m, expected);
	else if (e.code != ERR_UNSUPPORTED || !strstr(e.msg, family))
		fail_msg("%s", e.msg);
	if (rc < 0)
		print_message("# not supported: %s\n", family);
	clear(&m);
	cJSON_Delete(config);
	cJSON_Delete(expected);
	return rc == 0;
}

static void published_configs_are_read_as_transformers_does(void **state)
{
	(void)state;
	char root[512];
	snprintf(root, sizeof(root), "%s/../shared/vectors/configs", srcdir());
	DIR *d = opendir(root);
	if (!d) {
		print_message("# no %s: published configs are not tested\n", root);
		skip();
	}
	int known = 0;
	for (struct dirent *f; (f = readdir(d));)
		if (strchr(f->d_name, '-'))
			known += check_folder(root, f->d_name);
	closedir(d);
	assert_true(known >= 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frequencies_are_those_of_transformers),
		cmocka_unit_test(published_configs_are_read_as_transformers_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
