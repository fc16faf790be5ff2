/* The headers of the new files. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "prepare/layout.h"
#include "store/gguf.h"

static void add_text(struct buf *b, const char *s)
{
	json_write_str(b, s, strlen(s));
}

/* GGML's blocks have no name in safetensors: __metadata__ tells (see store/safetensors.c). */
static bool is_blocks(const struct piece *p)
{
	return p->side == SIDE_NONE && p->dtype != DTYPE_UNKNOWN && !strcmp(p->type, "U8") &&
		dtype_info(p->dtype)->ggml >= 0;
}

int header_safetensors(const struct layout *l, const struct out_file *f, struct buf *out, struct err *e)
{
	(void)l;
	buf_add(out, "\0\0\0\0\0\0\0\0", 8);
	buf_puts(out, "{\"__metadata__\":{\"format\":\"pt\"");
	for (size_t i = 0; i < f->n; i++) {
		const struct piece *p = f->pieces[i];
		if (!is_blocks(p))
			continue;
		struct buf key = BUF_INIT;
		buf_printf(&key, "type:%s", p->name);
		buf_addc(out, ',');
		add_text(out, buf_str(&key));
		buf_addc(out, ':');
		add_text(out, dtype_info(p->dtype)->name);
		buf_clear(&key);
	}
	buf_addc(out, '}');
	for (size_t i = 0; i < f->n; i++) {
		const struct piece *p = f->pieces[i];
		buf_addc(out, ',');
		add_text(out, p->name);
		buf_puts(out, ":{\"dtype\":");
		add_text(out, p->type);
		buf_puts(out, ",\"shape\":[");
		for (int d = 0; d < p->n_dims; d++)
			buf_printf(out, d ? ",%llu" : "%llu", (unsigned long long)p->shape[d]);
		buf_printf(out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)p->offset,
			(unsigned long long)(p->offset + p->bytes));
	}
	buf_addc(out, '}');
	while (out->len % MEM_PAGE && !out->failed)
		buf_addc(out, ' ');
	if (buf_ok(out, e) < 0)
		return -1;
	for (int i = 0; i < 8; i++)
		out->p[i] = (char)((out->len - 8) >> 8 * i);
	return 0;
}

/* --- GGUF: little-endian, strings with a u64 length ---------------------------------------------- */

static void add_le(struct buf *b, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		buf_addc(b, (char)(v >> 8 * i));
}

static void add_string(struct buf *b, const char *p, size_t len)
{
	add_le(b, len, 8);
	buf_add(b, p, len);
}

static void add_u32(struct buf *b, const char *key, uint32_t v)
{
	add_string(b, key, strlen(key));
	add_le(b, GGUF_U32, 4);
	add_le(b, v, 4);
}

static void add_u16(struct buf *b, const char *key, uint32_t v)
{
	add_string(b, key, strlen(key));
	add_le(b, GGUF_U16, 4);
	add_le(b, v, 2);
}

static bool is_replaced(const struct gguf_kv *kv, bool file_type)
{
	static const char *const keys[] = {"general.alignment", "split.no", "split.count", "split.tensors.count",
		"general.file_type"};
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys) - !file_type; i++)
		if (kv->key.len == strlen(keys[i]) && !memcmp(kv->key.p, keys[i], kv->key.len))
			return true;
	return false;
}

/* The metadata of the source. general.file_type becomes what the matrices have become (llama.cpp's
 * LLAMA_FTYPE_MOSTLY_Q4_0, _Q8_0). */
static uint32_t add_metadata(const struct layout *l, enum prepare_quant quant, struct buf *out)
{
	uint32_t n = 0;
	const struct gguf *g = l->c->gguf;
	bool changed = false;
	for (size_t i = 0; i < l->n_pieces; i++)
		changed = changed || (quant != PREPARE_NONE && l->pieces[i].quant == quant);
	for (size_t i = 0; i < gguf_n_keys(g); i++) {
		const struct gguf_kv *kv = gguf_at(g, i);
		if (is_replaced(kv, changed))
			continue;
		add_string(out, kv->key.p, kv->key.len);
		add_le(out, kv->type, 4);
		if (kv->type == GGUF_ARRAY) {
			add_le(out, kv->elem_type, 4);
			add_le(out, kv->count, 8);
		}
		buf_add(out, kv->data, kv->bytes);
		n++;
	}
	if (changed) {
		add_u32(out, "general.file_type", quant == PREPARE_Q4_0 ? 2 : 7);
		n++;
	}
	return n;
}

static void add_tensor_info(const struct piece *p, struct buf *out)
{
	add_string(out, p->name, strlen(p->name));
	add_le(out, (uint64_t)p->n_dims, 4);
	for (int d = p->n_dims; d > 0; d--)
		add_le(out, p->shape[d - 1], 8);
	add_le(out, (uint64_t)dtype_info(p->dtype)->ggml, 4);
	add_le(out, p->offset, 8);
}

int header_gguf(const struct layout *l, uint32_t file, enum prepare_quant quant, struct buf *out, struct err *e)
{
	const struct out_file *f = &l->files[file];
	struct buf keys = BUF_INIT;
	uint32_t n = file ? 0 : add_metadata(l, quant, &keys);
	add_u32(&keys, "general.alignment", (uint32_t)MEM_PAGE);
	n++;
	if (l->n_files > 1) {
		add_u16(&keys, "split.no", file);
		add_u16(&keys, "split.count", l->n_files);
		add_string(&keys, "split.tensors.count", 19);
		add_le(&keys, GGUF_I32, 4);
		add_le(&keys, l->n_pieces, 4);
		n += 3;
	}
	buf_puts(out, "GGUF");
	add_le(out, 3, 4);
	add_le(out, f->n, 8);
	add_le(out, n, 8);
	buf_add(out, keys.p, keys.len);
	for (size_t i = 0; i < f->n; i++) {
		if (f->pieces[i]->dtype == DTYPE_UNKNOWN) {
			buf_clear(&keys);
			return err_set(e, ERR_UNSUPPORTED, "%s: tensor %s has type %s, which is not supported",
				l->c->path, f->pieces[i]->name, f->pieces[i]->type);
		}
		add_tensor_info(f->pieces[i], out);
	}
	while (out->len % MEM_PAGE && !out->failed)
		buf_addc(out, 0);
	int rc = keys.failed ? err_nomem(e) : buf_ok(out, e);
	buf_clear(&keys);
	return rc;
}
