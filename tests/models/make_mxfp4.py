#!/usr/bin/env python3
"""Write quantized-mxfp4: a tiny gpt-oss whose experts are MXFP4 as published (tensors *_blocks and *_scales).

The logits are transformers' in float32 on the weights that its own converter makes of the blocks. Needs torch,
transformers and safetensors; run from anywhere."""
import json, os, tempfile

import torch
import transformers as T
from safetensors.torch import load_file, save_file
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "quantized-mxfp4")
TOKENS = [3, 17, 60, 5, 33, 9, 41, 12, 70, 8, 22, 5]

torch.manual_seed(5)
config = T.GptOssConfig(vocab_size=72, hidden_size=64, intermediate_size=32, num_hidden_layers=2,
                        num_attention_heads=4, num_key_value_heads=2, head_dim=16, num_local_experts=4,
                        num_experts_per_tok=2, sliding_window=9, max_position_embeddings=256, rope_scaling=None,
                        initializer_range=0.15)
gen = torch.Generator().manual_seed(5)
with tempfile.TemporaryDirectory() as plain:
    T.AutoModelForCausalLM.from_config(config).to(torch.bfloat16).save_pretrained(plain)
    whole, packed = load_file(plain + "/model.safetensors"), {}
    for name, w in whole.items():
        if not name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            packed[name] = w
            continue
        experts, rows, cols = w.shape  # [in, out]; the blocks are [out, in]
        packed[name + "_blocks"] = torch.randint(0, 256, (experts, cols, rows // 32, 16), generator=gen,
                                                 dtype=torch.uint8)
        packed[name + "_scales"] = torch.randint(121, 124, (experts, cols, rows // 32), generator=gen,
                                                 dtype=torch.uint8)
        whole[name] = convert_moe_packed_tensors(packed[name + "_blocks"], packed[name + "_scales"]).contiguous()
        assert whole[name].shape == w.shape
    save_file(whole, plain + "/model.safetensors", metadata={"format": "pt"})
    model = T.AutoModelForCausalLM.from_pretrained(plain, dtype=torch.float32, attn_implementation="eager").eval()
    with open(plain + "/config.json", encoding="utf-8") as f:
        saved = json.load(f)
saved["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": [
    "model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]}
os.makedirs(OUT, exist_ok=True)
save_file(packed, OUT + "/model.safetensors", metadata={"format": "pt"})
with open(OUT + "/config.json", "w", encoding="utf-8") as f:
    json.dump(saved, f, indent=1)
cur = TOKENS[:]
with torch.no_grad():
    logits = model(torch.tensor([TOKENS])).logits[0]
    for _ in range(8):
        cur.append(int(model(torch.tensor([cur]), use_cache=False).logits[0, -1].argmax()))
with open(OUT + "/golden.json", "w", encoding="utf-8") as f:
    json.dump(dict(transformers=T.__version__, tokens=TOKENS, greedy=cur[len(TOKENS):],
                   logits=[[float(f"{x:.6g}") for x in row] for row in logits.tolist()]), f)
