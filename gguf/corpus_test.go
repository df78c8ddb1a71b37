package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// The corpus of malformed and odd files. Every case is written here byte by byte, with no help from Write, so that the
// writer's ideas of the format cannot hide the parser's. The ids are rows of the project's list of malformed inputs:
// G header, K metadata, T tensor directory, D truncation, OK files that must be accepted.

type rawFile struct {
	magic         string
	version       uint32
	nTensors, nKV *uint64 // nil: as many as there are
	kv            [][]byte
	tensors       [][]byte
	data          int // bytes of data after padding to 32; -1: not even the padding
}

func le32(x uint32) []byte { return binary.LittleEndian.AppendUint32(nil, x) }
func le64(x uint64) []byte { return binary.LittleEndian.AppendUint64(nil, x) }
func str(s string) []byte  { return append(le64(uint64(len(s))), s...) }

func cat(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func (f rawFile) bytes() []byte {
	if f.magic == "" {
		f.magic = "GGUF"
	}
	nT, nK := uint64(len(f.tensors)), uint64(len(f.kv))
	if f.nTensors != nil {
		nT = *f.nTensors
	}
	if f.nKV != nil {
		nK = *f.nKV
	}
	b := cat([]byte(f.magic), le32(f.version), le64(nT), le64(nK), cat(f.kv...), cat(f.tensors...))
	if f.data < 0 {
		return b
	}
	for len(b)%32 != 0 {
		b = append(b, 0)
	}
	return append(b, make([]byte, f.data)...)
}

// kv entries

func key(name string, t ValueType, value ...[]byte) []byte {
	return cat(str(name), le32(uint32(t)), cat(value...))
}
func keyStr(name, value string) []byte { return key(name, String, str(value)) }
func keyU32(name string, x uint32) []byte {
	return key(name, Uint32, le32(x))
}
func keyArr(name string, elem ValueType, n uint64, value ...[]byte) []byte {
	return key(name, Array, le32(uint32(elem)), le64(n), cat(value...))
}

var arch = keyStr("general.architecture", "test")

// tensor directory entries

func tens(name string, typ uint32, off uint64, dims ...uint64) []byte {
	b := cat(str(name), le32(uint32(len(dims))))
	for _, d := range dims {
		b = append(b, le64(d)...)
	}
	return cat(b, le32(typ), le64(off))
}

func good() rawFile {
	return rawFile{version: 3, data: 192, kv: [][]byte{
		arch, keyU32("test.block_count", 1), keyStr("general.name", "grüner Hund"),
		keyArr("tokenizer.ggml.tokens", String, 3, str("a"), str(""), str("\xff")),
		keyArr("test.scores", Float32, 2, le32(0x3f800000), le32(0x7fc00000)),
	}, tensors: [][]byte{
		tens("a", 0, 0, 4, 2), tens("b", 8, 32, 32, 2), tens("c", 1, 128, 3, 3, 3),
	}}
}

func withKV(kv ...[]byte) []byte {
	return rawFile{version: 3, kv: append([][]byte{arch}, kv...)}.bytes()
}
func withTensors(data int, t ...[]byte) []byte {
	return rawFile{version: 3, kv: [][]byte{arch}, tensors: t, data: data}.bytes()
}
func edit(change func(*rawFile)) []byte {
	f := good()
	change(&f)
	return f.bytes()
}

type malformed struct {
	id    string
	bytes []byte
	want  []Class // any of these; empty: accepted
	text  string  // the message holds this
}

const huge = math.MaxUint64

func corpus() []malformed {
	var cs []malformed
	add := func(id string, b []byte, text string, want ...Class) {
		cs = append(cs, malformed{id, b, want, text})
	}
	one := func(n uint64) *uint64 { return &n }

	// G: header
	add("G01", nil, "magic", ErrTruncated)
	whole := good().bytes()
	for _, n := range []int{1, 3, 4, 7, 8, 15, 23} {
		add(fmt.Sprintf("G02/%d", n), whole[:n], "", ErrTruncated)
	}
	for _, s := range []struct{ magic, hint string }{
		{"FUGG", "byte-swapped"}, {"ggml", "ggml"}, {"lmgg", "ggml"}, {"ggjt", "ggjt"}, {"tjgg", "ggjt"}, {"ggla", "LoRA"},
		{"\x7fELF", "ELF"}, {"PK\x03\x04", "zip"}, {"\x1f\x8b\x08\x00", "gzip"}, {"\x00\x00\x00\x00", "zeros"},
		{"{\"error\":\"Repository not found\"}", "JSON"}, {"<!DOCTYPE html><html>", "HTML"}, {"\n  <html>", "HTML"},
		{"version https://git-lfs.github.com/spec/v1\n", "Git LFS"}, {"Entry not found", "text file"},
		{"\x10\x27\x00\x00\x00\x00\x00\x00{\"__metadata__\":{}}", "safetensors"}, {"\x93NUMPY\x01\x00", `expected "GGUF"`},
		{"<", "HTML"}, {"G\x00", `found "G\x00"`},
	} {
		add("G03/"+fmt.Sprintf("%q", s.magic), []byte(s.magic), s.hint, ErrFormat)
	}
	for _, v := range []struct {
		n    uint32
		text string
		c    Class
	}{{0, "found 0", ErrFormat}, {1, "convert", ErrUnsupported}, {4, "found 4", ErrUnsupported},
		{math.MaxUint32, "found 4294967295", ErrUnsupported}, {0x03000000, "big-endian", ErrUnsupported}, {0x02000000, "big-endian", ErrUnsupported}} {
		add(fmt.Sprintf("G04-07/%#x", v.n), edit(func(f *rawFile) { f.version = v.n }), v.text, v.c)
	}
	for _, n := range []uint64{huge, 1 << 63, 1 << 32, maxTensors + 1} {
		add(fmt.Sprintf("G08-12/tensors %d", n), edit(func(f *rawFile) { f.nTensors = one(n) }), "tensor count", ErrLimit)
		add(fmt.Sprintf("G10/keys %d", n), edit(func(f *rawFile) { f.nKV = one(n) }), "key count", ErrLimit)
	}
	rest := uint64(len(whole) - 24)
	add("G11", edit(func(f *rawFile) { f.nKV = one(rest/14 + 1) }), "hold at most", ErrLimit)
	add("G12", rawFile{version: 3, nTensors: one(4), data: 32}.bytes(), "hold at most", ErrLimit)
	add("G13", edit(func(f *rawFile) { f.nKV = one(4) }), "tensor", ErrFormat, ErrLimit)
	add("G14", edit(func(f *rawFile) { f.nKV = one(6) }), "", ErrFormat, ErrTruncated, ErrLimit)
	add("G15", rawFile{version: 3}.bytes(), "") // parses; Architecture says what is missing

	// K: metadata
	withKey := func(length uint64, rest string) []byte {
		return rawFile{version: 3, kv: [][]byte{cat(le64(length), []byte(rest))}, nKV: one(1), data: 64}.bytes()
	}
	add("K01", withKey(huge, "k"), "", ErrLimit)
	add("K02", withKey(1<<63, "k"), "", ErrLimit)
	add("K03", withKey(1000, "k"), "", ErrTruncated)
	add("K04", withKV(keyU32("", 1)), "empty name", ErrFormat)
	for _, k := range []string{"a\x00b", "a\nb", "a\x1b[31mb", "a\xffb", "a\u202eb", "\u2028"} {
		add(fmt.Sprintf("K05/%q", k), withKV(keyU32(k, 1)), "", ErrFormat)
	}
	add("K06", withKV(keyU32(strings.Repeat("k", 65536), 1)), "65536", ErrLimit)
	add("K06/65535", withKV(keyU32(strings.Repeat("k", 65535), 1)), "")
	add("K07", withKV(keyU32("k", 1), keyU32("k", 1)), "twice", ErrFormat)
	add("K08", withKV(keyStr("general.architecture", "other")), "twice", ErrFormat)
	for _, t := range []uint32{13, 255, math.MaxUint32} {
		add(fmt.Sprintf("K09/%d", t), withKV(key("k", ValueType(t), le64(0))), `key "k"`, ErrFormat)
		add(fmt.Sprintf("K12/%d", t), withKV(keyArr("k", ValueType(t), 1, le64(0))), `key "k"`, ErrFormat)
	}
	add("K10", withKV(keyArr("k", Array, 1, le32(4), le64(1), le32(7))), "array of arrays", ErrUnsupported)
	add("K11", withKV(keyArr("k", Array, 1, []byte(strings.Repeat(string(cat(le32(9), le64(1))), 10000)))), "array of arrays", ErrUnsupported)
	for _, n := range []uint64{huge, 1 << 61, 1 << 40, maxElements + 1} {
		for _, t := range []ValueType{Uint8, Uint64, String} {
			add(fmt.Sprintf("K13/%d %s", n, t), withKV(keyArr("k", t, n, make([]byte, 64))), "at most", ErrLimit)
		}
	}
	for _, t := range []ValueType{Uint8, Uint64, String, Bool} {
		add("K13/most "+t.String(), withKV(keyArr("k", t, maxElements, make([]byte, 64))), "ends after", ErrTruncated)
	}
	add("K14", withKV(keyArr("k", Uint8, 1<<30, make([]byte, 400))), "", ErrLimit)
	add("K15", withKV(keyArr("k", String, 3, le64(1<<62), le64(1<<62), le64(1<<62))), "element 0", ErrLimit)
	add("K16", rawFile{version: 3, kv: [][]byte{keyArr("k", String, 2, str("abc"), le64(5), []byte("xy"))}, data: -1}.bytes(), "element 1", ErrTruncated)
	add("K16/length", rawFile{version: 3, kv: [][]byte{keyArr("k", String, 2, str("abcdefghi"), []byte("xy"))}, data: -1}.bytes(), "element 1", ErrTruncated)
	add("K17", withKV(key("k", String, le64(1<<34), make([]byte, 150))), "", ErrLimit)
	add("K18/2", withKV(key("k", Bool, []byte{2})), "expected 0 or 1", ErrFormat)
	add("K18/255", withKV(key("k", Bool, []byte{255})), "expected 0 or 1", ErrFormat)
	add("K18/array", withKV(keyArr("k", Bool, 3, []byte{0, 1, 7})), "element 2", ErrFormat)
	for _, a := range []struct {
		n uint32
		c Class
	}{{0, ErrFormat}, {1, ErrUnsupported}, {2, ErrUnsupported}, {4, ErrUnsupported}, {3, ErrFormat}, {13, ErrFormat}, {48, ErrFormat},
		{0x80000000, ErrLimit}, {1 << 21, ErrLimit}} {
		add(fmt.Sprintf("K19-23/%d", a.n), withKV(keyU32("general.alignment", a.n)), "general.alignment", a.c)
	}
	add("K24/int32", withKV(key("general.alignment", Int32, le32(32))), "expected uint32", ErrFormat)
	add("K24/uint64", withKV(key("general.alignment", Uint64, le64(32))), "expected uint32", ErrFormat)
	add("K24/string", withKV(keyStr("general.alignment", "32")), "expected uint32", ErrFormat)
	add("K24/array", withKV(keyArr("general.alignment", Uint32, 1, le32(32))), "expected uint32", ErrFormat)
	many := make([][]byte, 65537)
	for i := range many {
		many[i] = keyU32(fmt.Sprintf("k%d", i), 1)
	}
	add("K28", rawFile{version: 3, kv: many}.bytes(), "key count", ErrLimit)
	add("K29", rawFile{version: 3, kv: many[:60000]}.bytes(), "")
	add("K31", withKV(keyU32("general.file_type", math.MaxUint32), keyU32("general.quantization_version", 77)), "")
	add("K33", withKV(keyStr("general.name", strings.Repeat("\x1b[2J", 1<<22))), "")
	add("K33/more", withKV(keyStr("general.name", strings.Repeat("\x1b", 1<<24+1))), "", ErrLimit)
	add("template 1 MiB", withKV(keyStr("tokenizer.chat_template", strings.Repeat("x", 1<<20))), "")
	add("template over 1 MiB", withKV(keyStr("tokenizer.chat_template", strings.Repeat("x", 1<<20+1))), "", ErrLimit)

	// T: tensor directory
	add("T01", withTensors(32, tens("", 0, 0, 1)), "empty name", ErrFormat)
	for _, n := range []uint64{64, 65, huge} {
		add(fmt.Sprintf("T02/%d", n), withTensors(32, cat(le64(n), tens(strings.Repeat("n", 64), 0, 0, 1)[8:])), "at most 63", ErrLimit)
	}
	add("T02/63", withTensors(32, tens(strings.Repeat("n", 63), 0, 0, 1)), "")
	add("T02/esc", withTensors(32, tens("a\x1b[0m", 0, 0, 1)), `a\x1b[0m`, ErrFormat)
	add("T03", withTensors(64, tens("a", 0, 0, 1), tens("a", 0, 32, 1)), "twice", ErrFormat)
	add("T04", withTensors(64, tens("blk.0.attn_q.weight", 0, 0, 1), tens("blk.0.attn_q.weight", 0, 32, 2)), "twice", ErrFormat)
	for _, n := range []uint32{5, 8, 9, math.MaxUint32} {
		add(fmt.Sprintf("T05/%d", n), withTensors(32, cat(str("a"), le32(n), make([]byte, 100))), "dimensions", ErrLimit)
	}
	add("T06", withTensors(32, tens("a", 0, 0)), "")
	add("T06/block", withTensors(32, tens("a", 2, 0)), "multiple of 32", ErrFormat)
	for i, d := range [][]uint64{{huge}, {1 << 63}, {1 << 32, 1 << 32}, {1152, 1<<42 + 1}, {4611686018427387903}, {32, 1 << 58}, {32, 1 << 59}, {1 << 33, 1 << 33, 1 << 33, 1 << 33}} {
		for _, typ := range []uint32{0, 2, 24} {
			add(fmt.Sprintf("T07-12/%d/%d", i, typ), withTensors(64, tens("a", typ, 0, d...)), "at most", ErrLimit)
		}
	}
	add("T10", withTensors(64, tens("a", 24, 0, 0x7FFFFFFFFFFFFFC0), tens("b", 24, 0x7FFFFFFFFFFFFFC0, 0x7FFFFFFFFFFFFFC0)), "", ErrLimit)
	add("T13", withTensors(64, tens("a", 0, 0, 4, 0)), "dimension 1 is 0", ErrFormat)
	add("T14", withTensors(64, tens("a", 0, 0, 0, 0, 0, 0)), "dimension 0 is 0", ErrFormat)
	for _, t := range []uint32{4, 5, 31, 32, 33, 36, 37, 38, 16, 9, 15, 1000, 0x7FFFFFFF, math.MaxUint32} {
		add(fmt.Sprintf("T15/%d", t), withTensors(64, tens("blk.0.odd", t, 0, 256)), fmt.Sprintf(`tensor "blk.0.odd": %%stype %d`, t), ErrUnsupported)
	}
	for _, x := range []struct {
		t uint32
		n uint64
	}{{2, 31}, {12, 8}, {12, 255}, {12, 257}, {14, 8}, {14, 255}, {14, 257}} {
		add(fmt.Sprintf("T16/%d of %d", x.n, x.t), withTensors(512, tens("a", x.t, 0, x.n, 2)), "multiple of", ErrFormat)
	}
	for _, off := range []uint64{huge, huge - 31, 1 << 63} {
		add(fmt.Sprintf("T17/%d", off), withTensors(64, tens("a", 0, off, 8)), "data offset", ErrLimit)
	}
	add("T18", withTensors(64, tens("a", 0, 1, 8)), "multiple of 32", ErrFormat)
	add("T19/at end", withTensors(64, tens("a", 0, 64, 8)), "data section has 64", ErrTruncated)
	add("T19/beyond", withTensors(64, tens("a", 24, 32, 33)), "data section has 64", ErrTruncated)
	add("T20/full", withTensors(64, tens("a", 0, 0, 8), tens("b", 0, 0, 8)), "before it", ErrFormat)
	add("T20/byte", withTensors(96, tens("a", 24, 0, 33), tens("b", 24, 32, 33)), "before it", ErrFormat)
	add("T21", withTensors(128, tens("a", 0, 0, 8), tens("b", 0, 96, 8)), "")
	add("T22", withTensors(64, tens("a", 0, 32, 8), tens("b", 0, 0, 8)), "before it", ErrFormat)
	add("T23", withTensors(128, tens("a", 0, 0, 16), tens("b", 0, 32, 8)), "before it", ErrFormat)
	add("T24", withTensors(128, tens("a", 0, 0, 1), tens("b", 0, 64, 8)), "")
	add("T25", rawFile{version: 3, kv: [][]byte{arch}, tensors: [][]byte{cat(str("abcdef"), le32(2), le64(8), le32(1))}, data: -1}.bytes(), "abcdef", ErrTruncated)
	many = many[:0]
	for i := range 65537 {
		many = append(many, tens(fmt.Sprintf("t%d", i), 24, uint64(i)*32, 1))
	}
	add("T26", rawFile{version: 3, tensors: many, data: 65537 * 32}.bytes(), "tensor count", ErrLimit)
	add("T26/most", rawFile{version: 3, tensors: many[:65536], data: 65536 * 32}.bytes(), "")
	add("T27", rawFile{version: 3, kv: [][]byte{arch}, tensors: [][]byte{tens("abcd", 0, 0, 1)}, data: -1}.bytes(), "data section", ErrTruncated)
	add("T28", withTensors(256, tens("a", 26, 0, 4), tens("b", 27, 32, 4), tens("c", 28, 64, 4)), "") // listed; no weight

	// OK
	add("OK/good", whole, "")
	add("OK/v2", edit(func(f *rawFile) { f.version = 2 }), "")
	add("OK/no tensors", withKV(), "")
	add("OK/no tensors, no padding", rawFile{version: 3, kv: [][]byte{arch}, data: -1}.bytes(), "")
	add("OK/tail", append(append([]byte{}, whole...), make([]byte, 4096)...), "")
	add("OK/foreign keys", withKV(keyStr("Some Tool/größe", "x"), keyArr("empty", String, 0), keyArr("empty2", Float64, 0)), "")
	add("OK/alignment 64", rawFile{version: 3, kv: [][]byte{arch, keyU32("general.alignment", 64)},
		tensors: [][]byte{tens("a", 0, 0, 1), tens("b", 0, 64, 1)}, data: 256}.bytes(), "")
	return cs
}
