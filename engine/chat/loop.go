package chat

import "unicode/utf8"

// seq is what an iteration goes over: elements, or the numbers of a range.
type seq struct {
	items []Value
	rng   *rangeValue
	n     int
}

func (q *seq) at(i int) Value {
	if q.rng != nil {
		return q.rng.at(i)
	}
	return q.items[i]
}

func (r *rangeValue) at(i int) Value { return Int(r.start + int64(i)*r.step) }

// seqOf gives the elements of anything that can be iterated; a generator is used up by it.
func (e *evaluator) seqOf(v Value) seq {
	switch v := v.(type) {
	case *List:
		return seq{items: v.items, n: len(v.items)}
	case *Map:
		return seq{items: v.keys, n: len(v.keys)}
	case *rangeValue:
		return seq{rng: v, n: v.n}
	case *generator:
		items := v.items[v.pos:]
		v.pos = len(v.items)
		return seq{items: items, n: len(items)}
	case String:
		items := e.chars(string(v))
		return seq{items: items, n: len(items)}
	case undefined:
		return seq{}
	}
	e.typeError("%s is not iterable", describe(v))
	panic("unreachable")
}

// slice gives the elements as a slice that the caller must not change.
func (e *evaluator) slice(v Value) []Value {
	q := e.seqOf(v)
	e.charge(q.n)
	if q.rng == nil {
		return q.items
	}
	items := make([]Value, q.n)
	for i := range items {
		items[i] = q.rng.at(i)
	}
	return items
}

func (e *evaluator) chars(s string) []Value {
	n := utf8.RuneCountInString(s)
	e.charge(n)
	items := make([]Value, 0, n)
	for i, r := range s {
		items = append(items, String(s[i:i+utf8.RuneLen(r)]))
	}
	return items
}

// loopState is the value of "loop".
type loopState struct {
	def    *forStmt
	outer  *scope
	src    seq
	pos    int     // next element of src
	ahead  []Value // elements of a filtered loop that were looked at before their turn
	index0 int
	depth0 int

	before, current Value
	last            []Value // arguments of the last call of changed()
}

func (*loopState) typeName() string { return "LoopContext" }

func (s *forStmt) exec(e *evaluator) flow {
	e.line = s.line
	return s.run(e, e.eval(s.iter), e.scope, 0)
}

// run goes over iterable in scopes inside outer.
func (s *forStmt) run(e *evaluator, iterable Value, outer *scope, depth0 int) flow {
	l := &loopState{def: s, outer: outer, src: e.seqOf(iterable), index0: -1, depth0: depth0}
	sc := &scope{parent: outer}
	for {
		v := l.pull(e)
		if v == nil {
			break
		}
		e.charge(1)
		l.index0++
		l.before, l.current = l.current, v
		if s.captures {
			sc = &scope{parent: outer}
		} else {
			sc.ids, sc.vals = sc.ids[:0], sc.vals[:0]
		}
		e.define(sc, s.loopID, l)
		e.assign(sc, &s.target, v)
		if f := e.inScope(sc, s.body); f == flowBreak {
			return flowNext
		}
	}
	if l.index0 < 0 && s.els != nil {
		return e.inScope(&scope{parent: outer}, s.els)
	}
	return flowNext
}

// pull takes the next element, nil at the end.
func (l *loopState) pull(e *evaluator) Value {
	if len(l.ahead) > 0 {
		v := l.ahead[0]
		l.ahead = l.ahead[1:]
		return v
	}
	return l.source(e)
}

// source takes the next element that nobody has looked at, nil at the end.
func (l *loopState) source(e *evaluator) Value {
	for l.pos < l.src.n {
		v := l.src.at(l.pos)
		l.pos++
		if l.def.filter == nil {
			return v
		}
		e.charge(1)
		saved := e.scope
		e.scope = &scope{parent: l.outer}
		e.assign(e.scope, &l.def.target, v)
		ok := e.truth(e.eval(l.def.filter))
		e.scope = saved
		if ok {
			return v
		}
	}
	return nil
}

// next looks at the element after the current one, nil at the end.
func (l *loopState) next(e *evaluator) Value {
	if len(l.ahead) == 0 {
		v := l.source(e)
		if v == nil {
			return nil
		}
		l.ahead = append(l.ahead, v)
	}
	return l.ahead[0]
}

func (l *loopState) length(e *evaluator) int {
	if l.def.filter == nil {
		return l.src.n
	}
	for v := l.source(e); v != nil; v = l.source(e) {
		l.ahead = append(l.ahead, v)
	}
	return l.index0 + 1 + len(l.ahead)
}

func (l *loopState) attr(e *evaluator, name string) Value {
	switch name {
	case "index":
		return Int(l.index0 + 1)
	case "index0":
		return Int(l.index0)
	case "first":
		return Bool(l.index0 == 0)
	case "last":
		return Bool(l.next(e) == nil)
	case "length":
		return Int(l.length(e))
	case "revindex":
		return Int(l.length(e) - l.index0)
	case "revindex0":
		return Int(l.length(e) - l.index0 - 1)
	case "depth":
		return Int(l.depth0 + 1)
	case "depth0":
		return Int(l.depth0)
	case "previtem":
		if l.index0 > 0 {
			return l.before
		}
		return undefined{"loop.previtem"}
	case "nextitem":
		if v := l.next(e); v != nil {
			return v
		}
		return undefined{"loop.nextitem"}
	case "cycle":
		return &builtin{"cycle", func(e *evaluator, a callArgs) Value {
			if len(a.pos) == 0 {
				e.typeError("cycle() needs an argument")
			}
			return a.pos[l.index0%len(a.pos)]
		}}
	case "changed":
		return &builtin{"changed", func(e *evaluator, a callArgs) Value {
			if l.last != nil && e.equalLists(l.last, a.pos, 0) {
				return Bool(false)
			}
			l.last = append([]Value{}, a.pos...)
			return Bool(true)
		}}
	}
	return undefined{"loop." + name}
}

// recurse renders the body of a recursive loop over other elements.
func (l *loopState) recurse(e *evaluator, a callArgs) Value {
	if !l.def.recursive {
		e.typeError("the loop is not marked recursive")
	}
	if len(a.pos) != 1 || len(a.kw) > 0 {
		e.typeError("loop() takes one argument, found %d", len(a.pos)+len(a.kw))
	}
	e.enterCall()
	text, _ := e.capture(func() flow {
		saved := e.scope
		f := l.def.run(e, a.pos[0], l.outer, l.depth0+1)
		e.scope = saved
		return f
	})
	e.calls--
	return text
}
