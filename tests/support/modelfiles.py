"""safetensors and GGUF files written and read with nothing but Python's library, for tests."""
import json, os, struct


def st_write(path, tensors, metadata=None, pad=8):
    """tensors: {name: (dtype, shape, bytes)}, in the order given."""
    header, at = {}, 0
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % pad)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, _, data in tensors.values():
            f.write(data)


def st_read(path):
    """{name: (dtype, shape, bytes)}; and the metadata."""
    with open(path, "rb") as f:
        n = struct.unpack("<Q", f.read(8))[0]
        header = json.loads(f.read(n))
        data = f.read()
    metadata = header.pop("__metadata__", {})
    spans = sorted(t["data_offsets"] for t in header.values())
    assert all(a[1] == b[0] for a, b in zip(spans, spans[1:])), f"{path}: holes or overlaps"
    assert not spans or (spans[0][0] == 0 and spans[-1][1] == len(data)), f"{path}: bytes left over"
    return {k: (t["dtype"], t["shape"], data[t["data_offsets"][0]:t["data_offsets"][1]])
            for k, t in header.items()}, metadata


def st_read_folder(path):
    """All tensors of a folder, through its index where it has one."""
    index = os.path.join(path, "model.safetensors.index.json")
    names = {"model.safetensors"}
    if os.path.exists(index):
        with open(index, encoding="utf-8") as f:
            names = set(json.load(f)["weight_map"].values())
    out = {}
    for name in sorted(names):
        out.update(st_read(os.path.join(path, name))[0])
    return out


GGML = {"F32": 0, "F16": 1, "BF16": 30}


def _string(s):
    b = s.encode()
    return struct.pack("<Q", len(b)) + b


def _value(v):
    if isinstance(v, bool):
        return struct.pack("<I?", 7, v)
    if isinstance(v, int):
        return struct.pack("<Ii", 5, v) if v < 0 else struct.pack("<II", 4, v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    return struct.pack("<I", 8) + _string(v)


def gguf_write(path, tensors, keys):
    """tensors: {name: (dtype, shape, bytes)}, shapes outermost first."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(keys))
    for k, v in keys.items():
        head += _string(k) + _value(v)
    at = 0
    for name, (dtype, shape, data) in tensors.items():
        head += _string(name) + struct.pack("<I", len(shape))
        head += b"".join(struct.pack("<Q", n) for n in reversed(shape))
        head += struct.pack("<IQ", GGML[dtype], at)
        at += -(-len(data) // 32) * 32
    with open(path, "wb") as f:
        f.write(head + b"\0" * (-len(head) % 32))
        for _, _, data in tensors.values():
            f.write(data + b"\0" * (-len(data) % 32))


def gguf_name(name):
    """What a tensor of a Llama is called in GGUF."""
    whole = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
             "lm_head.weight": "output.weight"}
    parts = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
             "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
             "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
             "mlp.down_proj": "ffn_down"}
    if name in whole:
        return whole[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{parts[rest[:-7]]}.weight"
