#!/usr/bin/env python3
"""How long the screen makes one wait, in a terminal of its own (a pty that this script reads).

  first frame      from the start of the program, with an empty conversation, and with a session of SIZE bytes
  key to screen    a key is typed at a random moment until it is shown: idle, and while the engine answers with
                   every core; and each Page Up through the long session

usage: AIRLCHAT_MODEL=model.gguf builddir=build tests/bench/screen_times.py [--keys N] [--size BYTES] [-- OPTIONS]
Wanted: 20 ms for 99 of 100 keys, 200 ms for a session of 1 MB. What the kernel and this script take counts too.
"""
import argparse, fcntl, json, os, pty, random, select, shutil, signal, struct, subprocess, tempfile, termios, time

MARKS = "ΩЖѪЯЩЮ"  # shown by nothing but the keys


class Terminal:
    def __init__(self, home, args, w=100, h=30):
        self.main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", h, w, 0, 0))
        env = {**os.environ, "XDG_STATE_HOME": home, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home,
               "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        self.out, self.began = b"", time.monotonic()
        self.process = subprocess.Popen(args, stdin=side, stdout=side, stderr=subprocess.DEVNULL, env=env,
                                        start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(side)

    def read(self, seconds):
        if select.select([self.main], [], [], seconds)[0]:
            self.out += os.read(self.main, 1 << 16)

    def until(self, what, seconds=30):
        """Seconds until `what` came; forgets what came before it. None: it did not."""
        began = time.monotonic()
        while what not in self.out:
            left = began + seconds - time.monotonic()
            if left <= 0:
                return None
            self.read(left)
        took = time.monotonic() - began
        self.out = self.out[self.out.index(what) + len(what):]
        return took

    def quiet(self, seconds):
        """Read until nothing comes for so long."""
        while select.select([self.main], [], [], seconds)[0]:
            self.out = b""
            os.read(self.main, 1 << 16)

    def for_seconds(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def send(self, text):
        self.out = b""
        os.write(self.main, text.encode())

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + 5
        while self.process.poll() is None and time.monotonic() < end:
            try:
                self.read(0.05)
            except OSError:
                break
        self.process.kill()
        self.process.wait()
        os.close(self.main)


def tell(name, times):
    times = sorted(x for x in times if x is not None)
    if not times:
        print(f"{name:34} nothing was shown")
        return
    at = lambda p: times[min(len(times) - 1, int(len(times) * p))] * 1e3
    print(f"{name:34} p50 {at(0.5):6.1f} ms  p90 {at(0.9):6.1f}  p99 {at(0.99):6.1f}  max {times[-1] * 1e3:6.1f}"
          f"  ({len(times)} times)", flush=True)


def keys(t, n):
    times = []
    for i in range(n):
        t.for_seconds(random.uniform(0.02, 0.15))
        t.send(MARKS[i % len(MARKS)])
        times.append(t.until(MARKS[i % len(MARKS)].encode(), 5))
        if i % 40 == 39:
            t.send("\x15")
            t.for_seconds(0.1)
    t.send("\x15")
    t.for_seconds(0.2)
    return times


def first_frames(home, args, mark, n=10):
    times = []
    for _ in range(n):
        t = Terminal(home, args)
        t.until(mark)
        times.append(time.monotonic() - t.began)
        t.close()
    return times


def long_session(home, model, size):
    """A saved session of about that many bytes, whose last words are the mark."""
    folder = os.path.join(home, "airlchat", "sessions")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    messages, n, i = [], 0, 0
    while n < size:
        i += 1
        answer = "".join(f"## Part {i}.{k}\n\nSome *text* with `code`, long enough to be broken into rows, and more of it "
                         f"until it is.\n\n- one\n- two\n\n| a | b |\n|---|---|\n| {i} | {k} |\n\n```c\nint x = {i};\n```\n\n"
                         for k in range(8))
        messages += [{"role": "user", "content": f"Question {i}?"},
                     {"role": "assistant", "content": answer, "finish": "stop", "seconds": 1}]
        n += len(answer)
    messages[-1]["content"] += "The very end ЖЯ."
    with open(os.path.join(folder, "long.json"), "w") as f:
        json.dump({"airlchat_session": 1, "model": model, "settings": {}, "messages": messages}, f)


def pages(t, n):
    times = []
    for _ in range(n):
        t.quiet(0.05)
        t.send("\x1b[5~")
        began = time.monotonic()
        t.read(2)
        last = time.monotonic()
        while select.select([t.main], [], [], 0.02)[0]:
            t.read(0)
            last = time.monotonic()
        times.append(last - began)
    return times


def resume(home, model, base, size):
    long_session(home, model, size)
    args = base + ["--resume", "long"]
    name = f"a session of {size // 1000} kB"
    tell(f"first frame, {name}", first_frames(home, args, "ЖЯ".encode(), 5))
    t = Terminal(home, args)
    t.until("ЖЯ".encode())
    t.for_seconds(1)
    tell(f"Page Up, {name}", pages(t, 40))
    for key, what in (("\x1b[1;5H", "top"), ("\x1b[1;5F", "end")):
        t.quiet(0.1)
        t.send(key)
        began = time.monotonic()
        t.read(2)
        tell(f"to its {what}", [time.monotonic() - began])
    t.send("\x13")
    t.quiet(0.2)
    times = []
    for c in "long enough":
        t.send(c)
        began = time.monotonic()
        t.read(2)
        times.append(time.monotonic() - began)
        t.quiet(0.1)
    tell("a letter of a search", times)
    t.send("\x07")
    t.quiet(0.1)
    t.out, began = b"", time.monotonic()
    fcntl.ioctl(t.main, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 80, 0, 0))
    t.until(b"F1", 5)
    tell("another width", [time.monotonic() - began])
    t.close()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--keys", type=int, default=300)
    p.add_argument("--size", type=int, default=1 << 20)
    p.add_argument("options", nargs="*")
    a = p.parse_args()
    program, model = os.path.join(os.environ.get("builddir", "build"), "airlchat"), os.environ["AIRLCHAT_MODEL"]
    home = tempfile.mkdtemp(prefix="airlchat-times-")
    base = [program, model, "--ctx", "2048", *a.options]
    try:
        tell("first frame", first_frames(home, base + ["--no-keep"], b"F1"))
        t = Terminal(home, base + ["--no-keep"])
        t.until(b"F1")
        t.for_seconds(2)
        tell("key to screen, idle", keys(t, a.keys))
        t.send("Write a very long story about the sea, with many chapters.\r")
        t.for_seconds(2)
        tell("key to screen, answering", keys(t, a.keys))
        t.close()
        resume(home, model, base, a.size)
    finally:
        shutil.rmtree(home, ignore_errors=True)


main()
