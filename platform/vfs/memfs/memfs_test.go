package memfs

import (
	"bytes"
	"slices"
	"testing"

	"kvasir/platform/vfs"
)

func write(t *testing.T, f vfs.File, off int64, data string) {
	t.Helper()
	if _, err := f.WriteAt([]byte(data), off); err != nil {
		t.Fatal(err)
	}
}

// A replay that keeps everything is the file system itself; one that keeps nothing holds what was synced, and only that.
func TestReplay(t *testing.T) {
	m := New()
	if err := m.MkdirAll("/d"); err != nil {
		t.Fatal(err)
	}
	f, err := m.OpenFile("/d/a", vfs.Write|vfs.Create)
	if err != nil {
		t.Fatal(err)
	}
	write(t, f, 0, "synced")
	if err := f.Fdatasync(); err != nil {
		t.Fatal(err)
	}
	if err := m.Rename("/d/a", "/d/b"); err != nil {
		t.Fatal(err)
	}
	if err := m.SyncDir("/d"); err != nil {
		t.Fatal(err)
	}
	write(t, f, 3, "CHANGED")
	if err := f.Fallocate(0, 9000); err != nil {
		t.Fatal(err)
	}
	write(t, f, 4090, "across a page")
	if _, err := m.OpenFile("/d/new", vfs.Write|vfs.Create); err != nil {
		t.Fatal(err)
	}
	ops := m.Ops()

	all := Replay(ops, len(ops), nil)
	if !slices.Equal(all.Files(), m.Files()) || !bytes.Equal(all.Bytes("/d/b"), m.Bytes("/d/b")) {
		t.Errorf("killed: %v, %q", all.Files(), bytes.TrimRight(all.Bytes("/d/b"), "\x00"))
	}
	none := Replay(ops, len(ops), func(int, int64) bool { return false })
	if !slices.Equal(none.Files(), []string{"/d/b"}) || string(none.Bytes("/d/b")) != "synced" {
		t.Errorf("power cut: %v, %q", none.Files(), none.Bytes("/d/b"))
	}
	second := Replay(ops, len(ops), func(op int, page int64) bool { return page == 1 })
	if b := second.Bytes("/d/b"); string(b[:6]) != "synced" || string(b[4096:]) != " a page" {
		t.Errorf("second page only: %q", b)
	}
}
