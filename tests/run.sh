#!/bin/bash
# Run every test and count: run.sh SRCDIR BUILDDIR UNIT_PROGRAM... -- SCRIPT...
# With "--skip WHY" before the UNIT_PROGRAMs they are counted as skipped.
# Each one prints TAP ("ok 1 - name", "not ok ...", "ok ... # SKIP why"). A program that dies counts
# as one failure. Logs lie in BUILDDIR/tests/logs. The last line is "N passed, N failed, N skipped".
set -u
srcdir=$(cd "$1" && pwd) builddir=$(cd "$2" && pwd)
shift 2
export srcdir builddir CMOCKA_MESSAGE_OUTPUT=TAP LC_ALL=C.UTF-8
# For builds with sanitizers: cmocka's own handler would hide what a crash has to say.
export ASAN_OPTIONS=${ASAN_OPTIONS:-allow_user_segv_handler=0}
export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$srcdir/tests/lsan.supp:print_suppressions=0}
# They are many times as slow and as large, too: tests about time and memory allow for it.
limit=900
if grep -qE '__(asan|tsan)_init' "$builddir/airlchat" 2>/dev/null; then
	limit=7200
	export SANITIZED=1
fi
logs=$builddir/tests/logs
rm -rf "$logs"
mkdir -p "$logs"
passed=0 failed=0 skipped=0 scripts=0 why=
if [ "${1-}" = --skip ]; then
	why=$2
	shift 2
fi

run_one() {
	local name=$1 log rc ok bad skip
	shift
	log=$logs/${name//\//_}.log
	timeout $limit "$@" >"$log" 2>&1 </dev/null
	rc=$?
	ok=$(grep -c '^ok ' "$log")
	skip=$(grep -ciE '^(not )?ok .*# skip' "$log") # cmocka writes a skip as "not ok N # SKIP"
	ok=$((ok + $(grep -ciE '^not ok .*# skip' "$log")))
	bad=$(grep '^not ok ' "$log" | grep -civE '# skip')
	if [ "$rc" -ne 0 ] && [ "$bad" -eq 0 ]; then
		echo "not ok - $name ended with status $rc" >>"$log"
		bad=1
	elif [ "$ok" -eq 0 ] && [ "$bad" -eq 0 ]; then
		echo "not ok - $name ran no test" >>"$log"
		bad=1
	fi
	passed=$((passed + ok - skip)) failed=$((failed + bad)) skipped=$((skipped + skip))
	printf '%-44s %4d passed %3d failed %3d skipped\n' "$name" $((ok - skip)) "$bad" "$skip"
	grep -iE '^(not )?ok .*# skip' "$log" | sed 's/^/    /'
	if [ "$bad" -ne 0 ]; then
		echo "--- the end of $log"
		tail -n 60 "$log" | sed 's/^/    /'
	fi
}

for t; do
	if [ "$t" = -- ]; then
		scripts=1
	elif [ "${t##*.}" = py ]; then
		run_one "$t" python3 "$srcdir/$t"
	elif [ "$scripts" -eq 1 ]; then
		run_one "$t" bash "$srcdir/$t"
	elif [ -n "$why" ]; then
		run_one "$t" echo "ok 1 - $t # SKIP $why"
	else
		run_one "$t" "$builddir/$t"
	fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
