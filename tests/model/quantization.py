"""Quantized checkpoints that make no sense, or that are not supported, are refused by name."""
import json, os, shutil, struct, sys, tempfile

sys.path[:0] = [os.path.join(os.path.dirname(__file__), "..", d) for d in ("cli", "support")]
from tap import SRC, done, json_lines, ok, run  # noqa: E402
from modelfiles import st_read, st_write  # noqa: E402

MODELS = os.path.join(SRC, "tests", "models")
Q = "model.layers.0.self_attn.q_proj"


def variant(tmp, base, change, config=None):
    """A copy of a model with its tensors ({name: (dtype, shape, bytes)}) and config changed."""
    to = tempfile.mkdtemp(dir=tmp)
    tensors, _ = st_read(os.path.join(MODELS, base, "model.safetensors"))
    with open(os.path.join(MODELS, base, "config.json"), encoding="utf-8") as f:
        j = json.load(f)
    if change:
        change(tensors)
    if config:
        config(j)
    st_write(os.path.join(to, "model.safetensors"), tensors)
    with open(os.path.join(to, "config.json"), "w", encoding="utf-8") as f:
        json.dump(j, f)
    return to


def refused(name, model, *words):
    r = run("logits", model, "--ctx", 32, stdin='{"tokens": [1]}\n')
    ok(r.returncode == 1 and all(w in r.stderr for w in words), name, r.stderr or r.stdout[:200])


def drop(name):
    return lambda t: t.pop(name)


def cut(name, n, dims=None):
    def change(t):
        dtype, shape, data = t[name]
        t[name] = (dtype, dims or [shape[0] - 1, *shape[1:]], data[:len(data) - n])
    return change


def state(text):
    def change(t):
        name = Q + ".weight.quant_state.bitsandbytes__nf4"
        t[name] = ("U8", [len(text)], text.encode())
    return change


def logits(model):
    out, r = json_lines(["logits", model, "--ctx", 32], [{"tokens": [1, 5, 60]}])
    return out[0].get("logits") if r.returncode == 0 and out else r.stderr


def main():
    with tempfile.TemporaryDirectory() as tmp:
        for method in ("gptq", "awq", "quanto", "torchao"):
            refused(f"method {method}", variant(tmp, "quantized-nf4", None, lambda j: j.update(
                quantization_config={"quant_method": method})), "config.json", method)
        refused("compressed-tensors in 4 bits", variant(tmp, "quantized-fp8-rows", None, lambda j: j.update(
            quantization_config={"quant_method": "compressed-tensors", "format": "pack-quantized"})), "pack-quantized")
        refused("modelopt in 4 bits", variant(tmp, "quantized-fp8-rows", None, lambda j: j.update(
            quantization_config={"quant_method": "modelopt", "quant_algo": "NVFP4"})), "NVFP4")
        bias = "model.layers.0.mlp.gate.bias"
        refused("a bias that the family has no place for", variant(tmp, "olmoe", lambda t: t.update(
            {bias: ("F32", [6], b"\0" * 24)})), bias)
        w = Q + ".weight"
        refused("no absmax", variant(tmp, "quantized-nf4", drop(w + ".absmax")), w, "absmax")
        refused("an absmax too few", variant(tmp, "quantized-nf4", cut(w + ".absmax", 4)), w + ".absmax", "scale")
        refused("codes too few", variant(tmp, "quantized-nf4", cut(w, 1)), w)
        refused("no quant_state: bytes are no weights", variant(
            tmp, "quantized-nf4", drop(w + ".quant_state.bitsandbytes__nf4")), w)
        refused("no nested_absmax", variant(tmp, "quantized-nf4-double", drop(w + ".nested_absmax")), w)
        refused("no nested_quant_map", variant(tmp, "quantized-nf4-double", drop(w + ".nested_quant_map")), w)
        for text, why in (("{}", "shape"), ("nonsense", "byte"),
                          ('{"blocksize": 64, "shape": [96, 96, 96, 96, 96]}', "dimensions"),
                          ('{"blocksize": 64, "shape": [4294967296, 4294967296, 4294967296]}', "shape"),
                          ('{"blocksize": 63, "shape": [96, 96]}', "blocksize"),
                          ('{"blocksize": 64, "shape": [48, 96]}', "shape"),
                          ('{"blocksize": 64, "shape": [48, 192]}', "shape")):
            refused(f"quant_state {text}", variant(tmp, "quantized-nf4", state(text)), why)
        refused("no SCB, bytes are no weights", variant(tmp, "quantized-int8", drop(Q + ".SCB")), w)
        refused("an SCB too few", variant(tmp, "quantized-int8", cut(Q + ".SCB", 4)), Q + ".SCB")
        refused("rows in another order", variant(tmp, "quantized-int8", lambda t: t.update(
            {Q + ".weight_format": ("U8", [], b"\2")})), w, "rows")
        refused("no weight_scale_inv", variant(tmp, "quantized-fp8-block", drop(w + "_scale_inv")), w, "scale")
        refused("a grid of scales that fits no blocks", variant(tmp, "quantized-fp8-block", lambda t: t.update(
            {w + "_scale_inv": ("F32", [5, 7], b"\0" * 140)})), w + "_scale_inv")
        refused("a zero point", variant(tmp, "quantized-fp8-rows", lambda t: t.update(
            {w + "_zero_point": ("I8", [96, 1], b"\0" * 96)})), w, "zero point")
        refused("no config of it: 8-bit floats need none, but scales that don't fit do", variant(
            tmp, "quantized-fp8-rows", cut(w + "_scale", 2), lambda j: j.pop("quantization_config")), w)
        # tables of levels of the file's own count, whatever the standard ones are
        half = lambda t: t.update({w + ".quant_map": ("F32", [16], struct.pack("<16f", *[
            x / 2 for x in struct.unpack("<16f", t[w + ".quant_map"][2])]))})
        double = lambda t: (half(t), t.update({w + ".absmax": ("F32", t[w + ".absmax"][1], struct.pack(
            f"<{t[w + '.absmax'][1][0]}f", *[2 * x for x in struct.unpack(
                f"<{t[w + '.absmax'][1][0]}f", t[w + ".absmax"][2])]))}))
        want = logits(os.path.join(MODELS, "quantized-nf4"))
        ok(isinstance(want, list) and logits(variant(tmp, "quantized-nf4", half)) != want, "a quant_map of its own counts")
        ok(logits(variant(tmp, "quantized-nf4", double)) == want, "levels halved, scales doubled: the same bits")
        ok(logits(variant(tmp, "quantized-nf4", None, lambda j: j.pop("quantization_config"))) == want,
           "weights are found by their tensors, without quantization_config too")
    done()


main()
