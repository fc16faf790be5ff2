#!/usr/bin/env python3
"""Writes golden.bin: blocks of each format with the values that other implementations decode them to
(gguf-py, bitsandbytes, torch, transformers), and values with the bytes that their quantizers make of
them. Needs those packages; run by hand when a format is added.

A record: kind and dtype (16 bytes each), then arrays, each a uint32 length in bytes and its bytes.
  decode: stored bytes, values (float32)
  encode: values, stored bytes
  scaled: stored bytes, values, parameters (uint32 scale kind, flat, group_rows, group_cols, inverse,
          nested_group, cols, row0; float32 factor, offset, tolerance), scales, nested, map, code
  quantize: values, parameters (uint32 rows, cols, group), codes, scales (float32)"""
import os
import struct

import bitsandbytes.functional as bnb
import gguf
import numpy as np
import torch
from bitsandbytes.backends.default.ops import _dequantize_4bit_compute, _dequantize_blockwise_compute
from gguf import GGMLQuantizationType as Q
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

rng = np.random.default_rng(7)
out = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden.bin"), "wb")
KINDS = {"f32": 0, "f16": 1, "bf16": 2, "e8m0": 3, "nested": 4}


def record(kind, name, *arrays):
    out.write(kind.encode().ljust(16, b"\0") + name.encode().ljust(16, b"\0"))
    for a in arrays:
        raw = a if isinstance(a, bytes) else np.ascontiguousarray(a).tobytes()
        out.write(struct.pack("<I", len(raw)) + raw)


def f16(x):
    return np.frombuffer(np.float16(x).tobytes(), np.uint8)


def ggml(name, qtype, scales_at, blocks=2):
    """Random bytes, the f16 scales at the given places tame; of a signed scale both signs."""
    n, size = gguf.GGML_QUANT_SIZES[qtype]
    raw = rng.integers(0, 256, (blocks, size), dtype=np.uint8)
    for b in range(blocks):
        for at in scales_at:
            raw[b, at:at + 2] = f16(rng.uniform(-2, 2))
    values = gguf.quants.dequantize(raw.reshape(-1), qtype).astype(np.float32)
    assert values.size == n * blocks
    record("decode", name, raw, values)


ggml("q4_0", Q.Q4_0, [0])
ggml("q4_1", Q.Q4_1, [0, 2])
ggml("q5_0", Q.Q5_0, [0])
ggml("q5_1", Q.Q5_1, [0, 2])
ggml("q8_0", Q.Q8_0, [0])
ggml("iq4_nl", Q.IQ4_NL, [0])
ggml("q2_k", Q.Q2_K, [80, 82])
ggml("q3_k", Q.Q3_K, [108])
ggml("q4_k", Q.Q4_K, [0, 2])
ggml("q5_k", Q.Q5_K, [0, 2])
ggml("q6_k", Q.Q6_K, [208])
ggml("iq4_xs", Q.IQ4_XS, [0])
ggml("mxfp4", Q.MXFP4, [], 4)
ggml("bf16", Q.BF16, [])
record("decode", "mxfp4", b"\0" + bytes(range(0, 256, 16)) + b"\xfe" + bytes(range(0, 256, 16)),
       gguf.quants.dequantize(np.frombuffer(b"\0" + bytes(range(0, 256, 16)) + b"\xfe" +
                              bytes(range(0, 256, 16)), np.uint8), Q.MXFP4).astype(np.float32))
every = torch.arange(256, dtype=torch.uint8)
record("decode", "f8_e4m3", every.numpy(), every.view(torch.float8_e4m3fn).float().numpy())
record("decode", "f8_e5m2", every.numpy(), every.view(torch.float8_e5m2).float().numpy())

x = np.concatenate([rng.normal(0, 0.05, 256), np.zeros(32), rng.integers(-8, 8, 64) / 16,
                    [-1.0], np.full(31, 0.5), np.full(32, -3e-9)]).astype(np.float32)
for name, qtype in (("q4_0", Q.Q4_0), ("q4_1", Q.Q4_1), ("q8_0", Q.Q8_0), ("bf16", Q.BF16), ("f16", Q.F16)):
    record("encode", name, x, gguf.quants.quantize(x, qtype))


def scaled(name, stored, values, kind, scales, cols, flat=0, groups=(1, 1), inverse=0, nested_group=0,
           row0=0, factor=1.0, offset=0.0, tolerance=0.0, nested=b"", table=b"", code=b""):
    par = struct.pack("<8I3f", KINDS[kind], flat, *groups, inverse, nested_group, cols, row0, factor,
                      offset, tolerance)
    record("scaled", name, stored, values, par, scales, nested, table, code)


# bitsandbytes' compiled CPU kernels are off where a group straddles rows (4-bit) and round to the wrong
# level near zero (8-bit), so its portable forms are used, which do what its CUDA kernels do.
def dequantize_4bit(q, s):
    a = s.absmax
    if s.nested:
        a = _dequantize_blockwise_compute(a, s.state2.absmax, s.state2.code, s.state2.blocksize,
                                          torch.float32) + s.offset
    return _dequantize_4bit_compute(q.reshape(-1), a, s.code, s.blocksize, s.shape, torch.float32)


def quantize_blockwise(x, blocksize, code=bnb.create_dynamic_map(signed=True)):
    g = x.reshape(-1, blocksize)
    a = g.abs().max(dim=-1)[0]
    g = torch.clamp(g * (1.0 / a.clamp(min=1e-38).view(-1, 1)), -1, 1).reshape(-1)
    return torch.bucketize(g, (code[:-1] + code[1:]) / 2).to(torch.uint8), a, code


ROWS, COLS = 8, 96
w = torch.from_numpy(rng.normal(0, 0.1, (ROWS, COLS)).astype(np.float32))
w[1, :70] = 0  # a whole group of 64 zeros: flat groups straddle rows of 96
for kind in ("nf4", "fp4"):
    q, s = bnb.quantize_4bit(w, blocksize=64, quant_type=kind)
    record("quantize", kind, w.numpy(), struct.pack("<3I", ROWS, COLS, 64), q.numpy(), s.absmax.numpy())
    scaled(kind, q.numpy(), dequantize_4bit(q, s).numpy(), "f32", s.absmax.numpy(), COLS, flat=64)
q, s = bnb.quantize_4bit(torch.cat([w] * 40), blocksize=64, compress_statistics=True, quant_type="nf4")
want = dequantize_4bit(q, s).numpy()
keep = 4 * COLS  # of rows 280 to 283: scales of the second group of 256
scaled("nf4", q.numpy().reshape(-1)[280 * COLS // 2:284 * COLS // 2], want[280:284], "nested",
       s.absmax.numpy()[280 * COLS // 64:], COLS, flat=64, row0=280, nested_group=s.state2.blocksize,
       offset=float(s.offset), nested=s.state2.absmax.numpy(), table=s.state2.code.numpy(),
       code=s.code.numpy())
q, a, code = quantize_blockwise(w, 64)
want = _dequantize_blockwise_compute(q, a, code, 64, torch.float32).numpy()
record("quantize", "i8_map", w.numpy(), struct.pack("<3I", ROWS, COLS, 64), q.numpy(), a.numpy())
scaled("i8_map", q.numpy(), want, "f32", a.numpy(), COLS, flat=64)
scaled("i8_map", q.numpy(), want, "f32", a.numpy(), COLS, flat=64, code=code.numpy())
q, scb, _ = bnb.int8_vectorwise_quant(w.half())
record("quantize", "i8", w.half().float().numpy(), struct.pack("<3I", ROWS, COLS, 0), q.numpy(), scb.numpy())
scaled("i8", q.numpy(), bnb.int8_vectorwise_dequant(q, scb).numpy(), "f32", scb.numpy(), COLS,
       groups=(1, COLS), factor=np.float32(1) / np.float32(127), tolerance=2e-7)


def bits16(t):
    return t.view(torch.int16).numpy()


def grid(name, dtype, kind, groups, inverse=0):
    """Scales of rectangles, as torch multiplies them out."""
    rows, cols = 21, 40
    e = torch.from_numpy(rng.normal(0, 4, (rows, cols)).astype(np.float32)).to(dtype)
    shape = (-(-rows // groups[0]), -(-cols // groups[1]))
    s = torch.from_numpy(rng.uniform(0.01, 2, shape).astype(np.float32))
    s = s.to({"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[kind])
    full = s.float().repeat_interleave(groups[0], 0)[:rows].repeat_interleave(groups[1], 1)[:, :cols]
    values = e.float() * (1 / full if inverse else full)
    scaled(name, e.view(torch.uint8).numpy(), values.numpy(), kind,
           s.numpy() if kind == "f32" else bits16(s), cols, groups=groups, inverse=inverse)


grid("f8_e4m3", torch.float8_e4m3fn, "f32", (16, 24))
grid("f8_e4m3", torch.float8_e4m3fn, "bf16", (1, 40))
grid("f8_e4m3", torch.float8_e4m3fn, "f16", (21, 40), inverse=1)
grid("f8_e5m2", torch.float8_e5m2, "f32", (8, 8))

blocks = torch.from_numpy(rng.integers(0, 256, (1, 4, 3, 16), dtype=np.uint8))
scales = torch.from_numpy(rng.integers(110, 130, (1, 4, 3), dtype=np.uint8))
want = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
want = want[0].T if want.shape[1] == 96 else want[0]  # [out, in] = [4, 96]
scaled("e2m1", blocks.numpy(), want.contiguous().numpy(), "e8m0", scales.numpy(), 96, groups=(1, 32))
print(out.tell(), "bytes")
