#!/usr/bin/env python3
"""Small random models of families whose code is published with their weights and not part of transformers,
with logits of a reference written here, in float32, from the papers and that code.

usage: make_remote.py OUT_DIR [NAME ...]

The forward passes below follow, each on its own and without sharing tricks with airlchat:
Baichuan-7B/13B, Baichuan2 (modeling_baichuan.py), InternLM (modeling_internlm.py), InternLM2
(modeling_internlm2.py), Qwen-7B (modeling_qwen.py), DeepSeekMoE-16B (modeling_deepseek.py), ChatGLM2/3 (modeling_chatglm.py), MiniCPM
(modeling_minicpm.py). Nothing here runs in `make check`."""
import json, math, os, random, shutil, sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

V, H, N, LAYERS = 72, 32, 4, 2
D = H // N


def rms(x, w, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * w


def rotate_half(x):
    a, b = x.chunk(2, -1)
    return torch.cat((-b, a), -1)


def rope_half(x, theta=10000.0):
    """x [heads, T, d]: pairs (i, i + d/2)."""
    d, t = x.shape[-1], torch.arange(x.shape[-2]).float()
    freq = torch.outer(t, 1.0 / (theta ** (torch.arange(0, d, 2).float() / d)))
    emb = torch.cat((freq, freq), -1)
    return x * emb.cos() + rotate_half(x) * emb.sin()


def rope_pairs_of_half(x, theta):
    """ChatGLM: x [heads, T, d]; the first half of d rotates in pairs (2i, 2i + 1)."""
    rot = x.shape[-1] // 2
    freq = torch.outer(torch.arange(x.shape[-2]).float(), 1.0 / (theta ** (torch.arange(0, rot, 2).float() / rot)))
    first = x[..., :rot].reshape(*x.shape[:-1], rot // 2, 2)
    cos, sin = freq.cos(), freq.sin()
    out = torch.stack([first[..., 0] * cos - first[..., 1] * sin, first[..., 1] * cos + first[..., 0] * sin], -1)
    return torch.cat((out.flatten(-2), x[..., rot:]), -1)


def attend(q, k, v, bias=None):
    """q [N, T, d], k and v [KV, T, d]"""
    k, v = (z.repeat_interleave(q.shape[0] // z.shape[0], 0) for z in (k, v))
    s = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if bias is not None:
        s = s + bias
    s = s.masked_fill(torch.ones(s.shape[-2:]).triu(1).bool(), float("-inf"))
    return (s.softmax(-1) @ v).transpose(0, 1).flatten(1)


def heads(x, n):
    return x.view(x.shape[0], n, -1).transpose(0, 1)


def linear(w, name, x):
    return F.linear(x, w[name + ".weight"], w.get(name + ".bias"))


def slopes(n):
    def power(n):
        start = 2 ** (-(2 ** -(math.log2(n) - 3)))
        return [start * start ** i for i in range(n)]
    if math.log2(n).is_integer():
        return power(n)
    near = 2 ** math.floor(math.log2(n))
    return power(near) + slopes(2 * near)[0::2][:n - near]


def baichuan(c, w, ids):
    x = w["model.embed_tokens.weight"][ids]
    t, n = len(ids), c["num_attention_heads"]
    alibi = "max_position_embeddings" not in c
    bias = torch.tensor(slopes(n))[:, None, None] * torch.arange(t).float() if alibi else None
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        h = rms(x, w[p + "input_layernorm.weight"], c["rms_norm_eps"])
        q, k, v = (heads(z, n) for z in linear(w, p + "self_attn.W_pack", h).unflatten(-1, (3, -1)).unbind(1))
        if not alibi:
            q, k = rope_half(q), rope_half(k)
        x = x + linear(w, p + "self_attn.o_proj", attend(q, k, v, bias))
        h = rms(x, w[p + "post_attention_layernorm.weight"], c["rms_norm_eps"])
        gate = F.silu(linear(w, p + "mlp.gate_proj", h))
        x = x + linear(w, p + "mlp.down_proj", gate * linear(w, p + "mlp.up_proj", h))
    x = rms(x, w["model.norm.weight"], c["rms_norm_eps"])
    head = w["lm_head.weight"]
    return F.linear(x, F.normalize(head) if "z_loss_weight" in c else head)


def llama_like(c, w, ids):
    """InternLM (biases in attention); MiniCPM (three scales)."""
    x = w["model.embed_tokens.weight"][ids] * c.get("scale_emb", 1)
    n, kv = c["num_attention_heads"], c["num_key_value_heads"]
    depth = c["scale_depth"] / math.sqrt(c["num_hidden_layers"]) if "scale_depth" in c else 1
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        h = rms(x, w[p + "input_layernorm.weight"], c["rms_norm_eps"])
        q = rope_half(heads(linear(w, p + "self_attn.q_proj", h), n))
        k = rope_half(heads(linear(w, p + "self_attn.k_proj", h), kv))
        v = heads(linear(w, p + "self_attn.v_proj", h), kv)
        x = x + depth * linear(w, p + "self_attn.o_proj", attend(q, k, v))
        h = rms(x, w[p + "post_attention_layernorm.weight"], c["rms_norm_eps"])
        gate = F.silu(linear(w, p + "mlp.gate_proj", h))
        x = x + depth * linear(w, p + "mlp.down_proj", gate * linear(w, p + "mlp.up_proj", h))
    x = rms(x, w["model.norm.weight"], c["rms_norm_eps"])
    if "dim_model_base" in c:
        x = x / (c["hidden_size"] / c["dim_model_base"])
    return F.linear(x, w.get("lm_head.weight", w["model.embed_tokens.weight"]))


def internlm2(c, w, ids):
    x = w["model.tok_embeddings.weight"][ids]
    n, kv = c["num_attention_heads"], c["num_key_value_heads"]
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        h = rms(x, w[p + "attention_norm.weight"], c["rms_norm_eps"])
        qkv = linear(w, p + "attention.wqkv", h).view(len(ids), kv, 2 + n // kv, D)
        q = qkv[:, :, :n // kv].flatten(1, 2).transpose(0, 1)
        k, v = qkv[:, :, -2].transpose(0, 1), qkv[:, :, -1].transpose(0, 1)
        a = attend(rope_half(q, c["rope_theta"]), rope_half(k, c["rope_theta"]), v)
        x = x + linear(w, p + "attention.wo", a)
        h = rms(x, w[p + "ffn_norm.weight"], c["rms_norm_eps"])
        gate = F.silu(linear(w, p + "feed_forward.w1", h))
        x = x + linear(w, p + "feed_forward.w2", gate * linear(w, p + "feed_forward.w3", h))
    return F.linear(rms(x, w["model.norm.weight"], c["rms_norm_eps"]), w["output.weight"])


def deepseek_moe(c, w, ids):
    """DeepSeekMoE 16B (modeling_deepseek.py): Llama's attention; behind the first layers, experts by softmax."""
    x, n, kv = w["model.embed_tokens.weight"][ids], c["num_attention_heads"], c["num_key_value_heads"]

    def mlp(p, h):
        return linear(w, p + "down_proj", F.silu(linear(w, p + "gate_proj", h)) * linear(w, p + "up_proj", h))
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        h = rms(x, w[p + "input_layernorm.weight"], c["rms_norm_eps"])
        q = rope_half(heads(linear(w, p + "self_attn.q_proj", h), n))
        k = rope_half(heads(linear(w, p + "self_attn.k_proj", h), kv))
        x = x + linear(w, p + "self_attn.o_proj", attend(q, k, heads(linear(w, p + "self_attn.v_proj", h), kv)))
        h = rms(x, w[p + "post_attention_layernorm.weight"], c["rms_norm_eps"])
        if i < c["first_k_dense_replace"]:
            x = x + mlp(p + "mlp.", h)
            continue
        scores, chosen = linear(w, p + "mlp.gate", h).softmax(-1).topk(c["num_experts_per_tok"])
        y = mlp(p + "mlp.shared_experts.", h)
        for t in range(len(ids)):
            for s, e in zip(scores[t], chosen[t].tolist()):
                y[t] = y[t] + s * mlp(p + f"mlp.experts.{e}.", h[t])
        x = x + y
    return F.linear(rms(x, w["model.norm.weight"], c["rms_norm_eps"]), w["lm_head.weight"])


def qwen(c, w, ids, prompt=None):
    """prompt: so many ids came first, the others one at a time; the base of rope stays what it was for them."""
    x = w["transformer.wte.weight"][ids]
    n, t, trained, theta = c["num_attention_heads"], len(ids), c["seq_length"], 10000.0
    if c["use_dynamic_ntk"]:
        alpha = max(2 ** math.ceil(math.log((prompt or t) / trained, 2) + 1) - 1, 1)
        theta *= alpha ** (D / (D - 2))
    logn = torch.tensor([math.log(i, trained) if i > trained and c["use_logn_attn"] else 1 for i in range(1, t + 1)])
    for i in range(c["num_hidden_layers"]):
        p = f"transformer.h.{i}."
        h = rms(x, w[p + "ln_1.weight"], c["layer_norm_epsilon"])
        q, k, v = (heads(z, n) for z in linear(w, p + "attn.c_attn", h).split(H, -1))
        q = rope_half(q, theta) * logn[:, None]
        x = x + linear(w, p + "attn.c_proj", attend(q, rope_half(k, theta), v))
        h = rms(x, w[p + "ln_2.weight"], c["layer_norm_epsilon"])
        x = x + linear(w, p + "mlp.c_proj", linear(w, p + "mlp.w1", h) * F.silu(linear(w, p + "mlp.w2", h)))
    return F.linear(rms(x, w["transformer.ln_f.weight"], c["layer_norm_epsilon"]), w["lm_head.weight"])


def chatglm(c, w, ids):
    x = w["transformer.embedding.word_embeddings.weight"][ids]
    n, kv, t = c["num_attention_heads"], c["multi_query_group_num"], len(ids)
    theta = 10000.0 * c.get("rope_ratio", 1)
    for i in range(c["num_layers"]):
        p = f"transformer.encoder.layers.{i}."
        h = rms(x, w[p + "input_layernorm.weight"], c["layernorm_epsilon"])
        mixed = linear(w, p + "self_attention.query_key_value", h)
        if c["multi_query_attention"]:
            q, k, v = mixed.split([n * D, kv * D, kv * D], -1)
            q, k, v = heads(q, n), heads(k, kv), heads(v, kv)
        else:
            q, k, v = (z.transpose(0, 1) for z in mixed.view(t, n, 3 * D).chunk(3, -1))
        a = attend(rope_pairs_of_half(q, theta), rope_pairs_of_half(k, theta), v)
        x = x + linear(w, p + "self_attention.dense", a)
        h = rms(x, w[p + "post_attention_layernorm.weight"], c["layernorm_epsilon"])
        gate, up = linear(w, p + "mlp.dense_h_to_4h", h).chunk(2, -1)
        x = x + linear(w, p + "mlp.dense_4h_to_h", F.silu(gate) * up)
    x = rms(x, w["transformer.encoder.final_layernorm.weight"], c["layernorm_epsilon"])
    return F.linear(x, w["transformer.output_layer.weight"])


def base(**kw):
    return dict(dict(hidden_size=H, intermediate_size=40, num_hidden_layers=LAYERS, num_attention_heads=N,
                     vocab_size=V, rms_norm_eps=1e-6, hidden_act="silu", tie_word_embeddings=False,
                     bos_token_id=1, eos_token_id=2), **kw)


def llama_names(i, kv=N, bias=False):
    p = f"model.layers.{i}."
    out = {p + "self_attn.q_proj": (H, H), p + "self_attn.k_proj": (kv * D, H), p + "self_attn.v_proj": (kv * D, H),
           p + "self_attn.o_proj": (H, H)}
    return {k + s: v if s == ".weight" else v[:1] for k, v in out.items()
            for s in ((".weight", ".bias") if bias else (".weight",))}


def norms_and_ffn(i, ffn=40):
    p = f"model.layers.{i}."
    return {p + "input_layernorm.weight": (H,), p + "post_attention_layernorm.weight": (H,),
            p + "mlp.gate_proj.weight": (ffn, H), p + "mlp.up_proj.weight": (ffn, H), p + "mlp.down_proj.weight": (H, ffn)}


def shapes(kind, c):
    out = {}
    for i in range(LAYERS):
        if kind is baichuan:
            p = f"model.layers.{i}.self_attn."
            width = c["hidden_size"]
            out.update({p + "W_pack.weight": (3 * width, width), p + "o_proj.weight": (width, width)})
            out.update({k: tuple(width if z == H else z for z in s) for k, s in norms_and_ffn(i).items()})
        elif kind is llama_like:
            out.update(llama_names(i, c["num_key_value_heads"], c.get("bias", False)), **norms_and_ffn(i))
        elif kind is deepseek_moe:
            p, names = f"model.layers.{i}.mlp.", norms_and_ffn(i)
            if i >= c["first_k_dense_replace"]:
                names = {k: v for k, v in names.items() if "mlp" not in k}
                parts = [f"experts.{e}" for e in range(c["n_routed_experts"])] + ["shared_experts"]
                for part in parts:
                    f = c["moe_intermediate_size"] * (c["n_shared_experts"] if part == "shared_experts" else 1)
                    names.update({p + part + ".gate_proj.weight": (f, H), p + part + ".up_proj.weight": (f, H),
                                  p + part + ".down_proj.weight": (H, f)})
                names[p + "gate.weight"] = (c["n_routed_experts"], H)
            out.update(llama_names(i, c["num_key_value_heads"]), **names)
        elif kind is internlm2:
            p, kv = f"model.layers.{i}.", c["num_key_value_heads"]
            out.update({p + "attention_norm.weight": (H,), p + "ffn_norm.weight": (H,),
                        p + "attention.wqkv.weight": ((N + 2 * kv) * D, H), p + "attention.wo.weight": (H, H),
                        p + "feed_forward.w1.weight": (40, H), p + "feed_forward.w3.weight": (40, H),
                        p + "feed_forward.w2.weight": (H, 40)})
        elif kind is qwen:
            p, ffn = f"transformer.h.{i}.", c["intermediate_size"] // 2
            out.update({p + "ln_1.weight": (H,), p + "ln_2.weight": (H,), p + "attn.c_attn.weight": (3 * H, H),
                        p + "attn.c_attn.bias": (3 * H,), p + "attn.c_proj.weight": (H, H),
                        p + "mlp.w1.weight": (ffn, H), p + "mlp.w2.weight": (ffn, H), p + "mlp.c_proj.weight": (H, ffn)})
        else:
            p = f"transformer.encoder.layers.{i}."
            kv = c["multi_query_group_num"] if c["multi_query_attention"] else N
            out.update({p + "input_layernorm.weight": (H,), p + "post_attention_layernorm.weight": (H,),
                        p + "self_attention.query_key_value.weight": ((N + 2 * kv) * D, H),
                        p + "self_attention.query_key_value.bias": ((N + 2 * kv) * D,),
                        p + "self_attention.dense.weight": (H, H), p + "mlp.dense_h_to_4h.weight": (80, H),
                        p + "mlp.dense_4h_to_h.weight": (H, 40)})
    return dict(out, **ENDS[kind](c))


ENDS = {
    baichuan: lambda c: {"model.embed_tokens.weight": (V, c["hidden_size"]), "lm_head.weight": (V, c["hidden_size"]),
                         "model.norm.weight": (c["hidden_size"],)},
    llama_like: lambda c: dict({"model.embed_tokens.weight": (V, H), "model.norm.weight": (H,)},
                               **({} if c["tie_word_embeddings"] else {"lm_head.weight": (V, H)})),
    deepseek_moe: lambda c: {"model.embed_tokens.weight": (V, H), "model.norm.weight": (H,), "lm_head.weight": (V, H)},
    internlm2: lambda c: {"model.tok_embeddings.weight": (V, H), "output.weight": (V, H), "model.norm.weight": (H,)},
    qwen: lambda c: {"transformer.wte.weight": (V, H), "lm_head.weight": (V, H), "transformer.ln_f.weight": (H,)},
    chatglm: lambda c: {"transformer.embedding.word_embeddings.weight": (V, H),
                        "transformer.output_layer.weight": (V, H),
                        "transformer.encoder.final_layernorm.weight": (H,)},
}
GLM = dict(model_type="chatglm", architectures=["ChatGLMModel"], hidden_size=H, ffn_hidden_size=40, num_layers=LAYERS,
           num_attention_heads=N, kv_channels=D, padded_vocab_size=V, seq_length=256, layernorm_epsilon=1e-5,
           rmsnorm=True, add_bias_linear=False, add_qkv_bias=True, multi_query_group_num=2,
           apply_residual_connection_post_layernorm=False, post_layer_norm=True, tie_word_embeddings=False,
           original_rope=True, eos_token_id=2)
QWEN = dict(model_type="qwen", architectures=["QWenLMHeadModel"], hidden_size=H, intermediate_size=80,
            num_hidden_layers=LAYERS, num_attention_heads=N, vocab_size=V, layer_norm_epsilon=1e-6, kv_channels=D,
            rotary_emb_base=10000, rotary_pct=1.0, seq_length=64, no_bias=True, max_position_embeddings=256,
            scale_attn_weights=True, use_dynamic_ntk=True, use_logn_attn=True, tie_word_embeddings=False)
MODELS = {
    "baichuan-7b": (baichuan, base(model_type="baichuan", architectures=["BaiChuanForCausalLM"],
                                   max_position_embeddings=256)),
    "baichuan-13b": (baichuan, base(model_type="baichuan", architectures=["BaichuanForCausalLM"], hidden_size=48,
                                    num_attention_heads=6, model_max_length=256)),
    "baichuan2-7b": (baichuan, base(model_type="baichuan", architectures=["BaichuanForCausalLM"],
                                    max_position_embeddings=256, model_max_length=256, z_loss_weight=0)),
    "internlm": (llama_like, base(model_type="internlm", architectures=["InternLMForCausalLM"], bias=True,
                                  num_key_value_heads=N, max_position_embeddings=256)),
    "internlm2": (internlm2, base(model_type="internlm2", architectures=["InternLM2ForCausalLM"], bias=False,
                                  num_key_value_heads=2, rope_theta=1000000, max_position_embeddings=256,
                                  rope_scaling=dict(type="dynamic", factor=2.0))),
    "qwen": (qwen, QWEN),
    "qwen-long": (qwen, dict(QWEN, seq_length=9)),
    "deepseek-moe": (deepseek_moe, base(
        model_type="deepseek", architectures=["DeepseekForCausalLM"], num_key_value_heads=2, first_k_dense_replace=1,
        moe_layer_freq=1, n_routed_experts=4, n_shared_experts=2, num_experts_per_tok=2, moe_intermediate_size=12,
        norm_topk_prob=False, scoring_func="softmax", max_position_embeddings=256)),
    "chatglm3": (chatglm, dict(GLM, multi_query_attention=True)),
    "glm-4-thudm": (chatglm, dict(GLM, multi_query_attention=True, rope_ratio=500)),
    "minicpm": (llama_like, base(model_type="minicpm", architectures=["MiniCPMForCausalLM"], num_key_value_heads=2,
                                 max_position_embeddings=256, scale_emb=12, scale_depth=1.4, dim_model_base=16,
                                 tie_word_embeddings=True)),
}


def build(name, out):
    kind, c = MODELS[name]
    gen = torch.Generator().manual_seed(7)
    w = {}
    for key, shape in sorted(shapes(kind, c).items()):
        x = torch.randn(shape, generator=gen)
        norm = "norm" in key or "ln_" in key
        x = x * (1.4 / shape[-1] ** 0.5) if len(shape) > 1 else 1 + 0.2 * x if norm else 0.2 * x
        w[key] = x.bfloat16()
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    save_file(w, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
        json.dump(dict(c, torch_dtype="bfloat16"), f, indent=1)
    w = {k: v.float() for k, v in w.items()}
    rng = random.Random(7)
    cur = [rng.randrange(3, V) for _ in range(24)]
    tokens = cur[:]
    logits = kind(c, w, torch.tensor(cur))
    for _ in range(8):
        cur.append(int(kind(c, w, torch.tensor(cur))[-1].argmax()))
    rounded = lambda rows: [[float(f"{x:.6g}") for x in row] for row in rows.tolist()]  # noqa: E731
    gold = dict(reference="make_remote.py", tokens=tokens, greedy=cur[24:], logits=rounded(logits))
    if name == "qwen-long":
        gold["stepped"] = dict(prompt=8, logits=rounded(kind(c, w, torch.tensor(tokens), 8)[7:]))
    with open(os.path.join(folder, "golden.json"), "w", encoding="utf-8") as f:
        json.dump(gold, f)


if __name__ == "__main__":
    for name in sys.argv[2:] or MODELS:
        build(name, sys.argv[1])
