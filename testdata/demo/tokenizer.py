"""Byte-level BPE with the split rule that llama.cpp calls `llama-bpe`.

Text is cut by the rule, each cut is written as bytes (one printable character per byte, as in GPT-2), and neighbouring
pieces are merged in the order in which the merges were learnt. Digits are never merged.
"""
import json
import random
import sys
import unicodedata
import re
from collections import Counter, defaultdict

SPECIAL = ["<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|bot|>"]
BEGIN, END, SYSTEM, USER, BOT = range(5)


def _class(first):
    """The inside of a character class that holds every character whose Unicode category starts with `first`."""
    out, start, prev = [], None, None
    for c in range(sys.maxunicode + 1):
        if unicodedata.category(chr(c))[0] == first:
            if start is None:
                start = c
            prev = c
        elif start is not None:
            out.append((start, prev))
            start = None
    if start is not None:
        out.append((start, prev))
    return "".join("\\U%08x-\\U%08x" % r for r in out)


_L, _N = _class("L"), _class("N")
SPLIT = re.compile(
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    rf"|[^\r\n{_L}{_N}]?[{_L}]+"
    rf"|[{_N}]{{1,3}}"
    rf"| ?[^\s{_L}{_N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def byte_alphabet():
    """GPT-2's mapping of the 256 bytes to printable characters."""
    keep = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table, extra = {b: chr(b) for b in keep}, 0
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + extra)
            extra += 1
    return table


BYTES = byte_alphabet()
UNBYTES = {c: b for b, c in BYTES.items()}


def printable(text):
    return "".join(BYTES[b] for b in text.encode("utf-8"))


class Tokenizer:
    def __init__(self, merges):
        self.merges = [tuple(m) for m in merges]
        self.rank = {m: i for i, m in enumerate(self.merges)}
        self.tokens = SPECIAL + [BYTES[b] for b in range(256)] + [a + b for a, b in self.merges]
        self.id = {t: i for i, t in enumerate(self.tokens)}
        assert len(self.id) == len(self.tokens), "a token appears twice"
        self.cache = {}

    def pieces(self, word, drop=0.0, rng=None):
        """The pieces of one cut. `drop` leaves each possible merge out with that probability."""
        parts = list(printable(word))
        while len(parts) > 1:
            best, where = None, -1
            for i in range(len(parts) - 1):
                r = self.rank.get((parts[i], parts[i + 1]))
                if r is not None and (best is None or r < best) and not (drop and rng.random() < drop):
                    best, where = r, i
            if best is None:
                break
            parts[where:where + 2] = [parts[where] + parts[where + 1]]
        return parts

    def word(self, word):
        ids = self.cache.get(word)
        if ids is None:
            whole = self.id.get(printable(word))
            ids = [whole] if whole is not None else [self.id[p] for p in self.pieces(word)]
            self.cache[word] = ids
        return ids

    def encode(self, text, cuts=None):
        """Token ids of plain text. `cuts` may fix the ids of some cuts of the text."""
        out = []
        for w in SPLIT.findall(text):
            out += cuts[w] if cuts and w in cuts else self.word(w)
        return out

    def decode(self, ids):
        raw = bytearray()
        for i in ids:
            raw += self.tokens[i].encode() if i < len(SPECIAL) else bytes(UNBYTES[c] for c in self.tokens[i])
        return raw.decode("utf-8", "replace")

    def save(self, path):
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"special": SPECIAL, "merges": [a + " " + b for a, b in self.merges]}, f, ensure_ascii=False, indent=0)

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as f:
            return cls([m.split(" ") for m in json.load(f)["merges"]])


def learn(texts, size):
    """Merges for a vocabulary of `size` tokens, from word counts."""
    words = Counter(w for t in texts for w in SPLIT.findall(t))
    words = {tuple(printable(w)): n for w, n in words.items() if not any(c.isdigit() for c in w)}
    seqs = [list(w) for w in words]
    counts = list(words.values())
    pairs, where = Counter(), defaultdict(set)
    for i, s in enumerate(seqs):
        for p in zip(s, s[1:]):
            pairs[p] += counts[i]
            where[p].add(i)
    merges, seen = [], set()
    while len(merges) < size - len(SPECIAL) - 256 and pairs:
        best = max(pairs, key=lambda p: (pairs[p], p))
        if best[0] + best[1] in seen:
            del pairs[best]
            continue
        merges.append(best)
        seen.add(best[0] + best[1])
        for i in list(where[best]):
            s, n = seqs[i], counts[i]
            for p in zip(s, s[1:]):
                pairs[p] -= n
                if pairs[p] <= 0:
                    del pairs[p]
            j = 0
            while j < len(s) - 1:
                if (s[j], s[j + 1]) == best:
                    s[j:j + 2] = [s[j] + s[j + 1]]
                j += 1
            for p in zip(s, s[1:]):
                pairs[p] += n
                where[p].add(i)
        pairs.pop(best, None)
    return merges


def unstable(tok):
    """Tokens that the merges alone would cut differently (runtimes differ there; should be none)."""
    bad = []
    for t in tok.tokens[len(SPECIAL) + 256:]:
        w = bytes(UNBYTES[c] for c in t).decode("utf-8", "ignore")
        if printable(w) == t and tok.pieces(w) != [t]:
            bad.append(t)
    return bad


if __name__ == "__main__":
    import dialogue
    rng = random.Random(1)
    texts = dialogue.tokenizer_corpus(rng, 12000)
    tok = Tokenizer(learn(texts, 1536))
    tok.save("tokenizer.json")
    print(len(tok.tokens), "tokens;", len(unstable(tok)), "unstable:", unstable(tok))
    n = sum(len(tok.encode(t)) for t in texts)
    print("characters per token: %.2f" % (sum(map(len, texts)) / n))
