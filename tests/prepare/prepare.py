"""airlchat prepare: the same bits with --quant none, the published formats otherwise; what is refused; what is
found by --verify; deletion, stripes. What is interrupted or fails is in faults.py."""
import array, fcntl, json, os, random, re, shutil, struct, sys, tempfile

sys.path.insert(0, os.path.dirname(__file__))
from common import *  # noqa: E402,F403
from tap import done, ok  # noqa: E402

MODELS = os.path.join(SRC, "tests", "models")


def test_none(tmp):
    for name in sorted(n for n in os.listdir(MODELS) if os.path.exists(os.path.join(MODELS, n, "config.json"))):
        src, dst = os.path.join(MODELS, name), os.path.join(tmp, "none-" + name)
        r = prepare(src, dst, "--verify")
        got = logits(dst) if r.returncode == 0 else r.stderr
        ok(isinstance(got, list) and got == logits(src), f"{name}: --quant none, the same bits", got)
    dst = os.path.join(tmp, "none-llama-s1")
    a, b = st_read_folder(os.path.join(MODELS, "llama-s1")), st_read_folder(dst)
    ok({k: v[2] for k, v in a.items()} == {k: v[2] for k, v in b.items()}, "every tensor is there, byte by byte")
    heads = []
    for n in weights_of(dst):
        with open(os.path.join(dst, n), "rb") as f:
            heads.append((8 + struct.unpack("<Q", f.read(8))[0]) % 4096)
    ok(not any(heads), "data begin at multiples of 4096", heads)
    with open(os.path.join(dst, "model-00002-of-00005.safetensors"), "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    order = sorted((v["data_offsets"][0], k) for k, v in header.items() if k != "__metadata__")
    want = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    ok([k.split(".")[-2] for _, k in order if "proj" in k] == want and len({k.split(".")[2] for _, k in order}) == 1,
       "a layer's file holds its matrices in the order of a pass", order)
    ok(tree(dst)["config.json"] == tree(os.path.join(MODELS, "llama-s1"))["config.json"], "config.json is copied")


def plain_copy(src, dst, decode):
    """src with each quantized matrix as decode(name) gives it, in float32."""
    tensors = st_read_folder(src)
    for n in tensors:
        if n.endswith("_proj.weight"):
            values, shape = decode(n)[:2]
            tensors[n] = ("F32", shape, array.array("f", values).tobytes())
    os.makedirs(dst)
    st_write(os.path.join(dst, "model.safetensors"), tensors)
    shutil.copy(os.path.join(src, "config.json"), dst)


def test_formats(tmp):
    src = os.path.join(MODELS, "llama-s1")
    original = st_read_folder(src)
    for kind, bound in (("int8", 0.01), ("nf4", 0.11), ("q8_0", 0.01), ("q4_0", 0.11)):
        dst, plain = os.path.join(tmp, "q-" + kind), os.path.join(tmp, "plain-" + kind)
        r = prepare(src, dst, "--quant", kind, "--verify")
        t = st_read_folder(dst) if r.returncode == 0 else {}
        decode = {"int8": lambda n: decode_int8(t, n), "nf4": lambda n: decode_nf4(t, n)}.get(
            kind, lambda n: decode_q(t, n, kind))
        name = "model.layers.1.mlp.down_proj.weight"
        values, shape = decode(name)[:2]
        w = from_bf16(original[name][2]) if original[name][0] == "BF16" else list(floats(original[name][2]))
        error = (sum((a - b) ** 2 for a, b in zip(values, w)) / sum(x * x for x in w)) ** 0.5
        ok(shape == original[name][1] and error < bound, f"{kind}: decoded by its formula, error {error:.4f}", r.stderr)
        lines = [x for x in r.stdout.split("\n") if x.startswith("layer 1 ")]
        said = float(lines[0].split("error")[1].split("%")[0]) / 100 if lines else -1
        ok(abs(said - error) < 0.2 * error, f"{kind}: the report says {said:.4f} of the layer", r.stdout)
        plain_copy(src, plain, decode)
        a, b = logits(dst), logits(plain)
        worst = max(abs(x - y) for p, q in zip(a, b) for x, y in zip(p, q)) if isinstance(a, list) else a
        ok(isinstance(a, list) and worst < 1e-4, f"{kind}: logits as with the decoded weights", worst)
        for n in ("model.embed_tokens.weight", "lm_head.weight", "model.layers.0.input_layernorm.weight"):
            ok(t[n][2] == original[n][2], f"{kind}: {n} is as it was")
    values, _, code = decode_nf4(st_read_folder(os.path.join(tmp, "q-nf4")), "model.layers.0.mlp.up_proj.weight")
    ok(max(abs(a - b) for a, b in zip(code, NF4)) < 1e-7, "nf4: the levels of the QLoRA paper")
    with open(os.path.join(tmp, "q-nf4", "config.json"), encoding="utf-8") as f:
        q = json.load(f)["quantization_config"]
    ok(q["quant_method"] == "bitsandbytes" and q["load_in_4bit"] is True and q["llm_int8_skip_modules"] == ["lm_head"],
       "nf4: config.json tells transformers")
    tied = os.path.join(tmp, "q-tied")
    prepare(os.path.join(MODELS, "llama-mha-tied"), tied, "--quant", "nf4")
    with open(os.path.join(tied, "config.json"), encoding="utf-8") as f:
        skipped = json.load(f)["quantization_config"]["llm_int8_skip_modules"]
    ok({"lm_head", "model.embed_tokens"} <= set(skipped), "a tied head is told too: it is a module without a tensor",
       skipped)
    head = os.path.join(tmp, "q-head")
    prepare(src, head, "--quant", "q4_0", "--quant-head", "q8_0")
    ok(isinstance(logits(head), list) and st_read_folder(head)["lm_head.weight"][0] == "U8", "--quant-head")
    again = os.path.join(tmp, "q-again")
    r = prepare(os.path.join(tmp, "q-head"), again)
    ok(r.returncode == 0 and logits(again) == logits(head), "a prepared folder prepared again: the same bits", r.stderr)
    from8 = os.path.join(tmp, "q-from8")
    r = prepare(os.path.join(MODELS, "quantized-fp8-block"), from8, "--quant", "nf4")
    ok(r.returncode == 0 and isinstance(logits(from8), list) and
       not any("scale_inv" in n for n in st_read_folder(from8)), "FP8 becomes nf4, its scales go", r.stderr)


def apart(a, b):
    """The root of the mean squared difference, in standard deviations of b."""
    if not isinstance(a, list) or not isinstance(b, list):
        return float("inf")
    x, y = [v for r in a for v in r], [v for r in b for v in r]
    mean = sum(y) / len(y)
    return (sum((p - q) ** 2 for p, q in zip(x, y)) / sum((q - mean) ** 2 for q in y)) ** 0.5


def test_families(tmp):
    """Experts one by one and stacked, heads in one matrix, matrices stored [in, out], tied heads."""
    for name, options in (("mixtral", ()), ("qwen2-moe", ()), ("deepseek-v2", ()), ("deepseek-v3", ()), ("gpt-oss", ()),
                          ("gpt2", ()), ("chatglm3", ()), ("quantized-mxfp4", ()), ("gemma3", ()),
                          ("llama-mha-tied", ("--quant-head", "*"))):
        src = os.path.join(MODELS, name)
        want = logits(src)
        for kind, bound in (("int8", 0.15), ("q8_0", 0.15), ("nf4", 1.2)):
            dst = os.path.join(tmp, f"f-{name}-{kind}")
            r = prepare(src, dst, "--quant", kind, *[kind if x == "*" else x for x in options])
            got = logits(dst)
            d = apart(got, want)
            ok(d < bound and (d > 1e-5), f"{name} {kind}: {d:.3f} s from the original", r.stderr + str(got)[:200])
    t = st_read_folder(os.path.join(tmp, "f-llama-mha-tied-nf4"))
    ok("model.embed_tokens.weight.absmax" in t, "a tied head is quantized as the embedding that it is")


def pieces_an_expert(folder):
    """In how many places of a file the tensors of one expert lie, at most."""
    most = 0
    for name in weights_of(folder):
        with open(os.path.join(folder, name), "rb") as f:
            header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        spans = {}
        for n, t in header.items():
            m = re.match(r"(.*experts\.\d+)\.", n)
            if m:
                spans.setdefault(m[1], []).append(t["data_offsets"])
            elif n.endswith(("experts.gate_up_proj", "experts.down_proj")): # each has a piece of every expert
                for i in range(t["shape"][0]):
                    each = (t["data_offsets"][1] - t["data_offsets"][0]) // t["shape"][0]
                    start = t["data_offsets"][0] + i * each
                    spans.setdefault(f"{n.rsplit('.', 1)[0]}.{i}", []).append([start, start + each])
        for s in spans.values():
            s.sort()
            most = max(most, 1 + sum(a[1] != b[0] for a, b in zip(s, s[1:])))
    return most


def test_stacked(tmp):
    """Stacked experts become those that the family publishes, one by one and each in one place."""
    for name in ("qwen3-moe", "qwen2-moe", "mixtral", "minimax-m2", "deepseek-v3", "olmoe", "glm4-moe", "ernie4-5-moe"):
        src, stacked = os.path.join(MODELS, name), os.path.join(tmp, "stacked-" + name)
        stack_experts(src, stacked)
        want = logits(src)
        ok(logits(stacked) == want and pieces_an_expert(stacked) == 2, f"{name} with stacked experts", logits(stacked))
        for kind in ("none", "int8", "q8_0", "nf4"):
            dst, one = (os.path.join(tmp, f"{x}-{name}-{kind}") for x in ("unstacked", "published"))
            r = prepare(stacked, dst, "--quant", kind, "--verify")
            prepare(src, one, "--quant", kind)
            a, b = st_read_folder(dst), st_read_folder(one)
            ok(r.returncode == 0 and a.keys() == b.keys() and all(a[n][2] == b[n][2] for n in a) and
               (pieces_an_expert(dst) == 1 or kind == "nf4"), f"{name} {kind}: the tensors that are published, an expert in one place",
               (r.stderr, sorted(a.keys() ^ b.keys())[:8], pieces_an_expert(dst)))
            if kind == "none":
                ok(logits(dst) == want, f"{name}: the same bits", str(logits(dst))[:200])
    for name in ("gpt-oss", "multimodal-qwen3-moe"):
        a, b = (st_read_folder(x) for x in (os.path.join(MODELS, name), os.path.join(tmp, "none-" + name)))
        ok(a.keys() == b.keys(), f"{name}, which is published stacked, stays so")


def test_gguf(tmp):
    src = gguf_of(os.path.join(MODELS, "llama-s1"), os.path.join(tmp, "m.gguf"))
    dst = os.path.join(tmp, "gguf-none")
    r = prepare(src, dst, "--verify")
    ok(r.returncode == 0 and logits(dst) == logits(src), "GGUF: parts, one a layer, the same bits", r.stderr)
    dst = os.path.join(tmp, "gguf-q8")
    r = prepare(src, dst, "--quant", "q8_0", "--quant-head", "q8_0")
    got = logits(dst)
    ok(isinstance(got, list) and got != logits(src), "GGUF: q8_0", r.stderr + str(got)[:100])
    refused("GGUF has no nf4", prepare(src, os.path.join(tmp, "gguf-nf4"), "--quant", "nf4"), "nf4", "q4_0")
    ok(not os.path.exists(os.path.join(tmp, "gguf-nf4")), "a refusal leaves no folder")


def test_refusals(tmp, big):
    inside, link = os.path.join(big, "out"), os.path.join(tmp, "link-into")
    os.symlink(big, link)
    for name, dst in (("DST in SRC", inside), ("DST is SRC", big), ("DST in SRC through a link", link + "/out"),
                      ("SRC in DST", os.path.dirname(big))):
        refused(name, prepare(big, dst), "apart")
    os.remove(link)
    full = os.path.join(tmp, "full")
    os.makedirs(full)
    with open(os.path.join(full, "mine.txt"), "w") as f:
        f.write("keep")
    refused("a folder with other things in it", prepare(big, full), "not empty", "mine.txt")
    refused("a type that is none", prepare(big, full + "2", "--quant", "q3"), "--quant")
    refused("no DST", prepare(big), "where to")
    refused("--verify of what is no prepared folder", prepare(big, "--verify"), "not a prepared folder")
    with open(os.path.join(full, "mine.txt")) as f:
        ok(f.read() == "keep" and not os.path.exists(inside), "nothing was touched")
    one = os.path.join(tmp, "dst-one")
    prepare(big, one)
    refused("the same folder with other settings", prepare(big, one, "--quant", "nf4"), "quant=none", "quant=nf4")
    other = big_model(os.path.join(tmp, "other"), layers=2)
    refused("the same folder from another model", prepare(other, one), "another model")
    r = prepare(big, one)
    ok(r.returncode == 0 and "complete" in r.stdout, "a second run finds nothing to do", r.stdout)
    lock = os.open(one, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    refused("while another writes", prepare(big, one), "another airlchat prepare")
    os.close(lock)
    bad = os.path.join(tmp, "nan")
    shutil.copytree(big, bad)
    path = os.path.join(bad, weights_of(bad)[1])
    tensors, _ = st_read(path)
    name = next(n for n in tensors if n.endswith("up_proj.weight"))
    t, shape, data = tensors[name]
    tensors[name] = (t, shape, data[:2000] + b"\xc0\x7f" + data[2002:])
    st_write(path, tensors)
    refused("NaN in a matrix", prepare(bad, os.path.join(tmp, "nan-dst"), "--quant", "nf4"), path, name, "offset")
    refused("... the half-done folder is no model", run("logits", os.path.join(tmp, "nan-dst")), "prepare")
    with open(path, "r+b") as f:
        f.truncate(os.path.getsize(path) - 4096)
    refused("a truncated source", prepare(bad, os.path.join(tmp, "cut-dst")), path, "tensor", "offset")


def test_verify(tmp, big):
    dst = os.path.join(tmp, "flip")
    prepare(big, dst, "--quant", "int8")
    r = prepare(dst, "--verify")
    ok(r.returncode == 0 and "all as written" in r.stdout, "--verify of a good folder", r.stderr)
    rng = random.Random(5)
    for name in (weights_of(dst)[2], "config.json"):
        path = os.path.join(dst, name)
        with open(path, "r+b") as f:
            at = rng.randrange(os.path.getsize(path))
            f.seek(at)
            b = f.read(1)
            f.seek(at)
            f.write(bytes([b[0] ^ 1]))
            f.flush()
            os.fsync(f.fileno())
            refused(f"one bit of {name}", prepare(dst, "--verify"), name, "checksum")
            f.seek(at)
            f.write(b)
    path = os.path.join(dst, "airlchat-prepare.json")
    with open(path, "rb") as f:
        manifest = f.read()
    # a list of files under another name is no list, and a file that isn't named is not checked
    spots = [manifest.index(b'"files"') + 1, manifest.index(b'"source_times"') + 1, len(manifest) - 1]
    for at in spots + [rng.randrange(len(manifest)) for _ in range(20)]:
        with open(path, "wb") as f:
            f.write(manifest[:at] + bytes([manifest[at] ^ 1]) + manifest[at + 1:])
        refused(f"one bit of the manifest at {at}", prepare(dst, "--verify"), "airlchat-prepare.json", "checksum")
    with open(path, "wb") as f:
        f.write(manifest)
    ok(prepare(dst, "--verify").returncode == 0, "and back")


def test_delete(tmp, big):
    want = logits(big)
    src, dst = os.path.join(tmp, "del"), os.path.join(tmp, "del-dst")
    shutil.copytree(big, src)
    r = prepare(src, dst, "--delete-original")
    ok(r.returncode == 0 and not weights_of(src) and logits(dst) == want and
       os.path.exists(os.path.join(src, "config.json")), "--delete-original: the weights are gone, the rest stays", r.stderr)
    ok(not os.path.exists(os.path.join(dst, "prepare.headers")), "no headers are left behind")
    r = prepare(src, dst, "--delete-original")
    ok(r.returncode == 0 and "complete" in r.stdout, "again, with nothing left of the source: complete", r.stderr)
    src, dst = os.path.join(tmp, "out"), os.path.join(tmp, "out-dst")
    shutil.copytree(big, src)
    name = weights_of(src)[0]
    shutil.move(os.path.join(src, name), os.path.join(tmp, "elsewhere.safetensors"))
    os.symlink(os.path.join(tmp, "elsewhere.safetensors"), os.path.join(src, name))
    refused("a link that leaves SRC", prepare(src, dst, "--delete-original"), name, "link")
    ok(len(weights_of(src)) == 3 and os.path.exists(os.path.join(tmp, "elsewhere.safetensors")), "nothing is deleted")
    cache = os.path.join(tmp, "models--a--b")
    snap = os.path.join(cache, "snapshots", "r1")
    for d in ("snapshots/r1", "blobs", "refs"):
        os.makedirs(os.path.join(cache, d))
    with open(os.path.join(cache, "refs", "main"), "w") as f:
        f.write("r1")
    for i, n in enumerate(sorted(os.listdir(big))):
        shutil.copy(os.path.join(big, n), os.path.join(cache, "blobs", str(i)))
        os.symlink(f"../../blobs/{i}", os.path.join(snap, n))
    blobs = len(os.listdir(os.path.join(cache, "blobs")))
    refused("a snapshot alone: its links leave it", prepare(snap, dst + "2", "--delete-original"), "cache")
    r = prepare(cache, dst + "3", "--delete-original")
    ok(r.returncode == 0 and not weights_of(snap) and len(os.listdir(os.path.join(cache, "blobs"))) == blobs - 3 and
       logits(dst + "3") == want, "the cache's folder: links and blobs are deleted", r.stderr)


def test_stripes(tmp, big):
    dst, dirs = os.path.join(tmp, "striped"), [os.path.join(tmp, "drive" + x) for x in "12"]
    r = prepare(big, dst, "--stripe", ",".join(dirs), "--verify")
    sizes = [sum(os.path.getsize(os.path.join(d, "striped", n)) for n in os.listdir(os.path.join(d, "striped")))
             for d in dirs] if r.returncode == 0 else [0, 9]
    ok(r.returncode == 0 and logits(dst) == logits(big), "--stripe: the same bits", r.stderr)
    ok(0.5 < sizes[0] / max(sizes[1], 1) < 2, "both folders take about the same", sizes)
    ok(prepare(dst, "--verify").returncode == 0, "--verify follows the links")
    layers = [{n.split(".")[2] for n in st_read(os.path.join(d, "striped", f))[0] if n.startswith("model.layers.")}
              for d in dirs for f in weights_of(os.path.join(d, "striped"))]
    ok(all(len(x) <= 1 for x in layers) and sorted(y for x in layers for y in x) == sorted(list("012345") * 2),
       "each layer has a part in each folder", layers)
    moe = os.path.join(tmp, "moe-striped")
    r = prepare(os.path.join(tmp, "stacked-qwen3-moe"), moe, "--stripe", ",".join(dirs), "--quant", "int8")
    where = {n.rsplit(".", 2)[0]: set() for n in st_read_folder(moe) if ".experts." in n}
    for d in dirs:
        for f in weights_of(os.path.join(d, "moe-striped")):
            for n in st_read(os.path.join(d, "moe-striped", f))[0]:
                if ".experts." in n:
                    where[n.rsplit(".", 2)[0]].add(d)
    ok(where and all(len(x) == 1 for x in where.values()) and len({min(x) for x in where.values()}) == 2,
       "an expert lies in one folder, the next in the other", r.stderr)
    ok("layer 1 " in r.stdout and r.stdout.count("layer 1 ") == 1, "the error of a layer is told once", r.stdout)
    refused("a prepared folder with other stripes", prepare(big, dst), "stripes=2", "choose another folder")
    refused("a stripe in SRC", prepare(big, dst + "2", "--stripe", os.path.join(big, "s")), "apart")


def main():
    with tempfile.TemporaryDirectory() as tmp:
        big = big_model(os.path.join(tmp, "src", "big"))
        test_none(tmp)
        test_formats(tmp)
        test_families(tmp)
        test_stacked(tmp)
        test_gguf(tmp)
        test_refusals(tmp, big)
        test_verify(tmp, big)
        test_delete(tmp, big)
        test_stripes(tmp, big)
    done()


main()
