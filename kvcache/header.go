package kvcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Sizes and values of FORMAT.md, sections 4 to 6: part of the disk format.
const (
	headerBytes      = 4096
	headerTableOff   = 64 << 10
	superblockCopy   = headerTableOff - headerBytes
	maxSlots         = 4096
	maxMetaBytes     = 2 << 20
	metaFixedBytes   = 88
	formatMajor      = 1
	formatMinor      = 0
	endianMark       = 0x01020304
	crcOff           = headerBytes - 4
	headerIDsOff     = 128
	headerCRCsOff    = 1024
	segmentKindKV    = 1
	segmentKindState = 2
	slotMagic        = "KVSLOT1\n"
	segmentMagic     = "KVSEG1\r\n"
	metaMagic        = "KVMETA1\n"
	slotVersion      = 1
	flagsOff         = 11
	flagWindowPlanes = 1
	flagKeep         = 2
)

// The kinds of slots.
const (
	kindFull   = 1
	kindPacked = 2
	kindState  = 3
)

// errHeader: a slot header that is not one of a block of this segment. An unused slot is the usual case.
var errHeader = errors.New("no valid slot header")

// errSegment: a file that is not a usable segment of this namespace.
var errSegment = errors.New("unusable segment")

// errVersion: a file that a later program has made. It is neither used nor changed.
var errVersion = errors.New("of another version")

// slotHeader is the decoded header of a slot.
type slotHeader struct {
	kind     uint8
	flags    uint8
	slot     uint32
	firstPos uint32
	seq      uint64
	uuid     [16]byte
	parent   Hash
	hash     Hash
	ids      []int32
	crcs     []uint32
}

// before says whether h is kept of two headers with one path hash (rule R6).
func (h *slotHeader) before(other *slotHeader) bool {
	if windows := h.flags & flagWindowPlanes; windows != other.flags&flagWindowPlanes {
		return windows != 0
	}
	return h.seq > other.seq
}

// encode writes the header to b (headerBytes), payloadBytes as the layout says.
func (h *slotHeader) encode(b []byte, lay *layout) {
	le := binary.LittleEndian
	clear(b)
	copy(b, slotMagic)
	le.PutUint16(b[8:], slotVersion)
	b[10], b[11] = h.kind, h.flags
	le.PutUint16(b[12:], uint16(len(h.ids)))
	le.PutUint16(b[14:], uint16(len(h.crcs)))
	copy(b[16:], h.uuid[:])
	le.PutUint32(b[32:], h.slot)
	le.PutUint32(b[36:], h.firstPos)
	le.PutUint64(b[40:], h.seq)
	le.PutUint64(b[48:], uint64(lay.payloadOf(len(h.ids))))
	copy(b[64:], h.parent[:])
	copy(b[96:], h.hash[:])
	for i, id := range h.ids {
		le.PutUint32(b[headerIDsOff+4*i:], uint32(id))
	}
	for i, c := range h.crcs {
		le.PutUint32(b[headerCRCsOff+4*i:], c)
	}
	le.PutUint32(b[crcOff:], headerCRC(b))
}

// headerCRC is the checksum of a slot header as if its windowed planes were present and not kept for others: the two flags can
// change by a write of one byte, which no crash can tear.
func headerCRC(b []byte) uint32 {
	crc := crc32.Checksum(b[:flagsOff], castagnoli)
	crc = crc32.Update(crc, castagnoli, []byte{b[flagsOff]&^flagKeep | flagWindowPlanes})
	return crc32.Update(crc, castagnoli, b[flagsOff+1:crcOff])
}

// decodeSlotHeader applies rule R5 to the header at b (headerBytes). It allocates only after all checks.
func decodeSlotHeader(b []byte, lay *layout, uuid [16]byte, slot uint32) (*slotHeader, error) {
	le := binary.LittleEndian
	if string(b[:8]) != slotMagic {
		return nil, errHeader
	}
	if got, want := le.Uint32(b[crcOff:]), headerCRC(b); got != want {
		return nil, fmt.Errorf("%w: checksum %08x, want %08x", errHeader, got, want)
	}
	n := int(le.Uint16(b[12:]))
	h := slotHeader{kind: b[10], flags: b[11], slot: le.Uint32(b[32:]), firstPos: le.Uint32(b[36:]), seq: le.Uint64(b[40:])}
	copy(h.uuid[:], b[16:])
	copy(h.parent[:], b[64:])
	copy(h.hash[:], b[96:])
	switch {
	case le.Uint16(b[8:]) != slotVersion:
		return nil, fmt.Errorf("%w: version %d, want %d", errHeader, le.Uint16(b[8:]), slotVersion)
	case h.uuid != uuid || h.slot != slot:
		return nil, fmt.Errorf("%w: of another slot: %d, want %d", errHeader, h.slot, slot)
	case int(le.Uint16(b[14:])) != len(lay.layers):
		return nil, fmt.Errorf("%w: %d layers, want %d", errHeader, le.Uint16(b[14:]), len(lay.layers))
	case !lay.holds(h.kind, n):
		return nil, fmt.Errorf("%w: kind %d with %d tokens", errHeader, h.kind, n)
	case h.flags&flagWindowPlanes == 0 && (lay.window == 0 || h.kind != kindFull):
		return nil, fmt.Errorf("%w: windowed planes absent from a block of kind %d in a recipe whose widest window is %d", errHeader, h.kind, lay.window)
	case h.firstPos%BlockTokens != 0 || h.firstPos > 1<<31-1-BlockTokens:
		return nil, fmt.Errorf("%w: first position %d", errHeader, h.firstPos)
	case le.Uint64(b[48:]) != uint64(lay.payloadOf(n)):
		return nil, fmt.Errorf("%w: payload of %d bytes, want %d", errHeader, le.Uint64(b[48:]), lay.payloadOf(n))
	}
	h.ids = make([]int32, n)
	for i := range h.ids {
		h.ids[i] = int32(le.Uint32(b[headerIDsOff+4*i:]))
	}
	if lay.chain(&h.parent, h.ids) != h.hash {
		return nil, fmt.Errorf("%w: path hash does not follow from parent and ids", errHeader)
	}
	h.crcs = make([]uint32, len(lay.layers))
	for i := range h.crcs {
		h.crcs[i] = le.Uint32(b[headerCRCsOff+4*i:])
	}
	return &h, nil
}

// layerCRC computes the checksum of one layer of a payload of n tokens (64: FULL, in slot layout; fewer: PACKED).
func (lay *layout) layerCRC(payload []byte, n int, path *Hash, slot uint32, layer int) uint32 {
	var seed [16]byte
	copy(seed[:8], path[:8])
	binary.LittleEndian.PutUint32(seed[8:], slot)
	binary.LittleEndian.PutUint32(seed[12:], uint32(layer))
	crc := crc32.Checksum(seed[:], castagnoli)
	if n == BlockTokens {
		for _, s := range lay.layers[layer] {
			crc = crc32.Update(crc, castagnoli, payload[s.off:s.off+s.n])
		}
		return crc
	}
	for t := range n {
		token := payload[t*lay.tokenBytes:][:lay.tokenBytes]
		for _, s := range lay.layers[layer] {
			crc = crc32.Update(crc, castagnoli, token[s.off/BlockTokens:][:s.n/BlockTokens])
		}
	}
	return crc
}

// checkPayload compares the layer checksums of a payload of n tokens, those of windowed layers only if windows says that their
// planes should be there, and returns whether they are. Of a FULL block that may be false without an error, which wraps errDamaged and
// names segment and slot.
func (lay *layout) checkPayload(payload []byte, n int, path *Hash, slot uint32, crcs []uint32, segment string, windows bool) (bool, error) {
	for layer, want := range crcs {
		windowed := n == BlockTokens && lay.geometry.Layers[layer].Window > 0
		if windowed && !windows {
			continue
		}
		if got := lay.layerCRC(payload, n, path, slot, layer); got != want && windowed {
			windows = false
		} else if got != want {
			return false, fmt.Errorf("%s slot %d: %w: layer %d checksum %08x, want %08x", segment, slot, errDamaged, layer, got, want)
		}
	}
	return windows, nil
}

// superblock is the decoded head of a segment.
type superblock struct {
	uuid      [16]byte
	fp        Fingerprint
	recipe    Hash
	slotCount int
	created   int64
}

// dataOff returns where the slots begin.
func dataOff(slotCount int) int64 {
	return (headerTableOff + int64(slotCount)*headerBytes + slotAlign - 1) / slotAlign * slotAlign
}

// segmentBytes returns the size of a segment file.
func segmentBytes(lay *layout, slotCount int) int64 {
	return dataOff(slotCount) + int64(slotCount)*int64(lay.slotBytes)
}

func (s *superblock) encode(b []byte, lay *layout) {
	le := binary.LittleEndian
	clear(b)
	copy(b, segmentMagic)
	le.PutUint16(b[8:], formatMajor)
	le.PutUint16(b[10:], formatMinor)
	le.PutUint32(b[12:], endianMark)
	copy(b[16:], s.uuid[:])
	copy(b[32:], s.fp[:])
	copy(b[64:], s.recipe[:])
	le.PutUint64(b[96:], uint64(lay.slotBytes))
	le.PutUint32(b[104:], uint32(s.slotCount))
	le.PutUint32(b[108:], headerBytes)
	le.PutUint64(b[112:], headerTableOff)
	le.PutUint64(b[120:], uint64(dataOff(s.slotCount)))
	le.PutUint64(b[128:], uint64(lay.payloadBytes))
	le.PutUint64(b[136:], uint64(s.created))
	b[144] = lay.kind
	le.PutUint32(b[crcOff:], crc32.Checksum(b[:crcOff], castagnoli))
}

// decodeSuperblock applies rule R4, the size of the file included.
func decodeSuperblock(b []byte, lay *layout, fp Fingerprint, fileBytes int64) (*superblock, error) {
	le := binary.LittleEndian
	if string(b[:8]) != segmentMagic {
		return nil, fmt.Errorf("%w: magic %q", errSegment, b[:8])
	}
	if got, want := le.Uint32(b[crcOff:]), crc32.Checksum(b[:crcOff], castagnoli); got != want {
		return nil, fmt.Errorf("%w: superblock checksum %08x, want %08x", errSegment, got, want)
	}
	s := superblock{created: int64(le.Uint64(b[136:]))}
	copy(s.uuid[:], b[16:])
	copy(s.fp[:], b[32:])
	copy(s.recipe[:], b[64:])
	count := le.Uint32(b[104:])
	if count < 1 || count > maxSlots {
		return nil, fmt.Errorf("%w: %d slots, want 1 to %d", errSegment, count, maxSlots)
	}
	s.slotCount = int(count)
	for _, f := range []struct {
		name      string
		got, want uint64
	}{
		{"major", uint64(le.Uint16(b[8:])), formatMajor},
		{"endian mark", uint64(le.Uint32(b[12:])), endianMark},
		{"slot bytes", le.Uint64(b[96:]), uint64(lay.slotBytes)},
		{"header stride", uint64(le.Uint32(b[108:])), headerBytes},
		{"header table offset", le.Uint64(b[112:]), headerTableOff},
		{"data offset", le.Uint64(b[120:]), uint64(dataOff(s.slotCount))},
		{"payload bytes", le.Uint64(b[128:]), uint64(lay.payloadBytes)},
		{"kind", uint64(b[144]), uint64(lay.kind)},
		{"file size", uint64(fileBytes), uint64(segmentBytes(lay, s.slotCount))},
	} {
		if f.got != f.want {
			err := fmt.Errorf("%w: %s %d, want %d", errSegment, f.name, f.got, f.want)
			if f.name == "major" {
				err = fmt.Errorf("%w: %w", errVersion, err)
			}
			return nil, err
		}
	}
	if s.fp != fp || s.recipe != lay.recipeHash {
		return nil, fmt.Errorf("%w: made for another model or recipe", errSegment)
	}
	return &s, nil
}

// encodeMeta returns the META file.
func encodeMeta(lay *layout, fp Fingerprint, inputs []byte) []byte {
	le := binary.LittleEndian
	b := make([]byte, metaFixedBytes, metaFixedBytes+len(lay.recipe)+len(inputs)+4)
	copy(b, metaMagic)
	le.PutUint16(b[8:], formatMajor)
	le.PutUint16(b[10:], formatMinor)
	le.PutUint32(b[12:], uint32(cap(b)))
	copy(b[16:], fp[:])
	copy(b[48:], lay.recipeHash[:])
	le.PutUint32(b[80:], uint32(len(lay.recipe)))
	le.PutUint32(b[84:], uint32(len(inputs)))
	b = append(append(b, lay.recipe...), inputs...)
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeMeta applies rule R3 to the bytes of META and returns the fingerprint, the recipe and the inputs.
func decodeMeta(b []byte) (fp Fingerprint, recipe, inputs []byte, err error) {
	le := binary.LittleEndian
	if len(b) < metaFixedBytes+4 || string(b[:8]) != metaMagic {
		return fp, nil, nil, fmt.Errorf("META: %w: no magic in %d bytes", errSegment, len(b))
	}
	if major := le.Uint16(b[8:]); major != formatMajor {
		return fp, nil, nil, fmt.Errorf("META: %w: %w: major version %d, want %d", errVersion, errSegment, major, formatMajor)
	}
	nRecipe, nInputs := uint64(le.Uint32(b[80:])), uint64(le.Uint32(b[84:]))
	if want := metaFixedBytes + nRecipe + nInputs + 4; uint64(len(b)) != want || uint64(le.Uint32(b[12:])) != want {
		return fp, nil, nil, fmt.Errorf("META: %w: %d bytes, want %d", errSegment, len(b), want)
	}
	body := b[:len(b)-4]
	if got, want := le.Uint32(b[len(body):]), crc32.Checksum(body, castagnoli); got != want {
		return fp, nil, nil, fmt.Errorf("META: %w: checksum %08x, want %08x", errSegment, got, want)
	}
	copy(fp[:], b[16:])
	recipe, inputs = body[metaFixedBytes:metaFixedBytes+nRecipe], body[metaFixedBytes+nRecipe:]
	if recipeHash(recipe) != Hash(b[48:80]) {
		return fp, nil, nil, fmt.Errorf("META: %w: the recipe is not that of the recipe hash", errSegment)
	}
	return fp, recipe, inputs, nil
}
