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
