package gguf

import "iter"

// File is a parsed GGUF file: metadata on the heap, tensor data in the bytes given to Parse.
type File struct {
	Version    uint32
	Alignment  uint64   // of the tensors' data, in bytes
	DataOffset uint64   // where the data section starts in the file
	Warnings   []string // harmless oddities: gaps, trailing bytes; each one line of printable ASCII

	entries []entry
	keys    map[string]int // into entries
	tensors []Tensor
	names   map[string]int // into tensors
	data    []byte         // the data section
}

// Parse reads a whole GGUF file. It keeps b for File.Data and copies everything else. A fault of the file is an *Error;
// nothing in it makes Parse panic, or allocate more than a small multiple of len(b). What is read of b is its metadata
// and directory: the tensors' data are not touched.
func Parse(b []byte) (*File, error) {
	c := newCursor(b)
	version, nTensors, nKV, err := readHeader(c)
	if err != nil {
		return nil, err
	}
	f := &File{Version: version, Alignment: defaultAlign}
	if f.entries, f.keys, err = readKeys(c, nKV); err != nil {
		return nil, err
	}
	meta := string(c.b[:c.off])
	for i := range f.entries {
		e := &f.entries[i]
		e.value.raw = meta[e.start:e.end]
	}
	if v, ok := f.Get("general.alignment"); ok {
		if f.Alignment, err = checkAlignment(v); err != nil {
			return nil, err
		}
	}
	if f.tensors, f.names, err = readTensors(c, nTensors); err != nil {
		return nil, err
	}
	f.DataOffset, _ = alignUpOK(uint64(c.off), f.Alignment) // both small
	if f.DataOffset <= uint64(len(b)) {
		f.data = b[f.DataOffset:]
	} else if nTensors > 0 {
		return nil, c.fail(c.off, ErrTruncated, header("data section"), "starts at byte %d, the file has %d", f.DataOffset, len(b))
	}
	if f.Warnings, err = layOut(f.tensors, f.Alignment, uint64(len(f.data))); err != nil {
		return nil, err
	}
	return f, nil
}

// checkAlignment judges general.alignment. The format asks for a multiple of 8; that it be a power of two, and its
// upper bound, are this package's.
func checkAlignment(v Value) (uint64, error) {
	bad := func(class Class, format string, args ...any) (uint64, error) {
		return 0, &Error{Class: class, Offset: -1, Field: keyField("general.alignment").String(), Msg: sprintf(format, args...)}
	}
	if v.typ != Uint32 {
		return bad(ErrFormat, "is %s, expected uint32", v.describe())
	}
	switch a := v.bits(0); {
	case a == 0 || a&(a-1) != 0:
		return bad(ErrFormat, "%d, expected a power of two", a)
	case a < minAlignment:
		return bad(ErrUnsupported, "%d, expected at least %d", a, minAlignment)
	case a > maxAlignment:
		return bad(ErrLimit, "%d, at most %d allowed", a, maxAlignment)
	default:
		return a, nil
	}
}

// Len returns the number of metadata entries.
func (f *File) Len() int { return len(f.entries) }

// Get returns the value of a key, and false if there is none.
func (f *File) Get(key string) (Value, bool) {
	i, ok := f.keys[key]
	if !ok {
		return Value{}, false
	}
	return f.entries[i].value, true
}

// All goes through the metadata in the order of the file.
func (f *File) All() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		for i := range f.entries {
			if !yield(f.entries[i].key, f.entries[i].value) {
				return
			}
		}
	}
}

// Tensors returns the directory in the order of the file, which is the order of the data. It must not be changed.
func (f *File) Tensors() []Tensor { return f.tensors }

// Tensor returns the tensor of that name, and false if there is none.
func (f *File) Tensor(name string) (*Tensor, bool) {
	i, ok := f.names[name]
	if !ok {
		return nil, false
	}
	return &f.tensors[i], true
}

// Data returns the bytes of a tensor of this file, in the form that its type says, without copying: valid as long as
// the bytes given to Parse, for an opened model until Close. It returns nil for a tensor that does not lie in the file.
func (f *File) Data(t *Tensor) []byte {
	end, ok := addOK(t.Offset, t.Bytes)
	if !ok || end > uint64(len(f.data)) {
		return nil
	}
	return f.data[t.Offset:end:end]
}
