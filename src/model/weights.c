/* Where each weight of a model lies: names, shapes, dtypes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/arch.h"
#include "model/quantization.h"

#define NAME_MAX_LEN 192

struct search {
	struct model *m;
	const struct checkpoint *c;
	const char *base;	/* what @ stands for in this checkpoint */
	const char *head_prefix; /* what stands before names without @ */
	struct err *e;
};

/* The shape that a role must have as [out, in]; rows 0 means a vector of `cols`. cols 0: several are
 * possible. */
static void role_shape(const struct model *m, enum role role, uint64_t *rows, uint64_t *cols)
{
	uint64_t q = (uint64_t)m->heads * m->head_dim, kv = (uint64_t)m->kv_heads * m->head_dim;
	const uint64_t experts = m->moe.n_experts, ef = m->moe.ffn, sf = m->moe.shared_ffn;
	const struct mla *a = &m->mla;
	const uint64_t shapes[ROLES][2] = {
		[ROLE_EMBED] = {m->vocab, m->embed_dim},
		[ROLE_POS_EMBED] = {(uint64_t)m->ctx_train + m->pos_offset, m->hidden},
		[ROLE_PROJ_IN] = {m->hidden, m->embed_dim},
		[ROLE_QKV] = {q + 2 * kv, m->hidden},
		[ROLE_Q] = {q, m->hidden},
		[ROLE_K] = {kv, m->hidden}, [ROLE_V] = {kv, m->hidden},
		[ROLE_Q_A] = {a->q_rank, m->hidden},
		[ROLE_Q_A_NORM] = {0, a->q_rank},
		[ROLE_Q_B] = {q, a->q_rank},
		[ROLE_KV_A] = {(uint64_t)a->kv_rank + a->rope, m->hidden},
		[ROLE_KV_A_NORM] = {0, a->kv_rank},
		[ROLE_K_B] = {a->kv_rank, a->nope},
		[ROLE_V_B] = {a->v, a->kv_rank},
		[ROLE_O] = {m->hidden, a->kv_rank ? (uint64_t)m->heads * a->v : q},
		[ROLE_GATE_UP] = {2 * (uint64_t)m->ffn, m->hidden},
		[ROLE_GATE] = {m->ffn, m->hidden},
		[ROLE_UP] = {m->ffn, m->hidden},
		[ROLE_DOWN] = {m->hidden, m->ffn},
		[ROLE_ROUTER] = {experts, m->hidden},
		[ROLE_SHARED_GATE_UP] = {2 * sf, m->hidden},
		[ROLE_SHARED_GATE] = {sf, m->hidden},
		[ROLE_SHARED_UP] = {sf, m->hidden},
		[ROLE_SHARED_DOWN] = {m->hidden, sf},
		[ROLE_EXPERT_GATE_UP] = {2 * ef, m->hidden},
		[ROLE_EXPERT_GATE] = {ef, m->hidden},
		[ROLE_EXPERT_UP] = {ef, m->hidden},
		[ROLE_EXPERT_DOWN] = {m->hidden, ef},
		[ROLE_PROJ_OUT] = {m->embed_dim, m->hidden},
		[ROLE_HEAD] = {m->vocab, m->embed_dim},
		[ROLE_QKV_BIAS] = {0, q + 2 * kv},
		[ROLE_Q_BIAS] = {0, q},
		[ROLE_K_BIAS] = {0, kv}, [ROLE_V_BIAS] = {0, kv},
		[ROLE_Q_A_BIAS] = {0, a->q_rank},
		[ROLE_KV_A_BIAS] = {0, (uint64_t)a->kv_rank + a->rope},
		[ROLE_GATE_UP_BIAS] = {0, 2 * (uint64_t)m->ffn},
		[ROLE_GATE_BIAS] = {0, m->ffn},
		[ROLE_UP_BIAS] = {0, m->ffn},
		[ROLE_HEAD_BIAS] = {0, m->vocab},
		[ROLE_SINKS] = {0, m->heads},
		[ROLE_ROUTER_BIAS] = {0, experts},
		[ROLE_ROUTER_CHOICE] = {0, experts},
		[ROLE_EXPERT_GATE_UP_BIAS] = {0, 2 * ef},
		[ROLE_EXPERT_GATE_BIAS] = {0, ef},
		[ROLE_EXPERT_UP_BIAS] = {0, ef},
		[ROLE_ROPE_FACTORS] = {0, m->rope[0].rot / 2},
		[ROLE_ROPE_SHORT] = {0, m->rope[0].rot / 2},
		[ROLE_ROPE_LONG] = {0, m->rope[0].rot / 2},
	};
	*rows = shapes[role][0];
	*cols = shapes[role][1];
	bool any = role == ROLE_Q_NORM || role == ROLE_K_NORM || role == ROLE_Q_NORM_BIAS ||
		role == ROLE_K_NORM_BIAS;
	if (!*cols && !any) /* norms, biases of what ends in the residual stream */
		*cols = m->hidden;
}

/* --- one weight --------------------------------------------------------------------------------- */

static int check_shape(const char *path, const struct stored *t, const struct weight *w, struct err *e)
{
	bool fits = t->n_dims < 1 ? false : w->rows > 1 || role_is_streamed(w->role) || role_is_gathered(w->role)
			    ? t->n_dims == 2 && t->shape[0] == w->rows && t->shape[1] == w->cols
			    : t->shape[t->n_dims - 1] == w->cols &&
				      (t->n_dims == 1 || (t->n_dims == 2 && t->shape[0] == 1));
	if (fits)
		return 0;
	return err_set(e, ERR_FORMAT, "%s: tensor %s has shape [%llu%s%llu], but the config wants [%u, %u]", path,
		t->tensor->name, (unsigned long long)t->shape[0], t->n_dims > 1 ? ", " : "; dims ",
		(unsigned long long)(t->n_dims > 1 ? t->shape[1] : (uint64_t)t->n_dims), w->rows, w->cols);
}

/* One weight by the name of its tensor: fills dtype, place and scales of *w, whose role, layer, rows,
 * cols and transposed are what the model wants. 1: found, 0: no such tensor, -1: error. */
static int weight_resolve(const struct model *m, const struct checkpoint *c, const char *name, struct weight *w,
	struct err *e)
{
	struct stored t;
	if (stored_find(&t, m->quantization, name, e) < 0)
		return -1;
	if (!t.tensor)
		return 0;
	if (t.dtype != DTYPE_UNKNOWN && check_shape(c->files[t.tensor->file].path, &t, w, e) < 0)
		return -1;
	return weight_from_stored(w, c, &t, 0, e) < 0 ? -1 : 1;
}

/* --- names -------------------------------------------------------------------------------------- */

/* The name of a pattern's first alternative, in out; returns what follows it, NULL at the end. */
static const char *expand(const struct search *s, const char *p, uint32_t layer, uint32_t part,
	char out[NAME_MAX_LEN])
{
	size_t n = 0;
	int number = 0;
	n += (size_t)snprintf(out, NAME_MAX_LEN, "%s", *p == '@' ? s->base : s->head_prefix);
	for (p += *p == '@'; *p && *p != '|' && n + 12 < NAME_MAX_LEN; p++) {
		if (p[0] == '%' && p[1] == 'u') {
			n += (size_t)snprintf(out + n, NAME_MAX_LEN - n, "%u", number++ ? part : layer);
			p++;
		} else {
			out[n++] = *p;
		}
	}
	out[n] = '\0';
	return *p == '|' ? p + 1 : NULL;
}

static bool is_of_mla(const struct model *m, enum role role)
{
	bool q_low = role == ROLE_Q_A || role == ROLE_Q_A_NORM || role == ROLE_Q_B;
	return q_low ? m->mla.q_rank > 0 : role >= ROLE_KV_A && role <= ROLE_V_B;
}

static bool role_exists(const struct search *s, enum role role, uint32_t layer)
{
	const struct model *m = s->m;
	const bool experts = layer < m->n_layers && m->layers[layer].experts, mla = m->mla.kv_rank > 0;
	switch (role) {
	case ROLE_ATTN_NORM:
	case ROLE_FFN_NORM:
	case ROLE_OUT_NORM:
		return !m->without[role] && !m->norm_bare;
	case ROLE_GATE_UP:
	case ROLE_GATE:
	case ROLE_UP:
	case ROLE_DOWN:
		return !m->without[role] && !experts;
	case ROLE_SHARED_GATE_UP:
	case ROLE_SHARED_GATE:
	case ROLE_SHARED_UP:
	case ROLE_SHARED_DOWN:
	case ROLE_SHARED_SCALE:
		return experts && m->moe.shared_ffn > 0;
	case ROLE_ROUTER:
	case ROLE_ROUTER_BIAS:
	case ROLE_ROUTER_CHOICE:
		return experts;
	case ROLE_QKV:
	case ROLE_K:
	case ROLE_V:
		return !m->without[role] && !mla;
	case ROLE_Q:
		return !m->without[role] && !(mla && m->mla.q_rank);
	default:
		if (role_is_expert(role))
			return experts;
		if (role >= ROLE_Q_A && role <= ROLE_V_B)
			return mla && is_of_mla(m, role);
		return !m->without[role];
	}
}

/* A vector in parts of head_dim each, or any of the shapes that a norm of heads may have. */
static int resolve_head_norm(struct search *s, const char *name, const char *pattern, uint32_t layer,
	struct weight *w)
{
	const struct model *m = s->m;
	uint32_t heads = w->role == ROLE_Q_NORM || w->role == ROLE_Q_NORM_BIAS ? m->heads : m->kv_heads;
	struct stored stored;
	if (stored_find(&stored, m->quantization, name, s->e) < 0)
		return -1;
	const struct stored *t = stored.tensor ? &stored : NULL;
	const char *second = strstr(pattern, "%u");
	second = second ? strstr(second + 2, "%u") : NULL;
	if (!t)
		return 0;
	w->rows = t->n_dims == 2 ? (uint32_t)heads : 1;
	bool whole = t->n_dims == 1 && t->shape[0] != m->head_dim;
	w->cols = whole ? heads * m->head_dim : m->head_dim;
	if (weight_resolve(s->m, s->c, name, w, s->e) < 0)
		return -1;
	w->cols *= w->rows;
	w->rows = 1;
	if (!second)
		return 1;
	if (!(w->parts = mem_array(heads, sizeof(*w->parts))))
		return err_nomem(s->e);
	w->n_parts = heads;
	for (uint32_t i = 0; i < heads; i++) {
		char part[NAME_MAX_LEN];
		struct weight one = {.role = w->role, .rows = 1, .cols = m->head_dim};
		expand(s, pattern, layer, i, part);
		int found = weight_resolve(s->m, s->c, part, &one, s->e);
		if (found <= 0)
			return found < 0 ? -1 : err_set(s->e, ERR_FORMAT, "%s: tensor %s is missing",
				s->c->path, part);
		w->parts[i] = one.tensor;
	}
	w->cols = heads * m->head_dim;
	return 1;
}

static bool is_transposed(const struct search *s, enum role role)
{
	unsigned flag = role_is_expert(role) ? ARCH_TRANSPOSED_EXPERTS : ARCH_TRANSPOSED;
	return role_is_streamed(role) && !role_is_global(role) && s->c->kind != CHECKPOINT_GGUF &&
		(s->m->arch->flags & flag);
}

/* Weight i of n from what holds all of them: stacked [n, rows, cols] (vectors: [n, cols]), or for the heads
 * of latent attention also one matrix in which each head has its rows of K_B, then those of V_B. */
static int take_slice(struct search *s, const struct stored *t, struct weight *w, uint32_t i, uint32_t n)
{
	const struct mla *a = &s->m->mla;
	const char *path = s->c->files[t->tensor->file].path;
	const bool head = w->role == ROLE_K_B || w->role == ROLE_V_B;
	uint64_t row = (uint64_t)i * w->rows;
	bool fits = w->rows == 1 && !head ? t->n_dims == 2 && t->shape[0] == n && t->shape[1] == w->cols
					    : t->n_dims == 3 && t->shape[0] == n && t->shape[1] == w->rows &&
							t->shape[2] == w->cols;
	if (head && t->n_dims == 2) {
		fits = t->shape[0] == (uint64_t)n * (a->nope + a->v) && t->shape[1] == a->kv_rank;
		w->transposed = w->role == ROLE_K_B; /* its rows are what the product with the key sums over */
		w->rows = w->transposed ? a->nope : a->v;
		w->cols = a->kv_rank;
		row = (uint64_t)i * (a->nope + a->v) + (w->transposed ? 0 : a->nope);
	}
	if (!fits)
		return err_set(s->e, ERR_FORMAT, "%s: tensor %s has not the shape that the config wants: %u of [%u, %u]",
			path, t->tensor->name, n, w->rows, w->cols);
	return weight_from_stored(w, s->c, t, row, s->e);
}

/* Is a stack of experts' matrices [in, out]? Files of some families exist in both forms; the shape tells,
 * the family where it doesn't. */
static bool is_turned(const struct search *s, enum role role, const struct stored *t, uint64_t rows, uint64_t cols)
{
	const bool usual = is_transposed(s, role) && !t->flipped;
	if (!role_is_expert(role) || t->n_dims != 3 || t->scale || rows == cols)
		return usual;
	return t->shape[1] == cols && t->shape[2] == rows ? true
		: t->shape[1] == rows && t->shape[2] == cols ? false : usual;
}

/* The n weights of a role that has one for each expert or head: one tensor for all, or one each (the
 * second %u of the pattern). Returns as weight_resolve does. */
static int find_copies(struct search *s, enum role role, uint32_t layer, const char *pattern,
	struct weight *w, uint32_t n)
{
	char name[NAME_MAX_LEN], first[NAME_MAX_LEN] = "";
	struct stored t = {0};
	uint64_t rows, cols;
	role_shape(s->m, role, &rows, &cols);
	for (const char *p = pattern, *next; p; p = next) {
		bool each = strcspn(p, "|") > 0 && strstr(p, "%u") &&
			strstr(strstr(p, "%u") + 2, "%u") && strstr(strstr(p, "%u") + 2, "%u") < p + strcspn(p, "|");
		next = expand(s, p, layer, 0, name);
		if (!*first)
			memcpy(first, name, sizeof(first));
		if (stored_find(&t, s->m->quantization, name, s->e) < 0)
			return -1;
		for (uint32_t i = 0; t.tensor && i < n; i++) {
			bool turned = rows && is_turned(s, role, &t, rows, cols);
			w[i] = (struct weight){.role = role, .layer = layer, .transposed = turned,
				.rows = (uint32_t)(turned ? cols : rows ? rows : 1),
				.cols = (uint32_t)(turned ? rows : cols)};
			expand(s, p, layer, i, name);
			int found = each ? weight_resolve(s->m, s->c, name, &w[i], s->e)
					 : take_slice(s, &t, &w[i], i, n);
			if (found < 0)
				return -1;
			if (each && !found)
				return err_set(s->e, ERR_FORMAT, "%s: tensor %s is missing", s->c->path, name);
		}
		if (t.tensor)
			return 1;
	}
	if (role_is_optional(role))
		return 0;
	return err_set(s->e, ERR_FORMAT, "%s: tensor %s is missing", s->c->path, first);
}

static int find_one(struct search *s, enum role role, uint32_t layer, const char *pattern, struct weight *w)
{
	const struct model *m = s->m;
	char name[NAME_MAX_LEN], first[NAME_MAX_LEN] = "";
	uint64_t rows, cols;
	role_shape(m, role, &rows, &cols);
	if (rows > UINT32_MAX || cols > UINT32_MAX)
		return err_set(s->e, ERR_FORMAT, "%s: the config's dimensions are too large", s->c->path);
	for (const char *p = pattern; p; ) {
		const char *next = expand(s, p, layer, 0, name);
		*w = (struct weight){.role = role, .layer = layer, .rows = rows ? (uint32_t)rows : 1,
			.cols = (uint32_t)cols};
		w->transposed = is_transposed(s, role);
		if (w->transposed) {
			w->rows = (uint32_t)cols;
			w->cols = (uint32_t)rows;
		}
		int found = cols ? weight_resolve(s->m, s->c, name, w, s->e) : resolve_head_norm(s, name, p, layer, w);
		if (found)
			return found;
		if (!*first)
			memcpy(first, name, sizeof(first));
		p = next;
	}
	if (role_is_optional(role))
		return 0;
	return err_set(s->e, ERR_FORMAT, "%s: tensor %s is missing", s->c->path, first);
}

/* A fused matrix is there: then its parts need not be. */
static bool has_fused(const struct model *m, enum role role, uint32_t layer)
{
	bool qkv = role == ROLE_Q || role == ROLE_K || role == ROLE_V;
	bool ffn = role == ROLE_GATE || role == ROLE_UP;
	bool shared = role == ROLE_SHARED_GATE || role == ROLE_SHARED_UP;
	bool expert = role == ROLE_EXPERT_GATE || role == ROLE_EXPERT_UP;
	return (qkv && model_weight(m, layer, ROLE_QKV)) || (ffn && model_weight(m, layer, ROLE_GATE_UP)) ||
		(shared && model_weight(m, layer, ROLE_SHARED_GATE_UP)) ||
		(expert && model_weight(m, layer, ROLE_EXPERT_GATE_UP));
}

/* Has the family names for both forms, so that the fused one may be missing? */
static bool is_either(const struct model *m, bool gguf, enum role role)
{
	return (role == ROLE_QKV && arch_name(m->arch, gguf, ROLE_Q)) ||
		(role == ROLE_GATE_UP && arch_name(m->arch, gguf, ROLE_UP)) ||
		(role == ROLE_SHARED_GATE_UP && arch_name(m->arch, gguf, ROLE_SHARED_UP)) ||
		(role == ROLE_EXPERT_GATE_UP && arch_name(m->arch, gguf, ROLE_EXPERT_UP));
}

static int add_weight(struct search *s, enum role role, uint32_t layer)
{
	struct model *m = s->m;
	bool gguf = s->c->kind == CHECKPOINT_GGUF;
	enum role from = role == ROLE_HEAD && m->tied ? ROLE_EMBED : role;
	const char *pattern = arch_name(m->arch, gguf, from);
	const uint32_t n = model_copies(m, role);
	if (!pattern || !role_exists(s, role, layer) || has_fused(m, role, layer))
		return 0;
	struct weight *w = &m->weights[m->n_weights];
	char name[NAME_MAX_LEN];
	if (is_either(m, gguf, role)) {
		struct stored t;
		expand(s, pattern, layer, 0, name);
		if (stored_find(&t, m->quantization, name, s->e) < 0)
			return -1;
		if (!t.tensor)
			return 0;
	}
	bool copies = role_is_expert(role) || role == ROLE_K_B || role == ROLE_V_B;
	int found = copies ? find_copies(s, role, layer, pattern, w, n) : find_one(s, role, layer, pattern, w);
	if (found <= 0) {
		free(w->parts);
		w->parts = NULL;
		return found;
	}
	m->by_role[(size_t)layer * ROLES + role] = (int32_t)m->n_weights;
	m->n_weights += n;
	for (uint32_t i = 0; copies && i < n; i++)
		m->bytes += w[i].rows * w[i].row_bytes;
	for (uint32_t i = 1; i < w->n_parts; i++)
		m->bytes += w->parts[i]->bytes;
	if (!copies && !(role == ROLE_HEAD && m->tied))
		m->bytes += w->tensor->bytes;
	return 0;
}

/* The prefix of this checkpoint: a base model saved alone has none, multimodal ones add theirs. */
static void choose_base(struct search *s)
{
	const struct arch *a = s->m->arch;
	static const char *const others[][2] = {{"", ""}, {"model.language_model.", ""},
		{"language_model.model.", "language_model."}, {"language_model.", "language_model."},
		{"model.text_model.", ""}, {"text_model.model.", "text_model."}, {"decoder.", ""}};
	char name[NAME_MAX_LEN];
	const char *pattern = arch_name(a, false, ROLE_EMBED);
	s->base = a->base ? a->base : "";
	s->head_prefix = "";
	if (s->c->kind == CHECKPOINT_GGUF)
		return;
	struct search try = *s;
	expand(&try, pattern, 0, 0, name);
	for (size_t i = 0; !checkpoint_find(s->c, name) && i < sizeof(others) / sizeof(*others); i++) {
		try.base = others[i][0];
		try.head_prefix = others[i][1];
		expand(&try, pattern, 0, 0, name);
	}
	if (checkpoint_find(s->c, name))
		*s = try;
}

/* Without a tensor for the head, the embedding is the head, whatever the config says. */
static void choose_tied(struct search *s)
{
	const char *pattern = arch_name(s->m->arch, s->c->kind == CHECKPOINT_GGUF, ROLE_HEAD);
	char name[NAME_MAX_LEN];
	for (const char *p = pattern; p && !s->m->tied; ) {
		p = expand(s, p, 0, 0, name);
		if (checkpoint_find(s->c, name))
			return;
	}
	s->m->tied = true;
}

/* A bias beside a weight that is used is part of the model's equations. One that the family has no place
 * for is refused, rather than left out. */
static int refuse_unused_biases(const struct search *s)
{
	static const char bias[] = ".bias", weight[] = ".weight";
	const struct checkpoint *c = s->c;
	const struct model *m = s->m;
	char name[NAME_MAX_LEN];
	int rc = 0;
	bool *used = mem_array(c->n_tensors, sizeof(*used));
	if (!used)
		return err_nomem(s->e);
	for (size_t i = 0; i < m->n_weights; i++)
		if (m->weights[i].tensor)
			used[m->weights[i].tensor - c->tensors] = true;
	for (size_t i = 0; rc == 0 && i < c->n_tensors; i++) {
		const struct tensor *t = &c->tensors[i];
		size_t n = strlen(t->name), end = sizeof(bias) - 1;
		if (used[i] || n <= end || n + sizeof(weight) > sizeof(name) || strcmp(t->name + n - end, bias) != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s%s", (int)(n - end), t->name, weight);
		const struct tensor *w = checkpoint_find(c, name);
		if (w && used[w - c->tensors])
			rc = err_set(s->e, ERR_UNSUPPORTED, "%s: tensor %s is a bias that this kind of model has no place for",
				c->files[t->file].path, t->name);
	}
	free(used);
	return rc;
}

int weights_find(struct model *m, const struct checkpoint *c, struct err *e)
{
	struct search s = {.m = m, .c = c, .e = e};
	/* Each layer needs several tensors, so a layer count beyond the tensors is refused before
	 * anything is allocated for it. */
	if (m->n_layers > c->n_tensors)
		return err_set(e, ERR_FORMAT, "%s: the config names %u layers, but there are only %zu tensors",
			c->path, m->n_layers, c->n_tensors);
	size_t n = ((size_t)m->n_layers + 1) * ROLES, all = n;
	for (uint32_t i = 0; i < m->n_layers; i++)
		all += (m->layers[i].experts ? 8 * (size_t)m->moe.n_experts : 0) +
			(m->mla.kv_rank ? 2 * (size_t)m->heads : 0);
	m->weights = mem_array(all, sizeof(*m->weights));
	m->by_role = mem_array(n, sizeof(*m->by_role));
	if (!m->weights || !m->by_role)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		m->by_role[i] = -1;
	choose_base(&s);
	choose_tied(&s);
	for (uint32_t layer = 0; layer <= m->n_layers; layer++)
		for (int r = 0; r < ROLES; r++)
			if (role_is_global((enum role)r) == (layer == m->n_layers) &&
				add_weight(&s, (enum role)r, layer) < 0)
				return -1;
	return refuse_unused_biases(&s);
}
