package kvcache

import (
	"encoding/binary"
	"hash/crc32"
	"maps"
	"reflect"
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
		binary.LittleEndian.PutUint32(b[crcOff:], crc32.Checksum(b[:crcOff], castagnoli))
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

// FuzzMeta: no META panics, and one that is accepted accounts for every byte.
func FuzzMeta(f *testing.F) {
	lay, _ := newLayout(toyGeometry)
	f.Add(encodeMeta(lay, toyPrint, []byte("inputs")))
	f.Add([]byte(metaMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 4 {
			binary.LittleEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b[:len(b)-4], castagnoli))
		}
		_, recipe, inputs, err := decodeMeta(b)
		if err == nil && metaFixedBytes+len(recipe)+len(inputs)+4 != len(b) {
			t.Fatalf("recipe of %d and inputs of %d bytes in %d", len(recipe), len(inputs), len(b))
		}
	})
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
