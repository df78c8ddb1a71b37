package chat

func (x *sliceExpr) eval(e *evaluator) Value {
	obj := e.eval(x.obj)
	from, hasFrom := e.bound(x.from)
	to, hasTo := e.bound(x.to)
	step, hasStep := e.bound(x.step)
	if !hasStep {
		step = 1
	}
	var n int
	chars := []Value(nil)
	switch o := obj.(type) {
	case undefined:
		e.undefinedError(o)
	case String:
		e.bytes(len(o))
		if s, ok := sliceASCII(string(o), from, hasFrom, to, hasTo, step); ok {
			return String(s)
		}
		chars = e.chars(string(o))
		n = len(chars)
	case *List:
		if o.isView() {
			e.typeError("%s cannot be sliced", describe(obj))
		}
		n = len(o.items)
	case *rangeValue:
		n = o.n
	default:
		e.typeError("%s cannot be sliced", describe(obj))
	}
	if step == 0 {
		e.typeError("slice step is zero")
	}
	start, count := sliceIndices(n, from, hasFrom, to, hasTo, step)
	switch o := obj.(type) {
	case String:
		parts, size := make([]string, count), 0
		for i := range parts {
			parts[i] = string(chars[start+i*step].(String))
			size += len(parts[i])
		}
		return e.join(parts, size)
	case *rangeValue:
		return &rangeValue{o.start + int64(start)*o.step, o.step * int64(step), count}
	case *List:
		if step == 1 {
			return &List{items: o.items[start : start+count : start+count], kind: o.plainKind()}
		}
		e.charge(count)
		items := make([]Value, count)
		for i := range items {
			items[i] = o.items[start+i*step]
		}
		return &List{items: items, kind: o.plainKind()}
	}
	panic("unreachable")
}

// bound evaluates one bound; ok is false when it is left out or none. Bounds are clamped to 32 bits.
func (e *evaluator) bound(x expr) (n int, ok bool) {
	if x == nil {
		return 0, false
	}
	switch v := e.eval(x).(type) {
	case None:
		return 0, false
	case Int:
		return int(max(-1<<31+1, min(1<<31-1, v))), true
	case Bool:
		return int(boolInt(v)), true
	case undefined:
		e.typeError("slice bound %s is undefined", quote(v.hint))
	default:
		e.typeError("slice bound is %s, not an integer", describe(v))
	}
	panic("unreachable")
}

// sliceASCII is the common case: a step of 1 over single-byte characters.
func sliceASCII(s string, from int, hasFrom bool, to int, hasTo bool, step int) (string, bool) {
	if step != 1 {
		return "", false
	}
	for i := range len(s) {
		if s[i] >= 0x80 {
			return "", false
		}
	}
	start, count := sliceIndices(len(s), from, hasFrom, to, hasTo, 1)
	return s[start : start+count], true
}

// sliceIndices gives the first index and the number of elements, by Python's rules; step is not 0.
func sliceIndices(n, from int, hasFrom bool, to int, hasTo bool, step int) (start, count int) {
	lo, hi := 0, n
	if step < 0 {
		lo, hi = -1, n-1
	}
	clamp := func(i int) int {
		if i < 0 {
			i += n
		}
		return max(lo, min(hi, i))
	}
	start, stop := lo, hi
	if step < 0 {
		start, stop = hi, lo
	}
	if hasFrom {
		start = clamp(from)
	}
	if hasTo {
		stop = clamp(to)
	}
	switch {
	case step > 0 && stop > start:
		count = (stop-start-1)/step + 1
	case step < 0 && start > stop:
		count = (start-stop-1)/(-step) + 1
	}
	if count == 0 {
		start = 0
	}
	return start, count
}
