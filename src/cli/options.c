#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum kind { FLAG, TEXT, SETTING, VARIABLE, COUNT, SIZE, KV_TYPE, THREADS };

#define CHAT (1u << CMD_CHAT)
#define PLAN (1u << CMD_PLAN)
#define TOKENIZE (1u << CMD_TOKENIZE)
#define RENDER (1u << CMD_RENDER)
#define LOGITS (1u << CMD_LOGITS)
#define PREPARE (1u << CMD_PREPARE)
#define ENGINE (CHAT | PLAN | LOGITS)
#define ALL (ENGINE | TOKENIZE | RENDER | PREPARE)

struct row {
	const char *name;
	char letter;
	enum kind kind;
	size_t offset;
	unsigned commands;
	const char *arg, *help;
};

#define AT(field) offsetof(struct options, field)

static const struct row table[] = {
	{"prompt", 'p', TEXT, AT(prompt), CHAT, "TEXT", "answer this prompt and exit; - reads it from stdin"},
	{"file", 'f', TEXT, AT(prompt_file), CHAT, "FILE", "append a text file (- for stdin) to the prompt of -p"},
	{"system", 's', TEXT, AT(system), CHAT, "TEXT", "the system prompt"},
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
	{"kv-type", 0, KV_TYPE, AT(kv_type), ENGINE, "f16|f32", "how the KV cache keeps numbers (default f16)"},
	{"prefill-rows", 0, COUNT, AT(prefill_rows), ENGINE, "N", "tokens of a prompt computed at once (default 512)"},
	{"ram", 0, SIZE, AT(ram), ENGINE, "SIZE", "memory for everything: 2G, 512M, 50% (default: what is free, less a margin)"},
	{"chunk-size", 0, SIZE, AT(chunk_size), ENGINE, "SIZE", "most bytes of weights read as one piece (default: chosen by --ram)"},
	{"reader", 0, TEXT, AT(reader), ENGINE, "auto|uring|pread", "how files are read (default auto)"},
	{"threads", 0, THREADS, AT(threads), ENGINE | PREPARE, "N", "threads that compute (default: all cores)"},
	{"ops", 0, TEXT, AT(ops), ENGINE, "NAME", "kernels: auto, ref, or a variant that --version lists"},
	{"json", 0, FLAG, AT(json), CHAT | PLAN, NULL, "print one JSON object (with -p, and plan)"},
	{"last", 0, FLAG, AT(last), LOGITS, NULL, "print the last row only"},
	{"stats", 0, FLAG, AT(stats), CHAT, NULL, "print statistics as JSON, the last line on stderr"},
	{"trace", 0, TEXT, AT(trace_file), CHAT, "FILE", "write a Chrome trace (about:tracing, Perfetto) of every pass"},
	{"save", 0, TEXT, AT(save), CHAT, "FILE", "write the conversation to FILE at the end (Markdown, or JSON by its name)"},
	{"continue", 0, FLAG, AT(go_on), CHAT, NULL, "go on with the last chat with this model"},
	{"resume", 0, TEXT, AT(resume), CHAT, "NAME", "go on with the chat of this name"},
	{"no-keep", 0, FLAG, AT(no_keep), CHAT, NULL, "don't keep this chat for --continue and --resume"},
	{"plain", 0, FLAG, AT(plain), CHAT, NULL, "no screen: one line of stdin is one message"},
	{"theme", 0, TEXT, AT(theme), CHAT, "NAME", "colours of the screen: default, dark, light, mono ..."},
	{"ascii", 0, FLAG, AT(ascii), CHAT, NULL, "draw the screen with ASCII characters only"},
	{"no-color", 0, FLAG, AT(no_color), CHAT, NULL, "no colours on the screen (NO_COLOR does the same)"},
	{"quant", 0, TEXT, AT(quant), PREPARE, "TYPE", "none, int8, nf4, q4_0 or q8_0 for the layers' matrices (default none)"},
	{"quant-head", 0, TEXT, AT(quant_head), PREPARE, "TYPE", "the same for the output head (default none)"},
	{"stripe", 0, TEXT, AT(stripes), PREPARE, "DIR,DIR", "spread the files over folders of several drives"},
	{"verify", 0, FLAG, AT(verify), PREPARE, NULL, "read everything back; with one folder: only check it"},
	{"delete-original", 0, FLAG, AT(delete_original), PREPARE, NULL, "delete each source file once nothing needs it"},
	{"help", 'h', FLAG, AT(help), ALL, NULL, "print this help"},
	{"version", 'V', FLAG, AT(version), ALL, NULL, "print the version and what is built in"},
};

#define ROWS (sizeof(table) / sizeof(*table))

static int bad(struct err *e, const struct row *r, const char *value)
{
	return err_set(e, ERR_USAGE, "--%s: \"%s\" is not a valid value (%s)", r->name, value, r->arg);
}

static int parse_size(const struct row *r, const char *s, uint64_t *out, struct err *e)
{
	char *end;
	double v = strtod(s, &end);
	double unit = 1;
	if (*end == '%') {
		unit = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 100;
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

static int parse_number(const struct row *r, const char *s, double lo, double hi, bool whole, double *out,
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

static int set_variable(struct options *o, const char *kv, struct err *e)
{
	const char *eq = strchr(kv, '=');
	char *name = strndup(kv, eq ? (size_t)(eq - kv) : strlen(kv));
	if (!name)
		return err_nomem(e);
	int rc = settings_set_var(&o->settings, name, eq ? eq + 1 : "true", FROM_FLAG, e);
	free(name);
	return rc;
}

static int set(struct options *o, const struct row *r, const char *s, struct err *e)
{
	void *field = (char *)o + r->offset;
	double v = 0;
	switch (r->kind) {
	case FLAG:
		*(bool *)field = true;
		return 0;
	case TEXT:
		*(const char **)field = s;
		return 0;
	case SETTING:
		return settings_set(&o->settings, setting_find(r->name), s, FROM_FLAG, e) < 0 ? -1 : 0;
	case VARIABLE:
		return set_variable(o, s, e);
	case COUNT:
		if (parse_number(r, s, 1, 1e9, true, &v, e) < 0)
			return -1;
		*(uint32_t *)field = (uint32_t)v;
		return 0;
	case THREADS:
		if (parse_number(r, s, 1, 1024, true, &v, e) < 0)
			return -1;
		o->threads = (int)v;
		return 0;
	case SIZE:
		return parse_size(r, s, field, e);
	case KV_TYPE:
		o->kv_type = !strcmp(s, "f16") ? DTYPE_F16 : !strcmp(s, "f32") ? DTYPE_F32 : DTYPE_UNKNOWN;
		return o->kv_type == DTYPE_UNKNOWN ? bad(e, r, s) : 0;
	}
	return 0;
}

static const char *const command_names[] = {
	[CMD_PLAN] = "plan", [CMD_TOKENIZE] = "tokenize", [CMD_RENDER] = "render", [CMD_LOGITS] = "logits",
	[CMD_PREPARE] = "prepare"};

static void getopt_tables(struct option *longs, char *shorts)
{
	size_t n = 0;
	for (size_t i = 0; i < ROWS; i++) {
		longs[i] = (struct option){table[i].name,
			table[i].kind == FLAG ? no_argument : required_argument, NULL, 1000 + (int)i};
		if (!table[i].letter)
			continue;
		shorts[n++] = table[i].letter;
		if (table[i].kind != FLAG)
			shorts[n++] = ':';
	}
	longs[ROWS] = (struct option){0};
	shorts[n] = '\0';
}

static const struct row *find_row(int c)
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

int options_parse(struct options *o, int argc, char **argv, struct err *e)
{
	struct option longs[ROWS + 1];
	char shorts[2 * ROWS + 1];
	unsigned used = ALL;
	const struct row *narrow = NULL;
	*o = (struct options){.reader = "auto", .ops = "auto", .kv_type = DTYPE_F16};
	settings_init(&o->settings);
	FILE *f = fopen("/dev/urandom", "re");
	if (f && fread(&o->settings.sampler.seed, 4, 1, f) != 1)
		o->settings.sampler.seed = 0;
	if (f)
		fclose(f);
	getopt_tables(longs, shorts);
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
		if (c == '?')
			return err_set(e, ERR_USAGE, "unknown option, or one without its value: %s",
				argv[optind - 1]);
		const struct row *r = find_row(c);
		if (set(o, r, optarg, e) < 0)
			return -1;
		if ((used & r->commands) != used)
			narrow = r;
		used &= r->commands;
	}
	if (positionals(o, argc, argv, e) < 0)
		return -1;
	if (o->help || o->version)
		return 0;
	if (!(used & 1u << o->command))
		return err_set(e, ERR_USAGE, "--%s does not go with this command", narrow ? narrow->name : "?");
	if (!o->model && !(o->command == CMD_RENDER && o->template_file))
		return err_set(e, ERR_USAGE, "which model? Give a folder or a GGUF file (airlchat --help)");
	return 0;
}

void options_clear(struct options *o)
{
	settings_clear(&o->settings);
}

void options_help(void)
{
	puts("usage: airlchat [OPTIONS] MODEL            chat on the screen\n"
	     "       airlchat [OPTIONS] MODEL -p TEXT    one answer on stdout\n"
	     "       airlchat plan MODEL                 what would stay in memory, and what a token would take\n"
	     "       airlchat prepare SRC DST            rewrite a model for streaming, quantized if asked\n"
	     "       airlchat tokenize MODEL             JSON lines: {\"text\"} -> {\"ids\"}, {\"ids\"} -> {\"text\"}\n"
	     "       airlchat render MODEL               JSON lines: {\"messages\", ...} -> {\"text\"}\n"
	     "       airlchat logits MODEL               JSON lines: {\"tokens\"} -> {\"logits\"}\n"
	     "\n"
	     "MODEL is a Hugging Face folder (safetensors) or a GGUF file.\n");
	for (size_t i = 0; i < ROWS; i++) {
		const struct row *r = &table[i];
		char left[48];
		snprintf(left, sizeof(left), "%s--%s%s%s",
			r->letter ? (char[]){'-', r->letter, ',', ' ', 0} : "    ", r->name,
			r->arg ? " " : "", r->arg ? r->arg : "");
		printf("  %-30s %s\n", left, r->help);
	}
}
