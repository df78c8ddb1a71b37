package chat

import (
	"strings"
	"unicode/utf8"
)

func stripMethod(name string, left, right bool) *method {
	return &method{name: name, sig: sig("chars?"), fn: func(e *evaluator, self Value, a []Value) Value {
		s := string(self.(String))
		cut := isSpace
		if chars := e.strArg(name+"() chars", a[0], ""); is[String](orNone(a[0])) {
			cut = func(r rune) bool {
				e.bytes(len(chars))
				return strings.ContainsRune(chars, r)
			}
		}
		before := len(s)
		if left {
			s = strings.TrimLeftFunc(s, cut)
		}
		if right {
			s = strings.TrimRightFunc(s, cut)
		}
		e.bytes(before - len(s))
		return String(s)
	}}
}

// span cuts s to [start:end], counted in characters; off is where it begins, in bytes.
func (e *evaluator) span(s string, start, end Value) (cut string, off int) {
	if orNone(start) == Value(None{}) && orNone(end) == Value(None{}) {
		e.bytes(len(s))
		return s, 0
	}
	n := utf8.RuneCountInString(s)
	e.charge(n)
	from, count := sliceIndices(n, e.intArg("start", start, 0), true, e.intArg("end", end, n), true, 1)
	off = byteOff(s, from)
	return s[off : off+byteOff(s[off:], count)], off
}

// byteOff is the position of character i.
func byteOff(s string, i int) int {
	off := 0
	for ; i > 0 && off < len(s); i-- {
		_, n := utf8.DecodeRuneInString(s[off:])
		off += n
	}
	return off
}

func affixMethod(name string, has func(s, affix string) bool) *method {
	return &method{name: name, sig: sig("affix", "start?", "end?"), fn: func(e *evaluator, self Value, a []Value) Value {
		s := string(self.(String))
		if a[1] != nil || a[2] != nil {
			s, _ = e.span(s, a[1], a[2])
		}
		if l, ok := a[0].(*List); ok && l.isTuple() {
			for _, v := range l.items {
				e.bytes(len(s))
				if has(s, e.strArg(name+"() affix", v, "")) {
					return Bool(true)
				}
			}
			return Bool(false)
		}
		affix, ok := a[0].(String)
		if !ok {
			e.typeError("%s() takes a string or a tuple, found %s", name, describe(a[0]))
		}
		e.bytes(min(len(s), len(affix)))
		return Bool(has(s, string(affix)))
	}}
}

func cutMethod(name string, cut func(s, affix string) string) *method {
	return &method{name: name, sig: sig("affix"), fn: func(e *evaluator, self Value, a []Value) Value {
		e.bytes(len(self.(String)))
		return String(cut(string(self.(String)), e.strArg(name+"() affix", a[0], "")))
	}}
}

func findMethod(name string, find func(s, sub string) int, must bool) *method {
	return &method{name: name, sig: sig("sub", "start?", "end?"), fn: func(e *evaluator, self Value, a []Value) Value {
		s := string(self.(String))
		cut, off := e.span(s, a[1], a[2])
		i := find(cut, e.strArg(name+"() sub", a[0], ""))
		if i < 0 {
			if must {
				e.typeError("substring not found")
			}
			return Int(-1)
		}
		return Int(utf8.RuneCountInString(s[:off+i]))
	}}
}

// padMethod pads at the right (side 0), the left (1) or both sides (2).
func padMethod(name string, side int) *method {
	return &method{name: name, sig: sig("width", "fillchar?"), fn: func(e *evaluator, self Value, a []Value) Value {
		s := string(self.(String))
		fill := e.strArg(name+"() fillchar", a[1], " ")
		if utf8.RuneCountInString(fill) != 1 {
			e.typeError("%s() fillchar is %s, expected one character", name, quote(fill))
		}
		width := e.intArg(name+"() width", a[0], 0)
		n := utf8.RuneCountInString(s)
		e.bytes(len(s))
		pad := max(0, width-n)
		left := 0
		switch side {
		case 1:
			left = pad
		case 2:
			left = pad/2 + pad&width&1
		}
		return String(e.repeat(fill, int64(left)) + s + e.repeat(fill, int64(pad-left)))
	}}
}

func zfill(e *evaluator, self Value, a []Value) Value {
	s := string(self.(String))
	zeros := e.repeat("0", int64(e.intArg("zfill() width", a[0], 0)-utf8.RuneCountInString(s)))
	if s != "" && (s[0] == '-' || s[0] == '+') {
		return String(s[:1] + zeros + s[1:])
	}
	return String(zeros + s)
}

// strings makes a list; it charges for each element.
func (e *evaluator) strings(parts []string) Value {
	e.charge(len(parts))
	items := make([]Value, len(parts))
	for i, p := range parts {
		e.bytes(len(p))
		items[i] = String(p)
	}
	return &List{items: items}
}

// separator reads sep and maxsplit; words is true when white space separates.
func (e *evaluator) separator(a []Value) (sep string, limit int, words bool) {
	limit = e.intArg("maxsplit", a[1], -1)
	sep = e.strArg("sep", a[0], "")
	words = !is[String](orNone(a[0]))
	if sep == "" && !words {
		e.typeError("empty separator")
	}
	return sep, limit, words
}

func splitMethod(e *evaluator, self Value, a []Value) Value {
	s := string(self.(String))
	sep, limit, words := e.separator(a)
	e.bytes(len(s))
	if !words {
		e.charge(strings.Count(s, sep))
		if limit < 0 {
			return e.strings(strings.Split(s, sep))
		}
		return e.strings(strings.SplitN(s, sep, limit+1))
	}
	var parts []string
	for s = strings.TrimLeftFunc(s, isSpace); s != ""; s = strings.TrimLeftFunc(s, isSpace) {
		i := strings.IndexFunc(s, isSpace)
		if i < 0 || limit == 0 {
			parts = append(parts, s)
			break
		}
		parts = append(parts, s[:i])
		s = s[i:]
		limit--
		e.charge(1)
	}
	return e.strings(parts)
}

func rsplitMethod(e *evaluator, self Value, a []Value) Value {
	s := string(self.(String))
	sep, limit, words := e.separator(a)
	e.bytes(len(s))
	if limit < 0 {
		return splitMethod(e, self, a)
	}
	var parts []string
	for ; limit > 0; limit-- {
		i, n := -1, len(sep)
		if words {
			s = strings.TrimRightFunc(s, isSpace)
			if i = strings.LastIndexFunc(s, isSpace); i >= 0 {
				_, n = utf8.DecodeRuneInString(s[i:])
			}
		} else {
			i = strings.LastIndex(s, sep)
		}
		if i < 0 {
			break
		}
		e.charge(1)
		parts = append(parts, s[i+n:])
		s = s[:i]
	}
	if words {
		s = strings.TrimRightFunc(s, isSpace)
	}
	if s != "" || !words {
		parts = append(parts, s)
	}
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return e.strings(parts)
}

func partitionMethod(name string, find func(s, sep string) int, last bool) *method {
	return &method{name: name, sig: sig("sep"), fn: func(e *evaluator, self Value, a []Value) Value {
		s, sep := string(self.(String)), e.strArg("sep", a[0], "")
		if sep == "" {
			e.typeError("empty separator")
		}
		e.bytes(len(s))
		i := find(s, sep)
		switch {
		case i >= 0:
			return newTuple(String(s[:i]), String(sep), String(s[i+len(sep):]))
		case last:
			return newTuple(String(""), String(""), String(s))
		}
		return newTuple(String(s), String(""), String(""))
	}}
}

func strJoin(e *evaluator, self Value, a []Value) Value {
	sep := string(self.(String))
	items := e.slice(a[0])
	parts, n := make([]string, 0, 2*len(items)), 0
	for i, v := range items {
		s, ok := v.(String)
		if !ok {
			e.typeError("join() takes strings, found %s", describe(v))
		}
		if i > 0 {
			parts = append(parts, sep)
			n += len(sep)
		}
		parts = append(parts, string(s))
		n += len(s)
		e.fits(n)
	}
	return e.join(parts, n)
}
