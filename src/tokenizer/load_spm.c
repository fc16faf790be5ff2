/* SentencePiece's own file, tokenizer.model: a ModelProto (sentencepiece_model.proto) in the
 * protobuf wire format. Only the fields that matter here are read. */
#include <string.h>

#include "tokenizer/load.h"
#include "tokenizer/spm.h"

struct field {                  /* of a message */
	uint64_t number, value; /* value: of a varint or a fixed number */
	const uint8_t *p;       /* of a length-delimited one */
	size_t len;
	int wire;
};

struct message {
	const uint8_t *p, *end;
	bool broken;
};

static bool varint(struct message *m, uint64_t *out)
{
	*out = 0;
	for (int shift = 0; shift < 64 && m->p < m->end; shift += 7) {
		uint8_t b = *m->p++;
		*out |= (uint64_t)(b & 0x7F) << shift;
		if (!(b & 0x80))
			return true;
	}
	m->broken = true;
	return false;
}

/* The next field; false at the end or when the message is broken. */
static bool next_field(struct message *m, struct field *f)
{
	uint64_t key, n;
	*f = (struct field){0};
	if (m->broken || m->p == m->end || !varint(m, &key))
		return false;
	f->number = key >> 3;
	f->wire = key & 7;
	if (f->wire == 0)
		return varint(m, &f->value);
	n = f->wire == 1 ? 8 : 4;
	if (f->wire == 2 ? !varint(m, &n) : f->wire != 1 && f->wire != 5) {
		m->broken = true;
		return false;
	}
	if (n > (uint64_t)(m->end - m->p)) {
		m->broken = true;
		return false;
	}
	f->p = m->p;
	f->len = (size_t)n;
	m->p += n;
	return true;
}

static float fixed32(const struct field *f)
{
	float x = 0;
	if (f->wire == 5)
		memcpy(&x, f->p, sizeof(x)); /* little-endian, as everything here */
	return x;
}

struct proto {
	struct spm_options o;
	bool byte_fallback, add_dummy_prefix;
	uint64_t model_type; /* 1 unigram, 2 BPE */
	int64_t ids[4];      /* unk, bos, eos, pad; -1: none */
};

static int read_piece(
	struct tokenizer *t, struct message m, uint32_t id, size_t *cap, struct err *e)
{
	struct field f;
	const char *text = "";
	size_t len = 0;
	int type = SPM_NORMAL;
	float score = 0;
	while (next_field(&m, &f)) {
		if (f.number == 1 && f.wire == 2) {
			text = (const char *)f.p;
			len = f.len;
		} else if (f.number == 2) {
			score = fixed32(&f);
		} else if (f.number == 3 && f.wire == 0) {
			type = (int)(f.value & 0xFF);
		}
	}
	if (m.broken)
		return err_set(e, ERR_FORMAT, "%s: piece %u is broken", t->path, id);
	return spm_piece(t, id, text, len, type, (double)score, cap, e);
}

static void read_trainer(struct proto *p, struct message m)
{
	struct field f;
	while (next_field(&m, &f)) {
		if (f.wire != 0)
			continue;
		if (f.number == 3)
			p->model_type = f.value;
		else if (f.number == 35)
			p->byte_fallback = f.value != 0;
		else if (f.number >= 40 && f.number <= 43)
			p->ids[f.number - 40] = (int64_t)f.value; /* -1 is written in 10 bytes */
	}
}

static void read_normalizer(struct proto *p, struct message m)
{
	struct field f;
	while (next_field(&m, &f)) {
		if (f.number == 2 && f.wire == 2) {
			p->o.charsmap = f.p;
			p->o.charsmap_len = f.len;
		} else if (f.number == 3 && f.wire == 0) {
			p->add_dummy_prefix = f.value != 0;
		} else if (f.number == 4 && f.wire == 0) {
			p->o.trim = f.value != 0;
		}
	}
}

static int read_proto(struct tokenizer *t, struct proto *p, struct message m, struct err *e)
{
	struct field f;
	uint32_t id = 0;
	size_t cap = 0;
	while (next_field(&m, &f)) {
		if (f.wire != 2)
			continue;
		const struct message inner = {f.p, f.p + f.len, false};
		if (f.number == 1 && read_piece(t, inner, id++, &cap, e) < 0)
			return -1;
		if (f.number == 2)
			read_trainer(p, inner);
		if (f.number == 3)
			read_normalizer(p, inner);
	}
	if (m.broken || id == 0)
		return err_set(
			e, ERR_FORMAT, "%s is no SentencePiece model, or it is cut", t->path);
	if (p->model_type != 1 && p->model_type != 2)
		return err_set(e, ERR_UNSUPPORTED,
			"%s: SentencePiece's model type %llu is not supported", t->path,
			(unsigned long long)p->model_type);
	return 0;
}

static int set_roles(struct tokenizer *t, const struct proto *p, struct err *e)
{
	static const int roles[4] = {ROLE_UNK, ROLE_BOS, ROLE_EOS, ROLE_PAD};
	for (int i = 0; i < 4; i++) {
		size_t len;
		bool known = p->ids[i] >= 0 && p->ids[i] < VOCAB_ID_LIMIT;
		const char *s = known ? vocab_get(&t->vocab, (uint32_t)p->ids[i], &len) : NULL;
		if (s && role_set(t, roles[i], s, len, e) < 0)
			return -1;
	}
	return 0;
}

int load_spm(struct tokenizer *t, const cJSON *config, const char *dir, const char *text,
	size_t len, struct err *e)
{
	struct proto p = {.add_dummy_prefix = true,
		.model_type = 1,
		.ids = {0, 1, 2, -1},
		.o = {.trim = true}};
	const struct message all = {(const uint8_t *)text, (const uint8_t *)text + len, false};
	if (read_proto(t, &p, all, e) < 0)
		return -1;
	p.o.unigram = p.model_type == 1;
	p.o.prefix_space = tokconf_flag(config, "add_prefix_space", p.add_dummy_prefix);
	p.o.prefix_everywhere = !p.o.unigram && tokconf_flag(config, "legacy", true);
	if (set_roles(t, &p, e) < 0 || tokconf_added(t, config, dir, e) < 0 ||
		tokconf_special(t, config, dir, e) < 0 || spm_pipeline(t, &p.o, e) < 0)
		return -1;
	t->model.byte_fallback = p.byte_fallback;
	if (pipeline_finish(t, true, e) < 0)
		return -1;
	if (!p.o.unigram && spm_ranks(t, e) < 0)
		return -1;
	bpe_finish(&t->model, &t->vocab);
	return tokconf_around(t, config, !p.o.unigram, p.o.unigram, e);
}
