package crashfs

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
)

var errDisk = errors.New("injected disk error")

// run is a recorded run whose Disk follows every call.
type run struct {
	t *testing.T
	*memfs.FS
	d *Disk
}

func newRun(t *testing.T) *run {
	r := &run{t, memfs.New(), NewDisk(nil)}
	r.must(r.MkdirAll("/d"))
	return r
}

func (r *run) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *run) open(path string) vfs.File {
	r.t.Helper()
	f, err := r.OpenFile(path, vfs.Write|vfs.Create)
	r.must(err)
	return f
}

func (r *run) write(f vfs.File, off int64, data string) {
	r.t.Helper()
	_, err := f.WriteAt([]byte(data), off)
	r.must(err)
}

// disk brings the Disk up to the last call.
func (r *run) disk() *Disk {
	for _, op := range r.Ops()[r.d.Ops():] {
		r.d.Apply(op)
	}
	return r.d
}

// contents lists what the images of the choices hold, by path, each once.
func (r *run) contents(plan Plan, path string) []string {
	d, out := r.disk(), map[string]int{}
	for c := range d.Choices(plan, 0, map[uint64]bool{}, rand.New(rand.NewPCG(1, 2))) {
		m := d.Image(c)
		text := "absent"
		if slices.Contains(m.Files(), path) {
			text = string(bytes.TrimRight(m.Bytes(path), "\x00"))
		}
		out[text]++
	}
	return sortedKeys(out)
}

// A replay that keeps everything is the file system itself; one that keeps nothing holds what was synced, and only that.
func TestReplay(t *testing.T) {
	r := newRun(t)
	f := r.open("/d/a")
	r.write(f, 0, "synced")
	r.must(f.Fdatasync())
	r.must(r.Rename("/d/a", "/d/b"))
	r.must(r.SyncDir("/d"))
	r.write(f, 3, "CHANGED")
	r.must(f.Fallocate(0, 9000))
	r.write(f, 4090, "across a page")
	r.open("/d/new")
	ops := r.Ops()

	all := Replay(ops, len(ops), nil)
	if !slices.Equal(all.Files(), r.Files()) || !bytes.Equal(all.Bytes("/d/b"), r.Bytes("/d/b")) {
		t.Errorf("killed: %v, %q", all.Files(), bytes.TrimRight(all.Bytes("/d/b"), "\x00"))
	}
	none := Replay(ops, len(ops), func(int, int64) bool { return false })
	if !slices.Equal(none.Files(), []string{"/d/b"}) || string(none.Bytes("/d/b")) != "synced" {
		t.Errorf("power cut: %v, %q", none.Files(), none.Bytes("/d/b"))
	}
	second := Replay(ops, len(ops), func(op int, page int64) bool { return page != 0 })
	if b := second.Bytes("/d/b"); string(b[:6]) != "synced" || string(bytes.TrimRight(b[4096:], "\x00")) != " a page" || len(b) != 9000 {
		t.Errorf("second page only: %q", b)
	}
}

// Pages are kept and lost independently, in any version since the last sync and never one before it.
func TestPageVersions(t *testing.T) {
	r := newRun(t)
	f := r.open("/d/a")
	r.must(r.SyncDir("/d"))
	r.write(f, 0, "old")
	r.must(f.Fdatasync())
	r.write(f, 0, "one")
	r.write(f, 0, "two")
	if got, want := r.contents(Plan{Exhaustive: 16}, "/d/a"), []string{"old", "one", "two"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	r.must(f.Fdatasync())
	if got, want := r.contents(Plan{Exhaustive: 16}, "/d/a"), []string{"two"}; !slices.Equal(got, want) {
		t.Errorf("synced: got %q, want %q", got, want)
	}
}

// Two pages and a length that were not synced, and a torn page: each in both states, sectors of 512 bytes apart.
func TestTornAndReordered(t *testing.T) {
	r := newRun(t)
	f := r.open("/d/a")
	r.must(f.Fallocate(0, 8192))
	r.must(f.Fdatasync())
	r.must(r.SyncDir("/d"))
	r.write(f, 0, "a")
	r.write(f, 4096, "b")
	gap := string(make([]byte, 4095))
	if got, want := r.contents(Plan{Exhaustive: 16}, "/d/a"), []string{"", gap + "\x00b", "a", "a" + gap + "b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	r.must(f.Fdatasync())
	old := bytes.Repeat([]byte{1}, 1024)
	r.write(f, 0, string(old))
	r.must(f.Fdatasync())
	r.write(f, 0, string(bytes.Repeat([]byte{2}, 1024)))
	seen := map[string]bool{}
	d := r.disk()
	for c := range d.Choices(Plan{Torn: 200}, 0, map[uint64]bool{}, rand.New(rand.NewPCG(1, 2))) {
		b := d.Image(c).Bytes("/d/a")
		for i := range b[:1024] {
			if b[i] != b[i/512*512] {
				t.Fatalf("%s: a sector is torn: byte %d is %d", c.Name, i, b[i])
			}
		}
		seen[fmt.Sprint(b[0], b[512])] = true
	}
	if len(seen) != 4 {
		t.Errorf("of two sectors these states were seen: %v", seen)
	}
}

// A name that was not synced is there or not, a file moved there whole or not at all, and a removed one may come back.
func TestDirectoryEntries(t *testing.T) {
	r := newRun(t)
	f := r.open("/d/tmp")
	r.write(f, 0, "x")
	r.must(f.Fdatasync())
	if got, want := r.contents(Plan{Exhaustive: 16}, "/d/tmp"), []string{"absent", "x"}; !slices.Equal(got, want) {
		t.Errorf("made: got %q, want %q", got, want)
	}
	r.must(r.MkdirAll("/e"))
	r.must(r.Rename("/d/tmp", "/e/b"))
	if got, want := r.contents(Plan{Exhaustive: 16}, "/e/b"), []string{"absent", "x"}; !slices.Equal(got, want) {
		t.Errorf("moved: got %q, want %q", got, want)
	}
	r.must(r.SyncDir("/e"))
	if got, want := r.contents(Plan{Exhaustive: 16}, "/e/b"), []string{"x"}; !slices.Equal(got, want) {
		t.Errorf("moved and synced: got %q, want %q", got, want)
	}
	if got, want := r.contents(Plan{Exhaustive: 16}, "/d/tmp"), []string{"absent"}; !slices.Equal(got, want) {
		t.Errorf("under the old name: got %q, want %q", got, want)
	}
	r.must(r.Remove("/e/b"))
	if got, want := r.contents(Plan{Exhaustive: 16}, "/e/b"), []string{"absent", "x"}; !slices.Equal(got, want) {
		t.Errorf("removed: got %q, want %q", got, want)
	}
}

// After a failed sync the next one that succeeds proves nothing about what was written before the first.
func TestFailedSync(t *testing.T) {
	r := newRun(t)
	f := r.open("/d/a")
	r.must(r.SyncDir("/d"))
	r.write(f, 0, "a")
	r.must(f.Fdatasync())
	r.write(f, 0, "b")
	fail := true
	r.Fault = func(op memfs.Op) error {
		if op.Kind == memfs.Fdatasync && fail {
			fail = false
			return errDisk
		}
		return nil
	}
	if err := f.Fdatasync(); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	r.must(f.Fdatasync())
	if got, want := r.contents(Plan{Exhaustive: 16}, "/d/a"), []string{"a", "b"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	r.write(f, 1, "c") // dirty again: the whole page goes out
	r.must(f.Fdatasync())
	if got, want := r.contents(Plan{Exhaustive: 16}, "/d/a"), []string{"bc"}; !slices.Equal(got, want) {
		t.Errorf("written again: got %q, want %q", got, want)
	}
}

// Allocated space that nothing was written to may hold anything; what was written and synced never changes.
func TestStaleSpace(t *testing.T) {
	r := newRun(t)
	for i, path := range []string{"/d/1.x", "/d/2.x"} {
		f := r.open(path)
		r.must(f.Fallocate(0, 8192))
		if i == 0 {
			r.write(f, 4096, "earlier")
		}
		r.write(f, 0, "written")
		r.must(f.Fdatasync())
	}
	r.must(r.SyncDir("/d"))
	kinds := map[string]bool{}
	d := r.disk()
	for c := range d.Choices(Plan{Stale: 2}, 0, map[uint64]bool{}, rand.New(rand.NewPCG(1, 2))) {
		b := d.Image(c).Bytes("/d/2.x")
		if string(b[:7]) != "written" {
			t.Fatalf("%s: what was synced is %q", c.Name, b[:7])
		}
		kinds[string(b[4096:4103])] = true
	}
	if len(kinds) != 3 || !kinds["earlier"] || !kinds["\x00\x00\x00\x00\x00\x00\x00"] {
		t.Errorf("space that was not written holds %q", sortedKeys(kinds))
	}
}

// A hole comes and goes like any page, and what it frees is not taken for allocated.
func TestHoles(t *testing.T) {
	r := newRun(t)
	f := r.open("/d/a")
	r.must(r.SyncDir("/d"))
	r.write(f, 0, string(bytes.Repeat([]byte{'x'}, 2*pageBytes)))
	r.must(f.Fdatasync())
	states := func() []string {
		d, out := r.disk(), map[string]bool{}
		for c := range d.Choices(Plan{Exhaustive: 16}, 0, map[uint64]bool{}, rand.New(rand.NewPCG(1, 2))) {
			m := d.Image(c)
			info, err := m.Stat("/d/a")
			r.must(err)
			out[fmt.Sprint(info.Allocated/pageBytes, " pages, ", bytes.Count(m.Bytes("/d/a"), []byte{'x'}))] = true
		}
		return sortedKeys(out)
	}
	r.must(f.Punch(pageBytes, pageBytes))
	if got, want := states(), []string{"1 pages, 4096", "2 pages, 8192"}; !slices.Equal(got, want) {
		t.Errorf("punched: %q, want %q", got, want)
	}
	r.must(f.Fdatasync())
	if got, want := states(), []string{"1 pages, 4096"}; !slices.Equal(got, want) {
		t.Errorf("synced: %q, want %q", got, want)
	}
	r.must(f.Fallocate(0, 2*pageBytes))
	if got, want := states(), []string{"1 pages, 4096", "2 pages, 4096"}; !slices.Equal(got, want) {
		t.Errorf("allocated again: %q, want %q", got, want)
	}
	r.write(f, pageBytes, "yy")
	if got, want := NewDisk(r.FS).Image(NewDisk(r.FS).Newest()).Bytes("/d/a"), r.Bytes("/d/a"); !bytes.Equal(got, want) {
		t.Error("a disk made from a file with holes holds something else")
	}
}

// A process may die in the middle of a write: what it had copied is there, from the front.
func TestStoppedWrite(t *testing.T) {
	r := newRun(t)
	f := r.open("/d/a")
	r.write(f, 0, string(bytes.Repeat([]byte{'x'}, 3*4096)))
	lengths := map[int]bool{}
	d := r.disk()
	for c := range d.Choices(Plan{}, 0, map[uint64]bool{}, rand.New(rand.NewPCG(1, 2))) {
		if c.Kill {
			b := d.Image(c).Bytes("/d/a")
			lengths[len(b)] = true
			if len(b) != bytes.Count(b, []byte{'x'}) {
				t.Errorf("%s: holes in %d bytes", c.Name, len(b))
			}
		}
	}
	if len(lengths) != 3 {
		t.Errorf("lengths seen: %v", lengths)
	}
}

// An image is a file system of its own: what is written to it shows neither in another image nor in the run.
func TestImagesAreIndependent(t *testing.T) {
	r := newRun(t)
	f := r.open("/d/a")
	r.write(f, 0, "shared")
	r.must(f.Fdatasync())
	r.must(r.SyncDir("/d"))
	d := r.disk()
	var pool memfs.Pool
	for mapped := range 2 {
		one, two := d.Image(d.Newest()), d.Image(d.Newest())
		one.UsePool(&pool)
		g, err := one.OpenFile("/d/a", vfs.Write)
		r.must(err)
		if mapped == 1 {
			_, err := g.Map(6)
			r.must(err)
		}
		r.write(g, 0, "CHANGED AND LONGER")
		r.must(g.Punch(2, 3))
		r.must(g.Truncate(10))
		b := make([]byte, 10)
		if n, err := g.ReadAt(b, 0); n != 10 || string(b) != "CH\x00\x00\x00ED AN" {
			t.Errorf("written image: %q, %v", b, err)
		}
		if got := string(two.Bytes("/d/a")); got != "shared" {
			t.Errorf("other image: %q", got)
		}
		if got := string(r.Bytes("/d/a")); got != "shared" {
			t.Errorf("run: %q", got)
		}
		pool.Reclaim()
	}
}

// A Disk made from a file system goes on from it.
func TestDiskFromBase(t *testing.T) {
	r := newRun(t)
	r.write(r.open("/d/a"), 0, "base")
	d := NewDisk(r.FS)
	c := d.Newest()
	if m := d.Image(c); string(m.Bytes("/d/a")) != "base" || len(m.Files()) != 1 {
		t.Errorf("image of the base: %v %q", m.Files(), m.Bytes("/d/a"))
	}
}
