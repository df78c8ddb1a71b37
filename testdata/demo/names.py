"""Names and words: listed ones, held-out ones, and makers of new ones.

A made-up word whose hash is 0 mod 8 is reserved for evaluation, as are the *_heldout.txt lists: training never shows them.
"""
import os
import zlib
from collections import Counter, defaultdict

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")


def read(name):
    with open(os.path.join(HERE, name + ".txt"), encoding="utf-8") as f:
        words = [w.strip() for line in f for w in line.replace("|", " ").split() if w.strip()]
    return list(dict.fromkeys(words))


HELDOUT = {k: read(k + "_heldout") for k in ("names", "towns", "objects")}
KEPT_OUT = {w.lower() for ws in HELDOUT.values() for w in ws}
LISTED = {k: [w for w in read(k) if w.lower() not in KEPT_OUT] for k in ("names", "towns", "pets", "objects", "words", "foods", "jobs")}
COMMON = read("common")        # ordinary words, for noise in the wordings


def places(name):
    with open(os.path.join(HERE, name + ".txt"), encoding="utf-8") as f:
        return [(line.split("|")[0].split(","), line.split("|")[1].strip()) for line in f if "|" in line]


PLACES, PLACES_HELDOUT = places("places"), places("places_heldout")
KEPT_OUT |= {p for _, p in PLACES_HELDOUT}


EVERY_LISTED = {w.lower() for ws in LISTED.values() for w in ws} | {p for _, p in PLACES}


def reserved(word):
    w = word.lower()
    return w in KEPT_OUT or zlib.crc32(w.encode()) % 8 == 0


class Markov:
    """A letter model of order 2 or 3 over a list of words: it spells like them."""

    def __init__(self, words, order):
        self.order, self.next = order, defaultdict(Counter)
        for w in words:
            s = "^" * order + w.lower() + "$"
            for i in range(order, len(s)):
                self.next[s[i - order:i]][s[i]] += 1
        self.next = {k: (list(v), list(v.values())) for k, v in self.next.items()}

    def make(self, rng):
        while True:
            s = "^" * self.order
            while not s.endswith("$") and len(s) < 14:
                letters, weights = self.next[s[-self.order:]]
                s += rng.choices(letters, weights)[0]
            w = s.strip("^$")
            if 2 <= len(w) <= 11:
                return w


ONSET = ("b c d f g h j k l m n p r s t v w y z br bl ch cl cr dr fl fr gl gr kl kn kr pl pr qu sc sh sk sl sm sn sp st str sw th tr "
         "tw wh zh").split() + list("bdfgklmnprstv") * 2 + [""]
VOWEL = list("aeiou") * 5 + "ai au ay ea ee ei ie io oa oo ou y ia ue".split()
CODA = [""] * 14 + list("bdfgklmnprstxz") + "ck ch ll mm nn nd ng nk nt rd rk rl rn rt ss st sh th tt ff ld lm lt mp ns".split()


def syllables(rng):
    n = rng.choices((1, 2, 3, 4), (2, 6, 4, 1))[0]
    w = ""
    for i in range(n):
        w += rng.choice(ONSET) + rng.choice(VOWEL) + rng.choice(CODA if i == n - 1 or rng.random() < 0.4 else [""])
    if rng.random() < 0.08:
        i = rng.randrange(len(w))
        w = w[:i + 1] + w[i:]          # a doubled letter somewhere
    return w[:12] if len(w) > 1 else w + "n"


def _letters(rng):
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 6)))


MARKOV = {"name": (Markov(LISTED["names"] + LISTED["pets"], 2), Markov(LISTED["names"] + LISTED["pets"], 3)),
          "town": (Markov(LISTED["towns"], 2), Markov(LISTED["towns"], 3)),
          "word": (Markov(LISTED["objects"] + LISTED["words"] + LISTED["foods"], 2), Markov(LISTED["objects"] + LISTED["words"] + [p for _, p in PLACES], 3))}
LISTED_SHARE = 0.35     # of names in training; the rest is made up
FRAGMENTS = []          # letter-only pieces of the vocabulary, set by `use_pieces`; names are made of them as well


def use_pieces(tokens):
    FRAGMENTS[:] = [t.lstrip("Ġ").lower() for t in tokens if t.lstrip("Ġ").isascii() and t.lstrip("Ġ").isalpha() and len(t.lstrip("Ġ")) <= 5]


def invent(rng, kind, test=False):
    """A new lower-case word; for evaluation (`test`) a reserved one, else never a reserved one."""
    while True:
        x = rng.random()
        if x < 0.40:
            w = syllables(rng)
        elif x < 0.80 or (test and x < 0.97):
            w = rng.choice(MARKOV[kind]).make(rng)
        elif x < 0.97 and FRAGMENTS:
            w = "".join(rng.choice(FRAGMENTS) for _ in range(rng.choice((1, 2, 2, 3))))[:12]
        else:
            w = _letters(rng)
        if len(w) < 2:
            continue
        if test:
            if zlib.crc32(w.encode()) % 8 == 0 and w not in KEPT_OUT and w not in EVERY_LISTED:
                return w
        elif not reserved(w):
            return w


def pick(rng, kind, source=None):
    """A capitalised name. kind: name, town, pet. source: listed, made, real (held out), or None for the training mix."""
    if source == "real":
        return rng.choice(HELDOUT["towns" if kind == "town" else "names"])
    if source == "listed":
        return rng.choice(LISTED[{"name": "names", "town": "towns", "pet": "pets"}[kind]])
    if source == "made":
        return invent(rng, "town" if kind == "town" else "name", test=True).capitalize()
    x = rng.random()
    if x < LISTED_SHARE:
        if kind == "pet" and rng.random() < 0.5:
            return rng.choice(LISTED["pets"])
        return rng.choice(LISTED["towns" if kind == "town" else "names"])
    w = invent(rng, "town" if kind == "town" else "name").capitalize()
    if kind == "name" and x > 0.93:
        w += rng.choice(" -") + (invent(rng, "name").capitalize() if rng.random() < 0.6 else rng.choice(LISTED["names"]))
    return w
