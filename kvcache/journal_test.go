package kvcache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kvasir/internal/crashfs"
	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
)

func testSessions(fsys vfs.FS) *Sessions {
	s := NewSessions(fsys, "/home")
	s.clock = func() time.Time { return time.Unix(1e9, 5) }
	return s
}

func create(t testing.TB, s *Sessions, name string) *Journal {
	t.Helper()
	j, err := s.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// answer appends a generated turn, one record per token.
func answer(t testing.TB, j *Journal, text string, ids []int32, end bool) {
	t.Helper()
	for i, id := range ids {
		piece := text[i*len(text)/len(ids) : (i+1)*len(text)/len(ids)]
		must(t, j.Tokens([]int32{id}, []byte(piece), []byte{byte(i)}))
	}
	if end {
		must(t, j.EndTurn("stop", []byte("after")))
	}
}

func read(t testing.TB, s *Sessions, name string) *Conversation {
	t.Helper()
	c, err := s.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestJournalRoundTrip(t *testing.T) {
	m := memfs.New()
	s := testSessions(m)
	j := create(t, s, "my talk, ünïcode")
	must(t, j.Model(ModelRecord{Fingerprint{7}, "models/toy.gguf", []byte("settings")}))
	must(t, j.Turn("system", "be brief", []int32{1, 2}))
	must(t, j.Turn("user", "hello", []int32{3, -4, 5}))
	answer(t, j, "good day to you", []int32{6, 7, 8, 9}, true)
	must(t, j.Turn("user", "and?", nil))
	answer(t, j, "half an ans", []int32{10, 11}, false)
	must(t, j.Close())

	at := time.Unix(1e9, 5)
	want := []Turn{
		{Role: "system", Text: "be brief", IDs: []int32{1, 2}, Complete: true, At: at},
		{Role: "user", Text: "hello", IDs: []int32{3, -4, 5}, Complete: true, At: at},
		{Role: "assistant", Text: "good day to you", IDs: []int32{6, 7, 8, 9}, Generated: true, Complete: true, Finish: "stop", At: at, Sampler: []byte("after")},
		{Role: "user", Text: "and?", Complete: true, At: at},
		{Role: "assistant", Text: "half an ans", IDs: []int32{10, 11}, Generated: true, Sampler: []byte{1}},
	}
	check := func(c *Conversation) {
		t.Helper()
		if !reflect.DeepEqual(c.Turns, want) {
			t.Errorf("turns\n%+v, want\n%+v", c.Turns, want)
		}
		if c.Name != "my talk, ünïcode" || c.Model.Name != "models/toy.gguf" || c.Model.Fingerprint != (Fingerprint{7}) ||
			string(c.Model.Settings) != "settings" || c.Damaged || len(c.Gaps) != 0 || !c.Created.Equal(at) {
			t.Errorf("conversation %+v", c)
		}
	}
	c := read(t, s, "my talk, ünïcode")
	check(c)
	// The cut-off answer goes on as the same turn.
	j, _, err := s.Open("my talk, ünïcode")
	must(t, err)
	must(t, j.Tokens([]int32{12}, []byte("wer"), nil))
	must(t, j.EndTurn("length", []byte{42}))
	must(t, j.Close())
	want[4] = Turn{Role: "assistant", Text: "half an answer", IDs: []int32{10, 11, 12}, Generated: true, Complete: true, Finish: "length", At: at, Sampler: []byte{42}}
	c = read(t, s, "my talk, ünïcode")
	check(c)
	if !slices.Equal(c.IDs(), []int32{1, 2, 3, -4, 5, 6, 7, 8, 9, 10, 11, 12}) {
		t.Errorf("ids %v", c.IDs())
	}
	j, _, err = s.Open("my talk, ünïcode")
	must(t, err)
	must(t, j.Rewind(2))
	must(t, j.Turn("user", "again", []int32{20}))
	must(t, j.Close())
	want = append(want[:2:2], Turn{Role: "user", Text: "again", IDs: []int32{20}, Complete: true, At: at})
	check(read(t, s, "my talk, ünïcode"))
}

// What was written survives a kill at any call; what was synced survives a power cut at any call, whatever pages are lost:
// invariant I2.
func TestJournalCrashes(t *testing.T) {
	m := memfs.New()
	s := testSessions(m)
	j := create(t, s, "s")
	type state struct {
		ops   int
		turns []Turn
	}
	written, synced := []state{{len(m.Ops()), nil}}, []state{{len(m.Ops()), nil}}
	note := func(list *[]state) { *list = append(*list, state{len(m.Ops()), read(t, s, "s").Turns}) }
	for i := range 12 {
		must(t, j.Turn("user", strings.Repeat("question ", i*100), tokens(i*90, 1)))
		note(&written)
		note(&synced)
		for k := range 5 {
			must(t, j.Tokens([]int32{int32(k)}, bytes.Repeat([]byte("x"), 1000), []byte("state")))
			note(&written)
		}
		must(t, j.EndTurn("stop", nil))
		note(&written)
		note(&synced)
	}
	must(t, j.Close())
	ops, images := m.Ops(), 0
	for cut := written[0].ops; cut <= len(ops); cut++ {
		image := crashfs.Replay(ops, cut, nil)
		c := read(t, testSessions(image), "s")
		// What was acknowledged by then is there; the call that was going on has happened or not.
		at := slices.IndexFunc(written, func(s state) bool { return s.ops > cut })
		if at < 0 {
			at = len(written)
		}
		possible := written[at-1 : min(at+1, len(written))]
		if c.Damaged || !slices.ContainsFunc(possible, func(s state) bool { return reflect.DeepEqual(c.Turns, s.turns) }) {
			t.Fatalf("killed after call %d: %d turns, want %d; damaged %v", cut, len(c.Turns), len(possible[0].turns), c.Damaged)
		}
		for seed := range uint64(8) {
			r := rand.New(rand.NewPCG(seed, uint64(cut)))
			image := crashfs.Replay(ops, cut, func(int, int64) bool { return r.IntN(2) == 0 })
			var want []Turn
			for _, s := range synced {
				if s.ops <= cut {
					want = s.turns
				}
			}
			s := testSessions(image)
			c := read(t, s, "s")
			if len(c.Turns) < len(want) {
				t.Fatalf("power cut after call %d: %d turns, %d were durable", cut, len(c.Turns), len(want))
			}
			for i, w := range want {
				got := c.Turns[i]
				if i == len(want)-1 && w.Generated && !w.Complete { // only a prefix of it was durable
					continue
				}
				if !reflect.DeepEqual(got, w) {
					t.Fatalf("power cut after call %d: turn %d is %+v, want %+v", cut, i, got, w)
				}
			}
			// One more turn in the image, and the past still stands: no lost record comes back.
			j, before, err := s.Open("s")
			must(t, err)
			must(t, j.Turn("user", "next", []int32{1}))
			must(t, j.Tokens([]int32{2}, []byte("yes"), nil))
			must(t, j.EndTurn("stop", nil))
			must(t, j.Close())
			after := read(t, s, "s")
			if n := len(before.Turns); len(after.Turns) != n+2 || n > 0 && !reflect.DeepEqual(after.Turns[:n], before.Turns) ||
				after.Turns[n+1].Text != "yes" || !after.Turns[n+1].Complete {
				t.Fatalf("power cut after call %d: a further turn gives %d turns of %d, last %+v", cut, len(after.Turns), n, after.Turns[len(after.Turns)-1])
			}
			images++
		}
	}
	t.Logf("%d images of %d calls", images, len(ops))
}

// journalOf makes a session of n complete exchanges, and returns its file.
func journalOf(t testing.TB, m *memfs.FS, name string, n int) (path string) {
	t.Helper()
	s := testSessions(m)
	j := create(t, s, name)
	for i := range n {
		must(t, j.Turn("user", fmt.Sprintf("question %d", i), []int32{int32(i), 1}))
		answer(t, j, fmt.Sprintf("answer %d", i), []int32{int32(i), 2, 3}, true)
	}
	must(t, j.Close())
	return s.path(name)
}

// Any damaged byte of any record costs at most the turn it is in; later turns are kept, and the damage is reported.
func TestJournalGap(t *testing.T) {
	base := memfs.New()
	path := journalOf(t, base, "s", 5)
	whole := read(t, testSessions(base), "s")
	for off := recordsOff; off < int(whole.end); off++ {
		m := base.Clone()
		m.Bytes(path)[off] ^= 0x40
		c, err := testSessions(m).Read("s")
		must(t, err)
		if reflect.DeepEqual(c.Turns, whole.Turns) {
			if len(c.Gaps) == 0 && !bytes.Equal(m.Bytes(path)[off:off+1], []byte{0x40}) {
				t.Errorf("byte %d: damage is not noticed", off)
			}
			continue // the SESSION record, or padding
		}
		lost := 0
		for _, w := range whole.Turns {
			if !slices.ContainsFunc(c.Turns, func(g Turn) bool { return reflect.DeepEqual(g, w) }) {
				lost++
			}
		}
		if lost > 2 {
			t.Errorf("byte %d: %d turns lost", off, lost)
		}
		last := off >= int(whole.end)-100
		if !last && (!c.Damaged || len(c.Gaps) != 1) {
			t.Errorf("byte %d: damaged %v, gaps %v", off, c.Damaged, c.Gaps)
		}
		for _, turn := range c.Turns {
			if turn.Complete && !turn.Damaged && !slices.ContainsFunc(whole.Turns, func(w Turn) bool { return reflect.DeepEqual(turn, w) }) {
				t.Errorf("byte %d: turn %+v was never said", off, turn)
			}
		}
		// The conversation can go on.
		j, c, err := testSessions(m).Open("s")
		must(t, err)
		must(t, j.Turn("user", "still there?", nil))
		must(t, j.Tokens([]int32{1}, []byte("yes"), nil))
		must(t, j.EndTurn("stop", nil))
		must(t, j.Close())
		after := read(t, testSessions(m), "s")
		if n := len(after.Turns); n != len(c.Turns)+2 || after.Turns[n-1].Text != "yes" || !after.Turns[n-1].Complete {
			t.Errorf("byte %d: after going on, %d turns of %d, last %+v", off, n, len(c.Turns), after.Turns[n-1])
		}
	}
}

// A gap at the end of which tokens follow without their turn's beginning: whoever goes on is not dropped with them.
func TestJournalGoesOnBehindACutTurn(t *testing.T) {
	m := memfs.New()
	s := testSessions(m)
	j := create(t, s, "s")
	must(t, j.Turn("user", "q", nil))
	at := j.end
	answer(t, j, "abcdef", []int32{1, 2, 3}, false)
	must(t, j.Close())
	m.Bytes(s.path("s"))[at+20] ^= 1
	j, c, err := s.Open("s")
	must(t, err)
	if len(c.Turns) != 1 || !c.Damaged {
		t.Fatalf("turns %+v", c.Turns)
	}
	must(t, j.Tokens([]int32{9}, []byte("anew"), nil))
	must(t, j.EndTurn("stop", nil))
	must(t, j.Close())
	c = read(t, s, "s")
	if len(c.Turns) != 2 || c.Turns[1].Text != "anew" || !c.Turns[1].Complete {
		t.Errorf("turns %+v", c.Turns)
	}
}

func TestJournalHeads(t *testing.T) {
	base := memfs.New()
	path := journalOf(t, base, "s", 1)
	for name, c := range map[string]struct {
		damage func(b []byte) []byte
		want   error
	}{
		"first head":  {func(b []byte) []byte { b[20]++; return b }, nil},
		"second head": {func(b []byte) []byte { b[journalCopy+20]++; return b }, nil},
		"both heads":  {func(b []byte) []byte { b[20]++; b[journalCopy+20]++; return b }, ErrJournal},
		"major": {func(b []byte) []byte {
			for _, off := range []int{0, journalCopy} {
				encodeJournalHead(b[off:], fileID{}, 0)
				b[off+8] = 2
			}
			return b
		}, ErrJournal},
		"empty":      {func(b []byte) []byte { return nil }, ErrNoSession},
		"head alone": {func(b []byte) []byte { return b[:journalHead] }, ErrNoSession},
		"cut":        {func(b []byte) []byte { return b[:recordsOff+60] }, nil},
	} {
		m := base.Clone()
		m.Put(path, c.damage(m.Bytes(path)))
		_, err := testSessions(m).Read("s")
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// What a process leaves that dies while it makes a session is no session, and the next one makes it; text behind damaged heads stays.
func TestUnfinishedJournalIsNoSession(t *testing.T) {
	base := memfs.New()
	path := journalOf(t, base, "s", 0)
	whole := base.Bytes(path)
	for name, c := range map[string]struct {
		left []byte
		want error // of making the session
	}{
		"an empty file":       {nil, nil},
		"some zeros":          {make([]byte, 5000), nil},
		"an extent of zeros":  {make([]byte, journalExtent), nil},
		"half a head":         {append(slices.Clone(whole[:20]), make([]byte, journalExtent-20)...), nil},
		"heads alone":         {append(slices.Clone(whole[:recordsOff]), make([]byte, journalExtent-recordsOff)...), nil},
		"half a record":       {append(slices.Clone(whole[:recordsOff+20]), make([]byte, journalExtent-recordsOff-20)...), nil},
		"a session":           {whole, ErrExists},
		"text without a head": {append(make([]byte, recordsOff+200), "words of the user"...), ErrExists},
		"more zeros":          {make([]byte, 2*journalExtent), ErrExists},
	} {
		m := base.Clone()
		m.Put(path, slices.Clone(c.left))
		s := testSessions(m)
		_, _, err := s.Open("s")
		if none := errors.Is(err, ErrNoSession); none != (c.want == nil) {
			t.Errorf("%s: opening gives %v", name, err)
		}
		j, err := s.Create("s")
		if !errors.Is(err, c.want) {
			t.Errorf("%s: making the session gives %v, want %v", name, err, c.want)
		}
		if err != nil {
			if !slices.Equal(m.Bytes(path), c.left) {
				t.Errorf("%s: the file was changed", name)
			}
			continue
		}
		if _, err := s.Create("s"); !errors.Is(err, ErrExists) {
			t.Errorf("%s: making it twice gives %v", name, err)
		}
		must(t, j.Turn("user", "hello", nil))
		must(t, j.Close())
		if c := read(t, s, "s"); len(c.Turns) != 1 || c.Damaged {
			t.Errorf("%s: afterwards it holds %+v", name, c)
		}
	}
}

// Records that claim to be huge cost nothing, and a file full of such claims is read in bounded time.
func TestJournalHostileLengths(t *testing.T) {
	m := memfs.New()
	path := journalOf(t, m, "s", 1)
	b := append(slices.Clone(m.Bytes(path)), make([]byte, 4<<20)...)
	for off := recordsOff + 400; off+24 < len(b); off += 8 {
		binary.LittleEndian.PutUint32(b[off:], uint32(len(b)-off-64)&^7)
		b[off+4] = 1
	}
	for off := recordsOff + 400; off+24 < len(b); off += 24 {
		binary.LittleEndian.PutUint32(b[off:], uint32(max(len(b)-off-64, 0)))
		binary.LittleEndian.PutUint64(b[off+8:], 1000)
		b[off+16] = 3
	}
	m.Put(path, b)
	began := time.Now()
	if _, err := testSessions(m).Read("s"); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestJournalDiskFull(t *testing.T) {
	m := memfs.New()
	s := testSessions(m)
	j := create(t, s, "s")
	m.Limit = int64(ballastBytes + len(m.Bytes(s.path("s"))))
	text := strings.Repeat("x", 60_000)
	refused := 0
	var said []string
	for i := range 40 {
		err := j.Turn("user", fmt.Sprint(i, text), nil)
		if err == nil {
			said = append(said, fmt.Sprint(i, text))
			continue
		}
		if !errors.Is(err, vfs.ErrNoSpace) {
			t.Fatal(err)
		}
		refused++
	}
	if m.Bytes("/home/ballast") != nil || refused == 0 || len(said) < 15 {
		t.Errorf("%d turns kept, %d refused; the ballast has %d bytes", len(said), refused, len(m.Bytes("/home/ballast")))
	}
	m.Limit = 0
	must(t, j.Turn("user", "room again", nil))
	said = append(said, "room again")
	must(t, j.Close())
	c := read(t, s, "s")
	var got []string
	for _, turn := range c.Turns {
		got = append(got, turn.Text)
	}
	if !slices.Equal(got, said) || c.Damaged {
		t.Errorf("%d turns read, %d acknowledged", len(got), len(said))
	}
}

func TestJournalFailureIsNotRetried(t *testing.T) {
	m := memfs.New()
	s := testSessions(m)
	j := create(t, s, "s")
	fail := true
	m.Fault = func(op memfs.Op) error {
		if op.Kind == memfs.Fdatasync && fail {
			fail = false
			return errDisk
		}
		return nil
	}
	if err := j.Turn("user", "hello", nil); !errors.Is(err, errDisk) {
		t.Fatalf("turn: %v", err)
	}
	if err := j.Turn("user", "hello", nil); !errors.Is(err, errDisk) {
		t.Fatalf("a second try: %v", err)
	}
	must(t, j.Close())
	if err := j.Tokens([]int32{1}, nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

func TestJournalRefusesWhatDoesNotFit(t *testing.T) {
	j := create(t, testSessions(memfs.New()), "s")
	long := strings.Repeat("x", maxRecordBytes)
	for name, err := range map[string]error{
		"role":   j.Turn(long[:256], "", nil),
		"text":   j.Turn("user", long, nil),
		"ids":    j.Turn("user", "", make([]int32, maxRecordBytes/4)),
		"piece":  j.Tokens(nil, []byte(long[:1<<16]), nil),
		"state":  j.Tokens(nil, nil, []byte(long[:1<<16])),
		"tokens": j.Tokens(make([]int32, 1<<16), nil, nil),
		"finish": j.EndTurn(long[:256], nil),
		"model":  j.Model(ModelRecord{Name: long}),
		"rewind": j.Rewind(1),
	} {
		if !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, j.Turn("user", "fits", nil))
}

func TestSessionNames(t *testing.T) {
	s := testSessions(memfs.New())
	for _, name := range []string{"", strings.Repeat("x", 65), "a\nb", "a\x00", "\xff", "a\u202eb", "tab\t"} {
		if _, err := s.Create(name); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v, want ErrName", name, err)
		}
		if _, err := s.Read(name); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v, want ErrName", name, err)
		}
	}
	for _, name := range []string{"../../etc/passwd", "a/b", ".", "-", "日本語", "x y", strings.Repeat("x", 64)} {
		must(t, create(t, s, name).Close())
		if dir, _ := strings.CutPrefix(s.path(name), "/home/sessions/"); strings.ContainsAny(dir, "/\\") || len(dir) != 36 {
			t.Errorf("%q is stored in %q", name, dir)
		}
	}
}

func TestSessionsListOpenRemove(t *testing.T) {
	m := memfs.New()
	s := testSessions(m)
	if list, err := s.List(); err != nil || len(list) != 0 {
		t.Fatalf("empty home: %v, %v", list, err)
	}
	for _, name := range []string{"a", "b", "c"} {
		journalOf(t, m, name, 1)
	}
	j, _, err := s.Open("a")
	must(t, err)
	must(t, j.Turn("user", "later", nil))
	if _, _, err := s.Open("a"); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("second open: %v", err)
	}
	if err := s.Remove("a"); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("remove of an open one: %v", err)
	}
	must(t, j.Close())
	m.Put("/home/sessions/00000000000000000000000000000000.kvj", bytes.Repeat([]byte("junk"), journalExtent))
	m.Put("/home/sessions/22222222222222222222222222222222.kvj", nil) // somebody died before there was a record
	m.Put("/home/sessions/11111111111111111111111111111111.kvj", m.Bytes(s.path("b")))
	list, err := s.List()
	must(t, err)
	names, bad := []string{}, 0
	for _, info := range list {
		if info.Err != nil {
			bad++
			continue
		}
		names = append(names, info.Name)
	}
	if !slices.Equal(names, []string{"a", "c", "b"}) || bad != 2 {
		t.Errorf("list %v, %d unreadable", names, bad)
	}
	if _, err := s.Create("a"); !errors.Is(err, ErrExists) {
		t.Errorf("create again: %v", err)
	}
	content := m.Bytes(s.path("b"))
	must(t, s.Remove("b"))
	if !bytes.Equal(content, make([]byte, len(content))) {
		t.Error("a removed journal was not overwritten")
	}
	for _, err := range []error{s.Remove("b"), func() error { _, err := s.Read("b"); return err }()} {
		if !errors.Is(err, ErrNoSession) {
			t.Errorf("after removal: %v", err)
		}
	}
	must(t, create(t, s, "b").Close())
}

// A session that could not be made is made by the next attempt, also when the removal of what was begun is lost.
func TestCreateAfterAFailedCreate(t *testing.T) {
	for _, kind := range []memfs.Kind{memfs.Write, memfs.Fdatasync, memfs.SyncDir} {
		m := memfs.New()
		failed := false
		m.Fault = func(op memfs.Op) error {
			if op.Kind == kind && !failed && !strings.HasSuffix(op.Path, "ballast") {
				failed = true
				return errDisk
			}
			return nil
		}
		if _, err := testSessions(m).Create("s"); !errors.Is(err, errDisk) {
			t.Fatalf("%s fails: %v", kind, err)
		}
		d := crashfs.NewDisk(nil)
		for _, op := range m.Ops() {
			d.Apply(op)
		}
		for c := range d.Choices(crashfs.Plan{Exhaustive: 1000, Stale: 3}, 0, map[uint64]bool{}, rand.New(rand.NewPCG(1, 1))) {
			s := testSessions(d.Image(c))
			if _, err := s.Create("s"); err != nil {
				t.Errorf("%s failed: %v; %s", kind, err, d.Describe(c))
			}
		}
	}
}

// A process that dies in Create leaves a file that stands in nobody's way.
func TestCreateAfterCrashInCreate(t *testing.T) {
	m := memfs.New()
	must(t, create(t, testSessions(m), "s").Close())
	ops := m.Ops()
	for cut := range len(ops) {
		for variant := range 3 {
			image := crashfs.Replay(ops, cut, func(op int, page int64) bool { return variant == 0 || variant == 1 && op%2 == 0 })
			s := testSessions(image)
			j, _, err := s.Open("s")
			if err != nil {
				j, err = s.Create("s")
			}
			if err != nil {
				t.Fatalf("cut after call %d (%s), variant %d: %v", cut, ops[max(cut-1, 0)].Kind, variant, err)
			}
			must(t, j.Turn("user", "hello", nil))
			must(t, j.Close())
			if c := read(t, s, "s"); len(c.Turns) != 1 {
				t.Fatalf("cut after call %d: %d turns", cut, len(c.Turns))
			}
		}
	}
}

func TestTokensAllocateNothing(t *testing.T) {
	m := memfs.New()
	s := NewSessions(nullFS{m}, "/home")
	j := create(t, s, "s")
	ids, text, state := []int32{5}, []byte("word"), make([]byte, 40)
	must(t, j.Tokens(ids, text, state))
	if n := testing.AllocsPerRun(2000, func() { must(t, j.Tokens(ids, text, state)) }); n != 0 {
		t.Errorf("%v allocations per token", n)
	}
}

// nullFS swallows writes to files, so that only the journal's own allocations are counted.
type nullFS struct{ *memfs.FS }

type nullFile struct{ vfs.File }

func (n nullFS) OpenFile(path string, flag vfs.Flag) (vfs.File, error) {
	f, err := n.FS.OpenFile(path, flag)
	return nullFile{f}, err
}

func (nullFile) WriteAt(p []byte, off int64) (int, error) { return len(p), nil }

// Rule J3: what lies behind the last record when a journal is opened is gone before anything is appended.
func TestOpenClearsWhatLiesBehindTheRecords(t *testing.T) {
	m := memfs.New()
	path := journalOf(t, m, "s", 1)
	s := testSessions(m)
	end := read(t, s, "s").end
	b := m.Bytes(path)
	copy(b[end+40:], "the rest of a record whose beginning was lost")
	b[len(b)-1] = 1
	j, _, err := s.Open("s")
	must(t, err)
	must(t, j.Close())
	if rest := m.Bytes(path)[end:]; !bytes.Equal(rest, make([]byte, len(rest))) {
		t.Error("bytes behind the last record survive opening")
	}
}
