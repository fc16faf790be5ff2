#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/arch.h"
#include "store/gguf.h"

bool role_is_streamed(enum role role)
{
	switch (role) {
	case ROLE_Q:
	case ROLE_K:
	case ROLE_V:
	case ROLE_O:
	case ROLE_GATE:
	case ROLE_UP:
	case ROLE_DOWN:
	case ROLE_HEAD:
		return true;
	default:
		return false;
	}
}

static bool role_is_global(enum role role)
{
	return role == ROLE_EMBED || role == ROLE_OUT_NORM || role == ROLE_HEAD ||
		role == ROLE_ROPE_FACTORS;
}

static bool role_is_optional(enum role role)
{
	return role >= ROLE_Q_BIAS;
}

/* The shape that a role must have; rows 0 means a vector of `cols`. */
static void role_shape(const struct model *m, enum role role, uint64_t *rows, uint64_t *cols)
{
	uint64_t q = (uint64_t)m->heads * m->head_dim, kv = (uint64_t)m->kv_heads * m->head_dim;
	*rows = 0;
	*cols = m->hidden;
	switch (role) {
	case ROLE_EMBED:
	case ROLE_HEAD:
		*rows = m->vocab;
		break;
	case ROLE_Q:
		*rows = q;
		break;
	case ROLE_K:
	case ROLE_V:
		*rows = kv;
		break;
	case ROLE_O:
		*rows = m->hidden;
		*cols = q;
		break;
	case ROLE_GATE:
	case ROLE_UP:
		*rows = m->ffn;
		break;
	case ROLE_DOWN:
		*rows = m->hidden;
		*cols = m->ffn;
		break;
	case ROLE_Q_BIAS:
		*cols = q;
		break;
	case ROLE_K_BIAS:
	case ROLE_V_BIAS:
		*cols = kv;
		break;
	case ROLE_GATE_BIAS:
	case ROLE_UP_BIAS:
		*cols = m->ffn;
		break;
	case ROLE_ROPE_FACTORS:
		*cols = m->rope.rot / 2;
		break;
	default:
		break;
	}
}

static int check_tensor(const struct model *m, const struct checkpoint *c, enum role role,
	const struct tensor *t, struct err *e)
{
	const char *path = c->files[t->file].path;
	uint64_t rows, cols;
	role_shape(m, role, &rows, &cols);
	if (t->dtype == DTYPE_UNKNOWN)
		return err_set(e, ERR_UNSUPPORTED, "%s: tensor %s has type %s, which is not supported",
			path, t->name, t->type_name);
	bool fits = rows ? t->n_dims == 2 && t->shape[0] == rows && t->shape[1] == cols
			 : t->n_dims == 1 && t->shape[0] == cols;
	if (!fits)
		return err_set(e, ERR_FORMAT,
			"%s: tensor %s has shape [%llu%s%llu], but the config wants [%llu, %llu]", path,
			t->name, (unsigned long long)t->shape[0], t->n_dims > 1 ? ", " : "; dims ",
			(unsigned long long)(t->n_dims > 1 ? t->shape[1] : (uint64_t)t->n_dims),
			(unsigned long long)(rows ? rows : 1), (unsigned long long)cols);
	if (cols % dtype_info(t->dtype)->block)
		return err_set(e, ERR_FORMAT, "%s: tensor %s has rows of %llu elements, no multiple of %s's block",
			path, t->name, (unsigned long long)cols, dtype_info(t->dtype)->name);
	return 0;
}

static int add_weight(struct model *m, const struct checkpoint *c, enum role role, uint32_t layer,
	struct err *e)
{
	bool gguf = c->kind == CHECKPOINT_GGUF;
	enum role from = role == ROLE_HEAD && m->tied ? ROLE_EMBED : role;
	const char *pattern = gguf ? m->arch->gguf_name[from] : m->arch->hf[from];
	if (!pattern)
		return 0;
	char name[128], *at = strstr(pattern, "%u");
	if (at)
		snprintf(name, sizeof(name), "%.*s%u%s", (int)(at - pattern), pattern, layer, at + 2);
	else
		snprintf(name, sizeof(name), "%s", pattern);
	const struct tensor *t = checkpoint_find(c, name);
	if (!t && role_is_optional(role))
		return 0;
	if (!t)
		return err_set(e, ERR_FORMAT, "%s: tensor %s is missing", c->path, name);
	if (check_tensor(m, c, role, t, e) < 0)
		return -1;
	struct weight *w = &m->weights[m->n_weights];
	uint64_t rows, cols;
	role_shape(m, role, &rows, &cols);
	*w = (struct weight){.role = role, .layer = layer, .tensor = t,
		.dtype = t->dtype, .offset = t->offset,
		.rows = rows ? (uint32_t)rows : 1, .cols = (uint32_t)cols,
		.row_bytes = dtype_bytes(t->dtype, cols)};
	m->by_role[(size_t)layer * ROLES + role] = (int32_t)m->n_weights++;
	if (!(role == ROLE_HEAD && m->tied))
		m->bytes += t->bytes;
	return 0;
}

static int find_weights(struct model *m, const struct checkpoint *c, struct err *e)
{
	/* Each layer needs several tensors, so a layer count beyond the tensors is refused before
	 * anything is allocated for it. */
	if (m->n_layers > c->n_tensors)
		return err_set(e, ERR_FORMAT, "%s: the config names %u layers, but there are only %zu tensors",
			c->path, m->n_layers, c->n_tensors);
	size_t n = ((size_t)m->n_layers + 1) * ROLES;
	m->weights = mem_array(n, sizeof(*m->weights));
	m->by_role = mem_array(n, sizeof(*m->by_role));
	if (!m->weights || !m->by_role)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		m->by_role[i] = -1;
	for (uint32_t layer = 0; layer <= m->n_layers; layer++)
		for (int r = 0; r < ROLES; r++)
			if (role_is_global((enum role)r) == (layer == m->n_layers) &&
				add_weight(m, c, (enum role)r, layer, e) < 0)
				return -1;
	return 0;
}

static char *display_name(const struct checkpoint *c)
{
	struct gguf_str s;
	if (c->gguf && gguf_string(c->gguf, "general.name", &s) && s.len && s.len < 200)
		return strndup(s.p, s.len);
	const char *end = c->path + strlen(c->path);
	while (end > c->path && end[-1] == '/')
		end--;
	const char *start = end;
	while (start > c->path && start[-1] != '/')
		start--;
	return strndup(start, (size_t)(end - start));
}

int model_open(struct model **out, const struct checkpoint *c, struct err *e)
{
	*out = NULL;
	struct model *m = calloc(1, sizeof(*m));
	if (!m || !(m->name = display_name(c))) {
		free(m);
		return err_nomem(e);
	}
	int rc = c->kind == CHECKPOINT_GGUF ? config_from_gguf(m, c, e) : config_from_json(m, c, e);
	if (rc == 0 && (m->heads % m->kv_heads || m->head_dim > 4096 || m->rope.rot % 2))
		rc = err_set(e, ERR_FORMAT, "%s: %u heads on %u key-value heads of %u dimensions make no sense",
			c->path, m->heads, m->kv_heads, m->head_dim);
	if (rc == 0)
		rc = find_weights(m, c, e);
	if (rc < 0) {
		model_close(m);
		return -1;
	}
	*out = m;
	return 0;
}

void model_close(struct model *m)
{
	if (!m)
		return;
	free(m->name);
	free(m->weights);
	free(m->by_role);
	free(m);
}

const struct weight *model_weight(const struct model *m, uint32_t layer, enum role role)
{
	int32_t i = m->by_role[(size_t)layer * ROLES + role];
	return i < 0 ? NULL : &m->weights[i];
}
