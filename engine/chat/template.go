package chat

import (
	"fmt"
	"strings"
)

// Template is a compiled chat template. It is immutable: several goroutines may render it at the same time.
type Template struct {
	body  []stmt
	names []string // of the variables, by nameID
}

// Compile parses a template. Errors wrap ErrNoTemplate (src is blank), ErrSyntax or ErrLimit.
// A filter or test that does not exist is an error here, or, inside a conditional, when it is reached, as in Jinja2.
func Compile(src string) (t *Template, err error) {
	if strings.TrimSpace(src) == "" {
		return nil, fmt.Errorf("template is empty: %w", ErrNoTemplate)
	}
	if len(src) > MaxSourceBytes {
		return nil, &Error{Msg: fmt.Sprintf("template has %d bytes, at most %d allowed", len(src), MaxSourceBytes), Err: ErrLimit}
	}
	defer catch(&err)
	p := newParser(string(NewString(src)))
	body := p.body(nil)
	if len(p.unknown) > 0 {
		u := p.unknown[0]
		panic(abort{p.errorAt(ErrSyntax, u.pos, "no %s named %s", u.kind, quote(u.name))})
	}
	return &Template{body: body, names: p.names}, nil
}

// Render runs the template. The result is at most Limits.OutputBytes long. Errors are *Error and wrap ErrRuntime (for
// raise_exception, *RaisedError), ErrLimit or ErrDeadline; a nil template is ErrNoTemplate.
func (t *Template) Render(vars Vars, opts Options) (out string, err error) {
	if t == nil {
		return "", ErrNoTemplate
	}
	defer catch(&err)
	e := newEvaluator(t, vars, opts)
	e.run(t.body)
	return string(e.out), nil
}
