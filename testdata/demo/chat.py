"""Talk to a GGUF file of this folder's making.   usage: chat.py MODEL.gguf   (one line of standard input per turn)"""
import sys

import torch

from evaluate import reply
from export import load
from tokenizer import BEGIN, BOT, END, USER

torch.set_num_threads(1)
model, tok = load(sys.argv[1])
cache, feed = [[] for _ in range(model.c.layers)], [BEGIN]
for line in sys.stdin:
    if not line.strip():
        continue
    feed += [USER] + tok.encode(line.rstrip("\n")) + [BOT]
    text, rest = reply(model, tok, feed, cache)
    feed = rest + [END]
    print(("" if sys.stdin.isatty() else "U: " + line) + "B: " + text, flush=True)
