package kvcache

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kvasir/platform/vfs/memfs"
)

// leftovers returns the files of unfinished journals.
func leftovers(m *memfs.FS) []string {
	return slices.DeleteFunc(m.Files(), func(p string) bool { return !strings.HasSuffix(p, unfinishedSuffix) })
}

// A session whose text cannot be overwritten is removed, the error says where the text is, and the next removal does away with it.
func TestRemovedSessionWhoseTextStays(t *testing.T) {
	for _, kind := range []memfs.Kind{memfs.Write, memfs.Fdatasync, memfs.SyncDir, memfs.Remove} {
		m := memfs.New()
		s, _ := openStore(t, m, testOptions())
		sessions := testSessions(m)
		must(t, create(t, sessions, "a").Close())
		must(t, create(t, sessions, "b").Close())
		m.Fault = func(op memfs.Op) error {
			if op.Kind == kind && strings.Contains(op.Path, "/sessions") {
				return errDisk
			}
			return nil
		}
		_, err := sessions.RemoveRows("a", s)
		left := leftovers(m)
		if len(left) != 1 || !errors.Is(err, errDisk) || !strings.Contains(err.Error(), filepath.Base(left[0])) {
			t.Fatalf("%v fails: %v; left is %q", kind, err, left)
		}
		m.Fault = nil
		if _, err := sessions.RemoveRows("a", s); !errors.Is(err, ErrNoSession) || len(leftovers(m)) > 0 {
			t.Errorf("%v failed: removed once more: %v; left is %q", kind, err, leftovers(m))
		}
		if _, err := sessions.Read("b"); err != nil {
			t.Errorf("%v failed: another session: %v", kind, err)
		}
		must(t, s.Close())
	}
}

// A fork that fails is not there, whichever call failed, and can be made again.
func TestForkThatFailsIsNotThere(t *testing.T) {
	base := memfs.New()
	s := testSessions(base)
	j := create(t, s, "a")
	must(t, j.Turn("user", "x", tokens(10, 1)))
	must(t, j.Close())
	for nth := 1; ; nth++ {
		m := base.Clone()
		s := testSessions(m)
		c, calls := read(t, s, "a"), 0
		m.Fault = func(op memfs.Op) error {
			if strings.HasSuffix(op.Path, "ballast") || op.Kind == memfs.Read {
				return nil
			}
			if calls++; calls == nth {
				return errDisk
			}
			return nil
		}
		err := s.Fork(c, "f", 1)
		m.Fault = nil
		if calls < nth {
			if err != nil || nth < 8 {
				t.Errorf("%d calls, %v", nth, err)
			}
			return
		}
		_, readErr := s.Read("f")
		if err == nil && readErr != nil || err != nil && !errors.Is(readErr, ErrNoSession) {
			t.Errorf("call %d fails: fork gives %v, reading it then %v", nth, err, readErr)
		}
		if err != nil {
			if err := s.Fork(c, "f", 1); err != nil {
				t.Errorf("call %d failed: the fork cannot be made again: %v", nth, err)
			}
		}
	}
}
