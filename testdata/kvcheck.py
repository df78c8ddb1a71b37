#!/usr/bin/env python3
"""Reads homes of kvasir and says what is in them and what a reader would drop: a line of JSON for each.

    kvcheck.py HOME...

Written from kvcache/FORMAT.md alone (its section numbers are in the comments), with nothing but the standard
library, so that the document can be held against the program. It changes nothing.
"""
import hashlib, json, os, re, stat, struct, sys

KIB, MIB = 1 << 10, 1 << 20
HEADERS, STRIDE, BLOCK = 64 * KIB, 4096, 64          # section 5: header table, header stride; section 1: tokens of a block
FULL, PACKED, STATE = 1, 2, 3
ELEM = {1: (1, 2), 2: (2, 0)}                        # row format: bytes of an element, bytes of a scale

TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for b in data:
        crc = TABLE[(crc ^ b) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def H(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def u16(b, o): return struct.unpack_from("<H", b, o)[0]
def u32(b, o): return struct.unpack_from("<I", b, o)[0]
def u64(b, o): return struct.unpack_from("<Q", b, o)[0]


class Bad(Exception):
    """What is wrong with a file or record."""


def need(ok, what):
    if not ok:
        raise Bad(what)


def read(path, limit):
    """The first limit bytes of a regular file with one link."""
    st = os.lstat(path)
    need(stat.S_ISREG(st.st_mode), "not a regular file")
    need(st.st_nlink == 1, "more than one link")
    with open(path, "rb") as f:
        return f.read(limit), st.st_size


# ---- sections 3 and 4: META, recipe, geometry ----

class Geometry:
    """Where each layer's bytes are in a slot."""

    def __init__(self, recipe):
        need(len(recipe) >= 4, "recipe size")
        n = u16(recipe, 0)
        self.state = u32(recipe, 4 + 16 * n) if len(recipe) == 4 + 16 * n + 8 else 0
        need(1 <= n <= 512 and len(recipe) == 4 + 16 * n + (8 if self.state else 0), "recipe size")
        need(self.state <= 1 << 30 and not (self.state and u32(recipe, 4 + 16 * n + 4)), "recipe state")
        self.hash, self.layers = H(b"kvasir kv recipe 1\n", recipe), n
        rows = [struct.unpack_from("<HHBBHII", recipe, 4 + 16 * i) for i in range(n)]
        need(all(h > 0 and d > 0 and k in ELEM and v in ELEM for h, d, k, v, *_ in rows), "recipe heads or formats")
        order = [i for i in range(n) if rows[i][5] == 0] + [i for i in range(n) if rows[i][5] != 0]
        need(all(rows[layer][4] == place for place, layer in enumerate(order)), "recipe store order")
        self.windowed = [r[5] != 0 for r in rows]
        self.ranges, at = [None] * n, 0              # per layer: planes (offset, size), strips (offset, size)
        for i in order:
            h, d, k, v, *_ = rows[i]
            size = h * BLOCK * d * (ELEM[k][0] + ELEM[v][0])
            self.ranges[i] = [(at, size)]
            at += size
        for i in order:
            h, _, k, v, *_ = rows[i]
            size = h * BLOCK * (ELEM[k][1] + ELEM[v][1])
            self.ranges[i].append((at, size))
            at += size
        self.payload = at
        self.slot = -(-at // (16 * KIB)) * 16 * KIB
        need(self.payload <= 1 << 30, "recipe too large")

    def slots(self, kind):                           # of a segment: bytes of a slot, of its payload
        return (self.slot, self.payload) if kind == 1 else (-(-self.state // (16 * KIB)) * 16 * KIB, self.state)


def read_meta(path):
    b, size = read(path, 2 * MIB + 1)
    need(92 <= size <= 2 * MIB and b[:8] == b"KVMETA1\n", "magic or size")
    need(u16(b, 8) == 1, "major")
    r, i = u32(b, 80), u32(b, 84)
    need(u32(b, 12) == size == 88 + r + i + 4, "size")
    need(crc32c(b[:-4]) == u32(b, size - 4), "checksum")
    g = Geometry(b[88:88 + r])
    need(b[48:80] == g.hash, "recipe hash")
    return b[16:48], g


# ---- section 5: segments; section 6: headers and payloads ----

def superblock(b, size, fp, g, kind):
    for at in (0, 61440):
        s = b[at:at + 4096]
        if len(s) == 4096 and s[:8] == b"KVSEG1\r\n" and u16(s, 8) == 1 and u32(s, 12) == 0x01020304 \
                and crc32c(s[:4092]) == u32(s, 4092):
            break
    else:
        raise Bad("no good superblock")
    n = u32(s, 104)
    need(s[32:64] == fp and s[64:96] == g.hash, "another model or recipe")
    need(s[144] == kind, "kind")
    need(1 <= n <= 4096, "slot count")
    data = -(-(HEADERS + STRIDE * n) // (16 * KIB)) * 16 * KIB
    need(struct.unpack_from("<QIIQQQ", s, 96) == (g.slots(kind)[0], n, STRIDE, HEADERS, data, g.slots(kind)[1]), "sizes or offsets")
    need(size == data + n * g.slots(kind)[0], "file size")
    return s[16:32], n, data


class Block:
    def __init__(self, h, uuid, slot, g, kind):      # rule R5
        need(h[:8] == b"KVSLOT1\n" and u16(h, 8) == 1, "magic or version")
        need(crc32c(h[:11] + bytes([h[11] & ~2 | 1]) + h[12:4092]) == u32(h, 4092), "header checksum")
        self.kind, self.flags, self.n = h[10], h[11], u16(h, 12)
        if kind == 2:
            need(self.kind == STATE and self.n < BLOCK, "kind or tokens")
        else:
            need(self.kind == FULL and self.n == BLOCK or self.kind == PACKED and 1 <= self.n < BLOCK, "kind or tokens")
        need(u16(h, 14) == (g.layers if kind == 1 else 1), "layers")
        self.windows = self.flags & 1 == 1
        need(self.windows or self.kind == FULL and any(g.windowed), "flags")
        need(h[16:32] == uuid and u32(h, 32) == slot, "another place")
        self.pos, self.seq = u32(h, 36), u64(h, 40)
        need(self.pos % BLOCK == 0 and self.pos <= 2**31 - 1 - 64, "first position")
        need(u64(h, 48) == (g.state if kind == 2 else self.n * (g.payload // BLOCK)), "payload size")
        self.parent, self.path, self.ids = h[64:96], h[96:128], h[128:128 + 4 * self.n]
        need(self.path == H(b"kvasir kv block 1\n" if kind == 1 else b"kvasir kv state 1\n", self.parent, struct.pack("<I", self.n), self.ids), "path hash")
        self.crcs = struct.unpack_from("<512I", h, 1024)
        self.slot = slot

    def verify(self, f, data, g):                    # rule R9: the layers whose checksum is wrong and that the block cannot do without
        if self.kind == STATE:
            f.seek(data + self.slot * g.slots(2)[0])
            return [0] * (crc32c(f.read(g.state), crc32c(self.path[:8] + struct.pack("<II", self.slot, 0))) != self.crcs[0])
        f.seek(data + self.slot * g.slot)
        b, per = f.read(self.n * (g.payload // BLOCK)), g.payload // BLOCK
        bad = []
        for i, areas in enumerate(g.ranges):
            if g.windowed[i] and not self.windows:
                continue
            crc = crc32c(self.path[:8] + struct.pack("<II", self.slot, i))
            if self.kind == FULL:
                for o, size in areas:
                    crc = crc32c(b[o:o + size], crc)
            else:
                for t in range(self.n):
                    for o, size in areas:
                        crc = crc32c(b[t * per + o // BLOCK:][:size // BLOCK], crc)
            if crc != self.crcs[i] and g.windowed[i] and self.kind == FULL:
                self.windows = False
            elif crc != self.crcs[i]:
                bad.append(i)
        return bad


def namespace(path):
    out = {"segments": 0, "slots": 0, "full": 0, "packed": 0, "tokens": 0, "windowless": 0, "states": 0, "ignored": [], "dropped": []}
    try:
        fp, g = read_meta(os.path.join(path, "META"))
        want = "m-" + H(b"kvasir kv namespace 1\n", fp, g.hash)[:8].hex()
        need(os.path.basename(path) == want, "belongs in " + want)
    except (Bad, OSError) as e:
        return dict(out, unused="META: %s" % e)
    blocks = []

    def drop(b, why):
        out["dropped"].append({"segment": b.file, "slot": b.slot, "why": why})
        return None

    for name in sorted(os.listdir(path)):
        m = re.fullmatch(r"(kv|st)-([0-9]{6}|[1-9][0-9]{6,9})\.seg", name)
        if not m or m[1] == "st" and not g.state or int(m[2]) >= 1 << 31:
            continue
        kind = 1 if name[:2] == "kv" else 2
        file = os.path.join(path, name)
        try:
            b, size = read(file, HEADERS + STRIDE * 4096)
            uuid, n, data = superblock(b, size, fp, g, kind)
        except (Bad, OSError) as e:
            out["ignored"].append({"segment": name, "why": str(e)})
            continue
        out["segments"] += 1
        out["slots"] += n
        for slot in range(n):
            h = b[HEADERS + STRIDE * slot:][:STRIDE]
            if not h.rstrip(b"\0"):
                continue                             # never written
            try:
                blk = Block(h, uuid, slot, g, kind)
            except Bad as e:
                out["dropped"].append({"segment": name, "slot": slot, "why": str(e)})
                continue
            blk.file, blk.data = name, data
            blocks.append(blk)
    states, blocks = [b for b in blocks if b.kind == STATE], [b for b in blocks if b.kind != STATE]
    kept, reserve = {}, {}                           # by path hash
    for b in sorted(blocks, key=lambda b: (b.pos, not b.windows, -b.seq, b.file, b.slot)):
        p = kept.get(b.parent)
        if b.pos and not (p and p.kind == FULL and p.pos + BLOCK == b.pos):
            drop(b, "no parent")                     # R7
        elif b.path in kept:                         # R6
            if not b.windows and kept[b.path].windows and b.path not in reserve:
                reserve[b.path] = b
            else:
                drop(b, "duplicate")
        else:
            kept[b.path] = b
    by_parent = {}
    for b in kept.values():
        by_parent.setdefault(b.parent, []).append(b)
    for b in list(kept.values()):                    # R8
        if b.kind == PACKED and any(s.windows and s.n > b.n and s.ids.startswith(b.ids) for s in by_parent[b.parent]):
            del kept[b.path]
            drop(b, "prefix of a sibling")
    lost = set()
    for b in sorted(kept.values(), key=lambda b: b.pos):            # R9
        with open(os.path.join(path, b.file), "rb") as f:
            bad = ["ancestor"] if b.pos and b.parent in lost else b.verify(f, b.data, g)
        r = reserve.pop(b.path, None)
        if r and bad and bad != ["ancestor"]:
            drop(b, "payload of layers %s" % bad)
            b = r
            with open(os.path.join(path, b.file), "rb") as f:
                bad = b.verify(f, b.data, g)
        elif r:
            drop(r, "duplicate")
        if bad:
            lost.add(b.path)
            drop(b, "payload of layers %s" % bad if bad != ["ancestor"] else "ancestor lost")
            continue
        out["full" if b.kind == FULL else "packed"] += 1
        out["tokens"] += b.n
        out["windowless"] += not b.windows
    seen = set()
    for b in sorted(states, key=lambda b: (b.pos, not b.windows, -b.seq, b.file, b.slot)):      # R13
        p = kept.get(b.parent)
        if b.pos and not (p and p.kind == FULL and p.pos + BLOCK == b.pos):
            drop(b, "no parent")
        elif b.path in seen:
            drop(b, "duplicate")
        else:
            seen.add(b.path)
            with open(os.path.join(path, b.file), "rb") as f:
                bad = b.parent in lost or b.verify(f, b.data, g)
            if bad:
                drop(b, "its path is lost, or its checksum")
            else:
                out["states"] += 1
    return out


# ---- section 8: journals ----

class Cursor:
    """The payload of a record, field by field."""

    def __init__(self, b): self.b = b

    def take(self, n):
        need(n <= len(self.b), "bad payload")
        out, self.b = self.b[:n], self.b[n:]
        return out

    def num(self, n):
        v = int.from_bytes(self.take(n), "little")
        need(n != 4 or v < 1 << 31, "bad payload")
        return v


class Talk:
    """What a journal says: turns are [ids, complete, damaged]; live is the open one, or "cut" behind a gap."""

    def __init__(self):
        self.name, self.turns, self.live, self.sound = None, [], None, None

    def damage(self, at):                            # rule J9
        if self.sound is None:
            self.sound = at

    def gap(self):                                   # rule J2
        if isinstance(self.live, list):
            self.live[2] = True
        self.damage(len(self.turns) - isinstance(self.live, list))
        self.live = "cut"

    def open_turn(self):
        if self.live is None:
            self.live = [b"", False, False]
            self.turns.append(self.live)

    def apply(self, kind, p):
        if kind == 1:
            p.take(8)
            name = p.take(p.num(2)).decode()
            need(name.isprintable() and 1 <= len(name.encode()) <= 64, "bad payload")
            self.name = name
        elif kind == 2:
            n = p.num(1), p.take(16), p.num(4)
            p.take(n[0])
        elif kind == 3:
            p.take(8), p.take(p.num(1))
            ids = p.take(4 * p.num(4))
            p.take(p.num(4))
            self.turns.append([ids, True, False])
            self.live = None
        elif kind == 4:
            ids = p.take(4 * p.num(2))
            p.take(p.num(2)), p.take(p.num(2))
            self.open_turn()
            if self.live != "cut":
                self.live[0] += ids
        elif kind == 5:
            p.take(8), p.take(p.num(1))
            n, digest = p.num(4), p.take(32)
            p.take(p.num(2))
            self.open_turn()
            if self.live != "cut":
                self.live[1] = len(self.live[0]) == 4 * n and H(self.live[0]) == digest
                if not self.live[1]:                 # rule J6
                    self.live[2] = True
                    self.damage(len(self.turns) - 1)
            self.live = None
        elif kind == 6:
            p.take(32), p.take(p.num(2)), p.take(p.num(4))
        elif kind == 7:
            op, keep = p.num(1), p.num(4)
            if op in (1, 2) and keep <= len(self.turns):
                if (keep < len(self.turns) or op == 2) and self.sound is not None and keep <= self.sound:
                    self.sound = None
                del self.turns[keep:]
                self.live = None


def journal(path):
    b, size = read(path, (1 << 30) + 1)
    need(size <= 1 << 30, "size")
    begun = size > 64 * KIB or b[8192 + 128:].strip(b"\0")     # rule J8
    for at in (0, 4096):
        h = b[at:at + 64]
        if len(h) == 64 and h[:8] == b"KVJRNL1\n" and u16(h, 8) == 1 and u32(h, 12) == 0x01020304 and crc32c(h[:60]) == u32(h, 60):
            break
    else:
        raise Bad("no good file header" if begun else "no session")
    fid, end, fuel = h[16:32], len(b.rstrip(b"\0")), 64 * size

    def record(at, seq, search, missing=0):
        """The valid record at an offset, before which at most some are missing: seq, type, payload, offset of the next; or None."""
        nonlocal fuel
        if at + 17 > size:
            return None
        n, got = u32(b, at), u64(b, at + 8)
        after = at + (17 + n + 7 & ~7)
        if n > 16 * MIB or b[at + 16] == 0 or after > size or not seq < got <= seq + 1 + missing:
            return None
        if search:
            fuel -= after - at
            if fuel < 0:
                return None
        if crc32c(fid + b[at:at + 4] + b[at + 8:at + 17 + n]) != u32(b, at + 4):
            return None
        return got, b[at + 16], b[at + 17:at + 17 + n], after

    talk, records, gaps, seq, at = Talk(), 0, 0, 0, 8192
    while at < end:                                  # J1
        r = record(at, seq, False)
        if not r:                                    # J2
            gap = at
            while not r and at < end and fuel >= 0:
                r = record(at, seq, True, (at - gap) // 24)
                at += 8
            if not r and fuel >= 0:
                break
            gaps += 1
            talk.gap()
            if not r:
                break
        seq, records, at = r[0], records + 1, r[3]
        try:
            talk.apply(r[1], Cursor(r[2]))
        except (Bad, UnicodeDecodeError):
            talk.damage(len(talk.turns))
    need(records, "no record" if begun else "no session")
    if talk.name is not None:
        want = H(b"kvasir session 1\n", talk.name.encode())[:16].hex() + ".kvj"
        need(os.path.basename(path) == want, "belongs in " + want)
    return {"name": talk.name, "records": records, "gaps": gaps, "damaged": talk.sound is not None, "turns": len(talk.turns),
            "incomplete": sum(not t[1] for t in talk.turns), "tokens": sum(len(t[0]) // 4 for t in talk.turns)}


def check(home):
    out = {"namespaces": {}, "journals": {}}
    kv, sessions = os.path.join(home, "kv", "v1"), os.path.join(home, "sessions")
    for name in sorted(os.listdir(kv)) if os.path.isdir(kv) else []:
        if re.fullmatch(r"m-[0-9a-f]{16}", name):
            out["namespaces"][name] = namespace(os.path.join(kv, name))
    for name in sorted(os.listdir(sessions)) if os.path.isdir(sessions) else []:
        if re.fullmatch(r"[0-9a-f]{32}\.kvj", name):
            try:
                out["journals"][name] = journal(os.path.join(sessions, name))
            except (Bad, OSError) as e:
                out["journals"][name] = {"unused": str(e)}
    return out


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for home in sys.argv[1:]:
        print(json.dumps(check(home)))
