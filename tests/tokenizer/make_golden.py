"""Makes tests/tokenizer/golden.jsonl: small tokenizers with pipelines drawn at random from everything
that `tokenizers` offers (and airlchat supports), and what `tokenizers` itself makes of random texts
and ids; then other file formats, with what `tokenizers` or `sentencepiece` say of the same vocabulary.

    make_golden.py                 write golden.jsonl
    make_golden.py FROM TO BINARY  compare BINARY with `tokenizers` on these seeds instead

Needs Python `tokenizers` 0.23, `sentencepiece`. Lines: {"name", "files": {name: text or [base64]},
"encode": [[text, add_special_tokens, ids]], "decode": [[ids, skip_special_tokens, text]]}."""
import base64, json, os, random, shutil, subprocess, sys, tempfile

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers import decoders as D, models as M, normalizers as N, pre_tokenizers as P, processors as R, trainers as T

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = [
    "Hello world, it's a test. We're 100% sure that you'll like 12345 things!", "The quick brown fox jumps over the lazy dog.",
    "naïve café résumé ÀÉÎ Ünïcödé straße", "中文测试，这是一个例子。日本語のテキスト、カタカナ", "한국어 텍스트 예제", "Привет мир!",
    "def foo(x, y):\n\treturn x + y  # comment\n\n\n", "  leading   and trailing   spaces   ", "emoji 😀🚀👩‍👩‍👧 done", "مرحبا بالعالم",
    "हिन्दी में पाठ", "a1b2c3 ①②③ ½ ²", "http://example.com/path?q=1&r=2", "CamelCaseWord snake_case_word ALLCAPS", "ﬁ ﬂ ｆｕｌｌ ㎏ Å ö ô"] * 3
PIECES = list("abcdeABCDE   \n\t'.,!?-_/<>[]{}()0123456789") + [
    "é", "ß", "İ", "ſ", "ö", "o\u0308", "\u0301", "\u0327", "中", "国", "本", "の", "カ", "한", "\u1112\u1161\u11ab", "я", "😀", "👩\u200d👧",
    "\u200b", "\u00a0", "\u3000", "▁", "①", "½", "²", "…", "“", "’", "ﬁ", "Ａ", "\u0000", "\u0007", "\ufeff", "\u2028", "\r", "\r\n", "अ", "\u093f",
    "\u094d", "Σ", "ς", "ǅ", "\U0001d400", "٣", "Ⅷ", "ª", "‿", "–", "€", "$", "+", "=", "^", "`", "|", "~", "\ufffd", "\ue000", "à", "你好",
    "<s>", "</s>", "[X]", "tok", "Tok", "TOK", " tok", " <m>", "<m>", "it's", "WE'RE", "'ll", "12", "345", "1000000"]
PATTERNS = [
    r"\s+", r"\p{L}+", r"\p{N}{1,3}", r"[^\s\p{L}\p{N}]+", r"\w+", r"\W+", r"\d+", r" ?[^(\s|[.,!?…。，、])]+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[\p{L}&&[^\p{Han}]]+", r"\p{Han}+", r"\p{Hiragana}|\p{Katakana}+", r"(?=[A-Z])", r"\b", r"$", r"^", r"\d{1,3}(?=(?:\d{3})*\b)",
    r"(?=(\d{3})+(?!\d))", r"[a-c]++", r"[[:punct:]]", r"[[:alpha:]]+", r"\p{Ll}+", r"[^\n]+|[\n]+", r"\p{M}", r"\s{2,}(?=\S)", r" {2,}",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", r"\p{Emoji}", r"\p{Zs}", r".", r"(?<=a).", r"(a|b)\1", r"x*",
    r"\h+", r"[\x{4e00}-\x{9fff}]", r"\u4e2d|\u56fd", r"\p{N}{1,3}+", r"a?+b", r"a{,2}", r"a(?i)b|c"]
BEHAVIORS = ["isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"]
SPECIAL = ["<unk>", "<s>", "</s>"]


def text(r):
    k = r.random()
    if k < 0.15:
        return r.choice(CORPUS)
    if k < 0.25:
        return (" " * r.randint(0, 3)).join(r.choice(CORPUS).split(" ")[:r.randint(1, 6)])
    return "".join(r.choice(PIECES) for _ in range(r.randint(0, 24)))


def pattern(r):
    if r.random() < 0.3:
        return r.choice([" ", "a", "▁", "  ", "\n", "ab", "'"])
    return Regex(r.choice(PATTERNS))


def normalizer(r, depth=0):
    return r.choice([
        N.NFC, N.NFD, N.NFKC, N.NFKD, N.Lowercase, N.StripAccents, N.Nmt,
        lambda: N.Replace(pattern(r), r.choice(["", "▁", " ", "x", "é"])), lambda: N.Prepend(r.choice(["▁", "x", " "])),
        lambda: N.Strip(r.random() < .5, r.random() < .5),
        lambda: N.BertNormalizer(r.random() < .5, r.random() < .5, r.choice([None, True, False]), r.random() < .5),
        lambda: N.Sequence([normalizer(r, depth + 1) for _ in range(r.randint(1, 3))]) if depth < 2 else N.NFC(),
        lambda: N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]), lambda: N.Replace(Regex(" {2,}"), " "),
        lambda: N.ByteLevel() if r.random() < .3 else N.NFC()])()


def pretokenizer(r, depth=0):
    def split():
        return P.Split(pattern(r), r.choice(BEHAVIORS), r.random() < .3)

    def sequence():
        if depth > 1:
            return split()
        return P.Sequence([pretokenizer(r, depth + 1) for _ in range(r.randint(1, 3))])
    return r.choice([
        split, split, sequence, sequence, sequence, lambda: P.ByteLevel(r.random() < .4, use_regex=r.random() < .5),
        lambda: P.Metaspace("▁", r.choice(["always", "first", "never"]), r.random() < .5), lambda: P.Digits(r.random() < .5),
        lambda: P.Punctuation(r.choice(BEHAVIORS)), P.Whitespace, P.WhitespaceSplit, P.BertPreTokenizer,
        lambda: P.CharDelimiterSplit(r.choice([" ", "a", "-"])), lambda: P.FixedLength(r.randint(1, 6)),
        lambda: P.Sequence([P.Split(Regex(PATTERNS[8]), "isolated"), P.ByteLevel(False, use_regex=False)])])()


def decoder(r, depth=0):
    return r.choice([
        D.ByteLevel, lambda: D.Metaspace("▁", r.choice(["always", "first", "never"])), D.ByteFallback, D.Fuse,
        lambda: D.Strip(r.choice([" ", "a", "▁"]), r.randint(0, 2), 0), lambda: D.Replace(pattern(r), r.choice(["", " ", "x"])),
        lambda: D.BPEDecoder(r.choice(["</w>", "a"])), lambda: D.WordPiece("##", r.random() < .5),
        lambda: D.CTC("<pad>", "|", r.random() < .5),
        lambda: D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)]),
        lambda: D.Sequence([decoder(r, 1) for _ in range(r.randint(1, 4))]) if depth < 1 else D.ByteLevel()])()


def model(r, small):
    kind = r.choice(["BPE", "BPE", "BPE", "Unigram", "WordPiece", "WordLevel"])
    size = r.choice([60, 110, 160]) if small else r.choice([120, 400, 800])
    common = {"special_tokens": SPECIAL, "show_progress": False}
    if kind == "Unigram":
        return kind, M.Unigram(), T.UnigramTrainer(vocab_size=size + 40, unk_token="<unk>", **common)
    if kind == "WordPiece":
        m = M.WordPiece(unk_token="<unk>", max_input_chars_per_word=r.choice([100, 5]))
        return kind, m, T.WordPieceTrainer(vocab_size=size, limit_alphabet=60, **common)
    if kind == "WordLevel":
        return kind, M.WordLevel(unk_token="<unk>"), T.WordLevelTrainer(vocab_size=size, **common)
    ends = {}
    if r.random() < .15:
        ends["continuing_subword_prefix"] = "##"
    if r.random() < .15:
        ends["end_of_word_suffix"] = "</w>"
    fallback = r.random() < .3
    unk = {"unk_token": "<unk>"} if r.random() < .6 else {}
    if fallback:
        common["special_tokens"] = SPECIAL + [f"<0x{b:02X}>" for b in range(256 if r.random() < .8 else 100)]
        size += 256
    m = M.BPE(fuse_unk=r.random() < .5, byte_fallback=fallback, **ends, **unk)
    return kind, m, T.BpeTrainer(vocab_size=size, limit_alphabet=r.choice([30, 60] if small else [30, 200, 1000]), **ends, **common)


def build(seed, small):
    """A tokenizer, or None where `tokenizers` itself fails."""
    r = random.Random(seed)
    kind, m, trainer = model(r, small)
    t = Tokenizer(m)
    if r.random() < .6:
        t.normalizer = normalizer(r)
    if r.random() < .8:
        t.pre_tokenizer = pretokenizer(r)
    t.train_from_iterator(CORPUS, trainer)
    j = json.loads(t.to_str())
    if kind == "BPE" and r.random() < .3:
        j["model"]["ignore_merges"] = True
    if kind == "BPE" and r.random() < .3:
        j["model"]["merges"] = [" ".join(m) for m in j["model"]["merges"] if all(" " not in x for x in m)]
    if kind == "Unigram" and r.random() < .4:
        have = {x[0] for x in j["model"]["vocab"]}
        j["model"]["byte_fallback"] = True
        j["model"]["vocab"] += [[f"<0x{b:02X}>", -20.0] for b in range(256) if f"<0x{b:02X}>" not in have]
    t = Tokenizer.from_str(json.dumps(j))
    for _ in range(r.randint(0, 5)):
        c = r.choice(["[X]", "tok", "Tok", "<m>", " ", "  ", "\n", "▁", "İ", "é", "<|im_end|>", "中", "a b", "'s", "  x", "Éa"])
        t.add_tokens([AddedToken(c, single_word=r.random() < .3, lstrip=r.random() < .3, rstrip=r.random() < .3,
                                 normalized=r.random() < .5, special=r.random() < .4)])
    t.post_processor = r.choice([
        lambda: R.TemplateProcessing(single=r.choice(["<s> $A </s>", "<s> $A $A"]), pair="$A $B", special_tokens=[("<s>", 1), ("</s>", 2)]),
        lambda: R.BertProcessing(("</s>", 2), ("<s>", 1)), lambda: R.RobertaProcessing(("</s>", 2), ("<s>", 1)),
        lambda: R.Sequence([R.ByteLevel(), R.TemplateProcessing(single="<s> $A", pair="$A $B", special_tokens=[("<s>", 1)])]),
        lambda: R.ByteLevel()])()
    if r.random() < .85:
        t.decoder = decoder(r)
    t = Tokenizer.from_str(t.to_str())
    added = t.get_added_tokens_decoder().values()
    if t.normalizer and any(a.normalized and not t.normalizer.normalize_str(a.content) for a in added):
        return None  # it then looks for the empty text
    return t


def cases(t, seed, n):
    r = random.Random(seed * 7 + 1)
    encode, decode = [], []
    for _ in range(n):
        x, special, ids = text(r), r.random() < .5, []
        try:
            ids = t.encode(x, add_special_tokens=special).ids
            encode.append([x, special, ids])
        except BaseException:  # a panic of its own
            pass
        if r.random() < .4:
            some = ids if ids and r.random() < .5 else [r.randrange(t.get_vocab_size()) for _ in range(r.randint(1, 8))]
            skip = r.random() < .5
            try:
                decode.append([some, skip, t.decode(some, skip_special_tokens=skip)])
            except BaseException:
                pass
    return {"encode": encode, "decode": decode}


def compare(first, last, binary):
    bad = 0
    for seed in range(first, last):
        try:
            t = build(seed, False)
        except BaseException:
            t = None
        if t is None:
            continue
        with tempfile.TemporaryDirectory() as d:
            t.save(d + "/tokenizer.json")
            c = cases(t, seed, 60)
            lines = [{"text": x, "add_special_tokens": s} for x, s, _ in c["encode"]] + [{"ids": i, "skip_special_tokens": s} for i, s, _ in c["decode"]]
            p = subprocess.run([binary, "tokenize", d], input="\n".join(map(json.dumps, lines)), capture_output=True, text=True)
        got = [json.loads(x) for x in p.stdout.split("\n") if x]
        want = [x[2] for x in c["encode"] + c["decode"]]
        wrong = [(q, w, g) for q, w, g in zip(lines, want, got) if g.get("ids", g.get("text")) != w]
        if wrong or len(got) != len(want):
            bad += 1
            print(seed, p.stderr[:200], json.dumps(wrong[:1])[:1000])
    print(f"seeds {first} to {last}: {bad} differ")


def byte_of_char():
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return {chr(c): b for b, c in zip(plain + [b for b in range(256) if b not in plain], plain + list(range(256, 256 + 68)))}


def other_formats():
    """Byte-level BPE as GPT-2's two files and as tekken.json; SentencePiece's own file."""
    r = random.Random(11)
    t = Tokenizer(M.BPE())
    t.pre_tokenizer = P.ByteLevel(False)
    t.decoder = D.ByteLevel()
    t.train_from_iterator(CORPUS, T.BpeTrainer(vocab_size=330, special_tokens=["<|endoftext|>"], show_progress=False,
                                               initial_alphabet=P.ByteLevel.alphabet()))
    m = json.loads(t.to_str())["model"]
    yield {"name": "vocab.json and merges.txt", "files": {
        "vocab.json": json.dumps(m["vocab"]), "merges.txt": "#version: 0.2\n" + "\n".join(map(" ".join, m["merges"])) + "\n"}, **cases(t, 5, 30)}
    chars = byte_of_char()
    by_id = sorted((i, x) for x, i in m["vocab"].items() if i)
    tekken = {"config": {"pattern": PATTERNS[26], "default_vocab_size": len(by_id) + 3, "default_num_special_tokens": 3},
              "vocab": [{"rank": i - 1, "token_bytes": base64.b64encode(bytes(chars[c] for c in x)).decode()} for i, x in by_id]}
    texts = [x for x in (text(r) for _ in range(60)) if "<" not in x]
    yield {"name": "tekken.json", "files": {"tekken.json": json.dumps(tekken)}, "decode": [],
           "encode": [[x, True, [1] + [i + 2 for i in t.encode(x).ids]] for x in texts]}
    texts = [x for x in texts if "\0" not in x and "▁" not in x]
    for kind in ("bpe", "unigram"):
        with tempfile.TemporaryDirectory() as d:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(CORPUS), model_prefix=d + "/m", vocab_size=420, model_type=kind, byte_fallback=True, minloglevel=2,
                hard_vocab_limit=False, normalization_rule_name="identity", remove_extra_whitespaces=kind == "unigram")
            sp = sentencepiece.SentencePieceProcessor(model_file=d + "/m.model")
            blob = open(d + "/m.model", "rb").read()
        yield {"name": "tokenizer.model, " + kind, "files": {"tokenizer.model": [base64.b64encode(blob).decode()]},
               "encode": [[x, False, sp.encode(x)] for x in texts], "decode": [[sp.encode(x), False, sp.decode(sp.encode(x))] for x in texts if sp.encode(x)]}


def named():
    """Pipelines that the seeds don't draw."""
    t = Tokenizer(M.WordLevel(unk_token="<unk>"))
    t.pre_tokenizer = P.UnicodeScripts()
    t.train_from_iterator(CORPUS, T.WordLevelTrainer(special_tokens=SPECIAL, show_progress=False))
    yield "UnicodeScripts", t, ["  leading", "   ", "", "カタはー。x漢字 ひ", "a\u0301b c", "٣٤a", "a\u0378b\ue000c\u200dd", "\u0378 ж中", "한국 ｆｕｌｌ １２"]


def main():
    if len(sys.argv) > 3:
        compare(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
        return
    with open(os.path.join(HERE, "golden.jsonl"), "w", encoding="utf-8") as f:
        for seed in range(40):
            try:
                t = build(seed, True)
            except BaseException:
                continue
            if t:
                j = {"name": f"seed {seed}", "files": {"tokenizer.json": json.dumps(json.loads(t.to_str()), ensure_ascii=False, separators=(",", ":"))}}
                f.write(json.dumps({**j, **cases(t, seed, 20)}, separators=(",", ":")) + "\n")
        for name, t, texts in named():
            j = {"name": name, "files": {"tokenizer.json": t.to_str()}, **cases(t, 3, 30)}
            j["encode"] += [[x, False, t.encode(x).ids] for x in texts]
            f.write(json.dumps(j, separators=(",", ":")) + "\n")
        for j in other_formats():
            f.write(json.dumps(j, separators=(",", ":")) + "\n")


main()
