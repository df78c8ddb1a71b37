package gguf

import "math"

// The getters return the value of a key if it has the type they name. Nothing is converted silently: Float32 refuses
// a float64, Uint refuses 28.0 and -1. A missing key is an error that matches ErrAbsent; any other error means that the
// key is there and unusable. Both are of class ErrModel.

func absent(key string) error {
	return &Error{Class: ErrModel, Offset: -1, Field: keyField(key).String(), Msg: "absent", Err: ErrAbsent}
}

func unfit(key, format string, args ...any) error {
	return &Error{Class: ErrModel, Offset: -1, Field: keyField(key).String(), Msg: sprintf(format, args...)}
}

// typed returns the value of key if it has type t.
func (f *File) typed(key string, t ValueType) (Value, error) {
	v, ok := f.Get(key)
	if !ok {
		return v, absent(key)
	}
	if v.typ != t {
		return v, unfit(key, "is %s, expected %s", v.describe(), t)
	}
	return v, nil
}

// array returns the value of key if it is an array of elem.
func (f *File) array(key string, elem ValueType) (Value, error) {
	v, ok := f.Get(key)
	if !ok {
		return v, absent(key)
	}
	if v.typ != Array || v.elem != elem {
		return v, unfit(key, "is %s, expected array of %s", v.describe(), elem)
	}
	return v, nil
}

// scalar returns the value of key if it is no array.
func (f *File) scalar(key, want string) (Value, error) {
	v, ok := f.Get(key)
	if !ok {
		return v, absent(key)
	}
	if v.typ == Array || v.typ == String {
		return v, unfit(key, "is %s, expected %s", v.describe(), want)
	}
	return v, nil
}

// Has reports whether the file has the key.
func (f *File) Has(key string) bool {
	_, ok := f.keys[key]
	return ok
}

// Bool returns a bool.
func (f *File) Bool(key string) (bool, error) {
	v, err := f.typed(key, Bool)
	return err == nil && v.bits(0) != 0, err
}

// Uint32 returns a uint32.
func (f *File) Uint32(key string) (uint32, error) {
	v, err := f.typed(key, Uint32)
	if err != nil {
		return 0, err
	}
	return uint32(v.bits(0)), nil
}

// Int32 returns an int32.
func (f *File) Int32(key string) (int32, error) {
	v, err := f.typed(key, Int32)
	if err != nil {
		return 0, err
	}
	return int32(v.bits(0)), nil
}

// Float32 returns a float32, which may be NaN or infinite.
func (f *File) Float32(key string) (float32, error) {
	v, err := f.typed(key, Float32)
	if err != nil {
		return 0, err
	}
	return math.Float32frombits(uint32(v.bits(0))), nil
}

// String returns a string, which may hold any bytes.
func (f *File) String(key string) (string, error) {
	v, err := f.typed(key, String)
	return v.textOr(err), err
}

func (v Value) textOr(err error) string {
	if err != nil {
		return ""
	}
	return v.raw
}

// Uint returns a non-negative integer of any integer type.
func (f *File) Uint(key string) (uint64, error) {
	v, err := f.scalar(key, "non-negative integer")
	if err != nil {
		return 0, err
	}
	return v.uintAt(key, 0)
}

// Int returns an integer of any integer type that fits in 64 bits with sign.
func (f *File) Int(key string) (int64, error) {
	v, err := f.scalar(key, "integer")
	if err != nil {
		return 0, err
	}
	return v.intAt(key, 0)
}

func (v Value) uintAt(key string, i int) (uint64, error) {
	bits, negative, ok := v.integer(i)
	if !ok {
		return 0, unfit(key, "is %s, expected non-negative integer", v.describe())
	}
	if negative {
		return 0, unfit(key, "value %d is %d, expected a non-negative integer", i, int64(bits))
	}
	return bits, nil
}

func (v Value) intAt(key string, i int) (int64, error) {
	bits, negative, ok := v.integer(i)
	if !ok {
		return 0, unfit(key, "is %s, expected integer", v.describe())
	}
	if !negative && bits > math.MaxInt64 {
		return 0, unfit(key, "value %d is %d, expected at most %d", i, bits, int64(math.MaxInt64))
	}
	return int64(bits), nil
}

// Strings returns an array of strings as a view.
func (f *File) Strings(key string) (Strings, error) {
	v, err := f.array(key, String)
	if err != nil {
		return Strings{}, err
	}
	return Strings{v}, nil
}

// Int32s returns a new slice of an array of int32.
func (f *File) Int32s(key string) ([]int32, error) {
	v, err := f.array(key, Int32)
	if err != nil {
		return nil, err
	}
	return decode(v, func(b uint64) int32 { return int32(b) }), nil
}

// Float32s returns a new slice of an array of float32.
func (f *File) Float32s(key string) ([]float32, error) {
	v, err := f.array(key, Float32)
	if err != nil {
		return nil, err
	}
	return decode(v, func(b uint64) float32 { return math.Float32frombits(uint32(b)) }), nil
}

// Bools returns a new slice of an array of bool.
func (f *File) Bools(key string) ([]bool, error) {
	v, err := f.array(key, Bool)
	if err != nil {
		return nil, err
	}
	return decode(v, func(b uint64) bool { return b != 0 }), nil
}

// Uints returns a new slice of an array of any integer type whose elements are all non-negative.
func (f *File) Uints(key string) ([]uint64, error) {
	return intArray(f, key, Value.uintAt)
}

// Ints returns a new slice of an array of any integer type.
func (f *File) Ints(key string) ([]int64, error) {
	return intArray(f, key, Value.intAt)
}

func intArray[T any](f *File, key string, at func(Value, string, int) (T, error)) ([]T, error) {
	v, ok := f.Get(key)
	if !ok {
		return nil, absent(key)
	}
	if v.typ != Array || v.elem == String {
		return nil, unfit(key, "is %s, expected array of integers", v.describe())
	}
	out := make([]T, v.n)
	for i := range out {
		var err error
		if out[i], err = at(v, key, i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// UintsN returns n non-negative integers, one per layer for instance: from an array of exactly n integers, or from one
// integer for all.
func (f *File) UintsN(key string, n int) ([]uint64, error) {
	return perLayer(f, key, n, f.Uint, f.Uints)
}

// Float32sN is UintsN for float32.
func (f *File) Float32sN(key string, n int) ([]float32, error) {
	return perLayer(f, key, n, f.Float32, f.Float32s)
}

// BoolsN is UintsN for bool.
func (f *File) BoolsN(key string, n int) ([]bool, error) {
	return perLayer(f, key, n, f.Bool, f.Bools)
}

func perLayer[T any](f *File, key string, n int, one func(string) (T, error), many func(string) ([]T, error)) ([]T, error) {
	if v, ok := f.Get(key); ok && v.typ == Array {
		if v.n != n {
			return nil, unfit(key, "is %s, expected %d elements", v.describe(), n)
		}
		return many(key)
	}
	x, err := one(key)
	if err != nil {
		return nil, err
	}
	out := make([]T, n)
	for i := range out {
		out[i] = x
	}
	return out, nil
}

func decode[T any](v Value, from func(uint64) T) []T {
	out := make([]T, v.n)
	for i := range out {
		out[i] = from(v.bits(i))
	}
	return out
}

// Architecture returns general.architecture, the prefix of the model's own keys. It refuses one that is no plain name
// of at most 64 of a-z, 0-9, '-', '_' and '.'; whether the architecture is known is not judged here.
func (f *File) Architecture() (string, error) {
	const key = "general.architecture"
	s, err := f.String(key)
	if err != nil {
		return "", err
	}
	if s == "" || len(s) > 64 {
		return "", unfit(key, "%d bytes, expected a name of 1 to 64", len(s))
	}
	for i, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || i > 0 && (c == '-' || c == '_' || c == '.')) {
			return "", unfit(key, "%s is no plain name", quote(s))
		}
	}
	return s, nil
}

// Split returns which part of how many the file is: 0 of 1 for a model in one file.
func (f *File) Split() (no, count uint64, err error) {
	if !f.Has("split.count") {
		return 0, 1, nil
	}
	if count, err = f.Uint("split.count"); err != nil {
		return 0, 0, err
	}
	if count == 0 { // written by some programs for a model in one file
		return 0, 1, nil
	}
	if no, err = f.Uint("split.no"); err != nil {
		return 0, 0, err
	}
	if no >= count {
		return 0, 0, unfit("split.no", "%d, expected less than split.count, %d", no, count)
	}
	return no, count, nil
}
