package kvcache

import (
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"path/filepath"
	"slices"
	"time"

	"kvasir/platform/vfs"
)

// Sizes and values of FORMAT.md, section 13: the file lru.
const (
	hintsMagic      = "KVLRU1\r\n"
	hintsFixedBytes = 32
	hintBytes       = 16
	maxHints        = 1 << 20
	maxUse          = 1 << 43 // Unix ms: the year 2248; later times are not believed
	hintsInterval   = 5 * time.Minute
)

// hints say when blocks were used last. They are advice: a file that is absent, old or damaged costs the order of eviction only.
type hints struct {
	seq     uint64 // the last write sequence number when they were written: blocks written since are younger than all of them
	written int64  // Unix ms
	uses    map[uint64]int64
}

func hintKey(h *Hash) uint64 { return binary.LittleEndian.Uint64(h[:]) }

func (h *hints) encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, hintsFixedBytes, hintsFixedBytes+hintBytes*len(h.uses)+4)
	copy(b, hintsMagic)
	le.PutUint16(b[8:], formatMajor)
	le.PutUint16(b[10:], formatMinor)
	le.PutUint32(b[12:], uint32(len(h.uses)))
	le.PutUint64(b[16:], h.seq)
	le.PutUint64(b[24:], uint64(h.written))
	keys := make([]uint64, 0, len(h.uses))
	for k := range h.uses {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		b = le.AppendUint64(le.AppendUint64(b, k), uint64(h.uses[k]))
	}
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeHints reads any bytes; what is not the file lru gives none.
func decodeHints(b []byte) hints {
	le := binary.LittleEndian
	if len(b) < hintsFixedBytes+4 || string(b[:8]) != hintsMagic || le.Uint16(b[8:]) != formatMajor {
		return hints{}
	}
	n, body := int(le.Uint32(b[12:])), b[:len(b)-4]
	if n > maxHints || len(body) != hintsFixedBytes+hintBytes*n || le.Uint32(b[len(body):]) != crc32.Checksum(body, castagnoli) {
		return hints{}
	}
	h := hints{seq: le.Uint64(b[16:]), written: use(le.Uint64(b[24:])), uses: make(map[uint64]int64, n)}
	for e := body[hintsFixedBytes:]; len(e) > 0; e = e[hintBytes:] {
		h.uses[le.Uint64(e)] = use(le.Uint64(e[8:]))
	}
	return h
}

// use returns a time of a file if it is one.
func use(ms uint64) int64 {
	if ms >= maxUse {
		return 0
	}
	return int64(ms)
}

// readHints reads what is known of the namespace's uses. Blocks without a hint that are younger than the file count as used when
// the last segment was written.
func (d *disk) readHints() hints {
	var h hints
	if b, err := vfs.ReadFile(d.store.fs, filepath.Join(d.dir, "lru"), hintsFixedBytes+hintBytes*maxHints+4); err == nil {
		h = decodeHints(b)
	}
	if _, modified := d.store.segmentFiles(d.dir); !modified.IsZero() {
		h.written = max(h.written, use(uint64(modified.UnixMilli())))
	}
	return h
}

// writeHints replaces the file lru, without a sync. What fails is tried again the next time.
func (n *Namespace) writeHints() {
	if d := n.disk; d != nil && !d.store.readOnly && n.size() > 0 {
		h := n.hints()
		d.hinted.Store(h.written)
		d.store.wrote(d.replaceHints(h.encode()))
	}
}

// refreshHints writes the hints if they are older than some minutes: what was used since then is lost by a kill.
func (n *Namespace) refreshHints() {
	if n.disk.store.tick()-n.disk.hinted.Load() >= hintsInterval.Milliseconds() {
		n.writeHints()
	}
}

// replaceHints returns how many bytes it wrote.
func (d *disk) replaceHints(b []byte) int {
	fsys, tmp := d.store.fs, filepath.Join(d.store.tmpDir(), filepath.Base(d.dir)+"-lru")
	f, err := fsys.OpenFile(tmp, vfs.Write|vfs.Create)
	if err != nil {
		return 0
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt(b, 0)
	}
	if closeErr := f.Close(); err != nil || closeErr != nil || fsys.Rename(tmp, filepath.Join(d.dir, "lru")) != nil {
		_ = fsys.Remove(tmp) // swept at the next opening otherwise
		return 0
	}
	return len(b)
}

// hints collects the times of use of stored blocks: of those used later than all below them, since the others follow.
func (n *Namespace) hints() *hints {
	now := n.disk.store.tick()
	n.mu.Lock()
	defer n.mu.Unlock()
	h := &hints{seq: n.disk.seq, written: now, uses: map[uint64]int64{}}
	for _, b := range n.blocks {
		if b.seg == nil || len(h.uses) == maxHints {
			continue
		}
		used := b.used
		if b.refs > 0 {
			used = now
		}
		below := int64(-1)
		for _, c := range b.children {
			if c.refs > 0 {
				below = now
			}
			below = max(below, c.used)
		}
		if used > below {
			h.uses[hintKey(&b.hash)] = used
		}
	}
	return h
}

// order sets when the blocks found on disk were used and puts them into the list, those used longest ago first. found is in the
// order of positions.
func (d *disk) order(n *Namespace, found []*block) {
	h := d.readHints()
	latest := h.written
	for _, b := range found {
		if at, ok := h.uses[hintKey(&b.hash)]; ok {
			b.used = at
		} else if b.seq > h.seq {
			b.used = h.written
		}
		latest = max(latest, b.used)
	}
	// A block counts as used, and as written, when anything below it was. Deepest first, so that maxima travel up.
	written := make(map[*block]uint64, len(found))
	for _, b := range slices.Backward(found) {
		written[b] = max(written[b], b.seq)
		written[b.parent] = max(written[b.parent], written[b])
		b.parent.used = max(b.parent.used, b.used)
	}
	slices.SortStableFunc(found, func(a, b *block) int {
		return cmp.Or(cmp.Compare(a.used, b.used), cmp.Compare(written[a], written[b]), b.firstPos-a.firstPos)
	})
	for _, b := range found {
		n.lru.push(b)
	}
	d.store.notBefore(latest)
	d.hinted.Store(d.store.tick())
}

// notBefore makes later uses count as later than this one.
func (s *Store) notBefore(used int64) {
	for {
		last := s.lastUse.Load()
		if used <= last || s.lastUse.CompareAndSwap(last, used) {
			return
		}
	}
}
