#!/bin/bash
# What shells complete. Words, options and values come from the table of options.
a=$(cd "${builddir:-build}" && pwd)/airlchat
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0 bad=0
ok() { # STATUS NAME [WHY]
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
		echo "not ok $n - $2"
		echo "# ${3//$'\n'/$'\n'# }"
		bad=1
	fi
}
for shell in bash zsh fish; do "$a" --completion $shell >"$dir/$shell"; done
mkdir -p "$dir/data/airlchat/sessions" "$dir/files"
touch "$dir/data/airlchat/sessions/my chat.json" "$dir/files/a model.gguf" "$dir/files/plan.txt"

in_bash() { # WORDS...: what the last one becomes
	(
		cd "$dir/files" && XDG_DATA_HOME=$dir/data bash --norc -c 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
			_airlchat 2>&1; printf "%s|" "${COMPREPLY[@]}"' "$dir/bash" airlchat "$@"
	)
}
is() { # SEEN WANTED NAME
	[ "$1" = "$2" ]
	ok $? "$3" "$1"
}
is "$(in_bash --kv)" '--kv-type|' 'bash: an option'
is "$(in_bash --kv-type f)" 'f16|f32|' 'its values'
is "$(in_bash --kv-type = b)" 'bf16|' 'its values behind ='
is "$(in_bash --resume m)" 'my\ chat|' 'sessions'
is "$(in_bash --ram 1)" '|' 'a number: nothing'
is "$(in_bash p)" 'plan.txt|plan|prepare|' 'the first word: commands and files'
is "$(in_bash plan a)" 'a model.gguf|' 'a file with a space'
if command -v zsh >/dev/null; then
	# What it gives to _arguments: completion itself needs a terminal.
	seen=$(XDG_DATA_HOME=$dir/data zsh -f -c '_arguments() { print -rl -- "$@" }; source "$1"; compadd() { print -r -- "$3" $s }
		_airlchat_sessions' - "$dir/zsh" 2>&1)
	grep -qxF -- '--kv-type[how the KV cache keeps numbers (default f16; bf16 is lossy)]:f16|f32|bf16:(f16 f32 bf16)' <<<"$seen" &&
		grep -qF -- '(-p --prompt)-p[' <<<"$seen" && grep -qF 'my chat' <<<"$seen"
	ok $? 'zsh: options, values, sessions' "$seen"
	zsh -n "$dir/zsh"
	ok $? 'zsh reads it'
else
	ok 0 'zsh # SKIP zsh is not installed'
fi
if command -v fish >/dev/null; then
	in_fish() { (cd "$dir/files" && HOME=$dir XDG_DATA_HOME=$dir/data fish --no-config -c "source $dir/fish; complete -C '$1'" 2>&1 | cut -f1 | paste -sd'|'); }
	is "$(in_fish 'airlchat --kv-type ')" 'bf16|f16|f32' 'fish: the values of an option'
	is "$(in_fish 'airlchat --kv-t')" '--kv-type' 'an option'
	is "$(in_fish 'airlchat --resume ')" 'my chat' 'sessions'
else
	ok 0 'fish # SKIP fish is not installed'
fi
"$a" --completion tcsh 2>/dev/null
[ $? -eq 2 ]
ok $? 'another shell is refused'
echo "1..$n"
exit $bad
