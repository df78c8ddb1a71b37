package kvcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"kvasir/platform/vfs/memfs"
)

// field is one entry of a structure's table in FORMAT.md.
type field struct {
	name      string
	off, size int
	mask      byte // bits of its bytes; 0: all
	ignored   bool // a reader may find anything there
}

var slotFields = []field{
	{"magic", 0, 8, 0, false}, {"version", 8, 2, 0, false}, {"kind", 10, 1, 0, false},
	{"flags: windowed planes", 11, 1, 1, false}, {"flags: keep", 11, 1, 2, true}, {"flags: reserved", 11, 1, 0xfc, true},
	{"n_tok", 12, 2, 0, false}, {"n_layers", 14, 2, 0, false}, {"uuid", 16, 16, 0, false}, {"slot", 32, 4, 0, false},
	{"first_pos", 36, 4, 0, false}, {"sequence", 40, 8, 0, true}, {"payload bytes", 48, 8, 0, false}, {"reserved", 56, 8, 0, true},
	{"parent", 64, 32, 0, false}, {"path hash", 96, 32, 0, false},
	{"token ids", 128, 160, 0, false}, {"token ids, beyond 40", 288, 96, 0, true}, // of the PACKED block
	{"reserved", 384, 640, 0, true}, {"layer checksums", 1024, 12, 0, false}, {"layer checksums, beyond 3", 1036, 2036, 0, true},
	{"reserved", 3072, 1020, 0, true}, {"checksum", 4092, 4, 0, false},
}

var superblockFields = []field{
	{"magic", 0, 8, 0, false}, {"major", 8, 2, 0, false}, {"minor", 10, 2, 0, true}, {"byte order", 12, 4, 0, false},
	{"uuid", 16, 16, 0, false}, {"fingerprint", 32, 32, 0, false}, {"recipe hash", 64, 32, 0, false}, {"slot bytes", 96, 8, 0, false},
	{"slot count", 104, 4, 0, false}, {"header stride", 108, 4, 0, false}, {"header table", 112, 8, 0, false}, {"data", 120, 8, 0, false},
	{"payload bytes", 128, 8, 0, false}, {"created", 136, 8, 0, true}, {"kind", 144, 1, 0, false}, {"reserved", 145, 3947, 0, true},
	{"checksum", 4092, 4, 0, false},
}

// Of the toy model: a recipe of 52 bytes and 9 of inputs.
var metaFields = []field{
	{"magic", 0, 8, 0, false}, {"major", 8, 2, 0, false}, {"minor", 10, 2, 0, true}, {"size", 12, 4, 0, false},
	{"fingerprint", 16, 32, 0, false}, {"recipe hash", 48, 32, 0, false}, {"size of the recipe", 80, 4, 0, false},
	{"size of the inputs", 84, 4, 0, false}, {"recipe", 88, 52, 0, false}, {"inputs", 140, 9, 0, true}, {"checksum", 149, 4, 0, false},
}

var journalHeadFields = []field{
	{"magic", 0, 8, 0, false}, {"major", 8, 2, 0, false}, {"minor", 10, 2, 0, true}, {"byte order", 12, 4, 0, false},
	{"file id", 16, 16, 0, false}, {"created", 32, 8, 0, true}, {"reserved", 40, 20, 0, true}, {"checksum", 60, 4, 0, false},
}

// unchecked says that a changed field leaves the checksum good.
func (f *field) unchecked() bool { return f.name == "flags: keep" }

// eachBit calls fn with b changed in one bit of every field, its lowest and its highest: as damage would, and with the checksum, the
// last field, made good again, as an attacker would. It fails if the fields leave out a byte of b.
func eachBit(t *testing.T, b []byte, fields []field, fn func(name string, changed []byte, f field, sealed bool)) {
	t.Helper()
	at := 0
	for _, f := range fields {
		if f.off != at && f.mask == 0 {
			t.Fatalf("the table has no field at %d", at)
		}
		at = f.off + f.size
	}
	crc := fields[len(fields)-1].off
	if at != len(b) || crc != len(b)-4 {
		t.Fatalf("the table has %d bytes, the structure %d", at, len(b))
	}
	for _, f := range fields {
		mask := f.mask
		if mask == 0 {
			mask = 0xff
		}
		for _, place := range []struct {
			off int
			bit byte
		}{{f.off, mask & -mask}, {f.off + f.size - 1, 1 << (bits.Len8(mask) - 1)}} {
			for _, sealed := range []bool{false, true} {
				if sealed && f.off == crc {
					continue
				}
				c := slices.Clone(b)
				c[place.off] ^= place.bit
				if sealed {
					sum := crc32.Checksum(c[:crc], castagnoli)
					if string(b[:8]) == slotMagic {
						sum = headerCRC(c)
					}
					binary.LittleEndian.PutUint32(c[crc:], sum)
				}
				fn(fmt.Sprintf("%s, bit %02x at %d, checksum made good: %v", f.name, place.bit, place.off, sealed), c, f, sealed)
			}
		}
	}
}

// boundedly runs fn and fails if it allocates more than opening this store takes.
func boundedly(t *testing.T, name string, fn func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
		t.Errorf("%s: %d bytes were allocated", name, grown)
	}
}

// smallStore is a store on a small segment: corruptPath in slots 0 to 3.
func smallStore(t *testing.T) (base *memfs.FS, segment string) {
	t.Helper()
	base = memfs.New()
	opt := testOptions()
	opt.MaxBytes = 512 << 10
	fill(t, base, opt, corruptPath)
	return base, segmentPath(t, base)
}

// Every field of every structure: a flipped bit makes a miss, or the field is one that readers ignore; no rows of others are served
// (reopened looks), and nothing that a field claims is allocated.
func TestEveryFieldIsCheckedOrIgnored(t *testing.T) {
	base, path := smallStore(t)
	seg := base.Bytes(path)
	all := len(corruptPath)
	expect := func(name, file string, content []byte, want int) {
		m := base.Clone()
		m.Put(file, content)
		boundedly(t, name, func() {
			if got := reopened(t, m, corruptPath); got != want {
				t.Errorf("%s: %d tokens found, want %d", name, got, want)
			}
		})
	}
	patched := func(offs []int, b []byte) []byte {
		s := slices.Clone(seg)
		for _, off := range offs {
			copy(s[off:], b)
		}
		return s
	}
	const packed = 3 // tokens 192 to 231
	at := headerTableOff + packed*headerBytes
	eachBit(t, seg[at:][:headerBytes], slotFields, func(name string, b []byte, f field, sealed bool) {
		want := 192
		if f.ignored && (sealed || f.unchecked()) {
			want = all
		}
		expect("slot header: "+name, path, patched([]int{at}, b), want)
	})
	full := headerTableOff + headerBytes
	eachBit(t, seg[full:][:headerBytes], slotFields, func(name string, b []byte, f field, sealed bool) {
		want := 64
		if f.ignored && (sealed || f.unchecked()) && f.off != 288 { // of a FULL block all 64 ids count
			want = all
		}
		expect("slot header of a FULL block: "+name, path, patched([]int{full}, b), want)
	})
	eachBit(t, seg[:headerBytes], superblockFields, func(name string, b []byte, f field, sealed bool) {
		want := 0
		if f.ignored && sealed {
			want = all
		}
		expect("superblocks: "+name, path, patched([]int{0, superblockCopy}, b), want)
		if !sealed {
			expect("one superblock: "+name, path, patched([]int{0}, b), all)
			expect("the other superblock: "+name, path, patched([]int{superblockCopy}, b), all)
		}
	})
	meta := filepath.Join(filepath.Dir(path), "META")
	eachBit(t, base.Bytes(meta), metaFields, func(name string, b []byte, f field, sealed bool) {
		want := 0
		if f.ignored && sealed {
			want = all
		}
		expect("META: "+name, meta, b, want)
	})
}

// The same for the heads of a journal: it is read whole from one good head, and refused without one.
func TestEveryFieldOfAJournalHeadIsCheckedOrIgnored(t *testing.T) {
	base := memfs.New()
	path := journalOf(t, base, "s", 2)
	file := base.Bytes(path)
	whole := read(t, testSessions(base), "s")
	eachBit(t, file[:journalHead], journalHeadFields, func(name string, b []byte, f field, sealed bool) {
		for _, offs := range [][]int{{0, journalCopy}, {0}, {journalCopy}} {
			m := base.Clone()
			for _, off := range offs {
				copy(m.Bytes(path)[off:], b)
			}
			good := len(offs) == 1 && (!sealed || f.ignored || f.name != "file id" || offs[0] != 0) || f.ignored && sealed
			boundedly(t, name, func() {
				c, err := testSessions(m).Read("s")
				if good && (err != nil || !reflect.DeepEqual(c.Turns, whole.Turns)) || !good && !errors.Is(err, ErrJournal) {
					t.Errorf("heads at %v: %s: %v", offs, name, err)
				}
			})
		}
	})
}

// Slots that stand in another segment, and segments in the directory of another model, are not taken for what they are not.
func TestSlotsOfOtherSegmentsAndModels(t *testing.T) {
	base, first := smallStore(t)
	long := tokens(30*64, 5) // more than the first segment has room for
	opt := testOptions()
	opt.Random = &randomReader{n: 100} // another uuid
	fill(t, base, opt, long)
	second := filepath.Join(filepath.Dir(first), "kv-000002.seg")
	lay, err := newLayout(toyGeometry)
	must(t, err)
	slotsOf := func(m *memfs.FS, path string) int {
		return int(binary.LittleEndian.Uint32(m.Bytes(path)[104:]))
	}
	header := func(m *memfs.FS, path string, slot int) []byte {
		return m.Bytes(path)[headerTableOff+slot*headerBytes:][:headerBytes]
	}
	payload := func(m *memfs.FS, path string, slot int) []byte {
		return m.Bytes(path)[slotAt(lay, slotsOf(m, path), slot):][:lay.slotBytes]
	}
	swap := func(a, b []byte) {
		c := slices.Clone(a)
		copy(a, b)
		copy(b, c)
	}
	for name, c := range map[string]struct {
		change func(m *memfs.FS)
		want   int
	}{
		"headers":  {func(m *memfs.FS) { swap(header(m, first, 1), header(m, second, 1)) }, 64},
		"payloads": {func(m *memfs.FS) { swap(payload(m, first, 1), payload(m, second, 1)) }, 64},
		"headers and payloads": {func(m *memfs.FS) {
			swap(header(m, first, 1), header(m, second, 1))
			swap(payload(m, first, 1), payload(m, second, 1))
		}, 64},
		"header tables": {func(m *memfs.FS) {
			n := 21 * headerBytes
			swap(m.Bytes(first)[headerTableOff:][:n], m.Bytes(second)[headerTableOff:][:n])
		}, 0},
		"names of the segments": {func(m *memfs.FS) {
			a, b := m.Bytes(first), m.Bytes(second)
			m.Put(first, slices.Clone(b))
			m.Put(second, slices.Clone(a))
		}, len(corruptPath)},
	} {
		m := base.Clone()
		c.change(m)
		if got := reopened(t, m, corruptPath); got != c.want {
			t.Errorf("%s swapped: %d tokens found, want %d", name, got, c.want)
		}
		reopened(t, m, long) // looks at the rows
	}

	// Another model of the same shape: its directory gets these segments, as they are and with its fingerprint written into them.
	otherPrint := Fingerprint{9, 9, 9}
	for _, forge := range []bool{false, true} {
		m := base.Clone()
		s, n := openStore(t, m, testOptions())
		_, err := s.Namespace(otherPrint, nil, toyGeometry)
		must(t, err)
		closeAll(t, s)
		for _, path := range []string{first, second} {
			b := slices.Clone(m.Bytes(path))
			for _, off := range []int{0, superblockCopy} {
				if forge {
					copy(b[off+32:], otherPrint[:])
					binary.LittleEndian.PutUint32(b[off+crcOff:], crc32.Checksum(b[off:off+crcOff], castagnoli))
				}
			}
			dir := filepath.Join(filepath.Dir(filepath.Dir(path)), namespaceDir(namespaceID(otherPrint, n.lay.recipeHash)))
			m.Put(filepath.Join(dir, filepath.Base(path)), b)
		}
		s, err = Open(m, "/home", testOptions())
		must(t, err)
		n, err = s.Namespace(otherPrint, nil, toyGeometry)
		must(t, err)
		for _, path := range [][]int32{corruptPath, long} {
			q := n.NewSequence(nil)
			if got := match(t, q, path); got != 0 {
				t.Errorf("fingerprint forged: %v: another model is served %d tokens", forge, got)
			}
			must(t, q.Close())
		}
		closeAll(t, s)
		if got := reopened(t, m, corruptPath); got != len(corruptPath) {
			t.Errorf("fingerprint forged: %v: %d tokens found by their own model", forge, got)
		}
	}
}
