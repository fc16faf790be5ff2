#!/usr/bin/env python3
"""The terminal is left as it was found, whatever ends the program; and every kind of terminal gets what it
can show. On a pseudo-terminal, with the fake session."""
import fcntl, os, pty, random, re, select, shutil, signal, struct, subprocess, sys, tempfile, termios, time

sys.path.insert(0, os.path.join(os.environ.get("srcdir", "."), "tests", "cli"))
import tap

DEMO = os.path.join(os.path.abspath(tap.BUILD), "tests", "bin", "tui_demo")
if not os.path.exists(DEMO):
    tap.skip("the terminal", "tui_demo was not built")
    tap.done()
DIR = tempfile.mkdtemp(prefix="airlchat-terminal-")


class Terminal:
    def __init__(self, *args, **env):
        self.main, self.side = pty.openpty()
        fcntl.ioctl(self.side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.side)
        self.out = b""
        base = {"PATH": os.environ["PATH"], "HOME": DIR, "XDG_STATE_HOME": DIR, "TERM": "xterm-256color",
                "LC_ALL": "C.UTF-8"}
        # A sanitizer's report must not go to the terminal; readline leaks what it has for undoing.
        base["ASAN_OPTIONS"] = base["UBSAN_OPTIONS"] = f"detect_leaks=0:log_path={DIR}/report"
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.side, termios.TIOCSCTTY, 0)
            for fd in (0, 1, 2):
                os.dup2(self.side, fd)
            os.closerange(3, 100)
            os.execve(DEMO, [DEMO, *args], {**base, **env})

    def read(self, seconds):
        if select.select([self.main], [], [], seconds)[0]:
            try:
                self.out += os.read(self.main, 65536)
            except OSError:
                pass

    def until(self, pattern, seconds=10):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.out, re.S):
            if time.monotonic() > end:
                return False
            self.read(0.1)
        return True

    def send(self, b):
        os.write(self.main, b)

    def end(self, seconds=10):
        """Exit status, or minus the signal; None if it did not end."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            pid, st = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while select.select([self.main], [], [], 0.05)[0]:
                    n = len(self.out)
                    self.read(0)
                    if len(self.out) == n:
                        break
                return -os.WTERMSIG(st) if os.WIFSIGNALED(st) else os.WEXITSTATUS(st)
            self.read(0.05)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return None

    def clean(self):
        """Every mode that was switched on was switched off later, and the line discipline is as before."""
        problems = []
        for on, off in ((rb"\x1b\[\?1049h", rb"\x1b\[\?1049l"), (rb"\x1b\[\?2004h", rb"\x1b\[\?2004l"),
                        (rb"\x1b\[\?1000h", rb"\x1b\[\?1000l"), (rb"\x1b\[\?1006h", rb"\x1b\[\?1006l"),
                        (rb"\x1b\[\?25l", rb"\x1b\[\?25h")):
            last = [[m.start() for m in re.finditer(p, self.out)][-1:] for p in (on, off)]
            if last[0] and (not last[1] or last[1] < last[0]):
                problems.append(on.decode())
        if termios.tcgetattr(self.side) != self.before:
            problems.append("stty")
        return problems

    def close(self):
        os.close(self.main)
        os.close(self.side)


def ways_to_end():
    def keys(b):
        return lambda t: t.send(b)

    def sig(n):
        return lambda t: os.kill(t.pid, n)

    def hang_up(t):
        t.send(b"slow\r")
        t.until(b"word3")
        os.kill(t.pid, signal.SIGTERM)

    table = [("/quit", keys(b"/quit\r"), 0), ("Ctrl-D", keys(b"\x04"), 0), ("Ctrl-C twice", keys(b"\x03\x03"), 130),
             ("SIGTERM", sig(signal.SIGTERM), 143), ("SIGHUP", sig(signal.SIGHUP), 129),
             ("SIGQUIT", sig(signal.SIGQUIT), 131), ("SIGTERM while it answers", hang_up, 143),
             ("a crash", keys(b"crash\r"), -signal.SIGSEGV), ("SIGABRT", sig(signal.SIGABRT), -signal.SIGABRT),
             ("quit with a list open", keys(b"/\t\x1b\x1b[A\x04\x15\x04"), 0)]
    sanitized = "fsanitize" in open(os.path.join(tap.BUILD, "config.status")).read()
    for name, act, rc in table:
        t = Terminal()
        started = t.until(rb"F1")
        act(t)
        got = t.end()
        good = got == rc or (sanitized and rc < 0 and got not in (0, None))
        tap.ok(started and good and not t.clean(), f"the terminal after {name}",
               f"status {got}, left: {t.clean()}, {t.out[-300:]!r}")
        t.close()
    t = Terminal()
    t.until(rb"F1")
    t.send(b"noise\r")
    t.until(rb"noise")
    tap.ok(b"library" not in t.out, "what a library prints does not touch the screen")
    t.send(b"\x04")
    t.end()
    tap.ok(t.out.endswith(b"noise of a ?[31mlibrary\r\n"), "it is shown at the end, without escapes", t.out[-100:])
    t.close()
    t = Terminal()
    t.until(rb"F1")
    os.close(t.main)
    gone = None
    for _ in range(100):
        pid, st = os.waitpid(t.pid, os.WNOHANG)
        if pid:
            gone = os.WEXITSTATUS(st) if os.WIFEXITED(st) else -os.WTERMSIG(st)
            break
        time.sleep(0.1)
    else:
        os.kill(t.pid, signal.SIGKILL)
    tap.ok(gone is not None, "it ends when the terminal goes away", gone)
    os.close(t.side)


def other_character_sets():
    """What is typed comes as the terminal's bytes, goes to the model as UTF-8, and is shown as its bytes again."""
    for charset, source, text in (("ISO-8859-15", "de_DE", "Grüße für 5 €"), ("ISO-8859-1", "fr_FR", "ça été"),
                                  ("KOI8-R", "ru_RU", "Привет, мир"), ("EUC-JP", "ja_JP", "日本の潮")):
        name = f"{source}.{charset}"
        made = shutil.which("localedef") and subprocess.run(
            ["localedef", "--no-archive", "-f", charset, "-i", source, f"{DIR}/{name}"], capture_output=True)
        if not made or not os.path.isdir(f"{DIR}/{name}"):
            tap.skip(f"a terminal with {charset}", "localedef can't make the locale (package locales)")
            continue
        t = Terminal(LC_ALL=name, LOCPATH=DIR)
        t.until(rb"F1")
        raw = text.encode(charset)
        for i in range(len(raw)):  # byte by byte: characters come apart
            t.send(raw[i:i + 1])
            time.sleep(0.002)
        t.send("\r".encode())
        shown = t.until(b"echo: " + re.escape(raw))
        t.send(b"\x1b[200~" + raw + b"\x1b[201~\r")
        pasted = t.until(b"echo: " + re.escape(raw) + b".*echo: " + re.escape(raw))
        t.send(b"\x04")
        rc = t.end()
        tap.ok(shown and pasted and rc == 0 and not t.clean(), f"a terminal with {charset}", f"{rc} {t.out[-600:]!r}")
        t.close()


def kinds_of_terminals():
    for term in ("xterm-256color", "tmux-256color", "screen", "linux", "vt100"):
        for locale in ("C.UTF-8", "C"):
            t = Terminal(TERM=term, LC_ALL=locale)
            t.until(rb"F1")
            t.send("é quick “test”\r".encode())
            shown = t.until(rb"echo: ")
            t.send(b"\x04")
            rc = t.end()
            high = [b for b in t.out if b > 0x7f]
            tap.ok(shown and rc == 0 and not t.clean() and bool(high) == (locale == "C.UTF-8"), f"{term}, {locale}",
                   f"{rc} {t.clean()} {t.out[-500:]!r}")
            t.close()
    other_character_sets()
    for term in ("dumb", "no-such-terminal"):
        t = Terminal(TERM=term)
        rc = t.end()
        tap.ok(rc == 1 and b"TERM" in t.out and b"\x1b" not in t.out, f"{term} is refused in a sentence", t.out)
        t.close()
    for env, color in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)):
        t = Terminal(**env)
        t.until(rb"F1")
        t.send(b"\x04")
        t.end()
        has = re.search(rb"\x1b\[[0-9;]*[34][0-8]", t.out) or re.search(rb"\x1b\[[0-9;]*9[0-7]m", t.out)
        tap.ok(bool(has) == color, f"NO_COLOR {env}", t.out[:1000])
        t.close()
    t = Terminal("/dev/null", "no-such-theme")
    rc = t.end()
    tap.ok(rc == 1 and b'no theme "no-such-theme"' in t.out and not t.clean(), "an unknown theme", t.out[-200:])
    t.close()


def escapes_come_apart():
    t = Terminal()
    t.until(rb"F1")
    for b in (b"ab\x1b", b"[", b"D", b"X\xc3", b"\xa9\r"):
        t.send(b)
        time.sleep(0.01)
    tap.ok(t.until("echo: aXéb".encode()), "keys and characters that reads split", t.out[-300:])
    t.send("family 👩‍👩‍👧 here\r".encode())
    tap.ok(t.until("echo: .*👩.* here".encode()) and "\u200d".encode() not in t.out, "no joiner without what it joins", t.out[-300:])
    t.send(b"\x1b[200~one\r")
    time.sleep(0.1)
    t.send(b"two\x1b[20")
    time.sleep(0.1)
    t.send(b"1~\r")
    tap.ok(t.until(rb"echo: one.*two"), "a paste in three parts", t.out[-300:])
    t.send(b"\x04")
    t.end()
    t.close()


def sparing():
    """While words come a hundred times a second: at most ten frames a second, 2% of a core."""
    t = Terminal()
    t.until(rb"F1")
    t.send(b"slow\r")
    t.until(rb"word20")

    def on_cpu():  # ns of the UI's thread
        return int(open(f"/proc/{t.pid}/task/{t.pid}/schedstat").read().split()[0])
    seconds, frames, last = 4, 0, 0
    began, cpu = time.monotonic(), on_cpu()
    while time.monotonic() < began + seconds:
        n = len(t.out)
        t.read(0.02)
        if len(t.out) > n:
            frames += time.monotonic() - last > 0.02
            last = time.monotonic()
    share = (on_cpu() - cpu) / 1e9 / (time.monotonic() - began)
    sanitized = "fsanitize" in open(os.path.join(tap.BUILD, "config.status")).read()
    tap.ok(0 < frames <= 10 * seconds + 2, f"{frames} frames in {seconds} seconds, at most 10 a second", frames)
    tap.ok(share <= 0.02 or sanitized, f"the screen takes {share:.1%} of a core, at most 2%", share)
    t.send(b"\x03\x04")
    tap.ok(t.end() == 0, "and stops at once")
    t.close()


PIECES = [b"\x1b", b"[", b"O", b"\x1b[A", b"\x1b[B", b"\x1b[5~", b"\x1b[6~", b"\x1b[H", b"\x1b[F", b"\x1bOP", b"\x1bOQ",
          b"\x1bOR", b"\x1bOS", b"\x1b[15~", b"\x1b[21~", b"\x1b\r", b"\n", b"\r", b"\t", b"\t\t", b"\x12", b"\x13", b"\x01",
          b"\x05", b"\x0b", b"\x19", b"\x14", b"\x1f", b"\x1bt", b"\x1b[<64;3;4M", b"\x1b[<0;70;9M", b"\x1b[<0;70;9m",
          b"\x1b[200~", b"\x1b[201~", b"pasted\r\ntext", b"\xc3", b"\xa9", "日本".encode(), "👩‍👩‍👧".encode(), b"a", b"b c",
          b"lines 30\r", b"think\r", b"slow\r", b"fail\r", b"/theme\r", b"/sessions\r", b"/find echo\r", b"/edit\r",
          b"/undo\r", b"/clear\r", b"/glyphs ascii\r", b"/fold\r", b"/copy 1\r", b"/nothing\r", b"/set \t", b"\x03",
          b"```c\n| a | b |\n|---|---|\n| c | d |\n> - x\r", b"\x1b[1;5H", b"\x1b[27;5;99~", b"\x1b[M !!", b"\x00", b"\xff",
          b"\x7f", b"\x1b[3~", b"\x1b\x1b", b"0", b"q", b"\x16\x01"]


def reports():
    """What sanitizers wrote."""
    return "".join(open(f"{DIR}/{f}").read() for f in os.listdir(DIR) if f.startswith("report"))


def fuzz():
    """Random keys, escapes cut anywhere, and sizes; half of the time in vi mode. Ends by a signal, cleanly."""
    seconds = float(os.environ.get("FUZZ_SECONDS", "4"))
    seed = int(os.environ.get("FUZZ_SEED", "1"))
    end = time.monotonic() + seconds
    with open(DIR + "/vi", "w") as f:
        f.write("set editing-mode vi\n")
    while time.monotonic() < end:
        rng = random.Random(seed)
        t = Terminal(INPUTRC=DIR + "/vi" if seed % 2 else "/dev/null", XDG_CONFIG_HOME=DIR, XDG_DATA_HOME=DIR)
        t.until(rb"F1")
        for _ in range(150):
            b = b"".join(rng.choice(PIECES) for _ in range(rng.randint(1, 4)))
            for cut in (b[: len(b) // 2], b[len(b) // 2:]) if rng.random() < 0.3 else (b,):
                try:
                    t.send(cut)
                except OSError:
                    break
                t.read(0.002)
            if rng.random() < 0.1:
                size = struct.pack("HHHH", rng.choice([1, 2, 8, 24, 60]), rng.choice([1, 5, 40, 80, 200]), 0, 0)
                fcntl.ioctl(t.side, termios.TIOCSWINSZ, size)
            if os.waitid(os.P_PID, t.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                break
        try:
            os.kill(t.pid, signal.SIGTERM)
        except OSError:
            pass
        rc = t.end()
        # Keys may have ended it before the signal came; in its last moments signals, and Ctrl-C, do what they
        # do to any program.
        if rc not in (0, 130, 143, -signal.SIGTERM, -signal.SIGINT) or t.clean() or "ERROR" in reports():
            tap.ok(False, f"random keys and sizes, FUZZ_SEED={seed}",
                   f"status {rc}, {t.clean()}, {reports()}\n{t.out[-1000:]!r}")
            t.close()
            return
        t.close()
        seed += 1
    tap.ok(True, f"random keys and sizes, seeds up to {seed - 1}")


if __name__ == "__main__":
    try:
        ways_to_end()
        kinds_of_terminals()
        escapes_come_apart()
        sparing()
        fuzz()
    finally:
        shutil.rmtree(DIR, ignore_errors=True)
    tap.done()
