package chat

import "time"

// evaluator is the state of one render.
type evaluator struct {
	t *Template

	// The tables, held here because their entries refer to them again.
	filters    map[string]*filter
	tests      map[string]*test
	strMethods map[string]*method

	now time.Time
	lim Limits

	scope *scope
	out   []byte
	piped Value // input of the filter chain of a block

	fuel, check  int // steps left; where to look at the clock next
	depth, calls int
	line         int
}

// scope holds the variables of a loop, macro or block; the outermost holds one slot per name of the template.
type scope struct {
	parent *scope
	ids    []nameID
	vals   []Value
}

func newEvaluator(t *Template, vars Vars, opts Options) *evaluator {
	lim := opts.Limits.withDefaults()
	e := &evaluator{t: t, filters: filterTable, tests: testTable, strMethods: strMethods, now: opts.Now, lim: lim, fuel: lim.Fuel, check: lim.Fuel}
	root := &scope{vals: make([]Value, len(t.names))}
	for id, name := range t.names {
		if v, ok := vars.Get(name); ok {
			root.vals[id] = v
		} else if g := globals[name]; g != nil {
			root.vals[id] = g
		}
	}
	e.scope = root
	return e
}

// charge uses up n steps.
func (e *evaluator) charge(n int) {
	e.fuel -= n
	if e.fuel < e.check {
		e.look()
	}
}

// look ends a render whose fuel or time is used up.
func (e *evaluator) look() {
	if e.fuel < 0 {
		e.limit("more than %d steps", e.lim.Fuel)
	}
	if !e.lim.Deadline.IsZero() && time.Now().After(e.lim.Deadline) {
		e.fail(ErrDeadline, "")
	}
	e.check = max(0, e.fuel-stepsPerDeadline)
}

// bytes charges for touching n bytes of string.
func (e *evaluator) bytes(n int) { e.charge(n / bytesPerStep) }

// down counts a level of recursion; the caller leaves it with e.depth--.
func (e *evaluator) down() {
	e.depth++
	if e.depth > maxEvalDepth {
		e.limit("evaluation nested more than %d levels deep", maxEvalDepth)
	}
}

func (e *evaluator) eval(x expr) Value {
	e.charge(1)
	e.down()
	v := x.eval(e)
	e.depth--
	return v
}

func (e *evaluator) run(body []stmt) flow {
	e.down()
	for _, s := range body {
		e.charge(1)
		if f := s.exec(e); f != flowNext {
			e.depth--
			return f
		}
	}
	e.depth--
	return flowNext
}

// inScope runs a body in a new scope.
func (e *evaluator) inScope(sc *scope, body []stmt) flow {
	outer := e.scope
	e.scope = sc
	f := e.run(body)
	e.scope = outer
	return f
}

// capture runs f and takes back what it wrote.
func (e *evaluator) capture(f func() flow) (String, flow) {
	start := len(e.out)
	fl := f()
	s := string(e.out[start:])
	e.out = e.out[:start]
	e.bytes(len(s))
	return String(s), fl
}

func (e *evaluator) lookup(id nameID) Value {
	sc := e.scope
	looked := 0
	for ; sc.parent != nil; sc = sc.parent {
		for i, k := range sc.ids {
			if k == id {
				e.charge((looked + i) / namesPerStep)
				return sc.vals[i]
			}
		}
		looked += 1 + len(sc.ids)
	}
	e.charge(looked / namesPerStep)
	return sc.vals[id]
}

// define sets a variable in a scope.
func (e *evaluator) define(sc *scope, id nameID, v Value) {
	if sc.parent == nil {
		sc.vals[id] = v
		return
	}
	e.charge(len(sc.ids) / namesPerStep)
	for i, k := range sc.ids {
		if k == id {
			sc.vals[i] = v
			return
		}
	}
	sc.ids = append(sc.ids, id)
	sc.vals = append(sc.vals, v)
}

// assign binds a target in sc; attributes are looked up from the current scope.
func (e *evaluator) assign(sc *scope, t *target, v Value) {
	switch {
	case t.parts != nil:
		q := e.seqOf(v)
		if q.n != len(t.parts) {
			e.typeError("cannot unpack %d values into %d names", q.n, len(t.parts))
		}
		for i := range t.parts {
			e.assign(sc, &t.parts[i], q.at(i))
		}
	case t.attr != "":
		ns, ok := e.lookup(t.id).(*namespace)
		if !ok {
			e.typeError("cannot assign attribute %s: %s is not a namespace", quote(t.attr), quote(t.name))
		}
		e.charge(1)
		ns.attrs.set(String(t.attr), v)
	default:
		e.define(sc, t.id, v)
	}
}

func (e *evaluator) write(s string) {
	if len(s) > e.lim.OutputBytes-len(e.out) {
		e.limit("output over %d bytes", e.lim.OutputBytes)
	}
	e.bytes(len(s))
	e.out = append(e.out, s...)
}

func (s *textStmt) exec(e *evaluator) flow {
	e.write(s.text)
	return flowNext
}

func (s *outputStmt) exec(e *evaluator) flow {
	e.line = s.line
	e.write(e.str(e.eval(s.x)))
	return flowNext
}

func (s *ifStmt) exec(e *evaluator) flow {
	for i := range s.branches {
		b := &s.branches[i]
		e.line = b.line
		if e.truth(e.eval(b.cond)) {
			return e.run(b.body)
		}
	}
	return e.run(s.els)
}

func (s *setStmt) exec(e *evaluator) flow {
	e.line = s.line
	e.assign(e.scope, &s.target, e.eval(s.x))
	return flowNext
}

func (s *setBlockStmt) exec(e *evaluator) flow {
	text, f := e.capture(func() flow { return e.inScope(&scope{parent: e.scope}, s.body) })
	if f != flowNext {
		return f
	}
	e.line = s.line
	e.assign(e.scope, &s.target, e.pipe(text, s.filter))
	return flowNext
}

func (s *filterStmt) exec(e *evaluator) flow {
	text, f := e.capture(func() flow { return e.inScope(&scope{parent: e.scope}, s.body) })
	if f != flowNext {
		return f
	}
	e.line = s.line
	e.write(e.str(e.pipe(text, s.filter)))
	return flowNext
}

// pipe sends a value through a chain of filters whose innermost input is open.
func (e *evaluator) pipe(v Value, chain expr) Value {
	if chain == nil {
		return v
	}
	saved := e.piped
	e.piped = v
	v = e.eval(chain)
	e.piped = saved
	return v
}

func (s *withStmt) exec(e *evaluator) flow {
	e.line = s.line
	sc := &scope{parent: e.scope}
	for i := range s.targets {
		e.assign(sc, &s.targets[i], e.eval(s.vals[i]))
	}
	return e.inScope(sc, s.body)
}

func (s *scopeStmt) exec(e *evaluator) flow { return e.inScope(&scope{parent: e.scope}, s.body) }

func (s *flowStmt) exec(*evaluator) flow { return s.f }

func (s *macroStmt) exec(e *evaluator) flow {
	e.define(e.scope, s.id, &macro{def: s.m, env: e.scope})
	return flowNext
}

func (s *callStmt) exec(e *evaluator) flow {
	e.line = s.line
	caller := &macro{def: s.caller, env: e.scope}
	e.write(e.str(s.call.with(e, caller)))
	return flowNext
}
