package chat

// statement parses one tag; the current token is behind "{%".
func (p *parser) statement() stmt {
	line := p.line()
	if p.cur.kind != tokName {
		p.fail("expected the name of a tag, found %s", p.describe())
	}
	tag := p.advance().text
	switch tag {
	case "if":
		return p.ifTag(line)
	case "for":
		return p.forTag(line)
	case "set":
		return p.setTag(line)
	case "macro":
		return p.macroTag(line)
	case "call":
		return p.callTag(line)
	case "filter":
		return p.filterTag(line)
	case "with":
		return p.withTag(line)
	case "generation":
		return p.generationTag()
	case "break":
		return p.flowTag(flowBreak)
	case "continue":
		return p.flowTag(flowContinue)
	}
	panic(abort{&Error{Line: line, Msg: "unknown tag " + quote(tag), Err: ErrSyntax}})
}

func (p *parser) ifTag(line int) stmt {
	nUnknown := len(p.unknown)
	s := &ifStmt{}
	for {
		cond := p.tuple(tupleOpts{noCond: true})
		p.expectBlockEnd()
		s.branches = append(s.branches, branch{cond, p.body([]string{"elif", "else", "endif"}), line})
		line = p.line()
		switch tag := p.advance().text; tag {
		case "elif":
			continue
		case "else":
			s.els = p.block("endif")
		default:
			p.expectBlockEnd()
		}
		p.unknown = p.unknown[:nUnknown]
		return s
	}
}

func (p *parser) forTag(line int) stmt {
	s := &forStmt{line: line, loopID: p.id("loop")}
	s.target = p.target(true, "in")
	if !p.skipName("in") {
		p.fail(`expected "in", found %s`, p.describe())
	}
	s.iter = p.tuple(tupleOpts{noCond: true, endName: "recursive"})
	closes := p.closes
	if p.skipName("if") {
		s.filter = p.expression()
	}
	s.recursive = p.skipName("recursive")
	p.expectBlockEnd()
	p.loops++
	s.body = p.body([]string{"else", "endfor"})
	p.loops--
	s.captures = p.closes > closes
	if p.advance().text == "else" {
		s.els = p.block("endfor")
	} else {
		p.expectBlockEnd()
	}
	return s
}

func (p *parser) setTag(line int) stmt {
	t := p.target(true, "")
	if p.skipOp("=") {
		s := &setStmt{target: t, x: p.tuple(tupleOpts{}), line: line}
		p.expectBlockEnd()
		return s
	}
	s := &setBlockStmt{target: t, line: line}
	if p.isOp("|") {
		s.filter = p.filters(nil, false)
	}
	s.body = p.block("endset")
	return s
}

func (p *parser) macroTag(line int) stmt {
	name := p.expectName()
	m := &macroDef{name: name}
	p.signature(m)
	p.function(m, "endmacro")
	return &macroStmt{p.id(name), m, line}
}

// signature parses (a, b=default, ...).
func (p *parser) signature(m *macroDef) {
	p.expectOp("(")
	for !p.isOp(")") {
		if len(m.params) > 0 {
			p.expectOp(",")
			if p.isOp(")") {
				break
			}
		}
		t := p.target(false, "")
		param := macroParam{id: t.id, name: t.name}
		if p.skipOp("=") {
			param.def = p.expression()
		} else if n := len(m.params); n > 0 && m.params[n-1].def != nil {
			p.fail("parameter %s without a default follows one with a default", quote(t.name))
		}
		m.params = append(m.params, param)
	}
	p.expectOp(")")
}

func (p *parser) callTag(line int) stmt {
	caller := &macroDef{name: "caller"}
	if p.isOp("(") {
		p.signature(caller)
	}
	x, ok := p.expression().(*callExpr)
	if !ok {
		p.fail("expected a call in the call tag")
	}
	p.function(caller, "endcall")
	return &callStmt{x, caller, line}
}

func (p *parser) filterTag(line int) stmt {
	s := &filterStmt{line: line}
	s.filter = p.filters(nil, true)
	s.body = p.block("endfilter")
	return s
}

func (p *parser) withTag(line int) stmt {
	s := &withStmt{line: line}
	for p.cur.kind != tokBlockEnd {
		if len(s.targets) > 0 {
			p.expectOp(",")
		}
		s.targets = append(s.targets, p.target(false, ""))
		p.expectOp("=")
		s.vals = append(s.vals, p.expression())
	}
	s.body = p.block("endwith")
	return s
}

// generationTag marks the model's own text for training; it renders its body, in a scope of its own.
func (p *parser) generationTag() stmt {
	loops := p.loops
	p.loops = 0
	s := &scopeStmt{p.block("endgeneration")}
	p.loops = loops
	return s
}

func (p *parser) flowTag(f flow) stmt {
	if p.loops == 0 {
		p.fail("break or continue outside of a loop")
	}
	p.expectBlockEnd()
	return &flowStmt{f}
}

// target parses what is assigned to. With tuples, "a, b" and "(a, b)" unpack, up to the name end, and "ns.attr" is allowed.
func (p *parser) target(tuples bool, end string) target {
	if !tuples {
		return p.targetName()
	}
	p.enter()
	defer func() { p.depth-- }()
	var parts []target
	unpack := false
	for {
		if p.isOp(")") || p.isOp("=") || p.cur.kind == tokBlockEnd || (end != "" && p.isName(end)) {
			break
		}
		if p.skipOp("(") {
			parts = append(parts, p.target(true, ""))
			p.expectOp(")")
		} else {
			t := p.targetName()
			if p.isOp(".") {
				p.advance()
				t.attr = p.expectName()
			}
			parts = append(parts, t)
		}
		if !p.skipOp(",") {
			break
		}
		unpack = true
	}
	if len(parts) == 0 {
		p.fail("expected a name to assign to, found %s", p.describe())
	}
	if !unpack {
		return parts[0]
	}
	return target{parts: parts}
}

func (p *parser) targetName() target {
	name := p.expectName()
	if _, ok := constants[name]; ok || reserved[name] {
		p.fail("cannot assign to %s", quote(name))
	}
	return target{id: p.id(name), name: name}
}

var reserved = map[string]bool{"and": true, "or": true, "not": true, "if": true, "else": true, "in": true, "is": true}

var constants = map[string]Value{
	"true": Bool(true), "True": Bool(true), "false": Bool(false), "False": Bool(false), "none": None{}, "None": None{},
}
