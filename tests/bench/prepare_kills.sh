#!/bin/sh
# `airlchat prepare` killed at 200 random moments, and at 100 with --delete-original; the check has 16 and 8.
# usage: tests/bench/prepare_kills.sh BUILDDIR [KILLS]
src=$(cd "$(dirname "$0")/../.." && pwd)
srcdir=$src builddir=$(cd "$1" && pwd) KILLS=${2:-200} python3 "$src/tests/prepare/prepare.py" | grep -E 'kill|^not|^1'
