"""golden.jsonl: small tokenizers of every make against what `tokenizers` and `sentencepiece` say
(make_golden.py wrote it)."""
import base64, json, os, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "cli"))
from tap import SRC, done, json_lines, ok  # noqa: E402


def check(entry):
    with tempfile.TemporaryDirectory() as d:
        for name, content in entry["files"].items():
            data = base64.b64decode(content[0]) if isinstance(content, list) else content.encode()
            with open(os.path.join(d, name), "wb") as f:
                f.write(data)
        lines = [{"text": x, "add_special_tokens": s} for x, s, _ in entry["encode"]]
        lines += [{"ids": i, "skip_special_tokens": s} for i, s, _ in entry["decode"]]
        got, r = json_lines(["tokenize", d], lines)
    want = [x[2] for x in entry["encode"] + entry["decode"]]
    wrong = [(q, w, g) for q, w, g in zip(lines, want, got) if g.get("ids", g.get("text")) != w]
    ok(len(got) == len(want) and not wrong, f"{entry['name']}: {len(want)} cases", wrong[:1] or r.stderr)


def main():
    with open(os.path.join(SRC, "tests", "tokenizer", "golden.jsonl"), encoding="utf-8") as f:
        for line in f:
            check(json.loads(line))
    done()


main()
