package chat

import (
	"math"
	"strings"
)

// Map is a mapping that keeps the order in which its keys were first set. It is immutable once a render has seen it; reading
// it from several goroutines is safe.
type Map struct {
	keys, vals []Value
	index      map[Value]int // nil for small maps
}

// Vars are the variables a template is rendered with, by name.
type Vars = *Map

const indexedMapLen = 9 // from this length on, a hash index pays

// NewMap makes an empty map.
func NewMap() *Map { return &Map{} }

// NewString makes a String of s, with U+FFFD in place of what is not UTF-8.
func NewString(s string) String { return String(strings.ToValidUTF8(s, "\uFFFD")) }

// Len is the number of keys.
func (m *Map) Len() int {
	if m == nil {
		return 0
	}
	return len(m.keys)
}

// Set sets a key; an existing key keeps its place. It returns m. A nil value counts as None.
func (m *Map) Set(key string, v Value) *Map {
	if v == nil {
		v = None{}
	}
	m.set(NewString(key), v)
	return m
}

// Get is the value of a key.
func (m *Map) Get(key string) (Value, bool) {
	if m == nil {
		return nil, false
	}
	if i := m.find(String(key)); i >= 0 {
		return m.vals[i], true
	}
	return nil, false
}

// hashKey gives equal keys the same form: in Python 1, 1.0 and True are one key. ok is false for what cannot be a key.
func hashKey(v Value) (key Value, ok bool) {
	switch k := v.(type) {
	case String, Int, None, bigInt:
		return v, true
	case Bool:
		return boolInt(k), true
	case Float:
		if f := float64(k); f == math.Trunc(f) && math.Abs(f) < 1<<63 {
			return Int(int64(f)), true
		}
		return v, true
	}
	return nil, false
}

// find gives the position of a key in its hashKey form, or -1.
func (m *Map) find(key Value) int {
	if m.index != nil {
		if i, ok := m.index[key]; ok {
			return i
		}
		return -1
	}
	if s, ok := key.(String); ok {
		for i, k := range m.keys {
			if t, ok := k.(String); ok && t == s {
				return i
			}
		}
		return -1
	}
	for i, k := range m.keys {
		if h, _ := hashKey(k); h == key {
			return i
		}
	}
	return -1
}

// set sets a key that hashKey accepts.
func (m *Map) set(key, v Value) {
	h, ok := hashKey(key)
	if !ok {
		panic("chat: unhashable key " + key.typeName())
	}
	if i := m.find(h); i >= 0 {
		m.vals[i] = v
		return
	}
	m.keys = append(m.keys, key)
	m.vals = append(m.vals, v)
	if m.index != nil {
		m.index[h] = len(m.keys) - 1
		return
	}
	if len(m.keys) >= indexedMapLen {
		m.index = make(map[Value]int, 2*len(m.keys))
		for i, k := range m.keys {
			h, _ := hashKey(k)
			m.index[h] = i
		}
	}
}

func (m *Map) clone() *Map {
	c := NewMap()
	if m == nil {
		return c
	}
	for i, k := range m.keys {
		c.set(k, m.vals[i])
	}
	return c
}

// items gives the pairs as tuples.
func (m *Map) items() []Value {
	pairs := make([]Value, len(m.keys))
	flat := make([]Value, 2*len(m.keys))
	for i, k := range m.keys {
		kv := flat[2*i : 2*i+2 : 2*i+2]
		kv[0], kv[1] = k, m.vals[i]
		pairs[i] = newTuple(kv...)
	}
	return pairs
}

func boolInt(b Bool) Int {
	if b {
		return 1
	}
	return 0
}
