package kvcache

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kvasir/platform/vfs/memfs"
)

var rewrite = flag.Bool("rewrite", false, "write the golden values anew: go test ./kvcache -run Golden -rewrite")

// TestGoldenBytes pins the disk format: the same input gives the same bytes on every machine and in every version of this
// major. testdata/format.golden holds SHA-256 values, and the bytes of the structures as hex, zero rows left out.
func TestGoldenBytes(t *testing.T) {
	m := memfs.New()
	ids := tokens(64+20, 1)
	fill(t, m, testOptions(), ids)
	lay, err := newLayout(toyGeometry)
	if err != nil {
		t.Fatal(err)
	}
	seg := m.Bytes(segmentPath(t, m))
	count := newSegmentSlots(lay, 1<<30)
	full := seg[slotAt(lay, count, 0):][:lay.slotBytes]
	packed := seg[slotAt(lay, count, 1):][:20*lay.tokenBytes]

	dir := filepath.Dir(segmentPath(t, m))
	lru, written := m.Bytes(filepath.Join(dir, "lru")), m.Bytes("/home/kv/v1/written")
	st, n := openStore(t, m, testOptions())
	if _, err := n.Pin("session s", ids); err != nil {
		t.Fatal(err)
	}
	must(t, st.Close())

	s := testSessions(m)
	j := &Journal{sessions: s, id: fileID{1, 2, 3}, digest: sha256.New(), size: 1 << 20}
	var journal []byte
	record := func(b []byte) {
		journal = append(journal, sealRecord(b, &j.id)...)
		j.seq++
	}
	var head [journalHead]byte
	encodeJournalHead(head[:], j.id, time.Unix(1e9, 0).UnixNano())
	record(append(j.begin(recTokens), 2, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 'a', 'b', 'c', 0, 0))
	record(append(j.begin(recEdit), editRewind, 1, 0, 0, 0))
	record(forkRecord(j.begin(recFork), &Conversation{Name: "parent", id: fileID{4, 5, 6}}, 2))

	var out strings.Builder
	hash := func(name string, b []byte) { fmt.Fprintf(&out, "%s\n  sha256 %x\n", name, sha256.Sum256(b)) }
	dump := func(name string, b []byte) {
		fmt.Fprintf(&out, "%s\n", name)
		zeros := make([]byte, 16)
		for off := 0; off < len(b); off += 16 {
			row := b[off:min(off+16, len(b))]
			if string(row) != string(zeros[:len(row)]) {
				fmt.Fprintf(&out, "  %04x  % x\n", off, row)
			}
		}
	}
	fmt.Fprintf(&out, "file %s\n", filepath.Base(dir))
	dump("META", m.Bytes(filepath.Join(dir, "META")))
	dump("superblock", seg[:headerBytes])
	dump("header of the FULL slot", seg[headerTableOff:][:headerBytes])
	hash("FULL slot", full)
	dump("header of the PACKED slot", seg[headerTableOff+headerBytes:][:headerBytes])
	hash("PACKED payload", packed)
	fmt.Fprintf(&out, "root of salt \"salt\"\n  %s\n", hexHash(rootHash(toyPrint, lay.recipeHash, []byte("salt"))))
	dump("journal file header", head[:])
	dump("journal records TOKENS, EDIT, FORK", journal)
	dump("lru", lru)
	dump("pins of both blocks, label \"session s\"", m.Bytes(filepath.Join(dir, "pins")))
	dump("written", written)
	fmt.Fprintf(&out, "journal of session \"s\"\n  %s\n", filepath.Base(s.path("s")))
	meta, states := goldenState(t, ids)
	dump("META with a state of 100 bytes", meta)
	dump("superblock of snapshots", states[:headerBytes])
	dump("header of the STATE slot", states[headerTableOff:][:headerBytes])
	dump("snapshot", states[dataOff(newSegmentSlots(&layout{slotBytes: slotAlign}, 1<<30)):][:100])

	const path = "testdata/format.golden"
	if *rewrite {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("bytes on disk changed:\n%s\nwant\n%s", out.String(), want)
	}
	if doc, err := os.ReadFile("FORMAT.md"); err != nil {
		t.Fatal(err)
	} else if !strings.Contains(string(doc), string(want)) {
		t.Error("FORMAT.md does not show testdata/format.golden as its worked example")
	}
}

func hexHash(h Hash) string { return hex.EncodeToString(h[:]) }

// goldenState stores the bytes 0 to 99 as the state behind ids, and returns META and the segment of snapshots.
func goldenState(t *testing.T, ids []int32) (meta, segment []byte) {
	m := memfs.New()
	st, err := Open(m, "/home", testOptions())
	must(t, err)
	g := Geometry{Layers: toyGeometry.Layers, StateBytes: 100}
	n, err := st.Namespace(toyPrint, []byte("toy model"), g)
	must(t, err)
	q := n.NewSequence(nil)
	compute(t, q, ids, 50)
	data := make([]byte, g.StateBytes)
	for i := range data {
		data[i] = byte(i)
	}
	must(t, q.PutState(data))
	must(t, q.Flush())
	closeAll(t, st, q)
	path := stateSegment(t, m)
	return m.Bytes(filepath.Join(filepath.Dir(path), "META")), m.Bytes(path)
}
