package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ValueType is the type of a metadata value, as the file stores it.
type ValueType uint32

// The value types of the format.
const (
	Uint8 ValueType = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	String
	Array
	Uint64
	Int64
	Float64
	nValueTypes
)

var valueTypes = [nValueTypes]struct {
	name string
	size int // bytes of a scalar; 0: of variable size
}{
	Uint8: {"uint8", 1}, Int8: {"int8", 1}, Uint16: {"uint16", 2}, Int16: {"int16", 2},
	Uint32: {"uint32", 4}, Int32: {"int32", 4}, Float32: {"float32", 4}, Bool: {"bool", 1},
	String: {"string", 0}, Array: {"array", 0}, Uint64: {"uint64", 8}, Int64: {"int64", 8}, Float64: {"float64", 8},
}

func (t ValueType) String() string {
	if t < nValueTypes {
		return valueTypes[t].name
	}
	return "value type " + strconv.FormatUint(uint64(t), 10)
}

// Value is one metadata value. It lives on the heap and stays valid after the model is closed.
type Value struct {
	typ, elem ValueType
	n         int
	raw       string   // the value's bytes in the file; for a string without its length, for an array without its header
	ends      []uint32 // string arrays: where element i ends in raw
}

// Type returns the value's type.
func (v Value) Type() ValueType { return v.typ }

// Elem returns the type of an array's elements, and Type itself for any other value.
func (v Value) Elem() ValueType {
	if v.typ == Array {
		return v.elem
	}
	return v.typ
}

// Len returns the number of elements; 1 for a value that is no array.
func (v Value) Len() int { return v.n }

// Bytes returns the size of the value in the file, without its key and type.
func (v Value) Bytes() int {
	switch v.typ {
	case String:
		return 8 + len(v.raw)
	case Array:
		return 12 + len(v.raw)
	}
	return len(v.raw)
}

// describe names the type: "uint32", "array of 3 string".
func (v Value) describe() string {
	if v.typ == Array {
		return fmt.Sprintf("array of %d %s", v.n, v.elem)
	}
	return v.typ.String()
}

// Index returns element i as the Go type of the same name. It panics if i is out of range.
func (v Value) Index(i int) any {
	if i < 0 || i >= v.n {
		panic(fmt.Sprintf("gguf: index %d of %d elements", i, v.n))
	}
	t := v.Elem()
	if t == String {
		if v.typ == String {
			return v.raw
		}
		return Strings{v}.At(i)
	}
	switch bits := v.bits(i); t {
	case Uint8:
		return uint8(bits)
	case Int8:
		return int8(bits)
	case Uint16:
		return uint16(bits)
	case Int16:
		return int16(bits)
	case Uint32:
		return uint32(bits)
	case Int32:
		return int32(bits)
	case Float32:
		return math.Float32frombits(uint32(bits))
	case Bool:
		return bits != 0
	case Uint64:
		return bits
	case Int64:
		return int64(bits)
	default:
		return math.Float64frombits(bits)
	}
}

// bits returns the bits of scalar i, zero-extended.
func (v Value) bits(i int) uint64 {
	size := valueTypes[v.Elem()].size
	var b [8]byte
	copy(b[:], v.raw[i*size:(i+1)*size])
	return binary.LittleEndian.Uint64(b[:])
}

// integer returns integer element i as its sign and its bits extended to 64; false if the elements are no integers.
func (v Value) integer(i int) (bits uint64, negative, ok bool) {
	bits = v.bits(i)
	switch v.Elem() {
	case Uint8, Uint16, Uint32, Uint64:
		return bits, false, true
	case Int8:
		bits = uint64(int64(int8(bits)))
	case Int16:
		bits = uint64(int64(int16(bits)))
	case Int32:
		bits = uint64(int64(int32(bits)))
	case Int64:
	default:
		return 0, false, false
	}
	return bits, int64(bits) < 0, true
}

// String returns the value on one line of printable ASCII for people to read: strings quoted and cut, arrays as their
// length and first elements.
func (v Value) String() string {
	const show = 8
	if v.typ != Array {
		return display(v.Index(0))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s[%d] [", v.elem, v.n)
	for i := range min(v.n, show) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(display(v.Index(i)))
	}
	if v.n > show {
		b.WriteString(", ...")
	}
	b.WriteString("]")
	return b.String()
}

func display(x any) string {
	if s, ok := x.(string); ok {
		return quote(s)
	}
	return fmt.Sprint(x)
}

// Strings is an array of strings: a view of the metadata, so that a vocabulary of 150,000 tokens costs one copy of its
// bytes and one table of offsets.
type Strings struct{ v Value }

// Len returns the number of strings.
func (s Strings) Len() int { return s.v.n }

// At returns string i, without allocating. It panics if i is out of range.
func (s Strings) At(i int) string {
	start := 8
	if i > 0 {
		start += int(s.v.ends[i-1])
	}
	return s.v.raw[start:s.v.ends[i]]
}

// Slice returns all strings in one new slice; their bytes are shared.
func (s Strings) Slice() []string {
	out := make([]string, s.Len())
	for i := range out {
		out[i] = s.At(i)
	}
	return out
}
