/* The rope part of config.json: rope_theta with rope_scaling (older files), rope_parameters
 * (transformers 5), either for the whole model or one object for each kind of layer. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "model/arch.h"

static const struct {
	const char *name;
	enum rope_kind kind;
} kinds[] = {{"default", ROPE_DEFAULT}, {"mrope", ROPE_DEFAULT}, {"none", ROPE_DEFAULT},
	{"linear", ROPE_LINEAR}, {"dynamic", ROPE_DYNAMIC}, {"llama3", ROPE_LLAMA3}, {"yarn", ROPE_YARN},
	{"longrope", ROPE_LONG}, {"su", ROPE_LONG}, {"proportional", ROPE_PROPORTIONAL}};

static float *read_factors(struct config *c, const cJSON *s, const char *key, uint32_t n)
{
	const cJSON *list = config_get(s, key), *v;
	if (!list || !cJSON_IsArray(list) || cJSON_GetArraySize(list) != (int)n) {
		config_fail(c, key, "does not hold one factor for each rotated pair");
		return NULL;
	}
	float *f = mem_array(n, sizeof(*f)), *at = f;
	if (!f) {
		err_nomem(c->e);
		c->failed = true;
		return NULL;
	}
	cJSON_ArrayForEach(v, list) {
		double d = cJSON_IsNumber(v) ? v->valuedouble : 0;
		if (!(d > 0 && d < 1e9))
			config_fail(c, key, "has factors that are no positive numbers");
		*at++ = (float)d;
	}
	return f;
}

static double mscale(double factor, double m)
{
	return factor <= 1 ? 1 : 0.1 * m * log(factor) + 1;
}

static void read_yarn(struct config *c, struct rope_params *r, const cJSON *s)
{
	double m = config_number(c, s, "mscale", 0), all = config_number(c, s, "mscale_all_dim", 0);
	double fast = config_number(c, s, "beta_fast", 32), slow = config_number(c, s, "beta_slow", 1);
	const cJSON *truncate = config_get(s, "truncate");
	r->beta_fast = fast != 0 ? fast : 32;
	r->beta_slow = slow != 0 ? slow : 1;
	r->truncate = !truncate || cJSON_IsTrue(truncate);
	double plain = m != 0 && all != 0 ? mscale(r->factor, m) / mscale(r->factor, all)
					   : mscale(r->factor, 1);
	r->attention = config_number(c, s, "attention_factor", plain);
	if (!(r->beta_fast > 0 && r->beta_slow > 0) || r->theta == 1)
		config_fail(c, "rope_scaling", "has senseless numbers");
}

static void read_longrope(struct config *c, struct rope_params *r, const cJSON *s)
{
	double plain = r->factor <= 1 ? 1 : sqrt(1 + log(r->factor) / log(r->original_ctx));
	r->attention = config_number(c, s, "attention_factor", plain);
	r->short_factor = read_factors(c, s, "short_factor", r->rot / 2);
	r->long_factor = read_factors(c, s, "long_factor", r->rot / 2);
}

static enum rope_kind read_kind(struct config *c, const cJSON *s)
{
	const char *name = config_string(c, s, "rope_type|type");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(*name ? name : "default", kinds[i].name))
			return kinds[i].kind;
	config_refuse(c, "rope type \"%s\" is not supported", name);
	return ROPE_DEFAULT;
}

void config_rope_set(struct config *c, struct model *m, struct rope_params *r, const cJSON *s, double theta)
{
	double def = m->arch->defaults.partial != 0 ? m->arch->defaults.partial : 1;
	double part = config_number(c, c->text, "partial_rotary_factor|rotary_pct|rope_percent|rope_pct", def);
	part = config_number(c, s, "partial_rotary_factor", part);
	*r = (struct rope_params){.kind = read_kind(c, s), .factor = 1, .attention = 1,
		.proportion = part, .theta = config_number(c, s, "rope_theta", theta)};
	if (!(part > 0 && part <= 1))
		config_fail(c, "partial_rotary_factor", "is not between 0 and 1");
	r->rot = r->kind == ROPE_PROPORTIONAL ? m->head_dim : (uint32_t)(m->head_dim * part);
	double orig = config_number(c, s, "original_max_position_embeddings", m->ctx_train);
	if (r->kind == ROPE_DYNAMIC)
		orig = m->ctx_train;
	else /* phi3 keeps it outside, where it counts more */
		orig = config_number(c, c->text, "original_max_position_embeddings", orig);
	double least = r->kind == ROPE_LONG || r->kind == ROPE_DYNAMIC ? 2 : 1;
	if (c->failed || !(orig >= least && orig <= 1e9)) {
		config_fail(c, "original_max_position_embeddings", "is not a sensible number");
		return;
	}
	r->original_ctx = (uint32_t)orig;
	bool implied = r->kind == ROPE_YARN || r->kind == ROPE_LONG || r->kind == ROPE_PROPORTIONAL;
	double ratio = r->kind == ROPE_PROPORTIONAL ? 1 : m->ctx_train / orig;
	if (r->kind != ROPE_DEFAULT)
		r->factor = config_number(c, s, "factor", implied ? ratio : NAN);
	if (!(r->factor > 0) || !(r->theta > 0) || r->rot < 2 || (r->kind == ROPE_DYNAMIC && r->rot < 4)) {
		config_fail(c, "rope_scaling", "has senseless numbers");
		return;
	}
	if (r->rot % 2)
		config_refuse(c, "rotating an odd part (%u) of a head is not supported", r->rot);
	if (r->kind == ROPE_LLAMA3) {
		r->low_freq_factor = config_number(c, s, "low_freq_factor", NAN);
		r->high_freq_factor = config_number(c, s, "high_freq_factor", NAN);
		if (!(r->low_freq_factor > 0 && r->high_freq_factor > r->low_freq_factor))
			config_fail(c, "rope_scaling", "has senseless numbers");
	} else if (r->kind == ROPE_YARN) {
		read_yarn(c, r, s);
	} else if (r->kind == ROPE_LONG) {
		read_longrope(c, r, s);
	}
}

/* One set for full attention, one for windowed layers. */
static void read_nested(struct config *c, struct model *m, const cJSON *full, const cJSON *sliding,
	double theta)
{
	if ((full && !cJSON_IsObject(full)) || (sliding && !cJSON_IsObject(sliding))) {
		config_fail(c, "rope_parameters", "is not an object of objects");
		return;
	}
	config_rope_set(c, m, &m->rope[0], full, theta);
	config_rope_set(c, m, &m->rope[1], sliding, theta);
	m->n_ropes = 2;
	for (uint32_t i = 0; i < m->n_layers; i++)
		m->layers[i].rope = m->layers[i].windowed;
}

void config_rope(struct config *c, struct model *m)
{
	const cJSON *s = config_get(c->text, "rope_parameters|rope_scaling");
	double theta = config_number(c, c->text, "rope_theta|rotary_emb_base|rope_base", m->arch->defaults.theta);
	if (s && cJSON_IsObject(s)) {
		const cJSON *full = config_get(s, "full_attention");
		const cJSON *sliding = config_get(s, "sliding_attention");
		if (full || sliding) {
			read_nested(c, m, full, sliding, theta);
			return;
		}
	} else if (s && !cJSON_IsFalse(s)) {
		config_fail(c, "rope_scaling", "is not an object");
		return;
	} else {
		s = NULL;
	}
	config_rope_set(c, m, &m->rope[0], s, theta);
}
