#!/usr/bin/env python3
"""Write the small random models of the golden tests, with logits and greedy ids by transformers.

usage: make_models.py OUT_DIR [NAME ...] [--seed N] [--dtype bfloat16|float16|float32]

Each is a Hugging Face folder OUT_DIR/NAME (config.json, model.safetensors) with golden.json: tokens [T],
logits [T][V] of a float32 pass over the stored weights, greedy: ids that follow. Needs torch and
transformers; nothing here runs in `make check`."""
import argparse, json, os, random, shutil

import torch
import transformers as T
from safetensors.torch import load_file, save_file

V = 72


def c(**kw):
    base = dict(vocab_size=V, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2,
                pad_token_id=0, tie_word_embeddings=False)
    base.update(kw)
    return base


def plain(*drop, **kw):
    base = c(**kw)
    for k in drop:
        base.pop(k)
    return base


def small(**kw):
    """For families that differ from others in little."""
    return c(**dict(dict(hidden_size=16, intermediate_size=24, num_attention_heads=2, num_key_value_heads=1), **kw))


MLA = dict(num_attention_heads=2, num_key_value_heads=2, q_lora_rank=12, kv_lora_rank=16, qk_rope_head_dim=4,
           qk_nope_head_dim=8, v_head_dim=12)
GRANITE = dict(embedding_multiplier=6.0, attention_multiplier=0.2, residual_multiplier=0.3, logits_scaling=3.0)
FALCON = dict(vocab_size=V, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, bos_token_id=1,
              eos_token_id=2, max_position_embeddings=256)
LONGROPE = dict(rope_type="longrope", short_factor=[1.0, 1.1, 1.2, 1.5], long_factor=[1.0, 2.0, 4.0, 8.0],
                original_max_position_embeddings=32)
# name -> (config class, arguments, tokens of the prompt)
MODELS = {
    "llama": ("LlamaConfig", c(), 24),
    "llama-mha-tied": ("LlamaConfig", c(num_key_value_heads=4, tie_word_embeddings=True), 24),
    "llama-headdim": ("LlamaConfig", c(head_dim=16, rope_theta=500000.0), 24),
    "llama-bias": ("LlamaConfig", c(attention_bias=True, mlp_bias=True), 24),
    "llama3-rope": ("LlamaConfig", c(rope_scaling=dict(
        rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=32), rope_theta=500000.0), 44),
    "linear-rope": ("LlamaConfig", c(rope_scaling=dict(rope_type="linear", factor=4.0)), 24),
    "dynamic-rope": ("LlamaConfig", c(max_position_embeddings=32, rope_scaling=dict(
        rope_type="dynamic", factor=2.0)), 44),
    "yarn": ("LlamaConfig", c(rope_scaling=dict(rope_type="yarn", factor=4.0,
                                                original_max_position_embeddings=32)), 44),
    "yarn-mscale": ("LlamaConfig", c(rope_scaling=dict(
        rope_type="yarn", factor=8.0, mscale=1.3, mscale_all_dim=0.5, beta_fast=16, truncate=False,
        original_max_position_embeddings=32)), 44),
    "longrope-short": ("Phi3Config", c(rope_scaling=LONGROPE, original_max_position_embeddings=32), 24),
    "longrope-long": ("Phi3Config", c(rope_scaling=LONGROPE, original_max_position_embeddings=32), 44),
    "mistral": ("MistralConfig", c(sliding_window=9), 24),
    "qwen2": ("Qwen2Config", c(), 24),
    "qwen2-window": ("Qwen2Config", c(use_sliding_window=True, sliding_window=9, max_window_layers=1), 24),
    "qwen3": ("Qwen3Config", c(head_dim=16), 24),
    "gemma": ("GemmaConfig", c(head_dim=16, tie_word_embeddings=True), 24),
    "gemma2": ("Gemma2Config", c(head_dim=16, sliding_window=9, query_pre_attn_scalar=24,
                                 tie_word_embeddings=True, attn_logit_softcapping=3.0,
                                 final_logit_softcapping=2.0), 24),
    "gemma3": ("Gemma3TextConfig", c(head_dim=16, sliding_window=9, query_pre_attn_scalar=24, num_hidden_layers=3,
                                     sliding_window_pattern=3, tie_word_embeddings=True, attn_logit_softcapping=3.0,
                                     rope_scaling=dict(rope_type="linear", factor=8.0)), 24),
    "phi": ("PhiConfig", c(), 24),
    "phi-qk": ("PhiConfig", c(qk_layernorm=True, partial_rotary_factor=0.75), 24),
    "phi3": ("Phi3Config", c(sliding_window=9), 24),
    "phi3-partial": ("Phi3Config", c(partial_rotary_factor=0.5), 24),
    "olmo": ("OlmoConfig", c(clip_qkv=0.7), 24),
    "olmo2": ("Olmo2Config", c(), 24),
    "olmo3": ("Olmo3Config", c(num_hidden_layers=4, sliding_window=9, rope_scaling=dict(
        rope_type="yarn", factor=4.0, original_max_position_embeddings=32)), 44),
    "granite": ("GraniteConfig", c(embedding_multiplier=6.0, attention_multiplier=0.2, residual_multiplier=0.3,
                                   logits_scaling=3.0), 24),
    "smollm3": ("SmolLM3Config", c(num_hidden_layers=4, no_rope_layer_interval=3, use_sliding_window=True,
                                   sliding_window=9), 24),
    "glm": ("GlmConfig", c(head_dim=8, partial_rotary_factor=0.5), 24),
    "glm4": ("Glm4Config", c(head_dim=8, partial_rotary_factor=0.5), 24),
    "stablelm": ("StableLmConfig", c(partial_rotary_factor=0.5), 24),
    "stablelm-parallel": ("StableLmConfig", c(partial_rotary_factor=0.25, use_parallel_residual=True,
                                              qk_layernorm=True, use_qkv_bias=True), 24),
    "arcee": ("ArceeConfig", c(), 24),
    "seed-oss": ("SeedOssConfig", c(head_dim=16), 24),
    "ernie4-5": ("Ernie4_5Config", c(head_dim=16, tie_word_embeddings=True), 24),
    "nemotron": ("NemotronConfig", c(head_dim=8, partial_rotary_factor=0.5), 24),
    "exaone4": ("Exaone4Config", c(sliding_window=9, sliding_window_pattern=4, num_hidden_layers=4), 24),
    "cohere": ("CohereConfig", c(tie_word_embeddings=True, use_qk_norm=True, logit_scale=0.4), 24),
    "cohere2": ("Cohere2Config", c(tie_word_embeddings=True, sliding_window=9, num_hidden_layers=4,
                                   logit_scale=0.4), 24),
    "falcon": ("FalconConfig", dict(FALCON, multi_query=True, parallel_attn=True, bias=False, alibi=False), 24),
    "falcon-new": ("FalconConfig", dict(FALCON, new_decoder_architecture=True, num_kv_heads=2), 24),
    "falcon-alibi": ("FalconConfig", dict(FALCON, num_attention_heads=6, hidden_size=48, multi_query=False,
                                          parallel_attn=False, bias=True, alibi=True), 24),
    "starcoder2": ("Starcoder2Config", c(sliding_window=9), 24),
    "gpt2": ("GPT2Config", dict(vocab_size=V, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=1,
                                eos_token_id=2), 24),
    "gpt2-by-layer": ("GPT2Config", dict(vocab_size=V, n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=1,
                                         eos_token_id=2, scale_attn_by_inverse_layer_idx=True), 24),
    "gpt-neox": ("GPTNeoXConfig", plain("num_key_value_heads", rotary_pct=0.5), 24),
    "gpt-neox-serial": ("GPTNeoXConfig", plain("num_key_value_heads", use_parallel_residual=False), 24),
    "opt": ("OPTConfig", dict(vocab_size=V, hidden_size=32, ffn_dim=40, num_hidden_layers=2, num_attention_heads=4,
                              max_position_embeddings=64, word_embed_proj_dim=32, bos_token_id=1,
                              eos_token_id=2), 24),
    "opt-350m": ("OPTConfig", dict(vocab_size=V, hidden_size=32, ffn_dim=40, num_hidden_layers=2,
                                   num_attention_heads=4, max_position_embeddings=64, word_embed_proj_dim=24,
                                   do_layer_norm_before=False, bos_token_id=1, eos_token_id=2), 24),
    "mixtral": ("MixtralConfig", c(num_local_experts=5, num_experts_per_tok=2), 24),
    "qwen2-moe": ("Qwen2MoeConfig", c(num_hidden_layers=4, num_experts=6, num_experts_per_tok=3,
                                      moe_intermediate_size=24, shared_expert_intermediate_size=16,
                                      decoder_sparse_step=2, mlp_only_layers=[3], use_sliding_window=True,
                                      sliding_window=9, max_window_layers=2), 24),
    "qwen3-moe": ("Qwen3MoeConfig", c(head_dim=16, num_experts=8, num_experts_per_tok=3,
                                      moe_intermediate_size=24, norm_topk_prob=True, decoder_sparse_step=1,
                                      mlp_only_layers=[]), 24),
    "olmoe": ("OlmoeConfig", c(num_experts=6, num_experts_per_tok=2, clip_qkv=0.8), 24),
    "deepseek-v2": ("DeepseekV2Config", c(
        num_key_value_heads=4, q_lora_rank=None, kv_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=16,
        v_head_dim=16, head_dim=8, n_routed_experts=8, num_experts_per_tok=2, n_shared_experts=2,
        moe_intermediate_size=16, first_k_dense_replace=1, topk_method="group_limited_greedy", n_group=4,
        topk_group=2, routed_scaling_factor=2.0, rope_scaling=dict(
            rope_type="yarn", factor=8.0, mscale=0.7, mscale_all_dim=0.7, original_max_position_embeddings=32)),
        44),
    "deepseek-v3": ("DeepseekV3Config", c(
        num_key_value_heads=4, q_lora_rank=16, kv_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=16,
        v_head_dim=24, n_routed_experts=8, num_experts_per_tok=2, n_shared_experts=1, n_group=2, topk_group=1,
        moe_intermediate_size=24, first_k_dense_replace=1, num_hidden_layers=3), 24),
    "deepseek-bias": ("DeepseekV3Config", c(
        num_key_value_heads=4, q_lora_rank=16, kv_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=16,
        v_head_dim=16, n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1, n_group=1, topk_group=1,
        moe_intermediate_size=16, first_k_dense_replace=1, attention_bias=True), 24),
    "glm4-moe": ("Glm4MoeConfig", c(head_dim=8, n_routed_experts=6, num_experts_per_tok=2, n_shared_experts=1,
                                    moe_intermediate_size=24, first_k_dense_replace=1, n_group=1, topk_group=1,
                                    use_qk_norm=True, partial_rotary_factor=0.5), 24),
    "gpt-oss": ("GptOssConfig", c(head_dim=16, num_local_experts=4, num_experts_per_tok=2, sliding_window=9,
                                  rope_scaling=None), 24),
    "gpt-oss-rope": ("GptOssConfig", c(head_dim=16, num_local_experts=2, num_experts_per_tok=1, sliding_window=9), 24),
    "ministral3": ("Ministral3Config", small(head_dim=8, sliding_window=9, rope_parameters=dict(
        rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=5, mscale=1.0,
        mscale_all_dim=1.0, llama_4_scaling_beta=0.3)), 12),
    "internlm3": ("InternLM3Config", small(head_dim=8, attention_bias=True, mlp_bias=True), 12),
    "helium": ("HeliumConfig", small(head_dim=8), 12),
    "cwm": ("CwmConfig", small(head_dim=8, sliding_window=4), 12),
    "jais2": ("Jais2Config", small(head_dim=8), 12),
    "vaultgemma": ("VaultGemmaConfig", small(head_dim=8, sliding_window=4, query_pre_attn_scalar=20,
                                             attn_logit_softcapping=3.0, final_logit_softcapping=2.0), 12),
    "hunyuan": ("HunYuanDenseV1Config", small(head_dim=8, rope_parameters=dict(
        rope_type="dynamic", rope_theta=10000.0, alpha=100.0, factor=1.0)), 12),
    "exaone": ("ExaoneConfig", small(), 12),
    "gptj": ("GPTJConfig", dict(vocab_size=V, n_embd=16, n_layer=2, n_head=2, n_positions=64, rotary_dim=4,
                                bos_token_id=1, eos_token_id=2), 12),
    "gpt-neo": ("GPTNeoConfig", dict(vocab_size=V, hidden_size=16, num_layers=2, num_heads=2, window_size=4,
                                     max_position_embeddings=64, attention_types=[[["global", "local"], 1]],
                                     bos_token_id=1, eos_token_id=2), 12),
    "gpt-bigcode": ("GPTBigCodeConfig", dict(vocab_size=V, n_embd=16, n_layer=2, n_head=2, n_positions=64,
                                             bos_token_id=1, eos_token_id=2), 12),
    "gpt-bigcode-heads": ("GPTBigCodeConfig", dict(vocab_size=V, n_embd=16, n_layer=1, n_head=2, n_positions=64,
                                                   multi_query=False, bos_token_id=1, eos_token_id=2), 12),
    "bloom": ("BloomConfig", dict(vocab_size=V, hidden_size=24, n_layer=2, n_head=3, bos_token_id=1,
                                  eos_token_id=2), 12),
    "mpt": ("MptConfig", dict(vocab_size=V, d_model=24, n_layers=2, n_heads=3, max_seq_len=64, bos_token_id=1,
                              eos_token_id=2, attn_config=dict(clip_qkv=0.9)), 12),
    "granitemoe": ("GraniteMoeConfig", small(num_local_experts=3, num_experts_per_tok=2, **GRANITE), 12),
    "granitemoe-shared": ("GraniteMoeSharedConfig", small(num_local_experts=2, num_experts_per_tok=1,
                                                          shared_intermediate_size=20, **GRANITE), 12),
    "granite-hybrid": ("GraniteMoeHybridConfig", small(
        num_local_experts=0, num_experts_per_tok=0, shared_intermediate_size=20, mamba_n_heads=1,
        layer_types=["attention"] * 2, position_embedding_type="rope", **GRANITE), 12),
    "hunyuan-moe": ("HunYuanMoEV1Config", small(head_dim=8, num_experts=3, moe_topk=2), 12),
    "ernie4-5-moe": ("Ernie4_5_MoeConfig", small(moe_num_experts=3, moe_k=2, moe_intermediate_size=20,
                                                 moe_num_shared_experts=1, moe_layer_start_index=1), 12),
    "minimax-m2": ("MiniMaxM2Config", small(head_dim=8, rotary_dim=4, num_local_experts=3, num_experts_per_tok=2), 12),
    "dots1": ("Dots1Config", small(head_dim=8, n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1,
                                   moe_intermediate_size=12, first_k_dense_replace=1, sliding_window=4,
                                   max_window_layers=1, routed_scaling_factor=2.5), 12),
    "glm4-moe-lite": ("Glm4MoeLiteConfig", small(n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1,
                                                 moe_intermediate_size=12, **MLA), 12),
    "minicpm3": ("MiniCPM3Config", small(scale_emb=6, dim_model_base=8, rope_scaling=dict(
        rope_type="longrope", short_factor=[1.0, 1.5], long_factor=[1.0, 8.0], original_max_position_embeddings=8),
        **MLA), 12),
    "kimi-k2": ("DeepseekV3Config", small(
        n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=1, n_group=1, topk_group=1, moe_intermediate_size=12,
        first_k_dense_replace=1, routed_scaling_factor=2.827, rope_scaling=dict(
            rope_type="yarn", factor=32.0, mscale=1.0, mscale_all_dim=1.0, original_max_position_embeddings=16,
            beta_fast=1.0, beta_slow=1.0), **MLA), 20),
}
# families whose code is another's: what model_type says in their files
RENAMED = {"kimi-k2": "kimi_k2"}
# what is taken out of config.json, since files may leave it out
DROPPED = {"gpt-oss-rope": ("rope_parameters",)}

VISION = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
QWEN_VISION = dict(depth=1, hidden_size=16, num_heads=2, out_hidden_size=32, intermediate_size=16, patch_size=4)
# name -> (config class, model class, arguments): text models inside multimodal checkpoints
MULTIMODAL = {
    "multimodal-gemma3": ("Gemma3Config", "Gemma3ForConditionalGeneration", lambda: dict(
        text_config=c(head_dim=16, sliding_window=9, query_pre_attn_scalar=24, tie_word_embeddings=True),
        vision_config=dict(VISION, image_size=8, patch_size=4), mm_tokens_per_image=1, image_token_index=70)),
    "multimodal-llava": ("LlavaConfig", "LlavaForConditionalGeneration", lambda: dict(
        text_config=dict(c(), model_type="llama"), image_token_index=70,
        vision_config=dict(VISION, model_type="clip_vision_model", image_size=8, patch_size=4))),
    "multimodal-qwen3-moe": ("Qwen3VLMoeConfig", "Qwen3VLMoeForConditionalGeneration", lambda: dict(
        text_config=c(head_dim=16, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=24,
                      rope_scaling=dict(rope_type="default", mrope_section=[2, 3, 3])),
        vision_config=dict(QWEN_VISION, deepstack_visual_indexes=[0]), image_token_id=70, video_token_id=71,
        vision_start_token_id=68, vision_end_token_id=69)),
    "multimodal-qwen3": ("Qwen3VLConfig", "Qwen3VLForConditionalGeneration", lambda: dict(
        text_config=c(head_dim=16, rope_scaling=dict(rope_type="default", mrope_section=[2, 3, 3])),
        vision_config=dict(QWEN_VISION, deepstack_visual_indexes=[0]), image_token_id=70, video_token_id=71,
        vision_start_token_id=68, vision_end_token_id=69)),
}

# transformers 5.23 adds Falcon's ALiBi twice in eager attention (in the mask and in the layer), once in sdpa
SDPA = ("falcon-alibi",)


def randomize(model, seed):
    """Larger than the default init, so that a wrong detail shows in the logits."""
    gen = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() >= 2 and "norm" not in name:
                p.copy_(torch.randn(p.shape, generator=gen) * (1.4 / p.shape[-1] ** 0.5))
            elif "norm" in name and name.endswith("weight"):
                p.copy_(p + 0.2 * torch.randn(p.shape, generator=gen))
            else:
                p.copy_(0.2 * torch.randn(p.shape, generator=gen))
        for name, b in model.named_buffers():
            if "e_score_correction_bias" in name:
                b.copy_(0.1 * torch.randn(b.shape, generator=gen))


def golden(model, n_tok, n_new, seed):
    rng = random.Random(seed)
    cur = [rng.randrange(3, V) for _ in range(n_tok)]
    tokens = cur[:]
    with torch.no_grad():
        logits = model(torch.tensor([cur]), use_cache=False).logits[0].float()
        for _ in range(n_new):
            cur.append(int(model(torch.tensor([cur]), use_cache=False).logits[0, -1].argmax()))
    return dict(transformers=T.__version__, tokens=tokens, greedy=cur[n_tok:],
                logits=[[float(f"{x:.6g}") for x in row] for row in logits.tolist()])


def build(name, seed, dtype, out):
    torch.manual_seed(seed)
    if name in MULTIMODAL:
        cls, kind, kw = MULTIMODAL[name]
        n_tok, loader = 24, getattr(T, kind)
        model = loader(getattr(T, cls)(**kw())).float()
    else:
        cls, kw, n_tok = MODELS[name]
        loader = T.AutoModelForCausalLM
        model = loader.from_config(getattr(T, cls)(**kw), attn_implementation="eager", experts_implementation="eager").float()
    randomize(model, seed)
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    model.to(dtype).save_pretrained(folder)
    if name in DROPPED:
        path = os.path.join(folder, "config.json")
        with open(path, encoding="utf-8") as f:
            config = {k: v for k, v in json.load(f).items() if k not in DROPPED[name]}
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f, indent=2)
    kind = "sdpa" if name in SDPA else "eager"
    model = loader.from_pretrained(folder, dtype=torch.float32, attn_implementation=kind,
                                   experts_implementation="eager").eval()
    # where the length of the text changes the rotation of all of it, greedy ids depend on how it was fed
    n_new = 0 if name in ("dynamic-rope",) else 8
    with open(os.path.join(folder, "golden.json"), "w", encoding="utf-8") as f:
        json.dump(golden(model, n_tok, n_new, seed), f)
    if name in RENAMED:
        path = os.path.join(folder, "config.json")
        with open(path, encoding="utf-8") as f:
            config = dict(json.load(f), model_type=RENAMED[name])
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f, indent=2)
    if name == "multimodal-qwen3-moe":  # as published: the other way round than transformers 5 writes them
        path = os.path.join(folder, "model.safetensors")
        turned = {k: v.transpose(1, 2).contiguous() if "experts" in k else v for k, v in load_file(path).items()}
        save_file(turned, path, metadata={"format": "pt"})
    for extra in ("generation_config.json",):
        if os.path.exists(os.path.join(folder, extra)):
            os.remove(os.path.join(folder, extra))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("names", nargs="*")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--dtype", default="bfloat16")
    a = ap.parse_args()
    for name in a.names or [*MODELS, *MULTIMODAL]:
        build(name, a.seed, getattr(torch, a.dtype), a.out)


if __name__ == "__main__":
    main()
