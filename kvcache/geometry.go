package kvcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"kvasir/quant"
)

// These constants are part of the disk format.
const (
	// BlockTokens is the number of positions in a block.
	BlockTokens = 64

	maxLayers   = 512
	slotAlign   = 16 << 10
	holeAlign   = 4 << 10
	recipeBytes = 16 // of one layer in the recipe
	stateRecipe = 8  // of the state behind the layers, where there is one
)

// Bounds on what a block may be, and on what a recipe of some KiB makes the program allocate.
const (
	maxSlotBytes = 1 << 30
	maxKVHeads   = 1 << 16 // of all layers together
)

// MaxReserve is the largest n of Sequence.Reserve.
const MaxReserve = 512

// ErrGeometry: the geometry is empty, too large, or has a format that cannot be stored.
var ErrGeometry = errors.New("unusable kv geometry")

// Side tells keys from values.
type Side uint8

// The two sides of a layer.
const (
	K Side = 0
	V Side = 1
)

func (s Side) String() string { return [...]string{"K", "V"}[s&1] }

// Layer is what a block holds of one attention layer.
type Layer struct {
	NKVHeads, HeadDim int
	K, V              quant.KVFormat
	Window            int // tokens a position sees, itself included; 0 = all
}

// Geometry is what a block holds: its layers in the model's order. A model with recurrent layers also has a state behind each token,
// of which snapshots are kept here and there (Sequence.PutState).
type Geometry struct {
	Layers     []Layer
	StateBytes int // of a snapshot; 0: the model has no state
}

// plane locates the planes and strips of one layer and side in a slot.
type plane struct {
	off, stride           int // first head's rows; distance to the next head's
	rowsBytes             int // of one plane: 64 rows
	scaleOff, scaleStride int // first head's strip; stride 0 without scales
	headDim               int
	format                quant.KVFormat
	windowed              bool // of a layer with a window
}

// unit is one plane or strip: 64 elements of elemBytes bytes at off.
type unit struct{ off, elemBytes int }

// span is a range of bytes in a slot.
type span struct{ off, n int }

// layout is the geometry with all offsets worked out (FORMAT.md, section 6).
type layout struct {
	geometry     Geometry
	planes       []plane   // [layer*2 + side]
	units        []unit    // ascending offsets, no gaps: together the payload
	layers       [][2]span // per layer: planes, strips
	payloadBytes int       // of a FULL block
	tokenBytes   int       // payloadBytes / 64: one token in a PACKED block
	slotBytes    int
	storable     bool // no format that exists in memory only
	window       int  // the widest window in tokens; 0: no layer has one
	hole         span // of a slot: whole pages of windowed layers' planes, which can be given back
	recipe       []byte
	recipeHash   Hash
	kind         uint8   // of its segments
	state        *layout // of the slots of snapshots: one layer that is the snapshot; nil: the model has no state
}

// newLayout checks g and computes where everything is.
func newLayout(g Geometry) (*layout, error) {
	if len(g.Layers) == 0 || len(g.Layers) > maxLayers {
		return nil, fmt.Errorf("%w: %d layers, want 1 to %d", ErrGeometry, len(g.Layers), maxLayers)
	}
	lay := &layout{
		geometry: Geometry{Layers: slices.Clone(g.Layers), StateBytes: g.StateBytes},
		kind:     segmentKindKV,
		planes:   make([]plane, 2*len(g.Layers)),
		layers:   make([][2]span, len(g.Layers)),
		storable: true,
	}
	var total int64
	nHeads := 0
	for i, l := range g.Layers {
		if l.NKVHeads < 1 || l.NKVHeads > 1<<16-1 || l.HeadDim < 1 || l.HeadDim > 1<<16-1 || l.Window < 0 || int64(l.Window) > 1<<32-1 {
			return nil, fmt.Errorf("%w: layer %d: %d kv heads of %d values, window %d", ErrGeometry, i, l.NKVHeads, l.HeadDim, l.Window)
		}
		for _, f := range []quant.KVFormat{l.K, l.V} {
			switch f {
			case quant.KVInt8, quant.KVF16:
			case quant.KVF32:
				lay.storable = false
			default:
				return nil, fmt.Errorf("%w: layer %d: row format %d", ErrGeometry, i, f)
			}
			total += int64(l.NKVHeads) * int64(f.RowBytes(l.HeadDim)+f.ScaleBytes()) * BlockTokens
		}
		if nHeads += l.NKVHeads; nHeads > maxKVHeads {
			return nil, fmt.Errorf("%w: %d kv heads in %d layers, want at most %d", ErrGeometry, nHeads, i+1, maxKVHeads)
		}
		if total > maxSlotBytes {
			return nil, fmt.Errorf("%w: more than %d bytes per block", ErrGeometry, maxSlotBytes)
		}
	}
	if g.StateBytes < 0 || g.StateBytes > maxSlotBytes {
		return nil, fmt.Errorf("%w: state of %d bytes, want at most %d", ErrGeometry, g.StateBytes, maxSlotBytes)
	}
	lay.place()
	lay.recipe = lay.encodeRecipe()
	lay.recipeHash = recipeHash(lay.recipe)
	if g.StateBytes > 0 {
		lay.state = lay.stateLayout()
	}
	return lay, nil
}

// stateLayout is the layout of the slots of snapshots.
func (lay *layout) stateLayout() *layout {
	bytes := lay.geometry.StateBytes
	return &layout{
		geometry:     Geometry{Layers: make([]Layer, 1)},
		layers:       [][2]span{{{0, bytes}, {}}},
		payloadBytes: bytes,
		slotBytes:    (bytes + slotAlign - 1) / slotAlign * slotAlign,
		recipeHash:   lay.recipeHash,
		kind:         segmentKindState,
	}
}

// payloadOf returns the bytes of a payload of n tokens.
func (lay *layout) payloadOf(n int) int {
	if lay.kind == segmentKindState {
		return lay.payloadBytes
	}
	return n * lay.tokenBytes
}

// holds reports whether its segments have slots of a kind with n tokens.
func (lay *layout) holds(kind uint8, n int) bool {
	switch kind {
	case kindFull:
		return lay.kind == segmentKindKV && n == BlockTokens
	case kindPacked:
		return lay.kind == segmentKindKV && n >= 1 && n < BlockTokens
	case kindState:
		return lay.kind == segmentKindState && n >= 0 && n < BlockTokens
	}
	return false
}

// chain is the hash of what follows parent with these ids.
func (lay *layout) chain(parent *Hash, ids []int32) Hash {
	if lay.kind == segmentKindState {
		return stateHash(parent, ids)
	}
	return pathHash(parent, ids)
}

// place assigns offsets: planes layer by layer in store order, then strips likewise.
func (lay *layout) place() {
	off := 0
	order := lay.storeOrder()
	for _, i := range order {
		l := lay.geometry.Layers[i]
		k, v := &lay.planes[2*i], &lay.planes[2*i+1]
		*k = plane{headDim: l.HeadDim, format: l.K, rowsBytes: BlockTokens * l.K.RowBytes(l.HeadDim)}
		*v = plane{headDim: l.HeadDim, format: l.V, rowsBytes: BlockTokens * l.V.RowBytes(l.HeadDim)}
		k.off, k.stride = off, k.rowsBytes+v.rowsBytes
		v.off, v.stride = off+k.rowsBytes, k.stride
		k.windowed, v.windowed = l.Window > 0, l.Window > 0
		lay.layers[i][0] = span{off, l.NKVHeads * k.stride}
		if l.Window > 0 && lay.window == 0 {
			lay.hole.off = off
		}
		lay.window = max(lay.window, l.Window)
		for h := range l.NKVHeads {
			for _, p := range []*plane{k, v} {
				lay.units = append(lay.units, unit{p.off + h*p.stride, p.rowsBytes / BlockTokens})
			}
		}
		off += l.NKVHeads * k.stride
	}
	if lay.window > 0 {
		first := (lay.hole.off + holeAlign - 1) / holeAlign * holeAlign
		lay.hole = span{first, max(off/holeAlign*holeAlign-first, 0)}
	}
	for _, i := range order {
		first := off
		for side := range 2 {
			p := &lay.planes[2*i+side]
			p.scaleOff, p.scaleStride = off, BlockTokens*p.format.ScaleBytes()
			if p.scaleStride == 0 {
				continue
			}
			for h := range lay.geometry.Layers[i].NKVHeads {
				lay.units = append(lay.units, unit{off + h*p.scaleStride, p.format.ScaleBytes()})
			}
			off += lay.geometry.Layers[i].NKVHeads * p.scaleStride
		}
		lay.layers[i][1] = span{first, off - first}
	}
	lay.payloadBytes = off
	lay.tokenBytes = off / BlockTokens
	lay.slotBytes = (off + slotAlign - 1) / slotAlign * slotAlign
}

// storeOrder lists the layers, the global ones first.
func (lay *layout) storeOrder() []int {
	var global, windowed []int
	for i, l := range lay.geometry.Layers {
		if l.Window == 0 {
			global = append(global, i)
		} else {
			windowed = append(windowed, i)
		}
	}
	return append(global, windowed...)
}

// encodeRecipe writes the recipe bytes of FORMAT.md, section 4.
func (lay *layout) encodeRecipe() []byte {
	le := binary.LittleEndian
	b := make([]byte, 4+recipeBytes*len(lay.geometry.Layers), 4+recipeBytes*len(lay.geometry.Layers)+stateRecipe)
	le.PutUint16(b, uint16(len(lay.geometry.Layers)))
	for place, i := range lay.storeOrder() {
		l, e := lay.geometry.Layers[i], b[4+recipeBytes*i:]
		le.PutUint16(e[0:], uint16(l.NKVHeads))
		le.PutUint16(e[2:], uint16(l.HeadDim))
		e[4], e[5] = byte(l.K), byte(l.V)
		le.PutUint16(e[6:], uint16(place))
		le.PutUint32(e[8:], uint32(l.Window))
	}
	if lay.geometry.StateBytes > 0 {
		b = le.AppendUint32(le.AppendUint32(b, uint32(lay.geometry.StateBytes)), 0)
	}
	return b
}

// pack writes the first n tokens of a slot, token-major, to dst (n*tokenBytes).
func (lay *layout) pack(dst, slot []byte, n int) {
	for _, u := range lay.units {
		at := u.off / BlockTokens
		for t := range n {
			copy(dst[t*lay.tokenBytes+at:][:u.elemBytes], slot[u.off+t*u.elemBytes:])
		}
	}
}

// unpack is the inverse of pack for the first n tokens of src.
func (lay *layout) unpack(slot, src []byte, n int) {
	for _, u := range lay.units {
		at := u.off / BlockTokens
		for t := range n {
			copy(slot[u.off+t*u.elemBytes:][:u.elemBytes], src[t*lay.tokenBytes+at:])
		}
	}
}

// clearWindows makes the rows of windowed layers of a FULL block zeros.
func (lay *layout) clearWindows(payload []byte) {
	for layer, l := range lay.geometry.Layers {
		for _, s := range lay.layers[layer] {
			if l.Window > 0 {
				clear(payload[s.off : s.off+s.n])
			}
		}
	}
}

// copyRows copies the first n tokens from one slot to another.
func (lay *layout) copyRows(dst, src []byte, n int) {
	for _, u := range lay.units {
		copy(dst[u.off:][:n*u.elemBytes], src[u.off:])
	}
}
