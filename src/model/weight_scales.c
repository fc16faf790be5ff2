/* From what is stored to weights: slices of stacked tensors, and where their scales are. */
#include "model/quantization.h"

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t r = a % b;
		a = b;
		b = r;
	}
	return a;
}

uint32_t weight_row_step(const struct weight *w)
{
	uint64_t step = 1;
	if (w->has_scaling && w->scales_streamed)
		step = w->scaling.flat ? w->scaling.flat / gcd(w->cols, w->scaling.flat) : w->scaling.group_rows;
	return step < w->rows ? (uint32_t)step : w->rows;
}

/* Scales of a weight with `rows` rows. */
static uint64_t scale_count(const struct scaling *s, uint64_t rows, uint64_t cols)
{
	if (s->flat)
		return (rows * cols + s->flat - 1) / s->flat;
	return (rows + s->group_rows - 1) / s->group_rows * ((cols + s->group_cols - 1) / s->group_cols);
}

struct extent weight_scales(const struct weight *w, uint64_t row0, uint64_t rows, uint64_t *first)
{
	*first = 0;
	if (!w->has_scaling)
		return (struct extent){0};
	uint64_t each = scale_bytes(w->scaling.kind);
	*first = scale_index(&w->scaling, row0, 0, w->cols);
	uint64_t end = scale_index(&w->scaling, row0 + rows - 1, w->cols - 1, w->cols) + 1;
	return (struct extent){.file = w->scale->file, .offset = w->scale_offset + *first * each,
		.bytes = (end - *first) * each};
}

uint64_t weight_step_scale_bytes(const struct weight *w)
{
	uint64_t first, rows = weight_row_step(w);
	return w->has_scaling && w->scales_streamed ? weight_scales(w, 0, rows, &first).bytes : 0;
}

uint64_t weight_nested_count(const struct weight *w)
{
	const uint32_t group = w->scaling.nested_group;
	return w->nested ? (scale_count(&w->scaling, w->rows, w->cols) + group - 1) / group : 0;
}

/* Number of the first scale of the rows from `row` on; false when it does not begin there. Rows within one
 * rectangle have that rectangle for themselves. */
static bool first_scale(struct weight *w, const struct stored *s, uint64_t row, uint64_t *first)
{
	struct scaling *how = &w->scaling;
	if (how->flat) {
		*first = row * w->cols / how->flat;
		return row * w->cols % how->flat == 0 && (!s->nested || *first % how->nested_group == 0);
	}
	uint64_t grid = row / s->grid_rows, in_grid = row % s->grid_rows;
	uint64_t per_row = scale_count(how, 1, w->cols), group = in_grid / how->group_rows;
	*first = grid * scale_count(how, s->grid_rows, w->cols) + group * per_row;
	if (in_grid + w->rows > s->grid_rows)
		return false;
	if ((in_grid + w->rows - 1) / how->group_rows == group) {
		how->group_rows = w->rows;
		return true;
	}
	return in_grid % how->group_rows == 0;
}

static int slice_scales(struct weight *w, const struct checkpoint *c, const struct stored *s, uint64_t row,
	struct err *e)
{
	const uint64_t each = scale_bytes(s->scaling.kind);
	uint64_t first;
	w->scaling = s->scaling;
	w->has_scaling = true;
	w->scale = s->scale;
	w->nested = s->nested;
	if (!first_scale(w, s, row, &first))
		return err_set(e, ERR_UNSUPPORTED, "%s: tensor %s has blocks of scales across its parts of %u rows",
			c->files[s->tensor->file].path, s->tensor->name, w->rows);
	uint64_t n = scale_count(&w->scaling, w->rows, w->cols);
	w->scale_offset = s->scale->offset + first * each;
	w->nested_first = s->nested ? first / s->scaling.nested_group : 0;
	if ((first + n) * each > s->scale->bytes)
		return err_set(e, ERR_FORMAT, "%s: tensor %s has too few scales", c->files[s->scale->file].path,
			s->scale->name);
	w->scales_streamed = role_is_streamed(w->role) && n * each > w->rows * w->row_bytes / 256;
	return 0;
}

int weight_from_stored(struct weight *w, const struct checkpoint *c, const struct stored *s,
	uint64_t row, struct err *e)
{
	const struct tensor *t = s->tensor;
	const char *path = c->files[t->file].path;
	w->tensor = t;
	w->dtype = s->dtype;
	if (s->dtype == DTYPE_UNKNOWN)
		return err_set(e, ERR_UNSUPPORTED, "%s: tensor %s has type %s, which is not supported", path,
			t->name, t->type_name);
	const struct dtype_info *d = dtype_info(s->dtype);
	if (w->cols % d->block)
		return err_set(e, ERR_FORMAT, "%s: tensor %s has rows of %u elements, no multiple of %s's block",
			path, t->name, w->cols, d->name);
	w->row_bytes = dtype_bytes(s->dtype, w->cols);
	w->offset = t->offset + row * w->row_bytes;
	if (row > t->bytes || w->offset + w->rows * w->row_bytes > t->offset + t->bytes)
		return err_set(e, ERR_FORMAT, "%s: tensor %s has no part [%u, %u] from row %llu on", path, t->name,
			w->rows, w->cols, (unsigned long long)row);
	return s->scale ? slice_scales(w, c, s, row, e) : 0;
}
