#!/bin/bash
# The house rules that a script can check: layers, headers that stand alone, lengths, curses.
set -u
srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
builddir=${builddir:-$srcdir/build}
cd "$srcdir" || exit 1
layers=docs/layers.txt
tests=0

# check NAME PROBLEMS: one test, passed when there are no problems.
check() {
	tests=$((tests + 1))
	if [ -z "$2" ]; then
		echo "ok $tests - $1"
	else
		echo "not ok $tests - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
	fi
}

mapfile -t sources < <(find src -name '*.[ch]' -o -name '*.cu' | sort)
mapfile -t headers < <(find src -name '*.h' | sort)

check "every folder of src/ has a rank" "$(
	for d in src/*/; do
		d=${d#src/} d=${d%/}
		[ -z "$(find "src/$d" -name '*.[ch]')" ] || grep -q "^layer $d [0-9]" "$layers" ||
			echo "src/$d is not in $layers"
	done
)"

check "a folder includes only folders of a lower rank" "$(
	awk -v layers="$layers" '
		BEGIN {
			while ((getline line < layers) > 0)
				if (split(line, f, " ") == 3 && f[1] == "layer")
					rank[f[2]] = f[3]
		}
		/^#[ \t]*include[ \t]*"/ {
			split(FILENAME, path, "/")
			split($0, quoted, "\"")
			from = path[2]
			to = quoted[2]
			if (!sub(/\/.*/, "", to) || to == from)
				next
			if (!(to in rank) || !(from in rank) || rank[to] + 0 >= rank[from] + 0)
				print FILENAME ":" FNR ": " from " includes " quoted[2]
		}' "${sources[@]}"
)"

flags=
for lib in ncursesw libcjson libpcre2-8 libutf8proc inih libxxhash; do
	flags="$flags $(pkg-config --cflags "$lib" 2>/dev/null)"
done
check "each header compiles alone" "$(
	for h in "${headers[@]}"; do
		grep -qx "body $h" "$layers" && continue
		# shellcheck disable=SC2086
		echo "#include \"${h#src/}\"" | ${CC:-gcc} -std=c11 -fsyntax-only -Wall -Werror \
			-D_GNU_SOURCE -Isrc -I"$builddir" $flags -x c - >/dev/null 2>&1 ||
			echo "$h does not compile alone"
	done
)"

check "files are at most 600 lines" "$(
	find src tests -name '*.[ch]' -o -name '*.sh' | sort | while read -r f; do
		limit=$(awk -v f="$f" '$1 == "long" && $2 == f { print $3 }' "$layers")
		n=$(wc -l <"$f")
		[ "$n" -le "${limit:-600}" ] || echo "$f has $n lines"
	done
)"

check "headers are at most 150 lines, but for bodies of code" "$(
	for h in "${headers[@]}"; do
		grep -qx "body $h" "$layers" || [ "$(wc -l <"$h")" -le 150 ] || echo "$h has $(wc -l <"$h") lines"
	done
)"

check "functions are at most 60 lines" "$(
	find src tests -name '*.[ch]' | sort | xargs awk '
		FNR == 1 { begin = 0 }
		/^\{/ { begin = FNR }
		/^\}/ && begin {
			if (FNR - begin > 61)
				print FILENAME ":" begin ": " FNR - begin - 1 " lines"
			begin = 0
		}'
)"

check "only tui/ includes curses" "$(
	grep -nE '^#[ 	]*include[ 	]*<(ncursesw?/)?n?curses\.h>' "${sources[@]}" | grep -v '^src/tui/'
)"

# The linker takes the first of two members of an archive that define a name, without a word.
check "no name is defined twice" "$(
	[ ! -f "$builddir/libairlchat.a" ] || nm -g --defined-only "$builddir/libairlchat.a" 2>/dev/null |
		awk '$2 ~ /^[TDBR]$/ { print $3 }' | sort | uniq -d
)"

echo "1..$tests"
