package kvcache

import (
	"slices"
	"testing"

	"kvasir/platform/vfs/memfs"
)

// The pin of a session that was removed while another process had the store goes with the next gc, and with it what it kept; pins of
// sessions that are there, and of others, stay.
func TestCollectRemovesPinsOfRemovedSessions(t *testing.T) {
	m := memfs.New()
	opt := testOptions()
	opt.segmentSlots = 8
	s, n := openStore(t, m, opt)
	sessions := testSessions(m)
	paths := map[string][]int32{SessionPin("a"): tokens(512, 1), SessionPin("b"): tokens(512, 2), "pack": tokens(512, 3)}
	for label, ids := range paths {
		if label != "pack" {
			j := create(t, sessions, label[len(SessionPin("")):])
			must(t, j.Model(ModelRecord{Fingerprint: toyPrint, Name: "toy"}))
			must(t, j.Turn("user", "x", ids))
			must(t, j.Close())
		}
		q := n.NewSequence(nil)
		compute(t, q, ids, 64)
		must(t, q.Flush())
		_, err := n.Pin(label, ids)
		must(t, err)
		must(t, q.Close())
	}
	other, err := Open(m, "/home", opt) // of a second process
	must(t, err)
	done, err := sessions.RemoveRows("a", other)
	if err != nil || done.Why == nil {
		t.Fatalf("removed beside another process: %+v, %v", done, err)
	}
	must(t, other.Close())
	must(t, s.Close())
	opt.MaxBytes = -1
	for _, dry := range []bool{true, false} {
		c, err := Collect(m, "/home", opt, dry)
		must(t, err)
		if !slices.Equal(c.Unpinned, []string{SessionPin("a")}) || c.Evicted.Segments != 1 {
			t.Errorf("dry %v: %+v", dry, c)
		}
	}
	opt.MaxBytes = 0
	s, n = openStore(t, m, opt)
	var labels []string
	for _, p := range n.Pins() {
		labels = append(labels, p.Label)
	}
	if !slices.Equal(labels, []string{"pack", SessionPin("b")}) {
		t.Errorf("pins left: %q", labels)
	}
	must(t, s.Close())
	if c, err := Collect(m, "/home", opt, false); err != nil || len(c.Unpinned) > 0 {
		t.Errorf("once more: %+v, %v", c, err)
	}
}
