package kvcache

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
)

func TestSegmentNames(t *testing.T) {
	for name, want := range map[string]int{
		"kv-000000.seg": 0, "kv-000001.seg": 1, "kv-999999.seg": 999999, "kv-1000000.seg": 1000000, "kv-2147483647.seg": 1<<31 - 1,
		"kv-2147483648.seg": -1, "kv-99999999999999999999.seg": -1, "kv-0000001.seg": -1, "kv-00001.seg": -1, "kv--00001.seg": -1, "kv-+00001.seg": -1,
		"kv-00000a.seg": -1, "kv-.seg": -1, "kv-000001": -1, "000001.seg": -1, "st-000001.seg": -1, "kv-kv-000001.seg": -1, "kv-000001.seg.seg": -1,
	} {
		got, ok := segmentNumber(name)
		if ok != (want >= 0) || ok && (got != want || segmentName(got) != name) {
			t.Errorf("%s: %d, %v; want %d", name, got, ok, want)
		}
		states := "st" + name[2:]
		if n, isStates := stateSegmentNumber(states); name[:2] == "kv" && (isStates != ok || ok && n != got) {
			t.Errorf("%s: %d, %v; want %d", states, n, isStates, want)
		}
	}
}

// Whatever numbers there are in the names of files, segments made from then on are found, and gc removes what is none.
func TestSegmentsBehindAFarNumberAreFound(t *testing.T) {
	for _, name := range []string{"kv-999999.seg", "kv-2147483647.seg"} {
		m := memfs.New()
		opt := testOptions()
		opt.segmentSlots = 8
		fill(t, m, opt, tokens(BlockTokens, 1))
		stray := filepath.Join(filepath.Dir(segmentPath(t, m)), name)
		m.Put(stray, nil)
		ids := tokens(20*BlockTokens, 2)
		fill(t, m, opt, ids)
		if got := reopened(t, m, ids); got != len(ids) {
			t.Errorf("%s: %d tokens of %d are found", name, got, len(ids))
		}
		if _, err := Collect(m, "/home", opt, false); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(m.Files(), stray) {
			t.Errorf("%s: gc leaves it", name)
		}
		if got := reopened(t, m, ids); got != len(ids) {
			t.Errorf("%s: %d tokens of %d are found after gc", name, got, len(ids))
		}
	}
}

// The reader by FORMAT.md takes the same files for segments.
func TestTheReaderAgreesOnSegmentNames(t *testing.T) {
	var homes []string
	for _, name := range []string{"kv-1000000.seg", "kv-0000001.seg", "kv-2147483648.seg"} {
		home := t.TempDir()
		s, err := Open(vfs.OS(), home, Options{MinFree: -1})
		must(t, err)
		n, err := s.Namespace(toyPrint, []byte("toy model"), toyGeometry)
		must(t, err)
		q := n.NewSequence(nil)
		compute(t, q, tokens(200, 1), 50)
		must(t, q.Flush())
		closeAll(t, s, q)
		must(t, create(t, NewSessions(vfs.OS(), home), "s").Close())
		paths, err := filepath.Glob(filepath.Join(home, "kv/v1/*/kv-000001.seg"))
		must(t, err)
		must(t, os.Rename(paths[0], filepath.Join(filepath.Dir(paths[0]), name)))
		homes = append(homes, home)
	}
	for i, v := range checkers(t, homes) {
		if theirs, own := v.summary(), ownVerdict(t, homes[i], toyGeometry); !slices.Equal(theirs, own) {
			t.Errorf("home %d:\nkvcheck.py %q\nthe store  %q", i, theirs, own)
		}
	}
}
