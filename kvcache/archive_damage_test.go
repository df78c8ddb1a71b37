package kvcache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"kvasir/platform/vfs/memfs"
	"kvasir/quant"
)

// smallArchive is one of a session of one full block and a tail.
func smallArchive(t testing.TB) []byte {
	t.Helper()
	m := memfs.New()
	told(t, m, testOptions(), "S", 60, 12)
	archive, _ := export(t, m, "S", false)
	return archive
}

// refused fails unless an archive is refused by all that read it, with an error that names the section, and leaves no session.
func refused(t *testing.T, archive []byte, what string) {
	t.Helper()
	named := func(err error) bool {
		return errors.Is(err, ErrArchive) && (strings.Contains(err.Error(), "section ") || strings.Contains(err.Error(), "head"))
	}
	if _, err := CheckArchive(bytes.NewReader(archive)); !named(err) {
		t.Errorf("%s: checking gives %v", what, err)
	}
	m := memfs.New()
	m.NoRecord = true
	if _, err := takeIn(t, m, smallOptions(), archive, ""); !named(err) {
		t.Errorf("%s: importing gives %v", what, err)
	}
	noSession(t, m, "S")
}

// Every byte of an archive matters: flipped, it is refused; and so is an archive that ends early or goes on.
func TestEveryByteOfAnArchiveIsChecked(t *testing.T) {
	archive := smallArchive(t)
	step := 1
	if testing.Short() {
		step = 37
	}
	for i := 0; i < len(archive); i += step {
		bad := slices.Clone(archive)
		bad[i] ^= 1 << (i % 8)
		if _, err := CheckArchive(bytes.NewReader(bad)); !errors.Is(err, ErrArchive) {
			t.Errorf("byte %d of %d flipped: %v", i, len(archive), err)
		}
		if _, err := CheckArchive(bytes.NewReader(archive[:i])); !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), "ends after") {
			t.Errorf("%d bytes of %d: %v", i, len(archive), err)
		}
	}
	for i := 0; i < len(archive); i += 251 {
		bad := slices.Clone(archive)
		bad[i] ^= 0x10
		refused(t, bad, fmt.Sprintf("byte %d flipped", i))
		refused(t, archive[:i], fmt.Sprintf("the first %d bytes", i))
	}
	refused(t, append(slices.Clone(archive), 0), "a byte too many")
	broken := errors.New("broken cable")
	if _, err := CheckArchive(io.MultiReader(bytes.NewReader(archive[:900]), failingReader{broken})); !errors.Is(err, broken) || errors.Is(err, ErrArchive) {
		t.Errorf("a reader that fails: %v", err)
	}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// forger writes archives whose checksums are good and whose content need not be.
type forger struct {
	t   testing.TB
	out bytes.Buffer
	*archiveWriter
	lay *layout
}

func forge(t testing.TB, kind ArchiveKind) *forger {
	t.Helper()
	f := &forger{t: t}
	lay, err := newLayout(toyGeometry)
	must(t, err)
	f.lay = lay
	f.archiveWriter, err = newArchiveWriter(&f.out, kind, time.Unix(1, 0))
	must(t, err)
	return f
}

func (f *forger) add(tag string, payload ...byte) *forger {
	f.t.Helper()
	must(f.t, f.section(tag, payload))
	return f
}

// record adds a record of the journal.
func (f *forger) record(kind uint8, payload ...byte) *forger {
	return f.add(tagRecord, append([]byte{kind}, payload...)...)
}

// start adds what a session with these ids begins with.
func (f *forger) start(ids []int32) *forger {
	j := &Journal{sessions: testSessions(memfs.New()), digest: nil, emit: func(kind uint8, payload []byte) error {
		return f.section(tagRecord, []byte{kind}, payload)
	}}
	must(f.t, j.named("S", time.Unix(2, 0).UnixNano()))
	must(f.t, j.Model(ModelRecord{Fingerprint: toyPrint}))
	must(f.t, j.turn(time.Unix(3, 0), "user", "hello", ids))
	return f
}

func (f *forger) meta() *forger { return f.add(tagMeta, encodeMeta(f.lay, toyPrint, nil)...) }

// block adds a block of zeros, changed by change before its checksums are made.
func (f *forger) block(firstPos int, ids []int32, parent Hash, change func(section []byte)) *forger {
	var b bytes.Buffer
	_, err := (&archiveWriter{w: &b, sum: sha256.New()}).writeBlock(f.lay, &parent, firstPos, ids, make([]byte, len(ids)*f.lay.tokenBytes), true)
	must(f.t, err)
	payload := b.Bytes()[sectionHead : b.Len()-4]
	change(payload)
	return f.add(tagBlock, payload...)
}

func (f *forger) finished() []byte {
	must(f.t, f.done())
	return f.out.Bytes()
}

// resealed gives an archive good checksums after all sections but the damage.
func resealed(b []byte) []byte {
	var out bytes.Buffer
	a, _ := newArchiveWriter(&out, ArchiveKind(b[16]), time.Unix(1, 0))
	le := binary.LittleEndian
	for off := archiveHead; off+sectionHead <= len(b); {
		n := le.Uint64(b[off+8:])
		if n > uint64(len(b)-off-sectionHead) {
			break
		}
		payload := b[off+sectionHead:][:n]
		if tag := string(b[off : off+4]); tag != tagDone {
			_ = a.section(tag, payload)
		}
		off += sectionHead + int(n) + 4
	}
	_ = a.done()
	return out.Bytes()
}

// An archive whose checksums are all good is refused all the same when what it says does not fit together.
func TestForgedArchivesAreRefused(t *testing.T) {
	ids := tokens(70, 1)
	lay, err := newLayout(toyGeometry)
	must(t, err)
	root := rootHash(toyPrint, lay.recipeHash, nil)
	second := pathHash(&root, ids[:64])
	asIs := func([]byte) {}
	session := func() *forger { return forge(t, SessionArchive) }
	rows := func() *forger { return session().start(ids).meta() }
	crcs := archiveBlockHead + 4*64
	huge := Geometry{Layers: slices.Repeat([]Layer{{NKVHeads: 60000, HeadDim: 60000, K: quant.KVInt8, V: quant.KVInt8}}, 2)}
	hugeRecipe := (&layout{geometry: huge}).encodeRecipe()
	headsRecipe := (&layout{geometry: Geometry{Layers: slices.Repeat([]Layer{{NKVHeads: 65535, HeadDim: 1, K: quant.KVInt8, V: quant.KVInt8}}, 20)}}).encodeRecipe()

	for name, c := range map[string]struct {
		forged []byte
		want   string // in the error
	}{
		"no section":               {session().out.Bytes(), "ends after"},
		"another kind":             {forge(t, 9).start(ids).finished(), "kind 9"},
		"an unknown section":       {session().start(ids).add("EVIL", 1).finished(), "not expected"},
		"an unknown record":        {session().start(ids).record(8, 1).finished(), "type 8"},
		"record 0":                 {session().start(ids).record(0).finished(), "type 0"},
		"no record":                {session().start(ids).add(tagRecord).finished(), "no record"},
		"no name":                  {session().record(recModel, make([]byte, 38)...).finished(), "type 6"},
		"two names":                {session().start(ids).start(ids).finished(), "type 1"},
		"a bad name":               {session().record(recSession, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, '\n').finished(), "parse"},
		"bytes behind a record":    {session().start(ids).record(recEdit, editRewind, 1, 0, 0, 0, 0).finished(), "parse"},
		"a turn cut short":         {session().start(ids).record(recUser, 1, 2, 3).finished(), "parse"},
		"a turn with a lot of ids": {session().start(ids).record(recUser, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 127).finished(), "parse"},
		"forgotten turns":          {session().start(ids).record(recEdit, editRewind, 0, 0, 0, 0).finished(), "forgets"},
		"a digest of other ids":    {session().start(ids).record(recTokens, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0).record(recTurnEnd, append(make([]byte, 9), append([]byte{1, 0, 0, 0}, make([]byte, 34)...)...)...).finished(), "digest"},
		"a negative id":            {session().start([]int32{1, -2}).finished(), "token 1 of the conversation is -2"},
		"records behind META":      {rows().record(recModel, make([]byte, 38)...).finished(), "not expected"},
		"META twice":               {rows().meta().finished(), "not expected"},
		"META without blocks":      {rows().finished(), "not expected"},
		"blocks without META":      {session().start(ids).block(0, ids[:64], root, asIs).finished(), "not expected"},
		"text in a session":        {session().start(ids).add(tagText).finished(), "not expected"},
		"a damaged META":           {session().start(ids).add(tagMeta, append(encodeMeta(lay, toyPrint, nil), 0)...).finished(), "META"},
		"another model's rows":     {session().start(ids).add(tagMeta, encodeMeta(lay, Fingerprint{9}, nil)...).finished(), "rows of model"},
		"rows of terabytes":        {session().start(ids).add(tagMeta, encodeMeta(&layout{recipe: hugeRecipe, recipeHash: recipeHash(hugeRecipe)}, toyPrint, nil)...).finished(), "per block"},
		"a million heads":          {session().start(ids).add(tagMeta, encodeMeta(&layout{recipe: headsRecipe, recipeHash: recipeHash(headsRecipe)}, toyPrint, nil)...).finished(), "kv heads"},
		"rows kept in memory": {session().start(ids).add(tagMeta, encodeMeta(func() *layout {
			l, err := newLayout(Geometry{Layers: []Layer{{NKVHeads: 1, HeadDim: 8, K: quant.KVF32, V: quant.KVF32}}})
			must(t, err)
			return l
		}(), toyPrint, nil)...).finished(), "not stored"},
		"a block elsewhere":        {rows().block(64, ids[:64], root, asIs).finished(), "first position"},
		"a gap":                    {rows().block(0, ids[:64], root, asIs).block(128, ids[64:], second, asIs).finished(), "first position"},
		"a block behind the tail":  {rows().block(0, ids[:60], root, asIs).block(60, ids[60:], root, asIs).finished(), "not full"},
		"no tokens":                {rows().block(0, ids[:1], root, func(b []byte) { b[4] = 0 }).finished(), "0 tokens"},
		"65 tokens":                {rows().block(0, ids[:64], root, func(b []byte) { b[4] = 65 }).finished(), "65 tokens"},
		"flags":                    {rows().block(0, ids[:64], root, func(b []byte) { b[6] = 2 }).finished(), "flags"},
		"a tail without windows":   {rows().block(0, ids[:60], root, func(b []byte) { b[6] = 0 }).finished(), "flags"},
		"fewer rows than tokens":   {rows().block(0, ids[:63], root, func(b []byte) { b[4] = 64 }).finished(), "bytes, want"},
		"another path hash":        {rows().block(0, ids[:64], Hash{1}, asIs).finished(), "path hash"},
		"ids of others":            {rows().block(0, tokens(64, 5), root, asIs).finished(), "not the conversation's"},
		"more ids than there are":  {rows().block(0, ids[:64], root, asIs).block(64, tokens(71, 1)[64:], second, asIs).finished(), "not the conversation's"},
		"a layer's checksum":       {rows().block(0, ids[:64], root, func(b []byte) { b[crcs+4] ^= 1 }).finished(), "layer 1"},
		"a row":                    {rows().block(0, ids[:64], root, func(b []byte) { b[len(b)-1] ^= 1 }).finished(), "layer 1"},
		"a pack without rows":      {forge(t, PrefixPack).add(tagText).finished(), "not expected"},
		"a pack that has records":  {forge(t, PrefixPack).start(ids).finished(), tagText},
		"a pack with records":      {forge(t, PrefixPack).add(tagText).start(ids).finished(), "not expected"},
		"a pack with negative ids": {forge(t, PrefixPack).add(tagText).meta().block(0, []int32{1, -7}, root, asIs).finished(), "token 1 is -7"},
	} {
		refused(t, c.forged, name)
		if _, err := CheckArchive(bytes.NewReader(c.forged)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
	// The forger's own archives are good when nothing is forged.
	good := rows().block(0, ids[:64], root, asIs).block(64, ids[64:], second, asIs).finished()
	if a, err := CheckArchive(bytes.NewReader(good)); err != nil || a.KVTokens != 70 {
		t.Errorf("nothing forged: %+v, %v", a, err)
	}
	if a, err := CheckArchive(bytes.NewReader(forge(t, SessionArchive).start(nil).finished())); err != nil || a.Tokens != 0 {
		t.Errorf("a session without tokens: %+v, %v", a, err)
	}
}

// Numbers in an archive cost no memory before the bytes that they announce have come.
func TestArchiveAnnouncesTerabytes(t *testing.T) {
	lay, err := newLayout(Geometry{Layers: []Layer{{NKVHeads: 1000, HeadDim: 4000, K: quant.KVInt8, V: quant.KVInt8}}})
	must(t, err)
	ids := tokens(70, 1)
	root := rootHash(toyPrint, lay.recipeHash, nil)
	h := pathHash(&root, ids[:64])
	le := binary.LittleEndian
	section := func(f *forger, tag string, number uint32, n uint64, payload []byte) []byte {
		head := append([]byte(tag), make([]byte, 12)...)
		le.PutUint32(head[4:], number)
		le.PutUint64(head[8:], n)
		return append(append(f.out.Bytes(), le.AppendUint32(head, crc32.Checksum(head, castagnoli))...), payload...)
	}
	block := append([]byte{0, 0, 0, 0, 64, 0, 1, 0}, h[:]...)
	block = append(appendIDs(block, ids[:64]), make([]byte, 4+1000)...)
	for name, b := range map[string][]byte{
		"a record of 2^63 bytes":   section(forge(t, SessionArchive).start(ids), tagRecord, 3, 1<<63, []byte("abc")),
		"a record of 16 MiB":       section(forge(t, SessionArchive).start(ids), tagRecord, 3, 16<<20, []byte("abc")),
		"META of 2 MiB":            section(forge(t, SessionArchive).start(ids), tagMeta, 3, 2<<20, []byte("abc")),
		"text of 16 MiB":           section(forge(t, PrefixPack), tagText, 0, 16<<20, []byte("abc")),
		"a block of half a GiB":    section(forge(t, SessionArchive).start(ids).add(tagMeta, encodeMeta(lay, toyPrint, nil)...), tagBlock, 4, uint64(40+4*64+4+lay.payloadBytes), block),
		"a section of zero length": section(forge(t, SessionArchive).start(ids), tagMeta, 3, 0, nil),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := CheckArchive(bytes.NewReader(b))
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrArchive) {
			t.Errorf("%s: %v", name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d bytes allocated for %d", name, n, len(b))
		}
	}
}

// A long archive is read and written in the memory of one block.
func TestArchiveStreams(t *testing.T) {
	lay, err := newLayout(toyGeometry)
	must(t, err)
	m := memfs.New()
	m.NoRecord = true
	ids := told(t, m, testOptions(), "S", 64*200, 0)
	measure := func(fn func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		fn()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	r, w := io.Pipe()
	go func() {
		_, err := testSessions(m).Export(w, "S", false)
		w.CloseWithError(err)
	}()
	var info *Archive
	n := measure(func() {
		info, err = CheckArchive(r)
		must(t, err)
	})
	if payload := uint64(len(ids) * lay.tokenBytes); info.KVTokens != len(ids)-1 || n > payload {
		t.Errorf("%d bytes allocated by both ends for %d bytes of rows in %d of archive", n, payload, info.Bytes)
	}
}

// FuzzArchive: no bytes make a reader panic, hang or take what they do not justify; what is accepted is imported, is found again, and
// gives the same archive. The first byte says whether the fuzzer gets the checksums for free.
func FuzzArchive(f *testing.F) {
	session := smallArchive(f)
	ram, err := NewRAM(toyGeometry)
	must(f, err)
	pack := packOf(f, ram, tokens(66, 3))
	windowed, err := NewRAM(windowGeometry)
	must(f, err)
	q := windowed.NewSequence(nil)
	compute(f, q, tokens(320, 3), 64)
	must(f, q.Flush())
	var windowless bytes.Buffer
	_, err = q.WritePack(&windowless, toyPrint, nil, "")
	must(f, errors.Join(err, q.Close()))
	for _, seed := range [][]byte{session, pack, windowless.Bytes(), session[:300], forge(f, SessionArchive).start(tokens(3, 1)).finished()} {
		f.Add(append([]byte{0}, seed...))
		f.Add(append([]byte{1}, seed...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 1+archiveHead {
			return
		}
		archive := b[1:]
		if b[0]&1 != 0 {
			archive = resealed(archive)
		}
		info, err := CheckArchive(bytes.NewReader(archive))
		if err != nil {
			if !errors.Is(err, ErrArchive) && !errors.Is(err, ErrNoMemory) {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if info.Bytes != int64(len(archive)) {
			t.Fatalf("%d bytes of %d read", info.Bytes, len(archive))
		}
		if info.Kind != SessionArchive {
			return
		}
		m := memfs.New()
		s := testSessions(m)
		if _, err := s.Import(bytes.NewReader(archive), ImportOptions{Name: "S"}); err != nil {
			t.Fatal(err)
		}
		c := read(t, s, "S")
		if len(c.IDs()) != info.Tokens || len(c.Turns) != info.Turns || c.Damaged {
			t.Fatalf("imported %+v from %+v", c, info)
		}
		again, _ := export(t, m, "S", false)
		if back, err := CheckArchive(bytes.NewReader(again)); err != nil || back.Tokens != info.Tokens || back.Turns != info.Turns {
			t.Fatalf("exported again: %+v, %v", back, err)
		}
	})
}
