"""What the Python tests share: TAP lines and the program under test."""
import json, os, subprocess, sys

SRC = os.environ.get("srcdir", ".")
BUILD = os.environ.get("builddir", "build")
AIRLCHAT = os.path.join(BUILD, "airlchat")
VECTORS = os.path.join(SRC, "..", "shared", "vectors")
MODEL = os.environ.get("AIRLCHAT_MODEL", "")

# A build with a sanitizer is many times as slow and as large: tests about time and memory allow for it.
SANITIZED = bool(os.environ.get("SANITIZED"))

count = failed = 0


def ok(good, name, why=""):
    global count, failed
    count += 1
    failed += not good
    print(("ok" if good else "not ok"), count, "-", name, flush=True)
    if not good and why:
        print("#", str(why)[:2000].replace("\n", "\n# "))


def skip(name, why):
    global count
    count += 1
    print("ok", count, "-", name, "# SKIP", why, flush=True)


def done():
    print(f"1..{count}")
    sys.exit(1 if failed else 0)


def run(*args, stdin=None, timeout=600):
    """The finished process; stdin is text, or None for an empty one."""
    return subprocess.run([AIRLCHAT, *map(str, args)], input=stdin or "", capture_output=True,
                          text=True, timeout=timeout, encoding="utf-8")


def json_lines(args, lines):
    """Answers to JSON lines, one object each."""
    r = run(*args, stdin="".join(json.dumps(x) + "\n" for x in lines))
    out = [json.loads(x) for x in r.stdout.split("\n") if x]
    return out, r
