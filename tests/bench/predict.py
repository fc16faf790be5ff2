#!/usr/bin/env python3
"""Is what `plan` predicts what is then measured?

    predict.py AIRLCHAT MODEL... [--runs N] [--threads 1,2] [--ram all,SIZE...] [--tokens N]

Runs `airlchat bench` for each model, number of threads and budget ("all": everything in memory), a few times in
turn, and prints predicted / measured time per token: the median of the runs, and the farthest from 1. bench predicts
from the disk and the kernels alone, measured in the same run. The machine should have nothing else to do: what other
programs take shows in both, but not equally.
"""
import argparse, json, statistics, subprocess, sys


def bench(a, model, threads, ram):
    cmd = [a.airlchat, "bench", model, "--json", "--threads", threads, "--prompt-tokens", "2", "--tokens", str(a.tokens)]
    r = subprocess.run(cmd + ([] if ram == "all" else ["--ram", ram]), capture_output=True, text=True)
    if r.returncode:
        sys.exit(f"{' '.join(cmd)}: {r.stderr}")
    return json.loads(r.stdout)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("airlchat")
    ap.add_argument("models", nargs="+")
    ap.add_argument("--runs", type=int, default=5)
    ap.add_argument("--threads", default="1,2")
    ap.add_argument("--ram", default="all")
    ap.add_argument("--tokens", type=int, default=12)
    a = ap.parse_args()
    cases = [(m, t, r) for m in a.models for t in a.threads.split(",") for r in a.ram.split(",")]
    seen = {c: [] for c in cases}
    for _ in range(a.runs):
        for c in cases:
            seen[c].append(bench(a, *c))
    print("| model | threads | budget | from disk, MiB | s/token | predicted / measured | farthest |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for c in cases:
        ratios = [b["predicted_s_per_token"] / b["median_s_per_token"] for b in seen[c] if b["predicted_s_per_token"]]
        if not ratios:
            print(f"| {c[0]} | {c[1]} | {c[2]} | - | - | not predicted | |")
            continue
        took = statistics.median(b["median_s_per_token"] for b in seen[c])
        print(f"| {c[0]} | {c[1]} | {c[2]} | {seen[c][0]['streamed_bytes'] / 2**20:.0f} | {took:.4f} | "
              f"{statistics.median(ratios):.3f} | {max(ratios, key=lambda x: abs(x - 1)):.3f} |", flush=True)


main()
