package chat

import (
	"strings"
	"unicode"
)

// test is a test ("x is name(args)") by its signature, the tested value not counted.
type test struct {
	sig signature
	fn  func(e *evaluator, v Value, a []Value) bool
}

func (e *evaluator) test(name string, t *test, v Value, a callArgs) bool {
	e.charge(1)
	return t.fn(e, v, e.bind("test "+name, &t.sig, a))
}

// typeTest makes a test of the kind of a value.
func typeTest(is func(v Value) bool) *test {
	return &test{fn: func(_ *evaluator, v Value, _ []Value) bool { return is(v) }}
}

func compareTest(op compareOp) *test {
	return &test{sig: sig("other"), fn: func(e *evaluator, v Value, a []Value) bool { return e.compare(op, v, a[0]) }}
}

var testTable = map[string]*test{
	"!=": compareTest(opNe), "<": compareTest(opLt), "<=": compareTest(opLe), "==": compareTest(opEq),
	">": compareTest(opGt), ">=": compareTest(opGe), "eq": compareTest(opEq), "equalto": compareTest(opEq),
	"ge": compareTest(opGe), "gt": compareTest(opGt), "greaterthan": compareTest(opGt), "in": compareTest(opIn),
	"le": compareTest(opLe), "lt": compareTest(opLt), "lessthan": compareTest(opLt), "ne": compareTest(opNe),

	"boolean":   typeTest(is[Bool]),
	"defined":   typeTest(func(v Value) bool { return !is[undefined](v) }),
	"undefined": typeTest(is[undefined]),
	"none":      typeTest(is[None]),
	"string":    typeTest(is[String]),
	"mapping":   typeTest(is[*Map]),
	"float":     typeTest(is[Float]),
	"integer":   typeTest(func(v Value) bool { return is[Int](v) || is[bigInt](v) }),
	"true":      typeTest(func(v Value) bool { return v == Value(Bool(true)) }),
	"false":     typeTest(func(v Value) bool { return v == Value(Bool(false)) }),
	"number":    typeTest(func(v Value) bool { _, _, _, ok := number(v); return ok || is[bigInt](v) }),
	"callable": typeTest(func(v Value) bool {
		return is[*builtin](v) || is[*macro](v) || is[*loopState](v) || is[undefined](v)
	}),
	"iterable": typeTest(func(v Value) bool {
		return isSequence(v) || is[*generator](v) || is[*loopState](v) || isViewList(v)
	}),
	"sequence": typeTest(isSequence),
	"escaped":  typeTest(func(Value) bool { return false }),

	"lower":       {fn: func(e *evaluator, v Value, _ []Value) bool { return e.hasCase(e.str(v), unicode.IsLower) }},
	"upper":       {fn: func(e *evaluator, v Value, _ []Value) bool { return e.hasCase(e.str(v), unicode.IsUpper) }},
	"even":        {fn: func(e *evaluator, v Value, _ []Value) bool { return e.divisible(v, 2) }},
	"odd":         {fn: func(e *evaluator, v Value, _ []Value) bool { return !e.divisible(v, 2) }},
	"divisibleby": {sig: sig("num"), fn: func(e *evaluator, v Value, a []Value) bool { return e.divisible(v, e.intArg("divisor", a[0], 0)) }},
	"sameas":      {sig: sig("other"), fn: func(_ *evaluator, v Value, a []Value) bool { return same(v, a[0]) }},
	"filter": {fn: func(e *evaluator, v Value, _ []Value) bool {
		s, ok := v.(String)
		return ok && e.filters[string(s)] != nil
	}},
	"test": {fn: func(e *evaluator, v Value, _ []Value) bool {
		s, ok := v.(String)
		return ok && e.tests[string(s)] != nil
	}},
}

func is[T Value](v Value) bool {
	_, ok := v.(T)
	return ok
}

func isViewList(v Value) bool {
	l, ok := v.(*List)
	return ok && l.isView()
}

// isSequence is true for what has a length and elements by key: mappings too, and undefined.
func isSequence(v Value) bool {
	switch v := v.(type) {
	case *List:
		return !v.isView()
	case String, *Map, *rangeValue, undefined:
		return true
	}
	return false
}

// same is identity: small values are the same when type and value are.
func same(a, b Value) bool {
	if _, ok := a.(undefined); ok {
		return false
	}
	return a == b
}

func (e *evaluator) divisible(v Value, by int) bool {
	n := e.binary(opMod, v, Int(by))
	return e.equal(n, Int(0), 0)
}

// hasCase is Python's islower or isupper: at least one cased character, and none of the other case.
func (e *evaluator) hasCase(s string, want func(rune) bool) bool {
	e.bytes(len(s))
	cased := strings.IndexFunc(s, want) >= 0
	return cased && strings.IndexFunc(s, func(r rune) bool {
		return (unicode.IsLower(r) || unicode.IsUpper(r) || unicode.IsTitle(r)) && !want(r)
	}) < 0
}
