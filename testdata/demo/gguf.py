"""GGUF v3, as much of it as this model needs: write, and read back with the Q8_0 weights decoded."""
import struct

import numpy as np

U32, F32, BOOL, STR, ARR, U64 = 4, 6, 7, 8, 9, 10
TYPE_F32, TYPE_Q8_0 = 0, 8
ALIGN = 32


def _str(s):
    b = s.encode("utf-8")
    return struct.pack("<Q", len(b)) + b


def _value(v):
    """Bytes of (type, value); the type follows from Python's, whole numbers are u32."""
    if isinstance(v, bool):
        return BOOL, struct.pack("<?", v)
    if isinstance(v, int):
        return U32, struct.pack("<I", v)
    if isinstance(v, float):
        return F32, struct.pack("<f", v)
    if isinstance(v, str):
        return STR, _str(v)
    kind = 5 if v and isinstance(v[0], int) else _value(v[0])[0]       # arrays of whole numbers are i32
    body = b"".join(struct.pack("<i", x) if kind == 5 else _value(x)[1] for x in v)
    return ARR, struct.pack("<IQ", kind, len(v)) + body


def q8_0(x):
    """Rows of float32 to blocks of 32: an fp16 scale and 32 signed bytes."""
    b = x.astype(np.float32).reshape(-1, 32)
    d = np.abs(b).max(1) / np.float32(127)
    inv = np.divide(1, d, out=np.zeros_like(d), where=d > 0)
    q = b * inv[:, None]
    q = (np.sign(q) * np.floor(np.abs(q) + 0.5)).astype(np.int8)
    out = np.empty(len(b), dtype=[("d", "<f2"), ("q", "i1", 32)])
    out["d"], out["q"] = d.astype(np.float16), q
    return out.tobytes()


def write(path, meta, tensors):
    """meta: key -> value. tensors: name -> float32 array; matrices become Q8_0, vectors stay F32."""
    infos, blobs, pos = b"", [], 0
    for name, x in tensors.items():
        kind = TYPE_Q8_0 if x.ndim == 2 else TYPE_F32
        raw = q8_0(x) if kind == TYPE_Q8_0 else x.astype("<f4").tobytes()
        dims = x.shape[::-1]
        infos += _str(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", kind, pos)
        raw += b"\0" * (-len(raw) % ALIGN)
        blobs.append(raw)
        pos += len(raw)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(meta))
    for k, v in meta.items():
        t, raw = _value(v)
        head += _str(k) + struct.pack("<I", t) + raw
    head += infos
    head += b"\0" * (-len(head) % ALIGN)
    with open(path, "wb") as f:
        f.write(head + b"".join(blobs))


class Reader:
    """meta and tensors of a file written by `write`."""

    def __init__(self, path):
        self.b, self.p = open(path, "rb").read(), 4
        version, n_tensors, n_meta = self._un("IQQ")
        assert self.b[:4] == b"GGUF" and version == 3
        self.meta = {}
        for _ in range(n_meta):
            k = self._s()
            self.meta[k] = self._v(self._un("I")[0])
        infos = []
        for _ in range(n_tensors):
            name, nd = self._s(), self._un("I")[0]
            infos.append((name, self._un(f"{nd}Q")[::-1]) + tuple(self._un("IQ")))
        start = self.p + (-self.p % ALIGN)
        self.tensors = {n: self._t(shape, kind, start + off) for n, shape, kind, off in infos}

    def _un(self, fmt):
        r = struct.unpack_from("<" + fmt, self.b, self.p)
        self.p += struct.calcsize("<" + fmt)
        return r

    def _s(self):
        n, = self._un("Q")
        s = self.b[self.p:self.p + n]
        self.p += n
        return s.decode("utf-8")

    def _v(self, t):
        if t == STR:
            return self._s()
        if t == ARR:
            et, n = self._un("IQ")
            return [self._v(et) for _ in range(n)]
        return self._un({U32: "I", F32: "f", BOOL: "?", U64: "Q", 5: "i"}[t])[0]

    def _t(self, shape, kind, at):
        n = int(np.prod(shape))
        if kind == TYPE_F32:
            return np.frombuffer(self.b, "<f4", n, at).reshape(shape).copy()
        blocks = np.frombuffer(self.b, np.dtype([("d", "<f2"), ("q", "i1", 32)]), n // 32, at)
        return (blocks["d"].astype(np.float32)[:, None] * blocks["q"].astype(np.float32)).reshape(shape)
