#!/bin/bash
# What the screen itself takes: the UI thread's share of a core while an answer is made (with each panel
# open too) and while nothing happens, and how often it wakes up then. Wanted: <= 2%, ~0, 0.
# usage: AIRLCHAT_MODEL=model.gguf builddir=build tests/bench/ui_cpu.sh [SECONDS [COLUMNS [ROWS]]]
set -eu
seconds=${1:-5} columns=${2:-100} rows=${3:-30}
builddir=$(cd "${builddir:-build}" && pwd)
dir=$(mktemp -d)
tm() { tmux -S "$dir/socket" -f /dev/null "$@"; }
trap 'tm kill-server 2>/dev/null; rm -rf "$dir"' EXIT
tm new-session -d -x "$columns" -y "$rows" "XDG_STATE_HOME=$dir XDG_DATA_HOME=$dir LC_ALL=C.UTF-8 exec $builddir/airlchat '$AIRLCHAT_MODEL' --no-keep --ram 60M --ctx 1024"
pid=$(tm display-message -p '#{pane_pid}')
ns() { cut -d" " -f1 "/proc/$pid/task/$pid/schedstat"; } # on a CPU
wakes() { awk '/^voluntary/ { print $2 }' "/proc/$pid/task/$pid/status"; }
measure() { # NAME
	local t0 w0 t1 w1
	t0=$(ns) w0=$(wakes)
	sleep "$seconds"
	t1=$(ns) w1=$(wakes)
	awk -v n="$1" -v t=$((t1 - t0)) -v w=$((w1 - w0)) -v s="$seconds" \
		'BEGIN { printf "%-28s %5.2f%% of a core  %6.1f wake-ups/s\n", n, t / s / 1e7, w / s }'
}
sleep 2
measure 'idle, before anything'
tm send-keys 'Write a very long story about the sea, with many chapters.' Enter
sleep 2
measure 'answering'
for key in F2 F3 F4; do
	tm send-keys "$key"
	sleep 0.5
	measure "answering, $key open"
	tm send-keys "$key"
done
tm send-keys C-c
sleep 1
measure 'idle, after an answer'
