package chat

import (
	"math"
	"math/bits"
	"strings"
)

type binaryOp uint8

const (
	opAdd binaryOp = iota
	opSub
	opMul
	opDiv
	opFloorDiv
	opMod
	opPow
)

var binaryOps = map[string]binaryOp{"+": opAdd, "-": opSub, "*": opMul, "/": opDiv, "//": opFloorDiv, "%": opMod, "**": opPow}

var binaryNames = [...]string{"+", "-", "*", "/", "//", "%", "**"}

func (e *evaluator) binary(op binaryOp, a, b Value) Value {
	i, f, isInt, ok := number(a)
	if ok {
		if j, g, isInt2, ok := number(b); ok {
			if isInt && isInt2 && op != opDiv && (op != opPow || j >= 0) {
				return e.intOp(op, i, j)
			}
			return e.floatOp(op, f, g)
		}
	}
	for _, v := range [2]Value{a, b} {
		if u, ok := v.(undefined); ok {
			if _, isStr := a.(String); isStr && op == opMod {
				break // "%s" % undefined prints nothing
			}
			e.undefinedError(u)
		}
	}
	switch op {
	case opAdd:
		switch x := a.(type) {
		case String:
			if y, ok := b.(String); ok {
				e.fits(len(x) + len(y))
				e.bytes(len(x) + len(y))
				return x + y
			}
		case *List:
			if y, ok := b.(*List); ok && x.isTuple() == y.isTuple() && !x.isView() && !y.isView() {
				n := len(x.items) + len(y.items)
				e.charge(n)
				items := append(append(make([]Value, 0, n), x.items...), y.items...)
				return &List{items: items, kind: x.plainKind()}
			}
		}
	case opMul:
		if isInt {
			a, b = b, a
		}
		if n, _, isInt, ok := number(b); ok && isInt {
			switch x := a.(type) {
			case String:
				return String(e.repeat(string(x), n))
			case *List:
				if !x.isView() {
					return e.repeatList(x, n)
				}
			}
		}
	case opMod:
		if s, ok := a.(String); ok {
			return String(e.printf(string(s), b))
		}
	}
	e.typeError("cannot calculate %s %s %s", describe(a), binaryNames[op], describe(b))
	panic("unreachable")
}

// plainKind is the kind of a list made from this one.
func (l *List) plainKind() listKind {
	if l.isTuple() {
		return kindTuple
	}
	return kindList
}

func (e *evaluator) repeat(s string, n int64) string {
	if n <= 0 || s == "" {
		return ""
	}
	if n > maxRepeatBytes || int64(len(s)) > maxRepeatBytes/n {
		e.limit("repeated string over %d bytes", maxRepeatBytes)
	}
	e.bytes(len(s) * int(n))
	return strings.Repeat(s, int(n))
}

func (e *evaluator) repeatList(l *List, n int64) Value {
	if n <= 0 || len(l.items) == 0 {
		return &List{kind: l.plainKind()}
	}
	if n > int64(e.lim.Fuel) || int64(len(l.items)) > int64(e.lim.Fuel)/n {
		e.limit("repeated list is longer than the %d steps allowed", e.lim.Fuel)
	}
	e.charge(len(l.items) * int(n))
	items := make([]Value, 0, len(l.items)*int(n))
	for range int(n) {
		items = append(items, l.items...)
	}
	return &List{items: items, kind: l.plainKind()}
}

func (e *evaluator) intOp(op binaryOp, a, b int64) Value {
	switch op {
	case opAdd:
		if c := a + b; (c > a) == (b > 0) {
			return Int(c)
		}
	case opSub:
		if c := a - b; (c < a) == (b > 0) {
			return Int(c)
		}
	case opMul:
		if c, ok := mulInt(a, b); ok {
			return Int(c)
		}
	case opPow:
		if c, ok := powInt(a, b); ok {
			return Int(c)
		}
	case opFloorDiv, opMod:
		if b == 0 {
			e.typeError("division by zero")
		}
		if b == -1 { // the only overflow, and the hardware's trap
			if op == opMod {
				return Int(0)
			}
			return e.negate(Int(a))
		}
		q, r := a/b, a%b
		if r != 0 && (r < 0) != (b < 0) {
			q, r = q-1, r+b
		}
		if op == opMod {
			return Int(r)
		}
		return Int(q)
	}
	e.typeError("integer overflow in %d %s %d", a, binaryNames[op], b)
	panic("unreachable")
}

func mulInt(a, b int64) (int64, bool) {
	neg := (a < 0) != (b < 0)
	hi, lo := bits.Mul64(absInt(a), absInt(b))
	switch {
	case hi != 0 || lo > 1<<63 || (lo == 1<<63 && !neg):
		return 0, false
	case neg:
		return int64(-lo), true
	}
	return int64(lo), true
}

func absInt(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

// powInt is a**n for n >= 0.
func powInt(a, n int64) (int64, bool) {
	switch {
	case n == 0 || a == 1:
		return 1, true
	case a == 0:
		return 0, true
	case a == -1:
		return 1 - 2*(n&1), true
	case n > 63:
		return 0, false
	}
	r, ok := int64(1), true
	for ; n > 0; n-- {
		if r, ok = mulInt(r, a); !ok {
			return 0, false
		}
	}
	return r, true
}

func (e *evaluator) floatOp(op binaryOp, a, b float64) Value {
	switch op {
	case opAdd:
		return Float(a + b)
	case opSub:
		return Float(a - b)
	case opMul:
		return Float(a * b)
	case opPow:
		if a == 0 && b < 0 {
			e.typeError("zero to a negative power")
		}
		r := math.Pow(a, b)
		if (math.IsInf(r, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0)) || (math.IsNaN(r) && !math.IsNaN(a) && !math.IsNaN(b)) {
			e.typeError("result of ** is out of range")
		}
		return Float(r)
	}
	if b == 0 {
		e.typeError("division by zero")
	}
	if op == opDiv {
		return Float(a / b)
	}
	r := math.Mod(a, b)
	q := (a - r) / b
	if r != 0 && (r < 0) != (b < 0) {
		r += b
		q--
	}
	if op == opMod {
		if r == 0 {
			r = math.Copysign(0, b)
		}
		return Float(r)
	}
	if q != 0 {
		if f := math.Floor(q); q-f > 0.5 {
			q = f + 1
		} else {
			q = f
		}
	} else {
		q = math.Copysign(0, a/b)
	}
	return Float(q)
}

func (e *evaluator) negate(v Value) Value {
	switch n := v.(type) {
	case Int:
		if n == math.MinInt64 {
			e.typeError("integer overflow in -(%d)", n)
		}
		return -n
	case Bool:
		return -boolInt(n)
	case Float:
		return -n
	case undefined:
		e.undefinedError(n)
	}
	e.typeError("bad operand for unary -: %s", describe(v))
	panic("unreachable")
}
