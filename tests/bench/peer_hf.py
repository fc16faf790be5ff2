#!/usr/bin/env python3
"""One greedy answer of a Python peer on the CPU, timed token by token (for peers.py).

usage: peer_hf.py airllm|offload MODELDIR TOKENS [SCRATCH]

airllm: AirLLM with prefetching; its split layers go to SCRATCH once. offload: every weight of transformers'
model on disk through accelerate, memory-mapped from the safetensors files. Prints {"prefill_s", "s_per_token"}.
"""
import json
import os
import statistics
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"
import torch  # noqa: E402

peer, folder, tokens = sys.argv[1], sys.argv[2], int(sys.argv[3])
scratch = sys.argv[4] if len(sys.argv) > 4 else "scratch"
if peer == "airllm":
    from airllm import AutoModel
    model = AutoModel.from_pretrained(folder, device="cpu", dtype=torch.bfloat16, prefetching=True,
                                      layer_shards_saving_path=scratch)
else:
    from transformers import AutoConfig, AutoModelForCausalLM
    layers = range(AutoConfig.from_pretrained(folder).num_hidden_layers)
    places = {"model.embed_tokens": "disk", "model.rotary_emb": "cpu", "model.norm": "disk", "lm_head": "disk"}
    places |= {f"model.layers.{i}": "disk" for i in layers}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, device_map=places,
                                                 offload_folder=scratch)
if tokens == 0:  # only split
    raise SystemExit

ids = torch.arange(300, 316).unsqueeze(0)
marks = [time.monotonic()]


class Clock:
    """A streamer: generate() hands it the prompt, then each token."""
    def put(self, _):
        marks.append(time.monotonic())

    def end(self):
        pass


with torch.inference_mode():
    model.generate(ids, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, use_cache=True,
                   streamer=Clock())
steps = [b - a for a, b in zip(marks[1:], marks[2:])]  # from the prompt's hand-over on
print(json.dumps({"prefill_s": steps[0], "s_per_token": statistics.mean(steps[1:])}))
