package kvcache

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
)

// checkedHome is a home with two models, a session, a pin and all files beside them.
func checkedHome(t testing.TB) (m *memfs.FS, kept []int32) {
	t.Helper()
	m = memfs.New()
	opt := testOptions()
	store, n := openStore(t, m, opt)
	s := testSessions(m)
	talk(t, s, n, "a", tokens(150, 1), tokens(100, 2))
	kept = join(tokens(150, 1), tokens(100, 2))
	if _, err := n.Pin(SessionPin("a"), kept); err != nil {
		t.Fatal(err)
	}
	must(t, store.Close())
	storePaths(t, m, opt, 2, tokens(70, 3))
	return m, kept
}

// A store that was closed is clean, and stays as it is; what is not of this version is left alone and no damage.
func TestCheckOfACleanHome(t *testing.T) {
	if c, err := Check(memfs.New(), "/home", CheckOptions{}); err != nil || c.Files != 0 || len(c.Findings) != 0 {
		t.Errorf("of nothing: %+v, %v", c, err)
	}
	m, kept := checkedHome(t)
	before := m.Calls()
	c, err := Check(m, "/home", CheckOptions{})
	must(t, err)
	if c.Damaged() != 0 || len(c.Findings) != 0 || c.Blocks != len(kept)/64+1+2 || c.Sessions != 1 || c.Files != 2+2+2+1+1+1 || m.Calls() != before {
		t.Errorf("%+v", c)
	}
	m.Put("/home/kv/v1/m-0123456789abcdef/what", []byte("x"))
	m.Put("/home/kv/v1/note.txt", []byte("x"))
	m.Put("/home/tmp/m-x-kv-000001.seg", []byte("x"))
	c, err = Check(m, "/home", CheckOptions{})
	must(t, err)
	if c.Damaged() != 0 || len(c.Findings) != 2 { // a directory that memfs has only as part of a name is none
		t.Errorf("%+v", c)
	}
}

// Every kind of damage is found, named by file and by what is lost, and changes nothing.
func TestCheckFindsDamage(t *testing.T) {
	dir := "/home/kv/v1/" + filepath.Base(filepath.Dir(segmentPath(t, first(checkedHome(t)))))
	lay, count := toyLayout(t)
	seg := dir + "/kv-000001.seg"
	if namespaceDir(namespaceID(toyPrint, lay.recipeHash)) != filepath.Base(dir) {
		seg = "/home/kv/v1/" + namespaceDir(namespaceID(toyPrint, lay.recipeHash)) + "/kv-000001.seg"
		dir = filepath.Dir(seg)
	}
	for _, c := range []struct {
		name   string
		damage func(m *memfs.FS)
		file   string
		lost   string
	}{
		{"META", func(m *memfs.FS) { m.Bytes(dir + "/META")[30] ^= 1 }, "META", "all of"},
		{"first superblock", func(m *memfs.FS) { m.Bytes(seg)[100] ^= 1 }, "kv-000001.seg", "superblock 1"},
		{"second superblock", func(m *memfs.FS) { m.Bytes(seg)[superblockCopy+300] ^= 1 }, "kv-000001.seg", "superblock 2"},
		{"both superblocks", func(m *memfs.FS) { m.Bytes(seg)[0] ^= 1; m.Bytes(seg)[superblockCopy] ^= 1 }, "kv-000001.seg", "the file"},
		{"size", func(m *memfs.FS) { m.Put(seg, m.Bytes(seg)[:1<<20]) }, "kv-000001.seg", "the file"},
		{"header", func(m *memfs.FS) { m.Bytes(seg)[headerTableOff+headerBytes+200] ^= 1 }, "kv-000001.seg", "slot 1"},
		{"unused header", func(m *memfs.FS) { m.Bytes(seg)[headerTableOff+50*headerBytes] ^= 1 }, "kv-000001.seg", "slot 50"},
		{"payload", func(m *memfs.FS) { m.Bytes(seg)[slotAt(lay, count, 0)+77] ^= 1 }, "kv-000001.seg", "slot 0: tokens 0 to 63 of a path, and the"},
		{"tail", func(m *memfs.FS) { m.Bytes(seg)[slotAt(lay, count, len(tailSlot(m, seg)))] ^= 1 }, "kv-000001.seg", "tokens 192 to"},
		{"lru", func(m *memfs.FS) { m.Bytes(dir + "/lru")[20] ^= 1 }, "lru", "order"},
		{"pins", func(m *memfs.FS) { m.Bytes(dir + "/pins")[60] ^= 1 }, "pins", "pins"},
		{"count", func(m *memfs.FS) { m.Bytes("/home/kv/v1/written")[40] ^= 1 }, "written", "count"},
		{"journal", func(m *memfs.FS) { m.Bytes(testSessions(m).path("a"))[recordsOff+100] ^= 1 }, ".kvj", "records"},
		{"journal head", func(m *memfs.FS) { clear(m.Bytes(testSessions(m).path("a"))[:recordsOff]) }, ".kvj", "the session"},
	} {
		m, _ := checkedHome(t)
		c.damage(m)
		before := m.Calls()
		got, err := Check(m, "/home", CheckOptions{})
		must(t, err)
		found := slices.ContainsFunc(got.Findings, func(f Finding) bool {
			return f.Damage && strings.HasSuffix(f.File, c.file) && strings.Contains(f.Lost, c.lost) && f.Why != nil
		})
		if !found || got.Damaged() == 0 || m.Calls() != before {
			t.Errorf("%s: %+v", c.name, got.Findings)
		}
	}
}

func first(m *memfs.FS, _ []int32) *memfs.FS { return m }

// tailSlot has as many elements as the number of the slot of the PACKED block that belongs to the session's end.
func tailSlot(m *memfs.FS, seg string) []byte {
	b := m.Bytes(seg)
	for slot := range 64 {
		h := b[headerTableOff+slot*headerBytes:]
		if h[10] == kindPacked && h[36] == 192 {
			return make([]byte, slot)
		}
	}
	return nil
}

// What check calls sound, the store finds: for any flipped bits in a store, a path without a finding is there as a whole.
func TestCheckAgreesWithTheStore(t *testing.T) {
	ids := tokens(64*5+30, 1)
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		m := memfs.New()
		storePaths(t, m, testOptions(), 0, ids)
		b := m.Bytes(segmentPath(t, m))
		lay, count := toyLayout(t)
		at := r.IntN(headerTableOff + 6*headerBytes)
		if r.IntN(2) == 0 {
			at = slotAt(lay, count, 0) + r.IntN(6*lay.slotBytes)
		}
		b[at] ^= 1 << r.IntN(8)
		c, err := Check(m, "/home", CheckOptions{})
		must(t, err)
		got := found(t, m, testOptions(), 0, ids)
		harmless := func(f Finding) bool {
			return strings.HasPrefix(f.Lost, "superblock") || errors.Is(f.Why, errWindowsOnly)
		}
		switch {
		case c.Damaged() == 0 && got != len(ids), c.Damaged() > 0 && !slices.ContainsFunc(c.Findings, harmless) && got == len(ids):
			t.Errorf("seed %d, byte %d: %d of %d tokens are found, findings %+v", seed, at, got, len(ids), c.Findings)
		}
	}
}

// A block that the writing process is just replacing is no damage.
func TestCheckBesideAWriter(t *testing.T) {
	m := memfs.New()
	opt := testOptions()
	s, n := openStore(t, m, opt)
	stop := make(chan error)
	go func() {
		for i := int32(0); ; i++ {
			select {
			case <-stop:
				stop <- nil
				return
			default:
			}
			q := n.NewSequence(nil)
			compute(t, q, tokens(64*2+9, i%40), 64)
			_ = q.Flush()
			_ = q.Close()
		}
	}()
	for range 20 {
		c, err := Check(m, "/home", CheckOptions{Busy: true})
		if err != nil || c.Damaged() != 0 {
			t.Errorf("%+v, %v", c, err)
		}
	}
	stop <- nil
	<-stop
	must(t, s.Close())
}

// Progress may end a check.
func TestCheckCanBeEnded(t *testing.T) {
	m, _ := checkedHome(t)
	calls := 0
	_, err := Check(m, "/home", CheckOptions{Progress: func(done, total int64) error {
		if calls++; calls == 2 {
			return errDisk
		}
		if done > total {
			t.Errorf("%d of %d", done, total)
		}
		return nil
	}})
	if !errors.Is(err, errDisk) {
		t.Error(err)
	}
}

// Collect removes what the bounds and uselessness ask for, tells what, and a dry run changes nothing and says the same.
func TestCollect(t *testing.T) {
	opt := ticking(testOptions())
	build := func() *memfs.FS {
		m := memfs.New()
		lay, count := toyLayout(t)
		storePaths(t, m, opt, 0, tokens(count*64, 1))
		storePaths(t, m, opt, 1, tokens(count*64+64, 2)) // two segments
		storePaths(t, m, opt, 2, tokens(64, 3))
		path := filepath.Join("/home/kv/v1", namespaceDir(namespaceID(toyModels[0].fp, lay.recipeHash)))
		m.Put("/home/tmp/m-left-kv-000001.seg", make([]byte, 1000))
		m.Put(path+"/kv-000077.seg", make([]byte, 2000)) // cut short by somebody
		must(t, m.MkdirAll("/home/kv/v1/m-0000000000000001"))
		m.Put("/home/kv/v1/m-0000000000000001/META", []byte("nonsense"))
		m.Put("/home/kv/v1/m-0000000000000001/kv-000001.seg", make([]byte, 3000))
		must(t, m.MkdirAll("/home/kv/v1/m-0000000000000002"))
		m.Put("/home/kv/v1/m-0000000000000002/META", append([]byte(metaMagic), make([]byte, 100)...)) // major 0
		m.Put("/home/kv/v1/m-0000000000000002/kv-000001.seg", make([]byte, 3000))
		return m
	}
	lay, count := toyLayout(t)
	opt.MaxBytes = 20 << 20
	m := build()
	files := m.Files()
	dry, err := Collect(m, "/home", opt, true)
	must(t, err)
	if !slices.Equal(m.Files(), files) {
		t.Error("a dry run changed something")
	}
	// In bounds: only what is useless goes.
	wet, err := Collect(m, "/home", opt, false)
	must(t, err)
	if !slices.Equal(wet.Files, dry.Files) || wet.Bytes != dry.Bytes || wet.Used != dry.Used || wet.Bytes != 1000+2000+3000+8 || wet.Evicted.Segments != 0 || len(wet.Kept) != 1 {
		t.Errorf("%+v\ndry %+v", wet, dry)
	}
	for _, f := range m.Files() {
		if strings.Contains(f, "/tmp/") || strings.Contains(f, "000077") || strings.Contains(f, "m-0000000000000001") {
			t.Errorf("%s is left", f)
		}
	}
	if again, err := Collect(m, "/home", opt, false); err != nil || again.Bytes != 0 || len(again.Files) != 0 {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	// Over the cap: the oldest segments go, the file of another version counts and stays.
	opt.MaxBytes = segmentBytes(lay, count) + 9<<20
	dry, err = Collect(m, "/home", opt, true)
	must(t, err)
	wet, err = Collect(m, "/home", opt, false)
	must(t, err)
	if wet.Evicted != dry.Evicted || wet.Used != dry.Used || wet.Used > opt.MaxBytes || wet.Evicted.Segments == 0 || wet.Evicted.Blocks < count {
		t.Errorf("%+v\ndry %+v", wet, dry)
	}
	if got := found(t, m, opt, 0, tokens(count*64, 1)); got != 0 {
		t.Errorf("%d tokens left of the oldest", got)
	}
	if got := found(t, m, opt, 2, tokens(64, 3)); got != 64 {
		t.Errorf("%d tokens left of the youngest", got)
	}
	// With no room at all nothing is left but what is not ours.
	opt.MaxBytes = -1
	if c, err := Collect(m, "/home", opt, false); err != nil || c.Used != 3000 {
		t.Errorf("%+v, %v", c, err)
	}
}

// Beside a process that has the store, only a dry run is possible.
func TestCollectNeedsTheLock(t *testing.T) {
	m := memfs.New()
	s, n := openStore(t, m, testOptions())
	q := n.NewSequence(nil)
	compute(t, q, tokens(64, 1), 64)
	if _, err := Collect(m, "/home", testOptions(), false); !errors.Is(err, vfs.ErrLocked) {
		t.Error(err)
	}
	if c, err := Collect(m, "/home", testOptions(), true); err != nil || c.Used == 0 {
		t.Errorf("%+v, %v", c, err)
	}
	closeAll(t, s, q)
	m.ReadOnly = true
	if _, err := Collect(m, "/home", testOptions(), false); !errors.Is(err, vfs.ErrReadOnly) {
		t.Error(err)
	}
}
