#!/usr/bin/env python3
"""The screen on a fake session (tui_demo), in tmux with a socket and no configuration of its own."""
import os, re, shutil, signal, subprocess, sys, tempfile, time

sys.path.insert(0, os.path.join(os.environ.get("srcdir", "."), "tests", "cli"))
import tap

DEMO = os.path.join(os.path.abspath(tap.BUILD), "tests", "bin", "tui_demo")
if not shutil.which("tmux") or not os.path.exists(DEMO):
    tap.skip("the screen in tmux", "tmux or tui_demo is missing")
    tap.done()

DIR = tempfile.mkdtemp(prefix="airlchat-screen-")


server = 0  # each start has a server of its own: an old one takes its time to go


def tmux(*args):
    return subprocess.run(["tmux", "-S", f"{DIR}/s{server}", "-f", "/dev/null", *args], capture_output=True,
                          encoding="utf-8").stdout


def new_server():
    global server
    tmux("kill-server")
    server += 1


def wait(test, seconds=6):
    end = time.monotonic() + seconds
    while True:
        if test():
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.03)


def screen(*args):
    return tmux("capture-pane", "-p", *args)


def shows(pattern, seconds=6):
    return wait(lambda: re.search(pattern, screen(), re.M), seconds)


def keys(*k):
    tmux("send-keys", *k)


def typed(text):
    tmux("send-keys", "-l", text)


def start(args="", w=80, h=24, env=""):
    """A new terminal with tui_demo in it; the shell around it writes what it sees afterwards."""
    new_server()
    for f in ("rc", "after"):
        if os.path.exists(f"{DIR}/{f}"):
            os.remove(f"{DIR}/{f}")
    shell = (f"stty -g >{DIR}/before; env XDG_STATE_HOME={DIR}/state XDG_CONFIG_HOME={DIR}/config "
             f"XDG_DATA_HOME={DIR}/data HOME={DIR} {env} {DEMO} {args}; echo $? >{DIR}/rc.tmp; "
             f"stty -g >{DIR}/after; mv {DIR}/rc.tmp {DIR}/rc; sleep 1")
    tmux("new-session", "-d", "-x", str(w), "-y", str(h), shell)
    tmux("set", "-g", "set-clipboard", "on")
    return shows(r"^>") or print("#", screen().replace("\n", "\n# "))


def ended(rc):
    """It ended with this status, and the terminal is as it was."""
    return (wait(lambda: os.path.exists(DIR + "/rc")) and open(DIR + "/rc").read().strip() == str(rc)
            and open(DIR + "/before").read() == open(DIR + "/after").read())


def pid():
    """Of the program in the pane."""
    shell = int(tmux("display", "-p", "#{pane_pid}"))
    for p in os.listdir("/proc"):
        if p.isdigit():
            try:
                if os.readlink(f"/proc/{p}/exe") == os.path.realpath(DEMO) and \
                        int(open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()[1]) == shell:
                    return int(p)
            except OSError:
                pass
    return 0


def check(name, good):
    tap.ok(bool(good), name, screen())


def typing():
    check("it starts", start())
    typed("héllo 日本 👍")
    check("other characters than ASCII are shown", shows("^> héllo 日本 👍"))
    keys("Enter")
    check("an answer", shows("^ai  ▸ echo: héllo 日本 👍"))
    typed("first"), keys("M-Enter"), typed("second"), keys("C-j"), typed("third")
    check("Alt-Enter and Ctrl-J make lines", shows(r"^> first\n\. second\n\. third"))
    keys("Enter")
    check("that are sent as one message", shows(r"^you ▸ first\b.*\n +second\b.*\n +third\b"))
    tmux("set-buffer", "p1\np2\x1b[31mp3\n\tp4")
    tmux("paste-buffer", "-p")
    check("a paste is one block, without controls", shows(r"^> p1\n\. p2\[31mp3\n\. +p4"))
    keys("C-c")
    check("Ctrl-C clears the line", shows(r"^>\s*\n\^"))
    typed("x" * 100)
    check("a long line is broken", shows(r"^> x{77}\n  x{23}"))
    keys("C-u")


def history():
    keys("Up")
    check("the last message comes back, all of its lines", shows(r"^> first\n\. second\n\. third"))
    keys("C-u"), keys("C-c"), keys("C-r"), typed("日本")
    check("Ctrl-R searches", shows(r"^\(reverse-i-search\)`日本': héllo 日本 👍"))
    keys("Enter")
    keys("C-d")
    check("Ctrl-D quits, the terminal is as before", ended(0))
    check("the history is the user's alone", os.stat(DIR + "/state/airlchat/history").st_mode & 0o777 == 0o600)
    start()
    keys("Up", "Up")
    check("it is there in the next run", shows(r"^> first\n\. second\n\. third"))
    keys("C-c")


def lists():
    typed("/th"), keys("Tab")
    check("Tab completes", shows(r"^> /theme"))
    typed("d"), keys("Tab")
    check("and offers", shows(r"│ dark +│\n│ default"))
    keys("Down", "Enter")
    check("a choice goes into the line", shows(r"^> /theme default"))
    keys("C-c"), typed("/"), keys("Tab")
    check("commands are offered with what they do", shows(r"/copy +copy the last answer"))
    keys("Escape"), time.sleep(0.2), keys("C-c"), typed("/theme"), keys("Enter"), shows("colour-blind")
    before = screen("-e")
    keys("Down")
    check("/theme shows what a theme looks like", wait(lambda: screen("-e") != before))
    keys("Escape")
    check("Esc takes it back", wait(lambda: "colour-blind" not in screen()))
    os.makedirs(DIR + "/f", exist_ok=True)
    open(DIR + "/f/notes-unique.txt", "w").close()
    typed(f"/read {DIR}/f/no"), keys("Tab")
    check("file names", shows("notes-unique.txt"))
    keys("Enter")
    check("/read", shows(r"\[files: \d+B\]"))
    os.makedirs(DIR + "/a folder", exist_ok=True)
    for name in ("my one.txt", "my two.txt"):
        open(f"{DIR}/a folder/{name}", "w").close()
    typed("/read ~/a fo"), keys("Tab")
    check("with spaces: a folder", shows(r"/a folder/ "))
    keys("Tab")
    check("what is common in it", shows(r"^> .*/a folder/my "))
    check("a list", shows(r"a folder/my one\.txt .*\n.*a folder/my two\.txt "))
    keys("Down", "Enter")
    check("a choice", shows(r"^> /read .*/a folder/my (one|two)\.txt"))
    keys("Enter")
    check("is read", shows(r"^> .*\[files: ") and "can't open" not in screen())
    typed("/unread"), keys("Enter")
    check("/unread", wait(lambda: "[files" not in screen()))
    typed("/etc/hosts is a path"), keys("Enter")
    check("a path is no command", shows(r"echo: /etc/hosts is a path"))
    keys("F1")
    check("F1 is help", shows("^ Keys"))
    keys("q")
    check("q leaves it", wait(lambda: not re.search("^ Keys", screen(), re.M)))
    typed("/nonsense"), keys("Enter")
    check("an unknown command", shows("unknown command /nonsense"))


def conversation():
    start()
    typed("lines 60"), keys("Enter")
    check("a long answer shows its end", shows("line 60"))
    keys("PPage")
    check("Page up", shows(r"↓ \d+ more \(End\)"))
    keys("Home")
    check("Home", shows("^you ▸ lines 60"))
    keys("End")
    check("End", shows("line 60") and not re.search(r"\(End\)", screen()))
    keys("C-s"), typed("LINE 7")
    check("Ctrl-S searches", shows(r"1 of 1\b") and shows(r"line 7\b"))
    check("and marks", re.search(r"\x1b\[[0-9;]*4\dm", screen("-e")))
    keys("Escape"), keys("End"), shows("^>"), typed("slow"), keys("Enter")
    check("an answer grows", shows("word20"))
    keys("PPage"), shows(r"\(End\)")
    top = screen().split("\n")[1:4]
    check("a scrolled view says what is new", shows(r"↓ \d+ new \(End\)"))
    check("and stays", wait(lambda: "new" in screen(), 1) and screen().split("\n")[1:4] == top)
    typed("ahead")
    check("one can type meanwhile", shows("^> ahead"))
    keys("C-c"), keys("C-c")
    keys("End")
    check("Ctrl-C stops it", shows("stopped; /continue goes on"))
    typed("think"), keys("End"), keys("Enter")
    check("reasoning is folded", shows(r"\[thought.*Alt-T unfolds\].*\n +surface"))
    keys("M-t")
    check("Alt-T unfolds it", shows(r"deep thoughts.*\n +surface"))
    typed("fail"), keys("Enter")
    check("a message that failed is given back", shows("it can't be done") and shows("^> fail"))
    keys("C-c"), typed("/edit 1"), keys("Enter")
    check("/edit", shows("^edit> lines 60"))
    keys("BSpace", "BSpace"), typed("2"), keys("Enter")
    check("answers the changed message", shows(r"^you ▸ lines 2\b.*\n.*\nai  ▸ line 1\b.*\n +line 2"))
    check("and what followed is gone", "think" not in screen())
    typed("/continue"), keys("Enter")
    check("/continue", shows("line 2 and on|and on"))
    typed("```c"), keys("C-j"), typed("int x;"), keys("C-j"), typed("```"), keys("Enter"), keys("F5")
    check("F5 copies by OSC 52", wait(lambda: "echo: ```c" in tmux("show-buffer")))
    check("and says so", shows("copied the last answer"))


def outside():
    ed = DIR + "/ed.sh"
    with open(ed, "w") as f:
        f.write("#!/bin/sh\nprintf ' and edited' >>\"$1\"; ls -l \"$1\" >%s/mode\n" % DIR)
    os.chmod(ed, 0o755)
    start(env=f"VISUAL={ed}")
    typed("typed"), keys("C-g")
    check("Ctrl-G edits the line", shows("^> typed and edited"))
    check("in a private file", open(DIR + "/mode").read().startswith("-rw-------"))
    keys("C-c"), keys("F10")
    check("F10 leaves the mouse", wait(lambda: tmux("display", "-p", "#{mouse_any_flag}").strip() == "0"))
    keys("F10")
    check("and takes it", wait(lambda: tmux("display", "-p", "#{mouse_any_flag}").strip() == "1"))
    tmux("resize-window", "-x", "1", "-y", "1")
    time.sleep(0.2)
    for w, h in ((3, 2), (40, 8), (200, 60), (7, 30), (100, 3), (80, 24)):
        tmux("resize-window", "-x", str(w), "-y", str(h))
    check("any size", shows("^>"))
    with open(DIR + "/inputrc", "w") as f:
        f.write("set editing-mode vi\n$if airlchat\n\"\\C-o\": \"bound\"\n$endif\n")
    start(env=f"INPUTRC={DIR}/inputrc")
    typed("bc"), keys("Escape")
    time.sleep(0.2)
    keys("0", "i", "a", "C-o")
    check("inputrc and vi mode", shows("^> aboundbc"))


def suspend():
    new_server()
    tmux("new-session", "-d", "-x", "80", "-y", "24", "env PS1='shell$ ' bash --norc -i")
    tmux("send-keys", "-l", f"stty -g >{DIR}/before; XDG_STATE_HOME={DIR}/state {DEMO}")
    keys("Enter")
    shows("^>")
    typed("kept"), shows("^> kept"), keys("C-z")
    check("Ctrl-Z gives the shell back", shows(r"Stopped[^$]*tui_demo") and shows(r"shell\$ ?$"))
    check("on its own screen", tmux("display", "-p", "#{alternate_on} #{mouse_any_flag}").strip() == "0 0")
    tmux("send-keys", "-l", f"stty -g >{DIR}/during; fg"), keys("Enter")
    check("fg comes back to the line", shows("^> kept"))
    keys("C-c"), keys("C-d")
    wait(lambda: screen().rstrip().endswith("shell$")) # else it still takes what is typed
    tmux("send-keys", "-l", f"stty -g >{DIR}/after; echo done"), keys("Enter")
    shows("^done")
    texts = [re.sub(r"\s", "", open(f"{DIR}/{f}").read()) for f in ("before", "after", "during")]
    check("the terminal is as before, also between", texts[0] == texts[1] == texts[2])


def sparing():
    text = DIR + "/long.md"
    with open(text, "w") as f:
        for i in range(9000):
            f.write(f"## Part {i}\n\nSome *text* with `code` in paragraph {i}, which is long enough to be broken.\n\n"
                    f"- one\n- two\n\n")
    check("a long conversation opens", start(text) and shows("Part 8999"))
    stat = open(f"/proc/{pid()}/stat").read().rsplit(")", 1)[1].split()
    used = (int(stat[11]) + int(stat[12])) * 1000 // os.sysconf("SC_CLK_TCK")
    slow = "sanitize" in open(os.path.join(tap.BUILD, "config.status")).read()
    check(f"{os.path.getsize(text) // 1024} KiB within 300 ms of CPU time ({used})", used < 300 or slow)

    def switches():
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", open(f"/proc/{pid()}/status").read(), re.M)[1])
    time.sleep(0.3)
    n = switches()
    time.sleep(1)
    check("no wake-ups when idle", switches() == n)


if __name__ == "__main__":
    try:
        for f in (typing, history, lists, conversation, outside, suspend, sparing):
            f()
    finally:
        tmux("kill-server")
        shutil.rmtree(DIR, ignore_errors=True)
    tap.done()
