/* Dimensions from config.json. Defaults and meanings are those of the configuration classes in
 * transformers; keys with several names are read under each. */
#include "model/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "model/arch.h"
#include "model/quantization.h"

#define CONFIG_LIMIT ((size_t)16 << 20)

/* --- readers ---------------------------------------------------------------------------------- */

void config_fail(struct config *c, const char *key, const char *why)
{
	int len = (int)strcspn(key, "|");
	if (!c->failed)
		err_set(c->e, ERR_FORMAT, "%s: %.*s %s", c->path, len, key, why);
	c->failed = true;
}

void config_refuse(struct config *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (!c->failed) {
		err_vset(c->e, ERR_UNSUPPORTED, fmt, ap);
		err_prefix(c->e, "%s", c->path);
	}
	va_end(ap);
	c->failed = true;
}

const cJSON *config_get(const cJSON *o, const char *keys)
{
	char key[64];
	for (const char *p = keys; *p; p += *p == '|') {
		size_t len = strcspn(p, "|");
		if (len < sizeof(key)) {
			memcpy(key, p, len);
			key[len] = '\0';
			const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
			if (v && !cJSON_IsNull(v))
				return v;
		}
		p += len;
	}
	return NULL;
}

uint32_t config_count(struct config *c, const char *keys, double fallback)
{
	const cJSON *v = config_get(c->text, keys);
	double d = v && cJSON_IsNumber(v) ? v->valuedouble : v ? NAN : fallback;
	if (!(d >= 1 && d <= 1e9 && d == floor(d))) {
		config_fail(c, keys, v ? "is not a sensible whole number" : "is missing");
		return 1;
	}
	return (uint32_t)d;
}

uint32_t config_count_or_none(struct config *c, const char *keys, uint32_t fallback)
{
	char key[64];
	snprintf(key, sizeof(key), "%.*s", (int)strcspn(keys, "|"), keys);
	const cJSON *v = config_get(c->text, keys);
	if (!v) /* null is a value here: none */
		return cJSON_GetObjectItemCaseSensitive(c->text, key) ? 0 : fallback;
	if (cJSON_IsFalse(v) || (cJSON_IsNumber(v) && v->valuedouble <= 0))
		return 0;
	return config_count(c, keys, 0);
}

double config_number(struct config *c, const cJSON *o, const char *keys, double fallback)
{
	const cJSON *v = config_get(o, keys);
	double d = v && cJSON_IsNumber(v) ? v->valuedouble : v ? NAN : fallback;
	if (!isfinite(d)) {
		config_fail(c, keys, v ? "is not a number" : "is missing");
		return 1;
	}
	return d;
}

bool config_flag(struct config *c, const char *keys, bool fallback)
{
	const cJSON *v = config_get(c->text, keys);
	if (v && !cJSON_IsBool(v))
		config_fail(c, keys, "is neither true nor false");
	return v ? cJSON_IsTrue(v) : fallback;
}

const char *config_string(struct config *c, const cJSON *o, const char *keys)
{
	const cJSON *v = config_get(o, keys);
	if (v && !cJSON_IsString(v))
		config_fail(c, keys, "is no string");
	return v && cJSON_IsString(v) ? v->valuestring : "";
}

/* --- the parts that families share ------------------------------------------------------------ */

static void read_act(struct config *c, struct model *m)
{
	static const struct {
		const char *name;
		enum act_kind act;
	} acts[] = {{"silu", ACT_SILU}, {"swish", ACT_SILU}, {"gelu_pytorch_tanh", ACT_GELU_TANH},
		{"gelu_new", ACT_GELU_TANH}, {"gelu_fast", ACT_GELU_TANH}, {"gelu_accurate", ACT_GELU_TANH},
		{"gelu", ACT_GELU_ERF}, {"gelu_python", ACT_GELU_ERF}, {"quick_gelu", ACT_GELU_QUICK},
		{"relu", ACT_RELU}, {"relu2", ACT_RELU2}};
	const char *name = config_string(c, c->text,
		"hidden_activation|hidden_act|activation_function|activation|hidden_activation_function");
	m->act = m->arch->defaults.act;
	if (!*name)
		return;
	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++) {
		if (!strcmp(name, acts[i].name)) {
			m->act = acts[i].act;
			return;
		}
	}
	config_refuse(c, "activation \"%s\" is not supported", name);
}

static const struct arch *find_arch(const char *type)
{
	for (size_t i = 0; i < arch_count; i++)
		if (*type && arch_table[i].model_type && arch_list_has(arch_table[i].model_type, type))
			return &arch_table[i];
	return NULL;
}

/* The family, and the language model's part of a multimodal config. */
static void choose_part(struct config *c, struct model *m)
{
	const cJSON *part = config_get(c->top, "text_config|llm_config|language_config");
	const char *type = config_string(c, c->top, "model_type");
	c->text = c->top;
	if (part && cJSON_IsObject(part)) {
		const char *inner = config_string(c, part, "model_type");
		/* a text_config without a type is that of the wrapper's own family */
		m->arch = find_arch(*inner ? inner : type);
		if (m->arch || *inner) {
			c->text = part;
			type = *inner ? inner : type;
		}
	} else {
		m->arch = find_arch(type);
	}
	if (config_get(c->top, "vision_config|audio_config|visual"))
		m->note = "only the text model is used; images and sound are not";
	if (!*type)
		config_fail(c, "model_type", "is missing");
	else if (!m->arch)
		config_refuse(c, "model type \"%s\" is not supported", type);
}

static bool has_null(const struct config *c, const char *key)
{
	return cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(c->text, key));
}

static void read_dimensions(struct config *c, struct model *m)
{
	const struct arch_defaults *d = &m->arch->defaults;
	m->hidden = config_count(c, "hidden_size|n_embd|n_embed|d_model", d->hidden);
	m->embed_dim = m->hidden;
	m->n_layers = config_count(c, "num_hidden_layers|n_layer|num_layers|n_layers", d->layers);
	m->heads = config_count(c, "num_attention_heads|n_head|n_heads|num_heads", d->heads);
	/* null is not the default, but what follows from the other numbers */
	uint32_t kv = has_null(c, "num_key_value_heads") || !d->kv_heads ? m->heads : d->kv_heads;
	uint32_t dim = has_null(c, "head_dim") || !d->head_dim ? m->hidden / m->heads : d->head_dim;
	m->kv_heads = config_count(c, "num_key_value_heads|num_kv_heads|n_head_kv", kv);
	m->head_dim = config_count(c, "head_dim|kv_channels", dim);
	m->ffn = config_count(c, "intermediate_size|ffn_dim|ffn_hidden_size|n_inner",
		d->ffn ? d->ffn : fmin(4.0 * m->hidden, 1e9));
	m->vocab = config_count(c, "padded_vocab_size|vocab_size", d->vocab);
	m->ctx_train = config_count(c,
		"max_position_embeddings|n_positions|seq_length|max_sequence_length|n_ctx|max_seq_len", d->ctx);
	m->norm_eps = (float)config_number(c, c->text,
		"rms_norm_eps|layer_norm_eps|layer_norm_epsilon|norm_epsilon|layernorm_epsilon|norm_eps", d->eps);
	const cJSON *outer = config_get(c->top, "tie_word_embeddings");
	m->tied = config_flag(c, "tie_word_embeddings", outer ? cJSON_IsTrue(outer) : d->tied);
}

static int make_layers(struct config *c, struct model *m)
{
	if (m->n_layers > MODEL_LAYERS_MAX)
		config_fail(c, "num_hidden_layers", "is too large");
	if (c->failed)
		return -1;
	m->layers = mem_array(m->n_layers, sizeof(*m->layers));
	if (!m->layers)
		return err_nomem(c->e);
	return 0;
}

void config_windows(struct config *c, struct model *m, uint32_t pattern)
{
	const cJSON *types = config_get(c->text, "layer_types"), *t = types ? types->child : NULL;
	if (types && (!cJSON_IsArray(types) || cJSON_GetArraySize(types) != (int)m->n_layers)) {
		config_fail(c, "layer_types", "does not name the kind of each layer");
		return;
	}
	for (uint32_t i = 0; i < m->n_layers; i++, t = t ? t->next : NULL) {
		const char *kind = t && cJSON_IsString(t) ? t->valuestring : NULL;
		m->layers[i].windowed = m->window && (pattern == 0 || (i + 1) % pattern != 0);
		if (kind && !strcmp(kind, "sliding_attention"))
			m->layers[i].windowed = m->window > 0;
		else if (kind && !strcmp(kind, "full_attention"))
			m->layers[i].windowed = false;
		else if (t) {
			config_refuse(c, "layers of type \"%s\" are not supported", kind ? kind : "?");
			return;
		}
	}
}

static void apply_flags(struct model *m, bool json)
{
	unsigned f = m->arch->flags;
	m->norm_centred = f & (ARCH_LAYER_NORM | ARCH_BARE_NORM);
	m->norm_bare = f & ARCH_BARE_NORM;
	m->norm_plus_one = json && (f & ARCH_PLUS_ONE);
	m->parallel = f & ARCH_PARALLEL;
	m->qkv_groups = json && (f & ARCH_QKV_GROUPS);
	m->rope_style = json ? m->arch->rope_hf : m->arch->rope_gguf;
}

void model_defaults(struct model *m, bool json)
{
	apply_flags(m, json);
	m->embed_scale = m->residual_scale = m->logit_scale = 1;
	m->n_ropes = m->arch->flags & ARCH_NO_ROPE ? 0 : 1;
	for (uint32_t i = 0; i < m->n_layers; i++)
		m->layers[i] = (struct layer){.rope = m->n_ropes ? 0 : ROPE_NONE, .attn_scale = 1};
}

static void read_model(struct config *c, struct model *m)
{
	choose_part(c, m);
	if (c->failed)
		return;
	read_dimensions(c, m);
	if (make_layers(c, m) < 0) {
		c->failed = true;
		return;
	}
	model_defaults(m, true);
	m->attn_scale = 1.0f / sqrtf((float)m->head_dim);
	read_act(c, m);
	if (m->arch->flags & ARCH_WINDOW) {
		m->window = config_count_or_none(c, "sliding_window", m->arch->defaults.window);
		config_windows(c, m, 0);
	}
	const uint32_t head_dim = m->head_dim;
	if (m->arch->flags & ARCH_LATENT) /* only a part of its own is rotated */
		m->head_dim = config_count(c, "qk_rope_head_dim", m->arch->defaults.head_dim ? m->arch->defaults.head_dim : 64);
	if (m->n_ropes)
		config_rope(c, m);
	m->head_dim = head_dim;
	if (!c->failed && m->arch->json)
		m->arch->json(c, m);
}

/* Python writes numbers that JSON does not have; no key that matters here has them. They become null or 0. */
static void blank_python_numbers(char *p)
{
	static const char *const words[] = {"-Infinity", "Infinity", "NaN"};
	bool quoted = false;
	for (; *p; p++) {
		if (quoted && *p == '\\' && p[1])
			p++;
		else if (*p == '"')
			quoted = !quoted;
		for (size_t i = 0; !quoted && i < sizeof(words) / sizeof(*words); i++) {
			size_t len = strlen(words[i]);
			if (!strncmp(p, words[i], len)) {
				memset(p, ' ', len);
				memcpy(p, len > 3 ? "null" : "0  ", len > 3 ? 4 : 3);
			}
		}
	}
}

int config_from_json(struct model *m, const struct checkpoint *ck, struct err *e)
{
	struct config c = {.path = path_join(ck->dir, "config.json"), .e = e};
	struct buf text = BUF_INIT;
	if (!c.path)
		return err_nomem(e);
	int rc = file_read(c.path, CONFIG_LIMIT, &text, e);
	if (rc == 0 && text.len)
		blank_python_numbers(text.p);
	if (rc == 0 && !(c.json = cJSON_ParseWithLength(buf_str(&text), text.len)))
		rc = err_set(e, ERR_FORMAT, "%s is not valid JSON", c.path);
	if (rc == 0) {
		c.top = c.json;
		read_model(&c, m);
		const cJSON *part = c.text && !config_get(c.top, "quantization_config") ? c.text : c.top;
		if (!c.failed)
			rc = quantization_open(&m->quantization, ck, part, c.path, e);
	}
	cJSON_Delete(c.json);
	buf_clear(&text);
	free(c.path);
	return rc < 0 || c.failed ? -1 : 0;
}
