package kvcache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"kvasir/platform/vfs/memfs"
)

// FuzzSlotHeader: no header panics, and one that is accepted is exactly what encode writes for it.
func FuzzSlotHeader(f *testing.F) {
	m := memfs.New()
	fill(f, m, testOptions(), tokens(64+20, 1))
	seg := m.Bytes(segmentPath(f, m))
	lay, _ := newLayout(toyGeometry)
	for slot := range 3 {
		f.Add(append([]byte(nil), seg[headerTableOff+slot*headerBytes:][:headerBytes]...), uint32(slot))
	}
	var uuid [16]byte
	copy(uuid[:], seg[16:])
	f.Fuzz(func(t *testing.T, b []byte, slot uint32) {
		if len(b) < headerBytes {
			b = append(b, make([]byte, headerBytes-len(b))...)
		}
		b = b[:headerBytes]
		binary.LittleEndian.PutUint32(b[crcOff:], headerCRC(b))
		h, err := decodeSlotHeader(b, lay, uuid, slot)
		if err != nil {
			return
		}
		again := make([]byte, headerBytes)
		h.encode(again, lay)
		back, err := decodeSlotHeader(again, lay, uuid, slot)
		if err != nil || !reflect.DeepEqual(h, back) {
			t.Fatalf("%+v is read back as %+v, %v", h, back, err)
		}
	})
}

// FuzzMeta: no META panics, and one that is accepted accounts for every byte and names a geometry that can be used, or none. The
// fuzzer gets checksum and hash for free.
func FuzzMeta(f *testing.F) {
	m := memfs.New()
	fill(f, m, testOptions(), tokens(70, 1))
	f.Add(m.Bytes(filepath.Join(filepath.Dir(segmentPath(f, m)), "META")))
	f.Add([]byte(metaMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= metaFixedBytes {
			if n := uint64(binary.LittleEndian.Uint32(b[80:])); n <= uint64(len(b)-metaFixedBytes) {
				h := recipeHash(b[metaFixedBytes:][:n])
				copy(b[48:], h[:])
			}
		}
		if len(b) >= 4 {
			binary.LittleEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b[:len(b)-4], castagnoli))
		}
		_, recipe, inputs, err := decodeMeta(b)
		if err == nil && metaFixedBytes+len(recipe)+len(inputs)+4 != len(b) {
			t.Fatalf("recipe of %d and inputs of %d bytes in %d", len(recipe), len(inputs), len(b))
		}
		if err == nil {
			checkRecipe(t, recipe)
		}
	})
}

// checkRecipe reads recipe bytes; what is accepted is what encodeRecipe writes, and fits the bounds of a slot.
func checkRecipe(t *testing.T, recipe []byte) {
	lay, err := decodeRecipe(recipe)
	if err != nil {
		return
	}
	if !bytes.Equal(lay.recipe, recipe) || lay.payloadBytes > maxSlotBytes || lay.slotBytes%slotAlign != 0 || lay.slotBytes < lay.payloadBytes {
		t.Fatalf("recipe % x is read as % x, payload of %d bytes, slot of %d", recipe, lay.recipe, lay.payloadBytes, lay.slotBytes)
	}
	for i, spans := range lay.layers {
		for _, s := range spans {
			if s.off < 0 || s.n < 0 || s.off+s.n > lay.payloadBytes {
				t.Fatalf("layer %d at %d, %d bytes of %d", i, s.off, s.n, lay.payloadBytes)
			}
		}
	}
}

// FuzzGeometry: no recipe panics or makes us allocate more than it justifies.
func FuzzGeometry(f *testing.F) {
	lay, _ := newLayout(toyGeometry)
	f.Add(lay.recipe)
	big, _ := newLayout(qwen)
	f.Add(big.recipe)
	f.Fuzz(checkRecipe)
}

// FuzzSuperblock: none panics, and one that is accepted fits its file.
func FuzzSuperblock(f *testing.F) {
	lay, _ := newLayout(toyGeometry)
	b := make([]byte, headerBytes)
	(&superblock{fp: toyPrint, recipe: lay.recipeHash, slotCount: 7}).encode(b, lay)
	f.Add(b, segmentBytes(lay, 7))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		if len(b) < headerBytes {
			b = append(b, make([]byte, headerBytes-len(b))...)
		}
		binary.LittleEndian.PutUint32(b[crcOff:], crc32.Checksum(b[:crcOff], castagnoli))
		s, err := decodeSuperblock(b[:headerBytes], lay, toyPrint, size)
		if err == nil && segmentBytes(lay, s.slotCount) != size {
			t.Fatalf("%d slots accepted in %d bytes", s.slotCount, size)
		}
	})
}

// FuzzJournal: any bytes are read without panic, in bounded memory; reading twice gives the same; and the journal can go on.
// The first byte says which checksums the fuzzer gets for free.
func FuzzJournal(f *testing.F) {
	m := memfs.New()
	whole := m.Bytes(journalOf(f, m, "s", 2))
	f.Add(append([]byte{1}, whole[recordsOff:recordsOff+800]...))
	f.Add(append([]byte{0}, whole[recordsOff:recordsOff+100]...))
	f.Add([]byte{1, 9, 9, 9, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		file := append(append([]byte(nil), whole[:recordsOff]...), b[1:]...)
		if b[0]&1 != 0 {
			seal(file)
		}
		m := memfs.New()
		s := testSessions(m)
		path := journalOf(t, m, "s", 0)
		m.Put(path, file)
		c, err := s.Read("s")
		if err != nil {
			return
		}
		again, err := s.Read("s")
		if err != nil || !reflect.DeepEqual(c, again) {
			t.Fatal("two readings differ")
		}
		j, _, err := s.Open("s")
		if err != nil {
			return
		}
		must(t, j.Turn("user", "go on", nil))
		must(t, j.Close())
		c = read(t, s, "s")
		if n := len(c.Turns); n == 0 || c.Turns[n-1].Text != "go on" {
			t.Fatal("a turn that was acknowledged is not read")
		}
	})
}

// FuzzJournalFile: the same for whole files, heads included. The first byte says whether the heads get their checksums for free.
func FuzzJournalFile(f *testing.F) {
	m := memfs.New()
	path := journalOf(f, m, "s", 3)
	whole := m.Bytes(path)
	f.Add(append([]byte{1}, whole[:recordsOff+1200]...))
	f.Add(append([]byte{0}, whole[:recordsOff+100]...))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		file := slices.Clone(b[1:])
		for _, off := range []int{0, journalCopy} {
			if b[0]&1 != 0 && len(file) >= off+journalHead {
				binary.LittleEndian.PutUint32(file[off+60:], crc32.Checksum(file[off:off+60], castagnoli))
			}
		}
		m := memfs.New()
		s := testSessions(m)
		must(t, m.MkdirAll(s.dir()))
		m.Put(path, slices.Clone(file))
		if _, err := s.List(); err != nil {
			t.Fatal(err)
		}
		j, c, err := s.Open("s")
		if errors.Is(err, ErrNoSession) {
			j, err = s.Create("s")
			must(t, err)
			c = &Conversation{}
		} else if err != nil {
			if !slices.Equal(m.Bytes(path), file) {
				t.Fatalf("a journal that cannot be used was changed: %v", err)
			}
			return
		}
		n := len(c.Turns)
		must(t, j.Turn("user", "go on", nil))
		must(t, j.Close())
		if c := read(t, s, "s"); len(c.Turns) <= n-1 || len(c.Turns) == 0 || c.Turns[len(c.Turns)-1].Text != "go on" {
			t.Fatalf("%d turns, then %+v", n, c)
		}
	})
}

// FuzzSegment: a segment with any bytes anywhere. No row of another path is ever served (I1), opening and computing succeed (I3), and
// what is stored again is found again. The input is patches on a real segment: where, how much, and with what; odd places make
// the checksum of the header or superblock they fall in good again.
func FuzzSegment(f *testing.F) {
	base := memfs.New()
	opt := func() Options {
		o := testOptions()
		o.MaxBytes = 512 << 10
		return o
	}
	ids := tokens(3*64+40, 1)
	fill(f, base, opt(), ids, tokens(150, 5))
	path := segmentPath(f, base)
	patch := func(off uint32, free bool, b string) []byte {
		p := binary.LittleEndian.AppendUint32(nil, off<<1)
		if free {
			p[0] |= 1
		}
		return append(append(p, byte(len(b))), b...)
	}
	f.Add(patch(headerTableOff+headerBytes+36, true, "\x00\x00\x00\x00"))
	f.Add(patch(headerTableOff+10, true, "\x02\x01\x20"))
	f.Add(append(patch(104, true, "\xff\xff"), patch(superblockCopy+104, true, "\xff\xff")...))
	f.Add(patch(200<<10, false, "any"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := base.Clone()
		seg := m.Bytes(path)
		for len(b) >= 5 {
			at, free, n := int(binary.LittleEndian.Uint32(b)>>1)%len(seg), b[0]&1 != 0, min(int(b[4]), len(b)-5)
			copy(seg[at:], b[5:5+n])
			b = b[5+n:]
			first := at / headerBytes * headerBytes
			if free && (first == 0 || first >= superblockCopy && first < int(dataOff(21))) && first+headerBytes <= len(seg) {
				h := seg[first:][:headerBytes]
				sum := crc32.Checksum(h[:crcOff], castagnoli)
				if first > superblockCopy {
					sum = headerCRC(h)
				}
				binary.LittleEndian.PutUint32(h[crcOff:], sum)
			}
		}
		s, n := openStore(t, m, opt())
		for _, path := range [][]int32{ids, tokens(150, 5), tokens(100, 7)} {
			q := n.NewSequence(nil)
			match(t, q, path)
			compute(t, q, path, 50)
			checkRows(t, q)
			_ = q.Flush() // there may be no room beside a segment that is set aside
			must(t, q.Close())
		}
		closeAll(t, s)
		reopened(t, m, ids)
	})
}

// seal makes the checksums of whatever looks like a record good.
func seal(file []byte) {
	var id fileID
	copy(id[:], file[16:])
	for off := recordsOff; off+recordHead <= len(file); {
		n := int(binary.LittleEndian.Uint32(file[off:]))
		if n > len(file)-off-recordHead {
			off += 8
			continue
		}
		record := file[off : off+recordHead+n]
		binary.LittleEndian.PutUint32(record[4:], recordCRC(&id, record))
		off += recordBytes(n)
	}
}

// The files beside the segments accept any bytes, and what is accepted is what would be written.
func FuzzSideFiles(f *testing.F) {
	h := hints{seq: 5, written: 7, uses: map[uint64]int64{1: 2, 3: 4}}
	f.Add(h.encode())
	f.Add(encodeWritten(20000, 5, 6))
	n := newNamespace(&layout{}, Fingerprint{}, new(counters))
	n.pins = map[string]*pin{"a": {label: "a", full: 64, tail: []int32{1, 2}}, "b": {label: "b"}}
	f.Add(n.encodePins())
	f.Fuzz(func(t *testing.T, b []byte) {
		// With a checksum that is right, or the fields behind it would hardly be reached.
		if len(b) > 4 {
			b = withChecksum(b)
		}
		got := decodeHints(b)
		again := decodeHints(got.encode())
		if again.seq != got.seq || again.written != got.written || !maps.Equal(again.uses, got.uses) {
			t.Errorf("%+v, then %+v", got, again)
		}
		if pins, err := decodePins(b); err == nil {
			m := newNamespace(&layout{}, Fingerprint{}, new(counters))
			for _, p := range pins {
				m.pins[p.label] = p
			}
			if _, err := decodePins(m.encodePins()); err != nil {
				t.Error(err)
			}
		}
		if day, today, total, err := decodeWritten(b); err == nil {
			if d, x, y, err := decodeWritten(encodeWritten(day, today, total)); d != day || x != today || y != total || err != nil {
				t.Error(d, x, y, err)
			}
		}
	})
}
