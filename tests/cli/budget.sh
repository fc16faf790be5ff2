#!/bin/sh
# A run finishes in a memory cgroup of --ram + 16 MiB, page cache and libraries included, from the
# smallest budget that `plan` says works; with less than that it is refused before anything is read.
set -u
bin=$builddir/airlchat
model=${AIRLCHAT_MODEL:-}
group=/sys/fs/cgroup/memory/airlchat-test.$$
n=0
tap() { n=$((n + 1)); echo "$1 $n - $2"; }

if [ ! -f "$model" ]; then
	echo "ok 1 - budgets # SKIP AIRLCHAT_MODEL names no model"; echo 1..1
	exit 0
fi
if ! mkdir "$group" 2>/dev/null; then
	echo "ok 1 - budgets # SKIP no memory cgroup (v1) can be made here: it takes root"; echo 1..1
	exit 0
fi
trap 'rmdir "$group" 2>/dev/null' EXIT

least=$("$bin" plan "$model" --ctx 256 --json | sed 's/.*"min_ram_bytes": \([0-9]*\).*/\1/')
mib=$((least / 1048576))
[ "$mib" -gt 8 ] && [ "$mib" -le 56 ] && tap ok "plan says that $mib MiB work" ||
	tap "not ok" "plan says that $mib MiB work"

"$bin" "$model" --ctx 256 --ram $((mib - 1))M -p hi -n 1 >/dev/null 2>"${TMPDIR:-/tmp}/budget.$$"
[ $? -ne 0 ] && grep -q "smallest that works here is $mib MiB" "${TMPDIR:-/tmp}/budget.$$" &&
	tap ok "one less is refused" || tap "not ok" "one less is refused"
rm -f "${TMPDIR:-/tmp}/budget.$$"

# Without --ctx the context shrinks with the budget: the smallest is that of the smallest context.
least=$("$bin" plan "$model" --json | sed 's/.*"min_ram_bytes": \([0-9]*\).*/\1/')
[ "$least" -le $((mib * 1048576)) ] && echo hi | "$bin" "$model" --plain --no-keep --ram "$least" -n 1 >/dev/null 2>&1 &&
	! echo hi | "$bin" "$model" --plain --no-keep --ram $((least - 1)) -n 1 >/dev/null 2>&1 &&
	tap ok "likewise without a context" || tap "not ok" "likewise without a context ($least)"

ram_of() { sed 's/.*"ram_bytes": \([0-9]*\).*/\1/'; }
in_group() { sh -c 'echo $$ >"$0/cgroup.procs" && exec timeout 100 "$@"' "$group" "$@"; }
echo 200M >"$group/memory.limit_in_bytes"
half=$(in_group "$bin" plan "$model" --ctx 256 --json --ram 50% | ram_of)
[ "$half" -eq $((100 * 1048576)) ] && tap ok "a percentage is of the group's limit" ||
	tap "not ok" "a percentage is of the group's limit ($half)"
left=$(in_group "$bin" plan "$model" --ctx 256 --json | ram_of)
[ "$left" -le $((184 * 1048576)) ] && [ "$left" -gt $((120 * 1048576)) ] &&
	tap ok "the default is what the group has left, less a margin" ||
	tap "not ok" "the default is what the group has left, less a margin ($left)"

# One budget for a long prompt, one for each sort of small model.
echo 0 >"$group/memory.max_usage_in_bytes"
least=$("$bin" plan "$model" --ctx 2048 --json | sed 's/.*"min_ram_bytes": \([0-9]*\).*/\1/')
echo $((least + 16777216)) >"$group/memory.limit_in_bytes"
i=0
while [ $i -lt 120 ]; do echo "The quick brown fox, number $i, jumps."; i=$((i + 1)); done |
	in_group "$bin" "$model" --ctx 2048 --ram "$least" -p - -n 2 --temp 0 >/dev/null 2>&1
rc=$?
[ $rc -eq 0 ] && [ "$(cat "$group/memory.failcnt")" -eq 0 ] && tap ok "a prompt of 1400 tokens at the smallest budget" ||
	tap "not ok" "a prompt of 1400 tokens at the smallest budget ($rc)"
"$bin" "$model" --ctx 2048 --ram $((least - 1)) -p x -n 1 >/dev/null 2>&1
[ $? -eq 1 ] && tap ok "one byte less is refused" || tap "not ok" "one byte less is refused"
for small in mixtral deepseek-v3 gpt-oss quantized-nf4-double; do
	dir=$srcdir/tests/models/$small
	least=$("$bin" plan "$dir" --ctx 64 --json | sed 's/.*"min_ram_bytes": \([0-9]*\).*/\1/')
	echo $((least + 16777216)) >"$group/memory.limit_in_bytes"
	in_group "$bin" bench "$dir" --ctx 64 --ram "$least" --prompt-tokens 40 --tokens 8 >/dev/null 2>&1
	rc=$?
	[ $rc -eq 0 ] && [ "$(cat "$group/memory.failcnt")" -eq 0 ] && tap ok "$small at the smallest budget" ||
		tap "not ok" "$small at the smallest budget ($rc)"
	echo 0 >"$group/memory.failcnt"
done

want=$("$bin" "$model" --ctx 256 -p "Count to ten." -n 8 --temp 0 2>/dev/null)
for reader in auto pread; do
	for ram in $mib $((mib + 20)) $((mib + 60)); do
		echo $(((ram + 16) * 1048576)) >"$group/memory.limit_in_bytes"
		echo 0 >"$group/memory.max_usage_in_bytes"
		got=$(sh -c 'echo $$ >"$0/cgroup.procs" && exec timeout 100 "$@"' "$group" "$bin" "$model" --ctx 256 \
			--ram ${ram}M --reader $reader -p "Count to ten." -n 8 --temp 0 2>/dev/null)
		rc=$?
		peak=$(($(cat "$group/memory.max_usage_in_bytes") / 1048576))
		what="--ram ${ram}M --reader $reader: at most $((ram + 16)) MiB in use, the same text"
		[ $rc -eq 0 ] && [ "$got" = "$want" ] && [ $peak -le $((ram + 16)) ] &&
			[ "$(cat "$group/memory.failcnt")" -eq 0 ] && tap ok "$what" ||
			tap "not ok" "$what ($peak, status $rc)"
		echo 0 >"$group/memory.failcnt"
	done
done
echo "1..$n"
