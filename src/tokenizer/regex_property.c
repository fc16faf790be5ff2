/* Names of properties and POSIX classes, as Oniguruma knows them, in PCRE2's syntax. */
#include "tokenizer/regex_property.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *body; /* body: for use inside brackets */
} properties[] = {
	{"letter", "\\p{L}"}, {"lowercaseletter", "\\p{Ll}"}, {"uppercaseletter", "\\p{Lu}"},
	{"titlecaseletter", "\\p{Lt}"}, {"casedletter", "\\p{L&}"}, {"lc", "\\p{L&}"},
	{"modifierletter", "\\p{Lm}"}, {"otherletter", "\\p{Lo}"}, {"mark", "\\p{M}"},
	{"combiningmark", "\\p{M}"}, {"nonspacingmark", "\\p{Mn}"}, {"spacingmark", "\\p{Mc}"},
	{"enclosingmark", "\\p{Me}"}, {"number", "\\p{N}"}, {"decimalnumber", "\\p{Nd}"},
	{"letternumber", "\\p{Nl}"}, {"othernumber", "\\p{No}"}, {"symbol", "\\p{S}"},
	{"mathsymbol", "\\p{Sm}"}, {"currencysymbol", "\\p{Sc}"}, {"modifiersymbol", "\\p{Sk}"},
	{"othersymbol", "\\p{So}"}, {"separator", "\\p{Z}"}, {"spaceseparator", "\\p{Zs}"},
	{"lineseparator", "\\p{Zl}"}, {"paragraphseparator", "\\p{Zp}"}, {"punctuation", "\\p{P}"},
	{"punct", "\\p{P}"}, {"connectorpunctuation", "\\p{Pc}"}, {"dashpunctuation", "\\p{Pd}"},
	{"openpunctuation", "\\p{Ps}"}, {"closepunctuation", "\\p{Pe}"},
	{"initialpunctuation", "\\p{Pi}"}, {"finalpunctuation", "\\p{Pf}"},
	{"otherpunctuation", "\\p{Po}"}, {"other", "\\p{C}"}, {"control", "\\p{Cc}"},
	{"format", "\\p{Cf}"}, {"surrogate", "\\p{Cs}"}, {"privateuse", "\\p{Co}"},
	{"unassigned", "\\p{Cn}"}, {"alnum", "\\p{Alphabetic}\\p{Nd}"}, {"alpha", "\\p{Alphabetic}"},
	{"digit", "\\p{Nd}"}, {"space", SPACES}, {"upper", "\\p{Uppercase}"},
	{"lower", "\\p{Lowercase}"}, {"word", WORD}, {"xdigit", HEX}, {"cntrl", "\\p{Cc}"},
	{"blank", "\\x{9}\\p{Zs}"}, {"any", "\\x{0}-\\x{10FFFF}"}, {"assigned", "\\P{Cn}"},
	{"ascii", "\\x{0}-\\x{7F}"},
	{"emoji", "\\p{Emoji}"}, {"emojipresentation", "\\p{Emoji_Presentation}"},
	{"emojimodifier", "\\p{Emoji_Modifier}"}, {"emojimodifierbase", "\\p{Emoji_Modifier_Base}"},
	{"emojicomponent", "\\p{Emoji_Component}"},
	{"extendedpictographic", "\\p{Extended_Pictographic}"}, {"alphabetic", "\\p{Alphabetic}"},
	{"uppercase", "\\p{Uppercase}"}, {"lowercase", "\\p{Lowercase}"}, {"whitespace", SPACES},
	{"ideographic", "\\p{Ideographic}"}, {"unifiedideograph", "\\p{Unified_Ideograph}"},
	{"math", "\\p{Math}"}, {"dash", "\\p{Dash}"}, {"diacritic", "\\p{Diacritic}"},
	{"extender", "\\p{Extender}"}, {"variationselector", "\\p{Variation_Selector}"},
	{"cased", "\\p{Cased}"}, {"hexdigit", "\\p{Hex_Digit}"}, {"idstart", "\\p{ID_Start}"},
	{"idcontinue", "\\p{ID_Continue}"}, {"joincontrol", "\\p{Join_Control}"},
};

const char *regex_property_find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(properties) / sizeof(*properties); i++)
		if (strlen(properties[i].name) == len && !memcmp(properties[i].name, name, len))
			return properties[i].body;
	return NULL;
}

bool regex_property(const char *text, size_t len, char body[REGEX_PROPERTY_MAX], bool *negated)
{
	char name[64];
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (c == '^' && i == 0)
			*negated = !*negated;
		else if (c != ' ' && c != '_' && c != '-' && n < sizeof(name) - 1)
			name[n++] = (char)tolower((unsigned char)c);
	}
	name[n] = '\0';
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '&')
			return false;
	const char *known = regex_property_find(name, n);
	if (known) {
		snprintf(body, REGEX_PROPERTY_MAX, "%s", known);
	} else if (n <= 2) { /* a general category: L, Lu */
		name[0] = (char)toupper((unsigned char)name[0]);
		snprintf(body, REGEX_PROPERTY_MAX, "\\p{%s}", name);
	} else { /* a script, not its extensions */
		snprintf(body, REGEX_PROPERTY_MAX, "\\p{sc:%s}", name);
	}
	return n > 0;
}
