"""Tiny quantized Llamas in the published layouts, with reference logits. Needs torch, transformers,
bitsandbytes (on a CPU) and safetensors; run from anywhere: make_quantized.py [NAME...]

The reference is transformers in float32 on the dequantized weights, dequantized by bitsandbytes itself or by the
published formula of the format. Where transformers can load the folder as it is on a CPU, its own logits are
compared too and printed."""
import json, os, shutil, sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
import bitsandbytes.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
TOKENS = [1, 17, 60, 5, 33, 9]


def tiny(seed):
    torch.manual_seed(seed)
    config = LlamaConfig(vocab_size=72, hidden_size=96, intermediate_size=160, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, head_dim=24, max_position_embeddings=128,
                         initializer_range=0.1, tie_word_embeddings=False)
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.config.torch_dtype = "bfloat16"
    return model


def dequantize_4bit(q, s, shape):
    """By bitsandbytes, one block a row: its CPU code assumes that blocks don't straddle rows, which the
    format allows and which these models do (96 and 160 columns, blocks of 64)."""
    dtype, s.dtype = s.dtype, torch.float32
    own, s.shape = s.shape, torch.Size([s.absmax.numel(), s.blocksize])
    whole = torch.zeros(s.absmax.numel() * s.blocksize // 2, 1, dtype=q.dtype)  # the last block may be shorter
    whole[:q.numel()] = q
    n = torch.Size(shape).numel()
    out = F.dequantize_4bit(whole, s).flatten()[:n].reshape(shape).clone()
    s.dtype, s.shape = dtype, own
    return out


def linears(state):
    return [n for n in state if n.endswith("_proj.weight")]


def nf4(state, kind="nf4", nested=False, blocksize=64):
    out, plain = dict(state), dict(state)
    for n in linears(state):
        q, s = F.quantize_4bit(state[n], blocksize=blocksize, quant_type=kind, compress_statistics=nested)
        plain[n] = dequantize_4bit(q, s, state[n].shape)
        out[n] = q
        for k, v in s.as_dict(packed=True).items():
            out[f"{n}.{k}"] = v.clone()
    config = {"quant_method": "bitsandbytes", "_load_in_4bit": True, "_load_in_8bit": False,
              "load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_quant_type": kind,
              "bnb_4bit_use_double_quant": nested, "bnb_4bit_compute_dtype": "float32",
              "bnb_4bit_quant_storage": "uint8", "llm_int8_skip_modules": None, "llm_int8_threshold": 6.0}
    return out, plain, config


def int8(state):
    out, plain = dict(state), dict(state)
    for n in linears(state):
        w = state[n].float()
        scb = w.abs().amax(1)
        q = torch.round(w * 127 / scb[:, None]).to(torch.int8)
        out[n], out[n[:-6] + "SCB"] = q, scb
        plain[n] = q.float() * scb[:, None] / 127
    config = {"quant_method": "bitsandbytes", "_load_in_4bit": False, "_load_in_8bit": True,
              "load_in_4bit": False, "load_in_8bit": True, "llm_int8_threshold": 0.0,
              "llm_int8_skip_modules": None}
    return out, plain, config


def blocks(scale, shape, size):
    return scale.repeat_interleave(size[0], 0).repeat_interleave(size[1], 1)[:shape[0], :shape[1]]


def fp8_block(state, size=(64, 64)):
    """DeepSeek-V3's layout: weight_scale_inv is multiplied; the last blocks are not whole."""
    out, plain = dict(state), dict(state)
    for n in linears(state):
        w = state[n].float()
        r, c = -(-w.shape[0] // size[0]), -(-w.shape[1] // size[1])
        amax = torch.tensor([[w[i * size[0]:(i + 1) * size[0], j * size[1]:(j + 1) * size[1]].abs().max()
                              for j in range(c)] for i in range(r)])
        scale = amax / 448
        q = (w / blocks(scale, w.shape, size)).to(torch.float8_e4m3fn)
        out[n], out[n + "_scale_inv"] = q, scale
        plain[n] = q.float() * blocks(scale, w.shape, size)
    return out, plain, {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": list(size),
                        "modules_to_not_convert": ["lm_head"]}


def fp8_rows(state):
    """compressed-tensors' float-quantized with one scale a row, bf16; o_proj with one for the tensor."""
    out, plain = dict(state), dict(state)
    for n in linears(state):
        w = state[n].float()
        whole = "o_proj" in n
        scale = ((w.abs().max().reshape(1) if whole else w.abs().amax(1, keepdim=True)) / 448).to(torch.bfloat16)
        q = (w / scale.float()).clamp(-448, 448).to(torch.float8_e4m3fn)
        out[n], out[n + "_scale"] = q, scale
        plain[n] = q.float() * scale.float()
    return out, plain, {"quant_method": "compressed-tensors", "format": "float-quantized", "ignore": ["lm_head"],
                        "config_groups": {"group_0": {"targets": ["Linear"], "weights": {
                            "num_bits": 8, "type": "float", "strategy": "channel", "symmetric": True}}}}


def airllm(state, bits):
    """AirLLM's compress_layer_state_dict: every tensor, norms and embedding too."""
    out, plain = {}, {}
    for n, w in state.items():
        if bits == 4:
            q, s = F.quantize_4bit(w, blocksize=64, quant_type="nf4", compress_statistics=False)
            plain[n] = dequantize_4bit(q, s, w.shape)
            out.update({f"{n}.4bit.{k}": v.clone() for k, v in s.as_dict(packed=True).items()})
        else:
            q, s = F.quantize_blockwise(w, blocksize=2048)
            s.dtype = torch.float32
            plain[n] = F.dequantize_blockwise(q, s).reshape(w.shape)
            out[n + ".8bit.absmax"], out[n + ".8bit.code"] = s.absmax.clone(), s.code.clone()
        out[n] = q
    return out, plain, None


KINDS = {"nf4": lambda s: nf4(s), "nf4-double": lambda s: nf4(s, nested=True, blocksize=128),
         "fp4": lambda s: nf4(s, "fp4"), "int8": int8, "fp8-block": fp8_block, "fp8-rows": fp8_rows,
         "airllm-4bit": lambda s: airllm(s, 4), "airllm-8bit": lambda s: airllm(s, 8)}


def split(tensors, to):
    """One file a layer with its marker, as AirLLM's persister writes them."""
    layers = {}
    for n, t in tensors.items():
        part = n.split(".")
        key = ".".join(part[:3]) if part[1] == "layers" else ".".join(part[:1 if part[0] == "lm_head" else 2])
        layers.setdefault(key, {})[n] = t
    for key, some in layers.items():
        save_file(some, os.path.join(to, key + ".safetensors"))
        open(os.path.join(to, key + ".safetensors.done"), "w").close()


def logits(model):
    with torch.no_grad():
        return model(torch.tensor([TOKENS])).logits[0].float()


def make(name, seed):
    model = tiny(seed)
    state = {k: v.clone().contiguous() for k, v in model.state_dict().items()}
    out, plain, config = KINDS[name](state)
    to = os.path.join(HERE, "quantized-" + name)
    shutil.rmtree(to, ignore_errors=True)
    model.config.save_pretrained(to)
    path = os.path.join(to, "config.json")
    with open(path, encoding="utf-8") as f:
        j = json.load(f)
    if config:
        j["quantization_config"] = config
    with open(path, "w", encoding="utf-8") as f:
        json.dump(j, f, indent=1)
    if name.startswith("airllm"):
        split(out, to)
    else:
        save_file({k: v.contiguous() for k, v in out.items()}, os.path.join(to, "model.safetensors"),
                  {"format": "pt"})
    full = LlamaForCausalLM(model.config).float()  # anew: its rope frequencies were never bf16
    full.load_state_dict({k: v.float() for k, v in plain.items()})
    full.eval()
    want = logits(full)
    greedy, ids = [], list(TOKENS)
    for _ in range(8):
        with torch.no_grad():
            ids.append(int(full(torch.tensor([ids])).logits[0, -1].argmax()))
        greedy.append(ids[-1])
    with open(os.path.join(to, "golden.json"), "w", encoding="utf-8") as f:
        json.dump({"tokens": TOKENS, "greedy": greedy, "logits": [[round(x, 6) for x in r] for r in want.tolist()]}, f)
    s = want.std()
    try:
        got = logits(AutoModelForCausalLM.from_pretrained(to, dtype=torch.float32).eval())
        print(f"{name}: transformers as loaded differs by {(got - want).abs().max() / s:.1e} s")
    except Exception as e:  # a method that needs a GPU or a package
        print(f"{name}: transformers can't load it here: {str(e)[:100]}")


for i, k in enumerate(KINDS):
    if len(sys.argv) < 2 or k in sys.argv[1:]:
        make(k, 40 + i)
