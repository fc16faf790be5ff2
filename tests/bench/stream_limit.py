#!/usr/bin/env python3
"""How close is streaming to the drive's limit?

usage: stream_limit.py AIRLCHAT MODEL... --ram SIZE [-n TOKENS] [--runs N] [--bps BYTES_PER_S] [--cap MIB]
                       [AIRLCHAT'S OPTIONS...]

Alternates fio (direct reads of a model's largest file) and airlchat, and prints medians of: the share of
the time with a read in flight, and time per token / (bytes that stream each pass / fio's bandwidth), with fio
measured before and after each run. Several models take turns; each one's time is also told as a share of the
first's in the same turn: a model and what `airlchat prepare` made of it. --bps: both are throttled to so many bytes a second by a blkio cgroup (v1,
root), for drives whose speed swings. --cap: airlchat gets so many MiB of memory, page cache included (memory
cgroup v1, root, caches dropped before each run), and its high-water mark is told. The drive should have nothing
else to do.
"""
import argparse
import atexit
import glob
import json
import os
import statistics
import subprocess
import sys

GROUP = f"/sys/fs/cgroup/blkio/airlchat-bench.{os.getpid()}"
MEMORY = f"/sys/fs/cgroup/memory/airlchat-bench.{os.getpid()}"


@atexit.register
def remove_groups():
    for group in GROUP, MEMORY:
        if os.path.isdir(group):
            os.rmdir(group)


def throttle(path, bps):
    st = os.stat(path)
    os.makedirs(GROUP, exist_ok=True)
    dev = f"{os.major(st.st_dev)}:{os.minor(st.st_dev)}"
    with open(f"{GROUP}/blkio.throttle.read_bps_device", "w") as f:
        f.write(f"{dev} {bps}")


def limit_memory(mib):
    if not os.path.isdir(MEMORY):
        os.mkdir(MEMORY)
    for name, value in (("memory.force_empty", 0), ("memory.limit_in_bytes", mib << 20),
                        ("memory.max_usage_in_bytes", 0)):
        with open(f"{MEMORY}/{name}", "w") as f:
            f.write(str(value))
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3")


def peak_mib():
    with open(f"{MEMORY}/memory.max_usage_in_bytes") as f:
        return int(f.read()) >> 20


def run(cmd, throttled, capped=None):
    if capped:
        limit_memory(capped)

    def enter():
        for group in [GROUP] * bool(throttled) + [MEMORY] * bool(capped):
            with open(f"{group}/cgroup.procs", "w") as f:
                f.write("0")
    p = subprocess.run(cmd, capture_output=True, text=True, preexec_fn=enter)
    if p.returncode:
        sys.exit(f"{cmd[0]}: status {p.returncode}: {p.stderr[-400:]}")
    return p


def fio(path, seconds, throttled):
    p = run(["fio", "--name=a", f"--filename={path}", "--rw=read", "--bs=1M", "--iodepth=32",
             "--ioengine=io_uring", "--direct=1", "--time_based", f"--runtime={seconds}", "--ramp_time=1",
             "--readonly", "--output-format=json"], throttled)
    return json.loads(p.stdout)["jobs"][0]["read"]["bw_bytes"]


class Series:
    """One model's plan and what its runs measured."""

    def __init__(self, a, model):
        self.model, self.name = model, os.path.basename(os.path.normpath(model))
        files = [model] if os.path.isfile(model) else glob.glob(model + "/*.safetensors")
        self.path = max(files, key=os.path.getsize)
        self.plan = json.loads(run([a.airlchat, "plan", model, "--json", "--ram", a.ram, *a.options], False).stdout)
        self.times, self.ratios, self.shares, self.busy, self.speeds, self.peaks = [], [], [], [], [], []

    def one(self, a, turn):
        before = fio(self.path, a.seconds, a.bps)
        p = run([a.airlchat, self.model, "--ram", a.ram, "--raw", "-p", "Once upon a time", "-n", str(a.n), "--temp",
                 "0", "--stats", *a.options], a.bps, a.cap)
        if a.cap:
            self.peaks.append(peak_mib())
        s = json.loads(p.stderr.strip().splitlines()[-1])
        speed = (before + fio(self.path, a.seconds, a.bps)) / 2
        self.times.append(s["s_per_token"])
        self.ratios.append(s["s_per_token"] / (self.plan["streamed_bytes"] / speed))
        self.busy.append(s["read_busy_s"] / (s["prefill_s"] + s["decode_s"]))
        self.speeds.append(speed)
        print(f"{self.name} {turn}: {self.times[-1]:.3f} s/token, fio {speed / 1e9:.3f} GB/s, time / "
              f"limit {self.ratios[-1]:.3f}, a read in flight {self.busy[-1]:.1%}, waits {s['disk_wait_s']:.2f} s, "
              f"compute {s['compute_s']:.2f} s" + (f", peak {self.peaks[-1]} MiB" if a.cap else ""), flush=True)

    def summary(self):
        return {"model": self.name, "streamed_bytes": self.plan["streamed_bytes"],
                "resident_bytes": self.plan["resident_bytes"], "runs": len(self.times),
                "s_per_token": round(statistics.median(self.times), 3),
                "time_per_limit": round(statistics.median(self.ratios), 3),
                "share_of_first": round(statistics.median(self.shares), 3),
                "in_flight": round(statistics.median(self.busy), 4), "peak_mib": max(self.peaks, default=None),
                "fio_gb_per_s": round(statistics.median(self.speeds) / 1e9, 3)}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("airlchat")
    ap.add_argument("models", nargs="+")
    ap.add_argument("--ram", required=True)
    ap.add_argument("-n", type=int, default=6)
    ap.add_argument("--runs", type=int, default=5)
    ap.add_argument("--bps", type=int)
    ap.add_argument("--cap", type=int, metavar="MIB")
    ap.add_argument("--seconds", type=int, default=8, help="of fio")
    a, a.options = ap.parse_known_args()  # what is not known here is airlchat's
    series = [Series(a, m) for m in a.models]
    if a.bps:
        throttle(series[0].path, a.bps)
    for turn in range(1, a.runs + 1):
        for s in series:
            s.one(a, turn)
            s.shares.append(s.times[-1] / series[0].times[-1])
    for s in series:
        print(json.dumps(s.summary()))


if __name__ == "__main__":
    main()
