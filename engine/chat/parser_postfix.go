package chat

// What follows a primary expression: attributes, subscripts, calls, filters and tests.

func (p *parser) postfix(x expr) expr {
	for {
		switch {
		case p.isOp("."):
			p.advance()
			switch p.cur.kind {
			case tokName:
				x = &attrExpr{x, p.advance().text}
			case tokInt:
				x = &itemExpr{x, &constExpr{p.number()}}
			default:
				p.fail("expected a name or a number after the dot, found %s", p.describe())
			}
		case p.isOp("["):
			p.advance()
			x = p.subscript(x)
		case p.isOp("("):
			x = &callExpr{x, p.args()}
		default:
			return x
		}
	}
}

func (p *parser) subscript(obj expr) expr {
	var bounds [3]expr
	if !p.isOp(":") {
		key := p.expression()
		if p.skipOp("]") {
			return &itemExpr{obj, key}
		}
		if p.isOp(",") {
			items := []expr{key}
			for p.skipOp(",") && !p.isOp("]") {
				items = append(items, p.expression())
			}
			p.expectOp("]")
			return &itemExpr{obj, &listExpr{items: items, kind: kindTuple}}
		}
		bounds[0] = key
	}
	for i := 1; i < 3; i++ {
		if i == 1 {
			p.expectOp(":")
		} else if !p.skipOp(":") {
			break
		}
		if !p.isOp(":") && !p.isOp("]") {
			bounds[i] = p.expression()
		}
	}
	p.expectOp("]")
	return &sliceExpr{obj, bounds[0], bounds[1], bounds[2]}
}

func (p *parser) args() argList {
	var a argList
	p.expectOp("(")
	for first := true; !p.isOp(")"); first = false {
		if !first {
			p.expectOp(",")
			if p.isOp(")") {
				break
			}
		}
		switch {
		case p.isOp("*"):
			if a.star != nil || a.starStar != nil {
				p.fail("invalid order of arguments")
			}
			p.advance()
			a.star = p.expression()
		case p.isOp("**"):
			if a.starStar != nil {
				p.fail("invalid order of arguments")
			}
			p.advance()
			a.starStar = p.expression()
		case p.cur.kind == tokName && p.peek.kind == tokOp && p.peek.text == "=":
			if a.starStar != nil {
				p.fail("invalid order of arguments")
			}
			a.names = append(a.names, p.advance().text)
			p.advance()
			a.kw = append(a.kw, p.expression())
		default:
			if a.star != nil || a.starStar != nil || a.kw != nil {
				p.fail("positional argument after others")
			}
			a.pos = append(a.pos, p.expression())
		}
	}
	p.expectOp(")")
	return a
}

func (p *parser) filterChain(x expr) expr {
	for {
		switch {
		case p.isOp("|"):
			x = p.filters(x, false)
		case p.isName("is"):
			p.advance()
			x = p.test(x)
		case p.isOp("("):
			x = &callExpr{x, p.args()}
		default:
			return x
		}
	}
}

// filters parses "|name(args)" as often as it stands there; inline means that the first "|" is left out.
func (p *parser) filters(x expr, inline bool) expr {
	for inline || p.skipOp("|") {
		inline = false
		pos := p.cur.pos
		f := &filterExpr{in: x, name: p.dotted()}
		if p.isOp("(") {
			f.args = p.args()
		}
		if f.f = filterTable[f.name]; f.f == nil {
			p.unknown = append(p.unknown, missingName{pos, "filter", f.name})
		}
		x = f
	}
	return x
}

func (p *parser) dotted() string {
	name := p.expectName()
	for n := 0; p.skipOp("."); n++ {
		if n == maxParseDepth {
			p.fail("name %s has too many dots", quote(name))
		}
		name += "." + p.expectName()
	}
	return name
}

func (p *parser) test(x expr) expr {
	negated := p.skipName("not")
	pos := p.cur.pos
	t := &testExpr{in: x, name: p.dotted()}
	switch {
	case p.isOp("("):
		t.args = p.args()
	case p.testArgument():
		t.args.pos = []expr{p.postfix(p.primary())}
	}
	if t.t = testTable[t.name]; t.t == nil {
		p.unknown = append(p.unknown, missingName{pos, "test", t.name})
	}
	if negated {
		return &notExpr{t}
	}
	return t
}

// testArgument reports whether an argument without parentheses follows, as in "x is divisibleby 3".
func (p *parser) testArgument() bool {
	switch p.cur.kind {
	case tokString, tokInt, tokFloat:
		return true
	case tokName:
		if p.isName("is") {
			p.fail("tests cannot be chained")
		}
		return !p.isName("else") && !p.isName("or") && !p.isName("and")
	}
	return p.isOp("[") || p.isOp("{")
}
