package chat

// callArgs is the arguments of one call.
type callArgs struct {
	pos   []Value
	names []string
	kw    []Value
}

// macro is a macro or a call block, with the scope it was made in.
type macro struct {
	def *macroDef
	env *scope
}

func (*macro) typeName() string { return "Macro" }

func (e *evaluator) args(a *argList) callArgs {
	var c callArgs
	if n := len(a.pos); n > 0 {
		c.pos = make([]Value, n)
		for i, x := range a.pos {
			c.pos[i] = e.eval(x)
		}
	}
	if a.star != nil {
		c.pos = append(c.pos, e.slice(e.eval(a.star))...)
	}
	for i, x := range a.kw {
		c.names = append(c.names, a.names[i])
		c.kw = append(c.kw, e.eval(x))
	}
	if a.starStar != nil {
		m, ok := e.eval(a.starStar).(*Map)
		if !ok {
			e.typeError("argument after ** is not a mapping")
		}
		e.charge(m.Len())
		for i, k := range m.keys {
			name, ok := k.(String)
			if !ok {
				e.typeError("keyword arguments must have strings as names")
			}
			c.names = append(c.names, string(name))
			c.kw = append(c.kw, m.vals[i])
		}
	}
	return c
}

func (x *callExpr) eval(e *evaluator) Value { return x.with(e, nil) }

// with calls, passing a call block if there is one.
func (x *callExpr) with(e *evaluator, caller *macro) Value {
	if a, ok := x.fn.(*attrExpr); ok {
		obj := e.eval(a.obj)
		if m := e.methodOf(obj, a.name); m != nil && caller == nil {
			return e.invoke(m, obj, e.args(&x.args))
		}
		return e.call(e.attr(obj, a.name), e.withCaller(e.args(&x.args), caller))
	}
	fn := e.eval(x.fn)
	return e.call(fn, e.withCaller(e.args(&x.args), caller))
}

func (e *evaluator) withCaller(a callArgs, caller *macro) callArgs {
	if caller != nil {
		a.names = append(a.names, "caller")
		a.kw = append(a.kw, caller)
	}
	return a
}

func (e *evaluator) call(fn Value, a callArgs) Value {
	switch fn := fn.(type) {
	case *builtin:
		return fn.call(e, a)
	case *macro:
		return fn.call(e, a)
	case *loopState:
		return fn.recurse(e, a)
	case undefined:
		e.undefinedError(fn)
	}
	e.typeError("%s is not callable", describe(fn))
	panic("unreachable")
}

func (e *evaluator) enterCall() {
	e.calls++
	if e.calls > maxCallDepth {
		e.limit("more than %d macro calls inside each other", maxCallDepth)
	}
}

func (m *macro) call(e *evaluator, a callArgs) Value {
	d := m.def
	sc := &scope{parent: m.env}
	nPos := min(len(a.pos), len(d.params))
	given := make([]bool, len(d.params))
	for i, v := range a.pos[:nPos] {
		e.define(sc, d.params[i].id, v)
		given[i] = true
	}
	var rest *Map
	caller := Value(undefined{"caller"})
	for i, name := range a.names {
		e.charge(len(d.params) / namesPerStep)
		if k := d.param(name); k >= 0 {
			if given[k] {
				e.typeError("macro %s got argument %s twice", quote(d.name), quote(name))
			}
			e.define(sc, d.params[k].id, a.kw[i])
			given[k] = true
			continue
		}
		if name == "caller" && d.usesCaller {
			caller = a.kw[i]
			continue
		}
		if rest == nil {
			rest = NewMap()
		}
		rest.set(String(name), a.kw[i])
	}
	if rest != nil && !d.usesKwarg {
		e.typeError("macro %s takes no argument %s", quote(d.name), quote(string(rest.keys[0].(String))))
	}
	if len(a.pos) > nPos && !d.usesVarargs {
		e.typeError("macro %s takes at most %d arguments, found %d", quote(d.name), len(d.params), len(a.pos))
	}
	e.charge(1 + len(a.pos) + len(a.kw))

	saved, line := e.scope, e.line
	e.scope = sc
	e.enterCall()
	for i, p := range d.params {
		switch {
		case given[i]:
		case p.def != nil:
			e.define(sc, p.id, e.eval(p.def))
		default:
			e.define(sc, p.id, undefined{p.name})
		}
	}
	if d.usesCaller && d.param("caller") < 0 {
		e.define(sc, d.callerID, caller)
	}
	if d.usesVarargs && d.param("varargs") < 0 {
		e.define(sc, d.varargsID, newTuple(a.pos[nPos:]...))
	}
	if d.usesKwarg && d.param("kwargs") < 0 {
		if rest == nil {
			rest = NewMap()
		}
		e.define(sc, d.kwargsID, rest)
	}
	text, _ := e.capture(func() flow { return e.run(d.body) })
	e.calls--
	e.scope, e.line = saved, line
	return text
}

func (d *macroDef) param(name string) int {
	for i := range d.params {
		if d.params[i].name == name {
			return i
		}
	}
	return -1
}

func (m *macro) attr(name string) Value {
	switch name {
	case "name":
		return String(m.def.name)
	case "arguments":
		names := make([]Value, len(m.def.params))
		for i := range names {
			names[i] = String(m.def.params[i].name)
		}
		return newTuple(names...)
	case "catch_kwargs":
		return Bool(m.def.usesKwarg)
	case "catch_varargs":
		return Bool(m.def.usesVarargs)
	case "caller":
		return Bool(m.def.usesCaller)
	}
	return undefined{name}
}

// signature is the parameters of a built-in function, filter, test or method.
type signature struct {
	names    []string
	required int
}

// sig makes a signature of names; those with "?" may be left out.
func sig(names ...string) signature {
	s := signature{names: make([]string, len(names))}
	for i, n := range names {
		if n[len(n)-1] == '?' {
			s.names[i] = n[:len(n)-1]
			continue
		}
		s.names[i] = n
		s.required = i + 1
	}
	return s
}

// bind puts arguments in the order of a signature; what was left out is nil.
func (e *evaluator) bind(what string, s *signature, a callArgs) []Value {
	if len(a.pos) > len(s.names) {
		e.typeError("%s takes at most %d arguments, found %d", what, len(s.names), len(a.pos))
	}
	if len(s.names) == 0 && len(a.kw) == 0 {
		return nil
	}
	vals := make([]Value, len(s.names))
	copy(vals, a.pos)
next:
	for i, name := range a.names {
		for k, n := range s.names {
			if n == name {
				if vals[k] != nil {
					e.typeError("%s got argument %s twice", what, quote(name))
				}
				vals[k] = a.kw[i]
				continue next
			}
		}
		e.typeError("%s takes no argument %s", what, quote(name))
	}
	for k := range s.required {
		if vals[k] == nil {
			e.typeError("%s needs the argument %s", what, quote(s.names[k]))
		}
	}
	return vals
}
