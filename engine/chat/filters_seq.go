package chat

import (
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// length is len(v).
func (e *evaluator) length(v Value) int {
	switch v := v.(type) {
	case String:
		e.bytes(len(v))
		return utf8.RuneCountInString(string(v))
	case *List:
		return len(v.items)
	case *Map:
		return len(v.keys)
	case *rangeValue:
		return v.n
	case *loopState:
		return v.length(e)
	case undefined:
		return 0
	}
	e.typeError("%s has no length", describe(v))
	panic("unreachable")
}

func listFilter(e *evaluator, in Value, _ []Value) Value {
	return &List{items: e.slice(in)}
}

func firstFilter(e *evaluator, in Value, _ []Value) Value {
	if g, ok := in.(*generator); ok {
		if g.pos < len(g.items) {
			g.pos++
			return g.items[g.pos-1]
		}
		return undefined{"the first element of nothing"}
	}
	if s, ok := in.(String); ok && s != "" {
		return e.charAt(string(s), 0)
	}
	if q := e.seqOf(in); q.n > 0 {
		return q.at(0)
	}
	return undefined{"the first element of nothing"}
}

func lastFilter(e *evaluator, in Value, _ []Value) Value {
	switch v := in.(type) {
	case *generator:
		e.typeError("%s cannot be reversed", describe(v))
	case String:
		if v != "" {
			return e.charAt(string(v), -1)
		}
	}
	if q := e.seqOf(in); q.n > 0 {
		return q.at(q.n - 1)
	}
	return undefined{"the last element of nothing"}
}

// charAt is character i of s, from the end when negative; nil when there is none.
func (e *evaluator) charAt(s string, i int) Value {
	if i < 0 {
		e.bytes(len(s))
		for ; i < -1 && s != ""; i++ {
			_, n := utf8.DecodeLastRuneInString(s)
			s = s[:len(s)-n]
		}
		if s == "" {
			return nil
		}
		_, n := utf8.DecodeLastRuneInString(s)
		return String(s[len(s)-n:])
	}
	e.bytes(min(len(s), i))
	for ; i > 0 && s != ""; i-- {
		_, n := utf8.DecodeRuneInString(s)
		s = s[n:]
	}
	if s == "" {
		return nil
	}
	_, n := utf8.DecodeRuneInString(s)
	return String(s[:n])
}

func itemsFilter(e *evaluator, in Value, _ []Value) Value {
	switch m := in.(type) {
	case undefined:
		return &generator{}
	case *Map:
		e.charge(m.Len())
		return &generator{items: m.items()}
	}
	e.typeError("items needs a mapping, found %s", describe(in))
	panic("unreachable")
}

func reverseFilter(e *evaluator, in Value, _ []Value) Value {
	switch in := in.(type) {
	case String:
		chars := e.chars(string(in))
		parts, n := make([]string, len(chars)), 0
		for i, c := range chars {
			parts[len(chars)-1-i] = string(c.(String))
			n += len(parts[len(chars)-1-i])
		}
		return e.join(parts, n)
	case undefined:
		e.undefinedError(in)
	}
	src := e.slice(in)
	items := make([]Value, len(src))
	for i, v := range src {
		items[len(src)-1-i] = v
	}
	return &generator{items: items}
}

func joinFilter(e *evaluator, in Value, a []Value) Value {
	sep := ""
	if a[0] != nil {
		sep = e.str(a[0])
	}
	get := e.getter(a[1], nil)
	items := e.slice(in)
	parts, n := make([]string, 0, 2*len(items)), 0
	for i, v := range items {
		if i > 0 {
			parts = append(parts, sep)
			n += len(sep)
		}
		s := e.str(get(v))
		parts = append(parts, s)
		n += len(s)
		e.fits(n)
	}
	return e.join(parts, n)
}

// getter reads the attribute that a path such as "function.name" or an index names, or def where there is none; without a path
// it gives the element itself.
func (e *evaluator) getter(path, def Value) func(Value) Value {
	var keys []Value
	switch p := orNone(path).(type) {
	case None:
		return func(v Value) Value { return v }
	case String:
		e.charge(strings.Count(string(p), "."))
		for _, part := range strings.Split(string(p), ".") {
			if n, err := strconv.ParseInt(part, 10, 64); err == nil && part[0] != '-' && part[0] != '+' {
				keys = append(keys, Int(n))
				continue
			}
			keys = append(keys, String(part))
		}
	default:
		keys = []Value{p}
	}
	return func(v Value) Value {
		for _, k := range keys {
			e.charge(1)
			v = e.item(v, k)
			if _, missing := v.(undefined); missing && def != nil {
				v = def
			}
		}
		return v
	}
}

// folded makes a getter ignore case unless caseSensitive is set.
func (e *evaluator) folded(get func(Value) Value, caseSensitive Value) func(Value) Value {
	if caseSensitive != nil && e.truth(caseSensitive) {
		return get
	}
	return func(v Value) Value {
		v = get(v)
		if s, ok := v.(String); ok {
			e.bytes(len(s))
			return String(strings.ToLower(string(s)))
		}
		return v
	}
}

// sorted sorts a copy by key, stably.
func (e *evaluator) sorted(items []Value, reverse bool, key func(Value) Value) []Value {
	e.charge(len(items))
	s := &sorter{e: e, reverse: reverse, items: append([]Value{}, items...), keys: make([]Value, len(items))}
	for i, v := range items {
		s.keys[i] = key(v)
	}
	sort.Stable(s)
	return s.items
}

type sorter struct {
	e           *evaluator
	reverse     bool
	items, keys []Value
}

func (s *sorter) Len() int { return len(s.items) }
func (s *sorter) Less(i, j int) bool {
	if s.reverse {
		i, j = j, i
	}
	c, ordered := s.e.order(s.keys[i], s.keys[j], 0)
	return ordered && c < 0
}
func (s *sorter) Swap(i, j int) {
	s.items[i], s.items[j] = s.items[j], s.items[i]
	s.keys[i], s.keys[j] = s.keys[j], s.keys[i]
}

func sortFilter(e *evaluator, in Value, a []Value) Value {
	items := e.slice(in)
	reverse := a[0] != nil && e.truth(a[0])
	var gets []func(Value) Value
	if path, ok := a[2].(String); ok {
		e.charge(strings.Count(string(path), ","))
		for _, p := range strings.Split(string(path), ",") {
			gets = append(gets, e.folded(e.getter(String(p), nil), a[1]))
		}
	} else {
		gets = append(gets, e.folded(e.getter(a[2], nil), a[1]))
	}
	return &List{items: e.sorted(items, reverse, func(v Value) Value {
		keys := make([]Value, len(gets)) // a tuple, in which equal elements need no order
		for i, get := range gets {
			keys[i] = get(v)
		}
		return newTuple(keys...)
	})}
}

func dictsortFilter(e *evaluator, in Value, a []Value) Value {
	m, ok := in.(*Map)
	if !ok {
		e.typeError("dictsort needs a mapping, found %s", describe(in))
	}
	pos := 0
	switch by := e.strArg("dictsort() by", a[1], "key"); by {
	case "key":
	case "value":
		pos = 1
	default:
		e.typeError("dictsort() by is %s, expected key or value", quote(by))
	}
	e.charge(m.Len())
	key := e.folded(func(v Value) Value { return v.(*List).items[pos] }, a[0])
	return &List{items: e.sorted(m.items(), a[2] != nil && e.truth(a[2]), key)}
}

func uniqueFilter(e *evaluator, in Value, a []Value) Value {
	key := e.folded(e.getter(a[1], nil), a[0])
	seen := map[Value]bool{}
	g := &generator{}
	for _, v := range e.slice(in) {
		k := key(v)
		if _, missing := k.(undefined); missing {
			k = undefined{}
		} else {
			k = e.hashable(k)
		}
		if !seen[k] {
			seen[k] = true
			g.items = append(g.items, v)
		}
	}
	return g
}

func extremeFilter(sign int) func(*evaluator, Value, []Value) Value {
	return func(e *evaluator, in Value, a []Value) Value {
		items := e.slice(in)
		if len(items) == 0 {
			return undefined{"the extreme of nothing"}
		}
		key := e.folded(e.getter(a[1], nil), a[0])
		best, bestKey := items[0], key(items[0])
		for _, v := range items[1:] {
			k := key(v)
			if c, ordered := e.order(k, bestKey, 0); ordered && c*sign > 0 {
				best, bestKey = v, k
			}
		}
		return best
	}
}

func sumFilter(e *evaluator, in Value, a []Value) Value {
	get := e.getter(a[0], nil)
	total := a[1]
	if total == nil {
		total = Int(0)
	}
	if _, ok := total.(String); ok {
		e.typeError("cannot sum strings")
	}
	for _, v := range e.slice(in) {
		total = e.binary(opAdd, total, get(v))
	}
	return total
}
