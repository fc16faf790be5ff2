"""Write jinja.jsonl: small templates and what jinja2 makes of them in transformers' set-up.

    python3 make_jinja.py [MORE] >new.jsonl

Takes the templates of jinja.jsonl beside it, and those in MORE (one JSON string a line). The first line
is the context that all share. Needs transformers and jinja2 (written with 5.24 and 3.1.6)."""
import json, os, re, sys, warnings
from transformers.utils.chat_template_utils import _cached_compile_jinja_template

warnings.filterwarnings("ignore")
here = os.path.dirname(os.path.abspath(__file__))


def answer(template, context):
    given = {"messages": [], "tools": None, "documents": None, "add_generation_prompt": False, **context}
    try:
        return {"expected": _cached_compile_jinja_template(template).render(**given)}
    except Exception as e:
        return {"error": True, "error_type": type(e).__name__}


def main():
    with open(os.path.join(here, "jinja.jsonl"), encoding="utf-8") as f:
        context, *cases = [json.loads(x) for x in f.read().split("\n") if x]
    templates = [c["template"] for c in cases]
    if len(sys.argv) > 1:
        with open(sys.argv[1], encoding="utf-8") as f:
            templates += [json.loads(x) for x in f.read().split("\n") if x]
    print(json.dumps(context, ensure_ascii=False))
    for t in dict.fromkeys(templates):
        a = answer(t, context)
        if re.search(r" at 0x|object>", a.get("expected", "")):
            continue  # an address: different every time
        print(json.dumps({"template": t, "context": "context.json", **a}, ensure_ascii=False))


main()
