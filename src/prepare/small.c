/* Everything but the weights: config, tokenizer, licence; and the index of the new files. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "base/json.h"
#include "prepare/work.h"

#define LIMIT ((size_t)256 << 20)

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);
	return n >= m && !strcmp(s + n - m, end);
}

/* Text and tables that belong to a model; no code, and nothing that names the old files. */
static bool is_wanted(const char *name)
{
	static const char *const ends[] = {".json", ".jinja", ".model", ".txt", ".md", ".tiktoken"};
	if (name[0] == '.' || ends_with(name, ".index.json") || !strcmp(name, MANIFEST_NAME))
		return false;
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (ends_with(name, ends[i]))
			return true;
	return !strncmp(name, "LICENSE", 7) || !strncmp(name, "LICENCE", 7) || !strncmp(name, "NOTICE", 6) ||
		!strncmp(name, "USE_POLICY", 10);
}

static void add_once(cJSON *list, const char *module)
{
	for (const cJSON *k = list->child; k; k = k->next)
		if (!strcmp(k->valuestring, module))
			return;
	cJSON_AddItemToArray(list, cJSON_CreateString(module));
}

/* The modules that transformers must not take for quantized: "lm_head", "mlp.gate"; those in layers by what
 * follows the layer's number. */
static void add_skipped(const struct work *w, cJSON *list)
{
	for (size_t i = 0; i < w->c->n_tensors; i++) {
		const char *name = w->c->tensors[i].name, *from = name;
		size_t n = strlen(name), end = n > 7 && !strcmp(name + n - 7, ".weight") ? n - 7 : n;
		if (!w->layout.kept[i])
			continue;
		for (const char *p = name; (p = strchr(p, '.')); ) /* behind the last part that is a number */
			if (*++p >= '0' && *p <= '9' && strchr(p, '.'))
				from = strchr(p, '.') + 1;
		char *module = strndup(from, (size_t)(name + end - from));
		if (module)
			add_once(list, module);
		free(module);
	}
	if (w->m->tied && w->r->head == PREPARE_NONE) /* a module without a tensor; these are its names */
		add_once(list, "lm_head"), add_once(list, "embed_out");
}

static cJSON *bitsandbytes_config(const struct work *w, enum prepare_quant q)
{
	cJSON *o = cJSON_CreateObject();
	bool nf4 = q == PREPARE_NF4;
	cJSON_AddStringToObject(o, "quant_method", "bitsandbytes");
	cJSON_AddBoolToObject(o, "_load_in_4bit", nf4);
	cJSON_AddBoolToObject(o, "_load_in_8bit", !nf4);
	cJSON_AddBoolToObject(o, "load_in_4bit", nf4);
	cJSON_AddBoolToObject(o, "load_in_8bit", !nf4);
	cJSON_AddStringToObject(o, "bnb_4bit_quant_type", "nf4");
	cJSON_AddBoolToObject(o, "bnb_4bit_use_double_quant", nf4);
	cJSON_AddStringToObject(o, "bnb_4bit_compute_dtype", "bfloat16");
	cJSON_AddStringToObject(o, "bnb_4bit_quant_storage", "uint8");
	cJSON_AddBoolToObject(o, "llm_int8_enable_fp32_cpu_offload", false);
	cJSON_AddBoolToObject(o, "llm_int8_has_fp16_weight", false);
	cJSON_AddRawToObject(o, "llm_int8_threshold", "6.0"); /* transformers wants a float */
	cJSON *skip = cJSON_AddArrayToObject(o, "llm_int8_skip_modules");
	if (skip)
		add_skipped(w, skip);
	return o;
}

/* What readers of config.json need to know of the new weights. When some quantized weights stay as they
 * were, their own entry stays: weights are found by their tensors anyway. */
static int change_config(const struct work *w, struct buf *text, const char *path, struct err *e)
{
	static const char key[] = "quantization_config";
	const enum prepare_quant q = w->r->quant != PREPARE_NONE ? w->r->quant : w->r->head;
	if (q == PREPARE_NONE || w->layout.any_kept)
		return 0;
	cJSON *config = cJSON_ParseWithLength(buf_str(text), text->len), *entry;
	if (!cJSON_IsObject(config)) {
		cJSON_Delete(config);
		return err_set(e, ERR_FORMAT, "%s is not a JSON object", path);
	}
	if (q == PREPARE_NF4 || q == PREPARE_INT8) {
		entry = bitsandbytes_config(w, q);
	} else {
		entry = cJSON_CreateObject();
		cJSON_AddStringToObject(entry, "quant_method", "airlchat");
		cJSON_AddStringToObject(entry, "format", prepare_quant_name(q));
	}
	cJSON_DeleteItemFromObjectCaseSensitive(config, key);
	cJSON_DeleteItemFromObjectCaseSensitive(config, "compression_config");
	char *out = entry && cJSON_AddItemToObject(config, key, entry) ? cJSON_Print(config) : NULL;
	cJSON_Delete(config);
	if (!out)
		return err_nomem(e);
	buf_reset(text);
	buf_puts(text, out);
	buf_addc(text, '\n');
	cJSON_free(out);
	return buf_ok(text, e);
}

static int write_small(struct work *w, const char *name, const void *p, size_t len, struct err *e)
{
	char *path = path_join(w->dst, name), *copy = strdup(name);
	struct sink s;
	struct manifest_file f = {.name = copy, .bytes = len};
	int rc = path && copy ? sink_open(&s, path, e) : err_nomem(e);
	if (rc == 0 && (rc = sink_write(&s, p, len, e)) < 0)
		sink_abort(&s);
	else if (rc == 0)
		rc = sink_commit(&s, &f.sum, e);
	if (rc == 0)
		rc = manifest_put(&w->manifest, &f, e);
	free(path);
	free(copy);
	return rc;
}

static int copy_one(struct work *w, const char *name, struct err *e)
{
	char *from = path_join(w->c->dir, name);
	struct buf text = BUF_INIT;
	int rc = !from ? err_nomem(e) : file_exists(from) ? file_read(from, LIMIT, &text, e) : 1;
	if (rc == 0 && !strcmp(name, "config.json"))
		rc = change_config(w, &text, from, e);
	if (rc == 0)
		rc = write_small(w, name, buf_str(&text), text.len, e);
	buf_clear(&text);
	free(from);
	return rc < 0 ? -1 : 0;
}

int small_copy(struct work *w, struct err *e)
{
	if (w->layout.gguf) /* it is all in the metadata */
		return 0;
	DIR *d = opendir(w->c->dir);
	if (!d)
		return err_sys(e, errno, "can't open the folder %s", w->c->dir);
	int rc = 0;
	for (struct dirent *f; rc == 0 && (f = readdir(d));)
		if (is_wanted(f->d_name))
			rc = copy_one(w, f->d_name, e);
	closedir(d);
	return rc;
}

int small_index(struct work *w, struct err *e)
{
	const struct layout *l = &w->layout;
	struct buf b = BUF_INIT;
	uint64_t total = 0;
	if (l->gguf)
		return 0;
	for (size_t i = 0; i < l->n_pieces; i++)
		total += l->pieces[i].bytes;
	buf_printf(&b, "{\"metadata\": {\"total_size\": %llu},\n \"weight_map\": {", (unsigned long long)total);
	for (uint32_t i = 0, n = 0; i < l->n_files; i++)
		for (size_t k = 0; k < l->files[i].n; k++) {
			buf_puts(&b, n++ ? ",\n  " : "\n  ");
			json_write_str(&b, l->files[i].pieces[k]->name, strlen(l->files[i].pieces[k]->name));
			buf_puts(&b, ": ");
			json_write_str(&b, l->files[i].name, strlen(l->files[i].name));
		}
	buf_puts(&b, "}}\n");
	int rc = buf_ok(&b, e);
	if (rc == 0)
		rc = write_small(w, "model.safetensors.index.json", b.p, b.len, e);
	buf_clear(&b);
	return rc;
}
