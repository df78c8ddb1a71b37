package chat

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// What callers branch on, with errors.Is.
var (
	// ErrNoTemplate means that there is no template to render with: the caller treats its input as raw text.
	ErrNoTemplate = errors.New("no chat template")
	// ErrSyntax means that the template is not in the language this package understands.
	ErrSyntax = errors.New("template syntax error")
	// ErrRuntime means that the template did something undefined, such as adding a number to a string.
	ErrRuntime = errors.New("template runtime error")
	// ErrLimit means that the template or its render went over a limit.
	ErrLimit = errors.New("template limit exceeded")
	// ErrDeadline means that the deadline passed during the render.
	ErrDeadline = errors.New("template deadline exceeded")
	// ErrInput means that JSON input could not be decoded.
	ErrInput = errors.New("invalid template input")
)

// Error is a failure to compile or to render, at a line of the template (from 1; 0 when unknown).
// It wraps one of ErrSyntax, ErrRuntime, ErrLimit and ErrDeadline, or a *RaisedError.
type Error struct {
	Line int
	Msg  string
	Err  error
}

func (e *Error) Error() string {
	s := e.Err.Error()
	if e.Line > 0 {
		s = "line " + strconv.Itoa(e.Line) + ": " + s
	}
	if e.Msg != "" {
		s += ": " + e.Msg
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// RaisedError is what a template says by raise_exception(message), typically that it does not support a role or an order of
// roles. Message is cut to 4 KiB.
type RaisedError struct{ Message string }

func (e *RaisedError) Error() string { return "template refused the conversation: " + quote(e.Message) }

// Is makes a RaisedError count as ErrRuntime too.
func (e *RaisedError) Is(target error) bool { return target == ErrRuntime }

// quote makes text from a template or an input safe for an error message.
func quote(s string) string {
	if len(s) > maxQuotedBytes {
		return strconv.Quote(cutRunes(s, maxQuotedBytes)) + "..."
	}
	return strconv.Quote(s)
}

// cutRunes cuts s to at most n bytes without splitting a rune.
func cutRunes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// abort carries an error from the depth of the parser or the evaluator to Compile or Render; no other panic is used, and it
// never leaves the package.
type abort struct{ err *Error }

func catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case abort:
		*err = r.err
	default:
		panic(r)
	}
}

// fail ends the render.
func (e *evaluator) fail(kind error, format string, args ...any) {
	panic(abort{&Error{Line: e.line, Msg: fmt.Sprintf(format, args...), Err: kind}})
}

func (e *evaluator) typeError(format string, args ...any) { e.fail(ErrRuntime, format, args...) }

func (e *evaluator) limit(format string, args ...any) { e.fail(ErrLimit, format, args...) }
