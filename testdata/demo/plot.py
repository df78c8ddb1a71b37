"""Draw loss_curve.csv as loss_curve.png.   usage: plot.py"""
import csv
import os

import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "loss_curve.csv")) as f:
    rows = [{k: float(v) for k, v in r.items()} for r in csv.DictReader(f)]
x, loss = [r["tokens"] / 1e6 for r in rows], [r["loss"] for r in rows]
fig, ax = plt.subplots(figsize=(8, 4))
ax.semilogy(x, loss, lw=1.2)
ax.set_xlabel("million tokens")
ax.set_ylabel("loss on the bot's tokens (mean of 50 steps)")
longest = rows[0]["context"]
for r in rows:
    if r["context"] > longest:          # the first step of a stage
        longest = r["context"]
        ax.axvline(r["tokens"] / 1e6, color="grey", lw=0.6)
        ax.text(r["tokens"] / 1e6, max(loss), " context %d" % longest, fontsize=8, va="top")
ax.grid(alpha=0.3)
fig.tight_layout()
fig.savefig(os.path.join(HERE, "loss_curve.png"), dpi=110)
