/* Dimensions from config.json (defaults as in transformers' LlamaConfig) and from GGUF metadata. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/buf.h"
#include "base/file.h"
#include "model/arch.h"
#include "store/gguf.h"

#define CONFIG_LIMIT ((size_t)16 << 20)

struct config { /* a config.json being read */
	cJSON *json;
	char *path;
	struct err *e;
	bool failed;
};

static void config_fail(struct config *c, const char *key, const char *why)
{
	if (!c->failed)
		err_set(c->e, ERR_FORMAT, "%s: %s %s", c->path, key, why);
	c->failed = true;
}

static const cJSON *get(const cJSON *o, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
	return v && !cJSON_IsNull(v) ? v : NULL;
}

static uint32_t get_count(struct config *c, const char *key, double fallback)
{
	const cJSON *v = get(c->json, key);
	double d = v && cJSON_IsNumber(v) ? v->valuedouble : v ? NAN : fallback;
	if (!(d >= 1 && d <= 1e9 && d == floor(d))) {
		config_fail(c, key, v ? "is not a sensible whole number" : "is missing");
		return 1;
	}
	return (uint32_t)d;
}

static double get_number(struct config *c, const cJSON *o, const char *key, double fallback)
{
	const cJSON *v = get(o, key);
	double d = v && cJSON_IsNumber(v) ? v->valuedouble : v ? NAN : fallback;
	if (!isfinite(d)) {
		config_fail(c, key, v ? "is not a number" : "is missing");
		return 1;
	}
	return d;
}

static bool get_flag(struct config *c, const char *key, bool fallback)
{
	const cJSON *v = get(c->json, key);
	if (v && !cJSON_IsBool(v))
		config_fail(c, key, "is neither true nor false");
	return v ? cJSON_IsTrue(v) : fallback;
}

/* rope_scaling (older files) or rope_parameters (transformers 5), both with "rope_type" or "type". */
static void read_rope(struct config *c, struct model *m)
{
	struct rope_params *r = &m->rope;
	const cJSON *s = get(c->json, "rope_parameters");
	if (!s)
		s = get(c->json, "rope_scaling");
	r->rot = m->head_dim;
	r->theta = get_number(c, c->json, "rope_theta", 10000);
	r->factor = 1;
	if (!s)
		return;
	if (!cJSON_IsObject(s)) {
		config_fail(c, "rope_scaling", "is not an object");
		return;
	}
	r->theta = get_number(c, s, "rope_theta", r->theta);
	const cJSON *t = get(s, "rope_type");
	if (!t)
		t = get(s, "type");
	const char *kind = t && cJSON_IsString(t) ? t->valuestring : "default";
	if (!strcmp(kind, "default"))
		return;
	r->factor = get_number(c, s, "factor", NAN);
	if (!strcmp(kind, "linear")) {
		r->kind = ROPE_LINEAR;
	} else if (!strcmp(kind, "llama3")) {
		r->kind = ROPE_LLAMA3;
		r->low_freq_factor = get_number(c, s, "low_freq_factor", NAN);
		r->high_freq_factor = get_number(c, s, "high_freq_factor", NAN);
		double orig = get_number(c, s, "original_max_position_embeddings", NAN);
		if (!(orig >= 1 && orig <= 1e9) || r->high_freq_factor <= r->low_freq_factor)
			config_fail(c, "rope_scaling", "has senseless numbers");
		else
			r->original_ctx = (uint32_t)orig;
	} else if (!c->failed) {
		err_set(c->e, ERR_UNSUPPORTED, "%s: rope type \"%s\" is not supported", c->path, kind);
		c->failed = true;
	}
	if (!(r->factor > 0) || !(r->theta > 0))
		config_fail(c, "rope_scaling", "has senseless numbers");
}

static void read_act(struct config *c, struct model *m)
{
	static const struct {
		const char *name;
		enum act_kind act;
	} acts[] = {{"silu", ACT_SILU}, {"swish", ACT_SILU}, {"gelu_pytorch_tanh", ACT_GELU_TANH},
		{"gelu_new", ACT_GELU_TANH}, {"gelu", ACT_GELU_ERF}, {"relu", ACT_RELU}};
	const cJSON *v = get(c->json, "hidden_act");
	const char *name = v && cJSON_IsString(v) ? v->valuestring : "silu";
	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++) {
		if (!strcmp(name, acts[i].name)) {
			m->act = acts[i].act;
			return;
		}
	}
	if (!c->failed)
		err_set(c->e, ERR_UNSUPPORTED, "%s: activation \"%s\" is not supported", c->path, name);
	c->failed = true;
}

static void find_arch(struct config *c, struct model *m)
{
	const cJSON *v = get(c->json, "model_type");
	const char *type = v && cJSON_IsString(v) ? v->valuestring : NULL;
	for (size_t i = 0; type && i < arch_count; i++)
		if (!strcmp(arch_table[i].model_type, type))
			m->arch = &arch_table[i];
	if (!type)
		config_fail(c, "model_type", "is missing");
	else if (!m->arch) {
		err_set(c->e, ERR_UNSUPPORTED, "%s: model type \"%s\" is not supported", c->path, type);
		c->failed = true;
	}
}

static void read_dimensions(struct config *c, struct model *m)
{
	m->hidden = get_count(c, "hidden_size", 4096);
	m->ffn = get_count(c, "intermediate_size", 11008);
	m->n_layers = get_count(c, "num_hidden_layers", 32);
	m->heads = get_count(c, "num_attention_heads", 32);
	m->kv_heads = get_count(c, "num_key_value_heads", m->heads);
	m->head_dim = get_count(c, "head_dim", fmax(1, m->hidden / m->heads));
	m->vocab = get_count(c, "vocab_size", 32000);
	m->ctx_train = get_count(c, "max_position_embeddings", 2048);
	m->norm_eps = (float)get_number(c, c->json, "rms_norm_eps", 1e-6);
	m->tied = get_flag(c, "tie_word_embeddings", false);
}

int config_from_json(struct model *m, const struct checkpoint *ck, struct err *e)
{
	struct config c = {.path = path_join(ck->dir, "config.json"), .e = e};
	struct buf text = BUF_INIT;
	if (!c.path)
		return err_nomem(e);
	int rc = file_read(c.path, CONFIG_LIMIT, &text, e);
	if (rc == 0 && !(c.json = cJSON_ParseWithLength(buf_str(&text), text.len)))
		rc = err_set(e, ERR_FORMAT, "%s is not valid JSON", c.path);
	if (rc == 0) {
		find_arch(&c, m);
		if (!c.failed && get(c.json, "quantization_config"))
			config_fail(&c, "quantization_config", "is not supported: the weights are quantized in a format that airlchat can't read yet");
	}
	if (rc == 0 && !c.failed) {
		m->rope.style = m->arch->rope_hf;
		read_dimensions(&c, m);
		read_act(&c, m);
		read_rope(&c, m);
	}
	cJSON_Delete(c.json);
	buf_clear(&text);
	free(c.path);
	return rc < 0 || c.failed ? -1 : 0;
}

/* --- GGUF -------------------------------------------------------------------------------------- */

struct gguf_config {
	const struct gguf *g;
	const char *path;
	char arch[64];
	struct err *e;
	bool failed;
};

static const char *full_key(const struct gguf_config *c, const char *key, char out[160])
{
	struct buf b = BUF_INIT;
	buf_printf(&b, "%s.%s", c->arch, key);
	strncpy(out, buf_str(&b), 159);
	out[159] = '\0';
	buf_clear(&b);
	return out;
}

/* fallback 0: the key must be there. */
static uint32_t gguf_count(struct gguf_config *c, const char *key, uint32_t fallback)
{
	char k[160];
	uint64_t v = fallback;
	bool there = gguf_u64(c->g, full_key(c, key, k), &v);
	if (!c->failed && (v < 1 || v > 1000000000)) {
		c->failed = true;
		err_set(c->e, gguf_find(c->g, k) && !there ? ERR_UNSUPPORTED : ERR_FORMAT, "%s: %s %s",
			c->path, k,
			there			 ? "is not a sensible number"
			: gguf_find(c->g, k) ? "differs from layer to layer or is no number, which is not supported"
						 : "is missing");
	}
	return v >= 1 && v <= 1000000000 ? (uint32_t)v : 1;
}

static double gguf_number(struct gguf_config *c, const char *key, double fallback)
{
	char k[160];
	double v = fallback;
	gguf_f64(c->g, full_key(c, key, k), &v);
	return v;
}

static int gguf_refuse(struct gguf_config *c, const char *what)
{
	c->failed = true;
	return err_set(c->e, ERR_UNSUPPORTED, "%s: %s not supported", c->path, what);
}

static void gguf_rope(struct gguf_config *c, struct model *m)
{
	struct rope_params *r = &m->rope;
	char k[160];
	struct gguf_str s;
	r->rot = gguf_count(c, "rope.dimension_count", m->head_dim);
	r->theta = gguf_number(c, "rope.freq_base", 10000);
	r->factor = 1;
	if (gguf_string(c->g, full_key(c, "rope.scaling.type", k), &s) &&
		!(s.len == 4 && !memcmp(s.p, "none", 4))) {
		if (s.len != 6 || memcmp(s.p, "linear", 6) != 0) {
			gguf_refuse(c, "this kind of rope scaling is");
			return;
		}
		r->kind = ROPE_LINEAR;
		r->factor = gguf_number(c, "rope.scaling.factor", 1);
	} else if (gguf_number(c, "rope.scale_linear", 1) != 1) { /* the older key */
		r->kind = ROPE_LINEAR;
		r->factor = gguf_number(c, "rope.scale_linear", 1);
	}
	if (!c->failed && (!(r->theta > 0) || !(r->factor > 0) || r->rot > m->head_dim || r->rot % 2))
		gguf_refuse(c, "these rope numbers are");
}

int config_from_gguf(struct model *m, const struct checkpoint *ck, struct err *e)
{
	struct gguf_config c = {.g = ck->gguf, .path = ck->path, .e = e};
	struct gguf_str s;
	if (!gguf_string(c.g, "general.architecture", &s) || s.len == 0 || s.len >= sizeof(c.arch))
		return err_set(e, ERR_FORMAT, "%s: general.architecture is missing", c.path);
	memcpy(c.arch, s.p, s.len);
	for (size_t i = 0; i < arch_count; i++)
		if (arch_table[i].gguf && !strcmp(arch_table[i].gguf, c.arch))
			m->arch = &arch_table[i];
	if (!m->arch)
		return err_set(e, ERR_UNSUPPORTED, "%s: architecture \"%s\" is not supported", c.path,
			c.arch);
	const struct tensor *embed = checkpoint_find(ck, m->arch->gguf_name[ROLE_EMBED]);
	const struct gguf_kv *tokens = gguf_find(c.g, "tokenizer.ggml.tokens");
	m->hidden = gguf_count(&c, "embedding_length", 0);
	m->ffn = gguf_count(&c, "feed_forward_length", 0);
	m->n_layers = gguf_count(&c, "block_count", 0);
	m->heads = gguf_count(&c, "attention.head_count", 0);
	m->kv_heads = gguf_count(&c, "attention.head_count_kv", m->heads);
	m->head_dim = gguf_count(&c, "attention.key_length", m->hidden / m->heads);
	m->ctx_train = gguf_count(&c, "context_length", 2048);
	m->vocab = embed && embed->n_dims == 2 && embed->shape[0] < 1000000000
			   ? (uint32_t)embed->shape[0]
			   : gguf_count(&c, "vocab_size", tokens ? (uint32_t)tokens->count : 0);
	m->norm_eps = (float)gguf_number(&c, "attention.layer_norm_rms_epsilon", 1e-5);
	m->tied = !checkpoint_find(ck, m->arch->gguf_name[ROLE_HEAD]);
	m->act = ACT_SILU;
	m->rope.style = m->arch->rope_gguf;
	uint64_t experts = 0;
	char k[160];
	if (gguf_u64(c.g, full_key(&c, "expert_count", k), &experts) && experts)
		return gguf_refuse(&c, "mixture-of-experts models are");
	if (gguf_count(&c, "attention.value_length", m->head_dim) != m->head_dim)
		return gguf_refuse(&c, "value heads of another size than key heads are");
	if (!c.failed)
		gguf_rope(&c, m);
	return c.failed ? -1 : 0;
}
