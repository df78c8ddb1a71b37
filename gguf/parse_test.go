package gguf

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"kvasir/internal/guardmem"
)

// checkError asserts what holds for every error of a file: typed, one line of printable ASCII, bounded.
func checkError(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%T is no *Error: %v", err, err)
	}
	text := e.Error()
	if len(text) > maxErrorBytes {
		t.Errorf("message of %d bytes", len(text))
	}
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			t.Errorf("message holds byte %#x: %q", c, text)
			break
		}
	}
	if !errors.Is(err, e.Class) {
		t.Errorf("errors.Is does not see class %v", e.Class)
	}
	return e
}

func TestCorpus(t *testing.T) {
	for _, c := range corpus() {
		t.Run(c.id, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			f, err := Parse(c.bytes)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			limit := 200 * time.Millisecond
			if guardmem.Emulated() {
				limit *= 20
			}
			if took > limit {
				t.Errorf("took %v, limit %v", took, limit)
			}
			if grown, limit := after.TotalAlloc-before.TotalAlloc, uint64(16<<20+2*len(c.bytes)); grown > limit {
				t.Errorf("allocated %d bytes for a file of %d, limit %d", grown, len(c.bytes), limit)
			}
			if len(c.want) == 0 {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				useEverything(t, f)
				return
			}
			if err == nil {
				t.Fatalf("accepted, expected %v", c.want)
			}
			e, ok := checkError(t, err), false
			for _, class := range c.want {
				ok = ok || e.Class == class
			}
			if !ok {
				t.Errorf("class %v, expected %v: %v", e.Class, c.want, err)
			}
			if want, unknown := strings.ReplaceAll(c.text, "%s", ""), strings.ReplaceAll(c.text, "%s", "unknown "); !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), unknown) {
				t.Errorf("message %q lacks %q", err, c.text)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	for id, want := range map[string]string{"T21": "1 unused gaps", "T24": "1 unused gaps", "OK/tail": "4096 unused bytes", "OK/v2": ""} {
		for _, c := range corpus() {
			if c.id != id {
				continue
			}
			f, err := Parse(c.bytes)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(f.Warnings, "; "); !strings.Contains(got, want) || (got == "") != (want == "") {
				t.Errorf("%s: warnings %q, expected %q", id, got, want)
			}
		}
	}
}

// Every prefix of a file is refused as truncated; where the cut makes a count impossible, as a limit.
func TestEveryPrefixIsRefused(t *testing.T) {
	whole := good().bytes()
	last := len(whole) - 10 // "c" has 54 bytes of data in the last 64
	for n := range last {
		_, err := Parse(whole[:n])
		if err == nil {
			t.Fatalf("prefix of %d of %d bytes accepted", n, len(whole))
		}
		if e := checkError(t, err); e.Class != ErrTruncated && e.Class != ErrLimit {
			t.Errorf("prefix of %d bytes: %v", n, err)
		}
	}
	if _, err := Parse(whole[:last]); err != nil {
		t.Errorf("without the last padding: %v", err)
	}
}

// No change of a single byte makes the parser panic, and whatever is accepted can be used.
func TestEveryByteChanged(t *testing.T) {
	whole := good().bytes()
	b := make([]byte, len(whole))
	for i := range whole[:len(whole)-192] {
		for _, x := range []byte{0, 1, 2, 8, 9, 0x1f, 0x7f, 0x80, 0xff, whole[i] + 1, whole[i] - 1, whole[i] ^ 0x40} {
			copy(b, whole)
			b[i] = x
			f, err := Parse(b)
			if err != nil {
				checkError(t, err)
				continue
			}
			useEverything(t, f)
		}
	}
}

// A metadata section beyond its limit is refused, however much file there is.
func TestMetadataLimit(t *testing.T) {
	b := make([]byte, 17*(maxStringBytes+64)) // pages that are never touched
	off := copy(b, cat([]byte("GGUF"), le32(3), le64(0), le64(17)))
	for i := range 17 {
		off += copy(b[off:], key(fmt.Sprintf("k%d", i), String, le64(maxStringBytes))) + maxStringBytes
	}
	_, err := Parse(b)
	if !errors.Is(err, ErrLimit) {
		t.Fatalf("got %v", err)
	}
	checkError(t, err)
}

func TestValuesAndGetters(t *testing.T) {
	all := keyArr("ints", Int8, 3, []byte{1, 0xff, 0x80})
	b := withKV(
		key("u8", Uint8, []byte{200}), key("i8", Int8, []byte{200}), key("u16", Uint16, []byte{1, 0xff}), key("i16", Int16, []byte{1, 0xff}),
		key("u32", Uint32, le32(1<<31)), key("i32", Int32, le32(1<<31)), key("f32", Float32, le32(math.Float32bits(28))),
		key("b", Bool, []byte{1}), key("u64", Uint64, le64(huge)), key("i64", Int64, le64(huge)), key("f64", Float64, le64(math.Float64bits(0.1))),
		keyStr("s", "x\x1b"), keyArr("strs", String, 3, str("one"), str(""), str("three")), all,
		keyArr("u16s", Uint16, 2, []byte{1, 0, 0, 0x80}), keyArr("f32s", Float32, 2, le32(0x3f800000), le32(0xff800000)),
		keyArr("bools", Bool, 2, []byte{0, 1}), keyArr("i32s", Int32, 2, le32(7), le32(math.MaxUint32)))
	f, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for k, v := range f.All() {
		got = append(got, fmt.Sprintf("%s %s %v", k, v.Type(), v))
	}
	want := `general.architecture string "test"
u8 uint8 200
i8 int8 -56
u16 uint16 65281
i16 int16 -255
u32 uint32 2147483648
i32 int32 -2147483648
f32 float32 28
b bool true
u64 uint64 18446744073709551615
i64 int64 -1
f64 float64 0.1
s string "x\x1b"
strs array string[3] ["one", "", "three"]
ints array int8[3] [1, -1, -128]
u16s array uint16[2] [1, 32768]
f32s array float32[2] [1, -Inf]
bools array bool[2] [false, true]
i32s array int32[2] [7, -1]`
	if g := strings.Join(got, "\n"); g != want {
		t.Errorf("got\n%s\nwant\n%s", g, want)
	}

	for _, c := range []struct {
		got  func() (any, error)
		want string // value, or "absent", or "bad"
	}{
		{func() (any, error) { return f.Uint("u8") }, "200"},
		{func() (any, error) { return f.Uint("u64") }, "18446744073709551615"},
		{func() (any, error) { return f.Uint("i8") }, "bad"},
		{func() (any, error) { return f.Uint("i64") }, "bad"},
		{func() (any, error) { return f.Uint("f32") }, "bad"},
		{func() (any, error) { return f.Uint("b") }, "bad"},
		{func() (any, error) { return f.Uint("s") }, "bad"},
		{func() (any, error) { return f.Uint("ints") }, "bad"},
		{func() (any, error) { return f.Uint("none") }, "absent"},
		{func() (any, error) { return f.Int("i8") }, "-56"},
		{func() (any, error) { return f.Int("u64") }, "bad"},
		{func() (any, error) { return f.Int("i64") }, "-1"},
		{func() (any, error) { return f.Uint32("u32") }, "2147483648"},
		{func() (any, error) { return f.Uint32("u16") }, "bad"},
		{func() (any, error) { return f.Int32("i32") }, "-2147483648"},
		{func() (any, error) { return f.Float32("f32") }, "28"},
		{func() (any, error) { return f.Float32("f64") }, "bad"},
		{func() (any, error) { return f.Float32("none") }, "absent"},
		{func() (any, error) { return f.Bool("b") }, "true"},
		{func() (any, error) { return f.Bool("u8") }, "bad"},
		{func() (any, error) { return f.String("s") }, "x\x1b"},
		{func() (any, error) { return f.String("strs") }, "bad"},
		{func() (any, error) { return f.Ints("ints") }, "[1 -1 -128]"},
		{func() (any, error) { return f.Uints("ints") }, "bad"},
		{func() (any, error) { return f.Uints("u16s") }, "[1 32768]"},
		{func() (any, error) { return f.Uints("f32s") }, "bad"},
		{func() (any, error) { return f.Uints("strs") }, "bad"},
		{func() (any, error) { return f.Uints("u8") }, "bad"},
		{func() (any, error) { return f.Int32s("i32s") }, "[7 -1]"},
		{func() (any, error) { return f.Int32s("ints") }, "bad"},
		{func() (any, error) { return f.Float32s("f32s") }, "[1 -Inf]"},
		{func() (any, error) { return f.Float32s("none") }, "absent"},
		{func() (any, error) { return f.Bools("bools") }, "[false true]"},
		{func() (any, error) { return f.UintsN("u8", 3) }, "[200 200 200]"},
		{func() (any, error) { return f.UintsN("u16s", 2) }, "[1 32768]"},
		{func() (any, error) { return f.UintsN("u16s", 3) }, "bad"},
		{func() (any, error) { return f.UintsN("none", 3) }, "absent"},
		{func() (any, error) { return f.Float32sN("f32", 2) }, "[28 28]"},
		{func() (any, error) { return f.BoolsN("bools", 2) }, "[false true]"},
		{func() (any, error) { return f.BoolsN("b", 2) }, "[true true]"},
		{func() (any, error) { s, err := f.Strings("strs"); return s.Slice(), err }, "[one  three]"},
		{func() (any, error) { s, err := f.Strings("s"); return s, err }, "bad"},
	} {
		v, err := c.got()
		text := fmt.Sprint(v)
		switch {
		case errors.Is(err, ErrAbsent):
			text = "absent"
		case errors.Is(err, ErrModel):
			text = "bad"
			checkError(t, err)
		case err != nil:
			t.Error(err)
		}
		if text != c.want {
			t.Errorf("got %s (%v), expected %s", text, err, c.want)
		}
	}
}

func TestArchitecture(t *testing.T) {
	for _, c := range []struct {
		entry []byte
		want  string
	}{
		{arch, "test"}, {keyStr("general.architecture", "qwen2.5-vl_x"), "qwen2.5-vl_x"}, {keyStr("other", ""), ""},
		{keyStr("general.architecture", ""), ""}, {keyU32("general.architecture", 1), ""},
		{keyStr("general.architecture", strings.Repeat("a", 1<<20)), ""}, {keyStr("general.architecture", "../../x"), ""},
		{keyStr("general.architecture", "a\x1b"), ""},
	} {
		f, err := Parse(rawFile{version: 3, kv: [][]byte{c.entry}}.bytes())
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Architecture()
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: got %q, %v", c.entry[:20], got, err)
		}
		if err != nil && checkError(t, err).Class != ErrModel {
			t.Errorf("class of %v", err)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		kv   [][]byte
		want string
	}{
		{nil, "0 1"}, {[][]byte{keyU32("split.count", 0)}, "0 1"},
		{[][]byte{key("split.count", Uint16, []byte{3, 0}), key("split.no", Uint16, []byte{2, 0})}, "2 3"},
		{[][]byte{key("split.count", Uint16, []byte{3, 0}), key("split.no", Uint16, []byte{3, 0})}, "bad"},
		{[][]byte{key("split.count", Uint16, []byte{3, 0})}, "bad"}, {[][]byte{keyStr("split.count", "3")}, "bad"},
	} {
		f, err := Parse(withKV(c.kv...))
		if err != nil {
			t.Fatal(err)
		}
		no, n, err := f.Split()
		got := fmt.Sprint(no, n)
		if errors.Is(err, ErrModel) {
			got = "bad"
		}
		if got != c.want {
			t.Errorf("got %s (%v), expected %s", got, err, c.want)
		}
	}
}

func TestQuoteIsBounded(t *testing.T) {
	for _, s := range []string{"", "a", strings.Repeat("a", 126), strings.Repeat("a", 127), strings.Repeat("\x1b", 40), strings.Repeat("\U0001F600", 5000),
		strings.Repeat("\"", 128), strings.Repeat("é", 64)} {
		if q := quote(s); len(q) > maxQuoted || len(s) < 10 && q != fmt.Sprintf("%q", s) {
			t.Errorf("quote of %d bytes: %d bytes, %s", len(s), len(q), q)
		}
	}
}

// useEverything calls what a program may call on a parsed file.
func useEverything(t *testing.T, f *File) {
	t.Helper()
	n := 0
	for k, v := range f.All() {
		if n++; n > 300 {
			break // enough of the case with 60,000
		}
		if s := v.String(); len(s) > 8*(maxQuoted+2)+64 {
			t.Errorf("%q prints as %d bytes", k, len(s))
		}
		for i := range min(v.Len(), 100) {
			v.Index(i)
		}
		var errs [13]error
		_, errs[0] = f.Uint(k)
		_, errs[1] = f.Int(k)
		_, errs[2] = f.Uint32(k)
		_, errs[3] = f.Float32(k)
		_, errs[4] = f.Bool(k)
		_, errs[5] = f.String(k)
		ss, err := f.Strings(k)
		errs[6] = err
		for i := range ss.Len() {
			_ = ss.At(i)
		}
		_, errs[7] = f.Ints(k)
		_, errs[8] = f.Uints(k)
		_, errs[9] = f.Int32s(k)
		_, errs[10] = f.Float32s(k)
		_, errs[11] = f.UintsN(k, 3)
		_, errs[12] = f.BoolsN(k, 3)
		for _, err := range errs {
			if err != nil {
				checkError(t, err)
			}
		}
	}
	end := uint64(0)
	for i := range f.Tensors() {
		x := &f.Tensors()[i]
		d := f.Data(x)
		if uint64(len(d)) != x.Bytes {
			t.Fatalf("tensor %q: %d bytes of data, directory says %d", x.Name, len(d), x.Bytes)
		}
		if x.Offset < end {
			t.Fatalf("tensor %q overlaps", x.Name)
		}
		end = x.Offset + x.Bytes
		if got, ok := f.Tensor(x.Name); !ok || got != x {
			t.Fatalf("tensor %q not found by its name", x.Name)
		}
	}
	for _, w := range f.Warnings {
		if len(w) > maxErrorBytes {
			t.Errorf("warning of %d bytes", len(w))
		}
	}
	if _, err := f.Architecture(); err != nil {
		checkError(t, err)
	}
	if _, _, err := f.Split(); err != nil {
		checkError(t, err)
	}
}
