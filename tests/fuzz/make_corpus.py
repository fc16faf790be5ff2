"""Seeds for the fuzz targets: small files that reach most of the parsers. Run from tests/fuzz."""
import os, struct, sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from modelfiles import _string, gguf_write, st_write  # noqa: E402


def path(kind, name):
    d = os.path.join(os.path.dirname(__file__), "corpus", kind)
    os.makedirs(d, exist_ok=True)
    return os.path.join(d, name)


def main():
    st_write(path("safetensors", "dtypes"), {
        "a": ("F32", [2, 2], b"\0" * 16), "b": ("BF16", [3], b"\0" * 6), "c": ("F8_E4M3", [2], b"\0" * 2),
        "d": ("U8", [], b"\0"), "e": ("F4", [1, 2], b"\0"), "f": ("I64", [0, 3], b"")}, {"format": "pt"})
    st_write(path("safetensors", "typed"), {"w": ("U8", [2, 34], b"\0" * 68), "v": ("U8", [18], b"\0" * 18)},
             {"type:w": "q8_0", "type:v": "q4_0", "type:x": "f32", "type:": "q4_0"}, 4096)
    st_write(path("safetensors", "empty"), {})
    st_write(path("safetensors", "escapes"), {"\u00e9\n\"\U0001f600": ("I8", [1], b"x")})
    gguf_write(path("gguf", "keys"), {"token_embd.weight": ("F16", [4, 8], b"\0" * 64)},
               {"general.architecture": "llama", "llama.block_count": 1, "x": -3, "y": 1.5, "z": True})
    head = struct.pack("<4sIQQ", b"GGUF", 3, 1, 4)
    head += _string("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + _string("a") + _string("bc")
    head += _string("tokenizer.ggml.scores") + struct.pack("<IIQff", 9, 6, 2, 1, 2)
    head += _string("general.alignment") + struct.pack("<II", 4, 64)
    head += _string("split.count") + struct.pack("<IH", 2, 1)
    head += _string("w") + struct.pack("<IQQIQ", 2, 32, 1, 8, 0)
    with open(path("gguf", "arrays"), "wb") as f:
        f.write(head + b"\0" * (-len(head) % 64) + b"\0" * 34)


main()
