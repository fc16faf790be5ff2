"""Drives that fail, through the whole program: never a wrong number, a sentence that names file and offset, a status
that tells, and a conversation that goes on."""
import ctypes, errno, json, os, queue, random, shutil, subprocess, sys, tempfile, threading, time

sys.path.insert(0, os.path.dirname(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from modelfiles import st_write  # noqa: E402
from tap import AIRLCHAT, BUILD, SANITIZED, SRC, done, ok, skip  # noqa: E402

LAYERS, HIDDEN, FFN, VOCAB = 6, 256, 704, 512
SHIM = os.path.abspath(os.path.join(BUILD, "tests", "bin", "fault_preload.so"))


def tokenizer():
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    vocab = {chr(b if b in plain else 256 + others.index(b)): b for b in range(256)}
    vocab.update({f"<{i}>": i for i in range(256, VOCAB)})
    return {"version": "1.0", "added_tokens": [], "normalizer": None,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            "post_processor": None, "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "vocab": vocab, "merges": []}}


def make_model(folder):
    """A random llama of 10 MB in two files; {tensor: (file, offset of its middle)}."""
    rng = random.Random(7)
    names = [("model.embed_tokens.weight", [VOCAB, HIDDEN])]
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        names += [(p + "input_layernorm.weight", [HIDDEN])]
        names += [(p + f"self_attn.{x}_proj.weight", [HIDDEN, HIDDEN]) for x in "qkvo"]
        names += [(p + "post_attention_layernorm.weight", [HIDDEN]), (p + "mlp.gate_proj.weight", [FFN, HIDDEN]),
                  (p + "mlp.up_proj.weight", [FFN, HIDDEN]), (p + "mlp.down_proj.weight", [HIDDEN, FFN])]
    names += [("model.norm.weight", [HIDDEN]), ("lm_head.weight", [VOCAB, HIDDEN])]
    places, index = {}, {}
    os.makedirs(folder)
    for part, some in (("1", names[:len(names) // 2]), ("2", names[len(names) // 2:])):
        file, tensors = f"model-0000{part}-of-00002.safetensors", {}
        for name, shape in some:
            n = shape[0] * (shape[1] if len(shape) > 1 else 1)
            raw = bytearray(rng.randbytes(2 * n))
            for i in range(1, 2 * n, 2):
                raw[i] = raw[i] & 0x80 | 0x3D if len(shape) > 1 else 0x3F
            tensors[name] = ("BF16", shape, bytes(raw))
            index[name] = file
        path = os.path.join(folder, file)
        st_write(path, tensors)
        at = os.path.getsize(path) - sum(len(t[2]) for t in tensors.values())
        for name, t in tensors.items():
            places[name] = (file, at + len(t[2]) // 2)
            at += len(t[2])
    config = {"model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": FFN, "num_hidden_layers": LAYERS,
              "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": VOCAB, "rms_norm_eps": 1e-5,
              "max_position_embeddings": 512, "tie_word_embeddings": False, "torch_dtype": "bfloat16"}
    for name, value in (("config.json", config), ("tokenizer.json", tokenizer()),
                        ("model.safetensors.index.json", {"weight_map": index})):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            json.dump(value, f)
    return places


class Faults:
    """The rules that the program sees; they may change while it runs."""

    def __init__(self, home):
        self.path = os.path.join(home, "faults")
        self.env = {**os.environ, "LD_PRELOAD": SHIM, "FAULTS": self.path, "XDG_CACHE_HOME": home,
                    "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home,
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        self.set()

    def set(self, *rules):
        with open(self.path + ".new", "w") as f:
            f.writelines(" ".join(map(str, r)) + "\n" for r in rules)
        os.rename(self.path + ".new", self.path)


def fails_at(place, skip=0, times=-1, kind=errno.EIO):
    return (kind, place[0], place[1], place[1] + 1, skip, times)


class Program:
    def __init__(self, model, faults, ram):
        self.model, self.faults = model, faults
        self.args = ["--raw", "--temp", "0", "--ctx", "64", "--reader", "pread", "--threads", "2", "--ram", ram]

    def answer(self, *args):
        """Its JSON object or None, what it said, its status."""
        r = subprocess.run([AIRLCHAT, self.model, *self.args, "-p", "Hello", "-n", "6", "--json", *args],
                           env=self.faults.env, capture_output=True, text=True, timeout=120)
        return (json.loads(r.stdout) if r.stdout.strip() else None), r.stderr, r.returncode

    def text(self, *args):
        r = subprocess.run([AIRLCHAT, self.model, *self.args, "-p", "Hello", "-n", "6", *args],
                           env=self.faults.env, capture_output=True, timeout=120)
        return r.stdout, r.stderr.decode(), r.returncode


class Chat:
    """Plain mode, line by line."""

    def __init__(self, program, *args):
        self.p = subprocess.Popen([AIRLCHAT, program.model, *program.args, "-n", "6", "--json", "--no-keep", *args],
                                  env=program.faults.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        for which in ("stdout", "stderr"):
            threading.Thread(target=self.listen, args=(which,), daemon=True).start()

    def listen(self, which):
        for line in getattr(self.p, which):
            self.lines.put((which, line.rstrip("\n")))

    def say(self, text):
        """The answer's ids and None, or None and the error."""
        self.p.stdin.write(text + "\n")
        self.p.stdin.flush()
        ids = None
        while True:
            which, line = self.lines.get(timeout=120)
            if which == "stdout" and line:
                answer = json.loads(line)
                ids = answer["ids"] if answer["finish"] in ("stop", "length") else None
                if ids is not None:
                    return ids, None
            elif any(x in line for x in ("offset", "has changed", "too small")):
                return None, line

    def end(self):
        self.p.stdin.close()
        return self.p.wait(timeout=60)


def named(err, place):
    return place[0] in err and "offset" in err


def one_shot(program, places, right, streams):
    faults, some = program.faults, [n for n in places if "norm" not in n]
    bad = []
    for name in some:  # once, in the first pass and in a later one
        faults.set(fails_at(places[name], random.Random(name).randrange(3), 1))
        got, err, rc = program.answer()
        if rc or got["ids"] != right:
            bad.append((name, rc, err))
    ok(not bad, f"{streams}: a read that fails once anywhere changes nothing", bad)
    bad = []
    for name in [n for n in places if "norm" in n or n in some[::4] or n in some[-1:]]:
        faults.set(fails_at(places[name]))
        got, err, rc = program.answer()
        if name == "model.embed_tokens.weight":  # only rows of the prompt are read
            fine = rc == 0 and got["ids"] == right or rc == 1 and named(err, places[name])
        else:
            fine = rc == 1 and got is None and named(err, places[name])
        if not fine:
            bad.append((name, rc, err, got))
    ok(not bad, f"{streams}: a read that fails always ends with status 1 and names file and offset", bad)


def later_pass(program, places, right, text):
    """All the prompt's pass needs comes, what a later one needs doesn't."""
    name = f"model.layers.{LAYERS - 1}.mlp.up_proj.weight"
    file, middle = places[name]  # where two chunks meet; one of them may stay in memory
    program.faults.set((errno.EIO, file, middle - 8192, middle + 8192, 5, -1))
    out, err, rc = program.text()
    ok(rc == 1 and named(err, places[name]) and text.startswith(out.rstrip(b"\n")) and len(out) < len(text),
       "a fault in a later pass: what was printed before is right, the status is 1", (out, text, err, rc))
    program.faults.set((errno.EIO, "embed_tokens", 0, 1, 0, 0), (-30000, "model-", 0, 1 << 40, 8, 40))
    got, err, rc = program.answer()
    ok(rc == 0 and got["ids"] == right, "a drive that becomes slow in the midst changes nothing", err)
    whole = (errno.EIO, "model-00001", 1 << 12, 1 << 20, 0, -1)  # the embedding and the first layers
    program.faults.set(whole)
    got, err, rc = program.answer()
    ok(rc == 1 and got is None and "model-00001" in err and "offset" in err, "rows of the embedding can't be read", err)


def conversation(program, places):
    faults = program.faults
    faults.set()
    chat = Chat(program)
    want = [chat.say(x)[0] for x in ("Hello", "and now", "go on")]
    ok(chat.end() == 0 and all(want), "a conversation without faults", want)
    chat = Chat(program)
    first, _ = chat.say("Hello")
    faults.set(fails_at(places["model.layers.3.mlp.down_proj.weight"]))
    _, err = chat.say("and now")
    ok(err and named(err, places["model.layers.3.mlp.down_proj.weight"]), "a fault in the second answer is told", err)
    _, again = chat.say("and now")
    ok(again and "offset" in again, "as long as it lasts", again)
    faults.set()
    second, _ = chat.say("and now")
    third, err = chat.say("go on")
    ok([first, second, third] == want, "then the conversation goes on as if nothing had been", (want, first, second, third, err))
    status = chat.end()
    ok(status == 1, "and the status tells that an answer failed", status)


def files_that_change(program, places):
    path = os.path.join(program.model, "model-00002-of-00002.safetensors")
    with open(path, "rb") as f:
        data = f.read()
    for reader in ("pread", "auto"):
        chat = Chat(program, "--reader", reader)
        first, _ = chat.say("Hello")
        os.truncate(path, len(data) // 2)
        _, err = chat.say("and now")
        ok(first and err and "model-00002" in err and ("cut off" in err or "has changed" in err),
           f"{reader}: a file cut off while it is in use", err)
        ok(chat.end() == 1, f"{reader}: status 1")
        with open(path, "r+b") as f:
            f.write(data)
    chat = Chat(program)
    first, _ = chat.say("Hello")
    with open(path, "r+b") as f:  # other weights of the same size
        f.seek(len(data) // 2)
        f.write(bytes(len(data) // 4))
    _, err = chat.say("and now")
    ok(err and "model-00002" in err and "has changed" in err, "a file that is written to while it is in use", err)
    chat.end()
    with open(path, "wb") as f:
        f.write(data)
    chat = Chat(program)
    first, _ = chat.say("Hello")
    os.rename(path, path + ".away")  # what is open stays readable
    second, err = chat.say("and now")
    os.rename(path + ".away", path)
    whole = Chat(program)
    ok([first, second] == [whole.say("Hello")[0], whole.say("and now")[0]], "a file that is moved away", err)
    ok(chat.end() == 0 and whole.end() == 0, "is no error")


def small_models(faults):
    """Every page of models with experts and with quantized weights, through `logits`."""
    for name in ("qwen3-moe", "quantized-nf4", "quantized-mxfp4"):
        folder = os.path.join(SRC, "tests/models", name)
        with open(os.path.join(folder, "golden.json"), encoding="utf-8") as f:
            tokens = json.load(f)["tokens"]
        line = json.dumps({"tokens": tokens}) + "\n"

        def logits():
            r = subprocess.run([AIRLCHAT, "logits", folder, "--reader", "pread"], input=line, env=faults.env,
                               capture_output=True, text=True, timeout=120)
            return r.stdout, r.returncode, r.stderr

        faults.set()
        right, rc, err = logits()
        files = [x for x in os.listdir(folder) if x.endswith(".safetensors")]
        bad, failed = [(rc, err)] if rc else [], 0
        for file in files:
            for at in range(0, os.path.getsize(os.path.join(folder, file)), 4096):
                for times in (1, -1):
                    faults.set((errno.EIO, os.path.join(name, file), at, at + 4096, 0, times))
                    out, rc, err = logits()
                    failed += rc != 0
                    told = rc == 1 and "offset" in out + err and file in out + err and '"logits"' not in out
                    if not (rc == 0 and out == right or told):
                        bad.append((file, at, times, rc, out[:200], err))
        ok(not bad and failed > 0, f"{name}: whatever page can't be read", bad or "no fault had an effect")


def main():
    try:
        ctypes.CDLL(SHIM)
    except OSError as e:
        skip("faults", str(e))
        return
    with tempfile.TemporaryDirectory() as home:
        model = os.path.join(home, "model")
        places = make_model(model)
        faults = Faults(home)
        plan = subprocess.run([AIRLCHAT, "plan", model, "--json", "--ctx", "64"], env=faults.env, capture_output=True, text=True)
        floor = json.loads(plan.stdout)["min_ram_bytes"] >> 20
        small, large = Program(model, faults, f"{floor + (4 if SANITIZED else 1)}M"), Program(model, faults, "300M")
        got, err, rc = small.answer()
        whole, _, _ = large.answer()
        right = got["ids"]
        ok(rc == 0 and right == whole["ids"] and got["stats"]["bytes_from_disk"] > 3 * whole["stats"]["bytes_from_disk"],
           "a model that streams, and the same from memory", (err, got, whole))
        text, _, _ = small.text()
        one_shot(small, places, right, "streamed")
        one_shot(large, places, right, "resident")
        later_pass(small, places, right, text)
        chat = Chat(small)
        _, err = chat.say("Hello")
        chat.end()
        if err and "too small" in err:
            skip("conversations", "the program itself needs more memory, as under sanitizers")
        else:
            conversation(small, places)
            files_that_change(small, places)
        small_models(faults)


main()
done()
