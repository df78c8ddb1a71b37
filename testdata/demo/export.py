"""Write a checkpoint as GGUF, and load such a file as a model again (for evaluation, of the weights as quantised).

usage: export.py CHECKPOINT.pt OUT.gguf
"""
import os
import sys

import numpy as np
import torch

import gguf
from model import Config, Model
from tokenizer import BEGIN, END, SPECIAL, Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
TEMPLATE = ("{{ bos_token }}{% for message in messages %}{% if message.role == 'system' %}<|system|>{{ message.content }}"
            "{% elif message.role == 'assistant' %}<|bot|>{{ message.content }}<|end|>"
            "{% else %}<|user|>{{ message.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|bot|>{% endif %}")
NAMES = {"embed.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}
PARTS = {"norm1": "attn_norm", "norm2": "ffn_norm", "q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output", "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down"}


def gguf_name(name):
    if name in NAMES:
        return NAMES[name]
    _, i, part, _ = name.split(".")
    return f"blk.{i}.{PARTS[part]}.weight"


def pairs(w, head_dim, back=False):
    """Rows of q or k: from two halves of a head to interleaved pairs, or back."""
    h = w.reshape(-1, 2, head_dim // 2, w.shape[1]) if not back else w.reshape(-1, head_dim // 2, 2, w.shape[1])
    return h.swapaxes(1, 2).reshape(w.shape)


def metadata(c, tok, trained):
    return {
        "general.architecture": "llama", "general.name": "kvasir demo", "general.description": "A toy for trying out: it remembers what a conversation told it.",
        "general.license": "apache-2.0", "general.file_type": 7, "general.quantization_version": 2, "general.alignment": gguf.ALIGN,
        "llama.context_length": trained, "llama.embedding_length": c.dim, "llama.block_count": c.layers, "llama.feed_forward_length": c.ff,
        "llama.attention.head_count": c.heads, "llama.attention.head_count_kv": c.kv_heads, "llama.attention.key_length": c.head_dim, "llama.attention.value_length": c.head_dim,
        "llama.rope.dimension_count": c.head_dim, "llama.rope.freq_base": c.theta, "llama.attention.layer_norm_rms_epsilon": c.eps, "llama.vocab_size": c.vocab,
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "llama-bpe", "tokenizer.ggml.tokens": tok.tokens,
        "tokenizer.ggml.token_type": [3 if i < len(SPECIAL) else 1 for i in range(len(tok.tokens))],
        "tokenizer.ggml.merges": [a + " " + b for a, b in tok.merges],
        "tokenizer.ggml.bos_token_id": BEGIN, "tokenizer.ggml.eos_token_id": END, "tokenizer.ggml.eot_token_id": END, "tokenizer.ggml.padding_token_id": END,
        "tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": False, "tokenizer.chat_template": TEMPLATE,
    }


def export(state, config, tok, path, trained=1024):
    c = Config(**config)
    tensors = {}
    for name, w in state.items():
        x = w.detach().float().numpy()
        tensors[gguf_name(name)] = pairs(x, c.head_dim) if name.endswith((".q.weight", ".k.weight")) else x
    gguf.write(path + ".tmp", metadata(c, tok, trained), tensors)
    os.replace(path + ".tmp", path)


def load(path):
    """(model, tokenizer) of a GGUF file."""
    r = gguf.Reader(path)
    m = r.meta
    c = Config(vocab=m["llama.vocab_size"], layers=m["llama.block_count"], dim=m["llama.embedding_length"], heads=m["llama.attention.head_count"], kv_heads=m["llama.attention.head_count_kv"],
               head_dim=m["llama.rope.dimension_count"], ff=m["llama.feed_forward_length"], theta=m["llama.rope.freq_base"], eps=m["llama.attention.layer_norm_rms_epsilon"])
    model = Model(c)
    state = {}
    for name in model.state_dict():
        x = r.tensors[gguf_name(name)]
        state[name] = torch.from_numpy(np.ascontiguousarray(pairs(x, c.head_dim, True) if name.endswith((".q.weight", ".k.weight")) else x))
    model.load_state_dict(state)
    return model.eval(), Tokenizer([x.split(" ") for x in m["tokenizer.ggml.merges"]])


if __name__ == "__main__":
    s = torch.load(sys.argv[1], map_location="cpu")
    tok = Tokenizer.load(os.path.join(HERE, "tokenizer.json"))
    export(s["model"], s["config"], tok, sys.argv[2])
    print(sys.argv[2], os.path.getsize(sys.argv[2]), "bytes, step", s["step"])
