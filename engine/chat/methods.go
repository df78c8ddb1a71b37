package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// method is a method of a built-in type. A method with a raw function takes any arguments.
type method struct {
	name string
	sig  signature
	fn   func(e *evaluator, self Value, a []Value) Value
	raw  func(e *evaluator, self Value, a callArgs) Value
}

func (e *evaluator) invoke(m *method, self Value, a callArgs) Value {
	e.charge(1)
	if m.raw != nil {
		return m.raw(e, self, a)
	}
	return m.fn(e, self, e.bind(m.name+"()", &m.sig, a))
}

// methodOf finds a method of a value, nil if it has none of that name.
func (e *evaluator) methodOf(v Value, name string) *method {
	switch o := v.(type) {
	case String:
		return e.strMethods[name]
	case *Map:
		return mapMethods[name]
	case *List:
		if !o.isView() && (name != "copy" || !o.isTuple()) {
			return listMethods[name]
		}
	}
	return nil
}

var mapMethods = map[string]*method{
	"get": {name: "get", sig: sig("key", "default?"), fn: func(e *evaluator, self Value, a []Value) Value {
		m := self.(*Map)
		if _, missing := a[0].(undefined); !missing {
			if i := e.find(m, e.hashable(a[0])); i >= 0 {
				return m.vals[i]
			}
		}
		return orNone(a[1])
	}},
	"items":  mapView("items", kindItems, (*Map).items),
	"keys":   mapView("keys", kindKeys, func(m *Map) []Value { return m.keys }),
	"values": mapView("values", kindValues, func(m *Map) []Value { return m.vals }),
	"copy": {name: "copy", fn: func(e *evaluator, self Value, _ []Value) Value {
		e.charge(self.(*Map).Len())
		return self.(*Map).clone()
	}},
}

func mapView(name string, kind listKind, items func(m *Map) []Value) *method {
	return &method{name: name, fn: func(e *evaluator, self Value, _ []Value) Value {
		e.charge(self.(*Map).Len())
		return &List{items: items(self.(*Map)), kind: kind}
	}}
}

var listMethods = map[string]*method{
	"count": {name: "count", sig: sig("value"), fn: func(e *evaluator, self Value, a []Value) Value {
		n := 0
		for _, v := range self.(*List).items {
			if e.equal(v, a[0], 0) {
				n++
			}
		}
		return Int(n)
	}},
	"index": {name: "index", sig: sig("value"), fn: func(e *evaluator, self Value, a []Value) Value {
		for i, v := range self.(*List).items {
			if e.equal(v, a[0], 0) {
				return Int(i)
			}
		}
		e.typeError("%s is not in the list", describe(a[0]))
		panic("unreachable")
	}},
	"copy": {name: "copy", fn: func(_ *evaluator, self Value, _ []Value) Value { return self }},
}

// strMethod makes a method without arguments from a function on strings.
func strMethod(name string, f func(s string) string) *method {
	return &method{name: name, fn: func(e *evaluator, self Value, _ []Value) Value {
		s := f(string(self.(String)))
		e.fits(len(s))
		e.bytes(len(s))
		return String(s)
	}}
}

// allMethod makes a method that is true when the string is not empty and f holds for each character.
func allMethod(name string, f func(r rune) bool) *method {
	return &method{name: name, fn: func(e *evaluator, self Value, _ []Value) Value {
		s := string(self.(String))
		e.bytes(len(s))
		return Bool(s != "" && strings.IndexFunc(s, func(r rune) bool { return !f(r) }) < 0)
	}}
}

func caseMethod(name string, want func(rune) bool) *method {
	return &method{name: name, fn: func(e *evaluator, self Value, _ []Value) Value {
		return Bool(e.hasCase(string(self.(String)), want))
	}}
}

var strMethods = map[string]*method{
	"capitalize": strMethod("capitalize", capitalize),
	"casefold":   strMethod("casefold", func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "ß", "ss")) }),
	"lower":      strMethod("lower", strings.ToLower),
	"upper":      strMethod("upper", upper),
	"title":      strMethod("title", title),
	"swapcase":   strMethod("swapcase", swapcase),
	"isalnum":    allMethod("isalnum", func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }),
	"isalpha":    allMethod("isalpha", unicode.IsLetter),
	"isdecimal":  allMethod("isdecimal", unicode.IsDigit),
	"isdigit":    allMethod("isdigit", unicode.IsDigit),
	"isnumeric":  allMethod("isnumeric", unicode.IsNumber),
	"isspace":    allMethod("isspace", isSpace),
	"isascii": {name: "isascii", fn: func(e *evaluator, self Value, _ []Value) Value {
		s := string(self.(String))
		e.bytes(len(s))
		return Bool(strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0)
	}},
	"islower": caseMethod("islower", unicode.IsLower),
	"isupper": caseMethod("isupper", unicode.IsUpper),

	"strip":        stripMethod("strip", true, true),
	"lstrip":       stripMethod("lstrip", true, false),
	"rstrip":       stripMethod("rstrip", false, true),
	"startswith":   affixMethod("startswith", strings.HasPrefix),
	"endswith":     affixMethod("endswith", strings.HasSuffix),
	"removeprefix": cutMethod("removeprefix", strings.TrimPrefix),
	"removesuffix": cutMethod("removesuffix", strings.TrimSuffix),
	"find":         findMethod("find", strings.Index, false),
	"rfind":        findMethod("rfind", strings.LastIndex, false),
	"index":        findMethod("index", strings.Index, true),
	"rindex":       findMethod("rindex", strings.LastIndex, true),
	"center":       padMethod("center", 2),
	"ljust":        padMethod("ljust", 0),
	"rjust":        padMethod("rjust", 1),
	"split":        {name: "split", sig: sig("sep?", "maxsplit?"), fn: splitMethod},
	"rsplit":       {name: "rsplit", sig: sig("sep?", "maxsplit?"), fn: rsplitMethod},
	"partition":    partitionMethod("partition", strings.Index, false),
	"rpartition":   partitionMethod("rpartition", strings.LastIndex, true),
	"splitlines": {name: "splitlines", sig: sig("keepends?"), fn: func(e *evaluator, self Value, a []Value) Value {
		return e.strings(e.splitLines(string(self.(String)), a[0] != nil && e.truth(a[0])))
	}},
	"join": {name: "join", sig: sig("iterable"), fn: strJoin},
	"replace": {name: "replace", sig: sig("old", "new", "count?"), fn: func(e *evaluator, self Value, a []Value) Value {
		return String(e.replace(string(self.(String)), e.strArg("replace() old", a[0], ""), e.strArg("replace() new", a[1], ""),
			e.intArg("replace() count", a[2], -1)))
	}},
	"count": {name: "count", sig: sig("sub", "start?", "end?"), fn: func(e *evaluator, self Value, a []Value) Value {
		s, _ := e.span(string(self.(String)), a[1], a[2])
		return Int(strings.Count(s, e.strArg("count() sub", a[0], "")))
	}},
	"zfill":  {name: "zfill", sig: sig("width"), fn: zfill},
	"format": {name: "format", raw: strFormat},
}

func capitalize(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return upper(s[:n]) + strings.ToLower(s[n:])
}

func title(s string) string {
	var b strings.Builder
	prev := false
	for _, r := range s {
		letter := unicode.IsLetter(r)
		switch {
		case !letter:
			b.WriteRune(r)
		case prev:
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteRune(unicode.ToTitle(r))
		}
		prev = letter
	}
	return b.String()
}

func swapcase(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsUpper(r) {
			return unicode.ToLower(r)
		}
		return unicode.ToUpper(r)
	}, s)
}
