"""Every chat template and every byte-level tokenizer of the oracle's vectors, through the program's own
commands. Without ../shared/vectors the test says so."""
import json, os, sys, tempfile

sys.path.insert(0, os.path.dirname(__file__))
from tap import SRC, VECTORS, done, json_lines, ok, run, skip  # noqa: E402

def lines(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(x) for x in f.read().split("\n") if x]


def right(case, answer):
    if case.get("error"):
        return "error" in answer
    return answer.get("text") in (case["expected"], case.get("expected_noalias", case["expected"]))


def micro(case, context):
    """Render one small template; the answer, also when it does not compile."""
    variables = dict(context if case["context"] == "context.json" else case["context"])
    request = {"messages": variables.pop("messages", []), "kwargs": variables, "now": case.get("now")}
    with tempfile.NamedTemporaryFile("w", suffix=".jinja", newline="", encoding="utf-8") as f:
        f.write(case["template"])
        f.flush()
        r = run("render", "--template", f.name, stdin=json.dumps(request) + "\n")
    return json.loads(r.stdout) if r.stdout else {"error": r.stderr}


def micro_cases(name, cases, context):
    answers = [micro(c, context) for c in cases]
    bad = [(c["template"], c.get("expected"), a) for c, a in zip(cases, answers) if not right(c, a)]
    ok(not bad, f"{name}: {len(cases)} small templates", bad[:2])


def folders():
    """Where a folder may keep its template, and another one for tools."""
    named = [{"name": "default", "template": "D{{ pad_token }}{{ unk_token }}"}, {"name": "tool_use", "template": "T{{ tools|length }}"}]
    broken = [named[0], {"name": "tool_use", "template": "{% nope %}"}]
    tokenizer = {"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}
    for what, files, want in (
            ("a list of templates", {"tokenizer_config.json": {"chat_template": named, "pad_token": "<p>"}, "tokenizer.json": tokenizer}, ["D<p>", "T1"]),
            ("files of templates", {"chat_template.jinja": "file", "additional_chat_templates/tool_use.jinja": "tools {{ tools }}"},
             ["file", "tools [{'a': 1}]"]),
            ("a processor's template", {"chat_template.json": {"chat_template": "P"}}, ["P", "P"]),
            ("a broken template for tools", {"tokenizer_config.json": {"chat_template": broken}}, ["D", None])):
        with tempfile.TemporaryDirectory() as d:
            for name, content in files.items():
                os.makedirs(os.path.dirname(os.path.join(d, name)), exist_ok=True)
                with open(os.path.join(d, name), "w") as f:
                    f.write(content if isinstance(content, str) else json.dumps(content))
            out, r = json_lines(["render", d], [{"messages": [], "tools": None}, {"messages": [], "tools": [{"a": 1}]}])
        ok([x.get("text") for x in out] == want, f"template of a folder: {what}", out or r.stderr)


def main():
    folders()
    own = os.path.join(SRC, "tests", "chat", "jinja.jsonl")
    cases = lines(own)
    micro_cases("jinja2's answers", cases[1:], cases[0])
    if not os.path.isdir(VECTORS):
        skip("template vectors", "../shared/vectors is not here")
        done()
    root = os.path.join(VECTORS, "templates")
    for name in sorted(os.listdir(root)):
        if not os.path.isdir(os.path.join(root, name)):
            continue
        cases = lines(os.path.join(root, name, "cases.jsonl"))
        out, r = json_lines(["render", "--template", os.path.join(root, name, "template.jinja")], cases)
        bad = [(c["id"], a) for c, a in zip(cases, out) if not right(c, a)]
        ok(len(out) == len(cases) and not bad, f"template {name}: {len(cases)} cases", bad[:1] or r.stderr)
    root = os.path.join(VECTORS, "jinja-unit")
    with open(os.path.join(root, "context.json"), encoding="utf-8") as f:
        context = json.load(f)
    micro_cases("jinja-unit", lines(os.path.join(root, "cases.jsonl")), context)
    done()


main()
