#!/usr/bin/env python3
"""Speed of airlchat and llama.cpp on the same files, all in memory, commands alternated:

    vs_llama.py AIRLCHAT LLAMA_BENCH FILE... [-t THREADS] [--runs N] [--ops NAME] [--math exact,fast]
                [--prompt N] [--tokens N] [--depth N]

Prints the median of the runs in tokens/s and, in brackets, its ratio to llama.cpp's median; then the same for the
best of the runs, which other programs on the machine disturb least. Decoding starts from an empty context, or with
--depth behind a prompt of N tokens; both keep f16 keys and values. A model of a size of its own: make_shape.py
llama-1b 1b.gguf --quant gguf, and llama-quantize for other formats.
"""
import argparse, json, os, statistics, subprocess


def run(command):
    p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if p.returncode:
        raise SystemExit(f"{' '.join(command)}: {p.stderr.strip()}")
    return json.loads(p.stdout)


def llama(a, file):
    def bench(*args):
        return run([a.llama_bench, "-m", file, "-t", str(a.threads), *args, "-r", "1", "-o", "json"])[0]["avg_ts"]
    return [bench("-p", str(a.prompt), "-n", "0"), bench("-p", "0", "-n", str(a.tokens), "-d", str(a.depth))]


def airlchat(a, file, math):
    def bench(prompt, tokens):
        return run([a.airlchat, "bench", file, "--prompt-tokens", str(prompt), "--tokens", str(tokens), "--threads",
                    str(a.threads), "--ops", a.ops, "--math", math, "--json"])
    one, many = bench(a.prompt, 1), bench(max(2, a.depth), a.tokens)
    for r in (one, many):
        if r["streamed_bytes"]:
            raise SystemExit(f"{file}: not all in memory")
    return [a.prompt / one["prefill"]["s"], a.tokens / many["decode"]["s"]]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("airlchat")
    p.add_argument("llama_bench")
    p.add_argument("files", nargs="+")
    p.add_argument("-t", "--threads", type=int, default=1)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--ops", default="auto")
    p.add_argument("--math", default="exact,fast")
    p.add_argument("--prompt", type=int, default=512)
    p.add_argument("--tokens", type=int, default=32)
    p.add_argument("--depth", type=int, default=0)
    a = p.parse_args()
    kinds = ["llama.cpp", *a.math.split(",")]
    for file in a.files:
        seen = {k: [] for k in kinds}
        for _ in range(a.runs):
            for k in kinds:
                seen[k].append(llama(a, file) if k == "llama.cpp" else airlchat(a, file, k))
        print(f"{os.path.basename(file)}, {a.threads} thread(s), {a.runs} runs; tokens/s (ratio)")
        for name, pick in (("median", statistics.median), ("best", max)):
            base = [pick(x) for x in zip(*seen["llama.cpp"])]
            for k in kinds:
                got = [pick(x) for x in zip(*seen[k])]
                text = "".join(f"   {what} {x:8.2f} ({x / b:.2f})"
                               for what, x, b in zip((f"prompt of {a.prompt}", f"decode at {a.depth}"), got, base))
                print(f"  {name:6} {k:9}{text}", flush=True)


main()
