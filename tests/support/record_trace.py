#!/usr/bin/env python3
"""Make a recording for tests/support/replay.c out of a Chrome trace of airlchat.

airlchat MODEL --ram 60M --trace t.json -p ... ; record_trace.py t.json LAYERS PASSES > smollm2.trace
"""
import json
import sys

CAUSES = {"disk wait": 0, "copy wait": 1, "compute": 2, "embedding": 0}


def main():
    events = [e for e in json.load(open(sys.argv[1])) if e["ph"] != "M"]
    print("# made by tests/support/record_trace.py from a run of airlchat")
    print("layers", sys.argv[2])
    for n in range(int(sys.argv[3])):
        mine = [e for e in events if e["args"]["pass"] == n]
        spans = [e for e in mine if e["tid"] == 1 and e["ph"] == "X"]
        start = min(e["ts"] for e in spans)
        us = lambda t: round(t - start)
        wall = max(us(e["ts"] + e["dur"]) for e in spans) + 40
        print("pass", int(n == 0), 25 if n == 0 else 1, wall)
        layer, wait = None, None
        for e in mine:
            if e["args"]["layer"] != layer:
                layer = e["args"]["layer"]
                print("layer", layer)
            if e["tid"] == 1 and e["ph"] == "X":
                wait = e
                print("span", CAUSES[e["name"]], us(e["ts"]), us(e["ts"] + e["dur"]))
                continue
            read = e["ph"] == "X"
            begin, end = us(wait["ts"]), us(wait["ts"] + wait["dur"])
            print("use", e["args"]["tier"], e["args"]["bytes"], us(e["ts"]) if read else 0,
                  us(e["ts"] + e["dur"]) if read else 0, begin, end)
        print("end")


main()
