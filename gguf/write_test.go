package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"

	"kvasir/quant"
)

// rewrite writes what was parsed from b.
func rewrite(t *testing.T, f *File) []byte {
	t.Helper()
	var kv []KV
	for k, v := range f.All() {
		kv = append(kv, KV{k, v})
	}
	var ts []TensorData
	for i := range f.Tensors() {
		x := &f.Tensors()[i]
		ts = append(ts, TensorData{Name: x.Name, Type: x.Type, Dims: x.Dims, Data: f.Data(x)})
	}
	want, err := WrittenBytes(kv, ts)
	if err != nil {
		t.Fatalf("WrittenBytes of a parsed file: %v", err)
	}
	var out bytes.Buffer
	n, err := Write(&out, kv, ts)
	if err != nil {
		t.Fatalf("Write of a parsed file: %v", err)
	}
	if n != int64(out.Len()) || n != want {
		t.Fatalf("wrote %d bytes, returned %d, announced %d", out.Len(), n, want)
	}
	return out.Bytes()
}

// sameContents asserts that two files say the same: entries and tensors in the same order with the same bytes.
func sameContents(t *testing.T, a, b *File) {
	t.Helper()
	if a.Len() != b.Len() || len(a.Tensors()) != len(b.Tensors()) || a.Alignment != b.Alignment {
		t.Fatalf("%d keys, %d tensors, alignment %d; then %d, %d, %d", a.Len(), len(a.Tensors()), a.Alignment, b.Len(), len(b.Tensors()), b.Alignment)
	}
	for i := range a.entries {
		x, y := a.entries[i], b.entries[i]
		if x.key != y.key || !reflect.DeepEqual(x.value, y.value) {
			t.Fatalf("entry %d: %q %v, then %q %v", i, x.key, x.value, y.key, y.value)
		}
	}
	for i := range a.Tensors() {
		x, y := &a.Tensors()[i], &b.Tensors()[i]
		if x.Name != y.Name || x.Type != y.Type || fmt.Sprint(x.Dims) != fmt.Sprint(y.Dims) || !bytes.Equal(a.Data(x), b.Data(y)) {
			t.Fatalf("tensor %d: %v, then %v", i, x, y)
		}
	}
}

// Any metadata and tensors that can be written are read back as they were, and a second writing gives the same bytes.
func TestWriteParseRoundTrip(t *testing.T) {
	const seed = 20240817
	rng := rand.New(rand.NewPCG(seed, 1))
	for round := range 200 {
		kv, ts := randomContents(rng)
		var out bytes.Buffer
		if _, err := Write(&out, kv, ts); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		f, err := Parse(out.Bytes())
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if len(f.Warnings) != 0 {
			t.Fatalf("round %d: %v", round, f.Warnings)
		}
		i := 0
		for k, v := range f.All() {
			if k != kv[i].Key || !sameValue(v, kv[i].Value) {
				t.Fatalf("round %d: %q = %#v came back as %q = %v", round, kv[i].Key, kv[i].Value, k, v)
			}
			i++
		}
		for i, x := range ts {
			y := f.Tensors()[i]
			if y.Name != x.Name || y.Type != x.Type || fmt.Sprint(y.Dims) != fmt.Sprint(x.Dims) || !bytes.Equal(f.Data(&y), x.Data) {
				t.Fatalf("round %d: tensor %q differs", round, x.Name)
			}
		}
		useEverything(t, f)
		if again := rewrite(t, f); !bytes.Equal(again, out.Bytes()) {
			t.Fatalf("round %d: rewriting changed the bytes", round)
		}
	}
}

func sameValue(v Value, x any) bool {
	if r := reflect.ValueOf(x); r.Kind() == reflect.Slice {
		if v.Type() != Array || v.Len() != r.Len() {
			return false
		}
		for i := range r.Len() {
			if v.Index(i) != r.Index(i).Interface() {
				return false
			}
		}
		return r.Type().Elem().String() == v.Elem().String()
	}
	return v.Type() != Array && v.Index(0) == x
}

func randomContents(rng *rand.Rand) (kv []KV, ts []TensorData) {
	text := func() string {
		b := make([]byte, rng.IntN(20))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return string(b)
	}
	values := []func() any{
		func() any { return rng.Uint32()&1 == 0 }, func() any { return text() },
		func() any { return uint8(rng.Uint32()) }, func() any { return int8(rng.Uint32()) },
		func() any { return uint16(rng.Uint32()) }, func() any { return int16(rng.Uint32()) },
		func() any { return rng.Uint32() }, func() any { return int32(rng.Uint32()) },
		func() any { return rng.Uint64() }, func() any { return int64(rng.Uint64()) },
		func() any { return rng.Float32() }, func() any { return rng.Float64() },
	}
	for i := range rng.IntN(12) {
		make1 := values[rng.IntN(len(values))]
		x := make1()
		if rng.IntN(2) == 0 {
			s := reflect.MakeSlice(reflect.SliceOf(reflect.TypeOf(x)), 0, 4)
			for range rng.IntN(5) {
				s = reflect.Append(s, reflect.ValueOf(make1()))
			}
			x = s.Interface()
		}
		kv = append(kv, KV{fmt.Sprintf("test.key_%d", i), x})
	}
	if rng.IntN(3) == 0 {
		kv = append(kv, KV{"general.alignment", uint32(8) << rng.IntN(10)})
	}
	types := append(quant.Types(), 24, 25, 26, 27, 28)
	for i := range rng.IntN(6) {
		x := TensorData{Name: fmt.Sprintf("blk.%d.weight", i), Type: types[rng.IntN(len(types))]}
		for range rng.IntN(5) {
			x.Dims = append(x.Dims, uint64(1+rng.IntN(4)))
		}
		if g := x.Type.Geometry(); g.BlockSize > 1 {
			x.Dims = append([]uint64{uint64(g.BlockSize * (1 + rng.IntN(3)))}, x.Dims[:min(len(x.Dims), 3)]...)
		}
		size, _, _ := dataBytes(x.Type, x.Dims)
		x.Data = make([]byte, size)
		for i := range x.Data {
			x.Data[i] = byte(rng.Uint32())
		}
		ts = append(ts, x)
	}
	return kv, ts
}

func TestWriteStreamsWithFill(t *testing.T) {
	data := []byte("0123456789abcdef")
	fill := func(w io.Writer) error {
		for i := range data {
			if _, err := w.Write(data[i : i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	var a, b bytes.Buffer
	if _, err := Write(&a, nil, []TensorData{{Name: "x", Type: quant.F32, Dims: []uint64{4}, Data: data}}); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(&b, nil, []TensorData{{Name: "x", Type: quant.F32, Dims: []uint64{4}, Fill: fill}}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("Fill and Data differ")
	}
	if _, err := Write(io.Discard, nil, []TensorData{{Name: "x", Type: quant.F32, Dims: []uint64{5}, Fill: fill}}); err == nil {
		t.Error("a Fill of 16 bytes for a tensor of 20 is accepted")
	}
}

func TestWriteRefusesWhatParseWould(t *testing.T) {
	f32 := func(name string, dims ...uint64) TensorData {
		return TensorData{Name: name, Dims: dims, Data: make([]byte, 4)}
	}
	for _, c := range []struct {
		name string
		kv   []KV
		ts   []TensorData
		want error // nil: any
	}{
		{"int", []KV{{"k", 1}}, nil, nil}, {"zero Value", []KV{{"k", Value{}}}, nil, nil},
		{"duplicate key", []KV{{"k", true}, {"k", true}}, nil, ErrFormat}, {"empty key", []KV{{"", true}}, nil, ErrFormat},
		{"alignment", []KV{{"general.alignment", uint32(33)}}, nil, nil}, {"alignment 0", []KV{{"general.alignment", uint32(0)}}, nil, nil},
		{"duplicate tensor", nil, []TensorData{f32("a", 1), f32("a", 1)}, ErrFormat},
		{"long name", nil, []TensorData{f32(string(make([]byte, 64)), 1)}, ErrLimit}, {"five dims", nil, []TensorData{f32("a", 1, 1, 1, 1, 1)}, ErrLimit},
		{"dim 0", nil, []TensorData{f32("a", 0)}, ErrFormat}, {"huge", nil, []TensorData{f32("a", 1<<40, 1<<40)}, ErrLimit},
		{"type", nil, []TensorData{{Name: "a", Type: 16, Dims: []uint64{256}}}, ErrUnsupported},
	} {
		var out bytes.Buffer
		_, err := Write(&out, c.kv, c.ts)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, expected %v", c.name, err, c.want)
		}
		if out.Len() != 0 {
			t.Errorf("%s: %d bytes written before the refusal", c.name, out.Len())
		}
	}
}

// general.alignment of another type than uint32 would be written by no reader's rules.
func TestWriteRefusesAlignmentOfOtherType(t *testing.T) {
	for _, x := range []any{int32(64), uint64(64), "64", []uint32{64}} {
		if _, err := Write(io.Discard, []KV{{"general.alignment", x}}, nil); !errors.Is(err, ErrFormat) {
			t.Errorf("%T: %v", x, err)
		}
	}
}
