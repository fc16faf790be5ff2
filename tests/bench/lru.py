#!/usr/bin/env python3
"""What share of a cyclic scan comes from memory, by the way of choosing what to keep: the figures in
docs/architecture.md.

    lru.py [CHUNKS] [PASSES]
"""
import collections, random, sys


def lru(n, room, passes):
    """Least recently used goes."""
    cache, hits = collections.OrderedDict(), 0
    for p in range(passes):
        for i in range(n):
            if i in cache:
                cache.move_to_end(i)
                hits += p > 0
            else:
                if len(cache) == room:
                    cache.popitem(last=False)
                cache[i] = True
    return hits


def chance(n, room, passes):
    """Any goes."""
    rng, slots, where, hits = random.Random(1), [], {}, 0
    for p in range(passes):
        for i in range(n):
            if i in where:
                hits += p > 0
            elif len(slots) < room:
                where[i] = len(slots)
                slots.append(i)
            else:
                k = rng.randrange(room)
                del where[slots[k]]
                slots[k], where[i] = i, k
    return hits


def fixed(n, room, passes):
    """What was chosen at the start stays."""
    return min(room, n) * (passes - 1)


def main():
    given = [int(x) for x in sys.argv[1:3]]
    n, passes = given + [1000, 30][len(given):]
    print("room | LRU | random | fixed")
    for share in (0.25, 0.5, 0.75, 0.9, 0.99):
        room, all_ = int(n * share), n * (passes - 1)
        print(f"{share:.0%} | " + " | ".join(f"{f(n, room, passes) / all_:.0%}" for f in (lru, chance, fixed)))


main()
