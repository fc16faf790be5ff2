"""plan's prediction and bench: nothing unknown is a number, times sum up, the picture is XML."""
import json, os, shutil, sys, tempfile, xml.dom.minidom

sys.path.insert(0, os.path.dirname(__file__))
from tap import MODEL, SANITIZED, SRC, done, ok, run, skip  # noqa: E402

SMALL = os.path.join(SRC, "tests", "models", "llama-s1")


def plan(model, *options):
    r = run("plan", model, "--json", *options)
    return json.loads(r.stdout) if r.returncode == 0 else {"error": r.stderr}


def causes(p):
    return p["disk_wait_s"] + p["copy_wait_s"] + p["compute_s"] + p["other_s"]


def bench(model, *options):
    r = run("bench", model, "--json", *options)
    if r.returncode:
        return {"error": r.stderr}
    return json.loads(r.stdout)


def check_bench(name, b):
    ok("error" not in b, f"{name}: bench runs", b)
    if "error" in b:
        return
    for part in ("prefill", "decode"):
        p = b[part]
        ok(abs(causes(p) - p["s"]) < 1e-4 * p["s"] + 1e-8, f"{name}: the causes of {part} sum to its time", p)
    ok(abs(b["decode"]["s_per_token"] - b["s_per_token"]) < 1e-4 * b["s_per_token"], f"{name}: one pace", b)
    ok(b["peak_ram_bytes"] < b["ram_bytes"] + (16 << 20), f"{name}: within the budget", b)


def small(tmp):
    p = plan(SMALL, "--ctx", 64)
    ok(p.get("disk_gb_per_s", 0) is None, "a model too small to time a disk with: its speed is null", p)
    ok((p.get("predicted_s_per_token") or 0) > 0, "all in memory: predicted from computing alone", p)
    svg = os.path.join(tmp, "a.svg")
    b = bench(SMALL, "--plot", svg, "--tokens", 5, "--prompt-tokens", 20)
    check_bench("small", b)
    ok(b.get("ratio", 0) is None and b.get("disk_floor_s_per_token", 0) is None,
       "nothing is read: ratio and floor are null", b)
    ok(b["decode"]["tokens"] == 5 and b["prefill"]["tokens"] == 20, "as many tokens as asked for", b)
    doc = xml.dom.minidom.parse(svg)
    bars = doc.getElementsByTagName("g")
    ok(len(bars) == 4, "the picture has a bar for each layer and the head", len(bars))
    ok(run("bench", SMALL, "--ctx", 10).returncode == 2, "a context too small for the tokens is refused")
    ok(run("bench", SMALL, "--plot", os.path.join(tmp, "no", "a.svg")).returncode == 1, "a plot that can't be written is an error")
    evil = os.path.join(tmp, 'a<b>&"c')
    shutil.copytree(SMALL, evil)
    run("bench", evil, "--plot", svg, "--tokens", 2, "--prompt-tokens", 2)
    title = xml.dom.minidom.parse(svg).getElementsByTagName("text")[0].firstChild.data
    ok('a<b>&"c' in title, "a model's name is escaped in the picture", title)


def sparse(tmp):
    """Headers alone: planned, and what can't be measured is null."""
    path = os.path.join(tmp, "sparse.gguf")
    with open(MODEL, "rb") as f, open(path, "wb") as out:
        out.write(f.read(6 << 20))
        out.truncate(os.path.getsize(MODEL))
    p = plan(path, "--ram", "60M", "--ctx", 64)
    ok(p.get("streamed_bytes", 0) > 0 and p["disk_gb_per_s"] is None, "a sparse file's holes time no disk", p)
    ok(p.get("predicted_s_per_token", 0) is None and p["floor_s_per_token"] is None and
       p["compute_s_per_token"] is None and not p["options"],
       "nothing is predicted from it, and no kernel is timed in vain", p)


def real(tmp):
    p = plan(MODEL, "--ram", "60M", "--ctx", 256)
    kept = [f for _, _, files in os.walk(os.path.join(tmp, "airlchat")) for f in files]
    ok(len(kept) == 1 and p["disk_gb_per_s"] > 0, "the disk's speed is measured and kept", (kept, p))
    ok(p["predicted_s_per_token"] >= p["floor_s_per_token"] * 0.999 and
       abs(p["floor_s_per_token"] - max(p["disk_s_per_token"], p["compute_s_per_token"])) < 1e-9,
       "the prediction is not below the floor, which is the longer of two", p)
    steps = [p["predicted_s_per_token"]] + [o["predicted_s_per_token"] for o in p["options"] if "--ram" in o["change"]]
    ok(len(steps) > 1 and all(a >= b * 0.999 for a, b in zip(steps, steps[1:])), "more memory never costs time", p)
    trace = os.path.join(tmp, "t.json")
    b = bench(MODEL, "--ram", "60M", "--tokens", 6, "--prompt-tokens", 16, "--trace", trace)
    check_bench("real", b)
    ok(b["decode"]["bytes_from_disk"] == 6 * b["streamed_bytes"], "each token reads what is planned", b)
    ok(b["ratio"] is not None and 0.2 < b["ratio"] < (50 if SANITIZED else 5), "a ratio to the disk alone", b)
    with open(trace, encoding="utf-8") as f:
        ok(len(json.load(f)) > 1000, "the trace is JSON")


def main():
    with tempfile.TemporaryDirectory() as tmp:
        os.environ["XDG_CACHE_HOME"] = tmp
        small(tmp)
        if os.path.exists(MODEL):
            sparse(tmp)
            real(tmp)
        else:
            skip("prediction and bench of the real model", "AIRLCHAT_MODEL names no file")
    done()


main()
