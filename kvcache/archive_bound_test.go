package kvcache

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"kvasir/platform/vfs/memfs"
	"kvasir/quant"
)

// A block of an archive makes its reader take no more than some times what came for it: where the windowed layers have far more than
// the others, their planes may not be left out, by whoever writes one either.
func TestArchiveLeavesNotTooMuchOut(t *testing.T) {
	layers := func(windowed, global int) (g Geometry) {
		for range windowed {
			g.Layers = append(g.Layers, Layer{NKVHeads: 1, HeadDim: 1024, K: quant.KVInt8, V: quant.KVInt8, Window: 64})
		}
		for range global {
			g.Layers = append(g.Layers, Layer{NKVHeads: 1, HeadDim: 1024, K: quant.KVInt8, V: quant.KVInt8})
		}
		return g
	}
	small := Geometry{Layers: []Layer{{NKVHeads: 1, HeadDim: 256, K: quant.KVInt8, V: quant.KVInt8, Window: 64}}}
	for name, c := range map[string]struct {
		g    Geometry
		want bool
	}{
		"windows alone": {layers(1, 0), false}, "33 to 1": {layers(33, 1), false}, "32 to 1": {layers(32, 1), true}, "5 to 1": {layers(5, 1), true},
		"windows alone, of 33 KiB": {small, true}, "no windows": {layers(0, 2), false},
	} {
		lay, err := newLayout(c.g)
		must(t, err)
		if got := lay.leavesOut(); got != c.want {
			t.Errorf("%s: leaves out %v, want %v", name, got, c.want)
		}
		var b bytes.Buffer
		a, err := newArchiveWriter(&b, PrefixPack, time.Unix(1, 0))
		must(t, err)
		must(t, a.section(tagText, []byte("x")))
		must(t, a.section(tagMeta, encodeMeta(lay, toyPrint, nil)))
		root := rootHash(toyPrint, lay.recipeHash, nil)
		_, err = a.writeBlock(lay, &root, 0, tokens(64, 1), make([]byte, lay.payloadBytes), false)
		must(t, errors.Join(err, a.done()))
		if _, err := CheckArchive(&b); (err == nil) != c.want || err != nil && !strings.Contains(err.Error(), "flags") {
			t.Errorf("%s: reading gives %v", name, err)
		}
	}

	n, err := NewRAM(layers(1, 0))
	must(t, err)
	q := n.NewSequence(nil)
	compute(t, q, tokens(8*BlockTokens, 1), 64)
	must(t, q.Flush())
	if !q.entries[0].windowless {
		t.Fatal("the first block has its planes still")
	}
	if _, err := q.WritePack(&bytes.Buffer{}, toyPrint, nil, ""); !errors.Is(err, ErrLost) {
		t.Errorf("writing a pack gives %v", err)
	}
	must(t, q.Close())
}

// Planes that an earlier block of the archive had are not those of one that has none.
func TestArchiveBlockWithoutWindowsBehindOneWith(t *testing.T) {
	lay, err := newLayout(windowGeometry)
	must(t, err)
	var b bytes.Buffer
	a, err := newArchiveWriter(&b, PrefixPack, time.Unix(1, 0))
	must(t, err)
	must(t, a.section(tagText, []byte("x")))
	must(t, a.section(tagMeta, encodeMeta(lay, toyPrint, nil)))
	parent := rootHash(toyPrint, lay.recipeHash, nil)
	for i, windows := range []bool{true, false, false, true, false} {
		parent, err = a.writeBlock(lay, &parent, i*BlockTokens, tokens(64, int32(i)), bytes.Repeat([]byte{byte(i + 1)}, lay.payloadBytes), windows)
		must(t, err)
	}
	must(t, a.done())
	if info, err := CheckArchive(&b); err != nil || info.KVTokens != 5*BlockTokens {
		t.Errorf("%+v, %v", info, err)
	}
}

// Rows that turn out to be damaged from the first one on are no rows: the conversation is exported without.
func TestExportWhenTheFirstRowsAreDamaged(t *testing.T) {
	m := memfs.New()
	s := testSessions(m)
	ids := tokens(100, 1)
	j := create(t, s, "S")
	must(t, j.Model(ModelRecord{Fingerprint: toyPrint, Name: "toy"}))
	must(t, errors.Join(j.Turn("user", "tell me", ids), j.Close()))
	fill(t, m, testOptions(), ids)
	lay, count := toyLayout(t)
	m.Bytes(segmentPath(t, m))[slotAt(lay, count, 0)] ^= 1
	b, info := export(t, m, "S", false)
	if info.KVTokens != 0 {
		t.Fatalf("exported %+v", info)
	}
	if read, err := CheckArchive(bytes.NewReader(b)); err != nil || read.KVTokens != 0 || read.Tokens != len(ids) {
		t.Errorf("reading it gives %+v, %v", read, err)
	}
}
