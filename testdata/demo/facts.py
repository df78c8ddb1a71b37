"""What a user can tell about himself and ask again: one class per kind of fact.

A fact has a slot (what it is about), a statement by the user, the bot's acknowledgement, and an answer that the bot gives when asked.
Wordings after HELD are kept for evaluation. In a wording, {v} is the value.
"""
import names

HELD = None     # the mark in a list of wordings

# Questions for anything that has a noun phrase {n}: "my name", "the secret word"...
FRAMES = ["what is {n}", "what is {n}", "what is {n}", "what's {n}", "whats {n}", "tell me {n}", "do you know {n}", "do you remember {n}", "can you tell me {n}",
          "what was {n}", "what did I say {n} was", "can you remember {n}", "I forgot {n}", "what was {n} again", "do you know what {n} is",
          "what did I tell you about {n}", "I want to know {n}", "could you say {n}", "would you tell me {n}", "please give me {n}", "I would like to know {n}", "could you give me {n}", "do you recall {n}", "and {n}", "say {n}", "what is {n} again", "what is {n} now", "did I tell you {n}",
          HELD, "remind me of {n}", "could you tell me what {n} is", "do you still remember {n}", "have you kept {n} in mind"]


def usable(forms, held):
    """The wordings for training, or those held out."""
    cut = forms.index(HELD) if HELD in forms else len(forms)
    return forms[cut + 1:] if held and cut < len(forms) else forms[:cut]


class Fact:
    """kind: a class of questions; slot: what a later fact of the same slot replaces."""
    kind = ""
    tails = [""]

    def __init__(self, value, slot=None):
        self.value, self.slot = value, slot or (self.kind,)

    def say(self, rng, held=False):
        return rng.choice(usable(self.statements(), held)).format(v=self.value)

    def ack(self):
        return self.answer()

    def ask(self, rng, held=False):
        forms = usable(self.questions(), held)
        noun = self.noun()
        if noun and rng.random() < (0.5 if forms else 1):
            return rng.choice(usable(FRAMES, held)).format(n=noun)
        return rng.choice(forms or usable(self.questions(), False)).format(**self.words())

    def noun(self):
        return ""

    def words(self):
        return {}

    def questions(self):
        return []


class Name(Fact):
    kind = "name"
    tails = ["", "", " How can I help you?"]

    def statements(self):
        return ["my name is {v}", "my name is {v}", "I am {v}", "I'm {v}", "call me {v}", "you can call me {v}", "they call me {v}", "my name's {v}",
                "hello, my name is {v}", "hi, I am {v}", "hey, I'm {v}", "this is {v}", "people call me {v}", "im {v}", "hello, I'm {v}", "name is {v}",
                "hi, my name is {v}", "my friends call me {v}", "remember that my name is {v}", "hello, this is {v}", "my first name is {v}",
                HELD, "everyone calls me {v}", "good morning, my name is {v}", "the name is {v}", "please call me {v}"]

    def ack(self):
        return f"Nice to meet you, {self.value}!"

    def answer(self):
        return f"Your name is {self.value}."

    def unknown(self):
        return "You have not told me your name yet."

    def noun(self):
        return "my name"

    def questions(self):
        return ["who am I", "what am I called", "do you remember who I am", "do you know who I am", "how am I called", "say my name", "my name",
                "do you remember me", "what name did I give you", "how do people call me", "what should you call me",
                HELD, "which name did I tell you", "so who am I", "remember my name"]


class Favourite(Fact):
    """The favourite colour, food, animal, drink... of the user."""
    kind = "favourite"
    tails = [""]
    VALUES = {"colour": "red green blue yellow orange purple pink brown black white grey gold silver turquoise violet".split(),
              "food": names.LISTED["foods"], "animal": "cat dog horse rabbit fox wolf bear lion tiger elephant penguin owl eagle dolphin whale snake frog hedgehog".split(),
              "drink": "tea coffee milk water juice lemonade cocoa wine beer".split(), "sport": "football tennis chess swimming running skiing hockey golf rugby cricket".split(),
              "season": "spring summer autumn winter".split(), "flower": "rose tulip lily daisy sunflower violet".split(), "number": None,
              "day": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(), "month": "January February March April May June July August September October November December".split(),
              "book": None, "song": None, "city": None}

    def __init__(self, thing, value):
        super().__init__(value, ("favourite", thing))
        self.thing = thing

    def statements(self):
        t = self.thing
        own = {"colour": ["I like {v}", "I like {v}", "I love {v}", "the colour I like best is {v}", "my favorite color is {v}", "I like the colour {v}", "I really like {v}",
                          HELD, "the colour I love most is {v}", "I am fond of {v}"],
               "food": ["I like {v}", "I love {v}", "I like to eat {v}", "I love eating {v}", "the food I like best is {v}", HELD, "most of all I eat {v}"],
               "drink": ["I like to drink {v}", "I always drink {v}", "the drink I like best is {v}"]}.get(t, [f"the {t} I like best is {{v}}"])
        return [f"my favourite {t} is {{v}}"] * 3 + [f"my favorite {t} is {{v}}"] + own

    def answer(self):
        return f"Your favourite {self.thing} is {self.value}."

    def unknown(self):
        return f"You have not told me your favourite {self.thing}."

    def noun(self):
        return f"my favourite {self.thing}"

    def questions(self):
        t = self.thing
        return [f"which {t} do I like", f"what {t} do I like", f"which {t} do I like best", f"what is my favorite {t}", f"what {t} did I say I like",
                f"my favourite {t}", f"which {t} is my favourite", f"what kind of {t} do I like", f"do you know which {t} I like", f"tell me which {t} I like", f"which {t} do I love", f"what is the {t} I like", f"what {t} do I like most", f"could you tell me which {t} I like",
                HELD, f"which {t} did I say I like best", f"what {t} do I love most", f"what {t} is my favourite"]


class Town(Fact):
    kind = "town"

    def statements(self):
        return ["I live in {v}", "I live in {v}", "my home is in {v}", "I am from {v}", "I come from {v}", "I moved to {v}", "my town is {v}", "we live in {v}", "I'm from {v}",
                "home is {v}", "my house is in {v}", "I am living in {v}", "I now live in {v}", "I stay in {v}", HELD, "I have a house in {v}", "my home town is {v}", "I have lived in {v} for years"]

    def answer(self):
        return f"You live in {self.value}."

    def unknown(self):
        return "You have not told me where you live."

    def questions(self):
        return ["where do I live", "where do I live", "where is my home", "which town do I live in", "where am I from", "what town do I live in", "what is my town", "do you know where I live",
                "where do I come from", "do you remember where I live", "tell me where I live", "could you tell me where I live", "where was I living", "which place do I live in", "can you tell me where I live", "in which town do I live", "which city do I live in",
                "where did I say I live", "what city am I from", HELD, "where am I living", "remind me where I live", "could you tell me where my home is", "which place do I come from"]


class Pet(Fact):
    kind = "pet"
    tails = [" That is a good name.", ""]
    KINDS = "cat dog bird horse rabbit fish hamster parrot pony goat mouse turtle".split()

    def __init__(self, animal, value):
        super().__init__(value, ("pet", animal))
        self.animal = animal

    def statements(self):
        a = self.animal
        return [f"I have a {a} called {{v}}", f"I have a {a} named {{v}}", f"my {a} is called {{v}}", f"my {a}'s name is {{v}}", f"the name of my {a} is {{v}}", f"my {a} is named {{v}}",
                f"I got a {a} called {{v}}", f"we have a {a} called {{v}}", f"our {a} is called {{v}}", f"I call my {a} {{v}}", f"there is a {a} here called {{v}}", f"my {a} is {{v}}",
                HELD, f"at home I have a {a} called {{v}}", f"I own a {a} named {{v}}", f"my little {a} is called {{v}}"]

    def answer(self):
        return f"Your {self.animal} is called {self.value}."

    def unknown(self):
        return f"You have not told me about a {self.animal}."

    def noun(self):
        return f"my {self.animal}'s name"

    def questions(self):
        a = self.animal
        return [f"what is my {a} called", f"what's my {a} called", f"what is the name of my {a}", f"how is my {a} called", f"who is my {a}", f"do you know the name of my {a}", f"what do I call my {a}",
                f"what name does my {a} have", f"tell me the name of my {a}", f"what is my {a} named", f"do you remember my {a}", f"what was my {a} called", f"could you tell me what my {a} is called", f"how did I call my {a}",
                HELD, f"which name does my {a} have", f"what did I name my {a}", f"how did I say my {a} is called"]


class Relation(Pet):
    kind = "relation"
    tails = [""]
    KINDS = "brother sister friend mother father son daughter wife husband boss neighbour teacher uncle aunt".split()

    def __init__(self, who, value):
        super().__init__(who, value)
        self.slot = ("relation", who)

    def statements(self):
        a = self.animal
        return [f"my {a} is called {{v}}", f"my {a}'s name is {{v}}", f"the name of my {a} is {{v}}", f"my {a} is named {{v}}", f"I have a {a} called {{v}}", f"my {a} is {{v}}",
                f"I have a {a} named {{v}}", f"this is about my {a} {{v}}", HELD, f"they call my {a} {{v}}", f"people call my {a} {{v}}"]

    def unknown(self):
        return f"You have not told me about your {self.animal}."


class Job(Fact):
    kind = "job"

    def _a(self):
        return ("an " if self.value[0] in "aeiou" else "a ") + self.value

    def say(self, rng, held=False):
        return rng.choice(usable(self.statements(), held)).format(v=self._a())

    def statements(self):
        return ["I am {v}", "I'm {v}", "I work as {v}", "my job is being {v}", "by profession I am {v}", "I have a job as {v}", "I earn my money as {v}", HELD, "I make a living as {v}", "I have become {v}"]

    def answer(self):
        return f"You are {self._a()}."

    def unknown(self):
        return "You have not told me your job."

    def noun(self):
        return "my job"

    def questions(self):
        return ["what do I do for a living", "what is my profession", "what do I work as", "what work do I do", "where do I work", "what am I by profession", HELD, "which job do I have", "how do I earn my money"]


class Age(Fact):
    kind = "age"

    def statements(self):
        return ["I am {v} years old", "I'm {v} years old", "my age is {v}", "I am {v}", "I turned {v} this year", "I am now {v} years old", HELD, "I have just turned {v}", "I became {v} years old"]

    def answer(self):
        return f"You are {self.value} years old."

    def unknown(self):
        return "You have not told me your age."

    def noun(self):
        return "my age"

    def questions(self):
        return ["how old am I", "how old am I", "do you know how old I am", "tell me how old I am", "what age am I", "do you remember how old I am", HELD, "how many years old am I", "how old did I say I am"]


class Code(Fact):
    """A number to be kept: code, lucky number, phone number, PIN."""
    kind = "number"
    KINDS = {"the code": 1, "my lucky number": 0, "my number": 0, "the number": 1, "my pin": 0, "my room number": 0, "the answer": 1, "my phone number": 0,
             "the pin": 1, "the PIN": 1, "my PIN": 0, "the door code": 1, "my code": 0, "the room number": 1}

    def __init__(self, what, value):
        super().__init__(value, ("number", what))
        self.what = what

    def statements(self):
        w = self.what
        return [f"{w} is {{v}}", f"{w} is {{v}}", f"remember that {w} is {{v}}", f"{w}: {{v}}", f"please remember {w}: {{v}}", f"keep in mind that {w} is {{v}}", HELD, f"you should know that {w} is {{v}}", f"note that {w} is {{v}}"]

    def _your(self):
        return self.what.replace("my ", "your ")

    def answer(self):
        s = self._your()
        return f"{s[0].upper() + s[1:]} is {self.value}."

    def unknown(self):
        return f"You have not told me {self._your()}."

    def noun(self):
        return self.what


class Word(Code):
    kind = "word"
    KINDS = ["the secret word", "the password", "my secret word", "my password", "the magic word", "the word"]

    def __init__(self, what, value):
        super().__init__(what, value)
        self.slot = ("word", what)


class Birthday(Fact):
    kind = "birthday"

    def statements(self):
        return ["my birthday is in {v}", "I was born in {v}", "I have my birthday in {v}", "my birthday is {v}", "birthday is in {v}", HELD, "I celebrate my birthday in {v}", "I will have my birthday in {v}"]

    def answer(self):
        return f"Your birthday is in {self.value}."

    def unknown(self):
        return "You have not told me when your birthday is."

    def noun(self):
        return "my birthday"

    def questions(self):
        return ["when is my birthday", "when is my birthday", "in which month is my birthday", "when was I born", "do you know when my birthday is", "which month is my birthday in", HELD, "when do I have my birthday", "in what month was I born"]


class Thing(Fact):
    """An object in a place: the one that needs binding."""
    kind = "object"
    tails = [" I will remember."]

    def __init__(self, thing, prep, place, my=False, my_place=False):
        super().__init__(place, ("object", thing))
        self.thing, self.prep, self.place, self.my, self.my_place = thing, prep, place, my, my_place

    def _obj(self):
        return ("my " if self.my else "the ") + self.thing

    def _your(self):
        return ("your " if self.my else "the ") + self.thing

    def say(self, rng, held=False):
        place = (" my " if self.my_place else " the ") + self.place
        where = self.prep + place
        if not held and self.prep in ("in", "on") and rng.random() < 0.25:      # a movement: into, onto, to
            o, to = self._obj(), {"in": "into", "on": "onto"}[self.prep] + place
            return rng.choice([f"I moved {o} to{place}", f"I moved {o} {to}", f"I put {o} {to}", f"I moved {o} {where}", f"I have moved {o} to{place}", f"I took {o} to{place}"])
        return rng.choice(usable(self.statements(), held)).format(p=where)

    def statements(self):
        o = self._obj()
        return [f"{o} is {{p}}", f"{o} is {{p}}", f"{o} is {{p}}", f"I put {o} {{p}}", f"I put {o} {{p}}", f"I left {o} {{p}}", f"I have put {o} {{p}}", f"I placed {o} {{p}}",
                f"I hid {o} {{p}}", f"I keep {o} {{p}}", f"you can find {o} {{p}}", f"{o} is now {{p}}", f"remember that {o} is {{p}}", f"remember: {o} is {{p}}", f"{o} was put {{p}}",
                f"someone put {o} {{p}}", f"I moved {o}, it is now {{p}}", f"I found {o} {{p}}", f"I saw {o} {{p}}", f"we left {o} {{p}}", f"{o} stands {{p}}", f"today I put {o} {{p}}", f"I will put {o} {{p}}", f"I am putting {o} {{p}}", f"you should know that {o} is {{p}}", f"{o} can be found {{p}}", f"I forgot {o} {{p}}",
                HELD, f"I just put {o} {{p}}", f"{o} lies {{p}}", f"I have left {o} {{p}}", f"note that {o} is {{p}}"]

    def answer(self):
        s = self._your()
        return f"{s[0].upper() + s[1:]} is {self.prep} {'your' if self.my_place else 'the'} {self.place}."

    def unknown(self):
        return f"You have not told me where {self._your()} is."

    def questions(self):
        o = self._obj()
        return [f"where is {o}", f"where is {o}", f"where is {o}", f"where's {o}", f"wheres {o}", f"where did I put {o}", f"where did I leave {o}", f"do you know where {o} is", f"tell me where {o} is",
                f"can you tell me where {o} is", f"do you remember where {o} is", f"where can I find {o}", f"where was {o}", f"I am looking for {o}", f"I can't find {o}", f"where is {o} now",
                f"where did I say {o} is", f"where do I find {o}", f"I need {o}", f"show me where {o} is", f"in which place is {o}", f"I lost {o}", f"have you seen {o}", f"could you tell me where {o} is", f"would you tell me where {o} is", f"I am searching for {o}", f"where is {o}, I need it", f"which place is {o} in", f"where did we leave {o}", f"where should I look for {o}", f"remember where {o} is", f"where is {o} again",
                HELD, f"could you tell me where I put {o}", f"where have I put {o}", f"remind me where {o} is", f"I have lost {o}, where is it"]


WEIGHTS = {"object": 5, "name": 3, "colour": 2, "favourite": 1.5, "town": 1.6, "pet": 2, "relation": 1.4, "job": 0.7, "age": 0.6, "number": 0.9, "word": 0.8, "birthday": 0.5}
KINDS = list(WEIGHTS)


def _word(rng, listed, source, share=0.6):
    """A lower-case word: listed, made up or held out; None is the training mix."""
    if source == "listed" or (source is None and rng.random() < share):
        return rng.choice(names.LISTED[listed])
    if source == "real":
        return rng.choice(names.HELDOUT["objects"])
    return names.invent(rng, "word", test=source == "made")


def make(rng, kind, source=None, slot=None):
    """A random fact of a kind. `slot` makes a new value for something told before."""
    if kind == "name":
        return Name(names.pick(rng, "name", source))
    if kind in ("colour", "favourite"):
        thing = slot[1] if slot else "colour" if kind == "colour" else rng.choice([t for t in Favourite.VALUES if t != "colour"])
        values = Favourite.VALUES[thing]
        if thing == "number":
            return Favourite(thing, str(rng.randint(0, 99)))
        if thing == "city":
            return Favourite(thing, names.pick(rng, "town", source))
        if source is None and rng.random() < (0.06 if thing == "colour" else 0.2) or not values:
            return Favourite(thing, _word(rng, "words", None))
        return Favourite(thing, rng.choice(values))
    if kind == "town":
        return Town(names.pick(rng, "town", source))
    if kind == "pet":
        return Pet(slot[1] if slot else rng.choice(Pet.KINDS[:2] * 4 + Pet.KINDS), names.pick(rng, "pet", source))
    if kind == "relation":
        return Relation(slot[1] if slot else rng.choice(Relation.KINDS[:5] * 2 + Relation.KINDS), names.pick(rng, "name", source))
    if kind == "job":
        return Job(_word(rng, "jobs", source if source == "listed" else None, 0.85))
    if kind == "age":
        return Age(str(rng.randint(3, 99)))
    if kind == "number":
        digits = "".join(rng.choice("0123456789") for _ in range(rng.choice((1, 2, 2, 3, 3, 4, 4, 5))))
        return Code(slot[1] if slot else rng.choice(list(Code.KINDS)), (" " if rng.random() < 0.15 else "").join(digits))
    if kind == "word":
        return Word(slot[1] if slot else rng.choice(Word.KINDS), _word(rng, "words", source))
    if kind == "birthday":
        return Birthday(rng.choice(Favourite.VALUES["month"]))
    thing = slot[1] if slot else _word(rng, "objects", source, 0.7)
    table = names.PLACES_HELDOUT if source == "real" and rng.random() < 0.5 else names.PLACES
    preps, place = rng.choice(table)
    prep = rng.choice(preps)
    if source == "made" or (source is None and rng.random() < 0.2):
        prep, place = rng.choice(("in", "on", "under", "behind", "next to", "near", "inside", "above", "beside")), names.invent(rng, "word", test=source == "made")
    return Thing(thing, prep, place, rng.random() < 0.2, rng.random() < 0.1)
