"""What `plan` recommends is tried: a larger budget, fewer bits, a second drive, more threads. Reads are held to a rate
by a blkio control group (v1), so that the drive's moods and other programs don't decide."""
import json, os, subprocess, sys, tempfile, time

sys.path[:0] = [os.path.join(os.path.dirname(__file__), d) for d in (".", "../prepare")]
from tap import AIRLCHAT, done, ok, run, skip  # noqa: E402
from common import big_model  # noqa: E402

GROUP = f"/sys/fs/cgroup/blkio/airlchat-advice.{os.getpid()}"
RATE = 60_000_000
NEAR = 0.2  # of what was said
pace = 1  # measured / predicted for the present settings: the group lets reads through in bursts, and a short probe
#           catches one more or less. What is said of other settings is scaled by it, as the screen's verdict is


def hold(paths):
    """The group's reads from the drives of these paths come at RATE each."""
    with open(GROUP + "/blkio.throttle.read_bps_device", "w") as f:
        for p in paths:
            dev = os.stat(p).st_dev
            f.write(f"{os.major(dev)}:{os.minor(dev)} {RATE}\n")
            f.flush()


def held(*args):
    """The JSON that a command prints, run in the group."""
    def enter():
        with open(GROUP + "/cgroup.procs", "w") as f:
            f.write("0")
    r = subprocess.run([AIRLCHAT, *map(str, args)], capture_output=True, text=True, preexec_fn=enter)
    return json.loads(r.stdout) if r.returncode == 0 else {"error": r.stderr}


def bench(model, *options):
    return held("bench", model, "--json", "--prompt-tokens", 2, "--tokens", 8, "--ctx", 64, *options)


def tried(change, said, measured):
    got, said = measured.get("s_per_token", -1), said * pace
    ok(got > 0 and abs(got - said) <= NEAR * said, f"{change}: said {said:.3f} s, measured {got:.3f} s", measured)


def try_stripes(tmp, model, ram, said):
    """Two file systems in files, each held to the rate."""
    mounts = []
    try:
        for name in "ab":
            image, at = os.path.join(tmp, name + ".img"), os.path.join(tmp, "drive-" + name)
            os.makedirs(at)
            with open(image, "wb") as f:
                f.truncate(96 << 20)
            for cmd in (["mkfs.ext4", "-q", image], ["mount", "-o", "loop", image, at]):
                if not os.path.exists("/sbin/mkfs.ext4") or subprocess.run(cmd, capture_output=True).returncode:
                    skip("a second drive", "no file system can be mounted here: it takes root and loop devices")
                    return
            mounts.append(at)
        striped = os.path.join(tmp, "striped")
        r = run("prepare", model, striped, "--stripe", ",".join(mounts))
        ok(r.returncode == 0, "a model on two drives", r.stderr)
        os.sync()
        hold(mounts)
        tried("a second drive", said, bench(striped, "--ram", ram))
    finally:
        for at in mounts:  # the kernel lets go of io_uring's files a moment after the process has ended
            for _ in range(50):
                if subprocess.run(["umount", at], capture_output=True).returncode == 0:
                    break
                time.sleep(0.1)
            else:
                subprocess.run(["umount", "-l", at])


def try_threads(tmp, model):
    p = json.loads(run("plan", model, "--json", "--ram", "1G", "--ctx", 64, "--threads", 1).stdout)
    more = [o for o in p["options"] if o["change"].startswith("--threads")]
    cores = len(os.sched_getaffinity(0))
    if cores < 2 or os.getloadavg()[0] > cores / 4:
        skip("more threads", "one core, or others use them")
        return
    ok(more and more[0]["change"] == f"--threads {cores}", "more threads are recommended", p["options"])
    options = ("--json", "--ctx", 64, "--ram", "1G", "--tokens", 40, "--prompt-tokens", 2)
    times = [json.loads(run("bench", model, *options, "--threads", t).stdout)["median_s_per_token"] for t in (1, cores)]
    ok(times[1] < times[0], "and are faster", times)


def try_all(tmp):
    global pace
    model = big_model(os.path.join(tmp, "big"), layers=8, hidden=512, ffn=1024)
    try:
        hold([model])
    except OSError as e:
        skip("recommendations are true", f"reads from here can't be held to a rate: {e}")
        return
    least = json.loads(run("plan", model, "--json", "--ctx", 64).stdout)["min_ram_bytes"]
    ram = least + (4 << 20)
    p = held("plan", model, "--json", "--ram", ram, "--ctx", 64)
    options = {o["change"]: o["predicted_s_per_token"] for o in p.get("options", [])}
    ok(p.get("streamed_bytes", 0) > 20e6, "most of the model streams", p)
    b = bench(model, "--ram", ram)
    tried("the present settings", p.get("predicted_s_per_token", -1), b)
    pace = b.get("s_per_token", -1) / p.get("predicted_s_per_token", -1)
    budgets = [c for c in options if c.startswith("--ram")]
    ok(len(budgets) == 3, "three larger budgets are told", options)
    for change in budgets[:2]:
        tried(change, options[change], bench(model, *change.split()))
    b = bench(model, *budgets[-1].split()) if budgets else {}
    ok(b.get("streamed_bytes", 1) == 0 and b["s_per_token"] < p["predicted_s_per_token"] / 3,
       "the largest holds all weights", b)
    for quant in ("nf4", "int8"):
        change = "prepare --quant " + quant
        ok(change in options, f"{change} is recommended", options)
        small = os.path.join(tmp, quant)
        run("prepare", model, small, "--quant", quant)
        os.sync()
        tried(change, options.get(change, -1), bench(small, "--ram", ram))
    change = "prepare --stripe DIR1,DIR2"
    ok(change in options, f"{change} is recommended", options)
    try_stripes(tmp, model, ram, options.get(change, -1))


def main():
    with tempfile.TemporaryDirectory() as tmp:
        os.environ["XDG_CACHE_HOME"] = tmp
        try:
            os.mkdir(GROUP)
        except OSError:
            skip("recommendations are true", "no blkio cgroup (v1) can be made here: it takes root")
        else:
            try:
                try_all(tmp)
            finally:
                os.rmdir(GROUP)
        try_threads(tmp, big_model(os.path.join(tmp, "threads"), layers=4, hidden=1024, ffn=2048))
    done()


main()
