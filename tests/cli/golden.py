"""Small random models of many families against transformers' logits: every kernel class, every way to cut
the work. tests/models/make_models.py and make_remote.py wrote them (the llama-* ones: the same idea, older)."""
import json, os, shutil, sys, tempfile

sys.path.insert(0, os.path.dirname(__file__))
from tap import SRC, done, json_lines, ok, run  # noqa: E402

T = 1e-3       # of the standard deviation, for kernels that keep float activations and f32 KV
T_F16 = 2e-2   # with f16 KV

ALL_CUTS = (["--prefill-rows", 1], ["--prefill-rows", 5], ["--threads", 1], ["--reader", "pread"],
            ["--chunk-size", 1], ["--chunk-size", 3000])
CUTS = (["--prefill-rows", 1, "--threads", 1], ["--prefill-rows", 5, "--chunk-size", 1])


def logits(model, tokens, *options):
    out, r = json_lines(["logits", model, "--ctx", 128, *options], [{"tokens": tokens}])
    return out[0].get("logits") if r.returncode == 0 and out else r.stdout + r.stderr


def deviation(rows):
    flat = [x for row in rows for x in row]
    mean = sum(flat) / len(flat)
    return (sum((x - mean) ** 2 for x in flat) / len(flat)) ** 0.5


def worst(a, b):
    if not isinstance(a, list) or len(a) != len(b):
        return float("inf")
    return max(abs(x - y) for r, q in zip(a, b) for x, y in zip(r, q))


def greedy_agrees(gold, rows, s):
    """Teacher forcing: each greedy id is the best, or tied with it within 2 t s."""
    first = len(gold["tokens"]) - 1
    for i, want in enumerate(gold["greedy"]):
        row = rows[first + i]
        if max(row) - row[want] > 2 * T * s:
            return False
    return True


def models():
    """(name, path, golden file): Hugging Face folders, and GGUF files that llama.cpp's converter wrote."""
    root = os.path.join(SRC, "tests", "models")
    for name in sorted(os.listdir(root)):
        if os.path.exists(os.path.join(root, name, "golden.json")):
            yield name, os.path.join(root, name), os.path.join(root, name, "golden.json")
    for name in sorted(os.listdir(os.path.join(root, "gguf"))):
        if name.endswith(".gguf"):
            path = os.path.join(root, "gguf", name)
            own, folder = path[:-5] + ".json", os.path.join(root, name[:-5], "golden.json")
            yield name, path, own if os.path.exists(own) else folder


def beyond_the_trained_context():
    """An answer of -n tokens is as long as that, where positions are rotated."""
    chars = [chr(33 + i) for i in range(72)]
    with tempfile.TemporaryDirectory() as tmp:
        folder = os.path.join(tmp, "model")
        shutil.copytree(os.path.join(SRC, "tests", "models", "llama"), folder)
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
            config = dict(json.load(f), max_position_embeddings=8, eos_token_id=71)
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
            json.dump(config, f)
        with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
            json.dump({"version": "1.0", "added_tokens": [], "normalizer": None, "post_processor": None,
                       "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
                       "decoder": {"type": "ByteLevel"},
                       "model": {"type": "BPE", "vocab": {c: i for i, c in enumerate(chars)}, "merges": []}}, f)
        r = run(folder, "-p", "#$%&'", "--raw", "--temp", 0, "--json", "-n", 12)
        answer = json.loads(r.stdout) if r.returncode == 0 else {}
        ok(len(answer.get("ids", [])) == 12 and answer.get("finish") == "length",
           "12 tokens of an answer behind a trained context of 8", r.stderr or r.stdout)


def main():
    for name, model, golden in models():
        with open(golden, encoding="utf-8") as f:
            gold = json.load(f)
        s = deviation(gold["logits"])
        for kind in ("ref", "auto"):
            got = logits(model, gold["tokens"], "--kv-type", "f32", "--ops", kind)
            w = worst(got, gold["logits"])
            ok(w <= T * s, f"{name} {kind}: logits within {w / s:.1e} s", got if w == float("inf") else w)
        w = worst(logits(model, gold["tokens"]), gold["logits"])
        ok(w <= T_F16 * s, f"{name} f16 KV: logits within {w / s:.1e} s")
        if gold["greedy"]:
            full = logits(model, gold["tokens"] + gold["greedy"], "--kv-type", "f32")
            ok(isinstance(full, list) and greedy_agrees(gold, full, s), f"{name}: greedy ids")
        if "stepped" in gold:
            first, lines = gold["stepped"]["prompt"], []
            for k in range(first, len(gold["tokens"]) + 1):
                lines.append({"tokens": gold["tokens"][:k]})
            out, r = json_lines(["logits", model, "--ctx", 128, "--last", "--kv-type", "f32"], lines)
            rows = [x for line in out for x in line.get("logits", [])]
            w = worst(rows, gold["stepped"]["logits"])
            ok(w <= T * s, f"{name}: a prompt, then one token at a time: logits within {w / s:.1e} s", r.stderr)
        base = logits(model, gold["tokens"])
        cuts = ALL_CUTS if name.startswith("llama") else CUTS
        for options in cuts:
            ok(logits(model, gold["tokens"], *options) == base, f"{name}: the same bits with {options}")
    beyond_the_trained_context()
    r = run("logits", model, stdin='{"tokens": [1, 99999]}\n{"tokens": [1]}\nnonsense\n')
    lines = [json.loads(x) for x in r.stdout.split("\n") if x]
    ok(r.returncode == 1 and ["error" in x for x in lines] == [True, False, True],
       "a bad line answers with an error, the others are answered", r.stdout[:300])
    done()


main()
