package chat

import "fmt"

// parser turns tokens into the tree: recursive descent, with Jinja2's grammar and its precedences.
type parser struct {
	lex       *lexer
	cur, peek token
	depth     int
	loops     int // enclosing loops that break and continue can leave

	names []string
	ids   map[string]nameID

	macros  []*macroDef   // enclosing macros
	closes  int           // functions made so far: macros and call blocks
	unknown []missingName // filters and tests that do not exist, outside conditionals
}

// missingName is a filter or test that does not exist.
type missingName struct {
	pos        int
	kind, name string
}

func newParser(src string) *parser {
	p := &parser{lex: newLexer(src), ids: map[string]nameID{}}
	p.cur = p.lex.next()
	p.peek = p.read()
	return p
}

// read keeps the lexer from running ahead of the end.
func (p *parser) read() token {
	if p.cur.kind == tokEOF && p.cur.pos >= len(p.lex.src) {
		return p.cur
	}
	return p.lex.next()
}

func (p *parser) advance() token {
	t := p.cur
	p.cur = p.peek
	p.peek = p.read()
	return t
}

func (p *parser) fail(format string, args ...any) {
	panic(abort{p.errorAt(ErrSyntax, p.cur.pos, format, args...)})
}

func (p *parser) errorAt(kind error, pos int, format string, args ...any) *Error {
	return &Error{Line: p.lex.lineAt(min(pos, len(p.lex.src))), Msg: fmt.Sprintf(format, args...), Err: kind}
}

// enter counts a level of nesting; the caller leaves it with p.depth--.
func (p *parser) enter() {
	p.depth++
	if p.depth > maxParseDepth {
		panic(abort{p.errorAt(ErrLimit, p.cur.pos, "nested more than %d levels deep", maxParseDepth)})
	}
}

func (p *parser) id(name string) nameID {
	id, ok := p.ids[name]
	if !ok {
		id = nameID(len(p.names))
		p.names = append(p.names, name)
		p.ids[name] = id
	}
	return id
}

func (p *parser) line() int { return p.lex.lineAt(min(p.cur.pos, len(p.lex.src))) }

func (p *parser) isOp(op string) bool     { return p.cur.kind == tokOp && p.cur.text == op }
func (p *parser) isName(name string) bool { return p.cur.kind == tokName && p.cur.text == name }

func (p *parser) skipOp(op string) bool {
	if p.isOp(op) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) skipName(name string) bool {
	if p.isName(name) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) expectOp(op string) {
	if !p.skipOp(op) {
		p.fail("expected %q, found %s", op, p.describe())
	}
}

func (p *parser) expectName() string {
	if p.cur.kind != tokName {
		p.fail("expected a name, found %s", p.describe())
	}
	return p.advance().text
}

func (p *parser) expectBlockEnd() {
	if p.cur.kind != tokBlockEnd {
		p.fail("expected the end of the tag, found %s", p.describe())
	}
	p.advance()
}

func (p *parser) describe() string {
	switch p.cur.kind {
	case tokEOF:
		return "the end of the template"
	case tokData:
		return "text"
	case tokString:
		return "the string " + quote(p.cur.text)
	case tokVarBegin:
		return `"{{"`
	case tokBlockBegin:
		return `"{%"`
	}
	return quote(p.cur.text)
}

// body parses statements up to a tag that ends says is the end, which stays the current token (behind its "{%"); with nil, up
// to the end of the template.
func (p *parser) body(ends []string) []stmt {
	p.enter()
	defer func() { p.depth-- }()
	var body []stmt
	for {
		switch p.cur.kind {
		case tokEOF:
			if ends != nil {
				p.fail("expected {%% %s %%}, found the end of the template", ends[len(ends)-1])
			}
			return body
		case tokData:
			body = append(body, &textStmt{p.advance().text})
		case tokVarBegin:
			p.advance()
			line := p.line()
			x := p.tuple(tupleOpts{})
			if p.cur.kind != tokVarEnd {
				p.fail(`expected "}}", found %s`, p.describe())
			}
			p.advance()
			body = append(body, &outputStmt{x, line})
		case tokBlockBegin:
			p.advance()
			for _, end := range ends {
				if p.isName(end) {
					return body
				}
			}
			body = append(body, p.statement())
		default:
			p.fail("unexpected %s", p.describe())
		}
	}
}

// block parses a body up to the given end tag and consumes that.
func (p *parser) block(end string) []stmt {
	p.expectBlockEnd()
	body := p.body([]string{end})
	p.advance()
	p.expectBlockEnd()
	return body
}

// function parses a body that breaks cannot leave and that assignments do not leave either.
func (p *parser) function(m *macroDef, end string) {
	loops := p.loops
	p.loops = 0
	p.macros = append(p.macros, m)
	p.closes++
	m.callerID, m.varargsID, m.kwargsID = p.id("caller"), p.id("varargs"), p.id("kwargs")
	m.body = p.block(end)
	p.macros = p.macros[:len(p.macros)-1]
	p.loops = loops
}
