#!/bin/bash
# The screen with the real model, in tmux with a socket and no configuration of its own.
n=0 bad=0
ram=80M bar='D+.*s$' # the disk is waited for
[ -z "${SANITIZED-}" ] || { ram=120M bar='█+.*s$'; } # not where computing is so slow
check() { # NAME COMMAND...
	local name=$1
	shift
	n=$((n + 1))
	if "$@"; then echo "ok $n - $name"; else
		echo "not ok $n - $name"
		tm capture-pane -p 2>/dev/null | sed 's/^/# /'
		bad=1
	fi
}
if ! command -v tmux >/dev/null || [ ! -f "${AIRLCHAT_MODEL-}" ]; then
	echo "ok 1 - the screen in tmux # SKIP tmux or AIRLCHAT_MODEL is missing"
	exit 0
fi
dir=$(mktemp -d)
tm() { tmux -S "$dir/socket" -f /dev/null "$@"; }
trap 'tm kill-server 2>/dev/null; rm -rf "$dir"' EXIT
shows() { # PATTERN: poll for it, ten seconds at most
	for _ in $(seq 100); do
		tm capture-pane -p 2>/dev/null | grep -qE "$1" && return 0
		sleep 0.1
	done
	return 1
}
written() { for _ in $(seq 100); do [ -s "$1" ] && return 0; sleep 0.1; done; return 1; }
start() {
	rm -f "$dir"/rc "$dir"/after
	tm new-session -d -x 90 -y 24 "stty -g >$dir/before; XDG_STATE_HOME=$dir XDG_DATA_HOME=$dir LC_ALL=C.UTF-8 $builddir/airlchat '$AIRLCHAT_MODEL' --temp 0 --ram $ram --ctx 512; echo \$? >$dir/rc; stty -g >$dir/after; sleep 1"
}
start
check 'the first frame' shows '^>'
tm send-keys 'What is the capital of Italy?' Enter
check 'an answer' shows 'Italy\.$'
check 'the token bar' shows "$bar"
tm resize-window -x 40 -y 8
check 'a smaller window' shows '^>'
tm resize-window -x 1 -y 1
tm resize-window -x 90 -y 24
check 'and back from 1x1' shows '^ai +[▸>] '
tm send-keys '/help' Enter
check '/help' shows '^ Keys'
tm send-keys Escape
sleep 0.2
tm send-keys '/quit' Enter
check '/quit ends' written "$dir/after"
check 'with status 0' grep -qx 0 "$dir/rc"
check 'the terminal is as before' cmp -s "$dir/before" "$dir/after"
tm kill-server 2>/dev/null
start
check 'a second start' shows '^>'
tm send-keys 'Write a very long story about the sea.' Enter
check 'it answers' shows '^ai +[▸>] .+'
check 'what would help' shows '(--ram|prepare) .*/tok'
for p in /proc/[0-9]*; do # pkill is not everywhere
	[[ $(tr '\0' ' ' <"$p/cmdline" 2>/dev/null) == "$builddir/airlchat $AIRLCHAT_MODEL --temp 0 --ram $ram"* ]] &&
		kill -TERM "${p#/proc/}"
done
check 'SIGTERM ends it' written "$dir/after"
check 'with status 143' grep -qx 143 "$dir/rc"
check 'the terminal is as before again' cmp -s "$dir/before" "$dir/after"
echo "1..$n"
exit $bad
