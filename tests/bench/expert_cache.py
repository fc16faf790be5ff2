#!/usr/bin/env python3
"""Which experts should a cache keep? Policies over routing traces.

usage: expert_cache.py [TRACE.json...] [--share S]... [--tokens N]

A trace is what `airlchat --trace` wrote: its "experts" events say which experts each layer of each pass chose.
Without one, traces are made: layers x experts x chosen of a known shape, whose routing has what is reported of real
models: some experts of a layer are popular (Zipf, exponent SKEW); which ones depends on the topic, that changes every
TOPIC tokens; and a token keeps an expert of the one before with probability KEEP. The constants are guesses, not
counts; the first line of each table says how often experts repeat. They are no traces of real models.

A miss is an expert that has to be read; the table says the share of misses after the first tenth. For each share
of all experts that fits:
  opt       what is used again the latest goes (knows the future: the bound)
  lru, lfu  least recently; least often, since the beginning
  lfu/H     least often, where a use counts half after H tokens; `sampled`: of 24 chosen at random, as airlchat
            does it
  pinned    the most used of the first tenth of the trace stay for good; the rest is read each time
"""
import argparse
import heapq
import json
import random
from collections import Counter, OrderedDict, defaultdict

SHAPES = {"Qwen3-30B-A3B": (48, 128, 8), "Mixtral-8x7B": (32, 8, 2)}
SKEW, TOPIC, KEEP = {"Qwen3-30B-A3B": 0.8, "Mixtral-8x7B": 0.4}, 150, {"Qwen3-30B-A3B": 0.25, "Mixtral-8x7B": 0.13}
SAMPLE = 24


def load(path):
    """[(token, expert)], expert being (layer, number); tokens of one row only."""
    with open(path, encoding="utf-8") as f:
        events = [e["args"] for e in json.load(f) if e["name"] == "experts"]
    fewest = min(len(e["chosen"]) for e in events)
    return [(e["pass"], (e["layer"], x)) for e in events if len(e["chosen"]) == fewest for x in e["chosen"]]


def make(shape, tokens, seed=1):
    layers, experts, chosen = SHAPES[shape]
    rng = random.Random(seed)
    out, last = [], [[] for _ in range(layers)]
    weights = [(i + 1) ** -SKEW[shape] for i in range(experts)]
    always = [rng.sample(range(experts), experts) for _ in range(layers)]
    for t in range(tokens):
        if t % TOPIC == 0:  # half of the order is the layer's own, half the topic's
            order = []
            for l in range(layers):
                topic = rng.sample(range(experts), experts)
                rank = sorted(range(experts), key=lambda e, l=l, topic=topic: always[l][e] + topic[e])
                w = [0.0] * experts
                for i, e in enumerate(rank):
                    w[e] = weights[i]
                order.append(w)
        for l in range(layers):
            pick = {e for e in last[l] if rng.random() < KEEP[shape]}
            while len(pick) < chosen:
                pick.add(rng.choices(range(experts), order[l])[0])
            last[l] = sorted(pick)
            out += [(t, (l, e)) for e in last[l]]
    return out


def lru(trace, room):
    held = OrderedDict()
    for t, e in trace:
        hit = e in held
        held[e] = True
        held.move_to_end(e)
        if len(held) > room:
            held.popitem(last=False)
        yield hit


def opt(trace, room):
    following, after = {}, [0] * len(trace)
    for i in range(len(trace) - 1, -1, -1):
        after[i] = following.get(trace[i][1], len(trace) + i)
        following[trace[i][1]] = i
    held, heap = {}, []
    for i, (t, e) in enumerate(trace):
        hit = e in held
        held[e] = after[i]
        heapq.heappush(heap, (-after[i], e))
        while len(held) > room:
            at, x = heapq.heappop(heap)
            if held.get(x) == -at:
                del held[x]
        yield hit


def lfu(trace, room, half_life=None, sample=None):
    """Counts are remembered for what is not held too."""
    rng = random.Random(1)
    use, when, held, place = defaultdict(float), {}, [], {}

    def now(e, t):
        return use[e] * 2 ** (-(t - when[e]) / half_life) if half_life else use[e]
    for t, e in trace:
        hit = e in place
        use[e] = (now(e, t) if e in when else 0) + 1
        when[e] = t
        if not hit:
            if len(held) == room:
                some = rng.choices(held, k=sample) if sample else held
                worst = min(some, key=lambda x: now(x, t))
                i = place.pop(worst)
                held[i] = held[-1]
                place[held[i]] = i
                held.pop()
                if i == len(held):
                    place.pop(worst, None)
            place[e] = len(held)
            held.append(e)
        yield hit


def pinned(trace, room):
    count = Counter(e for _, e in trace[:len(trace) // 10])
    held = {e for e, _ in count.most_common(room)}
    for _, e in trace:
        yield e in held


POLICIES = {"opt": opt, "lru": lru, "lfu": lambda t, r: lfu(t, r, None, SAMPLE),
            **{f"lfu/{h}": lambda t, r, h=h: lfu(t, r, h, SAMPLE) for h in (4, 8, 16, 32, 64)}, "pinned": pinned}


def repeats(trace):
    """How many of the experts of the token before a token keeps; how often it keeps one at least."""
    chosen = defaultdict(set)
    for t, (l, e) in trace:
        chosen[t, l].add(e)
    both = [(chosen[t, l], chosen[t - 1, l]) for t, l in chosen if (t - 1, l) in chosen]
    return (sum(len(a & b) for a, b in both) / max(sum(len(a) for a, _ in both), 1),
            sum(bool(a & b) for a, b in both) / max(len(both), 1))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("traces", nargs="*", metavar="TRACE.json")
    ap.add_argument("--share", type=float, action="append", help="of all experts that fit (0.1, 0.2, 0.4)")
    ap.add_argument("--tokens", type=int, default=600, help="of a made trace")
    a = ap.parse_args()
    traces = [(p, load(p)) for p in a.traces] or [(s + ", made", make(s, a.tokens)) for s in SHAPES]
    for name, trace in traces:
        experts = len({e for _, e in trace})
        kept, some = repeats(trace)
        print(f"{name}: {len(trace)} uses of {experts} experts; of a token's experts {kept:.0%} were the token "
              f"before's too, at least one for {some:.0%}")
        print("| fits | " + " | ".join(POLICIES) + " |")
        print("|---:|" + "---:|" * len(POLICIES))
        for share in a.share or (0.1, 0.2, 0.4):
            room = max(int(experts * share), 1)
            row = []
            for policy in POLICIES.values():
                hits = list(policy(trace, room))[len(trace) // 10:]
                row.append(f"{1 - sum(hits) / len(hits):.1%}")
            print(f"| {share:.0%} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
