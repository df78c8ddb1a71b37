package chat

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// str is Python's str(v): what {{ v }} prints.
func (e *evaluator) str(v Value) string {
	switch v := v.(type) {
	case String:
		return string(v)
	case undefined:
		return ""
	case Int:
		return strconv.FormatInt(int64(v), 10)
	}
	b := e.appendRepr(nil, v, 0)
	e.fits(len(b))
	e.bytes(len(b))
	return string(b)
}

// repr is Python's repr(v).
func (e *evaluator) repr(v Value) string {
	b := e.appendRepr(nil, v, 0)
	e.fits(len(b))
	e.bytes(len(b))
	return string(b)
}

func (e *evaluator) appendRepr(b []byte, v Value, depth int) []byte {
	e.charge(1)
	e.fits(len(b))
	switch v := v.(type) {
	case None:
		return append(b, "None"...)
	case Bool:
		if v {
			return append(b, "True"...)
		}
		return append(b, "False"...)
	case Int:
		return strconv.AppendInt(b, int64(v), 10)
	case bigInt:
		return append(b, v...)
	case Float:
		return append(b, floatRepr(float64(v))...)
	case String:
		e.fits(len(b) + len(v))
		return appendQuoted(b, string(v))
	case undefined:
		return append(b, "Undefined"...)
	case *List:
		return e.appendReprList(b, v, depth)
	case *Map:
		return e.appendReprMap(b, v, depth)
	case *namespace:
		b = append(b, "<Namespace "...)
		return append(e.appendReprMap(b, v.attrs, depth), '>')
	case *rangeValue:
		b = append(b, "range("...)
		b = strconv.AppendInt(b, v.start, 10)
		b = append(b, ", "...)
		b = strconv.AppendInt(b, v.start+int64(v.n)*v.step, 10)
		if v.step != 1 {
			b = append(b, ", "...)
			b = strconv.AppendInt(b, v.step, 10)
		}
		return append(b, ')')
	case *macro:
		b = append(b, "<Macro "...)
		return append(appendQuoted(b, v.def.name), '>')
	case *builtin:
		b = append(b, "<built-in "...)
		return append(append(b, v.name...), '>')
	}
	b = append(b, '<')
	return append(append(b, v.typeName()...), '>')
}

var listBrackets = [...][2]string{
	kindList: {"[", "]"}, kindTuple: {"(", ")"}, kindGroup: {"(", ")"},
	kindKeys: {"dict_keys([", "])"}, kindValues: {"dict_values([", "])"}, kindItems: {"dict_items([", "])"},
}

func (e *evaluator) appendReprList(b []byte, l *List, depth int) []byte {
	depth = e.deeper(depth)
	br := listBrackets[l.kind]
	b = append(b, br[0]...)
	for i, v := range l.items {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = e.appendRepr(b, v, depth)
	}
	if l.isTuple() && len(l.items) == 1 {
		b = append(b, ',')
	}
	return append(b, br[1]...)
}

func (e *evaluator) appendReprMap(b []byte, m *Map, depth int) []byte {
	depth = e.deeper(depth)
	b = append(b, '{')
	for i, k := range m.keys {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = e.appendRepr(b, k, depth)
		b = append(b, ": "...)
		b = e.appendRepr(b, m.vals[i], depth)
	}
	return append(b, '}')
}

// floatRepr is the shortest decimal that reads back as f, in Python's form.
func floatRepr(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	exp, _ := strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	if exp < -4 || exp >= 16 {
		return s
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// appendQuoted writes a string as Python source.
func appendQuoted(b []byte, s string) []byte {
	q := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	b = append(b, q)
	for _, r := range s {
		switch {
		case r == rune(q) || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\r':
			b = append(b, '\\', 'r')
		case r == '\t':
			b = append(b, '\\', 't')
		case unicode.IsPrint(r):
			b = utf8.AppendRune(b, r)
		case r < 0x100:
			b = append(b, '\\', 'x', hexDigits[r>>4], hexDigits[r&15])
		case r < 0x10000:
			b = appendHex(append(b, '\\', 'u'), r, 4)
		default:
			b = appendHex(append(b, '\\', 'U'), r, 8)
		}
	}
	return append(b, q)
}

const hexDigits = "0123456789abcdef"

func appendHex(b []byte, r rune, n int) []byte {
	for n--; n >= 0; n-- {
		b = append(b, hexDigits[r>>(4*n)&15])
	}
	return b
}

// describe names the type of a value for an error, and the value when it is short.
func describe(v Value) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case String:
		return "str " + quote(string(v))
	case undefined:
		return "undefined " + quote(v.hint)
	}
	return v.typeName()
}

// isSpace is Python's str.isspace for one character.
func isSpace(r rune) bool {
	return (r >= 0x1c && r <= 0x1f) || unicode.IsSpace(r)
}
