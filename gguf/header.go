package gguf

import (
	"bytes"
	"math/bits"
)

var magic = []byte("GGUF")

// strangers are the first bytes of files that are often taken for a model, and what to tell their owner.
var strangers = []struct{ prefix, hint string }{
	{"FUGG", "a byte-swapped, big-endian or damaged GGUF file"},
	{"lmgg", "a ggml file of 2023, convert the model again"}, {"ggml", "a ggml file of 2023, convert the model again"},
	{"tjgg", "a ggjt file of 2023, convert the model again"}, {"ggjt", "a ggjt file of 2023, convert the model again"},
	{"fmgg", "a ggmf file of 2023, convert the model again"}, {"ggmf", "a ggmf file of 2023, convert the model again"},
	{"algg", "a ggla LoRA adapter of 2023"}, {"ggla", "a ggla LoRA adapter of 2023"},
	{"\x7fELF", "an ELF program or library"}, {"MZ", "a Windows program"},
	{"PK\x03\x04", "a zip archive, perhaps a PyTorch checkpoint"}, {"\x80\x02", "a pickled PyTorch checkpoint"},
	{"\x1f\x8b", "gzip data, unpack it"}, {"BZh", "bzip2 data, unpack it"},
	{"\xfd7zXZ", "xz data, unpack it"}, {"\x28\xb5\x2f\xfd", "zstd data, unpack it"},
	{"version https://git-lfs", "a Git LFS pointer, not the file it stands for"},
	{"<", "an HTML or XML page, perhaps a failed download"},
	{"{", "JSON, perhaps a failed download or a configuration file"},
	{"\x00\x00\x00\x00", "zeros: a download that has not filled its file yet?"},
}

// checkMagic judges the first four bytes, or fewer if the file has fewer.
func checkMagic(file []byte) error {
	head := file[:min(len(file), len(magic))]
	if bytes.Equal(head, magic[:len(head)]) {
		if len(head) < len(magic) {
			return &Error{Class: ErrTruncated, Field: "magic",
				Msg: sprintf("the file has %d bytes, a GGUF file has at least 24", len(file))}
		}
		return nil
	}
	e := &Error{Class: ErrFormat, Field: "magic", Msg: "found " + quote(string(head)) + `, expected "GGUF"`}
	if hint := strangerHint(file); hint != "" {
		e.Msg += "; looks like " + hint
	}
	return e
}

func strangerHint(file []byte) string {
	if len(file) >= 9 && file[8] == '{' && bytes.Equal(file[4:8], []byte{0, 0, 0, 0}) {
		return "a safetensors file, convert it to GGUF" // a 64-bit header length, then JSON
	}
	text := bytes.TrimLeft(file[:min(len(file), 64)], "\xef\xbb\xbf \t\r\n")
	for _, s := range strangers {
		if bytes.HasPrefix(text, []byte(s.prefix)) {
			return s.hint
		}
	}
	if len(file) >= 4 && isPlainText(file[:min(len(file), 64)]) {
		return "a text file, perhaps the error message of a failed download"
	}
	return ""
}

func isPlainText(b []byte) bool {
	for _, c := range b {
		if c != '\n' && c != '\r' && c != '\t' && (c < ' ' || c > '~') {
			return false
		}
	}
	return true
}

// readHeader reads magic, version and the two counts.
func readHeader(c *cursor) (version uint32, nTensors, nKV int, err error) {
	if err = checkMagic(c.b); err != nil {
		return
	}
	c.off = len(magic)
	at := c.off
	if version, err = c.u32(header("version")); err != nil {
		return
	}
	switch swapped := bits.ReverseBytes32(version); {
	case version == 2 || version == 3:
	case version == 0:
		err = c.fail(at, ErrFormat, header("version"), "found 0, expected 2 or 3")
	case version == 1:
		err = c.fail(at, ErrUnsupported, header("version"), "found 1, whose counts have 32 bits; expected 2 or 3: convert the model again")
	case swapped >= 1 && swapped <= 16:
		err = c.fail(at, ErrUnsupported, header("version"), "found %d with its bytes swapped: a big-endian file, only little-endian ones are read", swapped)
	default:
		err = c.fail(at, ErrUnsupported, header("version"), "found %d, expected 2 or 3: written by a newer program, or damaged", version)
	}
	if err != nil {
		return
	}
	t, err := c.u64(header("tensor count"))
	if err != nil {
		return
	}
	k, err := c.u64(header("key count"))
	if err != nil {
		return
	}
	if err = c.checkCount(t, at+4, header("tensor count"), maxTensors, minTensorBytes); err != nil {
		return
	}
	err = c.checkCount(k, at+12, header("key count"), maxKeys, minKeyBytes)
	return version, int(t), int(k), err
}
