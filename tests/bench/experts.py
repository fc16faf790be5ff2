#!/usr/bin/env python3
"""What experts on demand cost: bytes and time a token.

usage: experts.py AIRLCHAT MODEL --ram SIZE [-n TOKENS] [--warm TOKENS] [--runs N] [--bps BYTES_PER_S] [--cap MIB]
                  [--keep FILE] [AIRLCHAT'S OPTIONS...]

Each run generates, from one seed, first --warm tokens and then --warm + n. Of the n tokens are told: bytes that the
process got from the drive (the kernel's count, as the difference of both), bytes that they needed and that were not
in memory (the trace's reads of chunks that were multiplied), their ratio, and time (from the trace) / (bytes from
the drive / fio's bandwidth). fio runs before and after each pair. --bps, --cap: as in stream_limit.py. --keep: the trace of the last run, from
which expert_cache.py takes what was chosen.
"""
import argparse
import glob
import json
import os
import resource
import statistics
import tempfile

import stream_limit as limit


def drive_bytes():
    """What ended children got from the drive."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_inblock * 512


def passes_after(trace, skip):
    """Of the passes after the first `skip`: bytes of chunks that were read for them and multiplied; seconds."""
    with open(trace, encoding="utf-8") as f:
        events = [e for e in json.load(f) if e["ph"] != "M"]
    late = [e for e in events if e["args"]["pass"] >= skip]
    end = {True: 0, False: 0}  # of these, of those before
    for e in events:
        if e["tid"] == 1:
            k = e["args"]["pass"] >= skip
            end[k] = max(end[k], e["ts"] + e.get("dur", 0))
    return sum(e["args"]["bytes"] for e in late if e["name"] == "read"), (end[True] - end[False]) / 1e6


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("airlchat")
    ap.add_argument("model")
    ap.add_argument("--ram", required=True)
    ap.add_argument("-n", type=int, default=32)
    ap.add_argument("--warm", type=int, default=32)
    ap.add_argument("--runs", type=int, default=3)
    ap.add_argument("--bps", type=int)
    ap.add_argument("--cap", type=int, metavar="MIB")
    ap.add_argument("--seconds", type=int, default=4, help="of fio")
    ap.add_argument("--keep", metavar="FILE")
    a, a.options = ap.parse_known_args()  # what is not known here is airlchat's
    files = [a.model] if os.path.isfile(a.model) else glob.glob(a.model + "/*.safetensors")
    path = max(files, key=os.path.getsize)
    if a.bps:
        limit.throttle(path, a.bps)
    trace = a.keep or tempfile.mkstemp(suffix=".json")[1]
    byte_ratios, time_ratios, walls, got, peaks = [], [], [], [], []
    before = limit.fio(path, a.seconds, a.bps)
    for i in range(a.runs):
        sides = []
        for n in a.warm, a.warm + a.n:
            start = drive_bytes()
            p = limit.run([a.airlchat, a.model, "--ram", a.ram, "--raw", "-p", "Once upon a time", "-n", str(n),
                           "--temp", "1", "--seed", str(i + 1), "--stats", "--trace", trace, *a.options], a.bps, a.cap)
            sides.append((json.loads(p.stderr.strip().splitlines()[-1]), drive_bytes() - start))
            if a.cap:
                peaks.append(limit.peak_mib())
        after = limit.fio(path, a.seconds, a.bps)
        speed = (before + after) / 2
        before = after
        (s0, d0), (s1, d1) = sides
        drive = d1 - d0
        needed, wall = passes_after(trace, s0["passes"])
        hits, misses = s1["expert_hits"] - s0["expert_hits"], s1["expert_misses"] - s0["expert_misses"]
        byte_ratios.append(drive / needed)
        time_ratios.append(wall / (drive / speed))
        walls.append(wall / a.n)
        got.append(drive / a.n)
        print(f"run {i + 1}: {wall / a.n:.4f} s/token, {drive / a.n / 1e6:.1f} MB/token, bytes / needed "
              f"{byte_ratios[-1]:.4f}, fio {speed / 1e9:.3f} GB/s, time / limit {time_ratios[-1]:.3f}; experts "
              f"{hits / a.n:.0f} there, {misses / a.n:.0f} not, right guesses "
              f"{(s1['expert_right_guesses'] - s0['expert_right_guesses']) / a.n:.1f}, wrong "
              f"{(s1['expert_wrong_guesses'] - s0['expert_wrong_guesses']) / a.n:.1f}",
              flush=True)
    result = {"runs": a.runs, "tokens": a.n, "s_per_token": round(statistics.median(walls), 4),
              "bytes_per_token": round(statistics.median(got)),
              "bytes_per_needed": round(statistics.median(byte_ratios), 4),
              "time_per_limit": round(statistics.median(time_ratios), 3)}
    if a.cap:
        result["peak_mib"] = max(peaks)
    print(json.dumps(result))
    if not a.keep:
        os.unlink(trace)


if __name__ == "__main__":
    main()
