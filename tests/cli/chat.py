"""Plain mode, its commands, sessions and the config file, with the real model."""
import json, os, shutil, signal, stat, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.dirname(__file__))
from tap import AIRLCHAT, MODEL, SANITIZED, SRC, done, ok, skip  # noqa: E402


def chat(home, lines, *args, env=None):
    """Answers as JSON objects, messages for people, status."""
    e = {**os.environ, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home, **(env or {})}
    r = subprocess.run([AIRLCHAT, MODEL, "--temp", "0", "-n", "8", "--ctx", "512", "--json", *args], env=e,
                       input="".join(x + "\n" for x in lines), capture_output=True, text=True, timeout=300)
    return [json.loads(x) for x in r.stdout.split("\n") if x], r.stderr, r.returncode


def saved(home):
    folder = os.path.join(home, "airlchat", "sessions")
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def load(home, name):
    with open(os.path.join(home, "airlchat", "sessions", name)) as f:
        return json.load(f)


def commands(home):
    out, err, rc = chat(home, ["Hi", "/retry", "/continue", "/undo", "Hello there", "/edit 1 Hi"])
    ok(rc == 0 and len(out) == 5, "six lines, five answers", err)
    ok(out[0]["ids"] == out[1]["ids"], "/retry makes the same answer when greedy", out[:2])
    warm, _, _ = chat(home, ["Tell me a story", "/retry"], "--temp", "1.5", "--top-p", "1", "--min-p", "0", "--top-k", "0",
                      "--seed", "5", "--no-keep")
    ok(warm[0]["ids"] != warm[1]["ids"], "and another one when sampling, with the same seed", warm)
    both = out[1]["ids"] + out[2]["ids"]
    ok(out[2]["prompt_ids"][-8:] == out[1]["ids"] and out[2]["text"].startswith(out[1]["text"]),
       "/continue goes on where the answer was cut", out[2])
    whole, _, _ = chat(home, ["Hi"], "-n", "16", "--no-keep")
    ok(whole[0]["ids"][:len(both)] == both, "and gives what a longer limit gives", (whole[0]["ids"], both))
    ok(out[4]["ids"] == out[0]["ids"], "/edit answers the new text", out[4])
    name = saved(home)[0]
    messages = load(home, name)["messages"]
    ok([m["role"] for m in messages] == ["user", "assistant"] and messages[0]["content"] == "Hi",
       "the session holds what is left", messages)
    path = os.path.join(home, "airlchat", "sessions", name)
    ok(stat.S_IMODE(os.stat(path).st_mode) == 0o600 and
       stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700, "0600 in 0700")


def sessions(home):
    before = len(saved(home))
    out, err, rc = chat(home, ["And you?", "/fork second", "/sessions"], "--continue")
    ok(rc == 0 and out[0]["stats"]["prompt_tokens"] > 40, "--continue goes on with the conversation", err)
    ok("* second" in err and len(saved(home)) == before + 1, "/fork makes a copy", err)
    e = {**os.environ, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home}
    r = subprocess.run([os.path.abspath(AIRLCHAT), os.path.basename(MODEL), "--temp", "0", "-n", "4", "--ctx", "512",
                        "--continue", "-p", "Well?"], env=e, cwd=os.path.dirname(os.path.abspath(MODEL)), capture_output=True, text=True)
    ok(r.returncode == 0 and "made with" not in r.stderr, "the model may be named from elsewhere", r.stderr)
    out, err, rc = chat(home, ["/delete second", "/open second"], "--resume", "second", "--system", "Be brief.")
    ok("there is no session" in err and "second.json" not in saved(home), "/delete deletes", err)
    _, err, rc = chat(home, [], "--resume", "../../etc/passwd")
    ok(rc == 2 and "can't be the name" in err, "a name can't leave the folder", err)
    n = len(saved(home))
    chat(home, ["Hi"], "--no-keep")
    ok(len(saved(home)) == n, "--no-keep keeps nothing")
    file = os.path.join(home, "out.html")
    chat(home, ["Hi"], "--save", file, "--no-keep")
    with open(file) as f:
        ok("<h2>user</h2>" in f.read(), "--save writes HTML by the name")


def two(home):
    """Two programs in one session: nothing that either wrote is lost."""
    _, err, _ = chat(home, ["Hi", "/fork work", "/new work"])
    ok("already" in err, "/new overwrites no session", err)
    env = {**os.environ, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home}
    p = subprocess.Popen([AIRLCHAT, MODEL, "--temp", "0", "-n", "4", "--ctx", "512", "--json", "--resume", "work"], env=env,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
    p.stdin.write("One\n")
    p.stdout.readline()
    chat(home, ["Two"], "--resume", "work")
    _, err = p.communicate("Three\n", timeout=60)
    texts = {tuple(m["content"] for m in load(home, f)["messages"][2::2]) for f in saved(home)}
    ok("changed by another program" in err and {("One", "Two"), ("One", "Three")} <= texts, "two programs in one session", (texts, err))


def crash(home):
    """What was answered before a crash is there, and can be continued."""
    env = {**os.environ, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home}
    p = subprocess.Popen([AIRLCHAT, MODEL, "--temp", "0", "--ctx", "1024", "--autosave", "0.01"], env=env,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    p.stdin.write(b"Write a very long story about the sea.\n")
    p.stdin.flush()
    seen = p.stdout.read(150).decode()
    p.kill()
    p.wait()
    m = load(home, saved(home)[-1])["messages"]
    ok(len(m) == 2 and m[1]["finish"] == "cancelled" and m[1]["content"].startswith(seen[:100]), "an answer survives kill -9", (seen, m))
    out, err, rc = chat(home, ["/continue"], "--continue")
    ok(rc == 0 and out[0]["text"].startswith(m[1]["content"]) and len(out[0]["text"]) > len(m[1]["content"]), "and goes on", (m, out))
    path = os.path.join(home, "airlchat", "sessions", saved(home)[-1])
    f = load(home, saved(home)[-1])
    f["messages"] = f["messages"][:1]
    with open(path, "w") as out:
        json.dump(f, out)
    out, err, rc = chat(home, ["/retry"], "--continue")
    ok("has no answer: /retry" in err and out[0]["text"][:5] == m[1]["content"][:5], "a message without an answer is told of", err)


def quick(home):
    """Commands that end at once, many: none may be waited for after it has ended."""
    e = {**os.environ, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home}
    try:
        r = subprocess.run([AIRLCHAT, MODEL, "--plain"], env=e, input="/undo\n" * 3000, capture_output=True, text=True,
                           timeout=60)
        ok(r.stderr.count("nothing to undo") == 3000, "3000 commands that end at once", r.stderr[-300:])
    except subprocess.TimeoutExpired as x:
        ok(False, "3000 commands that end at once", x.stderr[-300:])


def kv(home):
    out, err, _ = chat(home, ["Tell me about the sea.", "/keep"])
    ok("KV cache of" in err and "MiB" in err, "/keep tells the size", err)
    file = [x for x in saved(home) if x.endswith(".kv")][0]
    path = os.path.join(home, "airlchat", "sessions", file)
    ok(stat.S_IMODE(os.stat(path).st_mode) == 0o600, "the cache is the owner's alone")
    shutil.copytree(os.path.join(home, "airlchat"), os.path.join(home, "2", "airlchat"))
    os.unlink(os.path.join(home, "2", "airlchat", "sessions", file))
    fresh, _, _ = chat(os.path.join(home, "2"), ["And the sky?"], "--continue")
    again, err, _ = chat(home, ["And the sky?"], "--continue")
    n = out[0]["stats"]["prompt_tokens"] + len(out[0]["ids"]) - 1
    ok("was read back" in err and again[0]["stats"]["cached_tokens"] >= n - 1, "--continue computes only what is new",
       (n, again[0]["stats"]))
    ok(again[0]["ids"] == fresh[0]["ids"], "and answers the same", (again, fresh))
    name = file[:-3]
    for what, change in (("wrong length", lambda b: b[:-1]), ("checksum", lambda b: b[:5000] + bytes([b[5000] ^ 1]) + b[5001:]),
                         ("no KV cache", lambda b: b"x" * len(b))):
        with open(path, "rb") as f:
            good = f.read()
        with open(path, "wb") as f:
            f.write(change(good))
        out, err, rc = chat(home, ["Hi"], "--resume", name)
        ok(rc == 0 and what in err and out[0]["stats"]["cached_tokens"] == 0, f"a bad cache is not used: {what}", err)
        with open(path, "wb") as f:
            f.write(good)
    out, err, _ = chat(home, ["Hi"], "--resume", name, "--kv-type", "f32")
    ok("another --kv-type" in err, "nor one of another type", err)
    chat(home, [f"/delete {name}"])
    ok(file not in saved(home), "the cache is deleted with the session")


def attach(home):
    path = os.path.join(home, "notes.md")
    with open(path, "w") as f:
        f.write("```\ncode\n```\n")
    with open(os.path.join(home, "binary"), "wb") as f:
        f.write(b"\0\1\2")
    out, err, _ = chat(home, [f"/read {path}", "Sum it up", f"/read {home}/binary", "/read /dev/zero", "/set temp x",
                              "/set tmep 1", "/set top-k 7", "/nonsense"])
    text = load(home, saved(home)[-1])["messages"][0]["content"]
    ok(text.startswith("File notes.md:\n\n````\n```\ncode\n```\n````\n\nSum it up"), "/read puts a fenced block in front", text)
    for what in ["not a text in UTF-8", "not a regular file", "not a valid value", "no parameter tmep", "top-k = 7",
                 "unknown command /nonsense"]:
        ok(what in err, what, err)


def typed(home):
    """What people type who know other programs, and what only looks like a command."""
    out, err, rc = chat(home, ["/etc/passwd is a file", "/* C */ what?", "/set stop \"a b\", \"\\n\"", "/set stop", "/set stop \"\"",
                               "/set temp hot", "/set top-k 1.5", "/regen", "/?", "/nosuch", "/exit", "Hi"])
    ok(rc == 0 and len(out) == 3, "paths and comments are messages; /regen answers again; /exit ends", (out, err))
    for what in ['stop = "a b", "\\n"', 'temp: "hot" is not a valid value (a number from 0 to 100)', "(a whole number; 0 is all)",
                 "unknown command /nosuch", "/unread"]:
        ok(what in err, what, err)
    folder = os.path.join(home, "a folder")
    os.mkdir(folder)
    with open(os.path.join(folder, "a name.txt"), "w") as f:
        f.write("x\n")
    _, err, rc = chat(home, ["/read ~/a folder/a name.txt", f"/read '{folder}/a name.txt'", "/unread", "/unread", "Hi",
                             f"/save \"{folder}/out one.json\""], env={"HOME": home})
    ok(err.count("go with the next message") == 2 and "no file goes" in err and "no file was going" in err,
       "/read takes spaces, quotes and ~; /unread", err)
    saved_file = os.path.join(folder, "out one.json")
    with open(saved_file) as f:
        ok([m["role"] for m in json.load(f)] == ["user", "assistant"], "/save likewise, in OpenAI's format")
    out, err, _ = chat(home, ["Hi", "Hi", f"/save {saved_file}", f"/save! {saved_file}", "/save!", "/undo!"])
    with open(saved_file) as f:
        ok(f"{saved_file} exists; /save! {saved_file} replaces it" in err and f"saved {saved_file}" in err and
           len(json.load(f)) == 4, "/save leaves a file alone, /save! replaces it", err)
    ok("/save needs a file name" in err and len(out) == 3, "/save! needs a name; /undo! is a message", (out, err))


def prompt(home):
    """-p in a chat that is kept."""
    one, _, _ = chat(home, [], "-p", "Hi")
    ok(saved(home) == [], "-p keeps nothing")
    chat(home, ["Hi"])
    out, err, rc = chat(home, [], "-p", "And you?", "--continue")
    ok(rc == 0 and len(out) == 1 and len(load(home, saved(home)[0])["messages"]) == 4, "-p --continue goes on, and is kept", err)
    out, err, rc = chat(home, [], "-p", "And you?", "--resume", "nosuch")
    ok(rc == 2 and not out and "no session" in err, "-p --resume of nothing", err)
    _, err, rc = chat(home, [], "-f", "/dev/null")
    ok(rc == 2 and "goes with -p" in err, "-f without -p is refused", err)


def progress(home):
    """Slow answers tell how far they are, quick ones nothing; and a KV cache that is worth it is kept."""
    args = ["--ram", "100M" if SANITIZED else "60M", "--prefill-rows", "16", "--ctx", "512"]
    text = " ".join(str(i) for i in range(100))
    _, err, _ = chat(home, [], "-p", text, "--progress", "0.02", *args)
    ok("reading the prompt: " in err and "% of " in err and "to go" in err, "-p tells how far the prompt is", err)
    _, err, _ = chat(home, [text], "--plain", "--progress", "0.002", *args)
    ok("reading the prompt: " in err and "tokens so far, " in err and "s each" in err, "so does plain mode, tokens too", err)
    _, err, _ = chat(home, ["Hi"], "--plain", *(["--progress", "300", "--keep-kv", "300"] if SANITIZED else []))
    ok("airlchat: reading" not in err and "so far" not in err and "KV cache" not in err, "what is quick tells nothing", err)
    shutil.rmtree(os.path.join(home, "airlchat"))
    out, err, _ = chat(home, [text], "--keep-kv", "0.001")
    ok("KV cache of" in err and any(x.endswith(".kv") for x in saved(home)), "what takes long to compute again is kept", err)
    again, err, _ = chat(home, ["More"], "--continue", "--keep-kv", "1000")
    ok("was read back" in err and again[0]["stats"]["cached_tokens"] > 100, "and used", err)
    name = [x[:-3] for x in saved(home) if x.endswith(".kv")][0]
    with open(os.path.join(home, "airlchat", "sessions", name + ".json")) as f:
        changed = f.read().replace(" 50 51 ", " 51 50 ")
    with open(os.path.join(home, "airlchat", "sessions", name + ".json"), "w") as f:
        f.write(changed)
    again, err, rc = chat(home, ["More"], "--resume", name)
    ok(rc == 0 and again[0]["stats"]["prompt_tokens"] > again[0]["stats"]["cached_tokens"] + 100,
       "tokens that differ are computed again", again)


def overflow(home):
    long = " ".join(str(i) for i in range(300))
    out, err, rc = chat(home, ["Hi", long, "/drop", "Hi"], "--ctx", "128")
    ok(len(out) == 2 and "leaves no room" in err and "/drop" in err, "a prompt too long is told, with a way out", err)
    ok(out[0]["ids"] == out[1]["ids"], "and is not in the conversation", out)


def config(home):
    folder = os.path.join(home, "airlchat")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(home, "sys.txt"), "w") as f:
        f.write("You are a pirate.\n")
    with open(os.path.join(folder, "config"), "w") as f:
        f.write(f"# mine\ntop_k = 7\nmin-p = 0.2\nsystem_file = {home}/sys.txt\nno-keep = true\n")
    _, err, rc = chat(home, ["/set", "/set system"], "--top-k", "9", env={"AIRLCHAT_MIN_P": "0.3"})
    for what in ["top-k = 9 (command line)", "min-p = 0.3 (environment)", "system = You are a pirate."]:
        ok(what in err, what, err)
    for text, what in [("nosuch = 1\n", "line 1: there is no option"), ("temp = hot\n", "not a valid value"),
                       ("[x]\ntemp = 1\n", "sections"), ("system = a ; b\n", "would be lost"),
                       ("system = " + "x" * 300 + "\n", "longer than")]:
        path = os.path.join(home, "bad")
        with open(path, "w") as f:
            f.write(text)
        _, err, rc = chat(home, [], "--config", path)
        ok(rc == 2 and what in err, f"config: {what}", err)
    r = subprocess.run([AIRLCHAT, "--print-config"], capture_output=True, text=True)
    with open(path, "w") as f:
        f.write(r.stdout)
    _, err, rc = chat(home, [], "--config", path)
    ok(rc == 0 and "# top-k = N" in r.stdout, "--print-config is a config file", err)


def quantized(home):
    """A conversation with each quantized format, the small models with a tokenizer of 72 letters."""
    words = {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None,
             "decoder": None, "model": {"type": "BPE", "vocab": {chr(33 + i): i for i in range(72)}, "merges": []}}
    models, bad = os.path.join(SRC, "tests/models"), []
    names = [n for n in sorted(os.listdir(models)) if n.startswith("quantized-")]
    for name in names:
        model = os.path.join(home, name)
        shutil.copytree(os.path.join(models, name), model)
        with open(os.path.join(model, "tokenizer.json"), "w") as f:
            json.dump(words, f)
        r = subprocess.run([AIRLCHAT, model, "--plain", "--raw", "--no-keep", "--ctx", "64", "-n", "2", "--json"],
                           input="HELLO\nAGAIN\n", capture_output=True, text=True, timeout=60)
        if r.returncode or len(r.stdout.splitlines()) < 2:
            bad.append((name, r.returncode, r.stderr[-300:]))
    ok(names and not bad, "conversations with quantized models", bad)


def ending(home, sig, status):
    """A signal while an answer is made, and one while waiting: the conversation is kept."""
    env = {**os.environ, "XDG_DATA_HOME": home}
    p = subprocess.Popen([AIRLCHAT, MODEL, "--temp", "0", "--ctx", "1024"], env=env, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    p.stdin.write(b"Write a very long story about the sea.\n")
    p.stdin.flush()
    p.stdout.read(20)
    p.send_signal(sig)
    time.sleep(0.5)
    if status == 130:
        p.send_signal(sig)  # the first one stops the answer, the second one ends
    rc = p.wait(60)
    m = load(home, saved(home)[-1])["messages"]
    ok(rc == status and len(m) == 2 and m[1]["finish"] == "cancelled" and len(m[1]["content"]) > 10,
       f"{sig.name}: status {status}, the part is kept", (rc, m))


def main():
    if not MODEL or not os.path.isfile(MODEL):
        skip("chat in plain mode", "AIRLCHAT_MODEL names no file")
        done()
    for part in (commands, two, crash, quick, typed, prompt, progress, kv, attach, overflow, config, quantized):
        with tempfile.TemporaryDirectory() as home:
            part(home)
            if part is commands:
                sessions(home)
    for sig, status in ((signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)):
        with tempfile.TemporaryDirectory() as home:
            ending(home, sig, status)
    done()


main()
