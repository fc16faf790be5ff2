/* tokenizer.json: normalizer, pre-tokenizer, post-processor and decoder, each an object {"type":
 * ...} or a Sequence of such. */
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "tokenizer/chars.h"
#include "tokenizer/load_json.h"

#define NESTING 8 /* Sequences in Sequences */

bool json_part(struct json_loader *l, bool (*read)(struct json_loader *, const cJSON *, int depth))
{
	const char *from = l->r.p;
	if (!json_skip(&l->r))
		return false;
	cJSON *j = cJSON_ParseWithLength(from, (size_t)(l->r.p - from));
	if (!j)
		json_fail(&l->r, "a part of the pipeline can't be read");
	else if (!cJSON_IsNull(j))
		read(l, j, 0);
	cJSON_Delete(j);
	return !l->r.failed;
}

/* --- fields --- */

static bool fail(struct json_loader *l) /* l->e tells why */
{
	if (!l->r.failed)
		err_prefix(l->e, "%s", l->t->path);
	l->r.failed = true;
	return false;
}

static bool bad(struct json_loader *l, const char *what)
{
	if (!l->r.failed)
		err_set(l->e, ERR_FORMAT, "%s: %s", l->t->path, what);
	l->r.failed = true;
	return false;
}

static const cJSON *field(const cJSON *j, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(j, name);
}

static const char *text(const cJSON *j, const char *name)
{
	const cJSON *f = field(j, name);
	return cJSON_IsString(f) ? f->valuestring : NULL;
}

static bool flag(const cJSON *j, const char *name, bool otherwise)
{
	const cJSON *f = field(j, name);
	return cJSON_IsBool(f) ? cJSON_IsTrue(f) : otherwise;
}

static bool is_type(const char *type, const char *name)
{
	return !strcmp(type, name);
}

/* A field of one character. */
static bool one_char(struct json_loader *l, const cJSON *j, const char *name, uint32_t *cp)
{
	const char *s = text(j, name);
	return s && *s && char_at(s, cp) == strlen(s)
		       ? true
		       : bad(l, "a field that must be one character is not");
}

/* {"String": "..."} or {"Regex": "..."} */
static struct regex *pattern(struct json_loader *l, const cJSON *j)
{
	const cJSON *p = field(j, "pattern");
	const char *literal = text(p, "String"), *regex = text(p, "Regex");
	struct regex *re = NULL;
	if (!literal && !regex)
		bad(l, "a pattern that is neither String nor Regex");
	else if (!(re = literal ? regex_new(literal, strlen(literal), true, l->e)
				: regex_new(regex, strlen(regex), false, l->e)))
		fail(l);
	return re;
}

/* Sequences: each element in turn. */
static bool sequence(struct json_loader *l, const cJSON *j, const char *name, int depth,
	bool (*read)(struct json_loader *, const cJSON *, int))
{
	const cJSON *item;
	if (depth >= NESTING)
		return bad(l, "Sequences nested too deep");
	cJSON_ArrayForEach(item, field(j, name))
		if (!read(l, item, depth + 1))
			return false;
	return true;
}

/* --- normalizers --- */

static bool charsmap(struct json_loader *l, const cJSON *j)
{
	const char *s = text(j, "precompiled_charsmap");
	struct buf blob = BUF_INIT;
	bool ok = s && base64_decode(s, strlen(s), &blob);
	if (!ok)
		bad(l, "precompiled_charsmap is no base64");
	else if (blob.len && normalizer_add_charsmap(&l->t->normalizer, (const uint8_t *)blob.p,
				     blob.len, l->e) < 0)
		ok = fail(l);
	buf_clear(&blob);
	return ok;
}

static bool bert(struct json_loader *l, const cJSON *j)
{
	struct normalizer *n = &l->t->normalizer;
	bool lower = flag(j, "lowercase", true), accents = flag(j, "strip_accents", lower);
	bool ok = true;
	if (flag(j, "clean_text", true))
		ok = normalizer_add(n, NORM_CLEAN, l->e) != NULL;
	if (ok && flag(j, "handle_chinese_chars", true))
		ok = normalizer_add(n, NORM_CJK_SPACES, l->e) != NULL;
	if (ok && accents)
		ok = normalizer_add(n, NORM_NFD, l->e) &&
		     normalizer_add(n, NORM_STRIP_NONSPACING, l->e);
	if (ok && lower)
		ok = normalizer_add(n, NORM_LOWERCASE, l->e) != NULL;
	return ok ? true : fail(l);
}

static bool replace_or_prepend(struct json_loader *l, const cJSON *j, bool prepend)
{
	const char *s = text(j, prepend ? "prepend" : "content");
	if (!s)
		return bad(l, "a normalizer without its text");
	struct norm_step *step = normalizer_add_text(
		&l->t->normalizer, prepend ? NORM_PREPEND : NORM_REPLACE, s, strlen(s), l->e);
	if (!step)
		return fail(l);
	if (!prepend)
		step->re = pattern(l, j);
	return prepend || step->re;
}

bool json_normalizer(struct json_loader *l, const cJSON *j, int depth)
{
	static const struct {
		const char *type;
		enum norm_kind kind;
	} plain[] = {{"NFC", NORM_NFC}, {"NFD", NORM_NFD}, {"NFKC", NORM_NFKC}, {"NFKD", NORM_NFKD},
		{"Lowercase", NORM_LOWERCASE}, {"StripAccents", NORM_STRIP_ACCENTS},
		{"Nmt", NORM_NMT}, {"ByteLevel", NORM_BYTE_LEVEL}, {"Strip", NORM_STRIP}};
	const char *type = text(j, "type");
	if (!type)
		return bad(l, "a normalizer without a type");
	if (is_type(type, "Sequence"))
		return sequence(l, j, "normalizers", depth, json_normalizer);
	if (is_type(type, "Precompiled"))
		return charsmap(l, j);
	if (is_type(type, "Bert") || is_type(type, "BertNormalizer"))
		return bert(l, j);
	if (is_type(type, "Replace") || is_type(type, "Prepend"))
		return replace_or_prepend(l, j, is_type(type, "Prepend"));
	for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++) {
		if (!is_type(type, plain[i].type))
			continue;
		struct norm_step *s = normalizer_add(&l->t->normalizer, plain[i].kind, l->e);
		if (!s)
			return fail(l);
		s->left = flag(j, "strip_left", true);
		s->right = flag(j, "strip_right", true);
		return true;
	}
	return json_unsupported(l, "normalizer", type, strlen(type));
}

/* --- pre-tokenizers --- */

static bool behavior(struct json_loader *l, const cJSON *j, enum split_behavior *b)
{
	static const char *const names[] = {
		"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
	const char *s = text(j, "behavior");
	for (int i = 0; s && i < 5; i++)
		if (is_type(s, names[i])) {
			*b = (enum split_behavior)i;
			return true;
		}
	return s ? json_unsupported(l, "split behavior", s, strlen(s)) : true;
}

static bool metaspace(
	struct json_loader *l, const cJSON *j, enum prepend_scheme *scheme, uint32_t *ch)
{
	const char *s = text(j, "prepend_scheme");
	*scheme = !s || is_type(s, "always") ? PREPEND_ALWAYS
		  : is_type(s, "first")      ? PREPEND_FIRST
					     : PREPEND_NEVER;
	if (s && *scheme == PREPEND_NEVER && !is_type(s, "never"))
		return json_unsupported(l, "prepend scheme", s, strlen(s));
	if (!flag(j, "add_prefix_space", true))
		*scheme = PREPEND_NEVER;
	return one_char(l, j, "replacement", ch);
}

/* The fields of one step; s->kind is set. */
static bool fill_pre(struct json_loader *l, const cJSON *j, struct pre_step *s)
{
	const cJSON *length = field(j, "length");
	switch (s->kind) {
	case PRE_SPLIT:
		s->invert = flag(j, "invert", false);
		s->re = pattern(l, j);
		return s->re && behavior(l, j, &s->behavior);
	case PRE_METASPACE:
		s->split = flag(j, "split", true);
		return metaspace(l, j, &s->prepend, &s->ch);
	case PRE_DIGITS:
		s->behavior =
			flag(j, "individual_digits", false) ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS;
		return true;
	case PRE_PUNCTUATION:
		return behavior(l, j, &s->behavior);
	case PRE_WHITESPACE_SPLIT:
		s->behavior = SPLIT_REMOVED;
		return true;
	case PRE_DELIMITER:
		s->behavior = SPLIT_REMOVED;
		return one_char(l, j, "delimiter", &s->ch);
	case PRE_FIXED:
		s->length = cJSON_IsNumber(length) && length->valuedouble >= 1 &&
					    length->valuedouble < 1e9
				    ? (size_t)length->valuedouble
				    : 5;
		return true;
	default:
		return true;
	}
}

static bool add_pre(struct json_loader *l, const cJSON *j, enum pre_kind kind)
{
	struct pre_step *s = pretokenizer_add(&l->t->pre, kind, l->e);
	return s ? fill_pre(l, j, s) : fail(l);
}

bool json_pretokenizer(struct json_loader *l, const cJSON *j, int depth)
{
	static const struct {
		const char *type;
		enum pre_kind kind;
	} table[] = {{"Split", PRE_SPLIT}, {"Metaspace", PRE_METASPACE}, {"Digits", PRE_DIGITS},
		{"Punctuation", PRE_PUNCTUATION}, {"Whitespace", PRE_WHITESPACE},
		{"WhitespaceSplit", PRE_WHITESPACE_SPLIT}, {"CharDelimiterSplit", PRE_DELIMITER},
		{"Delimiter", PRE_DELIMITER}, {"FixedLength", PRE_FIXED}};
	const char *type = text(j, "type");
	if (!type)
		return bad(l, "a pre-tokenizer without a type");
	if (is_type(type, "Sequence"))
		return sequence(l, j, "pretokenizers", depth, json_pretokenizer);
	if (is_type(type, "ByteLevel"))
		return pretokenizer_add_byte_level(&l->t->pre, flag(j, "add_prefix_space", true),
			       flag(j, "use_regex", true), l->e) == 0
			       ? true
			       : fail(l);
	if (is_type(type, "UnicodeScripts"))
		return pretokenizer_add_scripts(&l->t->pre, l->e) == 0 ? true : fail(l);
	if (is_type(type, "BertPreTokenizer"))
		return add_pre(l, j, PRE_WHITESPACE_SPLIT) && add_pre(l, j, PRE_PUNCTUATION);
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (is_type(type, table[i].type))
			return add_pre(l, j, table[i].kind);
	return json_unsupported(l, "pre-tokenizer", type, strlen(type));
}

/* --- post-processors --- */

static bool add_id(struct json_loader *l, struct ids *t, const cJSON *id)
{
	if (!cJSON_IsNumber(id) || id->valuedouble < 0 || id->valuedouble >= VOCAB_ID_LIMIT)
		return bad(l, "the post-processor has an id that is no id");
	return ids_add(t, (uint32_t)id->valuedouble, l->e) == 0 ? true : fail(l);
}

static bool template(struct json_loader *l, const cJSON *j)
{
	struct ids *t = postprocessor_add(&l->t->post, l->e);
	const cJSON *piece, *id;
	if (!t)
		return fail(l);
	cJSON_ArrayForEach(piece, field(j, "single")) {
		const cJSON *special = field(piece, "SpecialToken"),
			    *seq = field(piece, "Sequence");
		const char *name = text(special ? special : seq, "id");
		if (!name || t->len > 1024 || (!special && !is_type(name, "A")))
			return bad(l, "the post-processor's template for one text is broken");
		if (!special && ids_add(t, POST_TEXT, l->e) < 0)
			return fail(l);
		const cJSON *token = special ? field(field(j, "special_tokens"), name) : NULL;
		if (special && !token)
			return bad(
				l, "the post-processor's template names a token it doesn't define");
		cJSON_ArrayForEach(id, field(token, "ids"))
			if (!add_id(l, t, id))
				return false;
	}
	return true;
}

/* BertProcessing, RobertaProcessing: cls text sep; each is ["token", id]. */
static bool around(struct json_loader *l, const cJSON *j)
{
	struct ids *t = postprocessor_add(&l->t->post, l->e);
	if (!t)
		return fail(l);
	return add_id(l, t, cJSON_GetArrayItem(field(j, "cls"), 1)) &&
	       (ids_add(t, POST_TEXT, l->e) == 0 || fail(l)) &&
	       add_id(l, t, cJSON_GetArrayItem(field(j, "sep"), 1));
}

bool json_postprocessor(struct json_loader *l, const cJSON *j, int depth)
{
	const char *type = text(j, "type");
	if (!type)
		return bad(l, "a post-processor without a type");
	if (is_type(type, "Sequence"))
		return sequence(l, j, "processors", depth, json_postprocessor);
	if (is_type(type, "TemplateProcessing"))
		return template(l, j);
	if (is_type(type, "BertProcessing") || is_type(type, "RobertaProcessing"))
		return around(l, j);
	if (is_type(type, "ByteLevel")) /* it is about offsets only */
		return true;
	return json_unsupported(l, "post-processor", type, strlen(type));
}

/* --- decoders --- */

static bool decoder_text(struct json_loader *l, const cJSON *j, enum dec_kind kind,
	const char *name, const char *otherwise)
{
	const char *s = text(j, name), *delimiter = text(j, "word_delimiter_token");
	s = s ? s : otherwise;
	struct dec_step *d = decoder_add_text(&l->t->decoder, kind, s, strlen(s), l->e);
	if (!d)
		return fail(l);
	d->flag = flag(j, "cleanup", true);
	if (kind == DEC_REPLACE)
		d->re = pattern(l, j);
	if (kind == DEC_CTC)
		d->delimiter = strdup(delimiter ? delimiter : "|");
	return (kind != DEC_REPLACE || d->re) && (kind != DEC_CTC || d->delimiter) ? true : fail(l);
}

static size_t count(const cJSON *j, const char *name)
{
	const cJSON *f = field(j, name);
	return cJSON_IsNumber(f) && f->valuedouble > 0 && f->valuedouble < 1e9
		       ? (size_t)f->valuedouble
		       : 0;
}

static bool decoder_char(struct json_loader *l, const cJSON *j, enum dec_kind kind)
{
	struct dec_step *d = decoder_add(&l->t->decoder, kind, l->e);
	enum prepend_scheme scheme = PREPEND_ALWAYS;
	if (!d)
		return fail(l);
	if (kind == DEC_STRIP) {
		d->start = count(j, "start");
		d->stop = count(j, "stop");
		return one_char(l, j, "content", &d->ch);
	}
	if (kind == DEC_METASPACE && !metaspace(l, j, &scheme, &d->ch))
		return false;
	d->flag = scheme != PREPEND_NEVER;
	return true;
}

bool json_decoder(struct json_loader *l, const cJSON *j, int depth)
{
	static const struct {
		const char *type;
		enum dec_kind kind;
	} table[] = {{"ByteLevel", DEC_BYTE_LEVEL}, {"Metaspace", DEC_METASPACE},
		{"ByteFallback", DEC_BYTE_FALLBACK}, {"Fuse", DEC_FUSE}, {"Strip", DEC_STRIP}};
	const char *type = text(j, "type");
	l->t->decoder.none = false;
	if (!type)
		return bad(l, "a decoder without a type");
	if (is_type(type, "Sequence"))
		return sequence(l, j, "decoders", depth, json_decoder);
	if (is_type(type, "Replace"))
		return decoder_text(l, j, DEC_REPLACE, "content", "");
	if (is_type(type, "BPEDecoder"))
		return decoder_text(l, j, DEC_BPE, "suffix", "</w>");
	if (is_type(type, "WordPiece"))
		return decoder_text(l, j, DEC_WORDPIECE, "prefix", "##");
	if (is_type(type, "CTC"))
		return decoder_text(l, j, DEC_CTC, "pad_token", "<pad>");
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (is_type(type, table[i].type))
			return decoder_char(l, j, table[i].kind);
	return json_unsupported(l, "decoder", type, strlen(type));
}
