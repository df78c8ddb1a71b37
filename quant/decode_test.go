package quant

import (
	"errors"
	"math"
	"testing"
)

// goldenBlocks is the number of pseudo-random blocks that each golden hash covers.
const goldenBlocks = 256

// goldenDecode holds hashFloats of what randomBlocks(typ) decodes to. GGML's decoders (dequantize_row_TYPE) give the
// same for these bytes, scales that are infinite or NaN included, which was checked for each when it was recorded.
var goldenDecode = map[Type]string{
	F32:    "4212b168d698125d6fdeb1b07870298decc0e6a1250168017cffc194e2cf6ac6",
	F16:    "af49e3b91ec625762a02a1ce184827696615a2321bb2a62cf74dcf892ddf1f5d",
	Q4_0:   "7a94ed4992f1c732db8f650eaaaa769b7e625e31c02c2bc8e3267385bd28e3a9",
	Q4_1:   "d557fc74271d9e51714725312168a5ccf7c97f5bc0dd41f4732f28e95e1abf19",
	Q5_0:   "49d2e147e751e823b5f22bba322738f30cfe5985bfef7af4d8a8e1c4f46faa1a",
	Q5_1:   "400c7f4fc0e4f07f4f5688cb27b2a3214e439e5ec958fe5f794cae13393190d2",
	Q8_0:   "d45eb2279843fb9fb796156127832c1ab62dbcc7f2fc2640193c800d1911867b",
	Q2_K:   "91ab3b113b854ea8f8b3db7b82a1ee9f10101df04101ed6666a3503f8afd69ce",
	Q3_K:   "1540a824c690ed9a899871493d12891c557f3ae50fae82ae882b9a5eeeaab6d4",
	Q4_K:   "215a8e06ca1db5e31d27c481f90a259ceb4b3fd0935bf630beca4ce64dff0422",
	Q5_K:   "0a9c166b20de9fca92a9bfd3183e1ee57c388ffaa1869b8e1563a70fb9df8fd8",
	Q6_K:   "99ef1eaae47f3dfccc07eac1d521f8cee3fe64e7327af27d7ed5a61a42c708c6",
	IQ4_NL: "3da78fec13fb66211a29642593fb6383f07c29cf2618caa08da702e34e88228b",
	IQ4_XS: "f6354f0e3c4f900e4c4013d735d96ebd03146279a9b933071a4d44e6058aa276",
	BF16:   "d132d88b89f01a21635b57d2c34a7e332b389d7da5800acf9daff68a1be5f487",
	TQ1_0:  "586ce2a951c32c3bf2d0a3dbced3e0004d43c1d699e72c3b61e4808a72c25714",
	TQ2_0:  "0efb3c2ba511d21907c75dddcc0dac7566f1d2d2ea92b0f010004c147293e5d1",
	MXFP4:  "d51a157669d5c416e11fc7e756c8f7732625704e4acbc60218e475da28b84a5f",
}

func randomBlocks(typ Type) []byte {
	s := stream(typ)
	return s.bytes(goldenBlocks * typ.Geometry().BlockBytes)
}

func TestDecodeGolden(t *testing.T) {
	for _, typ := range Types() {
		got := make([]float32, goldenBlocks*typ.Geometry().BlockSize)
		if err := typ.Decode(got, randomBlocks(typ)); err != nil {
			t.Fatal(err)
		}
		if h := hashFloats(got); h != goldenDecode[typ] {
			t.Errorf("%v: hash %q, want %q", typ, h, goldenDecode[typ])
		}
	}
}

// One block of each family small enough to work out by hand.
func TestDecodeByHand(t *testing.T) {
	const one, minusTwo, half = "\x00\x3c", "\x00\xc0", "\x00\x38" // fp16
	fill := func(n int, b byte) string {
		s := make([]byte, n)
		for i := range s {
			s[i] = b
		}
		return string(s)
	}
	for _, c := range []struct {
		typ   Type
		block string
		want  map[int]float32
	}{
		{F32, "\x00\x00\x80\xbf", map[int]float32{0: -1}},
		{F16, minusTwo, map[int]float32{0: -2}},
		{BF16, "\x80\x3f", map[int]float32{0: 1}},
		{Q4_0, minusTwo + "\xf1" + fill(15, 0x88), map[int]float32{0: 14, 16: -14, 1: 0, 31: 0}},
		{Q4_1, minusTwo + half + "\xf1" + fill(15, 0), map[int]float32{0: -1.5, 16: -29.5, 1: 0.5}},
		{Q5_0, one + "\x01\x00\x00\x80" + "\xf1" + fill(15, 0), map[int]float32{0: 1, 16: -1, 1: -16, 31: 0}},
		{Q5_1, one + half + "\x01\x00\x00\x80" + "\xf1" + fill(15, 0), map[int]float32{0: 17.5, 16: 15.5, 1: 0.5, 31: 16.5}},
		{Q8_0, half + "\x80\x7f" + fill(30, 0xff), map[int]float32{0: -64, 1: 63.5, 31: -0.5}},
		{IQ4_NL, one + "\xf0" + fill(15, 0x88), map[int]float32{0: -127, 16: 113, 1: 1, 31: 1}},
		{MXFP4, "\x80" + "\xf1" + fill(15, 0), map[int]float32{0: 1, 16: -12, 1: 0}},
		{Q2_K, "\x52" + fill(15, 0x01) + fill(64, 0xe4) + one + half, map[int]float32{0: -2.5, 16: 0, 32: 1, 96: 3, 255: 3}},
		{Q3_K, "\x01" + fill(31, 0) + fill(64, 0xe4) + "\x05" + fill(7, 0) + fill(4, 0xaa) + one,
			map[int]float32{0: 0, 1: -20, 16: 0, 127: 0}},
		{Q4_K, one + half + "\x42\x00\x00\x00" + "\xc3\x00\x00\x00" + "\x21\x00\x00\x00" + "\xf5" + fill(127, 0x11),
			map[int]float32{0: 8.5, 1: 0.5, 32: 0, 128: 17 - 25, 129: 17 - 25}},
		{Q5_K, one + half + "\x42\x00\x00\x00" + "\xc3\x00\x00\x00" + "\x21\x00\x00\x00" + "\x11" + fill(31, 0) + "\xf5" + fill(127, 0x11),
			map[int]float32{0: 40.5, 1: 0.5, 32: 0, 128: 17*17 - 25, 129: 17 - 25}},
		{Q6_K, "\xf5" + fill(127, 0) + "\xe1" + fill(63, 0) + "\xff\x02" + fill(14, 1) + half,
			map[int]float32{0: 5.5, 1: 16, 16: -32, 32: -16, 64: 8.5 - 1, 96: 8, 255: -16}},
		{IQ4_XS, one + "\x03\x00" + "\x11\x00\x00\x00" + "\xf0" + fill(127, 0x88),
			map[int]float32{0: -127 * 17, 16: 113 * 17, 1: 17, 32: -31, 64: -32}},
		{TQ1_0, "\x00\xff" + fill(50, 128) + minusTwo, map[int]float32{0: 2, 32: 2, 1: -2, 129: -2, 2: 0, 255: 0}},
		{TQ2_0, "\xe4" + fill(63, 0x55) + minusTwo, map[int]float32{0: 2, 32: 0, 64: -2, 96: -4, 1: 0}},
	} {
		got := make([]float32, c.typ.Geometry().BlockSize)
		if err := c.typ.Decode(got, []byte(c.block)); err != nil {
			t.Fatalf("%v: %v", c.typ, err)
		}
		for i, want := range c.want {
			if got[i] != want {
				t.Errorf("%v: value %d is %v, want %v", c.typ, i, got[i], want)
			}
		}
	}
}

// Whole blocks and matching bytes, or an error and nothing written.
func TestDecodeLengths(t *testing.T) {
	for _, typ := range Types() {
		g := typ.Geometry()
		ok := make([]byte, 2*g.BlockBytes)
		if err := typ.Decode(make([]float32, 2*g.BlockSize), ok); err != nil {
			t.Errorf("%v: %v", typ, err)
		}
		if err := typ.Decode(nil, nil); err != nil {
			t.Errorf("%v: nothing: %v", typ, err)
		}
		for _, c := range [][2]int{{2 * g.BlockSize, 2*g.BlockBytes - 1}, {2 * g.BlockSize, 2*g.BlockBytes + 1},
			{g.BlockSize, 0}, {0, g.BlockBytes}, {g.BlockSize + 1, g.BlockBytes}} {
			dst := []float32{7}
			if c[0] > 0 {
				dst = make([]float32, c[0])
				dst[0] = 7
			}
			if err := typ.Decode(dst[:c[0]], make([]byte, c[1])); !errors.Is(err, ErrLength) {
				t.Errorf("%v: %d values from %d bytes: %v", typ, c[0], c[1], err)
			}
			if dst[0] != 7 {
				t.Errorf("%v: %d values from %d bytes: written", typ, c[0], c[1])
			}
		}
	}
	for _, typ := range []Type{4, 9, NTypes, math.MaxUint32} {
		if err := typ.Decode(nil, nil); !errors.Is(err, ErrType) {
			t.Errorf("%v: %v", typ, err)
		}
	}
}

// No bytes can make Decode fail once lengths match, and what Ints says fits its declared bounds.
func FuzzDecode(f *testing.F) {
	for _, typ := range Types() {
		f.Add(uint32(typ), randomBlocks(typ)[:typ.Geometry().BlockBytes])
	}
	f.Fuzz(func(t *testing.T, id uint32, b []byte) {
		typ := Type(id)
		g := typ.Geometry()
		if !typ.Known() {
			if typ.Decode(nil, b) == nil {
				t.Error("unknown type decoded")
			}
			return
		}
		n := len(b) / g.BlockBytes
		if err := typ.Decode(make([]float32, n*g.BlockSize), b[:n*g.BlockBytes]); err != nil {
			t.Error(err)
		}
		if _, ok := typ.IntShape(); ok && n > 0 {
			var v Ints
			typ.Ints(&v, b[:g.BlockBytes])
			checkBounds(t, typ, &v)
		}
	})
}
