package chat

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// strFormat is str.format: "{} {0} {name.attr[key]!r:>8}". A field inside a format spec is not supported.
func strFormat(e *evaluator, self Value, a callArgs) Value {
	format := string(self.(String))
	auto := 0
	var b strings.Builder
	for i := 0; i < len(format); {
		c := format[i]
		if c != '{' && c != '}' {
			j := strings.IndexAny(format[i:], "{}")
			if j < 0 {
				j = len(format) - i
			}
			b.WriteString(format[i : i+j])
			i += j
			continue
		}
		if i+1 < len(format) && format[i+1] == c {
			b.WriteByte(c)
			i += 2
			continue
		}
		end := strings.IndexByte(format[i:], '}')
		if c == '}' || end < 0 {
			e.typeError("single %q in the format string", c)
		}
		field := format[i+1 : i+end]
		if strings.IndexByte(field, '{') >= 0 {
			e.typeError("a field inside a format field is not supported")
		}
		b.WriteString(e.formatField(field, a, &auto))
		e.fits(b.Len())
		i += end + 1
	}
	e.bytes(b.Len())
	return String(b.String())
}

func (e *evaluator) formatField(field string, a callArgs, auto *int) string {
	name, spec, _ := strings.Cut(field, ":")
	name, conv, hasConv := strings.Cut(name, "!")
	v := e.fieldValue(name, a, auto)
	if hasConv {
		switch conv {
		case "s":
			v = String(e.str(v))
		case "r", "a":
			v = String(e.repr(v))
		default:
			e.typeError("unknown conversion %s in the format string", quote(conv))
		}
	}
	return e.formatValue(v, spec)
}

// fieldValue finds what a field names: a position or keyword, then attributes and elements of it.
func (e *evaluator) fieldValue(name string, a callArgs, auto *int) Value {
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	v := e.formatArg(name[:end], a, auto)
	for name = name[end:]; name != ""; {
		e.charge(1)
		if name[0] == '.' {
			end := strings.IndexAny(name[1:], ".[")
			if end < 0 {
				end = len(name) - 1
			}
			v = e.attr(v, name[1:1+end])
			name = name[1+end:]
			continue
		}
		end := strings.IndexByte(name, ']')
		if name[0] != '[' || end < 0 {
			e.typeError("format field is malformed")
		}
		key := Value(String(name[1:end]))
		if n, err := strconv.ParseInt(name[1:end], 10, 32); err == nil {
			key = Int(n)
		}
		v = e.item(v, key)
		name = name[end+1:]
	}
	return v
}

func (e *evaluator) formatArg(name string, a callArgs, auto *int) Value {
	if name == "" {
		name = strconv.Itoa(*auto)
		*auto++
	}
	if n, err := strconv.Atoi(name); err == nil {
		if n < 0 || n >= len(a.pos) {
			e.typeError("format string needs argument %d, found %d arguments", n, len(a.pos))
		}
		return a.pos[n]
	}
	for i, k := range a.names {
		if k == name {
			return a.kw[i]
		}
	}
	e.typeError("format string needs argument %s", quote(name))
	panic("unreachable")
}

// formatValue is Python's format(v, spec).
func (e *evaluator) formatValue(v Value, spec string) string {
	if spec == "" {
		return e.str(v)
	}
	s := e.parseSpec(spec)
	if _, isBool := v.(Bool); isBool && s.verb == 0 {
		v = Int(boolInt(v.(Bool)))
	}
	switch v.(type) {
	case String:
		if (s.verb != 0 && s.verb != 's') || s.sign != 0 || s.align == '=' {
			e.typeError("invalid format %s for a string", quote(spec))
		}
		if s.zero {
			s.fill, s.zero = "0", false
		}
		if s.align == 0 {
			s.align = '<'
		}
		return e.pad(s, "", cutChars(e.str(v), s.prec))
	case Int, Float, Bool, bigInt:
	default:
		e.typeError("%s cannot be formatted with %s", describe(v), quote(spec))
	}
	if s.zero && s.align != 0 {
		s.zero = false
		if s.fill == " " {
			s.fill = "0"
		}
	}
	if s.verb == 0 {
		f, isFloat := v.(Float)
		switch {
		case !isFloat:
			s.verb = 'd'
		case s.prec < 0:
			return e.formatPlainFloat(s, float64(f))
		default:
			s.verb = 'g'
		}
	}
	if strings.IndexByte("dxXobeEfFgG%", s.verb) < 0 {
		e.typeError("format character %q is not supported", s.verb)
	}
	return e.formatNumber(s, v)
}

func (e *evaluator) formatPlainFloat(s *formatSpec, f float64) string {
	digits, sign := floatRepr(f), ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	} else if s.sign != 0 {
		sign = string(s.sign)
	}
	if s.group != 0 {
		digits = grouped(digits, s.group)
	}
	return e.pad(s, sign, digits)
}

// parseSpec reads [[fill]align][sign][#][0][width][,][.precision][type].
func (e *evaluator) parseSpec(spec string) *formatSpec {
	s := &formatSpec{fill: " ", prec: -1}
	rest := spec
	skip := func(chars string) byte {
		if rest != "" && strings.IndexByte(chars, rest[0]) >= 0 {
			c := rest[0]
			rest = rest[1:]
			return c
		}
		return 0
	}
	number := func() string {
		n := 0
		for n < len(rest) && isDigit(rest[n]) {
			n++
		}
		t := rest[:n]
		rest = rest[n:]
		return t
	}
	if _, n := utf8.DecodeRuneInString(rest); n < len(rest) && strings.IndexByte("<>^=", rest[n]) >= 0 {
		s.fill, s.align = rest[:n], rest[n]
		rest = rest[n+1:]
	} else {
		s.align = skip("<>^=")
	}
	if s.sign = skip("+- "); s.sign == '-' {
		s.sign = 0
	}
	s.alt = skip("#") != 0
	s.zero = skip("0") != 0
	s.width = e.smallNumber(number(), 0)
	s.group = skip(",_")
	if skip(".") != 0 {
		s.prec = e.smallNumber(number(), 0)
	}
	if rest != "" {
		s.verb = rest[0]
		rest = rest[1:]
	}
	if rest != "" {
		e.typeError("invalid format %s", quote(spec))
	}
	return s
}
