#!/usr/bin/env python3
"""airlchat and its peers on the same model, alternated under one memory limit and one drive speed.

usage: peers.py AIRLCHAT MODELDIR --cap MIB [--bps BYTES_PER_S] [--runs N] [-n TOKENS] [--peers LIST]
                [--llama LLAMA-COMPLETION --gguf FILE] [--python PYTHON --scratch DIR]

--peers: of airlchat, llama.cpp, airllm, offload (default: the first two). llama.cpp reads the GGUF file with mmap
on one thread, its best setting where the disk is the limit; AirLLM and accelerate's offload run in PYTHON's
environment. Each run gets MIB MiB of memory, page cache included (memory cgroup v1, root); caches are dropped before.
Prints each run, then medians and their ratio to airlchat.
"""
import argparse
import json
import os
import re
import statistics
import sys

import stream_limit as limit

TEXT = "Once upon a time there was a king who had three sons and"


def airlchat(a):
    p = limit.run([a.airlchat, a.model, "--ram", f"{a.cap - 16}M", "--ctx", "128", "--prefill-rows", "64", "--raw",
                   "-p", TEXT, "-n", str(a.n), "--temp", "0", "--stats"], a.bps, a.cap)
    s = json.loads(p.stderr.strip().splitlines()[-1])
    return s["prefill_s"], s["s_per_token"]


def llama(a):
    p = limit.run([a.llama, "-m", a.gguf, "-t", "1", "-c", "128", "-n", str(a.n), "--temp", "0", "--ignore-eos",
                   "--no-warmup", "-no-cnv", "--simple-io", "-fit", "off", "-p", TEXT], a.bps, a.cap)
    prefill = re.search(r"prompt eval time =\s*([\d.]+) ms", p.stderr)
    token = re.search(r"\beval time = .*?([\d.]+) ms per token", p.stderr[prefill.end():])
    return float(prefill[1]) / 1e3, float(token[1]) / 1e3


def python(peer):
    def go(a):
        here = os.path.dirname(os.path.abspath(__file__))
        p = limit.run([a.python, f"{here}/peer_hf.py", peer, a.model, str(a.n), f"{a.scratch}/{peer}"], a.bps, a.cap)
        s = json.loads(p.stdout.strip().splitlines()[-1])
        return s["prefill_s"], s["s_per_token"]
    return go


PEERS = {"airlchat": airlchat, "llama.cpp": llama, "airllm": python("airllm"), "offload": python("offload")}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("airlchat")
    ap.add_argument("model")
    ap.add_argument("--cap", type=int, required=True, metavar="MIB")
    ap.add_argument("--bps", type=int)
    ap.add_argument("--runs", type=int, default=3)
    ap.add_argument("-n", type=int, default=4)
    ap.add_argument("--peers", default="airlchat,llama.cpp")
    ap.add_argument("--llama")
    ap.add_argument("--gguf")
    ap.add_argument("--python", default=sys.executable)
    ap.add_argument("--scratch", default="peers-scratch")
    a = ap.parse_args()
    if a.bps:
        limit.throttle(a.model, a.bps)
    names = a.peers.split(",")
    if "airllm" in names:  # its split is made once, outside the limits
        here = os.path.dirname(os.path.abspath(__file__))
        limit.run([a.python, f"{here}/peer_hf.py", "airllm", a.model, "0", f"{a.scratch}/airllm"], False)
    took = {name: [] for name in names}
    for i in range(a.runs):
        for name in names:
            prefill, token = PEERS[name](a)
            took[name].append(token)
            print(f"run {i + 1}: {name}: prefill {prefill:.2f} s, {token:.2f} s/token, peak {limit.peak_mib()} MiB",
                  flush=True)
    own = statistics.median(took["airlchat"]) if "airlchat" in names else None
    for name, t in took.items():
        m = statistics.median(t)
        print(f"{name:10} {m:8.2f} s/token" + (f" {m / own:6.2f} x airlchat" if own else ""))


if __name__ == "__main__":
    main()
