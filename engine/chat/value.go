package chat

import "time"

// Value is a value of the template language: None, Bool, Int, Float, String, *List, *Map, or one that only the evaluator
// makes (undefined, ranges, generators, namespaces, functions). A nil Value passed in counts as None.
type Value interface{ typeName() string }

type (
	// None is the value none.
	None struct{}
	// Bool is true or false.
	Bool bool
	// Int is an integer.
	Int int64
	// Float is a floating-point number.
	Float float64
	// String is text in UTF-8. Text that comes from outside passes through NewString.
	String string
)

type (
	// undefined is what an unknown name or attribute gives; hint says which, for the error if it is used.
	undefined struct{ hint string }
	// bigInt is an integer of JSON input that does not fit an Int: its decimal digits.
	bigInt string
	// rangeValue is range(): lazy.
	rangeValue struct {
		start, step int64
		n           int
	}
	// generator is the result of a lazy filter: it can be read once and has no length.
	generator struct {
		items []Value
		pos   int
	}
	// namespace is the only object that a template can change.
	namespace struct{ attrs *Map }
	// builtin is a function, or a method bound to its receiver.
	builtin struct {
		name string
		call func(e *evaluator, a callArgs) Value
	}
)

func (None) typeName() string        { return "NoneType" }
func (Bool) typeName() string        { return "bool" }
func (Int) typeName() string         { return "int" }
func (Float) typeName() string       { return "float" }
func (String) typeName() string      { return "str" }
func (undefined) typeName() string   { return "Undefined" }
func (bigInt) typeName() string      { return "int" }
func (*rangeValue) typeName() string { return "range" }
func (*generator) typeName() string  { return "generator" }
func (*namespace) typeName() string  { return "Namespace" }
func (*builtin) typeName() string    { return "builtin_function_or_method" }
func (*Map) typeName() string        { return "dict" }
func (l *List) typeName() string     { return listTypeNames[l.kind] }

// listKind tells the sequences apart that Python prints and compares differently.
type listKind uint8

const (
	kindList listKind = iota
	kindTuple
	kindGroup // a tuple (grouper, list) of groupby, with these two attributes
	kindKeys
	kindValues
	kindItems
)

var listTypeNames = [...]string{"list", "tuple", "_GroupTuple", "dict_keys", "dict_values", "dict_items"}

// List is a list or a tuple. It is immutable once a render has seen it.
type List struct {
	items []Value
	kind  listKind
}

// NewList makes a list; it keeps the slice.
func NewList(items ...Value) *List {
	for i, v := range items {
		if v == nil {
			items[i] = None{}
		}
	}
	return &List{items: items}
}

func newTuple(items ...Value) *List { return &List{items: items, kind: kindTuple} }

// Len is the number of elements.
func (l *List) Len() int { return len(l.items) }

// At is element i, 0 <= i < Len().
func (l *List) At(i int) Value { return l.items[i] }

func (l *List) isTuple() bool { return l.kind == kindTuple || l.kind == kindGroup }

// isView is true for what keys(), values() and items() of a mapping give: it has a length, but no indexing.
func (l *List) isView() bool { return l.kind >= kindKeys }

// Options are the settings of one render.
type Options struct {
	// Now is what strftime_now formats. With the zero time a template that asks for the time fails.
	Now    time.Time
	Limits Limits
}
