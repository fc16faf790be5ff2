#include "prepare/layout.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const char *prepare_quant_name(enum prepare_quant q)
{
	static const char *const names[PREPARE_QUANTS] = {"none", "int8", "nf4", "q4_0", "q8_0"};
	return names[q];
}

static const enum dtype dtypes[PREPARE_QUANTS] = {DTYPE_UNKNOWN, DTYPE_I8, DTYPE_NF4, DTYPE_Q4_0, DTYPE_Q8_0};

static size_t number(const struct checkpoint *c, const struct tensor *t)
{
	return (size_t)(t - c->tensors);
}

static uint64_t bits_an_element(enum dtype t)
{
	return dtype_info(t)->block_bytes * 8 / dtype_info(t)->block;
}

static bool is_matrix(const struct weight *w)
{
	return w->rows > 1 && role_is_streamed(w->role) && w->role != ROLE_ROUTER;
}

/* A weight that is a part of its tensor needs scales that begin where it does. */
static bool can_slice(const struct weight *w, enum prepare_quant q)
{
	uint64_t n = (uint64_t)w->rows * w->cols;
	bool part = n * bits_an_element(w->dtype) < w->tensor->bytes * 8;
	if (!part || q == PREPARE_Q4_0 || q == PREPARE_Q8_0)
		return true;
	if (w->role == ROLE_K_B || w->role == ROLE_V_B) /* heads in one matrix, keys and values in turn */
		return false;
	return q == PREPARE_INT8 || n % (QUANT_GROUP * NESTED_GROUP) == 0;
}

enum prepare_quant layout_quant(const struct prepare_request *r, const struct weight *w)
{
	enum prepare_quant q = w->role == ROLE_HEAD ? r->head : r->quant;
	if (q == PREPARE_NONE || !is_matrix(w))
		return PREPARE_NONE;
	const struct dtype_info *d = dtype_info(dtypes[q]);
	uint64_t cols = w->tensor->n_dims ? w->tensor->shape[w->tensor->n_dims - 1] : 0;
	if (!can_slice(w, q) || bits_an_element(w->dtype) <= bits_an_element(dtypes[q]) || w->cols % d->block ||
		(w->has_scaling ? w->tensor->n_dims > 2 : cols % d->block != 0))
		return PREPARE_NONE;
	return q;
}

/* The layer in a name: its first part that is a number ("model.layers.12.x"). */
static uint32_t layer_of_name(const char *name, uint32_t n_layers)
{
	while (name) {
		char *end;
		unsigned long v = *name >= '0' && *name <= '9' ? strtoul(name, &end, 10) : n_layers;
		if (v < n_layers && *end == '.')
			return (uint32_t)v;
		name = strchr(name, '.');
		name = name ? name + 1 : NULL;
	}
	return n_layers;
}

static void use(struct fate *f, uint32_t layer, uint64_t order, uint64_t group)
{
	if (f->used && f->order <= order)
		return;
	f->used = true;
	f->order = order;
	f->group = group;
	f->layer = layer;
}

/* Order of first use: vectors, then matrices as the schedule has them. */
static void fates_of_weights(const struct layout *l, const struct prepare_request *r, const struct schedule *s,
	struct fate *fates)
{
	const struct model *m = l->m;
	for (size_t i = 0; i < m->n_weights; i++) {
		const struct weight *w = &m->weights[i];
		struct fate *f = &fates[number(l->c, w->tensor)];
		if (!role_is_streamed(w->role))
			use(f, w->layer, (uint64_t)i * ORDER_STEP, (uint64_t)i * ORDER_STEP);
		f->first = f->first || role_is_gathered(w->role);
		enum prepare_quant q = layout_quant(r, w);
		f->vetoed = f->vetoed || (is_matrix(w) && q == PREPARE_NONE);
		f->quant = f->vetoed ? PREPARE_NONE : q != PREPARE_NONE ? q : f->quant;
	}
	const uint32_t *expert = s->expert_first;
	for (size_t i = 0; i < s->n + s->n_expert_chunks; i++) {
		const struct chunk *k = i < s->n ? &s->chunks[i] : &s->expert_chunks[i - s->n];
		const struct weight *w = &m->weights[k->weight];
		while (i >= s->n && expert[1] <= i - s->n)
			expert++;
		const size_t first = i < s->n ? i : s->n + *expert;
		use(&fates[number(l->c, w->tensor)], w->layer, (m->n_weights + i) * ORDER_STEP,
			(m->n_weights + first) * ORDER_STEP);
	}
}

static bool starts_with(const char *s, const char *start, size_t n)
{
	return !strncmp(s, start, n);
}

/* Is `name` a tensor that belongs to weight `of`, as quantization.h lists them? */
static bool is_side_of(const char *name, const char *of)
{
	size_t n = strlen(of), base = n > 7 && !strcmp(of + n - 7, ".weight") ? n - 7 : n;
	static const char *const whole[] = {".SCB", ".weight_format"}, *const tail[] = {"_scale", "_scale_inv"};
	for (int i = 0; i < 2; i++)
		if (starts_with(name, of, base) && !strcmp(name + base, whole[i]))
			return true;
	if (!starts_with(name, of, n))
		return false;
	if (name[n] == '.')
		return true;
	for (int i = 0; i < 2; i++)
		if (!strcmp(name + n, tail[i]))
			return true;
	n = n > 7 && !strcmp(of + n - 7, "_blocks") ? n - 7 : 0;
	return n && starts_with(name, of, n) && !strcmp(name + n, "_scales");
}

/* Tensors that no weight names: sides go where their weight goes (or away, when it is encoded); the
 * rest to the layer in their name. Sides sort near their weight, so neighbours by name are tried. */
static void fates_of_others(const struct layout *l, const struct tensor *const *by_name, struct fate *fates)
{
	const struct checkpoint *c = l->c;
	for (size_t i = 0; i < c->n_tensors; i++) {
		struct fate *f = &fates[number(c, by_name[i])];
		if (f->used)
			continue;
		f->layer = layer_of_name(by_name[i]->name, l->m->n_layers);
		f->order = f->group = (uint64_t)1 << 60;
		size_t lo = i > 16 ? i - 16 : 0, hi = i + 16 < c->n_tensors ? i + 16 : c->n_tensors;
		for (size_t k = lo; k < hi; k++) {
			const struct fate *of = &fates[number(c, by_name[k])];
			if (!of->used || k == i || !is_side_of(by_name[i]->name, by_name[k]->name))
				continue;
			f->layer = of->layer;
			f->first = of->first;
			f->order = of->order + 1;
			f->group = of->group;
			f->dropped = of->quant != PREPARE_NONE;
		}
	}
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(const struct tensor *const *)a)->name, (*(const struct tensor *const *)b)->name);
}

static int make_fates(struct layout *l, const struct prepare_request *r, struct fate *fates,
	struct fate **slice_fates, struct err *e)
{
	const struct checkpoint *c = l->c;
	struct schedule s;
	const struct tensor **by_name = mem_array(c->n_tensors + 1, sizeof(*by_name));
	if (!by_name)
		return err_nomem(e);
	for (size_t i = 0; i < c->n_tensors; i++)
		by_name[i] = &c->tensors[i];
	qsort(by_name, c->n_tensors, sizeof(*by_name), compare_names);
	int rc = schedule_make(&s, l->m, UINT64_MAX / 4, e);
	if (rc == 0) {
		fates_of_weights(l, r, &s, fates);
		fates_of_others(l, by_name, fates);
		rc = unstack(l, r, &s, fates, slice_fates, e);
		schedule_clear(&s);
	}
	free(by_name);
	return rc;
}

/* --- pieces ------------------------------------------------------------------------------------- */

static struct piece *add_piece(struct layout *l, const char *name, const char *suffix, struct err *e)
{
	struct buf b = BUF_INIT;
	buf_puts(&b, name);
	buf_puts(&b, suffix);
	if (mem_grow(&l->pieces, &l->cap_pieces, l->n_pieces + 1, sizeof(*l->pieces)) < 0 ||
		buf_ok(&b, e) < 0) {
		buf_clear(&b);
		err_nomem(e);
		return NULL;
	}
	struct piece *p = &l->pieces[l->n_pieces++];
	*p = (struct piece){.name = buf_take(&b)};
	return p;
}

static uint64_t elements(int n_dims, const uint64_t *shape)
{
	uint64_t n = 1;
	for (int i = 0; i < n_dims; i++)
		n *= shape[i];
	return n;
}

static int add_side(struct layout *l, const struct piece *of_in, enum side side, struct err *e)
{
	static const struct {
		const char *suffix, *type;
	} sides[SIDES] = {[SIDE_ABSMAX] = {".absmax", "U8"}, [SIDE_NESTED] = {".nested_absmax", "F32"},
		[SIDE_NESTED_MAP] = {".nested_quant_map", "F32"}, [SIDE_MAP] = {".quant_map", "F32"},
		[SIDE_STATE] = {".quant_state.bitsandbytes__nf4", "U8"}, [SIDE_SCB] = {".SCB", "F32"}};
	const struct piece of = *of_in; /* the array may move */
	uint64_t n = elements(of.from->n_dims, of.from->shape), groups = (n + QUANT_GROUP - 1) / QUANT_GROUP;
	char base[512];
	size_t len = strlen(of.name);
	if (len >= sizeof(base))
		return err_set(e, ERR_LIMIT, "the name of tensor %s is too long", of.name);
	memcpy(base, of.name, len + 1);
	if (side == SIDE_SCB && len > 7 && !strcmp(base + len - 7, ".weight"))
		base[len - 7] = '\0';
	struct piece *p = add_piece(l, base, sides[side].suffix, e);
	if (!p)
		return -1;
	uint64_t counts[SIDES] = {[SIDE_ABSMAX] = groups, [SIDE_NESTED] = (groups + NESTED_GROUP - 1) / NESTED_GROUP,
		[SIDE_NESTED_MAP] = 256, [SIDE_MAP] = 16, [SIDE_STATE] = STATE_BYTES,
		[SIDE_SCB] = n / of.from->shape[of.from->n_dims - 1]};
	char *name = p->name;
	*p = of;
	p->name = name;
	p->type = sides[side].type;
	p->dtype = p->type[0] == 'F' ? DTYPE_F32 : DTYPE_UNKNOWN;
	p->n_dims = 1;
	p->shape[0] = counts[side];
	p->bytes = counts[side] * (p->type[0] == 'F' ? 4 : 1);
	p->side = side;
	p->order = of.order + side;
	return 0;
}

/* The shape of encoded codes, as their format publishes them. */
static void shape_codes(const struct layout *l, struct piece *p)
{
	const struct tensor *t = p->from;
	uint64_t n = elements(t->n_dims, t->shape);
	const struct dtype_info *d = dtype_info(p->dtype);
	p->bytes = dtype_bytes(p->dtype, n);
	p->type = p->quant == PREPARE_INT8 ? "I8" : "U8";
	if (l->gguf || p->quant == PREPARE_INT8)
		return;
	if (p->quant == PREPARE_NF4) { /* bitsandbytes: a column of bytes */
		p->n_dims = 2;
		p->shape[0] = p->bytes;
		p->shape[1] = 1;
	} else {
		p->shape[t->n_dims - 1] = t->shape[t->n_dims - 1] / d->block * d->block_bytes;
	}
}

/* Bit s: has side s. */
static unsigned sides_of(const struct layout *l, enum prepare_quant q)
{
	if (l->gguf)
		return 0;
	if (q == PREPARE_NF4)
		return 1u << SIDE_ABSMAX | 1u << SIDE_NESTED | 1u << SIDE_NESTED_MAP | 1u << SIDE_MAP |
			1u << SIDE_STATE;
	return q == PREPARE_INT8 ? 1u << SIDE_SCB : 0;
}

/* A tensor of GGML's blocks from one of our own folders: U8 again. */
static void shape_copy(struct piece *p)
{
	const struct dtype_info *d = p->dtype == DTYPE_UNKNOWN ? NULL : dtype_info(p->dtype);
	if (d && !d->safetensors && !strcmp(p->type, d->name) && d->block > 2) {
		p->type = "U8";
		p->shape[p->n_dims - 1] = p->shape[p->n_dims - 1] / d->block * d->block_bytes;
	}
}

static int add_tensor(struct layout *l, const struct tensor *t, const struct fate *f, struct err *e)
{
	struct piece *p = add_piece(l, t->name, "", e);
	if (!p)
		return -1;
	char *name = p->name;
	*p = (struct piece){.name = name, .type = t->type_name, .dtype = t->dtype, .n_dims = t->n_dims,
		.bytes = t->bytes, .from = t, .quant = f->quant, .layer = f->first ? UINT32_MAX : f->layer,
		.order = f->order, .group = f->group};
	memcpy(p->shape, t->shape, sizeof(p->shape));
	if (f->quant == PREPARE_NONE) {
		if (!l->gguf)
			shape_copy(p);
		return 0;
	}
	p->dtype = dtypes[f->quant];
	shape_codes(l, p);
	const struct piece of = *p;
	for (int side = 1; side < SIDES; side++)
		if (sides_of(l, f->quant) & 1u << side && add_side(l, &of, (enum side)side, e) < 0)
			return -1;
	return 0;
}

/* By file, then order; sizes that would leave the next tensor unaligned come last. */
static int compare_pieces(const void *a, const void *b)
{
	const struct piece *x = *(struct piece *const *)a, *y = *(struct piece *const *)b;
	bool tx = x->bytes % 8 != 0, ty = y->bytes % 8 != 0;
	if (tx != ty)
		return tx ? 1 : -1;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Part 0: what a pass reads first; 1 + n: layer n; the last: what it reads last. */
static uint32_t part_of(const struct piece *p)
{
	return p->layer == UINT32_MAX ? 0 : p->layer + 1;
}

/* Each part has a file on each drive. */
static uint32_t file_of(const struct layout *l, const struct piece *p)
{
	return part_of(p) * l->n_drives + p->drive;
}

static int compare_groups(const void *a, const void *b)
{
	const struct piece *x = *(struct piece *const *)a, *y = *(struct piece *const *)b;
	if (part_of(x) != part_of(y))
		return part_of(x) < part_of(y) ? -1 : 1;
	return x->group != y->group ? (x->group < y->group ? -1 : 1) : 0;
}

/* In the order of a pass each matrix goes to the drive that has least, so that what is read next lies on
 * another than what is read now, and both are read at once. Embeddings don't count: a token reads a row. */
static int place_pieces(struct layout *l, struct err *e)
{
	struct piece **by_group = mem_array(l->n_pieces + 1, sizeof(*by_group));
	uint64_t *filled = mem_array(l->n_drives, sizeof(*filled));
	int rc = by_group && filled ? 0 : err_nomem(e);
	for (size_t i = 0; rc == 0 && i < l->n_pieces; i++)
		by_group[i] = &l->pieces[i];
	if (rc == 0)
		qsort(by_group, l->n_pieces, sizeof(*by_group), compare_groups);
	uint32_t drive = 0;
	for (size_t i = 0; rc == 0 && i < l->n_pieces; i++) {
		if (i == 0 || compare_groups(&by_group[i - 1], &by_group[i]) != 0)
			for (uint32_t d = drive = 0; d < l->n_drives; d++)
				drive = filled[d] < filled[drive] ? d : drive;
		by_group[i]->drive = drive;
		filled[drive] += part_of(by_group[i]) ? by_group[i]->bytes : 0;
	}
	free(by_group);
	free(filled);
	return rc;
}

static int name_files(struct layout *l, struct err *e)
{
	uint32_t n = 0, count = 0;
	for (uint32_t i = 0; i < l->n_files; i++)
		count += l->files[i].n > 0;
	for (uint32_t i = 0; i < l->n_files; i++) {
		if (!l->files[i].n)
			continue;
		struct buf name = BUF_INIT;
		buf_printf(&name, "model-%05u-of-%05u.%s", n + 1, count, l->gguf ? "gguf" : "safetensors");
		l->files[n] = l->files[i];
		if (buf_ok(&name, e) < 0)
			return -1;
		l->files[n++].name = buf_take(&name);
	}
	l->n_files = count;
	return 0;
}

static int fill_files(struct layout *l, struct err *e)
{
	l->n_files = (l->m->n_layers + 2) * l->n_drives;
	if (l->n_drives > 1 && place_pieces(l, e) < 0)
		return -1;
	if (!(l->files = calloc(l->n_files, sizeof(*l->files))))
		return err_nomem(e);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < l->n_pieces; i++) {
			struct out_file *f = &l->files[file_of(l, &l->pieces[i])];
			if (round)
				f->pieces[f->n] = &l->pieces[i];
			f->n++;
		}
		for (uint32_t i = 0; !round && i < l->n_files; i++) {
			struct out_file *f = &l->files[i];
			if (f->n && !(f->pieces = calloc(f->n, sizeof(*f->pieces))))
				return err_nomem(e);
			f->n = 0;
		}
	}
	for (uint32_t i = 0; i < l->n_files; i++) {
		struct out_file *f = &l->files[i];
		f->layer = i / l->n_drives ? i / l->n_drives - 1 : l->m->n_layers;
		f->drive = i % l->n_drives;
		if (f->n)
			qsort(f->pieces, f->n, sizeof(*f->pieces), compare_pieces);
		for (size_t k = 0; k < f->n; k++) {
			f->data_bytes = l->gguf ? mem_align_up(f->data_bytes, MEM_PAGE) : f->data_bytes;
			f->pieces[k]->offset = f->data_bytes;
			f->data_bytes += f->pieces[k]->bytes;
		}
	}
	return name_files(l, e);
}

int layout_make(struct layout *l, const struct prepare_request *r, const struct checkpoint *c,
	const struct model *m, uint32_t n_drives, struct err *e)
{
	*l = (struct layout){.c = c, .m = m, .gguf = c->kind == CHECKPOINT_GGUF, .n_drives = n_drives};
	if (l->gguf)
		for (int i = 0; i < 2; i++)
			if (dtype_info(dtypes[i ? r->head : r->quant ? r->quant : PREPARE_Q8_0])->ggml < 0)
				return err_set(e, ERR_UNSUPPORTED, "%s is a GGUF model, which has no %s: use q4_0 or q8_0",
					c->path, prepare_quant_name(i ? r->head : r->quant));
	struct fate *fates = mem_array(c->n_tensors + 1, sizeof(*fates));
	struct fate *slice_fates = NULL;
	int rc = fates ? make_fates(l, r, fates, &slice_fates, e) : err_nomem(e);
	for (size_t i = 0; rc == 0 && i < c->n_tensors; i++) {
		if (!fates[i].dropped)
			rc = add_tensor(l, &c->tensors[i], &fates[i], e);
	}
	const size_t whole = l->n_pieces;
	for (size_t i = 0; rc == 0 && i < l->n_slices; i++)
		rc = add_tensor(l, &l->slices[i], &slice_fates[i], e);
	for (size_t i = whole; i < l->n_pieces; i++)
		l->pieces[i].slice = true;
	if (rc == 0 && !(l->kept = mem_array(c->n_tensors + 1, sizeof(*l->kept))))
		rc = err_nomem(e);
	for (size_t i = 0; rc == 0 && i < m->n_weights; i++)
		if (role_is_streamed(m->weights[i].role) && m->weights[i].rows > 1)
			l->kept[number(c, m->weights[i].tensor)] =
				fates[number(c, m->weights[i].tensor)].quant == PREPARE_NONE;
	for (size_t i = 0; rc == 0 && i < m->n_weights; i++)
		l->any_kept = l->any_kept || (m->weights[i].has_scaling &&
			fates[number(c, m->weights[i].tensor)].quant == PREPARE_NONE);
	free(fates);
	free(slice_fates);
	if (rc == 0)
		rc = fill_files(l, e);
	if (rc < 0)
		layout_clear(l);
	return rc;
}

void layout_clear(struct layout *l)
{
	for (size_t i = 0; i < l->n_pieces; i++)
		free(l->pieces[i].name);
	for (uint32_t i = 0; l->files && i < l->n_files; i++) {
		free(l->files[i].name);
		free(l->files[i].pieces);
	}
	for (size_t i = 0; i < l->n_slices; i++)
		free((char *)l->slices[i].name);
	free(l->slices);
	free(l->pieces);
	free(l->kept);
	free(l->files);
	*l = (struct layout){0};
}
