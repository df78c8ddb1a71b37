package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"kvasir/quant"
)

// KV is a metadata entry to write. Value is a bool, string, float32, float64 or sized integer, a slice of one of
// these, a Strings, or a Value of a parsed file.
type KV struct {
	Key   string
	Value any
}

// TensorData is a tensor to write: its data, or a function that writes exactly the bytes that Type and Dims ask for,
// so that a file larger than memory can be made.
type TensorData struct {
	Name string
	Type quant.Type
	Dims []uint64 // innermost first
	Data []byte
	Fill func(w io.Writer) error // used if Data is nil
}

// Write writes a GGUF file of version 3, entries and tensors in the order given, data aligned to general.alignment if
// kv has it, else to 32 bytes, and the last tensor's data padded like the others'. It returns the bytes written.
// What Parse would not read is refused with its error before the first byte is written.
func Write(w io.Writer, kv []KV, tensors []TensorData) (int64, error) {
	p, err := plan(kv, tensors)
	if err != nil {
		return 0, err
	}
	out := &countingWriter{w: w}
	if _, err := out.Write(p.head); err != nil {
		return out.n, err
	}
	zeros := make([]byte, p.align)
	for i, t := range tensors {
		start := out.n
		if t.Data != nil || t.Fill == nil {
			_, err = out.Write(t.Data)
		} else {
			err = t.Fill(out)
		}
		if err != nil {
			return out.n, fmt.Errorf("write %s: %w", tensorField(t.Name), err)
		}
		if n := uint64(out.n - start); n != p.sizes[i] {
			return out.n, fmt.Errorf("write %s: got %d bytes of data, expected %d", tensorField(t.Name), n, p.sizes[i])
		}
		pad := -p.sizes[i] & (p.align - 1)
		if _, err := out.Write(zeros[:pad]); err != nil {
			return out.n, err
		}
	}
	return out.n, nil
}

// WrittenBytes returns how many bytes Write writes for these arguments.
func WrittenBytes(kv []KV, tensors []TensorData) (int64, error) {
	p, err := plan(kv, tensors)
	return int64(len(p.head)) + int64(p.dataBytes), err
}

type writePlan struct {
	head      []byte // header, metadata, directory, padding
	sizes     []uint64
	align     uint64
	dataBytes uint64
}

// plan lays the file out and reads its head back with the parser's own functions, so that what is written can be read.
func plan(kv []KV, tensors []TensorData) (p writePlan, err error) {
	le := binary.LittleEndian
	b := append([]byte(nil), magic...)
	b = le.AppendUint32(b, 3)
	b = le.AppendUint64(b, uint64(len(tensors)))
	b = le.AppendUint64(b, uint64(len(kv)))
	for _, e := range kv {
		b = appendString(b, e.Key)
		if b, err = appendValue(b, e.Value); err != nil {
			return p, fmt.Errorf("write %s: %w", keyField(e.Key), err)
		}
	}
	// The metadata read back: what stands there decides, whatever Go type it came from.
	meta := newCursor(b[headerBytes:])
	entries, index, err := readKeys(meta, len(kv))
	if err != nil {
		return p, err
	}
	p.align = defaultAlign
	if i, ok := index["general.alignment"]; ok {
		e := entries[i]
		e.value.raw = string(meta.b[e.start:e.end])
		if p.align, err = checkAlignment(e.value); err != nil {
			return p, err
		}
	}
	for _, t := range tensors {
		size, class, msg := dataBytes(t.Type, t.Dims)
		if class != 0 {
			return p, &Error{Class: class, Offset: -1, Field: tensorField(t.Name).String(), Msg: msg}
		}
		b = appendString(b, t.Name)
		b = le.AppendUint32(b, uint32(len(t.Dims)))
		for _, d := range t.Dims {
			b = le.AppendUint64(b, d)
		}
		b = le.AppendUint32(b, uint32(t.Type))
		b = le.AppendUint64(b, p.dataBytes)
		p.sizes = append(p.sizes, size)
		end, _ := alignUpOK(p.dataBytes+size, p.align) // layOut below bounds each offset before it can grow too far
		if p.dataBytes = end; end > maxDataOffset {
			return p, &Error{Class: ErrLimit, Offset: -1, Field: tensorField(t.Name).String(), Msg: "data section too large"}
		}
	}
	c := newCursor(b)
	_, nTensors, _, err := readHeader(c)
	if err != nil {
		return p, err
	}
	c.off = headerBytes + meta.off
	directory, _, err := readTensors(c, nTensors)
	if err != nil {
		return p, err
	}
	if _, err = layOut(directory, p.align, p.dataBytes); err != nil {
		return p, err
	}
	p.head = append(b, make([]byte, -uint64(len(b))&(p.align-1))...)
	return p, nil
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// appendValue appends type and value of x.
func appendValue(b []byte, x any) ([]byte, error) {
	le := binary.LittleEndian
	scalar := func(t ValueType) []byte { return le.AppendUint32(b, uint32(t)) }
	switch x := x.(type) {
	case string:
		return appendString(scalar(String), x), nil
	case bool:
		return appendScalar(scalar(Bool), Bool, boolBits(x)), nil
	case uint8:
		return appendScalar(scalar(Uint8), Uint8, uint64(x)), nil
	case int8:
		return appendScalar(scalar(Int8), Int8, uint64(x)), nil
	case uint16:
		return appendScalar(scalar(Uint16), Uint16, uint64(x)), nil
	case int16:
		return appendScalar(scalar(Int16), Int16, uint64(x)), nil
	case uint32:
		return appendScalar(scalar(Uint32), Uint32, uint64(x)), nil
	case int32:
		return appendScalar(scalar(Int32), Int32, uint64(x)), nil
	case uint64:
		return appendScalar(scalar(Uint64), Uint64, x), nil
	case int64:
		return appendScalar(scalar(Int64), Int64, uint64(x)), nil
	case float32:
		return appendScalar(scalar(Float32), Float32, uint64(math.Float32bits(x))), nil
	case float64:
		return appendScalar(scalar(Float64), Float64, math.Float64bits(x)), nil
	case Value:
		if size := valueTypes[x.typ].size; x.typ != String && x.typ != Array && len(x.raw) != size {
			return nil, fmt.Errorf("the zero Value is no metadata value")
		}
		return appendParsed(b, x), nil
	case Strings:
		return appendParsed(b, x.v), nil
	case []string:
		b = appendArray(b, String, len(x))
		for _, s := range x {
			b = appendString(b, s)
		}
		return b, nil
	case []bool:
		return appendScalars(b, Bool, x, boolBits), nil
	case []uint8:
		return appendScalars(b, Uint8, x, func(v uint8) uint64 { return uint64(v) }), nil
	case []int8:
		return appendScalars(b, Int8, x, func(v int8) uint64 { return uint64(v) }), nil
	case []uint16:
		return appendScalars(b, Uint16, x, func(v uint16) uint64 { return uint64(v) }), nil
	case []int16:
		return appendScalars(b, Int16, x, func(v int16) uint64 { return uint64(v) }), nil
	case []uint32:
		return appendScalars(b, Uint32, x, func(v uint32) uint64 { return uint64(v) }), nil
	case []int32:
		return appendScalars(b, Int32, x, func(v int32) uint64 { return uint64(v) }), nil
	case []uint64:
		return appendScalars(b, Uint64, x, func(v uint64) uint64 { return v }), nil
	case []int64:
		return appendScalars(b, Int64, x, func(v int64) uint64 { return uint64(v) }), nil
	case []float32:
		return appendScalars(b, Float32, x, func(v float32) uint64 { return uint64(math.Float32bits(v)) }), nil
	case []float64:
		return appendScalars(b, Float64, x, math.Float64bits), nil
	}
	return nil, fmt.Errorf("a %T is no metadata value", x)
}

func boolBits(x bool) uint64 {
	if x {
		return 1
	}
	return 0
}

func appendScalar(b []byte, t ValueType, bits uint64) []byte {
	var raw [8]byte
	binary.LittleEndian.PutUint64(raw[:], bits)
	return append(b, raw[:valueTypes[t].size]...)
}

func appendArray(b []byte, elem ValueType, n int) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(Array))
	b = binary.LittleEndian.AppendUint32(b, uint32(elem))
	return binary.LittleEndian.AppendUint64(b, uint64(n))
}

func appendScalars[T any](b []byte, elem ValueType, xs []T, bits func(T) uint64) []byte {
	b = appendArray(b, elem, len(xs))
	for _, x := range xs {
		b = appendScalar(b, elem, bits(x))
	}
	return b
}

// appendParsed appends a value as it stood in its file: raw is already in the file's form.
func appendParsed(b []byte, v Value) []byte {
	switch v.typ {
	case Array:
		b = appendArray(b, v.elem, v.n)
	case String:
		b = binary.LittleEndian.AppendUint32(b, uint32(String))
		b = binary.LittleEndian.AppendUint64(b, uint64(len(v.raw)))
	default:
		b = binary.LittleEndian.AppendUint32(b, uint32(v.typ))
	}
	return append(b, v.raw...)
}
