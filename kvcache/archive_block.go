package kvcache

import (
	"encoding/binary"

	"kvasir/platform"
)

// archiveBlock is one block of an archive: FULL or, at the end of the path, PACKED. Its slices are valid until the next block.
type archiveBlock struct {
	firstPos int
	hash     Hash
	ids      []int32
	payload  []byte // as in a slot
	windows  bool   // the planes of windowed layers are there; otherwise they are zeros
}

// blockParts returns the ranges of the payload of n tokens that an archive has: all of it, or what belongs to layers without a window.
func (lay *layout) blockParts(n int, windows bool) []span {
	if windows {
		return []span{{0, n * lay.tokenBytes}}
	}
	var planes, strips span // the global layers stand first in both areas
	for i, l := range lay.geometry.Layers {
		strips.off += lay.layers[i][0].n
		if l.Window == 0 {
			planes.n += lay.layers[i][0].n
			strips.n += lay.layers[i][1].n
		}
	}
	return []span{planes, strips}
}

// A block without the planes of windowed layers takes more room where it is read than it has in the archive: at most so much of them is
// left out.
const (
	maxLeftOut      = 64 << 10 // bytes, or
	maxLeftOutTimes = 32       // times the payload that is there
)

// leavesOut reports whether a FULL block of this layout may stand in an archive without the planes of windowed layers.
func (lay *layout) leavesOut() bool {
	there := 0
	for _, s := range lay.blockParts(BlockTokens, false) {
		there += s.n
	}
	return lay.window > 0 && lay.payloadBytes-there <= max(maxLeftOut, maxLeftOutTimes*there)
}

// writeBlock writes a block of the path whose next parent is given, and returns its path hash. Planes of windowed layers that are not
// there become zeros in payload.
func (a *archiveWriter) writeBlock(lay *layout, parent *Hash, firstPos int, ids []int32, payload []byte, windows bool) (Hash, error) {
	le := binary.LittleEndian
	h := pathHash(parent, ids)
	b := make([]byte, 0, archiveBlockHead+4*len(ids)+4*len(lay.layers))
	b = le.AppendUint32(b, uint32(firstPos))
	flags := byte(flagWindowPlanes)
	if !windows {
		flags = 0
		lay.clearWindows(payload)
	}
	b = append(le.AppendUint16(b, uint16(len(ids))), flags, 0)
	b = appendIDs(append(b, h[:]...), ids)
	for layer := range lay.layers {
		b = le.AppendUint32(b, lay.layerCRC(payload, len(ids), &h, noSlot, layer))
	}
	parts := [][]byte{b}
	for _, s := range lay.blockParts(len(ids), windows) {
		parts = append(parts, payload[s.off:s.off+s.n])
	}
	return h, a.section(tagBlock, parts...)
}

// archivePath reads the blocks of an archive in their order, and checks that they are one path.
type archivePath struct {
	lay   *layout
	fp    Fingerprint
	last  Hash    // path hash of the block before, or the root
	ids   []int32 // of the path as far as it is known: of the conversation, or of the blocks so far
	grows bool    // the blocks say what the path is
	n     int     // tokens of the blocks so far
	buf   []byte  // a slot; outside the Go heap, and not more of it in memory than was read
	dirty bool    // buf has windowed planes
}

func (p *archivePath) close() {
	if p.buf != nil {
		_ = platform.Unmap(p.buf) // fails only for a slice that is not a mapping of ours
		p.buf = nil
	}
}

// next reads the block section that is open.
func (p *archivePath) next(a *archiveReader) (*archiveBlock, error) {
	le := binary.LittleEndian
	var head [archiveBlockHead]byte
	if err := a.read(head[:]); err != nil {
		return nil, err
	}
	b := &archiveBlock{firstPos: int(le.Uint32(head[:])), hash: Hash(head[8:]), windows: head[6]&flagWindowPlanes != 0}
	n := int(le.Uint16(head[4:]))
	switch {
	case head[6] != flagWindowPlanes && (head[6] != 0 || n != BlockTokens || !p.lay.leavesOut()):
		return nil, a.errorf("flags %#x, want %#x, or 0 for 64 tokens of which windowed layers have not too much", head[6], flagWindowPlanes)
	case n < 1 || n > BlockTokens:
		return nil, a.errorf("%d tokens, want 1 to %d", n, BlockTokens)
	case b.firstPos != p.n || b.firstPos > maxArchivePosition:
		return nil, a.errorf("first position %d, want %d", b.firstPos, p.n)
	case p.n%BlockTokens != 0:
		return nil, a.errorf("a block behind one that is not full")
	}
	parts, want := p.lay.blockParts(n, b.windows), uint64(4*n+4*len(p.lay.layers))
	for _, s := range parts {
		want += uint64(s.n)
	}
	if a.left != want {
		return nil, a.errorf("%d bytes, want %d for %d tokens of %d layers", a.left+archiveBlockHead, want+archiveBlockHead, n, len(p.lay.layers))
	}
	fixed := make([]byte, 4*n+4*len(p.lay.layers))
	if err := a.read(fixed); err != nil {
		return nil, err
	}
	b.ids = (&payload{b: fixed}).ids(make([]int32, 0, n), n)
	if err := p.check(a, b); err != nil {
		return nil, err
	}
	if p.buf == nil {
		buf, err := p.lay.newBuffer()
		if err != nil {
			return nil, err
		}
		p.buf = buf
	}
	b.payload = p.buf[:n*p.lay.tokenBytes]
	for _, s := range parts {
		for rest := b.payload[s.off : s.off+s.n]; len(rest) > 0; {
			piece := rest[:min(len(rest), 1<<20)]
			if err := a.read(piece); err != nil {
				return nil, err
			}
			rest = rest[len(piece):]
		}
	}
	if err := a.end(); err != nil {
		return nil, err
	}
	if !b.windows && p.dirty {
		p.lay.clearWindows(b.payload)
	}
	p.dirty = b.windows
	for layer := range p.lay.layers {
		got, want := p.lay.layerCRC(b.payload, n, &b.hash, noSlot, layer), le.Uint32(fixed[4*n+4*layer:])
		if got != want {
			return nil, a.errorf("layer %d: checksum %08x, want %08x", layer, want, got)
		}
	}
	p.last, p.n = b.hash, p.n+n
	return b, nil
}

// check compares the ids of a block with the path that is known, and its hash with the chain.
func (p *archivePath) check(a *archiveReader, b *archiveBlock) error {
	if p.grows {
		for i, id := range b.ids {
			if id < 0 {
				return a.errorf("token %d is %d", b.firstPos+i, id)
			}
		}
		p.ids = append(p.ids, b.ids...)
	} else if n := commonPrefix(p.ids[min(b.firstPos, len(p.ids)):], b.ids); n < len(b.ids) {
		return a.errorf("token %d is %d, which is not the conversation's", b.firstPos+n, b.ids[n])
	}
	if want := pathHash(&p.last, b.ids); b.hash != want {
		return a.errorf("path hash %x..., want %x...", b.hash[:8], want[:8])
	}
	return nil
}
