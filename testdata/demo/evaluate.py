"""Accuracy of a GGUF file (its weights decoded from Q8_0) on held-out dialogues, greedy, exact match of the whole answer.

usage: evaluate.py MODEL.gguf [--per 100] [--seeds 1001,1002] [--only WORDS] [--distances 5,200] [--json OUT] [--md OUT] [--wrong] [--jobs 2]
       evaluate.py MODEL.gguf --live DIALOGUES.jsonl [--md OUT] [--wrong]       the model answers every turn itself
A greedy answer is right exactly when each of its tokens is the most likely one after those before it, so one pass over the
dialogue with the right answer decides; the earlier turns hold the right replies. `--live` lets the model say them itself.
"""
import argparse
import json
import multiprocessing
import random

import torch

import heldout
import names
from export import load
from tokenizer import BEGIN, BOT, END, USER


def prompt(tok, case):
    ids = [BEGIN]
    for u, b in zip(case["turns"], case["replies"]):
        ids += [USER] + tok.encode(u) + [BOT] + tok.encode(b) + [END]
    return ids + [USER] + tok.encode(case["turns"][-1]) + [BOT]


@torch.no_grad()
def right(model, tok, cases, rows=16):
    """For each case, whether the greedy answer is the expected one."""
    seqs = [(prompt(tok, c), tok.encode(c["answer"]) + [END]) for c in cases]
    order = sorted(range(len(seqs)), key=lambda i: len(seqs[i][0]))
    ok = [False] * len(seqs)
    for at in range(0, len(order), rows):
        part = order[at:at + rows]
        ids = torch.zeros(len(part), max(len(seqs[i][0]) + len(seqs[i][1]) for i in part), dtype=torch.long)
        for r, i in enumerate(part):
            s = seqs[i][0] + seqs[i][1]
            ids[r, :len(s)] = torch.tensor(s)
        h = model.hidden(ids)
        for r, i in enumerate(part):
            p, a = len(seqs[i][0]), seqs[i][1]
            best = (h[r, p - 1:p - 1 + len(a)] @ model.embed.weight.T).argmax(-1)
            ok[i] = best.tolist() == a
    return ok


@torch.no_grad()
def reply(model, tok, ids, cache, most=100):
    """Greedy answer after `ids` (only those that the cache has not seen). Returns (text, tokens that still have to be fed)."""
    out, x = [], torch.tensor([ids])
    while len(out) < most:
        nxt = int((model.hidden(x, cache)[0, -1] @ model.embed.weight.T).argmax())
        if nxt == END:
            return tok.decode(out), []
        out.append(nxt)
        x = torch.tensor([[nxt]])
    return tok.decode(out), out[-1:]


def live(model, tok, turns):
    """What the model says to each turn, from its own earlier answers."""
    cache, feed, said = [[] for _ in range(model.c.layers)], [BEGIN], []
    for u in turns:
        feed = feed + [USER] + tok.encode(u) + [BOT]
        if cache[0] and len(feed) + cache[0][0].shape[2] > model.c.context - 110:
            return said + [""]
        text, rest = reply(model, tok, feed, cache)
        said.append(text)
        feed = rest + [END]
    return said


def start(path):
    global MODEL, TOK
    torch.set_num_threads(1)
    MODEL, TOK = load(path)
    names.use_pieces(TOK.tokens[261:])


def cell(job):
    """(label, distance, right, of, wrong ones) of one cell of the table and one seed."""
    i, seed, per, wrong = job
    label, distance, make = heldout.cells()[i]
    rng = random.Random(f"{seed} {label} {distance}")
    cases = [make(rng, TOK) for _ in range(per)]
    ok = right(MODEL, TOK, cases)
    bad = [(c["turns"][-1], c["answer"], reply(MODEL, TOK, prompt(TOK, c), [[] for _ in range(MODEL.c.layers)])[0]) for c, k in zip(cases, ok) if not k] if wrong else []
    return label, distance, sum(ok), len(ok), bad


def spoken(job):
    line, wrong = job
    c = json.loads(line)
    said = live(MODEL, TOK, c["turns"])[-1]
    ok = said == c["answer"]
    return c["category"], c["distance"], int(ok), 1, [] if ok or not wrong else [(c["turns"][-1], c["answer"], said)]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("model")
    ap.add_argument("--per", type=int, default=100)
    ap.add_argument("--seeds", default="1001,1002")
    ap.add_argument("--only", default="")
    ap.add_argument("--distances", default="")
    ap.add_argument("--json")
    ap.add_argument("--md")
    ap.add_argument("--live")
    ap.add_argument("--jobs", type=int, default=1)
    ap.add_argument("--wrong", action="store_true")
    o = ap.parse_args()
    if o.live:
        f, jobs = spoken, [(line, o.wrong) for line in open(o.live, encoding="utf-8")]
    else:
        keep = [int(d) for d in o.distances.split(",") if d]
        f, jobs = cell, [(i, seed, o.per, o.wrong) for i, (label, d, _) in enumerate(heldout.cells()) for seed in o.seeds.split(",")
                         if any(w in label for w in o.only.split("|")) and (not keep or d == 0 or d in keep)]
    table = {}
    with multiprocessing.Pool(o.jobs, start, (o.model,)) as pool:
        for label, distance, ok, of, bad in pool.imap(f, jobs):
            n = table.setdefault((label, distance), [0, 0])
            n[0], n[1] = n[0] + ok, n[1] + of
            for b in bad:
                print("  %s %d | %s | %s | %s" % ((label, distance) + b), flush=True)
    md = markdown(table, o.live)
    print(md)
    if o.md:
        open(o.md, "w").write(md + "\n")
    if o.json:
        with open(o.json, "w") as out:
            json.dump([{"category": k[0], "distance": k[1], "right": v[0], "of": v[1], "accuracy": round(v[0] / v[1], 4)} for k, v in table.items()], out, indent=0)


def markdown(table, counts):
    """Two tables: those with distances, and those without. `counts`: right/of instead of shares."""
    out, far = [], [k for k in table if k[1]]
    show = lambda v: "%d/%d" % tuple(v) if counts else "%.3f" % (v[0] / v[1])
    if far:
        cols = sorted({k[1] for k in far})
        out += ["| question, after a gap of so many tokens | " + " | ".join(map(str, cols)) + " |", "|---|" + "---|" * len(cols)]
        out += ["| " + r + " | " + " | ".join(show(table[r, c]) if (r, c) in table else "" for c in cols) + " |" for r in dict.fromkeys(k[0] for k in far)] + [""]
    near = [k for k in table if not k[1]]
    if near:
        out += ["| everything else | |", "|---|---|"] + ["| " + k[0] + " | " + show(table[k]) + " |" for k in near] + [""]
    v = [sum(x) for x in zip(*table.values())]
    return "\n".join(out + ["All together: %d of %d." % tuple(v)])


if __name__ == "__main__":
    main()
