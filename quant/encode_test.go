package quant

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

// EncodeRow gives the bytes of GGML's encoders. Q4_0 is not here: the oracle's Q4_0 bytes come from GGML's search with
// importances, another encoder; goldenEncode compares the plain one.
func TestEncodeOracle(t *testing.T) {
	for _, typ := range []Type{F16, BF16, Q8_0} {
		t.Run(typ.String(), func(t *testing.T) {
			o := readOracle(t, typ)
			got := make([]byte, len(o.quantised))
			if err := EncodeRow(typ, got, o.source); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, o.quantised) {
				size, bad := typ.Geometry().BlockBytes, 0
				for i := 0; i < len(got); i += size {
					if !bytes.Equal(got[i:i+size], o.quantised[i:i+size]) {
						if bad++; bad < 4 {
							t.Errorf("block %d: %x, GGML %x", i/size, got[i:i+size], o.quantised[i:i+size])
						}
					}
				}
				t.Errorf("%d of %d blocks differ", bad, len(got)/size)
			}
		})
	}
}

// goldenEncode holds hashBytes of testRow(16384) encoded. GGML gives the same bytes (ggml_quantize_chunk without
// importances; ggml_fp32_to_bf16_row_ref), which was checked for each when it was recorded.
var goldenEncode = map[Type]string{
	F32:  "63c5dbe05433c5b717232b483325600de13ec39654e70333d426b375f5a60346",
	F16:  "c0c29e4faa63be8e5e2ac6c3a5f812f64b164d49946f5f47c0520c98ce2dd66a",
	Q4_0: "85a629177be9ab6e651036b249bb0c4e6f8fc0acbd6c17391c1359465f8bb030",
	Q8_0: "a9aa571a78f0725c0b6da59acce907a4b3e427e9c87f08fe251cfddb99c71124",
	BF16: "140f1697a1e0fd8e1e2a648a3ebcbcb111714a14818f493ae238567db7db142b",
}

// testRow is bell-shaped with a scale per 64 values from 2^-20 to 2^11, so that scales of all kinds occur.
func testRow(n int) []float32 {
	s := stream(42)
	x := s.bell(n)
	for i := range x {
		x[i] = float32(math.Ldexp(float64(x[i]), i/64%32-20))
	}
	return x
}

func TestEncodeGolden(t *testing.T) {
	x := testRow(16384)
	for _, typ := range Types() {
		n, _ := typ.RowBytes(uint64(len(x)))
		got := make([]byte, n)
		err := EncodeRow(typ, got, x)
		if !typ.CanEncode() {
			if !errors.Is(err, ErrType) {
				t.Errorf("%v: %v", typ, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v: %v", typ, err)
		} else if h := hashBytes(got); h != goldenEncode[typ] {
			t.Errorf("%v: hash %q, want %q", typ, h, goldenEncode[typ])
		}
	}
}

// What is encoded decodes to within half a step; one step for Q4_0, whose codes reach only -8 to 7 times d.
func TestEncodeError(t *testing.T) {
	x := testRow(16384)
	for _, c := range []struct {
		typ   Type
		steps float64 // bound of the error, as a part of amax
	}{{Q8_0, 0.5 / 127}, {Q4_0, 1.0 / 8}} {
		n, _ := c.typ.RowBytes(uint64(len(x)))
		b := make([]byte, n)
		y := make([]float32, len(x))
		if err := errors.Join(EncodeRow(c.typ, b, x), c.typ.Decode(y, b)); err != nil {
			t.Fatal(err)
		}
		for i := range x {
			amax, _ := absMax(x[i&^31 : i&^31+32])
			// 2^-11 of the value and half of 2^-24 times the code: the rounding of d to fp16.
			bound := float64(amax)*(c.steps+0x1p-11)*(1+1e-6) + 128*0x1p-25
			if e := math.Abs(float64(y[i]) - float64(x[i])); e > bound {
				t.Fatalf("%v: value %d: %v became %v, error %v over %v", c.typ, i, x[i], y[i], e, bound)
			}
		}
	}
}

func TestEncodeEdges(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	block := func(v ...float32) []float32 { return append(v, make([]float32, 32-len(v))...) }
	zero8 := string(make([]byte, 32))
	zero4 := string(bytes.Repeat([]byte{0x88}, 16))
	for _, c := range []struct {
		name string
		typ  Type
		x    []float32
		want string // the block; "" for ErrValue
	}{
		{"zeros", Q8_0, block(), "\x00\x00" + zero8},
		{"zeros", Q4_0, block(), "\x00\x80" + zero4},
		{"minus zero", Q4_0, block(float32(math.Copysign(0, -1))), "\x00\x80" + zero4},
		{"1/d infinite", Q8_0, block(1e-40, -1e-40), "\x00\x00" + zero8},
		{"1/d infinite", Q4_0, block(1e-40, -1e-40), "\x00\x80" + zero4},
		{"half away from zero", Q8_0, block(127, 0.5, -0.5, 1.5, -2.5), "\x00\x3c\x7f\x01\xff\x02\xfd" + zero8[5:]},
		{"first of equal magnitudes", Q4_0, block(0, -8, 8), "\x00\x3c\x88\x80\x8f" + zero4[3:]},
		{"first of equal magnitudes", Q4_0, block(0, 8, -8), "\x00\xbc\x88\x80\x8f" + zero4[3:]},
		{"d at fp16's maximum", Q4_0, block(8 * 65504), "\xff\xfb\x80" + zero4[1:]},
		{"d overflows", Q4_0, block(8 * 65520), ""},
		{"d overflows", Q8_0, block(math.MaxFloat32), ""},
		{"infinity", Q8_0, block(1, inf), ""},
		{"infinity", Q4_0, block(1, -inf), ""},
		{"nan", Q8_0, block(1, nan), ""},
		{"nan", Q4_0, block(nan), ""},
	} {
		b := make([]byte, c.typ.Geometry().BlockBytes)
		err := EncodeRow(c.typ, b, c.x)
		if c.want == "" {
			if !errors.Is(err, ErrValue) {
				t.Errorf("%v, %s: %v", c.typ, c.name, err)
			}
		} else if err != nil || string(b) != c.want {
			t.Errorf("%v, %s: %x, %v, want %x", c.typ, c.name, b, err, c.want)
		}
	}
	for _, c := range [][2]int{{31, 34}, {32, 33}, {32, 35}, {64, 34}, {0, 34}} {
		if err := EncodeRow(Q8_0, make([]byte, c[1]), make([]float32, c[0])); !errors.Is(err, ErrLength) {
			t.Errorf("%d values to %d bytes: %v", c[0], c[1], err)
		}
	}
}
