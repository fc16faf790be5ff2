#include "engine/scales.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/quantization.h"

static bool is_loaded(const struct weight *w)
{
	return w->has_scaling && role_is_streamed(w->role);
}

/* Scales of the whole weight that stay in memory; none when they are streamed. */
static struct extent resident_scales(const struct weight *w)
{
	uint64_t first;
	return w->scales_streamed ? (struct extent){0} : weight_scales(w, 0, w->rows, &first);
}

static uint64_t nested_bytes(const struct weight *w)
{
	return weight_nested_count(w) * sizeof(float);
}

static uint64_t nested_offset(const struct weight *w)
{
	return w->nested->offset + w->nested_first * sizeof(float);
}

uint64_t scales_bytes(const struct model *m)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < m->n_weights; i++)
		if (is_loaded(&m->weights[i]))
			bytes += mem_align_up(resident_scales(&m->weights[i]).bytes, 64) +
				mem_align_up(nested_bytes(&m->weights[i]), 64);
	return bytes;
}

/* Read bytes of a file to the device. */
static int load(struct engine *en, uint32_t file, uint64_t offset, uint64_t bytes, void *dst, struct err *e)
{
	struct backend *b = en->c.backend;
	void *raw = mem_array(bytes, 1);
	int rc = raw ? stream_read(en->stream, file, offset, bytes, raw, e) : err_nomem(e);
	if (rc == 0) {
		b->ops->upload(b, QUEUE_COMPUTE, dst, raw, bytes);
		b->ops->event_record(b, QUEUE_COMPUTE, en->event);
		rc = b->ops->event_sync(b, en->event, e);
	}
	free(raw);
	return rc;
}

static int load_one(struct engine *en, const struct weight *w, struct scales *out, char **at, struct err *e)
{
	const struct extent x = resident_scales(w);
	*out = (struct scales){.how = &w->scaling};
	if (x.bytes) {
		out->p = *at;
		if (load(en, x.file, x.offset, x.bytes, *at, e) < 0)
			return -1;
		*at += mem_align_up(x.bytes, 64);
	}
	if (w->nested) {
		out->nested = (const float *)(const void *)*at;
		if (load(en, w->nested->file, nested_offset(w), nested_bytes(w), *at, e) < 0)
			return -1;
		*at += mem_align_up(nested_bytes(w), 64);
	}
	return 0;
}

int scales_load(struct engine *en, struct err *e)
{
	const struct model *m = en->c.model;
	struct backend *b = en->c.backend;
	en->scales = mem_array(m->n_weights, sizeof(*en->scales));
	en->scales_bytes = scales_bytes(m);
	if (!en->scales || (en->scales_bytes && !(en->scales_block = b->ops->alloc(b, en->scales_bytes))))
		return err_nomem(e);
	char *at = en->scales_block;
	for (size_t i = 0; i < m->n_weights; i++)
		if (is_loaded(&m->weights[i]) && load_one(en, &m->weights[i], &en->scales[i], &at, e) < 0)
			return -1;
	return 0;
}

void scales_free(struct engine *en)
{
	if (en->scales_block)
		en->c.backend->ops->free(en->c.backend, en->scales_block, en->scales_bytes);
	free(en->scales);
}

struct scales scales_of_chunk(const struct engine *en, const struct weight *w, const struct chunk *c,
	const struct lease *l)
{
	struct scales s = en->scales[w - en->c.model->weights];
	if (w->has_scaling && w->scales_streamed) {
		s.p = l->scale;
		weight_scales(w, c->row0, c->rows, &s.first);
	}
	return s;
}

/* The scales of rows row0.. of w in host memory; *memory is to be freed. */
static int read_scales(struct engine *en, const struct weight *w, uint64_t row0, uint64_t rows,
	struct scales *out, void **memory, struct err *e)
{
	*out = (struct scales){.how = &w->scaling};
	const struct extent x = weight_scales(w, row0, rows, &out->first);
	const uint64_t nested = mem_align_up(nested_bytes(w), 64);
	char *p = *memory = mem_array(nested + x.bytes, 1);
	if (!p)
		return err_nomem(e);
	out->p = p + nested;
	out->nested = (const float *)(const void *)p;
	if (w->nested &&
		stream_read(en->stream, w->nested->file, nested_offset(w), nested_bytes(w), p, e) < 0)
		return -1;
	return stream_read(en->stream, x.file, x.offset, x.bytes, p + nested, e);
}

int scales_decode_vector(struct engine *en, const struct weight *w, const struct tensor *t, const void *raw,
	float *dst, uint32_t cols, struct err *e)
{
	struct scales s = {0};
	void *memory = NULL;
	if (w->has_scaling && t != w->tensor)
		return err_set(e, ERR_UNSUPPORTED, "tensor %s is quantized and in parts", t->name);
	int rc = w->has_scaling ? read_scales(en, w, 0, 1, &s, &memory, e) : 0;
	if (rc == 0)
		decode_scaled(w->has_scaling ? w->dtype : t->dtype, &s, raw, 0, 0, cols, dst, cols);
	free(memory);
	return rc;
}

/* The scales of n rows, all of them read at once; *memory is to be freed, also on failure. */
static int read_row_scales(struct engine *en, const struct weight *w, const uint32_t *tokens, uint32_t n,
	struct scales *out, void **memory, struct err *e)
{
	struct stream_piece *p = mem_array((size_t)n + 1, sizeof(*p));
	size_t k = 0, total = mem_align_up(nested_bytes(w), 64);
	uint64_t ignored;
	for (uint32_t i = 0; i < n; i++)
		total += weight_scales(w, tokens[i], 1, &ignored).bytes;
	char *at = *memory = mem_array(total, 1);
	if (!p || !at) {
		free(p);
		return err_nomem(e);
	}
	const float *nested = (const float *)(const void *)at;
	if (w->nested)
		p[k++] = (struct stream_piece){w->nested->file, nested_offset(w), nested_bytes(w), at};
	at += mem_align_up(nested_bytes(w), 64);
	for (uint32_t i = 0; i < n; i++) {
		out[i] = (struct scales){.how = &w->scaling, .p = at, .nested = nested};
		const struct extent x = weight_scales(w, tokens[i], 1, &out[i].first);
		p[k++] = (struct stream_piece){x.file, x.offset, x.bytes, at};
		at += x.bytes;
	}
	int rc = stream_read_many(en->stream, p, k, e);
	free(p);
	return rc;
}

int scales_decode_rows(struct engine *en, const struct weight *w, const uint32_t *tokens, uint32_t n,
	const void *raw, float *x, struct err *e)
{
	struct backend *b = en->c.backend;
	float *row = mem_array(w->cols, sizeof(*row));
	struct scales *s = mem_array(n, sizeof(*s));
	void *memory = NULL;
	int rc = row && s ? read_row_scales(en, w, tokens, n, s, &memory, e) : err_nomem(e);
	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		decode_scaled(w->dtype, &s[i], (const char *)raw + i * w->row_bytes, tokens[i], 0, w->cols, row, w->cols);
		b->ops->upload(b, QUEUE_COMPUTE, x + (size_t)i * w->cols, row, w->cols * sizeof(*row));
		b->ops->event_record(b, QUEUE_COMPUTE, en->event);
		rc = b->ops->event_sync(b, en->event, e);
	}
	free(memory);
	free(s);
	free(row);
	return rc;
}
