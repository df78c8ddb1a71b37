package chat

// mapFilter is map(attribute=..., default=...) or map("filter", args...).
func mapFilter(e *evaluator, in Value, a callArgs) Value {
	var f func(Value) Value
	if len(a.pos) == 0 {
		args := e.bind("filter map", &mapSig, a)
		f = e.getter(args[0], args[1])
	} else {
		name := e.strArg("name of the filter to map", a.pos[0], "")
		target := e.filters[name]
		if target == nil {
			e.typeError("no filter named %s", quote(name))
		}
		rest := callArgs{a.pos[1:], a.names, a.kw}
		f = func(v Value) Value { return e.filter(name, target, v, rest) }
	}
	src := e.slice(in)
	e.down()
	items := make([]Value, len(src))
	for i, v := range src {
		items[i] = f(v)
	}
	e.depth--
	return &generator{items: items}
}

var mapSig = sig("attribute", "default?")

// selectFilter makes select, reject and their forms that look at an attribute.
func selectFilter(attr, keep bool) func(*evaluator, Value, callArgs) Value {
	return func(e *evaluator, in Value, a callArgs) Value {
		get := e.getter(nil, nil)
		if attr {
			if len(a.pos) == 0 {
				e.typeError("the name of the attribute is missing")
			}
			get = e.getter(a.pos[0], nil)
			a.pos = a.pos[1:]
		}
		ok := func(v Value) bool { return e.truth(v) }
		if len(a.pos) > 0 {
			name := e.strArg("name of the test", a.pos[0], "")
			t := e.tests[name]
			if t == nil {
				e.typeError("no test named %s", quote(name))
			}
			rest := callArgs{a.pos[1:], a.names, a.kw}
			ok = func(v Value) bool { return e.test(name, t, v, rest) }
		}
		g := &generator{}
		for _, v := range e.slice(in) {
			if ok(get(v)) == keep {
				g.items = append(g.items, v)
			}
		}
		return g
	}
}

func batchFilter(e *evaluator, in Value, a []Value) Value {
	size := e.intArg("batch() size", a[0], 0)
	if size < 1 {
		e.typeError("batch() size is %d", size)
	}
	items := e.slice(in)
	g := &generator{}
	for len(items) > 0 {
		n := min(size, len(items))
		part := items[:n:n]
		if _, none := orNone(a[1]).(None); !none {
			e.charge(size - n)
			for len(part) < size {
				part = append(part, a[1])
			}
		}
		g.items = append(g.items, &List{items: part})
		items = items[n:]
	}
	return g
}

func sliceFilter(e *evaluator, in Value, a []Value) Value {
	items := e.slice(in)
	slices := e.intArg("slice() count", a[0], 0)
	if slices < 1 {
		e.typeError("slice() count is %d", slices)
	}
	e.charge(slices)
	size, more := len(items)/slices, len(items)%slices
	g := &generator{}
	for i := range slices {
		n := size
		if i < more {
			n++
		}
		part := items[:n:n]
		items = items[n:]
		if _, none := orNone(a[1]).(None); !none && i >= more {
			part = append(part, a[1])
		}
		g.items = append(g.items, &List{items: part})
	}
	return g
}

func groupbyFilter(e *evaluator, in Value, a []Value) Value {
	get := e.getter(a[0], a[1])
	key := e.folded(get, a[2])
	l := &List{}
	var last Value
	for _, v := range e.sorted(e.slice(in), false, key) {
		k := key(v)
		if last == nil || !e.equal(last, k, 0) {
			l.items = append(l.items, &List{items: []Value{get(v), &List{}}, kind: kindGroup})
			last = k
		}
		group := l.items[len(l.items)-1].(*List).items[1].(*List)
		group.items = append(group.items, v)
	}
	return l
}
