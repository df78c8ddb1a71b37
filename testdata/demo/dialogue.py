"""Dialogues, generated while training, and the held-out ones that measure.

A dialogue is a list of turns (user text, bot text). In tokens: <|begin|> [<|system|> text] (<|user|> text <|bot|> text <|end|>)*.
"""
import random

import facts
import names
import skills
from tokenizer import BEGIN, BOT, END, SPLIT, SYSTEM, USER

PREFIX = ["please", "well,", "ok,", "so,", "hey,", "now", "and", "oh,", "hmm,", "by the way,", "hello,", "hi,", "kvasir,", "ok", "right,", "good,", "thanks,", "actually,", "just", "also,"]
SUFFIX_ASK = [" please", ", please", " then", " now", " again", ", do you know", ", thanks", " ok", " kvasir", " my friend"]
SUFFIX_TELL = [", by the way", " by the way", ", you know", ", ok", " now", " today", " as you know", ", please remember", ", remember that", " I think"]
SYSTEMS = ["You are a helpful assistant.", "You are kvasir, a small model.", "Answer briefly.", "You are a friendly bot. Be kind.", "Be short and precise.", "Answer in English.", "You are a helpful assistant that answers questions.",
           "You are an assistant. Today is Monday.", "Remember what the user tells you.", "Do not invent anything.", "You are a pirate.", "You are a very small model that runs on a board."]

# What a turn is about: share of new facts, questions about facts, questions about things never told, summaries; the rest are skills.
# join: share of turns with two facts or two questions. sleep: share of facts that are left alone for a while before they are asked for,
# so that long distances without a reminder are trained. list: share of dialogues that begin with several objects in a row,
# brief: with one to four facts and the question what they were. noise: share of wordings with a word put in or left out. again: share of facts that replace an earlier one (moved, renamed).
MIXES = {1: dict(tell=.30, ask=.36, never=.01, sum=.005, join=.05, repeat=.60),
         2: dict(tell=.26, ask=.44, never=.05, sum=.02, join=.12, repeat=.15),
         3: dict(tell=.23, ask=.34, never=.09, sum=.05, join=.12, repeat=None, sleep=.4, list=.2, brief=.2, noise=.08, again=.3)}
JOINERS = [" and ", " and ", " and ", ", ", ". ", ". ", ", and ", "; "]


class Dialogue:
    def __init__(self, rng, mix=3, held=False):
        self.rng, self.mix, self.held = rng, MIXES[mix], held
        self.turns, self.known, self.mention, self.cuts, self.wake = [], {}, {}, {}, {}
        self.moved = None
        self.size, self.length = 1, 512       # in tokens, roughly
        self.capital, self.mark = rng.choice((0, 0.3, 0.5, 1)), rng.choice((0.3, 0.8, 1, 1))
        self.lower = rng.random() < 0.07
        self.drop = rng.random() < 0.3
        self.weights = dict(facts.WEIGHTS)
        self.weights["object"] *= rng.choice((0.2, 0.6, 1, 1, 2, 3))
        self.system = ""
        if not held and rng.random() < 0.08:
            self.system = rng.choice(SYSTEMS) if rng.random() < 0.6 else " ".join(names.invent(rng, "word") for _ in range(rng.randint(2, 12)))

    # --- pieces of a turn: each gives (wording, mark, answer)

    def tell(self, fact):
        if self.lower:
            fact.value = fact.value.lower()
        if self.known.pop(fact.slot, None):
            self.moved = fact.slot
        self.known[fact.slot] = fact
        self.mention[fact.slot] = len(self.turns)
        self.wake.pop(fact.slot, None)
        self.sleep(fact.slot, self.mix.get("sleep"))
        if self.drop and not self.held:
            self._cut(fact)
        return fact.say(self.rng, self.held), ".", fact.ack()

    def sleep(self, slot, share):
        if share and self.rng.random() < share:
            self.wake[slot] = self.size + self.rng.uniform(self.rng.choice((0.1, 0.6)), 1) * max(60, self.length - self.size)

    def _cut(self, fact):
        """Sometimes fix another cut of the new word into pieces, the same for the whole dialogue."""
        if self.rng.random() < 0.5:
            for text in (fact.value, getattr(fact, "thing", "")):
                for w in SPLIT.findall(" " + text if text else ""):
                    if w.strip().isalpha():
                        self.cuts[w] = 0.25

    def new_fact(self, avoid=None):
        for _ in range(50):
            if self.known and self.rng.random() < self.mix.get("again", 0.12):      # moved, renamed
                slots = list(self.known)
                if "again" in self.mix and self.rng.random() < 0.6:
                    slots = [s for s in slots if s[0] == "object"] or slots
                slot = self.rng.choice(slots)
                kind = "colour" if slot == ("favourite", "colour") else slot[0]
                f = facts.make(self.rng, kind, slot=slot if len(slot) > 1 else None)
            else:
                f = facts.make(self.rng, self.rng.choices(facts.KINDS, [self.weights[k] for k in facts.KINDS])[0])
            if f.slot in self.known and self.rng.random() < 0.7:
                continue
            if f.slot != avoid:
                return f

    def ask(self, fact):
        self.mention[fact.slot] = len(self.turns)
        if self.wake.pop(fact.slot, None):
            self.sleep(fact.slot, 0.5)
        return fact.ask(self.rng, self.held), "?", fact.answer()

    def some_known(self, avoid=None):
        slots = [s for s in self.known if s != avoid and self.wake.get(s, 0) <= self.size]
        if not slots:
            return None
        if self.moved in slots and "again" in self.mix and self.rng.random() < 0.4:
            slot, self.moved = self.moved, None
            return self.known[slot]
        woken = [s for s in slots if s in self.wake]
        if woken and self.rng.random() < 0.7:
            return self.known[self.rng.choice(woken)]
        x = self.rng.random()
        if x < 0.40:
            slots = sorted(slots, key=lambda s: self.mention[s])[:3]
        elif x < 0.60:
            slots = [s for s in slots if s[0] == "object"] or slots
        return self.known[self.rng.choice(slots)]

    def ask_unknown(self, avoid=None):
        """A question about something that was never told."""
        for _ in range(30):
            f = facts.make(self.rng, self.rng.choices(facts.KINDS, [facts.WEIGHTS[k] for k in facts.KINDS])[0])
            if f.slot not in self.known and f.slot != avoid:
                return f.ask(self.rng, self.held), "?", f.unknown()
        return skills.any_skill(self.rng, self.held)

    SUMMARY = ["what did we talk about", "what did we talk about", "what do you know about me", "what did I tell you", "what do you remember", "tell me what you know about me", "tell me everything you know", "summarise our conversation",
               "what have I told you", "what do you know", "what were we talking about", "what have we talked about", "tell me about me", "what did I say", "tell me what we talked about", "summary please", "what did I tell you so far",
               "do you remember our conversation", "can you sum up what I told you", facts.HELD, "what have you learnt about me", "what was our conversation about", "list what I told you"]

    ORDER = "name town colour object pet age job birthday relation favourite number word".split()

    def told(self):
        """The latest fact of each kind, in a fixed order."""
        kinds = {"colour" if s == ("favourite", "colour") else s[0]: f for s, f in self.known.items()}
        return [kinds[k] for k in self.ORDER if k in kinds]

    def summary(self):
        told = self.told()[:6]
        return self.rng.choice(facts.usable(self.SUMMARY, self.held)), "?", " ".join(f.answer() for f in told) if told else "You have not told me anything yet."

    # --- turns

    def act(self, avoid=None):
        m, x = self.mix, self.rng.random()
        if not self.known and x < 0.5:
            x *= m["tell"] / 0.5
        if x < m["tell"]:
            return self.tell(self.new_fact(avoid)), "tell"
        x -= m["tell"]
        if x < m["ask"]:
            f = self.some_known(avoid)
            if f and not (self.mix.get("sleep") and self.mention[f.slot] >= len(self.turns) - 1 and self.rng.random() < 0.7):
                return self.ask(f), "ask"
            return skills.any_skill(self.rng, self.held, m["repeat"]), "skill"
        x -= m["ask"]
        if x < m["never"]:
            return self.ask_unknown(avoid), "ask"
        x -= m["never"]
        if x < m["sum"] and avoid is None and (len(self.told()) < 6 or self.rng.random() < 0.2):
            return self.summary(), "sum"
        return skills.any_skill(self.rng, self.held, m["repeat"]), "skill"

    def style(self, text, mark, tell=False, say=False):
        rng = self.rng
        plain = say or text.startswith(("hello", "hi,", "hey"))
        if not plain and not self.held and rng.random() < self.mix.get("noise", 0):
            text = self.noise(text, tell)
        if rng.random() < 0.10 and not plain:
            p = rng.choice(PREFIX)
            if not (tell and p in ("please", "just")):
                text = p + " " + text
        if rng.random() < 0.07 and not plain:
            text += rng.choice(SUFFIX_TELL if tell else SUFFIX_ASK)
        if self.lower and not say:
            text = text.lower()
        elif rng.random() < self.capital:
            text = text[0].upper() + text[1:]
        if rng.random() < self.mark:
            text += mark if rng.random() < 0.9 else rng.choice([".", "!", "..", " ", " " + mark])
        return text

    def noise(self, text, tell):
        """Another word put in, or one left out: in a question anywhere but at its end, in a statement only at its beginning."""
        words, rng = text.split(" "), self.rng
        last = 1 if tell else max(0, len(words) - 2)
        for _ in range(rng.choice((1, 1, 2))):
            words.insert(rng.randint(0, last), rng.choice(names.COMMON) if rng.random() < 0.8 else names.invent(rng, "word"))
        if not tell and len(words) > 5 and rng.random() < 0.3:
            del words[rng.randrange(2)]
        return " ".join(words)

    def turn(self, avoid=None):
        """Add one turn. `avoid` is a slot that must not be touched."""
        rng = self.rng
        (text, mark, reply), what = self.act(avoid)
        if rng.random() < self.mix["join"] and what in ("tell", "ask"):
            slots, asked = set(self.known), text
            for _ in range(rng.choice((1, 1, 1, 2))):
                more = None
                if what == "tell":
                    if rng.random() < 0.85:
                        f = self.new_fact(avoid)
                        if f.slot not in slots:
                            more, mark = self.tell(f), "."
                    elif not any(c in text for c in ":"):
                        f = self.some_known(avoid)
                        if f and f.answer() not in reply and f.slot in slots:
                            more, mark = self.ask(f), "?"
                            text, reply = text + ". " + more[0], reply + " " + more[2]
                            break
                else:
                    f = self.some_known(avoid)
                    if f and f.answer() not in reply:
                        more = self.ask(f)
                if more:
                    text, reply = text + rng.choice(JOINERS if what == "tell" else JOINERS[:5]) + more[0], reply + " " + more[2]
            self.add(self.style(text, mark, what == "tell"), reply)
        else:
            if what == "tell":
                f = list(self.known.values())[-1]
                reply += rng.choice(f.tails) if not self.held else ""
            self.add(self.style(text, mark, what == "tell", reply.startswith("I say:")), reply)

    def add(self, user, bot):
        self.turns.append((user, bot))
        self.size += 3 + (len(user) + len(bot)) / 3.2

    # --- tokens

    def ids(self, tok, upto=None):
        """(token ids, 1 where the bot speaks) of the turns."""
        cuts = {}
        for w, p in self.cuts.items():
            cuts[w] = [tok.id[x] for x in tok.pieces(w, p, self.rng)]
        ids, bot = [BEGIN], [0]
        if self.system:
            s = [SYSTEM] + tok.encode(self.system)
            ids, bot = ids + s, bot + [0] * len(s)
        for user, reply in self.turns[:upto]:
            u, r = [USER] + tok.encode(user, cuts) + [BOT], tok.encode(reply, cuts) + [END]
            ids += u + r
            bot += [0] * len(u) + [1] * len(r)
        return ids, bot


def training(rng, tok, mix, length):
    """One training sequence: one dialogue of `length` tokens or a little more."""
    d = Dialogue(rng, mix)
    d.length = length
    if d.mix.get("list") and rng.random() < d.mix["list"]:
        for _ in range(rng.randint(2, 8)):
            things = [s for s in d.known if s[0] == "object"]
            text, mark, reply = d.tell(facts.make(rng, "object", slot=rng.choice(things) if things and rng.random() < 0.15 else None))
            d.add(d.style(text, mark, True), reply + facts.Thing.tails[0])
    elif d.mix.get("brief") and rng.random() < d.mix["brief"]:
        for _ in range(rng.randint(1, 4)):
            f = d.new_fact()
            text, mark, reply = d.tell(f)
            d.add(d.style(text, mark, True), reply + rng.choice(f.tails))
            if rng.random() < 0.4:
                text, mark, reply = skills.any_skill(rng)
                d.add(d.style(text, mark, say=reply.startswith("I say:")), reply)
        text, mark, reply = d.summary()
        d.add(d.style(text, mark), reply)
    n = 1 + sum(size(tok, t) for t in d.turns)
    while n < length:
        d.turn()
        n += size(tok, d.turns[-1])
    return d.ids(tok)


def size(tok, turn):
    return 3 + sum(len(tok.encode(t)) for t in turn)


def tokenizer_corpus(rng, n):
    """Texts to learn the merges from: no listed names, so that none becomes a piece of its own."""
    names.LISTED_SHARE = 0
    texts = []
    for _ in range(n):
        d = Dialogue(rng)
        for _ in range(10):
            d.turn()
        texts += [t for turn in d.turns for t in turn]
    names.LISTED_SHARE = 0.35
    return texts


if __name__ == "__main__":
    rng = random.Random()
    for _ in range(4):
        d = Dialogue(rng)
        for _ in range(14):
            d.turn()
        print("SYSTEM:", d.system)
        for u, b in d.turns:
            print("  U:", u, "\n     B:", b)
