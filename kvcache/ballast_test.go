package kvcache

import (
	"testing"

	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
)

// A ballast that lacks space, of a process that died before it had it or of a power cut, is made good by the next one; a whole one is
// left alone.
func TestBallastIsMadeGood(t *testing.T) {
	for name, left := range map[string]func(m *memfs.FS){
		"none":  func(*memfs.FS) {},
		"empty": func(m *memfs.FS) { m.Put("/home/ballast", nil) },
		"half":  func(m *memfs.FS) { m.Put("/home/ballast", make([]byte, ballastBytes/2)) },
	} {
		m := memfs.New()
		must(t, m.MkdirAll("/home"))
		left(m)
		s := testSessions(m)
		must(t, create(t, s, "a").Close())
		if info, err := m.Stat("/home/ballast"); err != nil || info.Bytes != ballastBytes || allocated(info) != ballastBytes {
			t.Errorf("%s: afterwards it is %+v, %v", name, info, err)
		}
		from := m.Calls()
		j, _, err := s.Open("a")
		must(t, err)
		must(t, j.Close())
		for _, op := range m.Ops()[from:] {
			if op.Path == "/home/ballast" {
				t.Errorf("%s: a whole one is changed: %+v", name, op.Kind)
			}
		}
	}
	m := memfs.New()
	m.Put("/home/ballast", nil)
	m.Fault = func(op memfs.Op) error {
		if op.Kind == memfs.Fallocate {
			return vfs.ErrNoSpace
		}
		return nil
	}
	must(t, create(t, testSessions(m), "a").Close())
	if _, err := m.Stat("/home/ballast"); !isNotExist(err) {
		t.Errorf("one that there is no space for stays: %v", err)
	}
}
