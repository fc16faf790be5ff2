#!/usr/bin/env python3
"""What transformers' logits processors make of random logits -> tests/engine/sampler_golden.inc.

The order is that of its generate(): repetition penalty, temperature, top-k, top-p, min-p. Presence and
frequency penalty are not there; they are subtracted as OpenAI's documentation has it. Needs torch and
transformers in a scratch environment; nothing here runs in `make check`."""
import random
import torch
from transformers import (MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper,
                          TopPLogitsWarper)

torch.manual_seed(3)
random.seed(3)
V = 16
DEFAULTS = {"temp": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repeat_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
CASES = [{}, {"temp": 0.5}, {"temp": 2.0}, {"top_k": 1}, {"top_k": 5}, {"top_k": 99}, {"top_p": 0.9}, {"top_p": 0.3}, {"min_p": 0.1},
         {"min_p": 1.0}, {"repeat_penalty": 1.3}, {"repeat_penalty": 0.8}, {"presence_penalty": 1.5}, {"frequency_penalty": 0.7},
         {"temp": 0.7, "top_k": 8, "top_p": 0.8, "min_p": 0.05}, {"temp": 1.5, "top_k": 4, "top_p": 0.95},
         {"temp": 0.8, "top_p": 0.7, "min_p": 0.2, "repeat_penalty": 1.2}, {"temp": 3.0, "top_p": 0.5, "min_p": 0.3},
         {"temp": 0.9, "top_k": 10, "repeat_penalty": 1.1, "presence_penalty": 0.5, "frequency_penalty": 0.3},
         {"temp": 0.6, "top_k": 20, "top_p": 0.95, "presence_penalty": -1.0}]


def number(x):
    s = f"{x:.9g}"
    return s + ("f" if "." in s or "e" in s else ".0f")


def distribution(p, logits, prompt, answer):
    ids, x = torch.tensor([prompt + answer]), logits[None].clone()
    if p["repeat_penalty"] != 1:
        x = RepetitionPenaltyLogitsProcessor(p["repeat_penalty"])(ids, x)
    for i in set(answer):
        x[0, i] -= p["presence_penalty"] + p["frequency_penalty"] * answer.count(i)
    if p["temp"] != 1:
        x = TemperatureLogitsWarper(p["temp"])(ids, x)
    if p["top_k"]:
        x = TopKLogitsWarper(p["top_k"])(ids, x)
    if p["top_p"] < 1:
        x = TopPLogitsWarper(p["top_p"])(ids, x)
    if p["min_p"] > 0:
        x = MinPLogitsWarper(p["min_p"])(ids, x)
    return torch.softmax(x[0].double(), 0).tolist()


for n, changes in enumerate(CASES):
    p = {**DEFAULTS, **changes}
    logits = torch.randn(V) * 2
    prompt, answer = [random.randrange(V) for _ in range(6)], [random.randrange(V) for _ in range(6)]
    want = distribution(p, logits, prompt, answer)
    fields = ", ".join(f".{k} = {v if k == 'top_k' else number(v)}" for k, v in p.items())
    print(f"{{{{{fields}, .seed = {n}}},\n\t{{{', '.join(map(number, logits.tolist()))}}},\n\t"
          f"{{{', '.join(map(str, prompt + answer))}}},\n\t{{{', '.join(number(x) for x in want)}}}}},")
