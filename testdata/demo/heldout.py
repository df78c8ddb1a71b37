"""Held-out dialogues: a fact, a gap, a question; and the same for everything else the model is meant to do.

usage: heldout.py OUT.jsonl [PER_CELL] [SEED]
Each line: {"category", "distance", "turns": [user...], "replies": [what the bot should have said to all but the last...], "answer"}.
Names, objects and words are those that training never shows (unless a category says "listed"); wordings are those of training,
except in the categories that say "new wording".
"""
import json
import os
import random
import sys

import facts
import names
import skills
from dialogue import Dialogue, size
from tokenizer import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
DISTANCES = (5, 50, 200, 400, 800)
# category -> (kind of fact, source of the value)
RECALL = {"name, listed": ("name", "listed"), "name, made up": ("name", "made"), "name, unlisted real": ("name", "real"),
          "town, listed": ("town", "listed"), "town, made up": ("town", "made"), "town, unlisted real": ("town", "real"),
          "pet, made up": ("pet", "made"), "pet, unlisted real": ("pet", "real"), "relation, unlisted real": ("relation", "real"),
          "colour": ("colour", "listed"), "favourite": ("favourite", "listed"), "job": ("job", "listed"), "age": ("age", None), "number": ("number", None), "secret word, made up": ("word", "made"),
          "object, listed": ("object", "listed"), "object, unlisted real": ("object", "real"), "object, made up": ("object", "made")}
SKILLS = ["sums", "counting", "opposite", "days", "letters", "sound", "colour", "many", "repeat", "story", "talk", "unknown"]


def plain(rng, mix=3):
    d = Dialogue(rng, mix)
    d.mix = dict(d.mix, noise=0)
    d.drop = False
    d.lower = False
    d.system = ""
    return d


def gap(d, tok, tokens, avoid, objects=None):
    """Turns that do not touch the slot `avoid`, until there are that many tokens. `objects`: how many objects there may be at most."""
    n = 0
    while n < tokens:
        if objects is not None:
            full = sum(s[0] == "object" for s in d.known) >= objects
            d.weights["object"] = 0 if full else facts.WEIGHTS["object"]
        d.turn(avoid)
        n += size(tok, d.turns[-1])


def case(category, distance, d, question):
    text, mark, answer = question
    d.add(d.style(text, mark), answer)
    return {"category": category, "distance": distance, "turns": [u for u, _ in d.turns], "replies": [b for _, b in d.turns[:-1]], "answer": d.turns[-1][1]}


def tell(d, f):
    text, mark, reply = d.tell(f)
    d.add(d.style(text, mark, True), reply + f.tails[0])


def recall(rng, tok, category, distance, held=False, objects=None):
    kind, source = RECALL[category]
    d = plain(rng)
    for _ in range(rng.choice((0, 0, 1, 2))):
        d.turn()
    f = facts.make(rng, kind, source)
    d.held = held
    tell(d, f)
    d.held = False
    if distance > 5:
        gap(d, tok, distance, f.slot, objects)
    d.held = held
    return case(category + (", new wording" if held else ""), distance, d, d.ask(f))


def several(rng, tok, n, distance):
    """n objects told one after the other, a gap, a question about any one of them."""
    d = plain(rng)
    told = []
    while len(told) < n:
        f = facts.make(rng, "object", "listed")
        if f.slot not in d.known:
            tell(d, f)
            told.append(f)
    d.weights["object"] = 0
    if distance > 5:
        m, d.mix = d.mix, dict(d.mix, ask=0, sum=0, again=0, join=0)       # nothing that names an object again
        gap(d, tok, distance, None)
        d.mix = m
    f = d.known[rng.choice([s for s in d.known if s[0] == "object"])]
    return case(f"{n} objects", distance, d, d.ask(f))


def moved(rng, tok, distance):
    """An object told twice, in two places, with something between and a gap after."""
    d = plain(rng)
    f = facts.make(rng, "object", "listed")
    tell(d, f)
    gap(d, tok, 30, f.slot)
    while True:
        g = facts.make(rng, "object", "listed", slot=f.slot)
        if g.place != f.place:
            break
    tell(d, g)
    if distance > 5:
        gap(d, tok, distance, g.slot)
    return case("moved object", distance, d, d.ask(g))


def two_facts(rng, tok, distance):
    """Two facts in one sentence, a gap, a question about one of them."""
    d = plain(rng)
    kinds = rng.sample(["name", "town", "colour", "pet", "object", "age"], 2)
    f, g = (facts.make(rng, k, "made" if k in ("name", "town", "pet") else "listed" if k != "age" else None) for k in kinds)
    (a, _, r), (b, m, q) = d.tell(f), d.tell(g)
    d.add(d.style(a + rng.choice((" and ", ", ", ". ")) + b, m, True), r + " " + q)
    f = rng.choice((f, g))
    if distance > 5:
        gap(d, tok, distance, f.slot)
    return case("two facts in one sentence", distance, d, d.ask(f))


def summary(rng, tok, n):
    d = plain(rng)
    while len(d.known) < n:
        f = facts.make(rng, rng.choice(("name", "town", "colour", "pet", "object")), None)
        if f.slot not in d.known:
            tell(d, f)
            if rng.random() < 0.5:
                d.add(*(lambda x: (d.style(x[0], x[1]), x[2]))(skills.any_skill(rng)))
    return case(f"summary of {n}", 0, d, d.summary())


def never(rng, tok, distance):
    d = plain(rng)
    if distance > 5:
        gap(d, tok, distance, None)
    return case("never told", distance, d, d.ask_unknown())


def skill(rng, tok, name, held=False):
    d = plain(rng)
    for _ in range(rng.randint(0, 6)):
        d.turn()
    q = skills.repeat(rng, held, True) if name == "repeat" else skills.BY_NAME[name](rng, held)
    text, mark, answer = q
    d.add(d.style(text, mark, say=name == "repeat"), answer)
    c = {"category": "skill: " + name + (", new wording" if held else ""), "distance": 0, "turns": [u for u, _ in d.turns], "replies": [b for _, b in d.turns[:-1]], "answer": answer}
    return c


def cells(quick=False):
    """Every cell: (label, distance, maker)."""
    out = []
    for c in RECALL:
        for dist in DISTANCES:
            out.append((c, dist, lambda r, t, c=c, dist=dist: recall(r, t, c, dist)))
    for c in ("name, made up", "town, made up", "pet, made up", "colour", "object, listed"):
        for dist in (5, 200):
            out.append((c + ", new wording", dist, lambda r, t, c=c, dist=dist: recall(r, t, c, dist, True)))
    for n in (1, 2, 4, 8):
        for dist in (5, 50, 200, 400):
            out.append((f"{n} objects", dist, lambda r, t, n=n, dist=dist: several(r, t, n, dist)))
    for dist in (5, 50, 200, 400):
        out.append(("moved object", dist, lambda r, t, dist=dist: moved(r, t, dist)))
        out.append(("two facts in one sentence", dist, lambda r, t, dist=dist: two_facts(r, t, dist)))
        out.append(("never told", dist, lambda r, t, dist=dist: never(r, t, dist)))
    for n in (0, 1, 2, 3, 4):
        out.append((f"summary of {n}", 0, lambda r, t, n=n: summary(r, t, n)))
    for s in SKILLS:
        if s not in ("story",):
            out.append(("skill: " + s, 0, lambda r, t, s=s: skill(r, t, s)))
    for s in ("sums", "counting", "opposite", "talk"):
        out.append(("skill: " + s + ", new wording", 0, lambda r, t, s=s: skill(r, t, s, True)))
    return out


if __name__ == "__main__":
    tok = Tokenizer.load(os.path.join(HERE, "tokenizer.json"))
    names.use_pieces(tok.tokens[261:])
    per, seed = int((sys.argv[2:] or ["4"])[0]), int((sys.argv[3:] or ["1001"])[0])
    n = 0
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        for i, (label, dist, make) in enumerate(cells()):
            rng = random.Random(f"{seed} {label} {dist}")
            for _ in range(per):
                f.write(json.dumps(make(rng, tok), ensure_ascii=False) + "\n")
                n += 1
    print(n, "dialogues")
