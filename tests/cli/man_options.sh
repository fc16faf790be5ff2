#!/bin/bash
# The man page and --help name the same options, and the page is good mdoc.
set -u
srcdir=${srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
builddir=${builddir:-$srcdir/build}
page=$srcdir/man/airlchat.1

report() { # report NUMBER NAME PROBLEMS
	if [ -z "$3" ]; then
		echo "ok $1 - $2"
	else
		echo "not ok $1 - $2"
		printf '%s\n' "$3" | sed 's/^/# /'
	fi
}

# Options at the head of a line of --help, and of an item of the man page (".Fl -name").
help=$("$builddir/airlchat" --help | grep -E '^  +-' | grep -oE '^ +(-., )?--[a-z-]+' |
	grep -oE -e '--[a-z-]+' | sort -u)
man=$(grep '^\.It Fl' "$page" | grep -oE 'Fl -[a-z][a-z-]*' | sed 's/^Fl -/--/' | sort -u)

echo 1..3
report 1 "every option of --help is in the man page" \
	"$([ -n "$help" ] || echo "--help lists no options"; comm -23 <(echo "$help") <(echo "$man"))"
report 2 "every option of the man page is in --help" "$(comm -13 <(echo "$help") <(echo "$man"))"
if command -v mandoc >/dev/null; then
	report 3 "mandoc finds nothing to say" "$(mandoc -Tlint -Wwarning "$page" 2>&1)"
else
	echo "ok 3 - mandoc finds nothing to say # SKIP mandoc is not installed"
fi
