package gguf

import (
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"
)

// entry is a key with its value. Until the metadata are copied, start and end give the place of value.raw in the file.
type entry struct {
	key        string
	value      Value
	start, end int
}

// readKeys reads n metadata entries.
func readKeys(c *cursor, n int) ([]entry, map[string]int, error) {
	entries := make([]entry, 0, n)
	index := make(map[string]int, n)
	for i := range n {
		at := c.off
		_, name, err := c.str(maxKeyBytes, place{"key", "", i})
		if err != nil {
			return nil, nil, err
		}
		key := string(name)
		if msg := checkName(key); msg != "" {
			return nil, nil, c.fail(at, ErrFormat, place{"key", "", i}, "%s: %s", quote(key), msg)
		}
		if _, twice := index[key]; twice {
			return nil, nil, c.fail(at, ErrFormat, keyField(key), "appears twice")
		}
		e := entry{key: key}
		if err := readValue(c, &e); err != nil {
			return nil, nil, err
		}
		index[key] = len(entries)
		entries = append(entries, e)
	}
	return entries, index, nil
}

// checkName says what is wrong with the name of a key or a tensor. Stricter than other readers: names go to terminals
// and logs, and no program writes unprintable ones.
func checkName(s string) string {
	switch {
	case s == "":
		return "empty name"
	case !utf8.ValidString(s):
		return "name is not UTF-8"
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return sprintf("name holds the unprintable character U+%04X", r)
		}
	}
	return ""
}

// readValue reads the type and the value of e.
func readValue(c *cursor, e *entry) error {
	at := c.off
	t, err := c.u32(keyField(e.key))
	if err != nil {
		return err
	}
	v := &e.value
	v.typ, v.n = ValueType(t), 1
	switch {
	case v.typ >= nValueTypes:
		return c.fail(at, ErrFormat, keyField(e.key), "%s, expected 0 to %d", v.typ, nValueTypes-1)
	case v.typ == String:
		limit := uint64(maxStringBytes)
		if strings.HasPrefix(e.key, "tokenizer.chat_template") {
			limit = maxTemplate
		}
		e.start, _, err = c.str(limit, keyField(e.key))
		e.end = c.off
		return err
	case v.typ == Array:
		return readArray(c, e)
	}
	e.start = c.off
	b, err := c.take(uint64(valueTypes[v.typ].size), keyField(e.key))
	if err != nil {
		return err
	}
	e.end = c.off
	if v.typ == Bool && b[0] > 1 {
		return c.fail(e.start, ErrFormat, keyField(e.key), "bool of value %d, expected 0 or 1", b[0])
	}
	return nil
}

func readArray(c *cursor, e *entry) error {
	field, v, at := keyField(e.key), &e.value, c.off
	t, err := c.u32(field)
	if err != nil {
		return err
	}
	v.elem = ValueType(t)
	switch {
	case v.elem >= nValueTypes:
		return c.fail(at, ErrFormat, field, "array of %s, expected 0 to %d", v.elem, nValueTypes-1)
	case v.elem == Array:
		return c.fail(at, ErrUnsupported, field, "array of arrays")
	}
	at = c.off
	n, err := c.u64(field)
	if err != nil {
		return err
	}
	if n > maxElements {
		return c.fail(at, ErrLimit, field, "array of %d elements, at most %d allowed", n, maxElements)
	}
	e.start = c.off
	if v.elem == String {
		err = readStrings(c, v, n, field)
	} else {
		err = readScalars(c, v, n, field)
	}
	e.end = c.off
	return err
}

func readScalars(c *cursor, v *Value, n uint64, field place) error {
	at := c.off
	size, _ := mulOK(n, uint64(valueTypes[v.elem].size)) // n <= maxElements
	b, err := c.take(size, field)
	if err != nil {
		return err
	}
	v.n = int(n)
	if v.elem == Bool {
		for i, x := range b {
			if x > 1 {
				return c.fail(at+i, ErrFormat, field, "element %d: bool of value %d, expected 0 or 1", i, x)
			}
		}
	}
	return nil
}

// readStrings walks n strings and notes where each ends. The loop reads the bytes itself: a vocabulary has hundreds of
// thousands of them.
func readStrings(c *cursor, v *Value, n uint64, field place) error {
	if n > c.remaining()/minStringBytes {
		_, err := c.take(n*minStringBytes, field) // n <= maxElements; this fails
		return err
	}
	b := c.b[c.off:]
	ends := make([]uint32, n) // positions are below maxMetaBytes
	pos := 0
	for i := range ends {
		if len(b)-pos < 8 {
			c.off += pos
			_, err := c.take(8, field.element(i))
			return err
		}
		size := binary.LittleEndian.Uint64(b[pos:])
		if size > maxStringBytes {
			return c.fail(c.off+pos, ErrLimit, field, "element %d: string of %d bytes, at most %d allowed", i, size, maxStringBytes)
		}
		pos += 8
		if size > uint64(len(b)-pos) {
			c.off += pos
			_, err := c.take(size, field.element(i))
			return err
		}
		pos += int(size)
		ends[i] = uint32(pos)
	}
	c.off += pos
	v.n, v.ends = int(n), ends
	return nil
}
