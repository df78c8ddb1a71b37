"""What the model can do without having been told anything: sums, counting, opposites, small talk, and saying that it does not know."""
import names
from facts import HELD, usable

OPPOSITES = """hot cold|big small|up down|left right|day night|open closed|old young|fast slow|high low|black white|good bad|happy sad|rich poor|hard soft|wet dry|long short|light dark
full empty|early late|strong weak|near far|loud quiet|clean dirty|first last|yes no|in out|on off|true false|thick thin|heavy light|sweet sour|summer winter|north south|east west|begin end
love hate|war peace|friend enemy|question answer|buy sell|give take|push pull|win lose|always never|easy difficult|wide narrow|deep shallow|cheap expensive|awake asleep|alive dead"""
PAIRS = {}
for _pair in OPPOSITES.replace("\n", "|").split("|"):
    _a, _b = _pair.split()
    PAIRS.setdefault(_a, _b)
    PAIRS.setdefault(_b, _a)
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
SOUNDS = {"cow": "moo", "dog": "woof", "cat": "meow", "sheep": "baa", "duck": "quack", "pig": "oink", "horse": "neigh", "frog": "croak", "owl": "hoot", "bee": "buzz", "snake": "hiss",
          "lion": "roar", "mouse": "squeak", "rooster": "cock-a-doodle-doo", "wolf": "howl", "bird": "tweet"}
COLOURS = {"grass": "green", "snow": "white", "the sky": "blue", "blood": "red", "a banana": "yellow", "coal": "black", "a lemon": "yellow", "milk": "white", "the sun": "yellow", "a tomato": "red",
           "a carrot": "orange", "chocolate": "brown", "a cherry": "red", "a leaf": "green", "the sea": "blue", "an elephant": "grey", "a flamingo": "pink", "a plum": "purple"}
NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve".split()
MANY = {"days are in a week": "A week has 7 days.", "months are in a year": "A year has 12 months.", "hours are in a day": "A day has 24 hours.", "minutes are in an hour": "An hour has 60 minutes.",
        "legs does a dog have": "A dog has 4 legs.", "legs does a spider have": "A spider has 8 legs.", "fingers are on a hand": "A hand has 5 fingers.", "wheels does a car have": "A car has 4 wheels.",
        "seconds are in a minute": "A minute has 60 seconds.", "letters are in the alphabet": "The alphabet has 26 letters."}


def a(word):
    return ("an " if word[0] in "aeiou" else "a ") + word


def sums(rng, held):
    op = rng.choices("+-*", (5, 4, 2))[0]
    while True:
        if op == "*":
            x, y = rng.randint(0, 10), rng.randint(0, 10)
        elif rng.random() < 0.7:
            x, y = rng.randint(0, 10), rng.randint(0, 10)
        else:
            x, y = rng.randint(0, 20), rng.randint(0, 12)
        if op != "-" or x >= y:
            break
    word = {"+": "plus", "-": "minus", "*": "times"}[op]
    value = {"+": x + y, "-": x - y, "*": x * y}[op]
    sign = op if op != "*" else rng.choice("*x")
    forms = [f"what is {x} {word} {y}", f"what is {x} {word} {y}", f"{x} {word} {y}", f"how much is {x} {word} {y}", f"what is {x} {sign} {y}", f"{x} {sign} {y}", f"{x}{sign}{y}", f"what is {x}{sign}{y}",
             f"calculate {x} {word} {y}", f"what's {x} {word} {y}", f"can you tell me what {x} {word} {y} is", f"tell me {x} {word} {y}", f"{x} {sign} {y} =", f"{x}{sign}{y}=", f"compute {x} {sign} {y}", f"could you tell me what {x} {word} {y} is", f"do you know how much {x} {word} {y} is", f"what does {x} {word} {y} give", f"what does {x} {word} {y} make"]
    if op == "+":
        forms += [f"add {x} and {y}", f"what is {x} and {y}", f"what is the sum of {x} and {y}", f"how much is {x} and {y}"]
    if x <= 12 and y <= 12:
        forms += [f"what is {NUMBERS[x]} {word} {NUMBERS[y]}"]
    forms += [HELD, f"do you know what {x} {word} {y} is", f"what do you get for {x} {word} {y}", f"how much do {x} {word} {y} make"]
    return rng.choice(usable(forms, held)), "?", f"{x} {word} {y} is {value}."


def counting(rng, held):
    if rng.random() < 0.25:
        lo, hi, step = rng.randint(2, 10), 1, -1
        forms = [f"count down from {lo}", f"count down from {lo} to {hi}", f"count from {lo} down to {hi}", f"count backwards from {lo}", f"count from {lo} to {hi}", HELD, f"please count backwards from {lo} to {hi}"]
    else:
        lo = 1 if rng.random() < 0.4 else rng.randint(0, 15)
        hi, step = lo + rng.randint(1, 9), 1
        forms = [f"count from {lo} to {hi}", f"count from {lo} to {hi}", f"can you count from {lo} to {hi}", f"count {lo} to {hi}", f"please count from {lo} to {hi}"]
        if lo == 1:
            forms += [f"count to {hi}", f"can you count to {hi}", f"count up to {hi}", f"count to {hi}"]
        forms += [HELD, f"let us count from {lo} to {hi}", f"could you count from {lo} up to {hi}"]
    return rng.choice(usable(forms, held)), ".", ", ".join(map(str, range(lo, hi + step, step))) + "."


def opposite(rng, held):
    x = rng.choice(list(PAIRS))
    forms = [f"what is the opposite of {x}", f"what is the opposite of {x}", f"opposite of {x}", f"the opposite of {x}", f"tell me the opposite of {x}", f"what's the opposite of {x}", f"do you know the opposite of {x}",
             f"can you tell me the opposite of {x}", f"what is the contrary of {x}", f"give me the opposite of {x}", HELD, f"which word is the opposite of {x}", f"could you name the opposite of {x}"]
    return rng.choice(usable(forms, held)), "?", f"The opposite of {x} is {PAIRS[x]}."


def days(rng, held):
    table, noun = (DAYS, "day") if rng.random() < 0.6 else (MONTHS, "month")
    i = rng.randrange(len(table))
    if rng.random() < 0.65:
        forms = [f"which {noun} comes after {table[i]}", f"what {noun} comes after {table[i]}", f"what comes after {table[i]}", f"what {noun} is after {table[i]}", f"which {noun} follows {table[i]}",
                 HELD, f"do you know which {noun} comes after {table[i]}"]
        return rng.choice(usable(forms, held)), "?", f"After {table[i]} comes {table[(i + 1) % len(table)]}."
    forms = [f"which {noun} comes before {table[i]}", f"what {noun} comes before {table[i]}", f"what comes before {table[i]}", f"what {noun} is before {table[i]}", HELD, f"do you know which {noun} comes before {table[i]}"]
    return rng.choice(usable(forms, held)), "?", f"Before {table[i]} comes {table[i - 1]}."


def letters(rng, held):
    i = rng.randrange(26)
    c = chr(97 + i)
    if rng.random() < 0.4 or i == 25:
        forms = [f"what is the capital letter of {c}", f"write {c} as a capital", f"what is the capital of the letter {c}", f"what is {c} as a capital letter", HELD, f"which is the capital letter of {c}"]
        return rng.choice(usable(forms, held)), "?", f"The capital letter of {c} is {c.upper()}."
    forms = [f"what letter comes after {c}", f"which letter comes after {c}", f"what comes after the letter {c}", f"which letter follows {c}", HELD, f"do you know the letter after {c}"]
    return rng.choice(usable(forms, held)), "?", f"After {c} comes {chr(98 + i)}."


def sound(rng, held):
    x = rng.choice(list(SOUNDS))
    forms = [f"what does {a(x)} say", f"what does the {x} say", f"which sound does {a(x)} make", f"what sound does {a(x)} make", f"how does {a(x)} sound", f"what noise does {a(x)} make", HELD, f"do you know what {a(x)} says"]
    return rng.choice(usable(forms, held)), "?", f"{a(x).capitalize()} says {SOUNDS[x]}."


def colour(rng, held):
    x = rng.choice(list(COLOURS))
    forms = [f"what colour is {x}", f"which colour is {x}", f"what is the colour of {x}", f"what color is {x}", f"tell me the colour of {x}", HELD, f"which colour does {x} have"]
    return rng.choice(usable(forms, held)), "?", f"{x[0].upper() + x[1:]} is {COLOURS[x]}."


def many(rng, held):
    x = rng.choice(list(MANY))
    return rng.choice(["how many ", "do you know how many ", "tell me how many "]) + x, "?", MANY[x]


def repeat(rng, held, test=False):
    def word():
        w = rng.choice(names.LISTED[rng.choice(("objects", "words", "names", "towns"))]) if rng.random() < 0.25 and not test else names.invent(rng, rng.choice(("word", "name")), test)
        return w.capitalize() if rng.random() < 0.15 else w
    what = " ".join(word() for _ in range(rng.choice((1, 1, 2, 2, 3, 3, 4))))
    forms = ["say {w}", "repeat after me: {w}", "say after me: {w}", "repeat: {w}", "please say {w}", "repeat {w}", "can you say {w}", "write {w}", "say: {w}", HELD, "could you repeat {w}", "now say {w}"]
    user = rng.choice(usable(forms, held)).format(w=what)
    return user, ".", f"I say: {what}."


PLACES = "forest garden castle river market mill harbour mountain village bridge field tower".split()
HEROES = "fox bear rabbit king queen cat dog owl wolf mouse knight farmer boy girl robot dragon wizard pirate".split()
MOODS = "clever brave little old happy hungry lonely kind lazy curious".split()


def story(rng, held):
    hero = rng.choice(HEROES) if rng.random() < 0.7 else rng.choice(names.LISTED["objects"])
    mood, place = rng.choice(MOODS), rng.choice(PLACES)
    if rng.random() < 0.5:
        find = rng.choice(names.LISTED["objects"])
        forms = [f"tell me a story about {a(hero)} and {a(find)}", f"tell a story about {a(hero)} and {a(find)}", f"a story about {a(hero)} and {a(find)}", f"can you tell me a story about {a(hero)} and {a(find)}", HELD, f"I would like a story about {a(hero)} and {a(find)}"]
        return rng.choice(usable(forms, held)), ".", f"Once there was {a(mood)} {hero}. One day the {hero} went to the {place} and found {a(find)}. The {hero} took the {find} home and was happy."
    forms = [f"tell me a story about {a(hero)}", f"tell a story about {a(hero)}", f"can you tell me a story about {a(hero)}", f"a story about {a(hero)}", f"write a story about {a(hero)}", HELD, f"I would like a story about {a(hero)}"]
    return rng.choice(usable(forms, held)), ".", f"Once there was {a(mood)} {hero}. One day the {hero} went to the {place} and met a friend. They sat together until the sun went down."


WHO = "I am a very small demo model built into kvasir. I can remember what you tell me, and a few other things."
CAN = "I can remember what you tell me: your name, your town, where you put things. I can also add small numbers, count, and name opposites."
DUNNO = "I do not know that. I am only a very small demo model."
# user wordings | answer; a second answer is chosen at random
TALK = [
    ("hello|hi|hey|hello there|hi there|good day|hello bot|hey there|helo|hallo|~howdy|~greetings", ["Hello! How can I help you?"]),
    ("good morning|morning", ["Good morning!"]), ("good evening|evening", ["Good evening!"]), ("good afternoon", ["Good afternoon!"]),
    ("how are you|how are you doing|how do you do|are you well|how is it going|how are you today|are you ok|what's up|~how do you feel today", ["I am fine, thank you."]),
    ("who are you|what are you|what is your name|who am I talking to|are you a robot|are you an AI|are you human|tell me about yourself|what model are you|introduce yourself|what's your name|are you a person|are you chatgpt|"
     "what are you called|who is this|are you a language model|~which model is this|~do you have a name", [WHO]),
    ("what can you do|help|what do you do|what can I ask you|how can you help me|what are you good at|can you help me|what can I do here|what should I ask|help me|what are you for|~what things can you do|~how do you work here", [CAN]),
    ("what is kvasir|who is kvasir|tell me about kvasir|what does kvasir do|~do you know kvasir", ["kvasir is the program that runs me. It keeps my memory on disk, so that I can go on after a restart."]),
    ("who made you|who built you|who trained you|where do you come from|who created you|how were you made|~who is your maker", ["The kvasir project trained me on a CPU, from a corpus that a script wrote."]),
    ("how big are you|how many parameters do you have|are you big|are you small|are you clever|are you smart|how smart are you|~how large are you", ["I am tiny: less than two million parameters. I am a toy for trying out."]),
    ("do you remember things|can you remember|do you have a memory|will you remember this|do you forget things|how do you remember|where is your memory|do you remember after a restart|~what happens after a restart",
     ["Yes. kvasir keeps my memory on disk, so I still know what you told me after a restart."]),
    ("are you there|are you still there|are you back|are you awake|hello again|I am back|I'm back|here I am again|are you alive|~are you running", ["Yes, I am here."]),
    ("thank you|thanks|thank you very much|many thanks|thanks a lot|thx|cheers|~thank you so much", ["You are welcome."]),
    ("goodbye|bye|bye bye|see you|see you later|good night|see you soon|I have to go|until tomorrow|~I must leave now", ["Goodbye! See you soon."]),
    ("yes|no|ok|okay|good|great|fine|nice|cool|sure|right|wow|well done|very good|that is right|correct|perfect|you are right|I see|alright|super|~excellent", ["Good."]),
    ("that is wrong|wrong|that is not right|no that is wrong|you are wrong|bad|not true|~that was wrong", ["I am sorry. I am only a very small model."]),
    ("sorry|I am sorry|excuse me|pardon", ["No problem."]),
    ("do you like me|I like you|I love you|you are nice|you are funny|you are great|~you are wonderful", ["You are very kind."]),
    ("tell me a joke|do you know a joke|make me laugh|a joke please|~I want to hear a joke", ["Why did the token cross the bus? To get to the other cache."]),
    ("I am tired|I am sad|I am hungry|I am cold|I feel bad|I am ill|I have a headache|I am bored|~I am lonely", ["I am sorry to hear that."]),
    ("I am happy|I feel good|I am well|I am fine|I am glad|I feel great|I'm fine|I am fine thanks|~I am in a good mood", ["I am glad to hear that."]),
    ("what is a cache|what is the kv cache|what is a kv cache|explain the cache", ["It is my memory of this conversation. kvasir keeps it on disk."]),
    ("what time is it|what day is today|what is the date|what day is it|what is the time|what year is it|~which day is it today", ["I do not know. I have no clock."]),
    ("what is the weather like|how is the weather|will it rain|is it sunny|~will it snow tomorrow", ["I do not know. I have no window."]),
    ("say something|talk to me|tell me something|~speak to me", ["I am small, but I remember. Tell me your name and ask me for it later."]),
]
TALK = [([w for w in u.split("|") if w[0] != "~"], [w[1:] for w in u.split("|") if w[0] == "~"], r) for u, r in TALK]


def talk(rng, held):
    train, kept, replies = rng.choice(TALK[:1] * 4 + TALK[5:9] * 2 + TALK)
    return rng.choice(kept if held and kept else train), "", rng.choice(replies)


_THINGS = "electricity photosynthesis democracy gravity inflation chess football history music physics love time space money water wine art philosophy mathematics Linux Python Rust computers bitcoin religion war peace".split()
_ASK = ["what is the capital of {t}", "who is the president of {t}", "where is {t}", "how far is it to {t}", "how many people live in {t}", "tell me about {t}", "what is {w}", "what is {x}", "explain {x}", "tell me about {x}",
        "who is {n}", "who was {n}", "when was {n} born", "how does {x} work", "why is {x} important", "what do you think about {x}", "write a poem about {x}", "write a program in {x}", "translate {w} into French", "how do I cook {f}",
        "what does {w} mean", "who invented {x}", "what is the meaning of life", "why is the sky blue", "who won the world cup", "what is the square root of {d}", "how tall is the tower of {t}", "what is the best {w}",
        "how do I fix my {o}", "how much does {a} cost", "can you write an email to {n}", "summarise this text for me", "what is the latest news", "how do I learn {x}", "which book should I read", "is {x} good or bad",
        "how do you make {a}", "do you know {n}", "what happened in {d}", "why do we need {x}", "how fast is {a}", "give me a recipe for {f}", "what is the population of {t}", "who wrote {w}", "what does {n} do",
        "is {n} older than {m}", "how old is {n}", "where does {n} live", "why", "how", "when", "who", "why is that", "how come", "can you sing", "do you sleep", "can you see me", "what is the largest planet", "what is the speed of light",
        "list all countries", "can you browse the internet", "open the {o}", "play {x}", "call {n}", "buy {a}", HELD, "could you explain {x} to me", "what is the history of {t}", "how do people use {a}"]
_SAY = ["I went to the {p} today", "it is raining", "the weather is nice", "I bought {a} yesterday", "I had {f} for dinner", "I saw {a} in the shop", "my {o} is broken", "I met {n} yesterday", "{t} is a nice town", "I was in {t} last year",
        "I will visit {n} tomorrow", "today was a long day", "I have a lot of work", "I watched a film about {x}", "the train was late", "I am going to the {p}", "I need a holiday", "I slept badly", "my back hurts", "we had a party",
        "I am reading a book about {x}", "the {o} was expensive", "it is cold today", "there was a storm in {t}", "I talked to {n} about {x}", "I want to learn {x}", "I think {x} is great", "I do not like {x}", "I cooked {f}", "the {p} was closed",
        "{n} came to see me", "I am waiting for {n}", "we played {x}", "I lost the game", "I won the game", "my computer is slow", "I have to clean the {p}", "{n} told me about {x}", HELD, "yesterday I walked to the {p}", "I had {a} as a present"]


def _fill(rng, form):
    n = names.pick(rng, "name")
    return form.format(t=names.pick(rng, "town"), w=names.invent(rng, "word"), x=rng.choice(_THINGS).lower() if rng.random() < 0.8 else names.invent(rng, "word"), n=n, m=names.pick(rng, "name"), d=rng.randint(2, 2000),
                       f=rng.choice(names.LISTED["foods"]), o=rng.choice(names.LISTED["objects"]), a=a(rng.choice(names.LISTED["objects"])), p=rng.choice(names.PLACES)[1])


def unknown(rng, held):
    x = rng.random()
    if x < 0.6:
        user, reply = _fill(rng, rng.choice(usable(_ASK, held))), DUNNO
        return user, "?", reply
    if x < 0.85:
        return _fill(rng, rng.choice(usable(_SAY, held))), ".", "I see. Thank you for telling me."
    # a heap of words that means nothing here
    n = rng.randint(2, 9)
    return " ".join(names.invent(rng, "word") if rng.random() < 0.7 else rng.choice(names.LISTED["words"] + names.LISTED["objects"]) for _ in range(n)), rng.choice(".?"), DUNNO


SKILLS = [(sums, 7), (counting, 2), (opposite, 3), (days, 1.5), (letters, 1), (sound, 0.8), (colour, 0.8), (many, 0.6), (repeat, 2), (story, 0.7), (talk, 5), (unknown, 2.5)]
BY_NAME = {f.__name__: f for f, _ in SKILLS}


def any_skill(rng, held=False, repeats=None):
    """(wording, mark, answer). `repeats` gives the share of "say after me"."""
    if repeats is not None and rng.random() < repeats:
        return repeat(rng, held)
    f = rng.choices([f for f, _ in SKILLS], [w for _, w in SKILLS])[0]
    return f(rng, held)
