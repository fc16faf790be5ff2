/* Dimensions from GGUF metadata. Keys: gguf-py/gguf/constants.py of llama.cpp; which of them a family has
 * and what their absence means: its loaders under src/models/. */
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "model/arch.h"

const char *gguf_key(const struct gguf_config *c, const char *key, char out[160])
{
	struct buf b = BUF_INIT;
	buf_printf(&b, "%s.%s", c->arch, key);
	strncpy(out, buf_str(&b), 159);
	out[159] = '\0';
	buf_clear(&b);
	return out;
}

bool gguf_has(const struct gguf_config *c, const char *key)
{
	char k[160];
	return gguf_find(c->g, gguf_key(c, key, k));
}

uint32_t gguf_count(struct gguf_config *c, const char *key, uint32_t fallback)
{
	char k[160];
	uint64_t v = fallback;
	bool there = gguf_u64(c->g, gguf_key(c, key, k), &v);
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

double gguf_number(struct gguf_config *c, const char *key, double fallback)
{
	char k[160];
	double v = fallback;
	gguf_f64(c->g, gguf_key(c, key, k), &v);
	if (!isfinite(v) && isfinite(fallback))
		gguf_refuse(c, "a number that is not finite is");
	return v;
}

int gguf_refuse(struct gguf_config *c, const char *what)
{
	if (!c->failed)
		err_set(c->e, ERR_UNSUPPORTED, "%s: %s not supported", c->path, what);
	c->failed = true;
	return -1;
}

static void read_rope(struct gguf_config *c, struct model *m)
{
	struct rope_params *r = &m->rope[0];
	char k[160];
	struct gguf_str s = {"none", 4};
	*r = (struct rope_params){.factor = 1, .attention = 1, .beta_fast = 32, .beta_slow = 1, .truncate = true};
	r->rot = gguf_count(c, "rope.dimension_count", m->head_dim);
	r->theta = gguf_number(c, "rope.freq_base", 10000);
	r->original_ctx = gguf_count(c, "rope.scaling.original_context_length", m->ctx_train);
	r->factor = gguf_number(c, "rope.scaling.factor", gguf_number(c, "rope.scale_linear", 1));
	gguf_string(c->g, gguf_key(c, "rope.scaling.type", k), &s);
	if (s.len == 6 && !memcmp(s.p, "linear", 6)) {
		r->kind = ROPE_LINEAR;
	} else if (s.len == 4 && !memcmp(s.p, "yarn", 4)) {
		r->kind = ROPE_YARN;
		r->beta_fast = gguf_number(c, "rope.scaling.yarn_beta_fast", 32);
		r->beta_slow = gguf_number(c, "rope.scaling.yarn_beta_slow", 1);
		const double all = gguf_number(c, "rope.scaling.yarn_log_multiplier", 0); /* mscale_all_dim */
		const double grow = r->factor > 1 ? 0.1 * log(r->factor) : 0;
		r->attention = gguf_number(c, "rope.scaling.attn_factor", 1) * (1 + grow) / (1 + all * grow);
	} else if (s.len == 8 && !memcmp(s.p, "longrope", 8)) {
		r->kind = ROPE_LONG;
		r->attention = gguf_number(c, "rope.scaling.attn_factor", 1);
	} else if (s.len != 4 || memcmp(s.p, "none", 4) != 0) {
		gguf_refuse(c, "this kind of rope scaling is");
	} else if (r->factor != 1) { /* the older key alone */
		r->kind = ROPE_LINEAR;
	}
	if (gguf_has(c, "rope.scaling.attn_factor") && r->kind == ROPE_DEFAULT)
		r->attention = gguf_number(c, "rope.scaling.attn_factor", 1);
	if (!c->failed && (!(r->theta > 0) || !(r->factor > 0) || !(r->beta_fast > 0) || !(r->beta_slow > 0) ||
			      r->theta == 1 || !isfinite(r->attention) || r->rot > m->head_dim || r->rot % 2))
		gguf_refuse(c, "these rope numbers are");
}

static void read_dimensions(struct gguf_config *c, struct model *m)
{
	const struct tensor *embed = checkpoint_find(c->ck, arch_name(m->arch, true, ROLE_EMBED));
	const struct gguf_kv *tokens = gguf_find(c->g, "tokenizer.ggml.tokens");
	m->hidden = m->embed_dim = gguf_count(c, "embedding_length", 0);
	m->ffn = gguf_count(c, "feed_forward_length", 0);
	m->n_layers = gguf_count(c, "block_count", 0);
	uint64_t nextn = 0; /* the last blocks may guess tokens further ahead: not needed */
	char k[160];
	if (gguf_u64(c->g, gguf_key(c, "nextn_predict_layers", k), &nextn) && nextn < m->n_layers)
		m->n_layers -= (uint32_t)nextn;
	m->heads = gguf_count(c, "attention.head_count", 0);
	m->kv_heads = gguf_count(c, "attention.head_count_kv", m->heads);
	m->head_dim = gguf_count(c, "attention.key_length", m->hidden / m->heads);
	m->ctx_train = gguf_count(c, "context_length", 2048);
	m->vocab = embed && embed->n_dims == 2 && embed->shape[0] < 1000000000
			   ? (uint32_t)embed->shape[0]
			   : gguf_count(c, "vocab_size", tokens ? (uint32_t)tokens->count : 0);
	/* files of one family or another have the key of the other norm */
	bool layer_norm = m->arch->flags & (ARCH_LAYER_NORM | ARCH_BARE_NORM);
	const char *eps[] = {"attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"};
	m->norm_eps = (float)gguf_number(c, eps[layer_norm], gguf_number(c, eps[!layer_norm], 1e-5));
	m->act = m->arch->defaults.act;
}

int config_from_gguf(struct model *m, const struct checkpoint *ck, struct err *e)
{
	struct gguf_config c = {.g = ck->gguf, .ck = ck, .path = ck->path, .e = e};
	struct gguf_str s;
	if (!gguf_string(c.g, "general.architecture", &s) || s.len == 0 || s.len >= sizeof(c.arch))
		return err_set(e, ERR_FORMAT, "%s: general.architecture is missing", c.path);
	memcpy(c.arch, s.p, s.len);
	for (size_t i = 0; i < arch_count; i++)
		if (arch_table[i].gguf && arch_list_has(arch_table[i].gguf, c.arch))
			m->arch = &arch_table[i];
	if (!m->arch)
		return err_set(e, ERR_UNSUPPORTED, "%s: architecture \"%s\" is not supported", c.path,
			c.arch);
	read_dimensions(&c, m);
	if (c.failed)
		return -1;
	if (m->n_layers > MODEL_LAYERS_MAX)
		return gguf_refuse(&c, "so many layers are");
	if (!(m->layers = mem_array(m->n_layers, sizeof(*m->layers))))
		return err_nomem(e);
	model_defaults(m, false);
	m->attn_scale = 1.0f / sqrtf((float)m->head_dim);
	uint64_t experts = 0;
	char k[160];
	if (gguf_u64(c.g, gguf_key(&c, "expert_count", k), &experts) && experts && !(m->arch->flags & ARCH_EXPERTS))
		return gguf_refuse(&c, "mixture-of-experts models are");
	if (!(m->arch->flags & ARCH_LATENT) &&
		gguf_count(&c, "attention.value_length", m->head_dim) != m->head_dim)
		return gguf_refuse(&c, "value heads of another size than key heads are");
	if (m->n_ropes)
		read_rope(&c, m);
	if (!c.failed && m->arch->gguf_meta)
		m->arch->gguf_meta(&c, m);
	return c.failed ? -1 : 0;
}
