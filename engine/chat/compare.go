package chat

import (
	"cmp"
	"math"
	"strings"
)

type compareOp uint8

const (
	opEq compareOp = iota
	opNe
	opLt
	opLe
	opGt
	opGe
	opIn
	opNotIn
)

var compareOps = map[string]compareOp{"==": opEq, "!=": opNe, "<": opLt, "<=": opLe, ">": opGt, ">=": opGe}

func (e *evaluator) compare(op compareOp, a, b Value) bool {
	switch op {
	case opEq:
		return e.equal(a, b, 0)
	case opNe:
		return !e.equal(a, b, 0)
	case opIn:
		return e.contains(b, a)
	case opNotIn:
		return !e.contains(b, a)
	}
	c, ordered := e.order(a, b, 0)
	if !ordered { // a NaN is in it
		return false
	}
	switch op {
	case opLt:
		return c < 0
	case opLe:
		return c <= 0
	case opGt:
		return c > 0
	}
	return c >= 0
}

// truth is Python's: empty things, zeros, none and undefined are false.
func (e *evaluator) truth(v Value) bool {
	switch v := v.(type) {
	case Bool:
		return bool(v)
	case String:
		return v != ""
	case undefined, None:
		return false
	case Int:
		return v != 0
	case Float:
		return v != 0
	case *List:
		return len(v.items) > 0
	case *Map:
		return len(v.keys) > 0
	case *rangeValue:
		return v.n > 0
	}
	return true
}

// number gives the value of an int, float or bool; isInt tells which of i and f holds it exactly.
func number(v Value) (i int64, f float64, isInt, ok bool) {
	switch n := v.(type) {
	case Int:
		return int64(n), float64(n), true, true
	case Bool:
		return int64(boolInt(n)), float64(boolInt(n)), true, true
	case Float:
		return 0, float64(n), false, true
	}
	return 0, 0, false, false
}

func (e *evaluator) deeper(depth int) int {
	if depth >= maxValueDepth {
		e.limit("value nested more than %d levels deep", maxValueDepth)
	}
	return depth + 1
}

func (e *evaluator) equal(a, b Value, depth int) bool {
	e.charge(1)
	if s, ok := a.(String); ok {
		t, ok := b.(String)
		if ok && len(s) == len(t) {
			e.bytes(len(s))
		}
		return ok && s == t
	}
	if i, f, isInt, ok := number(a); ok {
		j, g, isInt2, ok := number(b)
		if isInt && isInt2 {
			return ok && i == j
		}
		return ok && f == g
	}
	switch x := a.(type) {
	case None, bigInt:
		return a == b
	case undefined:
		_, ok := b.(undefined)
		return ok
	case *List:
		y, ok := b.(*List)
		if !ok || x.isTuple() != y.isTuple() || x.isView() != y.isView() {
			return false
		}
		return e.equalLists(x.items, y.items, e.deeper(depth))
	case *Map:
		y, ok := b.(*Map)
		if !ok || len(x.keys) != len(y.keys) {
			return false
		}
		depth = e.deeper(depth)
		for i, k := range x.keys {
			e.charge(1)
			h, _ := hashKey(k)
			j := y.find(h)
			if j < 0 || !e.equal(x.vals[i], y.vals[j], depth) {
				return false
			}
		}
		return true
	case *rangeValue:
		y, ok := b.(*rangeValue)
		return ok && x.n == y.n && (x.n == 0 || (x.start == y.start && (x.n == 1 || x.step == y.step)))
	}
	return a == b // identity of objects
}

func (e *evaluator) equalLists(a, b []Value, depth int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !e.equal(a[i], b[i], depth) {
			return false
		}
	}
	return true
}

// order compares for < and sorting; ordered is false when a NaN is involved.
func (e *evaluator) order(a, b Value, depth int) (c int, ordered bool) {
	e.charge(1)
	for _, v := range [2]Value{a, b} {
		if u, ok := v.(undefined); ok {
			e.undefinedError(u)
		}
	}
	if i, f, isInt, ok := number(a); ok {
		if j, g, isInt2, ok := number(b); ok {
			if isInt && isInt2 {
				return cmp.Compare(i, j), true
			}
			return cmp.Compare(f, g), !math.IsNaN(f) && !math.IsNaN(g)
		}
	}
	switch x := a.(type) {
	case String:
		if y, ok := b.(String); ok {
			e.bytes(min(len(x), len(y)))
			return strings.Compare(string(x), string(y)), true // UTF-8 keeps the order of code points
		}
	case *List:
		if y, ok := b.(*List); ok && x.isTuple() == y.isTuple() && !x.isView() && !y.isView() {
			depth = e.deeper(depth)
			for i := range min(len(x.items), len(y.items)) {
				if !e.equal(x.items[i], y.items[i], depth) {
					return e.order(x.items[i], y.items[i], depth)
				}
			}
			return cmp.Compare(len(x.items), len(y.items)), true
		}
	}
	e.typeError("cannot compare %s with %s", describe(a), describe(b))
	panic("unreachable")
}

// contains is "x in c".
func (e *evaluator) contains(c, x Value) bool {
	switch c := c.(type) {
	case String:
		s, ok := x.(String)
		if !ok {
			e.typeError("%s cannot be in a string", describe(x))
		}
		e.bytes(len(c))
		return strings.Contains(string(c), string(s))
	case *Map:
		if _, ok := x.(undefined); ok {
			return false
		}
		return e.find(c, e.hashable(x)) >= 0
	case *rangeValue:
		i, f, isInt, ok := number(x)
		if ok && !isInt {
			i, isInt = int64(f), f == math.Trunc(f) && math.Abs(f) < 1<<53
		}
		if !ok || !isInt || c.n == 0 {
			return false
		}
		d := i - c.start
		return d%c.step == 0 && d/c.step >= 0 && d/c.step < int64(c.n)
	}
	q := e.seqOf(c)
	for i := range q.n {
		if e.equal(q.at(i), x, 0) {
			return true
		}
	}
	return false
}
