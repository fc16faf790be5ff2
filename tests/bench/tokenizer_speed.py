#!/usr/bin/env python3
"""How fast tokenizers load and encode, beside the Python package `tokenizers` on one thread.

usage: tokenizer_speed.py AIRLCHAT FOLDER... [--runs N]

FOLDER: with a tokenizer.json. For each, CPU seconds, the least of the runs: to load; to encode 1 MB of English and
1 MB of code mixed with CJK (what `airlchat tokenize` takes beyond loading, JSON in and out included), as a ratio of
what `tokenizers` takes; and the slowest 1 MB that is one piece repeated. Run it in an environment with `tokenizers`.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import time

from tokenizers import Tokenizer

MB = 1 << 20
ENGLISH = ("The Moon pulls the near ocean more strongly than the Earth, and the Earth more strongly than the far "
           "ocean; that's why there are two tides a day. In 1687, Newton wrote it down, and nobody's found better! ")
MIXED = ("def tide(t, *, m=3.14e-2):\n    return [x ** 2 for x in range(t)]  # 潮汐\n月亮吸引着近处的海水。潮の満ち引きは"
         "一日に二回起こる。\tif (a != b) { return \"조석\"; }\n")
RUNS = ["a", " ", "7", "\n", "!", "a ", "a\n", "é", "月", "\U0001F600", "'s", "_x"]


def cpu():
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


def airlchat(a, folder, text):
    line = json.dumps({"text": text, "add_special_tokens": False}) + "\n"
    best = []
    for _ in range(a.runs):
        start = cpu()
        p = subprocess.run([a.airlchat, "tokenize", folder], input=line, capture_output=True, text=True)
        if p.returncode:
            sys.exit(p.stderr)
        best.append(cpu() - start)
    return min(best), json.loads(p.stdout)["ids"]


def oracle(t, text, runs):
    best = []
    for _ in range(runs):
        start = time.process_time()
        ids = t.encode(text, add_special_tokens=False).ids
        best.append(time.process_time() - start)
    return min(best), ids


def fill(text):
    return (text * (MB // len(text.encode()) + 1)).encode()[:MB].decode(errors="ignore")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("airlchat")
    ap.add_argument("folders", nargs="+")
    ap.add_argument("--runs", type=int, default=3)
    a = ap.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for folder in a.folders:
        t = Tokenizer.from_file(f"{folder}/tokenizer.json")
        load, _ = airlchat(a, folder, "")
        row = [f"{os.path.basename(folder.rstrip('/')):28} {t.get_vocab_size():7} entries, load {load:.3f} s"]
        for name, text in ("English", fill(ENGLISH)), ("mixed", fill(MIXED)):
            own, ids = airlchat(a, folder, text)
            other, wanted = oracle(t, text, a.runs)
            row.append(f"{name} {own - load:.3f} s, tokenizers / it {other / max(own - load, 1e-3):.1f}"
                       + ("" if ids == wanted else " (OTHER IDS)"))
        worst = max((airlchat(a, folder, fill(r))[0] - load, r) for r in RUNS)
        row.append(f"slowest run {worst[1]!r} {worst[0]:.3f} s")
        print("; ".join(row), flush=True)


if __name__ == "__main__":
    main()
