package gguf

import (
	"fmt"

	"kvasir/quant"
)

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// Tensor is an entry of the tensor directory.
type Tensor struct {
	Name   string
	Type   quant.Type
	Dims   []uint64 // innermost (contiguous) first; empty for a single value; every one at least 1
	Offset uint64   // of the data, in bytes from File.DataOffset
	Bytes  uint64   // of the data
}

// Values returns the number of values.
func (t *Tensor) Values() uint64 {
	n := uint64(1)
	for _, d := range t.Dims {
		n *= d // bounded by maxTensorValues when the tensor was read
	}
	return n
}

// storage gives name and bytes per value of the plain types that a file may hold and that are no weights: such a
// tensor is listed, and refused where a weight is needed.
var storage = map[quant.Type]struct {
	name  string
	bytes uint64
}{24: {"I8", 1}, 25: {"I16", 2}, 26: {"I32", 4}, 27: {"I64", 8}, 28: {"F64", 8}}

// foreign names the types of GGML that kvasir cannot decode.
var foreign = map[quant.Type]string{
	4: "Q4_2, withdrawn", 5: "Q4_3, withdrawn", 9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS",
	19: "IQ1_S", 21: "IQ3_S", 22: "IQ2_S", 29: "IQ1_M", 31: "Q4_0_4_4, withdrawn", 32: "Q4_0_4_8, withdrawn",
	33: "Q4_0_8_8, withdrawn", 36: "IQ4_NL_4_4, withdrawn", 37: "IQ4_NL_4_8, withdrawn", 38: "IQ4_NL_8_8, withdrawn",
	40: "NVFP4",
}

// TypeName returns GGML's name of a tensor type, also of those that only a directory may hold, or its number.
func TypeName(t quant.Type) string {
	if s, ok := storage[t]; ok {
		return s.name
	}
	return t.String()
}

// dataBytes returns the bytes of a tensor of type t, or the reason why there is no such tensor.
func dataBytes(t quant.Type, dims []uint64) (uint64, Class, string) {
	s, plain := storage[t]
	if !t.Known() && !plain {
		if name, ok := foreign[t]; ok {
			return 0, ErrUnsupported, sprintf("type %d (%s) cannot be read", uint32(t), name)
		}
		return 0, ErrUnsupported, sprintf("unknown type %d", uint32(t))
	}
	if len(dims) > maxDims {
		return 0, ErrLimit, sprintf("%d dimensions, at most %d allowed", len(dims), maxDims)
	}
	values, row := uint64(1), uint64(1)
	for i, d := range dims {
		if d == 0 {
			// Stricter than others, which divide by it later.
			return 0, ErrFormat, sprintf("dimension %d is 0", i)
		}
		var ok bool
		if values, ok = mulOK(values, d); d > maxDim || !ok || values > maxTensorValues {
			return 0, ErrLimit, sprintf("dimensions %d, at most %d each and %d values allowed", dims, uint64(maxDim), uint64(maxTensorValues))
		}
	}
	if len(dims) > 0 {
		row = dims[0]
	}
	if plain {
		return values * s.bytes, 0, "" // at most 2^47
	}
	g := t.Geometry()
	if row%uint64(g.BlockSize) != 0 {
		return 0, ErrFormat, sprintf("rows of %d values, %s needs a multiple of %d", row, t, g.BlockSize)
	}
	return values / uint64(g.BlockSize) * uint64(g.BlockBytes), 0, "" // at most 2^46
}

// readTensors reads n entries of the directory. Offsets are judged by layOut, once the data section's start is known.
func readTensors(c *cursor, n int) ([]Tensor, map[string]int, error) {
	tensors := make([]Tensor, 0, n)
	index := make(map[string]int, n)
	slab := make([]uint64, 0, min(uint64(n)*maxDims, c.remaining()/8))
	for i := range n {
		at := c.off
		_, b, err := c.str(maxNameBytes, place{"name of tensor", "", i})
		if err != nil {
			return nil, nil, err
		}
		t := Tensor{Name: string(b)}
		if msg := checkName(t.Name); msg != "" {
			return nil, nil, c.fail(at, ErrFormat, place{"tensor", "", i}, "%s: %s", quote(t.Name), msg)
		}
		field := tensorField(t.Name)
		if _, twice := index[t.Name]; twice {
			return nil, nil, c.fail(at, ErrFormat, field, "appears twice")
		}
		nDims, err := c.u32(field)
		if err != nil {
			return nil, nil, err
		}
		if nDims > maxDims {
			return nil, nil, c.fail(at, ErrLimit, field, "%d dimensions, at most %d allowed", nDims, maxDims)
		}
		first := len(slab)
		for range nDims {
			d, err := c.u64(field)
			if err != nil {
				return nil, nil, err
			}
			slab = append(slab, d)
		}
		t.Dims = slab[first:len(slab):len(slab)]
		typ, err := c.u32(field)
		if err != nil {
			return nil, nil, err
		}
		t.Type = quant.Type(typ)
		if t.Offset, err = c.u64(field); err != nil {
			return nil, nil, err
		}
		size, class, msg := dataBytes(t.Type, t.Dims)
		if class != 0 {
			return nil, nil, c.fail(at, class, field, "%s", msg)
		}
		t.Bytes = size
		index[t.Name] = len(tensors)
		tensors = append(tensors, t)
	}
	return tensors, index, nil
}

// layOut checks that the tensors' data lie in order, aligned, apart from each other and inside a data section of
// dataBytes bytes, and returns what is odd about them but harmless.
func layOut(tensors []Tensor, align, dataBytes uint64) (warnings []string, err error) {
	end, gaps, firstGap := uint64(0), 0, ""
	for i := range tensors {
		t := &tensors[i]
		bad := func(class Class, format string, args ...any) error {
			return &Error{Class: class, Offset: -1, Field: tensorField(t.Name).String(), Msg: sprintf(format, args...)}
		}
		switch {
		case t.Offset > maxDataOffset:
			return nil, bad(ErrLimit, "data offset %d, at most %d allowed", t.Offset, uint64(maxDataOffset))
		case t.Offset%align != 0:
			return nil, bad(ErrFormat, "data offset %d, expected a multiple of %d", t.Offset, align)
		case t.Offset < end:
			return nil, bad(ErrFormat, "data offset %d, but the data of tensor %s before it end at %d", t.Offset,
				quote(tensors[i-1].Name), end)
		}
		next, _ := alignUpOK(end, align) // end <= 2^50 + 2^47
		if t.Offset > next {
			if gaps++; gaps == 1 {
				firstGap = t.Name
			}
		}
		end = t.Offset + t.Bytes // at most 2^50 + 2^47
		if end > dataBytes {
			return nil, bad(ErrTruncated, "data of %d bytes at offset %d, but the data section has %d bytes", t.Bytes, t.Offset, dataBytes)
		}
	}
	if gaps > 0 {
		warnings = append(warnings, sprintf("%d unused gaps between the tensors' data, the first before tensor %s", gaps, quote(firstGap)))
	}
	if padded, _ := alignUpOK(end, align); len(tensors) > 0 && dataBytes > padded {
		warnings = append(warnings, sprintf("%d unused bytes after the last tensor's data", dataBytes-padded))
	}
	return warnings, nil
}
