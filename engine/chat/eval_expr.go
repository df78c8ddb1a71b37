package chat

func (x *constExpr) eval(*evaluator) Value { return x.v }

func (x *nameExpr) eval(e *evaluator) Value {
	if v := e.lookup(x.id); v != nil {
		return v
	}
	return undefined{x.name}
}

func (x *listExpr) eval(e *evaluator) Value {
	items := make([]Value, len(x.items))
	for i, it := range x.items {
		items[i] = e.eval(it)
	}
	return &List{items: items, kind: x.kind}
}

func (x *dictExpr) eval(e *evaluator) Value {
	m := NewMap()
	for i, k := range x.keys {
		key := e.eval(k)
		e.hashable(key)
		e.set(m, key, e.eval(x.vals[i]))
	}
	return m
}

func (e *evaluator) hashable(key Value) Value {
	h, ok := hashKey(key)
	if !ok {
		e.typeError("%s cannot be a key", describe(key))
	}
	return h
}

func (x *attrExpr) eval(e *evaluator) Value { return e.attr(e.eval(x.obj), x.name) }

func (x *itemExpr) eval(e *evaluator) Value {
	obj := e.eval(x.obj)
	return e.item(obj, e.eval(x.key))
}

func (x *notExpr) eval(e *evaluator) Value { return Bool(!e.truth(e.eval(x.x))) }

func (x *negExpr) eval(e *evaluator) Value { return e.negate(e.eval(x.x)) }

func (x *posExpr) eval(e *evaluator) Value {
	v := e.eval(x.x)
	switch n := v.(type) {
	case Int, Float:
		return v
	case Bool:
		return boolInt(n)
	case undefined:
		e.undefinedError(n)
	}
	e.typeError("bad operand for unary +: %s", describe(v))
	panic("unreachable")
}

func (x *binaryExpr) eval(e *evaluator) Value {
	a := e.eval(x.a)
	return e.binary(x.op, a, e.eval(x.b))
}

func (x *concatExpr) eval(e *evaluator) Value {
	var buf [8]string
	parts, n := buf[:0], 0
	for _, p := range x.parts {
		s := e.str(e.eval(p))
		parts = append(parts, s)
		n += len(s)
		e.fits(n)
	}
	return e.join(parts, n)
}

// join makes one string of n bytes.
func (e *evaluator) join(parts []string, n int) Value {
	e.bytes(n)
	b := make([]byte, 0, n)
	for _, s := range parts {
		b = append(b, s...)
	}
	return String(b)
}

// fits ends the render if a string of n bytes would be too long.
func (e *evaluator) fits(n int) {
	if n > maxStringBytes || n < 0 {
		e.limit("string over %d bytes", maxStringBytes)
	}
}

func (x *logicExpr) eval(e *evaluator) Value {
	var v Value
	for _, p := range x.parts {
		v = e.eval(p)
		if e.truth(v) == x.or {
			return v
		}
	}
	return v
}

func (x *compareExpr) eval(e *evaluator) Value {
	a := e.eval(x.first)
	for i := range x.rest {
		b := e.eval(x.rest[i].x)
		if !e.compare(x.rest[i].op, a, b) {
			return Bool(false)
		}
		a = b
	}
	return Bool(true)
}

func (x *condExpr) eval(e *evaluator) Value {
	if e.truth(e.eval(x.cond)) {
		return e.eval(x.then)
	}
	if x.els == nil {
		return undefined{"the inline if-expression"}
	}
	return e.eval(x.els)
}

func (x *filterExpr) eval(e *evaluator) Value {
	in := e.piped
	if x.in != nil {
		in = e.eval(x.in)
	}
	if x.f == nil {
		e.typeError("no filter named %s", quote(x.name))
	}
	return e.filter(x.name, x.f, in, e.args(&x.args))
}

func (x *testExpr) eval(e *evaluator) Value {
	in := e.eval(x.in)
	if x.t == nil {
		e.typeError("no test named %s", quote(x.name))
	}
	return Bool(e.test(x.name, x.t, in, e.args(&x.args)))
}

// find is m.find with the work charged.
func (e *evaluator) find(m *Map, key Value) int {
	if s, ok := key.(String); ok {
		e.bytes(len(s))
	}
	return m.find(key)
}

// set is m.set with the work charged; key has passed hashable.
func (e *evaluator) set(m *Map, key, v Value) {
	if s, ok := key.(String); ok {
		e.bytes(len(s))
	}
	e.charge(1)
	m.set(key, v)
}

// attr is obj.name: methods and attributes go before the keys of a mapping.
func (e *evaluator) attr(obj Value, name string) Value {
	if v := e.ownAttr(obj, name); v != nil {
		return v
	}
	if m, ok := obj.(*Map); ok {
		if i := e.find(m, String(name)); i >= 0 {
			return m.vals[i]
		}
	}
	return undefined{name}
}

// item is obj[key]: keys and positions go before methods and attributes.
func (e *evaluator) item(obj, key Value) Value {
	if v := e.element(obj, key); v != nil {
		return v
	}
	if name, ok := key.(String); ok {
		if v := e.ownAttr(obj, string(name)); v != nil {
			return v
		}
		return undefined{string(name)}
	}
	return undefined{"an element of " + describe(obj)}
}

// element is the element of a mapping, list or string, nil when there is none.
func (e *evaluator) element(obj, key Value) Value {
	switch o := obj.(type) {
	case undefined:
		e.undefinedError(o)
	case *Map:
		if h, ok := hashKey(key); ok {
			if i := e.find(o, h); i >= 0 {
				return o.vals[i]
			}
		}
		return nil
	}
	var i int
	switch k := key.(type) {
	case Int:
		if int64(int32(k)) != int64(k) {
			return nil
		}
		i = int(k)
	case Bool:
		i = int(boolInt(k))
	default:
		return nil
	}
	at := func(n int) int {
		if i < 0 {
			return i + n
		}
		return i
	}
	switch o := obj.(type) {
	case *List:
		if i = at(len(o.items)); i >= 0 && i < len(o.items) && !o.isView() {
			return o.items[i]
		}
	case *rangeValue:
		if i = at(o.n); i >= 0 && i < o.n {
			return o.at(i)
		}
	case String:
		return e.charAt(string(o), i)
	}
	return nil
}

// ownAttr is a method or attribute that is not a key, nil when there is none. Methods that change a list or a mapping exist but
// cannot be used: they give undefined, as in Jinja2's immutable sandbox.
func (e *evaluator) ownAttr(obj Value, name string) Value {
	switch o := obj.(type) {
	case undefined:
		e.undefinedError(o)
	case *namespace:
		if v, ok := o.attrs.Get(name); ok && name[0] != '_' {
			return v
		}
		return nil
	case *loopState:
		return o.attr(e, name)
	case *macro:
		return o.attr(name)
	case *List:
		if o.kind == kindGroup && len(o.items) == 2 {
			switch name {
			case "grouper":
				return o.items[0]
			case "list":
				return o.items[1]
			}
		}
		if o.kind == kindList && mutators[name] != 0 && mutators[name] != 'm' {
			return undefined{name}
		}
	case *Map:
		if mutators[name] != 0 && mutators[name] != 'l' {
			return undefined{name}
		}
	}
	if m := e.methodOf(obj, name); m != nil {
		return &builtin{name, func(e *evaluator, a callArgs) Value { return e.invoke(m, obj, a) }}
	}
	return nil
}

// mutators are the methods that would change a list ('l'), a mapping ('m') or either ('b').
var mutators = map[string]byte{
	"append": 'l', "insert": 'l', "extend": 'l', "remove": 'l', "reverse": 'l', "sort": 'l',
	"popitem": 'm', "setdefault": 'm', "update": 'm', "pop": 'b', "clear": 'b',
}

func (e *evaluator) undefinedError(u undefined) {
	e.typeError("%s is undefined", quote(u.hint))
}
