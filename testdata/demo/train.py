"""Train the demo model: fresh dialogues at every step, loss on what the bot says, contexts that grow by stages.

usage: train.py OUT_DIR [--resume]
Reads schedule.json (again every 50 steps) and tokenizer.json; writes OUT_DIR/last.pt, OUT_DIR/loss_curve.csv.
"""
import json
import os
import random
import sys
import time

import torch

import dialogue
import names
from model import Config, Model
from tokenizer import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = 20
CONFIG = Config(vocab=1536, layers=4, dim=192, heads=6, kv_heads=3, ff=384)


def schedule():
    with open(os.path.join(HERE, "schedule.json")) as f:
        return json.load(f)


def stage_of(plan, step):
    for s in plan["stages"]:
        if step < s["steps"]:
            return s
        step -= s["steps"]
    return None


def rate(plan, step):
    total = sum(s["steps"] for s in plan["stages"])
    x = step / total
    down = 1 if x < plan["decay_from"] else 1 - (1 - plan["rate_end"]) * (x - plan["decay_from"]) / (1 - plan["decay_from"])
    return plan["rate"] * min(1, (step + 1) / plan["warmup"]) * down


def batch(rng, tok, mix, length, rows):
    ids, scored = torch.zeros(rows, length + 1, dtype=torch.long), torch.zeros(rows, length + 1, dtype=torch.long)
    for r in range(rows):
        i, s = dialogue.training(rng, tok, mix, length + 1)
        n = min(len(i), length + 1)
        ids[r, :n], scored[r, :n] = torch.tensor(i[:n]), torch.tensor(s[:n])
    return ids, scored


def save(path, state):
    torch.save(state, path + ".tmp")
    os.replace(path + ".tmp", path)


def main():
    out, resume = sys.argv[1], "--resume" in sys.argv
    os.makedirs(out, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    tok = Tokenizer.load(os.path.join(HERE, "tokenizer.json"))
    names.use_pieces(tok.tokens[261:])
    model = Model(CONFIG)
    matrices = [p for p in model.parameters() if p.dim() == 2]
    opt = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.05}, {"params": [p for p in model.parameters() if p.dim() != 2], "weight_decay": 0.0}],
                            lr=1e-3, betas=(0.9, 0.98), eps=1e-8)
    step, tokens, spent = 0, 0, 0.0
    last = os.path.join(out, "last.pt")
    if resume:
        s = torch.load(last)
        model.load_state_dict(s["model"])
        opt.load_state_dict(s["opt"])
        step, tokens, spent = s["step"], s["tokens"], s["seconds"]
    curve = os.path.join(out, "loss_curve.csv")
    rows = [r for r in open(curve) if r[0].isdigit() and int(r.split(",")[0]) <= step] if resume else []
    log = open(curve, "w", buffering=1)
    log.write("step,tokens,seconds,context,rate,loss\n" + "".join(rows))
    if not resume:
        print(model.count(), "parameters", flush=True)
    plan, t0, saved, sums, n, made = schedule(), time.time() - spent, time.time(), 0.0, 0, 0.0
    while True:
        if step % 50 == 0:
            plan = schedule()
        s = stage_of(plan, step)
        if s is None:
            break
        length, rows = s["shapes"][step % len(s["shapes"])]
        t = time.time()
        ids, scored = batch(random.Random(SEED * 1000003 + step), tok, s["mix"], length, rows)
        made += time.time() - t
        for g in opt.param_groups:
            g["lr"] = rate(plan, step)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model.loss(ids, scored)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        opt.zero_grad(set_to_none=True)
        step, tokens, sums, n = step + 1, tokens + length * rows, sums + loss.item(), n + 1
        if step % 50 == 0:
            sec = time.time() - t0
            log.write(f"{step},{tokens},{sec:.0f},{length},{rate(plan, step):.6f},{sums / n:.4f}\n")
            print(f"step {step} tokens {tokens / 1e6:.2f}M {sec:.0f}s {tokens / sec:.0f} tok/s loss {sums / n:.4f} making data {made / sec:.3f}", flush=True)
            sums, n = 0.0, 0
        if time.time() - saved > 120:
            save(last, {"model": model.state_dict(), "opt": opt.state_dict(), "step": step, "tokens": tokens, "seconds": time.time() - t0, "config": CONFIG.dict()})
            saved = time.time()
    save(last, {"model": model.state_dict(), "opt": opt.state_dict(), "step": step, "tokens": tokens, "seconds": time.time() - t0, "config": CONFIG.dict()})
    print("done", flush=True)


if __name__ == "__main__":
    main()
