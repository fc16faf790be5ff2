/* The pre-tokenizers that GGUF files call by name (tokenizer.ggml.pre). Private to tokenizer/. */
#ifndef AIRLCHAT_TOKENIZER_GGUF_PRE_H
#define AIRLCHAT_TOKENIZER_GGUF_PRE_H

#include "tokenizer/pipeline.h"

#define PATTERN_LLAMA3 GGUF_WORDS("\\p{N}{1,3}")
#define PATTERN_QWEN2 GGUF_WORDS("\\p{N}")
#define PATTERN_GPT4O GGUF_CASED("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "\\p{N}{1,3}")
#define PATTERN_TEKKEN GGUF_CASED("", "\\p{N}")
#define PATTERN_KIMI                                                                                       \
	"[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*"                 \
	"[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"                           \
	"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]+"                            \
	"[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"                           \
	"\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* Contractions, words with what is before them, numbers, the rest: the pattern of cl100k and its kin. */
#define GGUF_WORDS(digits)                                                                                 \
	"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                                  \
	"| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* Words cut where upper case begins: the pattern of o200k and its kin. */
#define GGUF_CASED(contractions, digits)                                                                   \
	"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+" contractions  \
	"|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*" contractions \
	"|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

struct gguf_pre {
	const char *name;
	const char *patterns[6]; /* Splits, one after the other; NULL at the end */
	unsigned flags;
};

enum gguf_pre_flags {
	GGUF_IGNORE_MERGES = 1,
	GGUF_BOS = 2,	  /* a BOS is added unless the file says otherwise */
	GGUF_SEP = 4,	  /* BOS and SEP around the text */
	GGUF_RAW = 8,	  /* not byte-level: characters, with bytes for the unknown; "▁" for spaces */
	GGUF_NFC = 16,
};

/* NULL if the name is unknown. */
const struct gguf_pre *gguf_pre_find(const char *name, size_t len);
const struct gguf_pre *gguf_pre_at(size_t i); /* NULL behind the last */

#endif
