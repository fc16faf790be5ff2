/* The names are those that llama.cpp's converter writes; the patterns are those of the models'
 * tokenizer.json files (where llama.cpp rewrites a pattern for its own engine, the original). */
#include "tokenizer/gguf_pre.h"

#include <string.h>

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define DIGIT "\\p{N}"
#define DIGITS3 "\\p{N}{1,3}"
#define KANA "[\xE4\xB8\x80-\xE9\xBE\xA5\xE3\x81\x80-\xE3\x82\x9F\xE3\x82\xA0-\xE3\x83\xBF]+"
#define HAN "[\xE4\xB8\x80-\xE9\xBE\xA5\xE0\xA0\x80-\xE4\xB8\x80\xEA\xB0\x80-\xED\x9F\xBF]+"
#define ASCII_PUNCT "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"
#define MARKED_WORDS ASCII_PUNCT "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+"
#define DEEPSEEK3 MARKED_WORDS "[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define BLOOM " ?[^(\\s|[.,!?\xE2\x80\xA6\xE3\x80\x82\xEF\xBC\x8C\xE3\x80\x81\xE0\xA5\xA4\xDB\x94\xD8\x8C])]+"
#define LINES "[^\\n]+|[\\n]+"
#define PUNCT "[\\p{P}\\$\\+<=>\\^~\\|`]+"
/* letters that have a case, as DeepSeek's pattern lists them */
#define CASED                                                                                              \
	"\\s?[A-Za-z\\u00B5\\u00C0-\\u00D6\\u00D8-\\u00F6\\u00F8-\\u01BA\\u01BC-\\u01BF\\u01C4-\\u0293"        \
	"\\u0295-\\u02AF\\u0370-\\u0373\\u0376\\u0377\\u037B-\\u037D\\u037F\\u0386\\u0388-\\u038A\\u038C"      \
	"\\u038E-\\u03A1\\u03A3-\\u03F5\\u03F7-\\u0481\\u048A-\\u052F\\u0531-\\u0556\\u10A0-\\u10C5"           \
	"\\u13A0-\\u13F5\\u13F8-\\u13FD\\u1C90-\\u1CBA\\u1CBD-\\u1CBF\\u1D00-\\u1D2B\\u1D6B-\\u1D77"           \
	"\\u1D79-\\u1D9A\\u1E00-\\u1F15\\u1F18-\\u1F1D\\u1F20-\\u1F45\\u1F48-\\u1F4D\\u1F50-\\u1F57\\u1F59"    \
	"\\u1F5B\\u1F5D\\u1F5F-\\u1F7D\\u1F80-\\u1FB4\\u1FB6-\\u1FBC\\u1FBE\\u1FC2-\\u1FC4\\u1FC6-\\u1FCC"     \
	"\\u1FD0-\\u1FD3\\u1FD6-\\u1FDB\\u1FE0-\\u1FEC\\u1FF2-\\u1FF4\\u1FF6-\\u1FFC\\u2102\\u2107"            \
	"\\u210A-\\u2113\\u2115\\u2119-\\u211D\\u2124\\u2126\\u2128\\u212A-\\u212D\\u212F-\\u2134\\u2139"       \
	"\\u213C-\\u213F\\u2145-\\u2149\\u214E\\u2183\\u2184\\u2C00-\\u2C7B\\u2C7E-\\u2CE4\\u2CEB-\\u2CEE"     \
	"\\u2CF2\\u2CF3\\uA640-\\uA66D\\uA680-\\uA69B\\uA722-\\uA76F\\uA771-\\uA787\\uA78B-\\uA78E"            \
	"\\uAB70-\\uABBF\\uFB00-\\uFB06\\uFB13-\\uFB17\\uFF21-\\uFF3A\\uFF41-\\uFF5A\\x{10400}-\\x{1044F}"     \
	"\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}"                \
	"\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}]+"
#define WIDE_PUNCT                                                                                         \
	"\\s?[!-/:-~\\uFF01-\\uFF0F\\uFF1A-\\uFF5E\\u2018-\\u201F\\u3000-\\u3002]+"
#define TAIL " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SPACES_BY_POWERS                                                                                   \
	"\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|"        \
	"\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}"
#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define EXAONE_MOE                                                                                         \
	CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}|"                   \
		     " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"
#define BAILING                                                                                            \
	"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|"         \
	"\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"
#define QWEN35                                                                                             \
	CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|"      \
		     "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define YOUTU_CJK                                                                                          \
	"[\\uAC00-\\uD7A3\\u3131-\\u318E]+|[\\uFF01\\u2026\\u201C\\u201D\\u2018\\u2019\\u2014\\uFF1A\\uFF1B"   \
	"\\uFF0C\\u3001-\\u303F\\uFE30-\\uFE4F]+|[\\u3105-\\u312F]+|" KANA
#define AFMOE_CJK                                                                                          \
	"[\\u4E00-\\u9FFF\\u3400-\\u4DBF\\uF900-\\uFAFF\\u3040-\\u309F\\u30A0-\\u30FF\\uFF65-\\uFF9F"          \
	"\\u2F00-\\u2FDF\\u0E00-\\u0E7F\\u0E80-\\u0EFF\\u1780-\\u17FF\\u1000-\\u109F\\uAA60-\\uAA7F"           \
	"\\uA9E0-\\uA9FF\\uAC00-\\uD7AF\\u1100-\\u11FF]+"

#define LLAMA3_FLAGS (GGUF_IGNORE_MERGES | GGUF_BOS)

static const struct gguf_pre table[] = {
	{"default", {PUNCT, GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}, 0},
	{"gpt-2", {GPT2}, 0}, {"gpt2", {GPT2}, 0}, {"phi-2", {GPT2}, 0}, {"jina-es", {GPT2}, 0},
	{"jina-de", {GPT2}, 0}, {"jina-v2-es", {GPT2}, 0}, {"jina-v2-de", {GPT2}, 0},
	{"gigachat", {GPT2}, 0}, {"a.x-4.0", {GPT2}, 0}, {"mellum", {GPT2}, 0},
	{"modern-bert", {GPT2}, 0}, {"exaone4", {GPT2}, 0}, {"mpt", {GPT2}, 0}, {"olmo", {GPT2}, 0},
	{"jais", {GPT2}, 0}, {"trillion", {GPT2}, 0}, {"granite-docling", {GPT2}, 0},
	{"jina-v1-en", {GPT2}, GGUF_SEP}, {"jina-v2-code", {GPT2}, GGUF_SEP},
	{"roberta-bpe", {GPT2}, GGUF_SEP},
	{"smollm", {DIGIT, GPT2}, 0}, {"starcoder", {DIGIT, GPT2}, 0}, {"refact", {DIGIT, GPT2}, 0},
	{"command-r", {DIGIT, GPT2}, 0}, {"codeshell", {DIGIT, GPT2}, 0}, {"exaone", {DIGIT, GPT2}, 0},
	{"minerva-7b", {DIGIT, GPT2}, 0}, {"mellum2", {DIGIT, GPT2}, 0},
	{"llama-bpe", {PATTERN_LLAMA3}, LLAMA3_FLAGS}, {"llama3", {PATTERN_LLAMA3}, LLAMA3_FLAGS},
	{"llama-v3", {PATTERN_LLAMA3}, LLAMA3_FLAGS}, {"falcon3", {PATTERN_LLAMA3}, LLAMA3_FLAGS},
	{"falcon-h1", {PATTERN_LLAMA3}, LLAMA3_FLAGS}, {"pixtral", {PATTERN_LLAMA3}, LLAMA3_FLAGS},
	{"midm-2.0", {PATTERN_LLAMA3}, LLAMA3_FLAGS}, {"lfm2", {PATTERN_LLAMA3}, LLAMA3_FLAGS},
	{"jina-v5-nano", {PATTERN_LLAMA3}, LLAMA3_FLAGS},
	{"dbrx", {PATTERN_LLAMA3}, 0}, {"smaug-bpe", {PATTERN_LLAMA3}, 0},
	{"smaug", {PATTERN_LLAMA3}, 0}, {"chatglm-bpe", {PATTERN_LLAMA3}, 0},
	{"glm4", {PATTERN_LLAMA3}, GGUF_IGNORE_MERGES}, {"glm5", {PATTERN_LLAMA3}, GGUF_IGNORE_MERGES},
	{"minicpm5", {DIGITS3, GGUF_WORDS("\\p{N}+")}, GGUF_IGNORE_MERGES},
	{"jais-2", {CONTRACTIONS "|" WORD "|" DIGITS3 "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
		SPACES_BY_POWERS}, 0},
	{"qwen2", {PATTERN_QWEN2}, 0}, {"deepseek-r1-qwen", {PATTERN_QWEN2}, 0},
	{"kormo", {PATTERN_QWEN2}, 0}, {"f2llmv2", {PATTERN_QWEN2}, 0}, {"megrez", {PATTERN_QWEN2}, 0},
	{"stablelm2", {PATTERN_QWEN2}, 0}, {"hunyuan", {PATTERN_QWEN2}, 0},
	{"solar-open", {PATTERN_QWEN2}, 0}, {"grok-2", {PATTERN_QWEN2}, 0}, {"qwen35", {QWEN35}, 0},
	{"ufakzeka", {WORD "|\\p{N}|" TAIL}, 0}, {"laguna", {LINES, PATTERN_QWEN2}, 0},
	{"seed-coder", {CONTRACTIONS "|" WORD "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+|"
		"\\s+(?!\\S)|\\s+"}, 0},
	{"bailingmoe", {BAILING}, 0}, {"bailingmoe2", {BAILING}, 0}, {"llada-moe", {BAILING}, 0},
	{"exaone-moe", {EXAONE_MOE}, 0},
	{"deepseek-llm", {"[\\r\\n]", CASED, WIDE_PUNCT, "\\s+$", HAN, "\\p{N}+"}, 0},
	{"deepseek-coder", {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", HAN, DIGIT}, 0},
	{"deepseek-v3", {DIGITS3, KANA, DEEPSEEK3}, 0}, {"hunyuan-dense", {DIGITS3, KANA, DEEPSEEK3}, 0},
	{"joyai-llm", {DIGITS3, KANA, DEEPSEEK3}, 0}, {"hy_v4", {DIGITS3, KANA, DEEPSEEK3}, 0},
	{"spark2_5", {DIGITS3, KANA, MARKED_WORDS "|[\\r\\n]|\\s+(?!\\S)|\\s+", DIGIT}, 0},
	{"youtu", {YOUTU_CJK, GGUF_CASED(CONTRACTIONS "?", DIGIT)}, GGUF_IGNORE_MERGES},
	{"afmoe", {"\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))", AFMOE_CJK, DEEPSEEK3}, 0},
	{"falcon", {PUNCT, GPT2, "[0-9][0-9][0-9]"}, 0},
	{"poro-chat", {BLOOM}, 0}, {"poro", {BLOOM}, 0}, {"bloom", {BLOOM}, 0},
	{"gpt3-finnish", {BLOOM}, 0}, {"viking", {BLOOM, DIGIT}, 0},
	{"tekken", {PATTERN_TEKKEN}, LLAMA3_FLAGS},
	{"gpt-4o", {PATTERN_GPT4O}, 0}, {"llama4", {PATTERN_GPT4O}, 0}, {"kanana2", {PATTERN_GPT4O}, 0},
	{"talkie", {PATTERN_GPT4O}, 0}, {"minimax-m2", {PATTERN_GPT4O}, 0},
	{"granite-embed-multi-97m", {PATTERN_GPT4O}, GGUF_IGNORE_MERGES},
	{"tiny_aya", {"\\d{1,3}(?=(?:\\d{3})*\\b)", PATTERN_GPT4O}, 0},
	{"cohere2moe", {"\\d{1,3}(?=(?:\\d{3})*\\b)", PATTERN_GPT4O}, 0},
	{"kimi-k2", {PATTERN_KIMI}, 0},
	{"superbpe", {"\\p{N}+", "(?=(\\d{3})+(?!\\d))"}, 0},
	{"chameleon", {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )",
		DIGIT, "[\\p{P}!-/:-@\\[-`{-~]", GPT2}, GGUF_BOS},
	{"gemma4", {LINES}, GGUF_RAW}, {"granite-embed-multi-311m", {LINES}, GGUF_RAW},
	{"sarvam-moe", {LINES}, GGUF_RAW},
};

const struct gguf_pre *gguf_pre_at(size_t i)
{
	return i < sizeof(table) / sizeof(*table) ? &table[i] : NULL;
}

const struct gguf_pre *gguf_pre_find(const char *name, size_t len)
{
	const struct gguf_pre *p;
	for (size_t i = 0; (p = gguf_pre_at(i)) != NULL; i++)
		if (strlen(p->name) == len && !memcmp(p->name, name, len))
			return p;
	return NULL;
}
