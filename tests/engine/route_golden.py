#!/usr/bin/env python3
"""Cases of expert routing by transformers' own routers -> tests/engine/route_golden.inc.

Needs torch and transformers in a scratch environment; nothing here runs in `make check`."""
import sys
import torch
from transformers import MixtralConfig, Qwen2MoeConfig, DeepseekV2Config, DeepseekV3Config, GptOssConfig
from transformers.models.mixtral.modeling_mixtral import MixtralTopKRouter
from transformers.models.qwen2_moe.modeling_qwen2_moe import Qwen2MoeTopKRouter
from transformers.models.deepseek_v2.modeling_deepseek_v2 import DeepseekV2TopkRouter
from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3TopkRouter
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssTopKRouter

torch.manual_seed(7)
H = 32


def run(name, router, moe, bias=None):
    with torch.no_grad():
        for p in router.parameters():
            p.copy_(torch.randn(p.shape))
        if bias is not None:
            router.e_score_correction_bias.copy_(bias)
        for case in range(4):
            x = torch.randn(1, H)
            logits, weights, ids = router(x) if name != "deepseek-v3" else router(x)
            pairs = sorted((int(i), float(w)) for i, w in zip(ids[0], weights[0]))
            b = [] if bias is None else bias.tolist()
            fmt = lambda v: "{" + ", ".join(f"{float(a):.9g}f" if "." in f"{float(a):.9g}" or "e" in f"{float(a):.9g}" else f"{float(a):.9g}.0f" for a in v) + "}"
            print(f'{{"{name} {case}", {moe},\n\t.logits = {fmt(logits[0])},')
            if b:
                print(f"\t.bias = {fmt(b)}, .has_bias = true,")
            print("\t.want = {" + ", ".join(f"{{{i}, {w:.9g}f}}" for i, w in pairs) + "}},")


c = MixtralConfig(hidden_size=H, num_local_experts=6, num_experts_per_tok=2)
run("mixtral", MixtralTopKRouter(c), "{.n_experts = 6, .top_k = 2, .normalize = true, .scale = 1, .groups = 1, .top_groups = 1}")
c = Qwen2MoeConfig(hidden_size=H, num_experts=8, num_experts_per_tok=3, norm_topk_prob=False)
run("qwen2-moe", Qwen2MoeTopKRouter(c), "{.n_experts = 8, .top_k = 3, .scale = 1, .groups = 1, .top_groups = 1}")
c = DeepseekV2Config(hidden_size=H, num_attention_heads=4, num_key_value_heads=4, n_routed_experts=8, num_experts_per_tok=2, n_group=4, topk_group=2, topk_method="group_limited_greedy", routed_scaling_factor=16.0)
run("deepseek-v2", DeepseekV2TopkRouter(c), "{.n_experts = 8, .top_k = 2, .scale = 16, .groups = 4, .top_groups = 2}")
c = DeepseekV3Config(hidden_size=H, num_attention_heads=4, num_key_value_heads=4, n_routed_experts=16, num_experts_per_tok=4, n_group=4, topk_group=2, routed_scaling_factor=2.5, norm_topk_prob=True)
run("deepseek-v3", DeepseekV3TopkRouter(c), "{.n_experts = 16, .top_k = 4, .score = ROUTE_SIGMOID, .normalize = true, .scale = 2.5f, .groups = 4, .top_groups = 2, .group_sum2 = true}", 0.3 * torch.randn(16))
c = GptOssConfig(hidden_size=H, num_local_experts=8, num_experts_per_tok=4)
run("gpt-oss", GptOssTopKRouter(c), "{.n_experts = 8, .top_k = 4, .score = ROUTE_TOPK_SOFTMAX, .scale = 1, .groups = 1, .top_groups = 1}")
