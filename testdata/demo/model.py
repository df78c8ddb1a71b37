"""A small Llama: RMSNorm, rotary positions, grouped-query attention, SwiGLU, tied embeddings, no biases.

Rotary positions are applied to the two halves of a head (cheaper here); gguf.py reorders the rows of q and k for the
interleaved pairs that llama.cpp's `llama` architecture expects.
"""
import math
from dataclasses import asdict, dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    vocab: int = 1536
    layers: int = 5
    dim: int = 192
    heads: int = 6
    kv_heads: int = 3
    head_dim: int = 32
    ff: int = 384
    theta: float = 10000.0
    eps: float = 1e-5
    context: int = 2048

    def dict(self):
        return asdict(self)


class Norm(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(dim)), eps

    def forward(self, x):
        y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight
        return y.bfloat16() if torch.is_autocast_cpu_enabled() else y      # cast once, not once per matrix that reads it


def rotary(c, length):
    angle = torch.arange(length)[:, None].float() * c.theta ** (-torch.arange(0, c.head_dim, 2).float() / c.head_dim)
    return torch.cat([angle.cos(), angle.cos()], -1), torch.cat([-angle.sin(), angle.sin()], -1)


def rotate(x, cos, sin):
    h = x.shape[-1] // 2
    return x * cos + torch.cat([x[..., h:], x[..., :h]], -1) * sin


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.norm1, self.norm2 = Norm(c.dim, c.eps), Norm(c.dim, c.eps)
        self.q = nn.Linear(c.dim, c.heads * c.head_dim, bias=False)
        self.k = nn.Linear(c.dim, c.kv_heads * c.head_dim, bias=False)
        self.v = nn.Linear(c.dim, c.kv_heads * c.head_dim, bias=False)
        self.o = nn.Linear(c.heads * c.head_dim, c.dim, bias=False)
        self.gate = nn.Linear(c.dim, c.ff, bias=False)
        self.up = nn.Linear(c.dim, c.ff, bias=False)
        self.down = nn.Linear(c.ff, c.dim, bias=False)

    def attend(self, x, cos, sin, cache):
        c, (b, t, _) = self.c, x.shape
        q = self.q(x).view(b, t, c.heads, c.head_dim).transpose(1, 2)
        k = self.k(x).view(b, t, c.kv_heads, c.head_dim).transpose(1, 2)
        v = self.v(x).view(b, t, c.kv_heads, c.head_dim).transpose(1, 2)
        q, k = rotate(q, cos, sin) * c.head_dim ** -0.5, rotate(k, cos, sin)
        if cache is not None:
            if cache:
                k, v = torch.cat([cache[0], k], 2), torch.cat([cache[1], v], 2)
            cache[:] = [k, v]
        past, g = k.shape[2] - t, c.heads // c.kv_heads
        # heads of a group become rows: (b, kv, g*t, d); queries go in blocks of 128, so that the upper half is not computed
        q = q.reshape(b, c.kv_heads, g, t, c.head_dim)
        out, step = [], 128
        for i in range(0, t, step):
            n, end = min(step, t - i), past + min(i + step, t)
            s = q[:, :, :, i:i + n].reshape(b * c.kv_heads, g * n, c.head_dim) @ k[:, :, :end].reshape(b * c.kv_heads, end, c.head_dim).transpose(1, 2)
            mask = torch.full((n, n), -1e9, dtype=s.dtype).triu(1)
            s = s.view(b * c.kv_heads, g, n, end)
            s[..., end - n:] += mask
            w = F.softmax(s.float(), -1).to(v.dtype).view(b * c.kv_heads, g * n, end)
            out.append((w @ v[:, :, :end].reshape(b * c.kv_heads, end, c.head_dim)).view(b, c.kv_heads, g, n, c.head_dim))
        o = torch.cat(out, 3).reshape(b, c.heads, t, c.head_dim).transpose(1, 2).reshape(b, t, -1)
        return self.o(o)

    def forward(self, x, cos, sin, cache=None):
        x = x + self.attend(self.norm1(x), cos, sin, cache)
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed = nn.Embedding(c.vocab, c.dim)
        self.blocks = nn.ModuleList(Block(c) for _ in range(c.layers))
        self.norm = Norm(c.dim, c.eps)
        self.cos, self.sin = rotary(c, c.context)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=p.shape[1] ** -0.5)
                if name.endswith(("o.weight", "down.weight")):
                    p.data /= math.sqrt(2 * c.layers)
        nn.init.normal_(self.embed.weight, std=0.04)

    def hidden(self, ids, cache=None):
        past = cache[0][0].shape[2] if cache and cache[0] else 0
        cos, sin = self.cos[past:past + ids.shape[1]], self.sin[past:past + ids.shape[1]]
        x = self.embed(ids)
        cos, sin = cos.to(x.dtype), sin.to(x.dtype)
        for i, b in enumerate(self.blocks):
            x = b(x, cos, sin, cache[i] if cache is not None else None)
        return self.norm(x)

    def forward(self, ids, cache=None):
        """Logits. `cache`: a list of one empty list per layer, filled and used again."""
        return F.linear(self.hidden(ids, cache), self.embed.weight)

    def loss(self, ids, scored):
        """Mean cross entropy of the tokens where `scored` is 1; also their number."""
        pick = scored[:, 1:].bool()
        h = self.hidden(ids[:, :-1])[pick]
        return F.cross_entropy(F.linear(h, self.embed.weight).float(), ids[:, 1:][pick])

    def count(self):
        return sum(p.numel() for p in self.parameters())
