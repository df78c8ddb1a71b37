package gguf

import (
	"errors"
	"strconv"
	"strings"
)

// Class says what kind of fault a file has. A Class is an error itself, so that callers branch with
// errors.Is(err, gguf.ErrTruncated); errors.As with *Error gives the place.
type Class uint8

const (
	// ErrFormat: the bytes contradict the format.
	ErrFormat Class = iota + 1
	// ErrLimit: a number is beyond what any real model needs, or cannot fit in the file at all.
	ErrLimit
	// ErrTruncated: the file ends before what it announces.
	ErrTruncated
	// ErrUnsupported: a valid form that this package does not read (versions, big-endian, withdrawn tensor types).
	ErrUnsupported
	// ErrModel: the file is sound, but what a model needs is missing or has the wrong type.
	ErrModel
)

// Error returns the name of the class.
func (c Class) Error() string {
	switch c {
	case ErrFormat:
		return "malformed file"
	case ErrLimit:
		return "limit exceeded"
	case ErrTruncated:
		return "truncated file"
	case ErrUnsupported:
		return "unsupported"
	case ErrModel:
		return "unusable model"
	}
	return "class " + strconv.Itoa(int(c))
}

var (
	// ErrAbsent is matched by the getters' error for a key that the file does not have.
	ErrAbsent = errors.New("absent")
	// ErrFault is matched by CatchFault's error for a mapped page that could not be read.
	ErrFault = errors.New("mapped file became unreadable (truncated, replaced or damaged while in use)")
)

// Error is a fault of a file. Its text is one line of printable ASCII, at most maxErrorBytes long, whatever the file
// holds.
type Error struct {
	Class  Class
	Offset int64  // byte position in the file, -1 if the fault has no place
	Field  string // what was being read: `version`, `key "general.name"`, `tensor "output.weight"`
	Msg    string // what was found and what was expected
	Err    error  // cause, may be nil
}

const (
	maxErrorBytes = 512
	maxQuoted     = 128 // bytes of text from a file that an error repeats, after quoting
)

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Class.Error())
	if e.Field != "" {
		b.WriteString(": ")
		b.WriteString(e.Field)
	}
	if e.Msg != "" {
		b.WriteString(": ")
		b.WriteString(e.Msg)
	}
	if e.Offset >= 0 {
		b.WriteString(" (at byte ")
		b.WriteString(strconv.FormatInt(e.Offset, 10))
		b.WriteString(")")
	}
	s := b.String()
	if len(s) > maxErrorBytes {
		s = s[:maxErrorBytes-3] + "..."
	}
	return s
}

// Is reports whether target is the error's class.
func (e *Error) Is(target error) bool {
	c, ok := target.(Class)
	return ok && c == e.Class
}

// Unwrap returns the cause, if there is one.
func (e *Error) Unwrap() error { return e.Err }

// quote returns s as a quoted ASCII string of at most maxQuoted bytes; a cut one ends in "...".
func quote(s string) string {
	if len(s) <= maxQuoted {
		if q := strconv.QuoteToASCII(s); len(q) <= maxQuoted {
			return q
		}
	}
	cut := min(len(s), maxQuoted)
	q := strconv.QuoteToASCII(s[:cut])
	for len(q) > maxQuoted-3 {
		cut -= (len(q) - (maxQuoted - 3) + 9) / 10 // no byte takes more than ten
		q = strconv.QuoteToASCII(s[:cut])
	}
	return q + "..."
}

// place is what is being read, kept unformatted until it is needed in an error.
type place struct {
	what string // "key", "tensor", "version"
	name string // from the file
	n    int    // with a name an element of it, without one the ordinal of what; none if below 0
}

func keyField(key string) place     { return place{"key", key, -1} }
func tensorField(name string) place { return place{"tensor", name, -1} }
func header(what string) place      { return place{what, "", -1} }

func (p place) String() string {
	s := p.what
	if p.name != "" {
		s += " " + quote(p.name)
		if p.n >= 0 {
			s += " element"
		}
	}
	if p.n >= 0 {
		s += " " + strconv.Itoa(p.n)
	}
	return s
}

// element is element i of the array p.
func (p place) element(i int) place { return place{p.what, p.name, i} }
