package kvcache

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kvasir/platform/vfs"
)

// verdict is what testdata/kvcheck.py prints of a home.
type verdict struct {
	Namespaces map[string]namespaceVerdict `json:"namespaces"`
	Journals   map[string]journalVerdict   `json:"journals"`
}

type namespaceVerdict struct {
	Unused                                string
	Segments, Slots, Full, Packed, Tokens int
	Windowless, States                    int
	Ignored                               []struct{ Segment, Why string }
	Dropped                               []struct {
		Segment string
		Slot    int
		Why     string
	}
}

type journalVerdict struct {
	Unused                                   string
	Name                                     *string
	Records, Gaps, Turns, Incomplete, Tokens int
	Damaged                                  bool
}

// checkers runs testdata/kvcheck.py on homes.
func checkers(t *testing.T, homes []string) []verdict {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no Python 3 for testdata/kvcheck.py: ", err)
	}
	var stderr bytes.Buffer
	c := exec.Command(python, append([]string{filepath.Join("..", "testdata", "kvcheck.py")}, homes...)...)
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("kvcheck.py: %v\n%s", err, stderr.String())
	}
	var all []verdict
	for line := range bytes.Lines(out) {
		var v verdict
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&v); err != nil {
			t.Fatalf("kvcheck.py: %v in %.500s", err, line)
		}
		all = append(all, v)
	}
	if len(all) != len(homes) {
		t.Fatalf("%d verdicts on %d homes", len(all), len(homes))
	}
	return all
}

// summary is what both verdicts are brought to: one line for each fact, sorted.
func (v verdict) summary() []string {
	var out []string
	for dir, n := range v.Namespaces {
		if n.Unused != "" {
			out = append(out, fmt.Sprintf("%s unused", dir))
			continue
		}
		out = append(out, fmt.Sprintf("%s: %d segments, %d slots, %d full, %d packed, %d tokens, %d windowless, %d states", dir, n.Segments, n.Slots, n.Full, n.Packed, n.Tokens, n.Windowless, n.States))
		for _, s := range n.Ignored {
			out = append(out, fmt.Sprintf("%s/%s ignored", dir, s.Segment))
		}
		for _, s := range n.Dropped {
			out = append(out, fmt.Sprintf("%s/%s slot %d dropped", dir, s.Segment, s.Slot))
		}
	}
	for file, j := range v.Journals {
		if j.Unused != "" {
			out = append(out, file+" unused")
			continue
		}
		name := "?"
		if j.Name != nil {
			name = *j.Name
		}
		out = append(out, fmt.Sprintf("%s %q: %d gaps, %d turns, %d incomplete, %d tokens, damaged %v", file, name, j.Gaps, j.Turns, j.Incomplete, j.Tokens, j.Damaged))
	}
	slices.Sort(out)
	return out
}

// ownVerdict is the summary of what the store itself makes of a home: it opens it and verifies every payload.
func ownVerdict(t *testing.T, home string, g Geometry) []string {
	t.Helper()
	s, err := Open(vfs.OS(), home, Options{MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.Namespace(toyPrint, []byte("toy model"), g)
	if err != nil {
		t.Fatal(err)
	}
	dir := namespaceDir(namespaceID(toyPrint, n.lay.recipeHash))
	v := verdict{Namespaces: map[string]namespaceVerdict{}, Journals: map[string]journalVerdict{}}
	if n.disk == nil {
		v.Namespaces[dir] = namespaceVerdict{Unused: s.Status().Reason.Error()}
	} else {
		v.Namespaces[dir] = ownNamespace(t, n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sessions := NewSessions(vfs.OS(), home)
	names, err := vfs.OS().ReadDir(sessions.dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, journalSuffix) {
			v.Journals[name] = ownJournal(sessions, name)
		}
	}
	return v.summary()
}

func ownNamespace(t *testing.T, n *Namespace) (v namespaceVerdict) {
	t.Helper()
	buf, err := n.getBuffer()
	if err != nil {
		t.Fatal(err)
	}
	defer n.putBuffer(buf)
	blocks := make([]*block, 0, len(n.blocks))
	for _, b := range n.blocks {
		blocks = append(blocks, b)
	}
	slices.SortFunc(blocks, func(a, b *block) int { return a.firstPos - b.firstPos })
	kept := map[string]bool{}
	for _, b := range blocks {
		if b.dropped {
			continue // with its parent
		}
		for b != nil && n.readChecked(b, buf) != nil {
			n.forget(b)
			b = n.blocks[b.hash] // what stood in reserve
		}
		if b == nil {
			continue
		}
		if b.windowless {
			v.Windowless++
		}
		kept[fmt.Sprint(b.seg.name, b.slot)] = true
		v.Tokens += len(b.ids)
		if b.full() {
			v.Full++
		} else {
			v.Packed++
		}
	}
	for _, x := range n.states {
		seg, slot := x.seg, x.slot
		if n.readState(x, make([]byte, n.lay.state.payloadBytes)) {
			kept[fmt.Sprint(seg.name, slot)] = true
			v.States++
		}
	}
	for range n.disk.setAside {
		v.Ignored = append(v.Ignored, struct{ Segment, Why string }{Segment: "one"})
	}
	for _, seg := range slices.Concat(n.disk.segments, n.disk.states) {
		v.Segments++
		v.Slots += seg.slotCount
		header := make([]byte, headerBytes)
		for slot := range seg.slotCount {
			if _, err := seg.file.ReadAt(header, headerTableOff+int64(slot)*headerBytes); err != nil {
				t.Fatal(err)
			}
			if !kept[fmt.Sprint(seg.name, slot)] && len(bytes.Trim(header, "\x00")) > 0 {
				v.Dropped = append(v.Dropped, struct {
					Segment string
					Slot    int
					Why     string
				}{Segment: seg.name, Slot: slot})
			}
		}
	}
	return v
}

func ownJournal(s *Sessions, file string) (v journalVerdict) {
	f, err := vfs.OS().OpenFile(filepath.Join(s.dir(), file), vfs.Read)
	if err != nil {
		return journalVerdict{Unused: err.Error()}
	}
	defer f.Close()
	c, err := readConversation(f)
	switch {
	case err != nil:
		return journalVerdict{Unused: err.Error()}
	case c.end == recordsOff:
		return journalVerdict{Unused: "no record"}
	case c.Name != "" && filepath.Base(s.path(c.Name)) != file:
		return journalVerdict{Unused: "another name"}
	}
	if c.Name != "" {
		v.Name = &c.Name
	}
	v.Gaps, v.Turns, v.Damaged, v.Tokens = len(c.Gaps), len(c.Turns), c.Damaged, len(c.IDs())
	for _, turn := range c.Turns {
		if !turn.Complete {
			v.Incomplete++
		}
	}
	return v
}

// FORMAT.md suffices: a reader that was written from it alone, in another language, comes to the store's own verdict on good homes
// and on homes with damage in any structure, some of it with good checksums.
func TestAReaderWrittenFromTheDocumentAgrees(t *testing.T) {
	good := t.TempDir()
	s, err := Open(vfs.OS(), good, Options{MaxBytes: 512 << 10, MinFree: -1}) // small segments: many copies are made
	must(t, err)
	n, err := s.Namespace(toyPrint, []byte("toy model"), toyGeometry)
	must(t, err)
	ids := tokens(3*64+40, 1)
	for _, path := range [][]int32{ids, tokens(200, 5), append(slices.Clone(ids[:128]), tokens(100, 6)...), ids[:64+20]} {
		q := n.NewSequence(nil)
		match(t, q, path)
		compute(t, q, path, 50)
		must(t, q.Flush())
		must(t, q.Close())
	}
	q := n.NewSequence([]byte("salt"))
	compute(t, q, ids[:150], 50)
	must(t, q.Flush())
	must(t, q.Close())
	q = n.NewSequence(nil)
	for _, size := range []int{30, 45} { // the second tail covers the first, whose header stays
		compute(t, q, tokens(size, 9), 50)
		must(t, q.Flush())
	}
	closeAll(t, s, q)
	sessions := NewSessions(vfs.OS(), good)
	for i, name := range []string{"a talk", "ünï"} {
		j := create(t, sessions, name)
		must(t, j.Model(ModelRecord{Fingerprint: toyPrint, Name: "toy", Settings: []byte("{}")}))
		for range 4 {
			must(t, j.Turn("user", "a question", tokens(10, 1)))
			for k := range 6 {
				must(t, j.Tokens(tokens(1, int32(k)), []byte("word "), []byte("state")))
			}
			must(t, j.EndTurn("stop", nil))
		}
		if i == 1 {
			must(t, j.Rewind(5))
			must(t, j.Turn("user", "another question", tokens(10, 2)))
			must(t, j.Tokens(tokens(2, 2), []byte("cut off"), nil))
		}
		must(t, j.Close())
	}

	homes, what := []string{good}, []string{"untouched"}
	damaged := func(name, file string, damage func(b []byte) []byte) {
		t.Helper()
		home := t.TempDir()
		must(t, os.CopyFS(home, os.DirFS(good)))
		paths, err := filepath.Glob(filepath.Join(home, file))
		if err != nil || len(paths) == 0 {
			t.Fatal(file, err)
		}
		b, err := os.ReadFile(paths[0])
		must(t, err)
		must(t, os.WriteFile(paths[0], damage(b), 0o600))
		homes, what = append(homes, home), append(what, name)
	}
	forEachStructure(t, damaged)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := range 40 {
		file := []string{"kv/v1/*/kv-*.seg", "sessions/*.kvj", "kv/v1/*/META"}[i%3]
		damaged(fmt.Sprintf("random %d in %s", i, file), file, func(b []byte) []byte { return randomDamage(rnd, b) })
	}

	verdicts := checkers(t, homes)
	for i, home := range homes {
		theirs, own := verdicts[i].summary(), ownVerdict(t, home, toyGeometry)
		for j, line := range theirs { // the store does not say which file it set aside
			if dir, isSegment := strings.CutSuffix(line, " ignored"); isSegment {
				theirs[j] = filepath.Dir(dir) + "/one ignored"
			}
		}
		slices.Sort(theirs)
		if !slices.Equal(theirs, own) {
			t.Errorf("%s:\nkvcheck.py %q\nthe store  %q", what[i], theirs, own)
		}
	}
	for _, v := range verdicts[0].Namespaces {
		if len(v.Dropped) != 1 || v.Dropped[0].Why != "prefix of a sibling" || v.Full < 8 || v.Packed < 5 {
			t.Errorf("of the home without damage: %+v", v)
		}
	}
	if len(verdicts[0].Namespaces) != 1 || len(verdicts[0].Journals) != 2 {
		t.Errorf("of the home without damage: %+v", verdicts[0])
	}
	t.Logf("%d homes; of the one without damage: %q", len(homes), verdicts[0].summary())
}

// forEachStructure damages every kind of structure, with and without making its checksum good again.
func forEachStructure(t *testing.T, damaged func(name, file string, damage func(b []byte) []byte)) {
	t.Helper()
	lay, err := newLayout(toyGeometry)
	must(t, err)
	le := binary.LittleEndian
	slots := newSegmentSlots(lay, 512<<10)
	header := func(name string, slot int, forge func(h []byte)) {
		damaged("header "+name, "kv/v1/*/kv-*.seg", func(b []byte) []byte {
			h := b[headerTableOff+slot*headerBytes:][:headerBytes]
			forge(h)
			le.PutUint32(h[crcOff:], headerCRC(h))
			return b
		})
	}
	header("of an unknown version", 1, func(h []byte) { h[8] = 2 })
	header("of an unknown kind", 1, func(h []byte) { h[10] = 3 })
	header("with 63 tokens", 1, func(h []byte) { h[12] = 63 })
	header("with 4 layers", 1, func(h []byte) { h[14] = 4 })
	header("of another segment", 1, func(h []byte) { h[16]++ })
	header("of another slot", 1, func(h []byte) { h[32]++ })
	header("at position 65", 1, func(h []byte) { h[36]++ })
	header("at position 0", 1, func(h []byte) { h[36] = 0 })
	header("far away", 1, func(h []byte) { le.PutUint32(h[36:], 1<<31-64) })
	header("written later", 1, func(h []byte) { le.PutUint64(h[40:], 1<<63) })
	header("of another payload size", 1, func(h []byte) { h[48]++ })
	header("with something reserved", 1, func(h []byte) { h[56], h[400], h[4000] = 1, 1, 1 })
	header("of another parent", 1, func(h []byte) { h[64]++ })
	header("of another path", 1, func(h []byte) { h[96]++ })
	header("of another token", 1, func(h []byte) { h[128]++ })
	header("of another checksum of layer 2", 0, func(h []byte) { h[1024+8]++ })
	damaged("a header twice", "kv/v1/*/kv-*.seg", func(b []byte) []byte {
		from, to := b[headerTableOff+headerBytes:][:headerBytes], b[headerTableOff+(slots-1)*headerBytes:][:headerBytes]
		copy(to, from)
		copy(b[slotAt(lay, slots, slots-1):][:lay.slotBytes], b[slotAt(lay, slots, 1):])
		return b
	})
	for layer, spans := range lay.layers {
		for part, s := range spans {
			damaged(fmt.Sprintf("layer %d part %d", layer, part), "kv/v1/*/kv-*.seg", func(b []byte) []byte {
				b[slotAt(lay, slots, 2)+s.off+s.n-1] ^= 1
				return b
			})
		}
	}
	damaged("a PACKED payload", "kv/v1/*/kv-*.seg", func(b []byte) []byte { b[slotAt(lay, slots, 3)+5] ^= 1; return b })
	for name, damage := range map[string]func(b []byte) []byte{
		"first superblock": func(b []byte) []byte { b[40]++; return b },
		"both superblocks": func(b []byte) []byte { b[40]++; b[superblockCopy+40]++; return b },
		"one byte more":    func(b []byte) []byte { return append(b, 0) },
		"one byte less":    func(b []byte) []byte { return b[:len(b)-1] },
		"empty":            func(b []byte) []byte { return nil },
	} {
		damaged("segment: "+name, "kv/v1/*/kv-*.seg", damage)
	}
	for name, at := range map[string]int{"magic": 0, "major": 8, "size": 12, "fingerprint": 16, "recipe hash": 48, "recipe": 90, "inputs": 150} {
		damaged("META: "+name, "kv/v1/*/META", func(b []byte) []byte { b[min(at, len(b)-5)] ^= 2; return b })
	}
	for name, damage := range map[string]func(b []byte) []byte{
		"first head":   func(b []byte) []byte { b[20]++; return b },
		"both heads":   func(b []byte) []byte { b[20]++; b[journalCopy+20]++; return b },
		"first record": func(b []byte) []byte { b[recordsOff+20]++; return b },
		"a record":     func(b []byte) []byte { b[recordsOff+300]++; return b },
		"no record":    func(b []byte) []byte { clear(b[recordsOff:]); return b },
		"half":         func(b []byte) []byte { return b[:recordsOff+600] },
		"a sector":     func(b []byte) []byte { clear(b[recordsOff+512:][:512]); return b },
		"a stale tail": func(b []byte) []byte { copy(b[40000:], b[recordsOff:recordsOff+600]); return b },
		"heads alone":  func(b []byte) []byte { return b[:recordsOff] },
		"empty":        func(b []byte) []byte { return nil },
		"bad payloads": func(b []byte) []byte {
			reseal(b, func(i int, r []byte) {
				if i%5 == 4 && len(r) > 30 {
					r[25] = 0xff
				}
			})
			return b
		},
		"other types": func(b []byte) []byte {
			reseal(b, func(i int, r []byte) {
				if i%4 == 3 {
					r[16] = 77
				}
			})
			return b
		},
		"other digests": func(b []byte) []byte {
			reseal(b, func(i int, r []byte) {
				if r[16] == recTurnEnd {
					r[35]++
				}
			})
			return b
		},
	} {
		damaged("journal: "+name, "sessions/*.kvj", damage)
	}
}

// reseal changes each record of a journal and makes its checksum good again.
func reseal(file []byte, change func(i int, record []byte)) {
	var id fileID
	copy(id[:], file[16:])
	le := binary.LittleEndian
	for i, off := 0, recordsOff; off+recordHead <= len(file) && file[off+16] != 0; i++ {
		record := file[off:][:recordHead+int(le.Uint32(file[off:]))]
		change(i, record)
		le.PutUint32(record[4:], recordCRC(&id, record))
		off += recordBytes(len(record) - recordHead)
	}
}

func randomDamage(rnd *rand.Rand, b []byte) []byte {
	at := rnd.IntN(len(b))
	for range 50 { // where something is, mostly
		if b[at] != 0 {
			break
		}
		at = rnd.IntN(len(b))
	}
	switch rnd.IntN(4) {
	case 0:
		b[at] ^= 1 << rnd.IntN(8)
	case 1:
		clear(b[at:min(len(b), at+1+rnd.IntN(5000))])
	case 2:
		for i := at; i < min(len(b), at+1+rnd.IntN(300)); i++ {
			b[i] = byte(rnd.Uint32())
		}
	case 3:
		from := rnd.IntN(len(b)) &^ 7
		copy(b[at&^7:], slices.Clone(b[from:min(len(b), from+1+rnd.IntN(5000))]))
	}
	return b
}

// The same for snapshots of a state.
func TestTheReaderAgreesOnStates(t *testing.T) {
	good := t.TempDir()
	s, err := Open(vfs.OS(), good, Options{MaxBytes: 8 << 20, MinFree: -1, segmentSlots: 24})
	must(t, err)
	n, err := s.Namespace(toyPrint, []byte("toy model"), stateGeometry)
	must(t, err)
	for seed, size := range []int{300, 200, 70} {
		h := &hybrid{q: n.NewSequence(nil)}
		for at := 40; at < size; at += 64 {
			h.extend(t, tokens(at, int32(seed)))
			must(t, h.q.Flush())
		}
		h.close(t)
	}
	must(t, s.Close())
	must(t, create(t, NewSessions(vfs.OS(), good), "s").Close())
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	homes := []string{good}
	for i := range 24 {
		home := t.TempDir()
		must(t, os.CopyFS(home, os.DirFS(good)))
		paths, err := filepath.Glob(filepath.Join(home, "kv/v1/*", []string{"st-*.seg", "kv-*.seg", "META"}[i%5/2]))
		if err != nil || len(paths) == 0 {
			t.Fatal(err)
		}
		b, err := os.ReadFile(paths[0])
		must(t, err)
		must(t, os.WriteFile(paths[0], randomDamage(rnd, b), 0o600))
		homes = append(homes, home)
	}
	for i, v := range checkers(t, homes) {
		for _, n := range v.Namespaces {
			if i == 0 && n.States < 8 {
				t.Errorf("%d snapshots in the home without damage", n.States)
			}
		}
		theirs, own := v.summary(), ownVerdict(t, homes[i], stateGeometry)
		for j, line := range theirs {
			if dir, isSegment := strings.CutSuffix(line, " ignored"); isSegment {
				theirs[j] = filepath.Dir(dir) + "/one ignored"
			}
		}
		slices.Sort(theirs)
		if !slices.Equal(theirs, own) {
			t.Errorf("home %d:\nkvcheck.py %q\nthe store  %q", i, theirs, own)
		}
	}
}
