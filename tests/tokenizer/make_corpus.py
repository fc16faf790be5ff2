"""Seeds for tests/fuzz/fuzz_tokenizer.c: small tokenizer files of every kind. Needs Python `tokenizers`,
`sentencepiece` and `gguf`; run from anywhere."""
import base64, json, os, tempfile

import gguf
import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "fuzz", "corpus", "tokenizer")
TEXT = ["Hello, it's a test of 1234 words.", "naïve café, 中文 テスト 한글", "def f(x):\n    return x + 1", "a b c aa bb cc ab bc"]


def put(name, kind, data):
    with open(os.path.join(OUT, name), "wb") as f:
        f.write(kind.encode() + data)


def trained(model, trainer, **parts):
    t = Tokenizer(model)
    for k, v in parts.items():
        if k not in ("decoder", "post_processor"):
            setattr(t, k, v)
    t.train_from_iterator(TEXT, trainer)
    t.add_tokens([AddedToken("[X]", lstrip=True, normalized=False), AddedToken(" tok", rstrip=True, single_word=True)])
    for k in ("decoder", "post_processor"):
        if k in parts:
            setattr(t, k, parts[k])
    return json.dumps(json.loads(t.to_str()), ensure_ascii=False, separators=(",", ":")).encode()


def main():
    os.makedirs(OUT, exist_ok=True)
    special = ["<unk>", "<s>", "</s>"]
    bpe = dict(vocab_size=140, special_tokens=special, show_progress=False)
    put("bytelevel", "j", trained(
        models.BPE(), trainers.BpeTrainer(**bpe), normalizer=normalizers.NFC(),
        pre_tokenizer=pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(r"\p{N}{1,3}| ?[\p{L}&&[^\p{Han}]]+|\s+(?!\S)"), "isolated"),
            pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(True, use_regex=False)]),
        decoder=decoders.ByteLevel(),
        post_processor=processors.TemplateProcessing(single="<s> $A </s>", pair="$A $B", special_tokens=[("<s>", 1), ("</s>", 2)])))
    put("metaspace", "j", trained(
        models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True),
        trainers.BpeTrainer(**{**bpe, "special_tokens": special + [f"<0x{b:02X}>" for b in range(256)], "vocab_size": 380}),
        normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
        decoder=decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])))
    put("unigram", "j", trained(
        models.Unigram(), trainers.UnigramTrainer(vocab_size=90, special_tokens=special, unk_token="<unk>", show_progress=False),
        normalizer=normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase(), normalizers.Replace(Regex(" {2,}"), " ")]),
        pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first"), decoder=decoders.Metaspace()))
    put("wordpiece", "j", trained(
        models.WordPiece(unk_token="<unk>"), trainers.WordPieceTrainer(vocab_size=120, special_tokens=special, show_progress=False),
        normalizer=normalizers.BertNormalizer(), pre_tokenizer=pre_tokenizers.BertPreTokenizer(), decoder=decoders.WordPiece(),
        post_processor=processors.BertProcessing(("</s>", 2), ("<s>", 1))))
    put("suffix", "j", trained(
        models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", continuing_subword_prefix="##"),
        trainers.BpeTrainer(**bpe, end_of_word_suffix="</w>", continuing_subword_prefix="##"),
        pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("contiguous")]),
        decoder=decoders.BPEDecoder()))
    with tempfile.TemporaryDirectory() as d:
        for kind in ("bpe", "unigram"):
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(TEXT * 3), model_prefix=d + "/m", vocab_size=330 if kind == "bpe" else 310, model_type=kind,
                byte_fallback=True, hard_vocab_limit=False, minloglevel=2,
                normalization_rule_name="identity", user_defined_symbols=["<foo>"])
            put("spm-" + kind, "m", open(d + "/m.model", "rb").read())
        for model in ("gpt2", "llama", "t5"):
            w = gguf.GGUFWriter(d + "/x.gguf", "llama")
            tokens = [t.encode() for t in special + ["a", "b", "c", "ab", "▁", "▁a", "Ġ", "Ġa", "<0x41>", "[X]"]]
            w.add_tokenizer_model(model)
            w.add_tokenizer_pre("llama-bpe")
            w.add_token_list(tokens)
            w.add_token_scores([-float(i) for i in range(len(tokens))])
            w.add_token_types([2, 3, 3] + [1] * 8 + [6, 4])
            if model == "gpt2":
                w.add_token_merges(["a b", "Ġ a"])
            w.add_bos_token_id(1)
            w.add_eos_token_id(2)
            w.add_unk_token_id(0)
            w.write_header_to_file()
            w.write_kv_data_to_file()
            w.close()
            put("gguf-" + model, "g", open(d + "/x.gguf", "rb").read())
    b64 = [base64.b64encode(bytes([i])).decode() for i in range(256)] + [base64.b64encode(b).decode() for b in (b"ab", b" a", b"aa")]
    put("tiktoken", "t", "".join(f"{b} {i}\n" for i, b in enumerate(b64)).encode())
    put("tekken", "k", json.dumps({
        "config": {"pattern": r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+", "default_vocab_size": 259 + 5, "default_num_special_tokens": 5},
        "vocab": [{"rank": i, "token_bytes": b} for i, b in enumerate(b64)],
        "special_tokens": [{"rank": 1, "token_str": "<s>"}, {"rank": 2, "token_str": "</s>"}]}).encode())
    put("vocab-merges", "v", json.dumps({"a": 0, "b": 1, "ab": 2, "Ġ": 3, "Ġa": 4, "<|endoftext|>": 5}).encode() + b"\0#version: 0.2\na b\n\xc4\xa0 a\n")
    for i, p in enumerate([r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}+|\s+(?!\S)|\s+", r"[\p{L}&&[^\p{Han}a-c]]++|\bx{,3}|[[:punct:]^&&\w\S]", r"(a(?i)b|c)*?\1|(?<n>x)\k<n>|\u4e2d[\x{4e00}-\x{9fff}]"]):
        put(f"regex-{i}", "r", p.encode())


main()
