package kvcache

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kvasir/internal/crashfs"
	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
)

// smallOptions keep segments small, so that images of a disk are cheap.
func smallOptions() Options {
	opt := testOptions()
	opt.MaxBytes = 400 << 10
	return opt
}

// told makes a session whose path has nUser ids that were read and nAnswer that were generated, all but the last computed and stored.
func told(t testing.TB, m *memfs.FS, opt Options, name string, nUser, nAnswer int) []int32 {
	t.Helper()
	s := testSessions(m)
	j := create(t, s, name)
	must(t, j.Model(ModelRecord{Fingerprint: toyPrint, Name: "toy", Settings: []byte("{}")}))
	ids := tokens(nUser+nAnswer, 1)
	must(t, j.Turn("user", "tell me", ids[:nUser]))
	if nAnswer > 0 {
		answer(t, j, strings.Repeat("once ", nAnswer), ids[nUser:], nAnswer%2 == 0)
	}
	must(t, errors.Join(j.Sync(), j.Close()))
	fill(t, m, opt, ids[:len(ids)-1])
	return ids
}

// export returns the archive of a session.
func export(t testing.TB, m *memfs.FS, name string, noRows bool) ([]byte, *Archive) {
	t.Helper()
	var b bytes.Buffer
	a, err := testSessions(m).Export(&b, name, noRows)
	must(t, err)
	if a.Bytes != int64(b.Len()) {
		t.Fatalf("%d bytes written, %d counted", b.Len(), a.Bytes)
	}
	return b.Bytes(), a
}

// takeIn imports an archive into a store of its own.
func takeIn(t testing.TB, m *memfs.FS, opt Options, archive []byte, as string) (*Imported, error) {
	t.Helper()
	s, err := Open(m, "/home", opt)
	must(t, err)
	in, err := testSessions(m).Import(bytes.NewReader(archive), ImportOptions{Name: as, Store: s})
	must(t, s.Close())
	return in, err
}

// A conversation that is exported and imported elsewhere is the same, and so are all rows that were stored of it, whatever its turns are
// and wherever its tail ends.
func TestArchiveRoundTrip(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 7))
		from := memfs.New()
		from.NoRecord = true
		s := testSessions(from)
		h := heldSession{j: create(t, s, "told")}
		must(t, h.j.Model(ModelRecord{Fingerprint: toyPrint, Name: "toy"}))
		for range r.IntN(60) {
			h.act(t, r, s.now())
		}
		must(t, errors.Join(h.j.Sync(), h.j.Close()))
		want := read(t, s, "told")
		ids := want.IDs()
		if len(ids) > 5000 { // rows of a token path of that length take a test's time
			ids = ids[:300]
		}
		stored := ids[:r.IntN(len(ids)+1)]
		fill(t, from, testOptions(), stored)

		archive, a := export(t, from, "told", false)
		if a.KVTokens != len(stored) || a.Tokens != len(want.IDs()) || a.Turns != len(want.Turns) {
			t.Fatalf("seed %d: exported %+v, %d tokens of %d are stored", seed, a, len(stored), len(want.IDs()))
		}
		checked, err := CheckArchive(bytes.NewReader(archive))
		if err != nil || checked.Tokens != a.Tokens || checked.KVTokens != a.KVTokens || checked.Bytes != a.Bytes || checked.Session != "told" {
			t.Fatalf("seed %d: checked %+v, %v; exported %+v", seed, checked, err, a)
		}
		to := memfs.New()
		to.NoRecord = true
		in, err := takeIn(t, to, testOptions(), archive, "")
		must(t, err)
		if in.Stored != len(stored) || in.Reason != nil || in.Session != "told" {
			t.Fatalf("seed %d: imported %+v, stored are %d", seed, in, len(stored))
		}
		got := read(t, testSessions(to), "told")
		if !sameTurns(got.Turns, want.Turns) || got.open != want.open || got.Model.Fingerprint != toyPrint || got.id == want.id {
			t.Fatalf("seed %d: imported %+v, want %+v", seed, got, want)
		}
		if n := reopened(t, to, ids); n != len(stored) {
			t.Fatalf("seed %d: %d tokens found, %d were stored", seed, n, len(stored))
		}
		if again, _ := export(t, to, "told", false); !bytes.Equal(again, archive) {
			t.Fatalf("seed %d: the copy's archive is another one", seed)
		}
	}
}

// The rows of a tail that only another conversation's block holds are in the archive, that conversation's other rows are not.
func TestArchiveHasNoRowsOfOthers(t *testing.T) {
	for _, other := range []int{64, 40} { // a FULL block and a PACKED one
		m := memfs.New()
		ids := told(t, m, testOptions(), "S", 64+10, 0)
		fill(t, m, testOptions(), append(slices.Clone(ids[:74]), tokens(other-10, 9)...))
		archive, a := export(t, m, "S", false)
		lay, _ := newLayout(toyGeometry)
		if a.KVTokens != 74 || int(a.Bytes) > 64*lay.tokenBytes+10*lay.tokenBytes+2000 {
			t.Fatalf("sibling of %d tokens: %+v", other, a)
		}
		to := memfs.New()
		_, err := takeIn(t, to, testOptions(), archive, "")
		must(t, err)
		if n := reopened(t, to, ids); n != 74 {
			t.Errorf("sibling of %d tokens: %d tokens found", other, n)
		}
	}
}

// Exporting works while the session and the store are in use, and takes what is on disk by then; a damaged block ends the rows.
func TestExportBesideAWriter(t *testing.T) {
	m := memfs.New()
	ids := told(t, m, testOptions(), "S", 200, 0)
	s, n := openStore(t, m, testOptions())
	q := n.NewSequence(nil)
	match(t, q, ids[:199])
	j, _, err := testSessions(m).Open("S")
	must(t, err)
	must(t, j.Tokens([]int32{5}, []byte("five"), nil))
	archive, a := export(t, m, "S", false)
	if a.KVTokens != 199 || a.Tokens != 201 {
		t.Errorf("exported %+v", a)
	}
	must(t, j.Close())
	closeAll(t, s, q)
	if _, err := CheckArchive(bytes.NewReader(archive)); err != nil {
		t.Error(err)
	}

	lay, _ := newLayout(toyGeometry)
	seg := m.Bytes(segmentPath(t, m))
	seg[slotAt(lay, newSegmentSlots(lay, 1<<30), 1)+99] ^= 4
	if _, a = export(t, m, "S", false); a.KVTokens != 64 {
		t.Errorf("with the second block damaged: %+v", a)
	}
	if _, a = export(t, m, "S", true); a.KVTokens != 0 || a.Tokens != 201 {
		t.Errorf("without rows: %+v", a)
	}
}

// Where the store cannot take rows, the conversation is imported all the same, and the reason is told.
func TestImportWithoutRoomForRows(t *testing.T) {
	from := memfs.New()
	ids := told(t, from, testOptions(), "S", 2000, 0)
	archive, _ := export(t, from, "S", false)

	t.Run("another process has the store", func(t *testing.T) {
		m := memfs.New()
		s, _ := openStore(t, m, testOptions())
		in, err := takeIn(t, m, testOptions(), archive, "")
		must(t, err)
		if in.Stored != 0 || !errors.Is(in.Reason, vfs.ErrLocked) {
			t.Errorf("%+v", in)
		}
		must(t, s.Close())
		if c := read(t, testSessions(m), "S"); !slices.Equal(c.IDs(), ids) {
			t.Error("the conversation is not whole")
		}
	})
	t.Run("the cap is below the session", func(t *testing.T) {
		m := memfs.New()
		in, err := takeIn(t, m, smallOptions(), archive, "")
		must(t, err)
		if in.Stored == 0 || in.Stored >= 1999 || !errors.Is(in.Reason, ErrFull) {
			t.Errorf("%+v", in)
		}
		if n := reopened(t, m, ids[:1999]); n != in.Stored {
			t.Errorf("%d tokens found, told were %d", n, in.Stored)
		}
	})
	t.Run("the disk is full", func(t *testing.T) {
		m := memfs.New()
		m.Limit = 80 << 10 // enough for the journal
		in, err := takeIn(t, m, testOptions(), archive, "")
		must(t, err)
		if in.Stored != 0 || !errors.Is(in.Reason, vfs.ErrNoSpace) && !errors.Is(in.Reason, ErrFull) {
			t.Errorf("%+v", in)
		}
		read(t, testSessions(m), "S")
	})
	t.Run("no room for the journal", func(t *testing.T) {
		m := memfs.New()
		m.Limit = 10 << 10
		if _, err := takeIn(t, m, testOptions(), archive, ""); !errors.Is(err, vfs.ErrNoSpace) {
			t.Errorf("%v", err)
		}
		noSession(t, m, "S")
	})
	t.Run("no store", func(t *testing.T) {
		m := memfs.New()
		in, err := testSessions(m).Import(bytes.NewReader(archive), ImportOptions{})
		must(t, err)
		if in.Stored != 0 || in.KVTokens != 1999 || len(m.Files()) > 2 {
			t.Errorf("%+v, files %q", in, m.Files())
		}
	})
}

// noSession fails if there is a session of that name, or the file of one.
func noSession(t testing.TB, m *memfs.FS, name string) {
	t.Helper()
	s := testSessions(m)
	if _, err := s.Read(name); !errors.Is(err, ErrNoSession) {
		t.Errorf("session %q: %v, want none", name, err)
	}
	if slices.Contains(m.Files(), s.path(name)) {
		t.Errorf("session %q left a file", name)
	}
}

// A name that is taken is refused, before anything is written, and another one can be given.
func TestImportNames(t *testing.T) {
	m := memfs.New()
	told(t, m, testOptions(), "S", 100, 3)
	archive, _ := export(t, m, "S", false)
	before := slices.Clone(m.Bytes(testSessions(m).path("S")))
	if _, err := takeIn(t, m, testOptions(), archive, ""); !errors.Is(err, ErrExists) {
		t.Errorf("a name that is taken: %v", err)
	}
	if _, err := takeIn(t, m, testOptions(), archive, "a\nb"); !errors.Is(err, ErrName) {
		t.Errorf("a bad name: %v", err)
	}
	if !bytes.Equal(before, m.Bytes(testSessions(m).path("S"))) {
		t.Error("the session was changed")
	}
	in, err := takeIn(t, m, testOptions(), archive, "T")
	must(t, err)
	if a, b := read(t, testSessions(m), "S"), read(t, testSessions(m), "T"); in.Session != "T" || !sameTurns(a.Turns, b.Turns) {
		t.Errorf("%+v: %+v, want %+v", in, b, a)
	}
}

// A damaged journal is not exported as if it were whole.
func TestDamagedSessionIsNotExported(t *testing.T) {
	m := memfs.New()
	told(t, m, testOptions(), "S", 100, 4)
	b := m.Bytes(testSessions(m).path("S"))
	b[recordsOff+200] ^= 1
	if _, err := testSessions(m).Export(io.Discard, "S", false); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if _, err := testSessions(m).Export(io.Discard, "none", false); !errors.Is(err, ErrNoSession) {
		t.Error(err)
	}
}

// Whatever call a process dies at while it imports, and whatever of what was not synced is lost, the session is there whole or not at all,
// no row is wrong, and the import can be done again.
func TestImportCrashes(t *testing.T) {
	from := memfs.New()
	ids := told(t, from, smallOptions(), "S", 150, 10)
	archive, _ := export(t, from, "S", false)
	want := read(t, testSessions(from), "S")

	m := memfs.New()
	_, err := takeIn(t, m, smallOptions(), archive, "")
	must(t, err)
	ops, images, whole := m.Ops(), 0, 0
	disk, seen, plan := crashfs.NewDisk(nil), map[uint64]bool{}, crashfs.Plan{Exhaustive: 16, Random: 4, Torn: 2, Stale: 1}
	for cut := 0; ; cut++ {
		for choice := range disk.Choices(plan, 0, seen, rand.New(rand.NewPCG(1, uint64(cut)))) {
			image := disk.Image(choice)
			image.NoRecord = true
			s := testSessions(image)
			c, err := s.Read("S")
			switch {
			case errors.Is(err, ErrNoSession) && cut < len(ops):
				in, err := takeIn(t, image, smallOptions(), archive, "")
				must(t, err)
				if in.Stored != len(ids)-1 {
					t.Fatalf("cut after call %d: done again, %+v", cut, in)
				}
				c = read(t, s, "S")
			case err != nil:
				t.Fatalf("cut after call %d of %d: %v\n%s", cut, len(ops), err, disk.Describe(choice))
			default:
				whole++
			}
			if !sameTurns(c.Turns, want.Turns) {
				t.Fatalf("cut after call %d: the session holds %+v\n%s", cut, c, disk.Describe(choice))
			}
			reopened(t, image, ids) // checks the rows
			images++
		}
		if cut == len(ops) {
			break
		}
		disk.Apply(ops[cut])
	}
	if whole == 0 || whole == images {
		t.Errorf("of %d images %d had the session", images, whole)
	}
	t.Logf("%d images of %d calls, %d with the session", images, len(ops), whole)
}

// packOf returns a prefix pack of a path.
func packOf(t testing.TB, n *Namespace, ids []int32) []byte {
	t.Helper()
	q := n.NewSequence(nil)
	compute(t, q, ids, 50)
	var b bytes.Buffer
	a, err := q.WritePack(&b, toyPrint, []byte("toy model"), "You are helpful.")
	must(t, err)
	must(t, q.Close())
	if a.Tokens != len(ids) || a.KVTokens != len(ids) || a.Bytes != int64(b.Len()) {
		t.Fatalf("%d tokens: %+v", len(ids), a)
	}
	return b.Bytes()
}

// A prefix pack made in memory or over a store gives another store the rows of its path, and is the same either way.
func TestPrefixPack(t *testing.T) {
	for _, size := range []int{1, 63, 64, 65, 128, 200} {
		ids := tokens(size, 1)
		ram, err := NewRAM(toyGeometry)
		must(t, err)
		s, n := openStore(t, memfs.New(), testOptions())
		inMemory, onDisk := packOf(t, ram, ids), packOf(t, n, ids)
		must(t, errors.Join(ram.Close(), s.Close()))
		for _, pack := range [][]byte{inMemory, onDisk} {
			to := memfs.New()
			s, err := Open(to, "/home", testOptions())
			must(t, err)
			in, err := s.AddPack(bytes.NewReader(pack), true)
			must(t, err)
			ns, err := s.Namespace(toyPrint, nil, toyGeometry)
			must(t, err)
			if pins := ns.Pins(); len(pins) != 1 || pins[0] != (Pin{in.Pin, size, size}) {
				t.Errorf("%d tokens: pins %+v, %+v", size, pins, in)
			}
			must(t, s.Close())
			if in.Stored != size || in.Reason != nil || in.Text != "You are helpful." || string(in.Inputs) != "toy model" {
				t.Errorf("%d tokens: %+v", size, in)
			}
			if n := reopened(t, to, append(slices.Clone(ids), 7, 8, 9)); n != size {
				t.Errorf("%d tokens: %d found", size, n)
			}
		}
	}
}

func TestPrefixPackRefuses(t *testing.T) {
	s, n := openStore(t, memfs.New(), testOptions())
	q := n.NewSequence(nil)
	if _, err := q.WritePack(io.Discard, toyPrint, nil, ""); !errors.Is(err, ErrReserve) {
		t.Errorf("nothing committed: %v", err)
	}
	compute(t, q, tokens(10, 1), 10)
	if _, err := q.WritePack(io.Discard, toyPrint, nil, strings.Repeat("x", maxArchiveText+1)); err == nil {
		t.Error("a text that does not fit")
	}
	broken := errors.New("broken pipe")
	if _, err := q.WritePack(failingWriter{broken}, toyPrint, nil, ""); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	pack := packOf(t, n, tokens(70, 2))
	small := testOptions()
	small.MaxBytes = 2 << 20 // one segment of 98 slots, of which a quarter must not be pinned
	tight, err := Open(memfs.New(), "/home", small)
	must(t, err)
	if in, err := tight.AddPack(bytes.NewReader(packOf(t, n, tokens(64*97, 2))), true); !errors.Is(err, ErrPinLimit) || in.Stored != 64*97 || in.Pin != "" {
		t.Errorf("pinning most of the cap: %+v, %v", in, err)
	}
	if in, err := tight.AddPack(bytes.NewReader(pack), false); err != nil || in.Pin != "" {
		t.Errorf("without a pin: %+v, %v", in, err)
	}
	must(t, tight.Close())
	if _, err := testSessions(memfs.New()).Import(bytes.NewReader(pack), ImportOptions{}); !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), "a prefix pack") {
		t.Errorf("a pack as a session: %v", err)
	}
	m := memfs.New()
	told(t, m, testOptions(), "S", 70, 0)
	archive, _ := export(t, m, "S", false)
	if _, err := s.AddPack(bytes.NewReader(archive), true); !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), "a session") {
		t.Errorf("a session as a pack: %v", err)
	}
	must(t, q.Close())
	if _, err := q.WritePack(io.Discard, toyPrint, nil, ""); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	must(t, s.Close())
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// The archives in testdata are what this version writes, byte for byte, on every machine, and they can be read.
func TestGoldenArchives(t *testing.T) {
	ram, err := NewRAM(toyGeometry)
	must(t, err)
	q := ram.NewSequence(nil)
	ids := tokens(66, 3)
	compute(t, q, ids, 66)
	var pack bytes.Buffer
	_, err = q.writePack(&pack, time.Unix(1e9, 0), toyPrint, []byte("toy model"), "You are helpful.")
	must(t, errors.Join(err, q.Close(), ram.Close()))
	for path, b := range map[string][]byte{"testdata/session.kva": smallArchive(t), "testdata/pack.kva": pack.Bytes()} {
		if *rewrite {
			must(t, os.WriteFile(path, b, 0o644))
		}
		want, err := os.ReadFile(path)
		must(t, err)
		if !bytes.Equal(b, want) {
			t.Errorf("%s: the bytes of an archive changed", path)
		}
		if _, err := CheckArchive(bytes.NewReader(want)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	b, err := os.ReadFile("testdata/session.kva")
	must(t, err)
	m := memfs.New()
	in, err := takeIn(t, m, testOptions(), b, "")
	must(t, err)
	if c := read(t, testSessions(m), "S"); in.Stored != 71 || len(c.Turns) != 2 || c.Turns[0].Text != "tell me" || reopened(t, m, c.IDs()) != 71 {
		t.Errorf("the golden session: %+v, %+v", in, c)
	}
}

// Planes that a store has given back are not in an archive, and the path is found to the same length behind it, from both ends of a move
// and of two; a pack of a sequence leaves out what that one has given back.
func TestArchiveWithoutWindows(t *testing.T) {
	for _, size := range []int{64, 100, 200, 500, 801} {
		m := memfs.New()
		s := testSessions(m)
		ids := tokens(size+1, 1)
		j := create(t, s, "S")
		must(t, j.Model(ModelRecord{Fingerprint: toyPrint, Name: "toy"}))
		must(t, errors.Join(j.Turn("user", "tell me", ids), j.Close()))
		fillWindows(t, m, testOptions(), ids[:size])
		archive, a := export(t, m, "S", false)
		if a.KVTokens != size {
			t.Fatalf("%d tokens: exported %+v", size, a)
		}
		lay, err := newLayout(windowGeometry)
		must(t, err)
		absent := 0
		for _, gone := range windowless(t, m, size/BlockTokens) {
			if gone {
				absent++
			}
		}
		if (absent > 0) != (size >= 500) {
			t.Errorf("%d tokens: %d blocks without windows", size, absent)
		}
		windowed := 0 // bytes of a block
		for i, l := range windowGeometry.Layers {
			if l.Window > 0 {
				windowed += lay.layers[i][0].n + lay.layers[i][1].n
			}
		}
		if most := size*lay.tokenBytes - absent*windowed + 500*(size/BlockTokens+2) + 4*len(ids); len(archive) > most {
			t.Errorf("%d tokens: %d bytes of archive, at most %d are needed", size, len(archive), most)
		}
		for range 2 {
			to := memfs.New()
			in, err := takeIn(t, to, testOptions(), archive, "")
			must(t, err)
			again, _ := export(t, to, "S", false)
			if !bytes.Equal(again, archive) {
				t.Errorf("%d tokens: the copy's archive has %d bytes, the first %d", size, len(again), len(archive))
			}
			archive = again
			if n := foundWindows(t, to, ids[:size]); n != size || in.Stored != size || in.Reason != nil {
				t.Errorf("%d tokens: %d found, imported %+v", size, n, in)
			}
			foundWindows(t, to, append(slices.Clone(ids[:size/2]), 9)) // wrong rows would show
		}
		// Into a store that has all planes: nothing of it is lost.
		whole := memfs.New()
		ws, n := openWindows(t, whole, testOptions())
		q := n.NewSequence(nil)
		compute(t, q, ids[:size], 50)
		must(t, q.Flush())
		_, err = testSessions(whole).Import(bytes.NewReader(archive), ImportOptions{Store: ws})
		must(t, err)
		must(t, q.Truncate(size/3))
		checkRows(t, q)
		closeAll(t, ws, q)
	}

	ram, err := NewRAM(windowGeometry)
	must(t, err)
	q, ids := ram.NewSequence(nil), tokens(1000, 1)
	compute(t, q, ids, 64)
	var before, after bytes.Buffer
	_, err = q.WritePack(&before, toyPrint, nil, "")
	must(t, err)
	must(t, q.Flush()) // gives planes back
	_, err = q.WritePack(&after, toyPrint, nil, "")
	must(t, errors.Join(err, q.Close(), ram.Close()))
	if after.Len() >= before.Len() {
		t.Errorf("a pack of %d bytes, %d before planes were given back", after.Len(), before.Len())
	}
	for _, pack := range [][]byte{before.Bytes(), after.Bytes()} {
		to := memfs.New()
		s, err := Open(to, "/home", testOptions())
		must(t, err)
		_, err = s.AddPack(bytes.NewReader(pack), false)
		must(t, errors.Join(err, s.Close()))
		if n := foundWindows(t, to, append(slices.Clone(ids), 5)); n != len(ids) {
			t.Errorf("%d of %d tokens of a pack found", n, len(ids))
		}
	}
}

// Archives hold no snapshots: of a model with a state what is told is what can be gone on from, and a pack that cannot be is not pinned.
func TestArchiveOfAModelWithAState(t *testing.T) {
	m, ids := memfs.New(), tokens(300, 1)
	sessions := testSessions(m)
	j := create(t, sessions, "S")
	must(t, j.Model(ModelRecord{Fingerprint: toyPrint, Name: "toy"}))
	must(t, j.Turn("user", "text", ids))
	must(t, j.Close())
	fillStates(t, m, testOptions(), ids, 300)
	b, info := export(t, m, "S", false)
	if info.KVTokens == 0 {
		t.Fatal("no rows in the archive")
	}
	for name, c := range map[string]struct {
		lengths []int
		want    int
	}{"an empty home": {nil, 0}, "a home with a snapshot": {[]int{100}, 100}} {
		to := memfs.New()
		if c.lengths != nil {
			fillStates(t, to, testOptions(), ids, c.lengths...)
		}
		in, err := takeIn(t, to, testOptions(), b, "T")
		if err != nil || in.Stored != c.want || !errors.Is(in.Reason, errNoSnapshots) {
			t.Errorf("%s: %d tokens told, want %d; %v, %v", name, in.Stored, c.want, in.Reason, err)
		}
		if got := foundStates(t, to, ids); got != in.Stored {
			t.Errorf("%s: taken up at %d, told were %d", name, got, in.Stored)
		}
	}
	s, n := openStates(t, m, testOptions())
	pack := packOf(t, n, ids)
	must(t, s.Close())
	s, n = openStates(t, memfs.New(), testOptions())
	if in, err := s.AddPack(bytes.NewReader(pack), true); err != nil || in.Stored != 0 || in.Pin != "" || len(n.Pins()) != 0 {
		t.Errorf("a pack: %+v, %v; pins %v", in, err, n.Pins())
	}
	must(t, s.Close())
}
