#!/usr/bin/env python3
"""Write a random model of a big shape directly in the format it is to be measured in, one file a layer:

    make_shape.py SHAPE OUT [--quant bf16|nf4|gguf] [--layers N] [--sparse]

SHAPE is llama-1b, llama-7b, llama-70b, llama-405b or qwen3-30b-a3b (128 experts, 8 used). --layers writes fewer
layers than the shape has; --sparse writes headers over holes, which take no room and read as zeros. Matrices repeat
a random block of 16 MiB from some place on. Where there are experts, each router is random: its logits are a
part that is the same for all tokens, so that some experts of a layer are popular (log-normal, SPREAD wide), and a
part of deviation 1 that depends on the token; embeddings are as large as they are after a few layers of a trained
model, so that the hidden state turns slowly from layer to layer. nf4 is bitsandbytes' layout with double quantization, as `airlchat prepare` writes it;
embedding, head, norms and routers are bf16. A byte-level tokenizer.json comes with it, so that -p works (--raw).
gguf: OUT is one file in bf16 for airlchat and llama.cpp, the head is the embedding; the llama shapes only. llama.cpp's
llama-quantize makes the other formats of it (vs_llama.py compares).

Example, the 70B shape in 1 GiB of memory (37 GB on disk):

    tests/bench/make_shape.py llama-70b /big/70b --quant nf4
    systemd-run --scope -p MemoryMax=1040M build/airlchat /big/70b --ram 1G --ctx 128 --raw -p Hello -n 8 --stats
"""
import argparse, array, json, math, os, random, struct

SHAPES = {  # layers, hidden, ffn, heads, kv heads, head_dim, vocab, experts, used
    "llama-1b": (16, 2048, 8192, 32, 8, 64, 128256, 0, 0),
    "llama-7b": (32, 4096, 11008, 32, 32, 128, 32000, 0, 0),
    "llama-70b": (80, 8192, 28672, 64, 8, 128, 128256, 0, 0),
    "llama-405b": (126, 16384, 53248, 128, 8, 128, 128256, 0, 0),
    "qwen3-30b-a3b": (48, 2048, 768, 32, 4, 128, 151936, 128, 8),
}
NF4 = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
       -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
       0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]
BLOCK = 16 << 20
COMMON = 16  # elements of an embedding that are the same for all tokens
SPREAD = 0.7


def bf16_block(rng, exponent=0x3C):
    """Random numbers of magnitude about 0.02; with the exponent 0x3F about 1."""
    raw = bytearray(rng.randbytes(BLOCK))
    for i in range(1, BLOCK, 2):
        raw[i] = raw[i] & 0x80 | exponent
    return bytes(raw)


def bf16(values):
    raw = array.array("f", values).tobytes()
    out = bytearray(len(raw) // 2)
    out[0::2], out[1::2] = raw[2::4], raw[3::4]
    return bytes(out)


def embedding(rng, hidden):
    """A block of rows of magnitude 1 that share some elements."""
    raw = bytearray(bf16_block(rng, 0x3F))
    common = bf16([2.0] * COMMON)
    for at in range(0, BLOCK, 2 * hidden):
        raw[at:at + len(common)] = common
    return bytes(raw)


def router(rng, layer, experts, hidden):
    """Rows whose first elements, those that all tokens share, say how popular an expert is."""
    common = math.sqrt(1 + 0.045 * layer) / (COMMON * 1.8)  # the shared part fades from layer to layer
    rows = []
    for _ in range(experts):
        rows += [rng.gauss(0, SPREAD) * common] * COMMON
        rows += [rng.gauss(0, hidden ** -0.5) for _ in range(hidden - COMMON)]
    return bf16(rows)


class Writer:
    def __init__(self, out, sparse):
        rng = self.rng = random.Random(1)
        self.offset = 0.05  # the mean of what scales the codes
        self.out, self.sparse, self.index, self.pieces = out, sparse, {}, []
        self.bf16, self.codes = (b"", b"") if sparse else (bf16_block(rng), rng.randbytes(BLOCK))

    def add(self, name, dtype, shape, data=None, size=None):
        """data: the bytes, or a block that is repeated up to size bytes."""
        self.pieces.append((name, dtype, shape, data, len(data) if size is None else size))

    def plain(self, name, *shape):
        self.add(name, "BF16", shape, self.bf16, 2 * math.prod(shape))

    def ones(self, name, n):
        self.add(name, "BF16", [n], struct.pack("<H", 0x3F80) * n)

    def nf4(self, name, *shape):
        n = math.prod(shape)
        groups, nested = -(-n // 64), -(-n // 64 // 256)
        state = json.dumps({"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": list(shape),
                            "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": self.offset})
        self.add(name, "U8", [n // 2, 1], self.codes, n // 2)
        self.add(name + ".absmax", "U8", [groups], self.codes, groups)
        self.add(name + ".nested_absmax", "F32", [nested], struct.pack("<f", self.offset / 5) * nested)
        self.add(name + ".nested_quant_map", "F32", [256], struct.pack("<256f", *[(i - 127) / 128 for i in range(256)]))
        self.add(name + ".quant_map", "F32", [16], struct.pack("<16f", *NF4))
        self.add(name + ".quant_state.bitsandbytes__nf4", "U8", [256], state.encode().ljust(256))

    def flush(self, file):
        header, at = {"__metadata__": {"format": "pt"}}, 0
        for name, dtype, shape, _, size in self.pieces:
            header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
            self.index[name] = file
            at += size
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)  # as published files have it: no tensor begins at a page
        with open(os.path.join(self.out, file), "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text)
            if self.sparse:
                f.truncate(8 + len(text) + at)
            else:
                for _, _, _, data, size in self.pieces:
                    at = self.rng.randrange(0, BLOCK, 4096) if data is self.bf16 or data is self.codes else 0
                    while size > 0:
                        size -= f.write(data[at:at + size])
                        at = 0
        self.pieces = []


def write_layer(w, matrix, layer, s):
    p = f"model.layers.{layer}."
    layers, hidden, ffn, heads, kv, dim, vocab, experts, used = s
    w.ones(p + "input_layernorm.weight", hidden)
    w.ones(p + "post_attention_layernorm.weight", hidden)
    if experts:
        w.ones(p + "self_attn.q_norm.weight", dim)
        w.ones(p + "self_attn.k_norm.weight", dim)
    if experts:  # random attention adds the same to all tokens: little of that, more of what experts add
        w.offset = 0.008
    matrix(p + "self_attn.q_proj.weight", heads * dim, hidden)
    matrix(p + "self_attn.k_proj.weight", kv * dim, hidden)
    matrix(p + "self_attn.v_proj.weight", kv * dim, hidden)
    matrix(p + "self_attn.o_proj.weight", hidden, heads * dim)
    if experts:
        data = b"" if w.sparse else router(w.rng, layer, experts, hidden)
        w.add(p + "mlp.gate.weight", "BF16", (experts, hidden), data, 2 * experts * hidden)
        w.offset = 0.045
    for e in range(experts or 1):
        x = p + (f"mlp.experts.{e}." if experts else "mlp.")
        matrix(x + "gate_proj.weight", ffn, hidden)
        matrix(x + "up_proj.weight", ffn, hidden)
        matrix(x + "down_proj.weight", hidden, ffn)


def config(s, n_layers, quant):
    layers, hidden, ffn, heads, kv, dim, vocab, experts, used = s
    c = {"architectures": ["Qwen3MoeForCausalLM" if experts else "LlamaForCausalLM"],
         "model_type": "qwen3_moe" if experts else "llama", "hidden_size": hidden, "intermediate_size": ffn,
         "num_hidden_layers": n_layers, "num_attention_heads": heads, "num_key_value_heads": kv, "head_dim": dim,
         "vocab_size": vocab, "rms_norm_eps": 1e-5, "max_position_embeddings": 8192, "tie_word_embeddings": False,
         "torch_dtype": "bfloat16", "rope_theta": 500000.0}
    if experts:
        c.update(num_experts=experts, num_experts_per_tok=used, moe_intermediate_size=ffn, norm_topk_prob=True,
                 decoder_sparse_step=1, mlp_only_layers=[], intermediate_size=3 * hidden)
    if quant == "nf4":
        c["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False,
                                    "_load_in_4bit": True, "bnb_4bit_quant_type": "nf4",
                                    "bnb_4bit_use_double_quant": True, "llm_int8_skip_modules": ["lm_head"]}
    return c


def tokenizer(n):
    """256 tokens, one a byte, in GPT-2's printable alphabet; the rest are never made of text."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    vocab = {chr(b if b in plain else 256 + others.index(b)): b for b in range(256)}
    vocab.update({f"<{i}>": i for i in range(256, n)})
    return {"version": "1.0", "added_tokens": [], "normalizer": None,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            "post_processor": None,
            "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            "model": {"type": "BPE", "vocab": vocab, "merges": []}}


def gguf_value(v):
    """Type number and bytes: a string, a whole number, a number, or a list of one kind."""
    if isinstance(v, list):
        kind = 5 if isinstance(v[0], int) else gguf_value(v[0])[0]  # signed
        return 9, struct.pack("<IQ", kind, len(v)) + b"".join(gguf_value(x)[1] for x in v)
    if isinstance(v, str):
        return 8, struct.pack("<Q", len(v.encode())) + v.encode()
    return (4, struct.pack("<I", v)) if isinstance(v, int) else (6, struct.pack("<f", v))


def gguf_keys(s, n_layers):
    layers, hidden, ffn, heads, kv, dim, vocab, experts, used = s
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)] + [f"w{i}" for i in range(259, vocab)]
    m = {"block_count": n_layers, "context_length": 131072, "embedding_length": hidden, "feed_forward_length": ffn,
         "attention.head_count": heads, "attention.head_count_kv": kv, "attention.key_length": dim,
         "attention.value_length": dim, "rope.dimension_count": dim, "rope.freq_base": 500000.0,
         "attention.layer_norm_rms_epsilon": 1e-5, "vocab_size": vocab}
    t = {"model": "llama", "tokens": tokens, "scores": [0.0] * vocab, "bos_token_id": 1, "eos_token_id": 2,
         "token_type": [2, 3, 3] + [6] * 256 + [1] * (vocab - 259)}
    return {"general.architecture": "llama", "general.file_type": 32, **{f"llama.{k}": v for k, v in m.items()},
            **{f"tokenizer.ggml.{k}": v for k, v in t.items()}}


def gguf_tensors(s, n_layers):
    """Names and shapes; those of one dimension are norms."""
    layers, hidden, ffn, heads, kv, dim, vocab, experts, used = s
    yield "token_embd.weight", (vocab, hidden)
    for i in range(n_layers):
        for name, *shape in (("attn_norm", hidden), ("attn_q", heads * dim, hidden), ("attn_k", kv * dim, hidden),
                             ("attn_v", kv * dim, hidden), ("attn_output", hidden, heads * dim), ("ffn_norm", hidden),
                             ("ffn_gate", ffn, hidden), ("ffn_up", ffn, hidden), ("ffn_down", hidden, ffn)):
            yield f"blk.{i}.{name}.weight", shape
    yield "output_norm.weight", (hidden,)


def write_gguf(out, s, n_layers):
    block, keys, tensors, at = bf16_block(random.Random(1)), gguf_keys(s, n_layers), [*gguf_tensors(s, n_layers)], 0
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for k, v in keys.items():
        kind, data = gguf_value(v)
        head += gguf_value(k)[1] + struct.pack("<I", kind) + data
    for name, shape in tensors:
        norm = len(shape) == 1
        head += gguf_value(name)[1] + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), 0 if norm else 30, at)
        at += -(-math.prod(shape) * (4 if norm else 2) // 32) * 32
    with open(out, "xb") as f:
        f.write(head + b"\0" * (-len(head) % 32))
        for name, shape in tensors:
            size = math.prod(shape) * 2
            if len(shape) == 1:
                f.write(struct.pack("<f", 1) * shape[0])
                size = 0
            while size > 0:
                size -= f.write(block[:size])


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("shape", choices=SHAPES)
    a.add_argument("out")
    a.add_argument("--quant", choices=("bf16", "nf4", "gguf"), default="bf16")
    a.add_argument("--layers", type=int)
    a.add_argument("--sparse", action="store_true")
    a = a.parse_args()
    s = SHAPES[a.shape]
    n_layers = a.layers or s[0]
    if a.quant == "gguf":
        if s[7] or a.sparse:
            raise SystemExit("gguf: only the llama shapes, and not --sparse")
        return write_gguf(a.out, s, n_layers)
    os.makedirs(a.out)
    w = Writer(a.out, a.sparse)
    matrix = w.nf4 if a.quant == "nf4" else w.plain
    count = n_layers + 2
    if s[7] and not a.sparse:
        w.add("model.embed_tokens.weight", "BF16", (s[6], s[1]), embedding(w.rng, s[1]), 2 * s[6] * s[1])
    else:
        w.plain("model.embed_tokens.weight", s[6], s[1])
    w.flush(f"model-00001-of-{count:05}.safetensors")
    for i in range(n_layers):
        write_layer(w, matrix, i, s)
        w.flush(f"model-{i + 2:05}-of-{count:05}.safetensors")
    w.ones("model.norm.weight", s[1])
    head = b"" if a.sparse else w.bf16[:-6 * s[1]]  # repeats sooner than the embedding: equal logits, different tokens
    w.add("lm_head.weight", "BF16", (s[6], s[1]), head, 2 * s[6] * s[1])
    w.flush(f"model-{count:05}-of-{count:05}.safetensors")
    for name, value in (("config.json", config(s, n_layers, a.quant)), ("tokenizer.json", tokenizer(s[6])),
                        ("model.safetensors.index.json", {"metadata": {}, "weight_map": w.index})):
        with open(os.path.join(a.out, name), "w", encoding="utf-8") as f:
            json.dump(value, f)


main()
