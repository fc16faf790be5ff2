"""airlchat prepare that is killed, finds its drive full or broken, or its source changed: no wrong number, nothing of
the original lost, a sentence that names the file, and the same command goes on to the very same files."""
import ctypes, errno, json, os, random, re, shutil, signal, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(__file__))
from common import *  # noqa: E402,F403
from tap import AIRLCHAT, BUILD, SANITIZED, SRC, done, ok, skip  # noqa: E402

CRASH, READS = (os.path.abspath(os.path.join(BUILD, "tests", "bin", x + "_preload.so")) for x in ("crash", "fault"))
ENV = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
MODELS = os.path.join(SRC, "tests", "models")
FAULTS = int(os.environ.get("FAULTS_OF_PREPARE", "40" if SANITIZED else "240"))
BEFORE, BEHIND, MIDDLE, SHELL = -1, -2, -3, -4


def crash(call, number, kind, times=1, env=ENV):
    return {**env, "LD_PRELOAD": CRASH, "CRASH": f"{call} {number} {kind} {times}"}


def run_env(env, *args):
    return subprocess.run([AIRLCHAT, "prepare", *args], env=env, capture_output=True, text=True)


def listing(folder):
    """{path: bytes, or where a link leads} of everything below a folder."""
    out = {}
    for where, _, names in os.walk(folder):
        for n in names:
            path = os.path.join(where, n)
            if os.path.islink(path):
                out[os.path.relpath(path, folder)] = os.readlink(path)
                continue
            with open(path, "rb") as f:
                out[os.path.relpath(path, folder)] = f.read()
    return out


def differences(a, b):
    return sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))


class Work:
    """One way to prepare a model, in a folder of its own: its source can be put back as it was."""

    def __init__(self, tmp, name, make, options=(), src="src"):
        self.name, self.deletes = name, "--delete-original" in options
        self.home, self.kept = os.path.join(tmp, name), os.path.join(tmp, name + "-kept")
        os.makedirs(self.home, exist_ok=True)
        make(os.path.join(self.home, "src"))
        self.src, self.dst = os.path.join(self.home, src), os.path.join(self.home, "out", "dst")
        self.args = [self.src, self.dst, *[x.replace("@", os.path.join(self.home, "out")) for x in options]]
        shutil.copytree(os.path.join(self.home, "src"), self.kept, symlinks=True)
        self.source = listing(self.kept)
        self.begin()
        start = time.monotonic()
        r = run_env({**ENV, "LD_PRELOAD": CRASH, "CRASH_COUNT": os.path.join(tmp, "count")}, *self.args)
        self.seconds = time.monotonic() - start
        with open(os.path.join(tmp, "count")) as f:
            self.calls = int(f.read())
        self.want = listing(os.path.join(self.home, "out"))
        self.left = listing(os.path.join(self.home, "src"))
        self.logits = logits(self.dst)
        ok(r.returncode == 0 and isinstance(self.logits, list) and self.calls > 20,
           f"{name}: {self.calls} calls change the file system", r.stderr)

    def begin(self):
        """Nothing prepared, the source whole (with its times, which tell that nobody changed it)."""
        shutil.rmtree(os.path.join(self.home, "out"), ignore_errors=True)
        os.makedirs(os.path.join(self.home, "out"))
        if self.deletes:
            shutil.rmtree(os.path.join(self.home, "src"))
            shutil.copytree(self.kept, os.path.join(self.home, "src"), symlinks=True)

    def bad_source(self):
        """Files of the source that are not as they were; those that may be deleted may be gone."""
        now = listing(os.path.join(self.home, "src"))
        return [k for k in differences(now, self.source)
                if k in now or not self.deletes or k in self.left]

    def bad_end(self):
        """What is not as an undisturbed run leaves it. The manifest's files may be in another order, since the
        source was put back, and so it has other times."""
        got = listing(os.path.join(self.home, "out"))
        bad = differences(got, self.want)
        name = os.path.join("dst", "airlchat-prepare.json")
        if self.deletes and bad == [name]:
            a, b = (json.loads(x[name]) for x in (got, self.want))
            entries = [sorted(json.dumps(f) for f in x["files"]) for x in (a, b)]
            bad = [name] if entries[0] != entries[1] else []
        return bad + differences(listing(os.path.join(self.home, "src")), self.left)

    def fault(self, rng):
        """One run with a fault. Returns whether it had an effect, and what is wrong."""
        how = rng.choice(["time", "call", "call", "error", "full"])
        if how == "time":
            p = subprocess.Popen([AIRLCHAT, "prepare", *self.args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                p.wait(rng.random() * self.seconds)
            except subprocess.TimeoutExpired:
                p.kill()
            p.communicate()
            rc, err = p.returncode, ""
        else:
            kind = {"call": rng.choice([BEFORE, BEHIND, MIDDLE]), "error": errno.EIO, "full": errno.ENOSPC}[how]
            r = run_env(crash("any", rng.randrange(self.calls) + 1, kind, 1 << 20 if how == "full" else 1), *self.args)
            rc, err = r.returncode, r.stderr
        bad = self.bad_source()
        if rc not in (0, 1, 2, -signal.SIGKILL) or (rc > 0 and self.home not in err):
            bad.append((how, rc, err))
        if rng.random() < 0.15: # a folder that isn't complete is no model
            got = logits(self.dst)
            if isinstance(got, list) and got != self.logits:
                bad.append((how, rc, "wrong numbers"))
        return rc != 0, bad


def test_loop(works, rng):
    """Faults at random points, several on the way to one end."""
    faults, bad, start = {w.name: 0 for w in works}, {}, time.monotonic()
    while sum(faults.values()) < FAULTS and len(bad) < len(works):
        w = min((w for w in works if w.name not in bad), key=lambda w: faults[w.name])
        w.begin()
        wrong, again = [], True
        while not wrong and again:
            effect, wrong = w.fault(rng)
            faults[w.name] += effect
            again = rng.random() < 0.6
        if not wrong:
            r = run_env(ENV, *w.args)
            wrong = [r.returncode, r.stderr, w.bad_end()] if r.returncode or w.bad_end() else []
        if wrong:
            bad[w.name] = wrong
    for w in works:
        ok(w.name not in bad, f"{w.name}: after {faults[w.name]} faults the same files", bad.get(w.name))
    n = sum(faults.values())
    ok(n >= FAULTS, f"{n} faults at random points, {time.monotonic() - start:.0f} s", faults)


def cache_of(tmp, model, blobs="blobs"):
    """A model as the Hugging Face cache keeps it."""
    def make(to):
        snap = os.path.join(to, "snapshots", "r1")
        for d in ("snapshots/r1", blobs, "refs"):
            os.makedirs(os.path.join(to, d))
        with open(os.path.join(to, "refs", "main"), "w") as f:
            f.write("r1")
        for i, n in enumerate(sorted(os.listdir(model))):
            shutil.copy2(os.path.join(model, n), os.path.join(to, blobs, str(i)))
            os.symlink(f"../../{blobs}/{i}", os.path.join(snap, n))
    return make


def all_works(tmp):
    small = big_model(os.path.join(tmp, "small"), layers=3, hidden=128, ffn=256, shards=3)
    gguf = os.path.join(tmp, "one-file")
    os.makedirs(gguf)
    gguf_of(small, os.path.join(gguf, "m.gguf"))

    def copy(of):
        return lambda to: shutil.copytree(of, to)

    stripe = ("--stripe", "@/one,@/two")
    return [Work(tmp, "none", copy(small)),
            Work(tmp, "nf4", copy(small), ("--quant", "nf4", "--quant-head", "int8", "--verify")),
            Work(tmp, "q8_0-deleting", copy(small), ("--quant", "q8_0", "--delete-original")),
            Work(tmp, "none-deleting", copy(small), ("--delete-original",)),
            Work(tmp, "cache-deleting", cache_of(tmp, small), ("--quant", "nf4", "--delete-original")),
            Work(tmp, "from-nf4-deleting", copy(os.path.join(MODELS, "quantized-nf4-double")),
                 ("--quant", "int8", "--delete-original")),
            Work(tmp, "experts-deleting", lambda to: stack_experts(os.path.join(MODELS, "qwen3-moe"), to),
                 ("--quant", "int8", "--delete-original")),
            Work(tmp, "striped", copy(small), ("--quant", "int8", *stripe)),
            Work(tmp, "striped-deleting", copy(small), (*stripe, "--delete-original")),
            Work(tmp, "gguf", copy(gguf), ("--quant", "q8_0"), os.path.join("src", "m.gguf")),
            Work(tmp, "gguf-deleting", copy(gguf), ("--delete-original",), os.path.join("src", "m.gguf"))]


# --- a file system that gets full ---

class Mount:
    """A tmpfs of some size at a path, in the mounts of this test alone."""

    def __init__(self, path, mib):
        self.path = path
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}M", "none", path], check=True)

    def settle(self):
        """Wait until no more room is taken than what lies there needs, and tell that: a process that has ended may
        still be about to give back what it had open."""
        used = 65536
        for where, _, names in os.walk(self.path):
            used += 4096 + sum(os.lstat(os.path.join(where, n)).st_blocks * 512 for n in names)
        for _ in range(1000):
            v = os.statvfs(self.path)
            if (v.f_blocks - v.f_bfree) * v.f_frsize <= used:
                break
            time.sleep(0.01)
        return used

    def leave(self, free):
        """Let it have so many bytes free."""
        used = self.settle()
        subprocess.run(["mount", "-o", f"remount,size={used + free}", self.path], check=True)

    def end(self):
        subprocess.run(["umount", "-l", self.path], check=True)


def test_filled(tmp, rng):
    """Another process fills the drive after the check of its free space."""
    small = big_model(os.path.join(tmp, "small-too"), layers=3, hidden=128, ffn=256, shards=3)
    mounts = [Mount(os.path.join(tmp, n), 64) for n in ("full", "full-deleting", "full-striped")]
    works = [Work(tmp, "full", lambda to: shutil.copytree(small, to), ("--quant", "q8_0")),
             Work(tmp, "full-deleting", lambda to: shutil.copytree(small, to), ("--delete-original",)),
             Work(tmp, "full-striped", lambda to: shutil.copytree(small, to), ("--stripe", f"@/one,{tmp}/roomy"))]
    told = offsets = 0
    for i in range(45):
        w, filler = works[i % 3], os.path.join(mounts[i % 3].path, "filler")
        shutil.rmtree(os.path.join(tmp, "roomy"), ignore_errors=True)
        w.begin()
        need = sum(len(x) for x in w.want.values())
        leave = rng.randrange(need) if i % 9 else 0
        fill = f"fallocate -l $(($(stat -f -c '%a * %S' {w.home}) - {leave})) {filler}"
        r = run_env({**crash("any", rng.randrange(w.calls // 2) + 1, SHELL), "CRASH_DO": fill}, *w.args)
        parts = [n for n in os.listdir(w.dst) if n.endswith(".part") or ".tmp-" in n] if os.path.isdir(w.dst) else []
        os.remove(filler)
        mounts[i % 3].settle()
        told += r.returncode == 1 and "No space left" in r.stderr and w.home in r.stderr
        offsets += bool(re.search(r"can't write \S+ at offset \d+: No space", r.stderr))
        good = r.returncode == 0 or (r.returncode == 1 and ("No space" in r.stderr or "needed" in r.stderr))
        bad = w.bad_source() + parts
        again = run_env(ENV, *w.args)
        bad += w.bad_end()
        if not good or bad or again.returncode:
            ok(False, f"{w.name}: {leave} bytes left", (r.returncode, r.stderr, bad, again.stderr))
    ok(told > 20 and offsets > 10, f"a drive full midway, 45 times: {told} times it ended, {offsets} times at an offset; "
       "then the same files", (told, offsets))
    for m in mounts:
        m.end()


def test_room(tmp):
    """What the check says is needed is enough, also for a run that was killed."""
    m = Mount(os.path.join(tmp, "room"), 256)
    w = Work(tmp, "room", lambda to: big_model(to, layers=8, hidden=512, ffn=1024, shards=8), ("--delete-original",))
    source = sum(len(x) for x in w.source.values())
    for kill in (0, 3, 5):
        m.leave(128 << 20)
        w.begin()
        m.leave(1 << 20)
        r = run_env(ENV, *w.args)
        said = re.search(r"has ([0-9.]+) MiB free, but ([0-9.]+) MiB are needed", r.stderr)
        ok(r.returncode == 1 and said and not os.path.exists(w.dst) and 16 < float(said[2]) < 16 + source / 2 / 1048576,
           "a drive that is too full is told before anything is written", r.stderr)
        m.leave(int((float(said[2]) + 0.1) * 1048576))
        if kill: # a layer's file is there, but not entered; the first renames are of small files
            ok(run_env(crash("rename", kill * 2 + 3, BEHIND), *w.args).returncode == -signal.SIGKILL, "killed")
            m.settle()
        r = run_env(ENV, *w.args)
        ok(r.returncode == 0 and not w.bad_end(), f"with so much it comes to its end, {said[2]} MiB for {source >> 20}",
           (r.stderr, w.bad_end()))
    m.end()


def read_only(path):
    subprocess.run(["mount", "--bind", path, path], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)


def test_read_only(tmp):
    w = Work(tmp, "read-only", lambda to: big_model(to, layers=2, hidden=128, ffn=256))
    w.begin()
    read_only(w.src)
    r = run_env(ENV, *w.args)
    ok(r.returncode == 0 and not w.bad_end(), "a source on a read-only file system", r.stderr)
    w.begin()
    r = run_env(ENV, *w.args, "--delete-original")
    refused("... whose files can't be deleted", r, w.src, "Read-only")
    ok(not os.path.exists(w.dst), "... which is told before anything is written")
    subprocess.run(["umount", w.src], check=True)
    run_env(crash("any", w.calls // 2, BEHIND), *w.args)
    out = os.path.join(w.home, "out")
    read_only(out)
    refused("DST on a read-only file system, begun", run_env(ENV, *w.args), w.dst, "Read-only")
    refused("... and not", run_env(ENV, w.src, w.dst + "2"), w.dst + "2", "Read-only")
    subprocess.run(["umount", out], check=True)
    r = run_env(ENV, *w.args)
    ok(r.returncode == 0 and not w.bad_end(), "then the same files", r.stderr)


def test_unprivileged(tmp):
    """A folder that may be read, not changed: as its own user, since root may do anything."""
    w = Work(tmp, "locked", lambda to: big_model(to, layers=2, hidden=128, ffn=256))
    w.begin()
    user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", os.path.abspath(AIRLCHAT)]
    if not shutil.which("setpriv") or subprocess.run([*user, "--version"], capture_output=True, cwd="/").returncode:
        skip("as an ordinary user", "can't become one that may run the program")
        return
    for d in (tmp, w.home):
        os.chmod(d, 0o755)
    os.chmod(os.path.join(w.home, "out"), 0o777)
    r = subprocess.run([*user, "prepare", *w.args, "--delete-original"], capture_output=True, text=True, cwd="/")
    refused("files in a folder that may not be changed can't be deleted", r, w.src, "denied")
    r = subprocess.run([*user, "prepare", *w.args], capture_output=True, text=True, cwd="/")
    ok(r.returncode == 0 and not w.bad_end(), "but be read", r.stderr)


# --- a source that fails or changes ---

def test_source(tmp, rng):
    w = Work(tmp, "source", lambda to: big_model(to, layers=3, hidden=128, ffn=256), ("--quant", "nf4"))
    rules = os.path.join(tmp, "rules")
    bad = []
    for i in range(12):
        w.begin()
        file = rng.choice(weights_of(w.src))
        path = os.path.join(w.src, file)
        at = rng.randrange(8192, os.path.getsize(path))
        with open(rules, "w") as f:
            f.write(f"{errno.EIO} {path} {at} {at + 1} 0 -1\n")
        r = run_env({**ENV, "LD_PRELOAD": READS, "FAULTS": rules}, *w.args)
        if r.returncode != 1 or path not in r.stderr or "offset" not in r.stderr or "tensor" not in r.stderr:
            bad.append((at, r.stderr))
        if run_env(ENV, *w.args).returncode or w.bad_end():
            bad.append((at, w.bad_end()))
    ok(not bad, "bytes of the source that can't be read: file, tensor, offset; then the same files", bad)
    bad, told = [], 0
    for i in range(24):
        w.begin()
        path = os.path.join(w.src, rng.choice(weights_of(w.src)))
        times, size = os.stat(path), os.path.getsize(path)
        change = rng.choice([f"truncate -s {rng.randrange(1, size)} {path}",
                             f"printf xy | dd of={path} bs=1 seek={rng.randrange(4096, size - 2)} conv=notrunc status=none"])
        after = rng.randrange(24, w.calls)
        r = run_env({**crash("any", after, SHELL), "CRASH_DO": change}, *w.args)
        told += r.returncode == 1 and path in r.stderr
        if r.returncode not in (0, 1) or (r.returncode == 0 and differences(
                listing(os.path.join(w.home, "out")), w.want)):
            bad.append((change, after, r.returncode, r.stderr))
        r = run_env(ENV, *w.args)
        if r.returncode == 0:
            bad.append((change, after, "goes on with a source that has changed"))
        shutil.copy2(os.path.join(w.kept, os.path.basename(path)), path)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        r = run_env(ENV, *w.args)
        if r.returncode or w.bad_end():
            bad.append((change, after, r.stderr, w.bad_end()))
    ok(not bad and told > 12, f"a source cut off or written to meanwhile, told {told} times of 24; never a mixture", bad)
    w.begin()
    run_env(ENV, *w.args)
    path = os.path.join(w.src, weights_of(w.src)[1])
    with open(path, "r+b") as f:
        f.seek(-9, 2)
        f.write(b"x")
    refused("--delete-original of what isn't what was prepared", run_env(ENV, *w.args, "--delete-original"), path, "changed")
    ok(len(weights_of(w.src)) == 3, "nothing is deleted")


def test_late_deletion(tmp):
    """A complete folder whose source is deleted by a later run, which is killed."""
    w = Work(tmp, "late", lambda to: big_model(to, layers=3, hidden=128, ffn=256))
    r = run_env(crash("unlink", 2, BEFORE), *w.args, "--delete-original")
    ok(r.returncode == -signal.SIGKILL and len(weights_of(w.src)) == 2, "killed when one of three is gone", r.stderr)
    r = run_env(ENV, *w.args, "--delete-original")
    ok(r.returncode == 0 and not weights_of(w.src), "the next run deletes the others", r.stderr)


def test_write_back(tmp):
    """An error that sync_file_range reports, fsync doesn't any more."""
    src = big_model(os.path.join(tmp, "large"), layers=1, hidden=1024, ffn=5120, shards=1)
    dst = os.path.join(tmp, "large-dst")
    r = run_env(crash("sync_file_range", 1, errno.EIO), src, dst)
    refused("an error while pages are written back", r, dst, "offset", "Input/output")
    r = run_env(ENV, src, dst)
    ok(r.returncode == 0 and logits(dst) == logits(src), "then the same bits", r.stderr)


def test_stripes_of_others(tmp):
    src = big_model(os.path.join(tmp, "mine", "m"), layers=1, hidden=128, ffn=256)
    theirs = big_model(os.path.join(tmp, "drive", "dst"), layers=1, hidden=128, ffn=256, seed=9)
    before = listing(theirs)
    r = prepare(src, os.path.join(tmp, "dst"), "--stripe", os.path.join(tmp, "drive"))
    refused("a stripe that holds another model of the same name", r, theirs, "not empty")
    ok(listing(theirs) == before, "it is as it was")


def own_mounts():
    """Start again where mounts are this process's own. False when that can't be."""
    if os.environ.get("OWN_MOUNTS"):
        return True
    probe = "mount -t tmpfs none /mnt && mount --bind $0 $0 && mount -o remount,bind,ro $0"
    own = ["unshare", "-m"]
    if os.geteuid() == 0 and shutil.which("unshare") and subprocess.run(
            [*own, "sh", "-c", probe, tempfile.gettempdir()], capture_output=True).returncode == 0:
        os.execvpe(own[0], [*own, sys.executable, os.path.abspath(__file__)], {**os.environ, "OWN_MOUNTS": "1"})
    return False


def main():
    mounts = own_mounts()
    try:
        for shim in (CRASH, READS):
            ctypes.CDLL(shim)
    except OSError as e:
        skip("faults of prepare", str(e))
        return done()
    rng = random.Random(int(os.environ.get("SEED", "4")))
    with tempfile.TemporaryDirectory() as tmp:
        tmp = os.path.realpath(tmp)
        test_loop(all_works(tmp), rng)
        test_source(tmp, rng)
        test_late_deletion(tmp)
        test_write_back(tmp)
        test_stripes_of_others(tmp)
        test_unprivileged(tmp)
        if mounts:
            test_filled(tmp, rng)
            test_room(tmp)
            test_read_only(tmp)
        else:
            skip("drives that are full or read-only", "needs root, and mounts of its own")
    done()


main()
