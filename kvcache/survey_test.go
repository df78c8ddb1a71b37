package kvcache

import (
	"testing"

	"kvasir/platform/vfs/memfs"
)

// Look tells what is stored, beside the process that has the lock, and changes nothing.
func TestLookSeesWhatIsStored(t *testing.T) {
	m := memfs.New()
	if v, err := Look(m, "/home", testOptions()); err != nil || len(v.Namespaces) != 0 || v.UsedBytes != 0 {
		t.Fatalf("of an empty disk: %+v, %v", v, err)
	}
	s, n := openStore(t, m, testOptions())
	q := n.NewSequence(nil)
	compute(t, q, tokens(64*3+20, 1), 64)
	must(t, q.Flush())
	other, err := s.Namespace(Fingerprint{9}, []byte("other"), toyGeometry)
	must(t, err)
	p := other.NewSequence(nil)
	compute(t, p, tokens(64, 2), 64)

	before := m.Calls()
	v, err := Look(m, "/home", testOptions())
	must(t, err)
	if m.Calls() != before {
		t.Error("Look changed something")
	}
	if len(v.Namespaces) != 2 || v.UsedBytes != s.Stats().UsedBytes || v.MaxBytes != testOptions().MaxBytes || v.MinFree != 0 {
		t.Fatalf("%+v", v)
	}
	for _, ns := range v.Namespaces {
		blocks, ids := 4, 64*3+20
		if ns.Fingerprint != toyPrint {
			blocks, ids = 1, 64
		}
		if ns.Err != nil || ns.Blocks != blocks || ns.Tokens != ids || ns.Segments != 1 || ns.LiveBytes != int64(blocks*n.lay.slotBytes) || ns.Bytes == 0 || ns.LastUse.IsZero() {
			t.Errorf("%s: %+v", ns.Dir, ns)
		}
	}
	closeAll(t, s, q, p)

	// A damaged segment and a damaged META are told, and their bytes are counted.
	clear(m.Bytes(segmentPath(t, m))[:headerTableOff])
	m.Bytes("/home/kv/v1/" + v.Namespaces[1].Dir + "/META")[20] ^= 1
	w, err := Look(m, "/home", testOptions())
	must(t, err)
	if w.UsedBytes != v.UsedBytes || len(w.Namespaces[0].SetAside) != 1 || w.Namespaces[0].Blocks != 0 || w.Namespaces[1].Err == nil || w.Namespaces[1].Bytes == 0 {
		t.Errorf("damaged: %+v", w)
	}
}
