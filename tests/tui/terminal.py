#!/usr/bin/env python3
"""The terminal is left as it was found, whatever ends the program; and every kind of terminal gets what it
can show. On a pseudo-terminal, with the fake session."""
import fcntl, os, pty, re, select, shutil, signal, struct, sys, tempfile, termios, time

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
        for k in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"):
            if k in os.environ:
                base[k] = os.environ[k]
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
    t.send(b"\x1b[200~one\r")
    time.sleep(0.1)
    t.send(b"two\x1b[20")
    time.sleep(0.1)
    t.send(b"1~\r")
    tap.ok(t.until(rb"echo: one.*two"), "a paste in three parts", t.out[-300:])
    t.send(b"\x04")
    t.end()
    t.close()


if __name__ == "__main__":
    try:
        ways_to_end()
        kinds_of_terminals()
        escapes_come_apart()
    finally:
        shutil.rmtree(DIR, ignore_errors=True)
    tap.done()
