package kvcache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"testing"
	"time"

	"kvasir/platform/vfs"
	"kvasir/platform/vfs/memfs"
	"kvasir/quant"
)

// toyGeometry mixes formats, head counts and a window; a slot is 16 KiB.
var toyGeometry = Geometry{Layers: []Layer{
	{NKVHeads: 2, HeadDim: 8, K: quant.KVInt8, V: quant.KVInt8},
	{NKVHeads: 1, HeadDim: 16, K: quant.KVInt8, V: quant.KVF16, Window: 128},
	{NKVHeads: 1, HeadDim: 12, K: quant.KVF16, V: quant.KVInt8},
}}

var toyPrint = Fingerprint{1, 2, 3}

// rowOf fills row and scale of one position as a function of everything before it, as a model would: a row that is served
// for another path, layer, head or side is another row.
func rowOf(dst []byte, path uint64, layer, head int, side Side) {
	h := fnv.New64a()
	var b [20]byte
	binary.LittleEndian.PutUint64(b[:], path)
	b[8], b[9], b[10] = byte(layer), byte(head), byte(side)
	h.Write(b[:])
	x := h.Sum64()
	for i := range dst {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		dst[i] = byte(x)
	}
}

// paths returns for each position the digest of the ids up to it.
func paths(ids []int32) []uint64 {
	out := make([]uint64, len(ids))
	h := fnv.New64a()
	for i, id := range ids {
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(id)))
		out[i] = h.Sum64()
	}
	return out
}

// compute plays the engine: it makes the rows of ids[q.Len():] in batches and commits them.
func compute(t testing.TB, q *Sequence, ids []int32, batch int) {
	t.Helper()
	path := paths(ids)
	for q.Len() < len(ids) {
		n := min(batch, len(ids)-q.Len())
		if err := q.Reserve(n); err != nil {
			t.Fatal(err)
		}
		for pos := q.Len(); pos < q.Len()+n; pos++ {
			eachPlane(q, pos, func(layer, head int, side Side, row, scale []byte) {
				full := make([]byte, len(row)+len(scale))
				rowOf(full, path[pos], layer, head, side)
				copy(row, full)
				copy(scale, full[len(row):])
			})
		}
		if err := q.Commit(ids[q.Len() : q.Len()+n]); err != nil {
			t.Fatal(err)
		}
	}
}

// eachPlane calls fn with the rows of a position, those apart that a query at Len or later does not see and that are not there.
func eachPlane(q *Sequence, pos int, fn func(layer, head int, side Side, row, scale []byte)) {
	for layer, l := range q.ns.lay.geometry.Layers {
		if l.Window > 0 && pos+l.Window <= q.Len() && q.entries[pos/BlockTokens].windowless {
			continue
		}
		for head := range l.NKVHeads {
			for _, side := range []Side{K, V} {
				p := q.Plane(layer, head, side, pos/BlockTokens)
				n, s, t := p.Format.RowBytes(p.HeadDim), p.Format.ScaleBytes(), pos%BlockTokens
				fn(layer, head, side, p.Rows[t*n:(t+1)*n], p.Scales[t*s:(t+1)*s])
			}
		}
	}
}

// wrongRows counts the rows of a sequence that are not those of its ids: invariant I1.
func wrongRows(q *Sequence) int {
	path, wrong := paths(q.ids), 0
	for pos := range q.ids {
		eachPlane(q, pos, func(layer, head int, side Side, row, scale []byte) {
			want := make([]byte, len(row)+len(scale))
			rowOf(want, path[pos], layer, head, side)
			if !bytes.Equal(row, want[:len(row)]) || !bytes.Equal(scale, want[len(row):]) {
				wrong++
			}
		})
	}
	return wrong
}

func checkRows(t testing.TB, q *Sequence) {
	t.Helper()
	if n := wrongRows(q); n != 0 {
		t.Fatalf("%d rows of %d positions are not those of their tokens", n, q.Len())
	}
}

// randomReader makes ids that are the same in every run.
type randomReader struct{ n byte }

func (r *randomReader) Read(b []byte) (int, error) {
	for i := range b {
		r.n++
		b[i] = r.n
	}
	return len(b), nil
}

func testOptions() Options {
	return Options{
		MaxBytes: 64 << 20,
		MinFree:  -1,
		Now:      func() time.Time { return time.Unix(1e9, 0) },
		Random:   &randomReader{},
	}
}

func openStore(t testing.TB, fsys vfs.FS, opt Options) (*Store, *Namespace) {
	t.Helper()
	s, err := Open(fsys, "/home", opt)
	if err != nil {
		t.Fatal(err)
	}
	n, err := s.Namespace(toyPrint, []byte("toy model"), toyGeometry)
	if err != nil {
		t.Fatal(err)
	}
	return s, n
}

func tokens(n int, seed int32) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = seed*1000 + int32(i)
	}
	return ids
}

func match(t testing.TB, q *Sequence, ids []int32) int {
	t.Helper()
	n, err := q.Match(ids)
	if err != nil {
		t.Fatal(err)
	}
	if n != q.Len() || n > len(ids) || commonPrefix(q.IDs(), ids) != n {
		t.Fatalf("match says %d, sequence has %d of %d", n, q.Len(), len(ids))
	}
	checkRows(t, q)
	return n
}

func closeAll(t testing.TB, s *Store, qs ...*Sequence) {
	t.Helper()
	for _, q := range qs {
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// fill stores ids in a fresh store on fsys and closes it cleanly.
func fill(t testing.TB, fsys vfs.FS, opt Options, paths ...[]int32) {
	t.Helper()
	s, n := openStore(t, fsys, opt)
	for _, ids := range paths {
		q := n.NewSequence(nil)
		match(t, q, ids)
		compute(t, q, ids, 50)
		if err := q.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	closeAll(t, s)
}

// reopened returns how many of ids a new process on fsys finds.
func reopened(t testing.TB, fsys vfs.FS, ids []int32) int {
	t.Helper()
	s, n := openStore(t, fsys, testOptions())
	q := n.NewSequence(nil)
	got := match(t, q, ids)
	closeAll(t, s, q)
	return got
}

func segmentPath(t testing.TB, m *memfs.FS) string {
	t.Helper()
	for _, p := range m.Files() {
		if len(p) > 4 && p[len(p)-4:] == ".seg" {
			return p
		}
	}
	t.Fatal("no segment")
	return ""
}

var errDisk = errors.New("injected disk error")
