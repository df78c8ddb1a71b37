package chat

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// jsonWriter writes what Python's json.dumps writes.
type jsonWriter struct {
	e               *evaluator
	b               []byte
	ascii           bool
	sortKeys        bool
	pretty          bool
	indent          string
	itemSep, keySep string
}

var tojsonSig = sig("ensure_ascii?", "indent?", "separators?", "sort_keys?")

func tojsonFilter(e *evaluator, in Value, a []Value) Value {
	w := jsonWriter{e: e, itemSep: ", ", keySep: ": "}
	w.ascii = a[0] != nil && e.truth(a[0])
	w.sortKeys = a[3] != nil && e.truth(a[3])
	switch ind := orNone(a[1]).(type) {
	case None:
	case Int:
		w.pretty = true
		w.indent = e.repeat(" ", int64(ind))
	case Bool:
		w.pretty = true
		w.indent = e.repeat(" ", int64(boolInt(ind)))
	case String:
		w.pretty = true
		w.indent = string(ind)
	default:
		e.typeError("tojson() indent is %s", describe(ind))
	}
	if w.pretty {
		w.itemSep = ","
	}
	if seps := orNone(a[2]); seps != Value(None{}) {
		s := e.slice(seps)
		if len(s) != 2 {
			e.typeError("tojson() separators are %d values, expected 2", len(s))
		}
		w.itemSep, w.keySep = e.str(s[0]), e.str(s[1])
	}
	w.value(in, 0)
	e.bytes(len(w.b))
	return String(w.b)
}

func orNone(v Value) Value {
	if v == nil {
		return None{}
	}
	return v
}

func (w *jsonWriter) value(v Value, depth int) {
	w.e.charge(1)
	switch v := v.(type) {
	case None:
		w.write("null")
	case Bool:
		w.write(jsonBool(v))
	case Int:
		w.write(strconv.FormatInt(int64(v), 10))
	case bigInt:
		w.write(string(v))
	case Float:
		w.write(jsonFloat(float64(v)))
	case String:
		w.str(string(v))
	case *List:
		if v.isView() {
			w.refuse(v)
		}
		w.list(v, depth)
	case *Map:
		w.object(v, depth)
	default:
		w.refuse(v)
	}
}

func (w *jsonWriter) refuse(v Value) { w.e.typeError("%s has no JSON form", describe(v)) }

func (w *jsonWriter) write(s string) {
	w.e.fits(len(w.b) + len(s))
	w.b = append(w.b, s...)
}

func jsonBool(b Bool) string {
	if b {
		return "true"
	}
	return "false"
}

func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return floatRepr(f)
}

func (w *jsonWriter) newline(depth int) {
	if !w.pretty {
		return
	}
	w.write("\n")
	for range depth {
		w.e.bytes(len(w.indent))
		w.write(w.indent)
	}
}

func (w *jsonWriter) list(l *List, depth int) {
	if len(l.items) == 0 {
		w.write("[]")
		return
	}
	depth = w.e.deeper(depth)
	w.write("[")
	for i, v := range l.items {
		if i > 0 {
			w.write(w.itemSep)
		}
		w.newline(depth)
		w.value(v, depth)
	}
	w.newline(depth - 1)
	w.write("]")
}

func (w *jsonWriter) object(m *Map, depth int) {
	if len(m.keys) == 0 {
		w.write("{}")
		return
	}
	depth = w.e.deeper(depth)
	w.write("{")
	keys, vals := m.keys, m.vals
	if w.sortKeys {
		pairs := w.e.sorted(m.items(), false, func(p Value) Value { return p.(*List).items[0] })
		keys, vals = make([]Value, len(pairs)), make([]Value, len(pairs))
		for i, p := range pairs {
			keys[i], vals[i] = p.(*List).items[0], p.(*List).items[1]
		}
	}
	for i, k := range keys {
		if i > 0 {
			w.write(w.itemSep)
		}
		w.newline(depth)
		w.str(w.key(k))
		w.write(w.keySep)
		w.value(vals[i], depth)
	}
	w.newline(depth - 1)
	w.write("}")
}

func (w *jsonWriter) key(k Value) string {
	switch k := k.(type) {
	case String:
		return string(k)
	case None:
		return "null"
	case Bool:
		return jsonBool(k)
	case Float:
		return jsonFloat(float64(k))
	}
	return w.e.str(k)
}

var jsonEscapes = map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`}

func (w *jsonWriter) str(s string) {
	w.e.fits(len(w.b) + len(s) + 2)
	w.b = append(w.b, '"')
	if !w.ascii && strings.IndexFunc(s, func(r rune) bool { return r < 0x20 || r == '"' || r == '\\' }) < 0 {
		w.b = append(append(w.b, s...), '"')
		return
	}
	for _, r := range s {
		esc, ok := jsonEscapes[r]
		switch {
		case ok:
			w.b = append(w.b, esc...)
		case r < 0x20 || (w.ascii && r >= 0x7f && r < 0x10000):
			w.b = appendHex(append(w.b, '\\', 'u'), r, 4)
		case w.ascii && r >= 0x10000:
			r -= 0x10000
			w.b = appendHex(append(w.b, '\\', 'u'), 0xd800+r>>10, 4)
			w.b = appendHex(append(w.b, '\\', 'u'), 0xdc00+r&0x3ff, 4)
		default:
			w.b = utf8.AppendRune(w.b, r)
		}
	}
	w.b = append(w.b, '"')
	w.e.fits(len(w.b))
}
