package chat

import (
	"strconv"
	"strings"
)

func (p *parser) expression() expr {
	p.enter()
	defer func() { p.depth-- }()
	nUnknown := len(p.unknown)
	x := p.or()
	for p.skipName("if") {
		cond := p.or()
		var els expr
		if p.skipName("else") {
			els = p.expression()
		}
		x = &condExpr{cond, x, els}
		p.unknown = p.unknown[:nUnknown]
	}
	return x
}

func (p *parser) or() expr  { return p.logic("or", p.and) }
func (p *parser) and() expr { return p.logic("and", p.not) }

func (p *parser) logic(word string, operand func() expr) expr {
	x := operand()
	if !p.isName(word) {
		return x
	}
	parts := []expr{x}
	for p.skipName(word) {
		parts = append(parts, operand())
	}
	return &logicExpr{word == "or", parts}
}

func (p *parser) not() expr {
	if p.isName("not") {
		p.enter()
		p.advance()
		x := &notExpr{p.not()}
		p.depth--
		return x
	}
	return p.compare()
}

func (p *parser) compare() expr {
	x := p.sum()
	var rest []comparison
	for {
		op, ok := compareOps[p.cur.text]
		switch {
		case p.cur.kind == tokOp && ok:
			p.advance()
		case p.isName("in"):
			p.advance()
			op = opIn
		case p.isName("not") && p.peek.kind == tokName && p.peek.text == "in":
			p.advance()
			p.advance()
			op = opNotIn
		default:
			if rest == nil {
				return x
			}
			return &compareExpr{x, rest}
		}
		rest = append(rest, comparison{op, p.sum()})
	}
}

func (p *parser) sum() expr {
	x := p.concat()
	for p.isOp("+") || p.isOp("-") {
		op := binaryOps[p.advance().text]
		x = &binaryExpr{op, x, p.concat()}
	}
	return x
}

func (p *parser) concat() expr {
	x := p.product()
	if !p.isOp("~") {
		return x
	}
	parts := []expr{x}
	for p.skipOp("~") {
		parts = append(parts, p.product())
	}
	return &concatExpr{parts}
}

func (p *parser) product() expr {
	x := p.power()
	for p.isOp("*") || p.isOp("/") || p.isOp("//") || p.isOp("%") {
		op := binaryOps[p.advance().text]
		x = &binaryExpr{op, x, p.power()}
	}
	return x
}

func (p *parser) power() expr {
	x := p.unary(true)
	for p.skipOp("**") {
		x = &binaryExpr{opPow, x, p.unary(true)}
	}
	return x
}

func (p *parser) unary(filters bool) expr {
	var x expr
	switch {
	case p.isOp("-") || p.isOp("+"):
		p.enter()
		if p.advance().text == "-" {
			x = &negExpr{p.unary(false)}
		} else {
			x = &posExpr{p.unary(false)}
		}
		p.depth--
	default:
		x = p.primary()
	}
	x = p.postfix(x)
	if filters {
		x = p.filterChain(x)
	}
	return x
}

func (p *parser) primary() expr {
	switch p.cur.kind {
	case tokName:
		name := p.advance().text
		if v, ok := constants[name]; ok {
			return &constExpr{v}
		}
		if reserved[name] {
			p.fail("unexpected %s", quote(name))
		}
		p.uses(name)
		return &nameExpr{p.id(name), name}
	case tokString:
		s := p.advance().text
		if p.cur.kind != tokString {
			return &constExpr{String(s)}
		}
		var b strings.Builder
		for b.WriteString(s); p.cur.kind == tokString; {
			b.WriteString(p.advance().text)
		}
		return &constExpr{String(b.String())}
	case tokInt, tokFloat:
		return &constExpr{p.number()}
	case tokOp:
		switch p.cur.text {
		case "(":
			p.advance()
			x := p.tuple(tupleOpts{parens: true})
			p.expectOp(")")
			return x
		case "[":
			p.advance()
			return &listExpr{items: p.exprList("]")}
		case "{":
			return p.dict()
		}
	}
	p.fail("unexpected %s", p.describe())
	panic("unreachable")
}

// uses notes the special names of a macro, which decide what the macro accepts.
func (p *parser) uses(name string) {
	for _, m := range p.macros {
		switch name {
		case "caller":
			m.usesCaller = true
		case "varargs":
			m.usesVarargs = true
		case "kwargs":
			m.usesKwarg = true
		}
	}
}

func (p *parser) number() Value {
	t := p.advance()
	if t.kind == tokFloat {
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil && f == 0 {
			p.fail("invalid number %s", quote(t.text))
		}
		return Float(f)
	}
	n, err := strconv.ParseInt(t.text, 0, 64)
	if err != nil && len(t.text) > 1 && t.text[0] == '0' { // 00 is zero in Python, not octal
		n, err = strconv.ParseInt(t.text, 10, 64)
	}
	if err != nil {
		p.fail("number %s is not a 64-bit integer", quote(t.text))
	}
	return Int(n)
}

// exprList parses expressions up to a closing bracket and consumes that.
func (p *parser) exprList(end string) []expr {
	var items []expr
	for !p.isOp(end) {
		if items != nil {
			p.expectOp(",")
			if p.isOp(end) {
				break
			}
		}
		items = append(items, p.expression())
	}
	p.expectOp(end)
	return items
}

func (p *parser) dict() expr {
	d := &dictExpr{}
	p.expectOp("{")
	for !p.isOp("}") {
		if d.keys != nil {
			p.expectOp(",")
			if p.isOp("}") {
				break
			}
		}
		d.keys = append(d.keys, p.expression())
		p.expectOp(":")
		d.vals = append(d.vals, p.expression())
	}
	p.expectOp("}")
	return d
}

// tupleOpts says where a tuple stands: inside parentheses (it may be empty), or where "if" (noCond) or a name ends it.
type tupleOpts struct {
	parens, noCond bool
	endName        string
}

// tuple parses "a" or "a, b".
func (p *parser) tuple(o tupleOpts) expr {
	p.enter()
	defer func() { p.depth-- }()
	var items []expr
	isTuple := false
	for {
		if p.isOp(")") || p.cur.kind == tokVarEnd || p.cur.kind == tokBlockEnd || (o.endName != "" && p.isName(o.endName)) {
			break
		}
		if o.noCond {
			items = append(items, p.or())
		} else {
			items = append(items, p.expression())
		}
		if !p.skipOp(",") {
			break
		}
		isTuple = true
	}
	if !isTuple {
		if len(items) == 1 {
			return items[0]
		}
		if !o.parens {
			p.fail("expected an expression, found %s", p.describe())
		}
	}
	return &listExpr{items: items, kind: kindTuple}
}
