package kvcache

import (
	"encoding/binary"
	"hash/crc32"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"kvasir/internal/crashfs"
	"kvasir/platform/vfs/memfs"
)

// corruptPath is 3 FULL blocks and a PACKED one of 40 tokens.
var corruptPath = tokens(3*64+40, 1)

func damagedCopy(t testing.TB, base *memfs.FS) (*memfs.FS, []byte, *layout) {
	t.Helper()
	m := base.Clone()
	lay, err := newLayout(toyGeometry)
	if err != nil {
		t.Fatal(err)
	}
	return m, m.Bytes(segmentPath(t, m)), lay
}

func slotAt(lay *layout, count, slot int) int { return int(dataOff(count)) + slot*lay.slotBytes }

// Headers that lie, with a good checksum: an attacker's, or a bug. See TestEveryFieldIsCheckedOrIgnored for each field.
func TestForgedHeaders(t *testing.T) {
	base := memfs.New()
	fill(t, base, testOptions(), corruptPath)
	le := binary.LittleEndian
	for name, forge := range map[string]func(h []byte){
		"version":           func(h []byte) { le.PutUint16(h[8:], 2) },
		"kind":              func(h []byte) { h[10] = kindPacked },
		"unknown kind":      func(h []byte) { h[10] = 77 },
		"window planes":     func(h []byte) { h[11] = 0 },
		"tokens":            func(h []byte) { le.PutUint16(h[12:], 63) },
		"many tokens":       func(h []byte) { le.PutUint16(h[12:], 65535) },
		"layers":            func(h []byte) { le.PutUint16(h[14:], 4) },
		"many layers":       func(h []byte) { le.PutUint16(h[14:], 65535) },
		"uuid":              func(h []byte) { h[16]++ },
		"slot":              func(h []byte) { le.PutUint32(h[32:], 1<<32-1) },
		"first position":    func(h []byte) { le.PutUint32(h[36:], 640) },
		"odd position":      func(h []byte) { le.PutUint32(h[36:], 65) },
		"first of all":      func(h []byte) { le.PutUint32(h[36:], 0) },
		"terabytes payload": func(h []byte) { le.PutUint64(h[48:], 1<<42) },
		"parent":            func(h []byte) { h[64]++ },
		"path hash":         func(h []byte) { h[96]++ },
		"token id":          func(h []byte) { h[128]++ },
		"layer checksum":    func(h []byte) { h[1024]++ },
	} {
		m, b, _ := damagedCopy(t, base)
		h := b[headerTableOff+1*headerBytes:][:headerBytes]
		forge(h)
		le.PutUint32(h[crcOff:], headerCRC(h))
		if got := reopened(t, m, corruptPath); got != 64 {
			t.Errorf("%s: %d tokens found, want 64", name, got)
		}
	}
}

// A header that lies about its position stands where no path comes by. Who computes the block anew does not take it for the same, and
// what follows does not stand on it.
func TestForgedPositionIsReplaced(t *testing.T) {
	for _, windows := range []bool{true, false} {
		m, ids := memfs.New(), tokens(500, 1)
		fill(t, m, testOptions(), ids)
		h := m.Bytes(segmentPath(t, m))[headerTableOff+2*headerBytes:][:headerBytes]
		binary.LittleEndian.PutUint32(h[36:], 0)
		if !windows {
			h[flagsOff] &^= flagWindowPlanes
		}
		binary.LittleEndian.PutUint32(h[crcOff:], headerCRC(h))
		s, n := openStore(t, m, testOptions())
		checkIndex(t, n)
		q := n.NewSequence(nil)
		if got := match(t, q, ids); got != 128 {
			t.Errorf("%d tokens are found before block 2", got)
		}
		compute(t, q, ids, 64)
		checkIndex(t, n)
		must(t, q.Flush())
		closeAll(t, s, q)
		if got := reopened(t, m, ids); got != len(ids) {
			t.Errorf("windows %v: the next process finds %d of %d tokens", windows, got, len(ids))
		}
	}
}

// One bit of payload in every layer, planes and strips, of FULL and PACKED blocks. Damage to a windowed layer matters where the
// window reaches it.
func TestPayloadBitFlips(t *testing.T) {
	base := memfs.New()
	fill(t, base, testOptions(), corruptPath)
	lay, _ := newLayout(toyGeometry)
	count := newSegmentSlots(lay, 1<<30)
	for slot, kept := range []int{0, 64, 128} {
		for layer, spans := range lay.layers {
			for part, s := range spans {
				for _, at := range []int{0, s.n / 2, s.n - 1} {
					m, b, _ := damagedCopy(t, base)
					b[slotAt(lay, count, slot)+s.off+at] ^= 0x10
					kept := kept
					if w := toyGeometry.Layers[layer].Window; w > 0 && (slot+1)*64 <= len(corruptPath)-w {
						kept = len(corruptPath)
					}
					if got := reopened(t, m, corruptPath); got != kept {
						t.Errorf("slot %d layer %d part %d byte %d: %d tokens found, want %d", slot, layer, part, at, got, kept)
					}
				}
			}
		}
	}
	for at := 0; at < 40*lay.tokenBytes; at += 37 {
		m, b, _ := damagedCopy(t, base)
		b[slotAt(lay, count, 3)+at] ^= 1
		if got := reopened(t, m, corruptPath); got != 192 {
			t.Errorf("byte %d of the PACKED block: %d tokens found, want 192", at, got)
		}
	}
}

// A damaged block is computed and stored again, and found by the next process.
func TestDamageHeals(t *testing.T) {
	for slot := range 4 {
		testDamageHeals(t, slot)
	}
}

func testDamageHeals(t *testing.T, slot int) {
	m := memfs.New()
	fill(t, m, testOptions(), corruptPath)
	lay, _ := newLayout(toyGeometry)
	m.Bytes(segmentPath(t, m))[slotAt(lay, newSegmentSlots(lay, 1<<30), slot)] ^= 1
	s, n := openStore(t, m, testOptions())
	q := n.NewSequence(nil)
	if got := match(t, q, corruptPath); got != slot*64 {
		t.Fatalf("slot %d damaged: %d tokens found", slot, got)
	}
	compute(t, q, corruptPath, 100)
	if err := q.Flush(); err != nil {
		t.Fatal(err)
	}
	if s.Stats().Damaged == 0 {
		t.Error("damage is not counted")
	}
	closeAll(t, s, q)
	if got := reopened(t, m, corruptPath); got != len(corruptPath) {
		t.Errorf("slot %d damaged: %d tokens found after healing", slot, got)
	}
}

// A tail whose header an earlier process left without the rest does not stand for the one that is flushed.
func TestDamagedTailIsStoredAgain(t *testing.T) {
	m := memfs.New()
	ids := tokens(100, 1)
	fill(t, m, testOptions(), ids)
	lay, _ := newLayout(toyGeometry)
	m.Bytes(segmentPath(t, m))[slotAt(lay, newSegmentSlots(lay, 1<<30), 1)] ^= 1
	s, n := openStore(t, m, testOptions())
	q := n.NewSequence(nil)
	match(t, q, ids[:64])
	compute(t, q, ids[:90], 100) // all of it begins the damaged one
	must(t, q.Flush())
	checkIndex(t, n)
	closeAll(t, s, q)
	if got := reopened(t, m, ids[:90]); got != 90 {
		t.Errorf("%d of 90 flushed tokens are found", got)
	}
}

// Rule R6: of a block that two sequences stored at once the next process finds one copy, the one that was used.
func TestSecondCopyIsDisowned(t *testing.T) {
	m := memfs.New()
	s, n := openStore(t, m, testOptions())
	q := n.NewSequence(nil)
	compute(t, q, tokens(64, 1), 64)
	buf, err := n.getBuffer()
	must(t, err)
	copy(buf, q.entries[0].data)
	first := q.entries[0].block
	if e := n.seal(q.root, first.hash, first.ids, 0, entry{data: buf}); e.block != first {
		t.Fatal("the second copy is not the first block")
	}
	n.release(first)
	if header := m.Bytes(segmentPath(t, m))[headerTableOff+headerBytes:][:headerBytes]; !slices.Equal(header, make([]byte, headerBytes)) {
		t.Error("the second copy can be found by the next process")
	}
	checkIndex(t, n)
	closeAll(t, s, q)
}

// What a process wrote and did not sync before it was killed is durable after the next one's flush.
func TestFlushSyncsWhatAKilledProcessWrote(t *testing.T) {
	m := memfs.New()
	_, n := openStore(t, m, testOptions())
	ids := tokens(140, 1)
	compute(t, n.NewSequence(nil), ids, 64)
	m.Kill()
	s, n := openStore(t, m, testOptions())
	q := n.NewSequence(nil)
	if got := match(t, q, ids); got != 128 {
		t.Fatalf("%d tokens found after a kill", got)
	}
	must(t, q.Flush())
	image := crashfs.Replay(m.Ops(), len(m.Ops()), func(int, int64) bool { return false })
	if got := reopened(t, image, ids); got != 128 {
		t.Errorf("%d tokens found after a flush and a power cut, want 128", got)
	}
	closeAll(t, s, q)
}

func TestMisplacedSlots(t *testing.T) {
	base := memfs.New()
	fill(t, base, testOptions(), corruptPath, tokens(200, 5))
	lay, _ := newLayout(toyGeometry)
	count := newSegmentSlots(lay, 1<<30)
	swap := func(b []byte, x, y, n int) {
		tmp := slices.Clone(b[x : x+n])
		copy(b[x:], b[y:y+n])
		copy(b[y:], tmp)
	}
	for name, c := range map[string]struct {
		damage func(b []byte)
		want   int
	}{
		"payloads swapped": {func(b []byte) { swap(b, slotAt(lay, count, 1), slotAt(lay, count, 2), lay.slotBytes) }, 64},
		"headers swapped":  {func(b []byte) { swap(b, headerTableOff+headerBytes, headerTableOff+2*headerBytes, headerBytes) }, 64},
		"both swapped": {func(b []byte) {
			swap(b, slotAt(lay, count, 1), slotAt(lay, count, 2), lay.slotBytes)
			swap(b, headerTableOff+headerBytes, headerTableOff+2*headerBytes, headerBytes)
		}, 64},
		"payload of another path": {func(b []byte) { copy(b[slotAt(lay, count, 0):], b[slotAt(lay, count, 4):][:lay.slotBytes]) }, 0},
		"payload duplicated":      {func(b []byte) { copy(b[slotAt(lay, count, 2):], b[slotAt(lay, count, 1):][:lay.slotBytes]) }, 128},
		"payload zeroed":          {func(b []byte) { clear(b[slotAt(lay, count, 1):][:lay.slotBytes]) }, 64},
		"header table zeroed":     {func(b []byte) { clear(b[headerTableOff:][:count*headerBytes]) }, 0},
	} {
		m, b, _ := damagedCopy(t, base)
		c.damage(b)
		if got := reopened(t, m, corruptPath); got != c.want {
			t.Errorf("%s: %d tokens found, want %d", name, got, c.want)
		}
	}
}

func TestDamagedSegments(t *testing.T) {
	base := memfs.New()
	fill(t, base, testOptions(), corruptPath)
	path := segmentPath(t, base)
	forge := func(b []byte, off int, v byte) {
		for _, at := range []int{0, superblockCopy} {
			b[at+off] = v
			binary.LittleEndian.PutUint32(b[at+crcOff:], crc32.Checksum(b[at:at+crcOff], castagnoli))
		}
	}
	all := len(corruptPath)
	for name, c := range map[string]struct {
		damage func(b []byte) []byte
		want   int
	}{
		"untouched":           {func(b []byte) []byte { return b }, all},
		"first superblock":    {func(b []byte) []byte { b[3]++; return b }, all},
		"second superblock":   {func(b []byte) []byte { b[superblockCopy+200]++; return b }, all},
		"both superblocks":    {func(b []byte) []byte { b[3]++; b[superblockCopy+3]++; return b }, 0},
		"truncated by 1":      {func(b []byte) []byte { return b[:len(b)-1] }, 0},
		"truncated to half":   {func(b []byte) []byte { return b[:len(b)/2] }, 0},
		"truncated to 100":    {func(b []byte) []byte { return b[:100] }, 0},
		"empty":               {func(b []byte) []byte { return nil }, 0},
		"longer":              {func(b []byte) []byte { return append(slices.Clone(b), 0) }, 0},
		"zeroed":              {func(b []byte) []byte { clear(b); return b }, 0},
		"newer major":         {func(b []byte) []byte { forge(b, 8, 2); return b }, 0},
		"newer minor":         {func(b []byte) []byte { forge(b, 10, 9); return b }, all},
		"big endian":          {func(b []byte) []byte { forge(b, 12, 1); return b }, 0},
		"fingerprint":         {func(b []byte) []byte { forge(b, 32, 99); return b }, 0},
		"recipe":              {func(b []byte) []byte { forge(b, 64, 99); return b }, 0},
		"terabyte slots":      {func(b []byte) []byte { forge(b, 101, 1); return b }, 0},
		"no slots":            {func(b []byte) []byte { forge(b, 104, 0); return b }, 0},
		"four billion slots":  {func(b []byte) []byte { forge(b, 107, 255); return b }, 0},
		"header stride":       {func(b []byte) []byte { forge(b, 109, 1); return b }, 0},
		"header table offset": {func(b []byte) []byte { forge(b, 119, 0x7f); return b }, 0},
		"data offset":         {func(b []byte) []byte { forge(b, 127, 0x7f); return b }, 0},
		"payload bytes":       {func(b []byte) []byte { forge(b, 135, 0x7f); return b }, 0},
		"state segment":       {func(b []byte) []byte { forge(b, 144, 2); return b }, 0},
	} {
		m := base.Clone()
		m.Put(path, c.damage(m.Bytes(path)))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := reopened(t, m, corruptPath)
		runtime.ReadMemStats(&after)
		if got != c.want {
			t.Errorf("%s: %d tokens found, want %d", name, got, c.want)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
			t.Errorf("%s: opening allocated %d bytes", name, grown)
		}
		// The damaged file is set aside, and the store goes on in another one.
		fill(t, m, testOptions(), corruptPath)
		if got := reopened(t, m, corruptPath); got != all {
			t.Errorf("%s: %d tokens found after storing again", name, got)
		}
	}
}

func TestCopiedSegmentIsHarmless(t *testing.T) {
	m := memfs.New()
	fill(t, m, testOptions(), corruptPath)
	path := segmentPath(t, m)
	m.Put(filepath.Join(filepath.Dir(path), "kv-000007.seg"), m.Bytes(path))
	m.Put(filepath.Join(filepath.Dir(path), "kv-bad.seg"), m.Bytes(path))
	m.Put(filepath.Join(filepath.Dir(path), "lru"), []byte("stale"))
	if got := reopened(t, m, corruptPath); got != len(corruptPath) {
		t.Errorf("%d tokens found beside a copy", got)
	}
}

func TestDamagedMeta(t *testing.T) {
	base := memfs.New()
	fill(t, base, testOptions(), corruptPath)
	meta := filepath.Join(filepath.Dir(segmentPath(t, base)), "META")
	for name, damage := range map[string]func(b []byte) []byte{
		"bit":       func(b []byte) []byte { b[50]++; return b },
		"truncated": func(b []byte) []byte { return b[:20] },
		"empty":     func(b []byte) []byte { return nil },
		"major":     func(b []byte) []byte { b[8] = 2; return b },
		"lengths":   func(b []byte) []byte { copy(b[80:], "\xff\xff\xff\xff\xff\xff\xff\xff"); return b },
		"huge":      func(b []byte) []byte { return make([]byte, maxMetaBytes+1) },
	} {
		m := base.Clone()
		m.Put(meta, damage(m.Bytes(meta)))
		want := slices.Clone(m.Bytes(meta))
		s, n := openStore(t, m, testOptions())
		if st := s.Status(); st.Mode != InMemory || !strings.Contains(st.Reason.Error(), "META") {
			t.Errorf("%s: status %v, %v", name, st.Mode, st.Reason)
		}
		q := n.NewSequence(nil)
		compute(t, q, corruptPath, 64)
		checkRows(t, q)
		closeAll(t, s, q)
		if !slices.Equal(m.Bytes(meta), want) {
			t.Errorf("%s: META was changed", name)
		}
	}
}

// The disk cannot be read where a block is: a miss.
func TestReadErrorIsAMiss(t *testing.T) {
	m := memfs.New()
	fill(t, m, testOptions(), corruptPath)
	lay, _ := newLayout(toyGeometry)
	bad := int64(slotAt(lay, newSegmentSlots(lay, 1<<30), 1))
	m.Fault = func(op memfs.Op) error {
		if op.Kind == memfs.Read && op.Off == bad {
			return errDisk
		}
		return nil
	}
	if got := reopened(t, m, corruptPath); got != 64 {
		t.Errorf("%d tokens found, want 64", got)
	}
}

// Power cuts at random points of a recorded run, each with random subsets of unsynced pages: wrong rows never, and
// what was flushed before the cut is found.
func TestPowerCuts(t *testing.T) {
	m := memfs.New()
	s, n := openStore(t, m, testOptions())
	q := n.NewSequence(nil)
	type point struct{ ops, flushed int }
	flushed := []point{{0, 0}}
	ids := tokens(500, 1)
	for size := 30; size <= len(ids); size += 47 {
		compute(t, q, ids[:size], 40)
		if size%2 == 0 {
			if err := q.Flush(); err != nil {
				t.Fatal(err)
			}
			flushed = append(flushed, point{len(m.Ops()), size})
		}
	}
	ops := m.Ops()
	closeAll(t, s, q)
	cuts := 0
	for cut := 0; cut <= len(ops); cut++ {
		for variant := range 6 {
			image := crashfs.Replay(ops, cut, func(op int, page int64) bool {
				switch variant {
				case 0:
					return false
				case 1:
					return true
				}
				return crc32.ChecksumIEEE([]byte{byte(op), byte(op >> 8), byte(page), byte(page >> 8), byte(variant)})&1 == 0
			})
			want := 0
			for _, p := range flushed {
				if p.ops <= cut {
					// The tail of the last flush may have been superseded since by a block that was not synced.
					want = p.flushed / 64 * 64
				}
			}
			if got := reopened(t, image, ids); got < want {
				t.Fatalf("cut after %d of %d calls, variant %d: %d tokens found, %d were flushed", cut, len(ops), variant, got, want)
			}
			cuts++
		}
	}
	t.Logf("%d images of %d calls", cuts, len(ops))
}

// A header whose ids were changed, its checksum made good, would serve the rows of other tokens by partial reuse: the path hash
// does not follow from such ids.
func TestForgedIDsServeNoRows(t *testing.T) {
	base := memfs.New()
	fill(t, base, testOptions(), corruptPath)
	for slot, kept := range map[int]int{1: 64, 3: 192} {
		m, b, _ := damagedCopy(t, base)
		h := b[headerTableOff+slot*headerBytes:][:headerBytes]
		wanted := slices.Clone(corruptPath)
		for i := range 10 {
			wanted[kept+i] = 7
			binary.LittleEndian.PutUint32(h[headerIDsOff+4*i:], 7)
		}
		binary.LittleEndian.PutUint32(h[crcOff:], headerCRC(h))
		if got := reopened(t, m, wanted); got != kept {
			t.Errorf("slot %d: %d tokens found, want %d", slot, got, kept)
		}
	}
}

// Rule R10: were two paths to have one hash, the ids would tell them apart.
func TestHashCollisionIsAMiss(t *testing.T) {
	n, err := NewRAM(toyGeometry)
	must(t, err)
	q := n.NewSequence(nil)
	compute(t, q, tokens(64, 1), 64)
	other := tokens(64, 2)
	h := pathHash(&q.root.hash, other)
	n.blocks[h] = q.entries[0].block
	if b := n.find(q.root, h, other, 0); b != nil {
		t.Error("rows of other tokens are served for an equal hash")
	}
	delete(n.blocks, h)
	must(t, q.Close())
	must(t, n.Close())
}
