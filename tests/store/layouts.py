"""The same weights in every layout on disk give the same bits; what is no model is refused with a sentence."""
import json, os, shutil, sys, tempfile

sys.path[:0] = [os.path.join(os.path.dirname(__file__), "..", d) for d in ("cli", "support")]
from tap import SRC, done, json_lines, ok, run  # noqa: E402
from modelfiles import gguf_name, gguf_write, st_read_folder, st_write  # noqa: E402

MODEL = os.path.join(SRC, "tests", "models", "llama-s1")
TOKENS = [1, 5, 9, 60, 3]


def logits(model):
    out, r = json_lines(["logits", model, "--ctx", 64], [{"tokens": TOKENS}])
    return out[0].get("logits") if r.returncode == 0 and out else r.stdout + r.stderr


def refused(model, *words):
    r = run("logits", model, stdin='{"tokens": [1]}\n')
    missing = [w for w in words if w not in r.stderr]
    return r.returncode == 1 and not missing, r.stderr


def copy_config(to):
    for name in ("config.json", "generation_config.json"):
        shutil.copy(os.path.join(MODEL, name), to)


def layers(tensors):
    """{"model.layers.0": tensors, "model.embed_tokens": ...}, as AirLLM splits."""
    out = {}
    for name, t in tensors.items():
        part = name.split(".")
        key = ".".join(part[:3]) if part[1] == "layers" else ".".join(part[:-1])
        out.setdefault(key, {})[name] = t
    return out


def airllm(tensors, to):
    os.makedirs(to)
    for key, part in layers(tensors).items():
        st_write(os.path.join(to, key + ".safetensors"), part)
        open(os.path.join(to, key + ".safetensors.done"), "w").close()


def test_airllm(tensors, want, tmp):
    top = os.path.join(tmp, "air")
    split = os.path.join(top, "splitted_model")
    airllm(tensors, split)
    copy_config(top)
    got = logits(split)
    ok(got == want, "AirLLM's folder of layers, config.json in the folder above", got)
    got = logits(top)
    ok(got == want, "the folder above it, whose own weights are gone", got)
    with open(os.path.join(top, "model.safetensors.index.json"), "w") as f:
        json.dump({"weight_map": {n: "model-00001-of-00002.safetensors" for n in tensors}}, f)
    got = logits(top)
    ok(got == want, "an index whose shards AirLLM deleted", got)
    os.remove(os.path.join(split, "model.layers.1.safetensors.done"))
    ok(refused(split, "model.layers.1.safetensors", ".done")[0], "a layer without its .done marker is refused")
    copy_config(split)
    open(os.path.join(split, "model.layers.1.safetensors.done"), "w").close()
    shutil.rmtree(top + "2", ignore_errors=True)
    shutil.move(split, top + "2")
    ok(logits(top + "2") == want, "the folder of layers with a config.json of its own")


def test_cache(want, tmp):
    top = os.path.join(tmp, "models--org--name")
    snap = os.path.join(top, "snapshots", "0123abcd")
    os.makedirs(snap)
    os.makedirs(os.path.join(top, "blobs"))
    os.makedirs(os.path.join(top, "refs"))
    with open(os.path.join(top, "refs", "main"), "w") as f:
        f.write("0123abcd")
    for i, name in enumerate(os.listdir(MODEL)):
        shutil.copy(os.path.join(MODEL, name), os.path.join(top, "blobs", str(i)))
        os.symlink(f"../../blobs/{i}", os.path.join(snap, name))
    ok(logits(snap) == want, "a snapshot of the Hugging Face cache: links to blobs")
    ok(logits(top) == want, "the cache folder of a model: refs/main names the snapshot")
    with open(os.path.join(top, "refs", "main"), "w") as f:
        f.write("../../elsewhere")
    ok(refused(top, top)[0], "a refs/main that leaves the folder is not followed")


def test_parts(tensors, tmp):
    with open(os.path.join(MODEL, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    keys = {"general.architecture": "llama", "llama.embedding_length": config["hidden_size"],
            "llama.feed_forward_length": config["intermediate_size"],
            "llama.block_count": config["num_hidden_layers"],
            "llama.attention.head_count": config["num_attention_heads"],
            "llama.attention.head_count_kv": config["num_key_value_heads"],
            "llama.attention.layer_norm_rms_epsilon": config["rms_norm_eps"]}
    named = {gguf_name(k): v for k, v in tensors.items()}
    whole = os.path.join(tmp, "whole.gguf")
    gguf_write(whole, named, keys)
    want = logits(whole)
    ok(isinstance(want, list), "a GGUF file in one part", want)
    folder = os.path.join(tmp, "parts")
    os.makedirs(folder)
    names = list(named)

    def write(part, count=3, no=None, total=len(names)):
        extra = {"split.no": part if no is None else no, "split.count": count, "split.tensors.count": total}
        some = {n: named[n] for n in names[part::3]}
        path = os.path.join(folder, f"m-{part + 1:05}-of-00003.gguf")
        gguf_write(path, some, {**(keys if part == 0 else {}), **extra})
        return path

    paths = [write(i) for i in range(3)]
    for path in paths + [folder]:
        ok(logits(path) == want, f"the same model in three parts, by {os.path.basename(path)}")
    write(1, no=2)
    ok(refused(folder, "m-00002-of-00003.gguf", "split.no")[0], "a part that says it is another")
    write(1, total=5)
    write(0, total=5)
    ok(refused(folder, "split.tensors.count")[0], "parts with too many tensors")
    write(0)
    os.remove(paths[1])
    ok(refused(folder, "m-00002-of-00003.gguf")[0], "a missing part is named")
    shutil.move(paths[0], os.path.join(folder, "renamed.gguf"))
    ok(refused(os.path.join(folder, "renamed.gguf"), "00001-of-00003")[0], "a part under another name")


def test_refusals(tmp):
    def folder(*files):
        d = tempfile.mkdtemp(dir=tmp)
        for f in files:
            open(os.path.join(d, f), "w").close()
        return d

    torch = folder("config.json", "pytorch_model.bin")
    for path, word in ((torch, "save_pretrained"), (os.path.join(torch, "pytorch_model.bin"), "save_pretrained"),
                       (folder("params.json", "consolidated.safetensors"), "Hugging Face form"),
                       (folder("params.json", "consolidated.00.pth"), "Hugging Face form"),
                       (folder("adapter_model.safetensors", "adapter_config.json"), "adapter"),
                       (folder("config.json", "prepare.unfinished", "model.safetensors"), "prepare"),
                       (folder(), "no model")):
        good, why = refused(path, path, word)
        ok(good, f"refused: {word}", why)
    bad = folder("config.json")
    st_write(os.path.join(bad, "model.safetensors"), {"w": ("U8", [1, 35], b"\0" * 35)}, {"type:w": "q8_0"})
    good, why = refused(bad, "tensor w", "q8_0")
    ok(good, "rows that are no whole blocks of the type that the metadata names", why)


def main():
    tensors = st_read_folder(MODEL)
    want = logits(MODEL)
    with tempfile.TemporaryDirectory() as tmp:
        test_airllm(tensors, want, tmp)
        test_cache(want, tmp)
        got = logits(os.path.join(MODEL, "model.safetensors"))
        ok(got == want, "one .safetensors file, config.json beside it", got)
        test_parts(tensors, tmp)
        test_refusals(tmp)
    done()


main()
