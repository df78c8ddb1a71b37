package quant

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"kvasir/quant/half"
)

// KVFormat is the form of one side (K or V) of a layer's rows in the KV store. A row is the HeadDim values of one
// token and one KV head. The values are part of the format on disk.
//
//	KVInt8:  hd bytes int8, and one fp16 scale in a plane beside the rows   value[i] = scale * q[i], rotated (Rotate)
//	KVF16:   2*hd bytes, little-endian binary16                             not rotated
//	KVF32:   4*hd bytes, little-endian float32; in memory only              not rotated
type KVFormat uint8

const (
	KVInt8 KVFormat = 1
	KVF16  KVFormat = 2
	KVF32  KVFormat = 3
)

// ErrKVFormat is returned for a KV format that does not exist.
var ErrKVFormat = errors.New("unknown KV format")

var kvFormats = [...]struct {
	name       string
	valueBytes int
	scaleBytes int
}{
	KVInt8: {"int8", 1, 2},
	KVF16:  {"f16", 2, 0},
	KVF32:  {"f32", 4, 0},
}

// ParseKVFormat returns the format called "int8", "f16" or "f32"; the error wraps ErrKVFormat.
func ParseKVFormat(name string) (KVFormat, error) {
	for f, format := range kvFormats {
		if name == format.name && name != "" {
			return KVFormat(f), nil
		}
	}
	return 0, fmt.Errorf("%w %.128q: want int8, f16 or f32", ErrKVFormat, name)
}

// Valid reports whether f is one of the formats.
func (f KVFormat) Valid() bool { return f >= KVInt8 && f <= KVF32 }

// String returns the name that ParseKVFormat reads, or the number of an unknown format.
func (f KVFormat) String() string {
	if !f.Valid() {
		return fmt.Sprintf("KV format %d", uint8(f))
	}
	return kvFormats[f].name
}

// RowBytes returns the bytes of one row in the row plane; 0 for an unknown format.
func (f KVFormat) RowBytes(headDim int) int {
	if !f.Valid() {
		return 0
	}
	return kvFormats[f].valueBytes * headDim
}

// ScaleBytes returns the bytes of one row in the scale plane: 2 for KVInt8, else 0.
func (f KVFormat) ScaleBytes() int {
	if !f.Valid() {
		return 0
	}
	return kvFormats[f].scaleBytes
}

// KVPlane is a view of the rows of one (layer, KV head, side) in one block of up to 64 tokens. It owns nothing: the
// bytes may be a mapping, are only read, and live as long as the store says.
type KVPlane struct {
	Format  KVFormat
	HeadDim int
	Rows    []byte // N * RowBytes, token-major
	Scales  []byte // N little-endian fp16, KVInt8 only
}

// N returns the number of rows, by the length of Rows; 0 if Format or HeadDim is not valid.
func (p KVPlane) N() int {
	if n := p.Format.RowBytes(p.HeadDim); n > 0 {
		return len(p.Rows) / n
	}
	return 0
}

// Check returns an error that wraps ErrKVFormat or ErrLength unless the planes hold whole rows, and as many scales.
func (p KVPlane) Check() error {
	if !p.Format.Valid() {
		return fmt.Errorf("kv plane: %w: %d", ErrKVFormat, uint8(p.Format))
	}
	rowBytes := p.Format.RowBytes(p.HeadDim)
	if p.HeadDim <= 0 || len(p.Rows)%rowBytes != 0 {
		return fmt.Errorf("kv plane: %w: %d bytes of %v rows of %d values", ErrLength, len(p.Rows), p.Format, p.HeadDim)
	}
	if n := len(p.Rows) / rowBytes; len(p.Scales) != n*p.Format.ScaleBytes() {
		return fmt.Errorf("kv plane: %w: %d scale bytes for %d %v rows", ErrLength, len(p.Scales), n, p.Format)
	}
	return nil
}

// DecodeRow writes row i, 0 <= i < N, to dst, which has HeadDim values. A KVInt8 row stays rotated.
func (p KVPlane) DecodeRow(dst []float32, i int) {
	row := p.Rows[i*p.Format.RowBytes(p.HeadDim):][:p.Format.RowBytes(len(dst))]
	switch p.Format {
	case KVInt8:
		scale := fp16(p.Scales[2*i:])
		for j := range dst {
			dst[j] = scale * float32(int8(row[j]))
		}
	case KVF16:
		for j := range dst {
			dst[j] = fp16(row[2*j:])
		}
	case KVF32:
		for j := range dst {
			dst[j] = math.Float32frombits(binary.LittleEndian.Uint32(row[4*j:]))
		}
	}
}

// f16Max is the largest finite binary16.
const f16Max = 65504

// EncodeKVRow writes x, one row (for KVInt8 already rotated), to row, which has f.RowBytes(len(x)) bytes, and returns
// the fp16 scale of KVInt8, 0 for the other formats. It panics on another length or an unknown format.
func EncodeKVRow(f KVFormat, row []byte, x []float32) (scale uint16) {
	if !f.Valid() || len(row) != f.RowBytes(len(x)) {
		panic(fmt.Sprintf("quant: %d values as %v to %d bytes", len(x), f, len(row)))
	}
	switch f {
	case KVInt8:
		scale, inv := kvScale(x)
		for i, v := range x {
			row[i] = byte(kvCode(v, inv))
		}
		return scale
	case KVF16:
		for i, v := range x {
			// Saturated: an infinity would turn the zero weight of a row that is not seen into NaN.
			v = max(-f16Max, min(f16Max, v))
			binary.LittleEndian.PutUint16(row[2*i:], half.FromFloat32(v))
		}
	case KVF32:
		for i, v := range x {
			binary.LittleEndian.PutUint32(row[4*i:], math.Float32bits(v))
		}
	}
	return 0
}
