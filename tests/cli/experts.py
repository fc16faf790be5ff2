"""Only what a token needs is read: chosen experts, not whole layers, whatever the experts are stored as.

Models are written here: small, but with experts of many pages. At the smallest budget, where little stays, each
step of one token may read the chosen experts and what all tokens share; the kernel counts what was read."""
import json, os, random, shutil, struct, sys, tempfile

sys.path.insert(0, os.path.dirname(__file__))
from tap import SANITIZED, done, json_lines, ok, run  # noqa: E402

HIDDEN, FFN, EXPERTS, USED, LAYERS, VOCAB, HEADS, KV, DIM = 256, 512, 12, 2, 2, 64, 4, 2, 64
STEPS = 40  # what was read ahead at the end is little of all
RNG = random.Random(1)
NOISE = bytearray(RNG.randbytes(1 << 20))
for at in range(1, len(NOISE), 2):
    NOISE[at] = NOISE[at] & 0x80 | 0x3D  # bf16 of magnitude about 0.05


def noise(n):
    at = RNG.randrange(0, 1 << 19, 2)
    return (bytes(NOISE[at:]) + bytes(NOISE) * (n // len(NOISE) + 1))[:n]


def ones(n, f32):
    return struct.pack(f"<{n}f", *[1.0] * n) if f32 else b"\x80\x3f" * n


class Model:
    """Tensors in order; `of_experts` are those of experts, all of them."""
    def __init__(self):
        self.tensors, self.of_experts = [], 0

    def add(self, name, *shape, dtype="BF16", expert=False):
        size = 2 if dtype == "BF16" else 1
        n = size
        for d in shape:
            n *= d
        data = ones(n // 2, False) if "norm" in name and len(shape) == 1 else \
            b"\x78" * n if name.endswith("_scales") else noise(n)
        self.tensors.append((name, dtype, shape, data))
        self.of_experts += n if expert else 0

    def attention(self, p, hidden=HIDDEN, bias=False):
        for name, rows, cols in (("q", HEADS * DIM, hidden), ("k", KV * DIM, hidden), ("v", KV * DIM, hidden),
                                 ("o", hidden, HEADS * DIM)):
            self.add(f"{p}self_attn.{name}_proj.weight", rows, cols)
            if bias:
                self.add(f"{p}self_attn.{name}_proj.bias", rows)

    def gated(self, p):
        for w, rows, cols in (("gate", FFN, HIDDEN), ("up", FFN, HIDDEN), ("down", HIDDEN, FFN)):
            self.add(f"{p}{w}_proj.weight", rows, cols, expert=".experts." in p)

    def ends(self, hidden=HIDDEN):
        self.add("model.embed_tokens.weight", VOCAB, hidden)
        self.add("model.norm.weight", hidden)
        self.add("lm_head.weight", VOCAB, hidden)

    def norms(self, p, hidden=HIDDEN):
        self.add(p + "input_layernorm.weight", hidden)
        self.add(p + "post_attention_layernorm.weight", hidden)

    def write(self, path, config):
        os.makedirs(path)
        header, at = {}, 0
        for name, dtype, shape, data in self.tensors:
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
            at += len(data)
        text = json.dumps(header).encode()
        with open(os.path.join(path, "model.safetensors"), "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text)
            for t in self.tensors:
                f.write(t[3])
        with open(os.path.join(path, "config.json"), "w", encoding="utf-8") as f:
            json.dump(config, f)

    def layers(self):
        """What stands around the layers, then number and name of each, which has its norms."""
        self.ends()
        for i in range(LAYERS):
            p = f"model.layers.{i}."
            self.norms(p)
            yield i, p

    def dense(self):
        """What every token is multiplied with."""
        return sum(len(t[3]) for t in self.tensors if "embed" not in t[0]) - self.of_experts


def base(kind, **more):
    return {"model_type": kind, "hidden_size": HIDDEN, "intermediate_size": FFN, "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS, "num_key_value_heads": KV, "head_dim": DIM, "vocab_size": VOCAB,
            "rms_norm_eps": 1e-5, "max_position_embeddings": 256, "tie_word_embeddings": False,
            "torch_dtype": "bfloat16", "rope_theta": 10000.0, "num_experts_per_tok": USED, **more}


def mixtral(path):
    m = Model()
    for i, p in m.layers():
        m.attention(p)
        m.add(p + "block_sparse_moe.gate.weight", EXPERTS, HIDDEN)
        for e in range(EXPERTS):
            for w, rows, cols in (("w1", FFN, HIDDEN), ("w2", HIDDEN, FFN), ("w3", FFN, HIDDEN)):
                m.add(f"{p}block_sparse_moe.experts.{e}.{w}.weight", rows, cols, expert=True)
    m.write(path, base("mixtral", num_local_experts=EXPERTS))
    return path, m


def qwen3(path, stacked):
    m = Model()
    for i, p in m.layers():
        m.attention(p)
        m.add(p + "self_attn.q_norm.weight", DIM)
        m.add(p + "self_attn.k_norm.weight", DIM)
        m.add(p + "mlp.gate.weight", EXPERTS, HIDDEN)
        if stacked:
            m.add(p + "mlp.experts.gate_up_proj", EXPERTS, 2 * FFN, HIDDEN, expert=True)
            m.add(p + "mlp.experts.down_proj", EXPERTS, HIDDEN, FFN, expert=True)
        for e in range(0 if stacked else EXPERTS):
            m.gated(f"{p}mlp.experts.{e}.")
    m.write(path, base("qwen3_moe", num_experts=EXPERTS, moe_intermediate_size=FFN, norm_topk_prob=True,
                       decoder_sparse_step=1, mlp_only_layers=[]))
    return path, m


def deepseek(path):
    """Latent attention, one dense layer, a shared expert."""
    m = Model()
    for i, p in m.layers():
        m.add(p + "self_attn.q_proj.weight", HEADS * 160, HIDDEN)
        m.add(p + "self_attn.kv_a_proj_with_mqa.weight", 256 + 32, HIDDEN)
        m.add(p + "self_attn.kv_a_layernorm.weight", 256)
        m.add(p + "self_attn.kv_b_proj.weight", HEADS * 256, 256)
        m.add(p + "self_attn.o_proj.weight", HIDDEN, HEADS * 128)
        names = ["mlp."] if i == 0 else ["mlp.shared_experts."] + [f"mlp.experts.{e}." for e in range(EXPERTS)]
        if i:
            m.add(p + "mlp.gate.weight", EXPERTS, HIDDEN)
        for name in names:
            m.gated(p + name)
    m.write(path, base("deepseek_v2", n_routed_experts=EXPERTS, n_shared_experts=1, moe_intermediate_size=FFN,
                       kv_lora_rank=256, q_lora_rank=None, qk_nope_head_dim=128, qk_rope_head_dim=32, v_head_dim=128,
                       first_k_dense_replace=1, num_key_value_heads=HEADS, n_group=1, topk_group=1,
                       topk_method="greedy", norm_topk_prob=False, routed_scaling_factor=1.0))
    return path, m


def gpt_oss(path, hidden=1024, ffn=512):
    """MXFP4, gate and up in one tensor, experts stacked."""
    m = Model()
    m.ends(hidden)
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        m.norms(p, hidden)
        m.attention(p, hidden, bias=True)
        m.add(p + "self_attn.sinks", HEADS)
        m.add(p + "mlp.router.weight", EXPERTS, hidden)
        m.add(p + "mlp.router.bias", EXPERTS)
        for name, rows, cols in (("gate_up", 2 * ffn, hidden), ("down", hidden, ffn)):
            x = f"{p}mlp.experts.{name}_proj"
            m.add(x + "_blocks", EXPERTS, rows, cols // 32, 16, dtype="U8", expert=True)
            m.add(x + "_scales", EXPERTS, rows, cols // 32, dtype="U8", expert=True)
            m.add(x + "_bias", EXPERTS, rows, expert=True)
    m.write(path, base("gpt_oss", num_local_experts=EXPERTS, hidden_size=hidden, intermediate_size=ffn,
                       sliding_window=64, layer_types=["full_attention"] * LAYERS, attention_bias=True,
                       quantization_config={"quant_method": "mxfp4"}))
    return path, m


def gguf(path):
    """Stacked by matrix, as GGUF has them."""
    m, f32 = Model(), {}
    m.add("output.weight", VOCAB, HIDDEN)
    m.add("token_embd.weight", VOCAB, HIDDEN)
    m.add("output_norm.weight", HIDDEN)
    for i in range(LAYERS):
        p = f"blk.{i}."
        for name, rows, cols in (("attn_q", HEADS * DIM, HIDDEN), ("attn_k", KV * DIM, HIDDEN),
                                 ("attn_v", KV * DIM, HIDDEN), ("attn_output", HIDDEN, HEADS * DIM),
                                 ("ffn_gate_inp", EXPERTS, HIDDEN)):
            m.add(f"{p}{name}.weight", rows, cols)
        for name, rows, cols in (("gate", FFN, HIDDEN), ("up", FFN, HIDDEN), ("down", HIDDEN, FFN)):
            m.add(f"{p}ffn_{name}_exps.weight", EXPERTS, rows, cols, expert=True)
        for name in ("attn_norm", "ffn_norm"):
            m.add(f"{p}{name}.weight", HIDDEN)

    def text(s):
        return struct.pack("<Q", len(s)) + s.encode()

    def u32(key, v):
        return text(key) + struct.pack("<II", 4, v)
    facts = [text("general.architecture") + struct.pack("<I", 8) + text("llama"),
             text("tokenizer.ggml.model") + struct.pack("<I", 8) + text("none"),
             text("llama.attention.layer_norm_rms_epsilon") + struct.pack("<If", 6, 1e-5),
             text("llama.rope.freq_base") + struct.pack("<If", 6, 10000.0)]
    facts += [u32("llama." + k, v) for k, v in (
        ("block_count", LAYERS), ("context_length", 256), ("embedding_length", HIDDEN), ("feed_forward_length", FFN),
        ("attention.head_count", HEADS), ("attention.head_count_kv", KV), ("expert_count", EXPERTS),
        ("expert_used_count", USED), ("vocab_size", VOCAB), ("rope.dimension_count", DIM))]
    head, body, at = b"", [], 0
    for name, _, shape, data in m.tensors:
        is_norm = "norm" in name
        data = ones(shape[0], True) if is_norm else data
        f32[name] = is_norm
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        head += struct.pack("<IQ", 0 if is_norm else 30, at)
        data += bytes(-len(data) % 32)
        body.append(data)
        at += len(data)
    start = b"GGUF" + struct.pack("<IQQ", 3, len(m.tensors), len(facts)) + b"".join(facts) + head
    with open(path, "wb") as f:
        f.write(start + bytes(-len(start) % 32) + b"".join(body))
    return path, m


def rchar():
    """Bytes read by this process and by those that it has waited for."""
    with open("/proc/self/io", encoding="utf-8") as f:
        return int(f.readline().split()[1])


def steps(model, n, ram, trace):
    """Some tokens at once, then n one by one: bytes that were read, logits."""
    tokens = [k * k * 7 % VOCAB for k in range(1, 9 + n)]
    lines = [{"tokens": tokens[:k]} for k in range(8, 9 + n)]
    before = rchar()
    out, r = json_lines(["logits", model, "--last", "--ctx", 64, "--ram", ram, "--reader", "pread", "--chunk-size",
                         512 << 10, "--prefill-rows", 8, "--trace", trace], lines)
    if r.returncode or len(out) != n + 1:
        raise RuntimeError(r.stderr)
    return rchar() - before, [x["logits"] for x in out]


def check(name, path, m, folder):
    p = run("plan", path, "--json", "--ctx", 64, "--chunk-size", 512 << 10, "--prefill-rows", 8)
    if p.returncode:
        return ok(False, f"{name}: plan", p.stderr)
    least = json.loads(p.stdout)["min_ram_bytes"] + (2 << 20 if SANITIZED else 0)
    trace = os.path.join(folder, "trace.json")
    try:
        few, _ = steps(path, 1, least, trace)
        many, at_least = steps(path, 1 + STEPS, least, trace)
        _, at_ease = steps(path, 1 + STEPS, least + (64 << 20), trace + "2")
    except RuntimeError as e:
        return ok(False, f"{name}: runs at the smallest budget", e)
    with open(trace, encoding="utf-8") as f:
        events = [e for e in json.load(f) if e["ph"] != "M"]
    block = [e for e in events if e["args"]["pass"] == 0]
    each = m.of_experts // EXPERTS // len([e for e in block if e["name"] == "experts"])  # bytes of one expert
    wanted = sum(len(e["args"]["chosen"]) for e in block if e["name"] == "experts")
    used = sum(e["args"]["bytes"] for e in block if e["name"] == "read")
    ok(used <= wanted * each + m.dense(), f"{name}: a block of 8 tokens reads each of {wanted} experts once")
    events = [e for e in events if e["args"]["pass"] >= 2]
    used = sum(e["args"]["bytes"] for e in events if e["name"] == "read")
    chosen = [len(e["args"]["chosen"]) for e in events if e["name"] == "experts"]
    most = STEPS * (m.of_experts // EXPERTS * USED + m.dense())
    ok(chosen and set(chosen) == {USED}, f"{name}: {USED} experts of each layer are chosen", chosen)
    ok(0 < used <= most, f"{name}: {used // STEPS} bytes a token are used, at most {most // STEPS}")
    got, embed = many - few, 2 * STEPS * 4096
    ok(at_least == at_ease, f"{name}: the same numbers with all experts in memory")
    return ok(got <= 1.05 * used + embed, f"{name}: read / used {got / used:.3f}, of the whole model "
              f"{got / STEPS / sum(len(t[3]) for t in m.tensors):.2f}")


def main():
    folder = tempfile.mkdtemp()
    try:
        kinds = [("Mixtral", mixtral), ("Qwen3-MoE", lambda p: qwen3(p, False)),
                 ("stacked experts", lambda p: qwen3(p, True)), ("DeepSeek, a shared expert", deepseek),
                 ("gpt-oss in MXFP4", gpt_oss), ("GGUF", gguf)]
        for i, (name, write) in enumerate(kinds):
            path, m = write(os.path.join(folder, f"{i}" + (".gguf" if name == "GGUF" else "")))
            check(name, path, m, folder)
    finally:
        shutil.rmtree(folder)
    done()


main()
