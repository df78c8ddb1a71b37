package chat

import (
	"math"
)

// globals are the functions a template can call by name; variables of the same name hide them.
var globals = map[string]*builtin{
	"range":           {"range", rangeFunc},
	"namespace":       {"namespace", func(e *evaluator, a callArgs) Value { return &namespace{e.mapping("namespace()", a)} }},
	"dict":            {"dict", func(e *evaluator, a callArgs) Value { return e.mapping("dict()", a) }},
	"raise_exception": {"raise_exception", raiseFunc},
	"strftime_now":    {"strftime_now", strftimeFunc},
}

func rangeFunc(e *evaluator, a callArgs) Value {
	if len(a.pos) < 1 || len(a.pos) > 3 || len(a.kw) > 0 {
		e.typeError("range() takes 1 to 3 arguments, found %d", len(a.pos)+len(a.kw))
	}
	bounds := [3]int64{0, 0, 1}
	for i, v := range a.pos {
		n, _, isInt, ok := number(v)
		if !ok || !isInt {
			e.typeError("range() takes integers, found %s", describe(v))
		}
		if n < -math.MaxInt64/4 || n > math.MaxInt64/4 {
			e.limit("range() argument %d is too large", n)
		}
		bounds[i] = n
	}
	start, stop, step := bounds[0], bounds[1], bounds[2]
	if len(a.pos) == 1 {
		start, stop = 0, start
	}
	var n int64
	switch {
	case step == 0:
		e.typeError("range() step is zero")
	case step > 0 && stop > start:
		n = (stop-start-1)/step + 1
	case step < 0 && start > stop:
		n = (start-stop-1)/-step + 1
	}
	if n > maxRangeItems {
		e.limit("range() of %d items, at most %d allowed", n, maxRangeItems)
	}
	return &rangeValue{start, step, int(n)}
}

// mapping builds a map from an optional map or list of pairs, and keywords.
func (e *evaluator) mapping(what string, a callArgs) *Map {
	if len(a.pos) > 1 {
		e.typeError("%s takes at most one positional argument, found %d", what, len(a.pos))
	}
	m := NewMap()
	if len(a.pos) == 1 {
		if src, ok := a.pos[0].(*Map); ok {
			e.charge(src.Len())
			m = src.clone()
		} else {
			for _, pair := range e.slice(a.pos[0]) {
				kv := e.slice(pair)
				if len(kv) != 2 {
					e.typeError("%s needs pairs, found %d elements", what, len(kv))
				}
				e.hashable(kv[0])
				e.set(m, kv[0], kv[1])
			}
		}
	}
	for i, name := range a.names {
		m.set(String(name), a.kw[i])
	}
	return m
}

func raiseFunc(e *evaluator, a callArgs) Value {
	args := e.bind("raise_exception()", &raiseSig, a)
	msg := cutRunes(e.str(args[0]), maxRaisedBytes)
	panic(abort{&Error{Line: e.line, Err: &RaisedError{msg}}})
}

var (
	raiseSig    = sig("message")
	strftimeSig = sig("format")
)

func strftimeFunc(e *evaluator, a callArgs) Value {
	args := e.bind("strftime_now()", &strftimeSig, a)
	format, ok := args[0].(String)
	if !ok {
		e.typeError("strftime_now() takes a string, found %s", describe(args[0]))
	}
	if len(format) > maxFormatBytes {
		e.limit("strftime_now() format over %d bytes", maxFormatBytes)
	}
	if e.now.IsZero() {
		e.typeError("strftime_now() called, but the render was given no time")
	}
	s := strftime(e.now, string(format))
	e.bytes(len(s))
	return String(s)
}
