package kvcache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
)

// quotedThings makes a session whose first turn has ids that look like the heads of many long records, and twenty turns behind it.
// It returns the journal's file and where the second turn begins.
func quotedThings(t *testing.T, fsys vfs.FS) (path string, second int64) {
	t.Helper()
	s := testSessions(fsys)
	j := create(t, s, "s")
	ids := make([]int32, 1200)
	for i := range ids {
		ids[i] = []int32{1, 65536}[i%2] // every eighth byte a length and a seq of 65537
	}
	must(t, j.Turn("user", "things in quotation marks", ids))
	second = j.end
	for i := range 20 {
		must(t, j.Turn("user", fmt.Sprint(i, strings.Repeat(" precious", 1000)), tokens(1000, 2)))
	}
	must(t, j.Close())
	return s.path("s"), second
}

// Ids that look like records do not hide the records behind them: a seq with which more records would be missing than the gap has room
// for costs nothing.
func TestJournalSearchPassesWhatLooksLikeRecords(t *testing.T) {
	m := memfs.New()
	path, second := quotedThings(t, m)
	m.Bytes(path)[second-20] ^= 1
	c := read(t, testSessions(m), "s")
	if len(c.Turns) != 20 || !c.Damaged || len(c.Gaps) != 1 || c.Sound != 0 {
		t.Fatalf("%d turns of 20, damaged %v, gaps %v, %d sound", len(c.Turns), c.Damaged, c.Gaps, c.Sound)
	}
}

// likeRecords fills b with heads of records that could follow seq last, each as long as half of b at least.
func likeRecords(b []byte, last uint64) {
	le := binary.LittleEndian
	for off := 0; off+24 <= len(b); off += 24 {
		le.PutUint32(b[off:], uint32(len(b)))
		le.PutUint64(b[off+8:], last+1)
		b[off+16] = recUser
	}
}

// A search that is given up says so, and what it did not find is not overwritten: the session is not opened any more, but read, forked
// and removed.
func TestJournalSearchThatIsGivenUp(t *testing.T) {
	home := t.TempDir()
	fsys := vfs.OS()
	s := NewSessions(fsys, home)
	j := create(t, s, "s")
	must(t, j.Turn("user", "sound", []int32{1}))
	first := j.end
	must(t, j.Turn("user", strings.Repeat("x", 100_000), nil))
	second := j.end
	for range 20 {
		must(t, j.Turn("user", strings.Repeat("precious ", 100), tokens(100, 2)))
	}
	must(t, j.Close())
	path := s.path("s")
	b, err := os.ReadFile(path)
	must(t, err)
	likeRecords(b[first:second], 3)
	must(t, os.WriteFile(path, b, 0o600))

	c := read(t, s, "s")
	if len(c.Turns) != 1 || !c.Damaged || c.Sound != 1 || len(c.Gaps) != 1 || c.Gaps[0] != (Gap{first, int64(len(b)) - first, 2, 0}) {
		t.Fatalf("%d turns, damaged %v, %d sound, gaps %+v", len(c.Turns), c.Damaged, c.Sound, c.Gaps)
	}
	if _, _, err := s.Open("s"); !errors.Is(err, ErrJournal) {
		t.Errorf("opening gives %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, b) {
		t.Errorf("opening has changed the file: %v", err)
	}
	checked, err := Check(fsys, home, CheckOptions{})
	must(t, err)
	if len(checked.Findings) != 1 || !strings.Contains(checked.Findings[0].Lost, "records from 3 on") {
		t.Errorf("check finds %+v", checked.Findings)
	}
	must(t, s.Fork(c, "f", 1))
	if f := read(t, s, "f"); f.Damaged || len(f.Turns) != 1 {
		t.Errorf("the fork holds %+v", f)
	}
	must(t, s.Remove("s"))
	if _, err := s.Read("s"); !errors.Is(err, ErrNoSession) {
		t.Errorf("after its removal: %v", err)
	}
	must(t, os.WriteFile(path, b, 0o600))
	v := checkers(t, []string{home})[0].Journals[filepath.Base(path)]
	if v.Gaps != 1 || v.Turns != 1 || !v.Damaged {
		t.Errorf("kvcheck.py says %+v", v)
	}
}
