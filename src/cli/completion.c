/* --completion: what shells complete, from the same table as the parser. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/options_table.h"

enum values { NONE, WORDS, FILES, SESSIONS };

static const char commands[] = "plan bench prepare tokenize render logits";
static const char sessions[] = "${XDG_DATA_HOME:-$HOME/.local/share}/airlchat/sessions";

/* What may follow an option; words: separated by blanks. */
static enum values values_of(const struct option_row *r, char *words, size_t cap)
{
	const char *arg = r->arg ? r->arg : "";
	const char *fixed = !strcmp(r->name, "theme") ? "default dark light high-contrast colour-blind mono"
		: !strncmp(r->name, "quant", 5)	      ? "none int8 nf4 q4_0 q8_0"
		: !strcmp(r->name, "ops")	      ? "auto ref avx2 avx512"
						      : arg;
	snprintf(words, cap, "%s", fixed);
	if (!strcmp(r->name, "resume"))
		return SESSIONS;
	if (!strcmp(arg, "FILE") || !strncmp(arg, "DIR", 3))
		return FILES;
	for (char *p = words; *p; p++)
		*p = *p == '|' ? ' ' : *p;
	return strchr(words, ' ') ? WORDS : NONE;
}

/* In single quotes of a shell. `drop`: characters that mean something to what reads it. */
static void quoted(const char *s, const char *drop)
{
	for (; *s; s++)
		if (*s == '\'')
			fputs("'\\''", stdout);
		else if (!strchr(drop, *s))
			putchar(*s);
}

static void bash(const struct option_row *rows, size_t n)
{
	char words[128];
	puts("# bash completion for airlchat, made by airlchat --completion bash\n"
	     "_airlchat() {\n"
	     "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} IFS=$'\\n'\n"
	     "\t[ \"$prev\" = = ] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
	     "\t[ \"$cur\" = = ] && cur=\n"
	     "\tCOMPREPLY=()\n"
	     "\tcase $prev in");
	for (size_t i = 0; i < n; i++) {
		enum values v = values_of(rows + i, words, sizeof(words));
		if (!rows[i].arg)
			continue;
		printf("\t--%s", rows[i].name);
		if (rows[i].letter)
			printf("|-%c", rows[i].letter);
		fputs(") ", stdout);
		if (v == WORDS)
			printf("IFS=$' \\n'; COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", words);
		else if (v == FILES)
			puts("compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$cur\")); return ;;");
		else if (v == SESSIONS)
			printf("COMPREPLY=($(cd \"%s\" 2>/dev/null && ls | sed -n 's/\\.json$//p' |\n"
			       "\t\twhile read -r s; do case $s in \"$cur\"*) printf '%%q\\n' \"$s\" ;; esac; done)); return ;;\n", sessions);
		else
			puts("return ;;");
	}
	puts("\tesac\n\tcase $cur in\n\t-*) IFS=$' \\n'; COMPREPLY=($(compgen -W \"");
	for (size_t i = 0; i < n; i++)
		printf("--%s ", rows[i].name);
	puts("\" -- \"$cur\")); return ;;\n\tesac\n\tcompopt -o filenames 2>/dev/null\n"
	     "\tCOMPREPLY=($(compgen -f -- \"$cur\"))");
	printf("\t[ \"$COMP_CWORD\" -eq 1 ] && IFS=$' \\n' && COMPREPLY+=($(compgen -W '%s' -- \"$cur\"))\n", commands);
	puts("\treturn 0\n}\ncomplete -F _airlchat airlchat");
}

static void zsh(const struct option_row *rows, size_t n)
{
	char words[128];
	printf("#compdef airlchat\n# made by airlchat --completion zsh\n"
	       "_airlchat_sessions() { local -a s; s=(\"%s\"/*.json(N:t:r)); compadd -a s }\n"
	       "_airlchat_first() { _alternative 'commands:command:(%s)' 'files:model:_files' }\n"
	       "_arguments -s \\\n", sessions, commands);
	for (size_t i = 0; i < n; i++) {
		const struct option_row *r = rows + i;
		enum values v = values_of(r, words, sizeof(words));
		if (r->letter)
			printf("  '(-%c --%s)'{-%c,--%s}'[", r->letter, r->name, r->letter, r->name);
		else
			printf("  '--%s[", r->name);
		quoted(r->help, "[]\\");
		putchar(']');
		if (r->arg) {
			putchar(':');
			quoted(r->arg, ":");
			if (v == WORDS)
				printf(":(%s)", words);
			else
				fputs(v == FILES ? ":_files" : v == SESSIONS ? ":_airlchat_sessions" : ": ", stdout);
		}
		puts("' \\");
	}
	puts("  '1:model or command:_airlchat_first' '*:file:_files'");
}

static void fish(const struct option_row *rows, size_t n)
{
	char words[128];
	puts("# fish completion for airlchat, made by airlchat --completion fish");
	printf("complete -c airlchat -n 'test (count (commandline -opc)) -eq 1' -a '%s'\n", commands);
	for (size_t i = 0; i < n; i++) {
		const struct option_row *r = rows + i;
		enum values v = values_of(r, words, sizeof(words));
		printf("complete -c airlchat -l %s", r->name);
		if (r->letter)
			printf(" -s %c", r->letter);
		if (r->arg && v == WORDS)
			printf(" -xa '%s'", words);
		else if (r->arg && v == SESSIONS)
			fputs(" -xa '(set -q XDG_DATA_HOME; and set -l d $XDG_DATA_HOME; or set -l d ~/.local/share; "
			      "string replace -rf \"^.*/([^/]*)\\\\.json\\$\" \"\\$1\" $d/airlchat/sessions/*.json)'", stdout);
		else if (r->arg)
			fputs(v == FILES ? " -rF" : " -x", stdout);
		fputs(" -d '", stdout);
		quoted(r->help, "\\");
		puts("'");
	}
}

int options_print_completion(const char *shell, struct err *e)
{
	size_t n;
	const struct option_row *rows = option_rows(&n);
	if (!strcmp(shell, "bash"))
		bash(rows, n);
	else if (!strcmp(shell, "zsh"))
		zsh(rows, n);
	else if (!strcmp(shell, "fish"))
		fish(rows, n);
	else
		return err_set(e, ERR_USAGE, "--completion: \"%.40s\" is neither bash, zsh nor fish", shell);
	return 0;
}
