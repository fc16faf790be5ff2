#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/options_table.h"
#include "engine/plan.h"

#define CHAT (1u << CMD_CHAT)
#define PLAN (1u << CMD_PLAN)
#define TOKENIZE (1u << CMD_TOKENIZE)
#define RENDER (1u << CMD_RENDER)
#define LOGITS (1u << CMD_LOGITS)
#define PREPARE (1u << CMD_PREPARE)
#define BENCH (1u << CMD_BENCH)
#define ENGINE (CHAT | PLAN | LOGITS | BENCH)
#define ALL (ENGINE | TOKENIZE | RENDER | PREPARE)

#define AT(field) offsetof(struct options, field)

static const struct option_row table[] = {
	{"prompt", 'p', TEXT, AT(prompt), CHAT | ONCE, "TEXT", "answer this prompt and exit; - reads it from stdin"},
	{"file", 'f', TEXT, AT(prompt_file), CHAT | ONCE, "FILE", "append a text file (- for stdin) to the prompt of -p"},
	{"system", 's', TEXT, AT(system), CHAT, "TEXT", "the system prompt"},
	{"system-file", 0, TEXT, AT(system_file), CHAT, "FILE", "read the system prompt from a file"},
	{"max-tokens", 'n', SETTING, 0, CHAT | PLAN, "N", "at most N new tokens an answer (default: what the context leaves)"},
	{"temp", 0, SETTING, 0, CHAT, "T", "temperature (default 0.8); 0 is greedy"},
	{"top-k", 0, SETTING, 0, CHAT, "N", "sample from the N best tokens (default 40; 0 is all)"},
	{"top-p", 0, SETTING, 0, CHAT, "P", "sample from the best tokens that make up P (default 0.95)"},
	{"min-p", 0, SETTING, 0, CHAT, "P", "drop tokens less likely than P times the best (default 0.05)"},
	{"repeat-penalty", 0, SETTING, 0, CHAT, "X", "divide the logits of tokens seen by X (default 1: off)"},
	{"presence-penalty", 0, SETTING, 0, CHAT, "X", "subtract X from the logits of tokens answered (default 0)"},
	{"frequency-penalty", 0, SETTING, 0, CHAT, "X", "the same for each time they were (default 0)"},
	{"seed", 0, SETTING, 0, CHAT, "N", "seed of the sampling: same seed, same text (default: random)"},
	{"stop", 0, SETTING, 0, CHAT, "TEXT", "end the answer before this text; may be given several times"},
	{"raw", 0, FLAG, AT(raw), CHAT, NULL, "give the prompt to the model as it is, without its chat template"},
	{"template", 0, TEXT, AT(template_file), CHAT | RENDER, "FILE", "use this Jinja chat template"},
	{"template-var", 0, VARIABLE, 0, CHAT, "K=V", "set a variable of the template (V is JSON or text)"},
	{"ctx", 0, COUNT, AT(ctx), ENGINE, "N", "context length in tokens"},
	{"kv-type", 0, KV_TYPE, AT(kv_type), ENGINE, "f16|f32|bf16", "how the KV cache keeps numbers (default f16; bf16 is lossy)"},
	{"prefill-rows", 0, COUNT, AT(prefill_rows), ENGINE, "N", "tokens of a prompt computed at once (default 512)"},
	{"ram", 0, SIZE, AT(ram), ENGINE, "SIZE", "memory for everything: 2G, 512M, 50% (default: what is free, less a margin)"},
	{"chunk-size", 0, SIZE, AT(chunk_size), ENGINE, "SIZE", "most bytes of weights read as one piece (default: chosen by --ram)"},
	{"reader", 0, TEXT, AT(reader), ENGINE, "auto|uring|pread", "how files are read (default auto)"},
	{"threads", 0, THREADS, AT(threads), ENGINE | PREPARE, "N", "threads that compute (default: all cores)"},
	{"ops", 0, TEXT, AT(ops), ENGINE, "NAME", "kernels: auto, ref, or a variant that --version lists"},
	{"math", 0, MATH, AT(math_fast), ENGINE, "exact|fast", "fast rounds activations to 8 bits or bf16 where faster (default exact)"},
	{"json", 0, FLAG, AT(json), CHAT | PLAN | BENCH | ONCE, NULL, "print one JSON object (with -p, plan and bench)"},
	{"prompt-tokens", 0, COUNT, AT(prompt_tokens), BENCH | ONCE, "N", "tokens of the prompt that is timed (default 128)"},
	{"tokens", 0, COUNT, AT(tokens), BENCH | ONCE, "N", "tokens after it that are timed (default 16)"},
	{"plot", 0, TEXT, AT(plot), BENCH | ONCE, "FILE", "write a picture (SVG) of each layer's time by cause"},
	{"last", 0, FLAG, AT(last), LOGITS | ONCE, NULL, "print the last row only"},
	{"stats", 0, FLAG, AT(stats), CHAT, NULL, "print statistics as JSON, the last line on stderr"},
	{"trace", 0, TEXT, AT(trace_file), CHAT | LOGITS | BENCH | ONCE, "FILE", "write a Chrome trace (about:tracing, Perfetto) of every pass"},
	{"save", 0, TEXT, AT(save), CHAT | ONCE, "FILE", "at the end write the conversation: Markdown; JSON or HTML by the name"},
	{"continue", 0, FLAG, AT(go_on), CHAT | ONCE, NULL, "go on with the last chat with this model"},
	{"resume", 0, TEXT, AT(resume), CHAT | ONCE, "NAME", "go on with the chat of this name"},
	{"no-keep", 0, FLAG, AT(no_keep), CHAT, NULL, "don't keep this chat for --continue and --resume"},
	{"autosave", 0, SECONDS, AT(autosave), CHAT, "SECONDS", "keep an answer that is being made this often (default 10)"},
	{"keep-kv", 0, SECONDS, AT(keep_kv), CHAT, "SECONDS", "keep a KV cache that takes longer to compute again (default 10)"},
	{"plain", 0, FLAG, AT(plain), CHAT, NULL, "no screen: one line of stdin is one message"},
	{"progress", 0, SECONDS, AT(progress), CHAT, "SECONDS", "without the screen: tell how far it is after so long a silence (default 10; 0: never)"},
	{"theme", 0, TEXT, AT(theme), CHAT, "NAME", "colours of the screen: default, dark, light, mono ..."},
	{"ascii", 0, FLAG, AT(ascii), CHAT, NULL, "draw the screen with ASCII characters only"},
	{"no-color", 0, FLAG, AT(no_color), CHAT, NULL, "no colours on the screen (NO_COLOR does the same)"},
	{"quant", 0, TEXT, AT(quant), PREPARE, "TYPE", "none, int8, nf4, q4_0 or q8_0 for the layers' matrices (default none)"},
	{"quant-head", 0, TEXT, AT(quant_head), PREPARE, "TYPE", "the same for the output head (default none)"},
	{"stripe", 0, TEXT, AT(stripes), PREPARE, "DIR,DIR", "spread the files over folders of several drives"},
	{"verify", 0, FLAG, AT(verify), PREPARE | ONCE, NULL, "read everything back; with one folder: only check it"},
	{"delete-original", 0, FLAG, AT(delete_original), PREPARE | ONCE, NULL, "delete each source file once nothing needs it"},
	{"config", 0, TEXT, AT(config), ALL | ONCE, "FILE", "read this config file instead of the user's own"},
	{"print-config", 0, FLAG, AT(print_config), ALL | ONCE, NULL, "print a config file with every option, commented out"},
	{"completion", 0, TEXT, AT(completion), ALL | ONCE, "bash|zsh|fish", "print what this shell needs to complete options"},
	{"help", 'h', FLAG, AT(help), ALL | ONCE, NULL, "print this help"},
	{"version", 'V', FLAG, AT(version), ALL | ONCE, NULL, "print the version and what is built in"},
};

#define ROWS (sizeof(table) / sizeof(*table))

static int bad(struct err *e, const struct option_row *r, const char *value)
{
	static const char *const wanted[] = {[COUNT] = "a whole number from 1", [THREADS] = "a whole number from 1 to 1024",
		[SECONDS] = "a number from 0", [SIZE] = "such as 2G, 512M or 50%",
		[KV_TYPE] = "f16, f32 or bf16", [MATH] = "exact or fast"};
	return err_set(e, ERR_USAGE, "--%s: \"%.60s\" is not a valid value (%s)", r->name, value, wanted[r->kind]);
}

static int parse_size(const struct option_row *r, const char *s, uint64_t *out, struct err *e)
{
	char *end;
	double v = strtod(s, &end);
	double unit = 1;
	if (*end == '%' && v <= 100) {
		unit = (double)plan_total_ram() / 100;
		end++;
	} else if (*end) {
		static const char units[] = "kKmMgGtT";
		const char *at = strchr(units, *end);
		if (!at)
			return bad(e, r, s);
		unit = ldexp(1, 10 * (int)((at - units) / 2 + 1));
		end++;
		if (*end == 'i')
			end++;
		if (*end == 'B' || *end == 'b')
			end++;
	}
	if (end == s || *end || !(v * unit >= 1 && v * unit < 0x1p62))
		return bad(e, r, s);
	*out = (uint64_t)(v * unit);
	return 0;
}

static int parse_number(const struct option_row *r, const char *s, double lo, double hi, bool whole, double *out,
	struct err *e)
{
	char *end;
	errno = 0;
	double v = strtod(s, &end);
	if (end == s || *end || errno || !(v >= lo && v <= hi) || (whole && v != floor(v)))
		return bad(e, r, s);
	*out = v;
	return 0;
}

static int set_variable(struct options *o, const char *kv, enum setting_source from, struct err *e)
{
	const char *eq = strchr(kv, '=');
	char *name = strndup(kv, eq ? (size_t)(eq - kv) : strlen(kv));
	if (!name)
		return err_nomem(e);
	int rc = settings_set_var(&o->settings, name, eq ? eq + 1 : "true", from, e);
	free(name);
	return rc;
}

static int set_flag(const struct option_row *r, bool *field, const char *s, struct err *e)
{
	static const char *const no[] = {"false", "no", "off", "0"}, *const yes[] = {"true", "yes", "on", "1"};
	*field = true;
	for (int i = 0; s && i < 4; i++) {
		if (!strcmp(s, yes[i]))
			return 0;
		if (!strcmp(s, no[i])) {
			*field = false;
			return 0;
		}
	}
	return s ? err_set(e, ERR_USAGE, "--%s: \"%.60s\" is neither true nor false", r->name, s) : 0;
}

const struct option_row *option_rows(size_t *n)
{
	*n = ROWS;
	return table;
}

int option_set(struct options *o, const struct option_row *r, const char *s, enum setting_source from,
	struct err *e)
{
	void *field = (char *)o + r->offset;
	double v = 0;
	switch (r->kind) {
	case FLAG:
		return set_flag(r, field, s, e);
	case TEXT:
		*(const char **)field = s;
		return 0;
	case SETTING:
		return settings_set(&o->settings, setting_find(r->name), s, from, e);
	case VARIABLE:
		return set_variable(o, s, from, e);
	case COUNT:
		if (parse_number(r, s, 1, 1e9, true, &v, e) < 0)
			return -1;
		*(uint32_t *)field = (uint32_t)v;
		return 0;
	case SECONDS:
		return parse_number(r, s, 0, 1e6, false, field, e);
	case THREADS:
		if (parse_number(r, s, 1, 1024, true, &v, e) < 0)
			return -1;
		o->threads = (int)v;
		return 0;
	case SIZE:
		return parse_size(r, s, field, e);
	case MATH:
		o->math_fast = !strcmp(s, "fast");
		return o->math_fast || !strcmp(s, "exact") ? 0 : bad(e, r, s);
	case KV_TYPE:
		o->kv_type = !strcmp(s, "f16") ? DTYPE_F16 : !strcmp(s, "f32") ? DTYPE_F32
			: !strcmp(s, "bf16")  ? DTYPE_BF16 : DTYPE_UNKNOWN;
		return o->kv_type == DTYPE_UNKNOWN ? bad(e, r, s) : 0;
	}
	return 0;
}

static const char *const command_names[] = {
	[CMD_PLAN] = "plan", [CMD_TOKENIZE] = "tokenize", [CMD_RENDER] = "render", [CMD_LOGITS] = "logits",
	[CMD_PREPARE] = "prepare", [CMD_BENCH] = "bench"};

static void getopt_tables(struct option *longs, char *shorts)
{
	size_t n = 0;
	for (size_t i = 0; i < ROWS; i++) {
		longs[i] = (struct option){table[i].name,
			table[i].kind == FLAG ? optional_argument : required_argument, NULL, 1000 + (int)i};
		if (!table[i].letter)
			continue;
		shorts[n++] = table[i].letter;
		if (table[i].kind != FLAG)
			shorts[n++] = ':';
	}
	longs[ROWS] = (struct option){0};
	shorts[n] = '\0';
}

static const struct option_row *find_row(int c)
{
	if (c >= 1000)
		return &table[c - 1000];
	for (size_t i = 0; i < ROWS; i++)
		if (table[i].letter == c)
			return &table[i];
	return NULL;
}

static int positionals(struct options *o, int argc, char **argv, struct err *e)
{
	int i = optind;
	if (i < argc)
		for (int c = 1; c < (int)(sizeof(command_names) / sizeof(*command_names)); c++)
			if (!strcmp(argv[i], command_names[c])) {
				o->command = (enum command)c;
				i++;
				break;
			}
	if (i < argc)
		o->model = argv[i++];
	if (i < argc && o->command == CMD_PREPARE)
		o->dst = argv[i++];
	if (i < argc)
		return err_set(e, ERR_USAGE, "unexpected argument \"%s\"", argv[i]);
	return 0;
}

static void begin(struct options *o)
{
	*o = (struct options){.reader = "auto", .ops = "auto", .kv_type = DTYPE_F16, .progress = 10, .keep_kv = 10, .autosave = 10};
	settings_init(&o->settings);
	FILE *f = fopen("/dev/urandom", "re");
	if (f && fread(&o->settings.sampler.seed, 4, 1, f) != 1)
		o->settings.sampler.seed = 0;
	if (f)
		fclose(f);
}

static int read_system_file(struct options *o, struct err *e)
{
	struct buf text = BUF_INIT;
	if (!o->system_file || o->system)
		return 0;
	if (file_read(o->system_file, (size_t)16 << 20, &text, e) < 0)
		return -1;
	while (text.len && text.p[text.len - 1] == '\n')
		buf_cut(&text, text.len - 1);
	free(o->system_text);
	o->system = o->system_text = text.p ? buf_take(&text) : strdup("");
	return o->system ? 0 : err_nomem(e);
}

struct given { /* on the command line, in order */
	const struct option_row *row;
	const char *value;
};

static int read_flags(struct given *g, size_t *n, int argc, char **argv, struct err *e)
{
	struct option longs[ROWS + 1];
	char shorts[2 * ROWS + 1];
	getopt_tables(longs, shorts);
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
		if (c == '?')
			return err_set(e, ERR_USAGE, "unknown option, or one without its value: %s", argv[optind - 1]);
		g[(*n)++] = (struct given){find_row(c), optarg};
	}
	return 0;
}

/* The file first, then the environment, then the flags: each overrides what was before. */
static int apply(struct options *o, const struct given *g, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) { /* those that decide whether the rest counts */
		bool early = g[i].row->offset == AT(config) || g[i].row->offset == AT(help) ||
			g[i].row->offset == AT(version) || g[i].row->offset == AT(print_config) ||
			g[i].row->offset == AT(completion);
		if (early && g[i].row->kind != SETTING && option_set(o, g[i].row, g[i].value, FROM_FLAG, e) < 0)
			return -1;
	}
	if (o->help || o->version || o->print_config || o->completion)
		return 0;
	if (options_from_file(o, o->config, e) < 0 || options_from_environment(o, e) < 0)
		return -1;
	const char *system = o->system;
	for (size_t i = 0; i < n; i++) {
		if (g[i].row->offset == AT(system_file) && g[i].row->kind == TEXT && o->system == system)
			o->system = NULL; /* the flag is stronger than a text from the file */
		if (option_set(o, g[i].row, g[i].value, FROM_FLAG, e) < 0)
			return -1;
	}
	return read_system_file(o, e);
}

static int check(const struct options *o, const struct given *g, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!(g[i].row->commands & 1u << o->command))
			return err_set(e, ERR_USAGE, "--%s does not go with this command", g[i].row->name);
	if (o->prompt_file && !o->prompt)
		return err_set(e, ERR_USAGE, "--file goes with -p, whose prompt it follows (-p '' -f FILE: the file alone)");
	if (!o->model && !(o->command == CMD_RENDER && o->template_file))
		return err_set(e, ERR_USAGE, "which model? Give a folder or a GGUF file (airlchat --help)");
	return 0;
}

int options_parse(struct options *o, int argc, char **argv, struct err *e)
{
	size_t n = 0;
	size_t letters = 1; /* "-abc" is three options */
	for (int i = 0; i < argc; i++)
		letters += strlen(argv[i]) + 1;
	struct given *all = calloc(letters, sizeof(*all));
	begin(o);
	int rc = all ? read_flags(all, &n, argc, argv, e) : err_nomem(e);
	if (rc == 0)
		rc = positionals(o, argc, argv, e);
	if (rc == 0)
		rc = apply(o, all, n, e);
	if (rc == 0 && !o->help && !o->version && !o->print_config && !o->completion)
		rc = check(o, all, n, e);
	free(all);
	return rc;
}

void options_clear(struct options *o)
{
	settings_clear(&o->settings);
	while (o->n_owned)
		free(o->owned[--o->n_owned]);
	free(o->owned);
	free(o->system_text);
}

void options_help(void)
{
	puts("usage: airlchat [OPTIONS] MODEL            chat on the screen\n"
	     "       airlchat [OPTIONS] MODEL -p TEXT    one answer on stdout\n"
	     "       airlchat plan MODEL                 what would stay in memory, and what a token would take\n"
	     "       airlchat bench MODEL                how fast it is, against the disk alone\n"
	     "       airlchat prepare SRC DST            rewrite a model for streaming, quantized if asked\n"
	     "       airlchat tokenize MODEL             JSON lines: {\"text\"} -> {\"ids\"}, {\"ids\"} -> {\"text\"}\n"
	     "       airlchat render MODEL               JSON lines: {\"messages\", ...} -> {\"text\"}\n"
	     "       airlchat logits MODEL               JSON lines: {\"tokens\"} -> {\"logits\"}\n"
	     "\n"
	     "MODEL is a Hugging Face folder (safetensors), a GGUF file, or a folder of prepare or of AirLLM's layers.\n");
	for (size_t i = 0; i < ROWS; i++) {
		const struct option_row *r = &table[i];
		char left[48];
		snprintf(left, sizeof(left), "%s--%s%s%s",
			r->letter ? (char[]){'-', r->letter, ',', ' ', 0} : "    ", r->name,
			r->arg ? " " : "", r->arg ? r->arg : "");
		printf("  %-30s %s\n", left, r->help);
	}
}
