"""What the tests of `airlchat prepare` share: a model of some size, made fast, and formats decoded by their
published formulas."""
import array, json, os, random, re, shutil, struct, sys

sys.path[:0] = [os.path.join(os.path.dirname(__file__), "..", d) for d in ("cli", "support")]
from tap import SRC, json_lines, ok, run  # noqa: E402
from modelfiles import gguf_name, gguf_write, st_read, st_read_folder, st_write  # noqa: E402

TOKENS = [1, 5, 9, 60, 3]


def logits(model):
    out, r = json_lines(["logits", model, "--ctx", 64, "--kv-type", "f32"], [{"tokens": TOKENS}])
    return out[0].get("logits") if r.returncode == 0 and out else r.stdout + r.stderr


def big_model(to, layers=6, hidden=256, ffn=512, shards=3, seed=1):
    """A Llama in bf16 whose weights repeat a small random pattern (a few MB a layer), in shards."""
    rng = random.Random(seed)
    os.makedirs(to)
    pattern = b"".join(struct.pack("<H", rng.randrange(2) << 15 | (120 - rng.randrange(8)) << 7 | rng.randrange(128))
                       for _ in range(4096))

    def tensor(*shape):
        n = 2
        for x in shape:
            n *= x
        start = rng.randrange(4096) * 2
        return ("BF16", list(shape), (pattern[start:] + pattern * (n // len(pattern) + 1))[:n])

    t = {"model.embed_tokens.weight": tensor(96, hidden), "model.norm.weight": tensor(hidden),
         "lm_head.weight": tensor(96, hidden)}
    for i in range(layers):
        p = f"model.layers.{i}."
        t.update({p + "input_layernorm.weight": tensor(hidden), p + "post_attention_layernorm.weight": tensor(hidden),
                  p + "mlp.gate_proj.weight": tensor(ffn, hidden), p + "mlp.up_proj.weight": tensor(ffn, hidden),
                  p + "mlp.down_proj.weight": tensor(hidden, ffn)})
        for x in "qkvo":
            t[p + f"self_attn.{x}_proj.weight"] = tensor(hidden, hidden)
    names = list(t)
    index = {}
    for s in range(shards):
        name = f"model-{s + 1:05}-of-{shards:05}.safetensors"
        some = names[len(names) * s // shards:len(names) * (s + 1) // shards]
        st_write(os.path.join(to, name), {n: t[n] for n in some})
        index.update({n: name for n in some})
    with open(os.path.join(to, "model.safetensors.index.json"), "w") as f:
        json.dump({"weight_map": index}, f)
    with open(os.path.join(to, "config.json"), "w") as f:
        json.dump({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": hidden,
                   "intermediate_size": ffn, "num_hidden_layers": layers, "num_attention_heads": 4,
                   "num_key_value_heads": 4, "vocab_size": 96, "rms_norm_eps": 1e-5, "max_position_embeddings": 128,
                   "tie_word_embeddings": False, "torch_dtype": "bfloat16"}, f)
    with open(os.path.join(to, "tokenizer_config.json"), "w") as f:
        f.write("{}")
    return to


def stack_experts(src, dst):
    """src with the experts of each layer in stacked tensors, as transformers 5 has them in memory."""
    tensors, experts, n = st_read_folder(src), {}, {}
    for name in list(tensors):
        m = re.match(r"(.*\.(?:mlp|block_sparse_moe)\.experts\.)(\d+)\.(gate_proj|up_proj|down_proj|w1|w2|w3)\.weight$", name)
        if m:
            part = {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}.get(m[3], m[3])
            experts[m[1], int(m[2]), part] = tensors.pop(name)
            n[m[1]] = max(n.get(m[1], 0), int(m[2]) + 1)
    for at, count in n.items():
        to = at.replace("block_sparse_moe", "mlp")
        for stacked, parts in (("gate_up_proj", ("gate_proj", "up_proj")), ("down_proj", ("down_proj",))):
            one = experts[at, 0, parts[0]]
            tensors[to + stacked] = (one[0], [count, one[1][0] * len(parts), one[1][1]], b"".join(
                experts[at, i, p][2] for i in range(count) for p in parts))
    os.makedirs(dst)
    st_write(os.path.join(dst, "model.safetensors"), tensors)
    shutil.copy(os.path.join(src, "config.json"), dst)


def weights_of(folder):
    """The source files that hold weights."""
    return sorted(n for n in os.listdir(folder) if n.endswith(".safetensors"))


def tree(folder):
    """{name: bytes} of a folder, links followed."""
    out = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            with open(path, "rb") as f:
                out[name] = f.read()
    return out


def prepare(*args):
    return run("prepare", *args)


def refused(name, r, *words):
    ok(r.returncode in (1, 2) and all(w in r.stderr for w in words), name, r.stderr + r.stdout)


def gguf_of(folder, path):
    """A Llama's folder as a GGUF file in float32."""
    tensors = {}
    for n, t in st_read_folder(folder).items():
        values = from_bf16(t[2]) if t[0] == "BF16" else list(floats(t[2]))
        tensors[gguf_name(n)] = ("F32", t[1], array.array("f", values).tobytes())
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        c = json.load(f)
    gguf_write(path, tensors, {
        "general.architecture": "llama", "llama.embedding_length": c["hidden_size"],
        "llama.feed_forward_length": c["intermediate_size"], "llama.block_count": c["num_hidden_layers"],
        "llama.attention.head_count": c["num_attention_heads"],
        "llama.attention.head_count_kv": c["num_key_value_heads"],
        "llama.attention.layer_norm_rms_epsilon": c["rms_norm_eps"]})
    return path


# --- formats ---

NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
       -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
       0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]


def floats(data):
    a = array.array("f")
    a.frombytes(data)
    return a


def from_bf16(data):
    a = array.array("H")
    a.frombytes(data)
    return [struct.unpack("<f", struct.pack("<I", x << 16))[0] for x in a]


def half(b):
    return struct.unpack("<e", b)[0]


def decode_nf4(t, name):
    """bitsandbytes: nested absmax, as its dequantize_4bit and dequantize_blockwise define it."""
    state = json.loads(t[name + ".quant_state.bitsandbytes__nf4"][2])
    code, group = floats(t[name + ".quant_map"][2]), state["blocksize"]
    nested, table = floats(t[name + ".nested_absmax"][2]), floats(t[name + ".nested_quant_map"][2])
    absmax = [table[b] * nested[i // state["nested_blocksize"]] + state["nested_offset"]
              for i, b in enumerate(t[name + ".absmax"][2])]
    out = []
    for i, b in enumerate(t[name][2]):
        s = absmax[2 * i // group]
        out += [code[b >> 4] * s, code[b & 15] * s]
    return out, state["shape"], list(code)


def decode_int8(t, name):
    scb, (_, shape, data) = floats(t[name[:-6] + "SCB"][2]), t[name]
    codes = array.array("b", data)
    return [c * scb[i // shape[1]] / 127 for i, c in enumerate(codes)], shape


def decode_q(t, name, kind):
    _, shape, data = t[name]
    size, out = (34, []) if kind == "q8_0" else (18, [])
    for at in range(0, len(data), size):
        d, q = half(data[at:at + 2]), data[at + 2:at + size]
        if kind == "q8_0":
            out += [d * c for c in array.array("b", q)]
        else:
            out += [d * ((b & 15) - 8) for b in q] + [d * ((b >> 4) - 8) for b in q]
    return out, [shape[0], len(out) // shape[0]]
