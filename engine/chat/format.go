package chat

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// formatSpec is how one value is to be formatted: the mini-language of str.format, which printf formatting maps to.
type formatSpec struct {
	fill        string // one character
	align       byte   // '<', '>', '^', '=' or 0
	sign        byte   // '+', ' ' or 0
	alt, zero   bool
	width, prec int // prec -1: none
	group       byte
	verb        byte
}

// printf is Python's format % arg.
func (e *evaluator) printf(format string, arg Value) string {
	var args []Value
	mapping, keyed := arg.(*Map)
	switch a := arg.(type) {
	case *List:
		keyed = !a.isTuple() && !a.isView()
		args = []Value{arg}
		if a.isTuple() {
			args = a.items
		}
	case *rangeValue, undefined:
		keyed = true
		args = []Value{arg}
	default:
		args = []Value{arg}
	}
	used := 0
	next := func() Value {
		if used >= len(args) {
			e.typeError("not enough arguments for the format string")
		}
		used++
		return args[used-1]
	}
	var b strings.Builder
	for i := 0; i < len(format); {
		j := strings.IndexByte(format[i:], '%')
		if j < 0 {
			b.WriteString(format[i:])
			break
		}
		b.WriteString(format[i : i+j])
		i += j + 1
		var v Value
		if i < len(format) && format[i] == '(' {
			end := strings.IndexByte(format[i:], ')')
			if end < 0 || mapping == nil {
				e.typeError("format string needs a mapping")
			}
			if v, _ = mapping.Get(format[i+1 : i+end]); v == nil {
				e.typeError("format key %s is missing", quote(format[i+1:i+end]))
			}
			used = len(args)
			i += end + 1
		}
		s := formatSpec{fill: " ", align: '>', prec: -1}
		i = e.printfSpec(&s, format, i, next)
		if s.verb == '%' {
			b.WriteByte('%')
			continue
		}
		if v == nil {
			v = next()
		}
		b.WriteString(e.printfValue(&s, v))
		e.fits(b.Len())
	}
	if used < len(args) && !keyed { // what has elements by key need not be used
		e.typeError("not all arguments were used by the format string")
	}
	e.bytes(b.Len())
	return b.String()
}

// printfSpec reads flags, width, precision and conversion from position i on.
func (e *evaluator) printfSpec(s *formatSpec, format string, i int, next func() Value) int {
	left := false
flags:
	for ; i < len(format); i++ {
		switch format[i] {
		case '-':
			left = true
		case '+':
			s.sign = '+'
		case ' ':
			if s.sign == 0 {
				s.sign = ' '
			}
		case '0':
			s.zero = true
		case '#':
			s.alt = true
		default:
			break flags
		}
	}
	s.width, i = e.printfNumber(format, i, next)
	if s.width < 0 {
		left, s.width = true, -s.width
	}
	if i < len(format) && format[i] == '.' {
		s.prec, i = e.printfNumber(format, i+1, next)
		s.prec = max(0, s.prec)
	}
	for i < len(format) && strings.IndexByte("hlL", format[i]) >= 0 {
		i++
	}
	if i >= len(format) {
		e.typeError("format string is incomplete")
	}
	s.verb = format[i]
	if left {
		s.align, s.zero = '<', false
	}
	return i + 1
}

func (e *evaluator) printfNumber(format string, i int, next func() Value) (int, int) {
	if i < len(format) && format[i] == '*' {
		return e.intArg("format width", next(), 0), i + 1
	}
	start := i
	for i < len(format) && isDigit(format[i]) {
		i++
	}
	return e.smallNumber(format[start:i], 0), i
}

// smallNumber reads a width or precision; empty text gives def.
func (e *evaluator) smallNumber(s string, def int) int {
	if s == "" {
		return def
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > maxRepeatBytes {
		e.limit("format width or precision %s is too large", quote(s))
	}
	return n
}

func (e *evaluator) printfValue(s *formatSpec, v Value) string {
	switch s.verb {
	case 's', 'r', 'a':
		text := ""
		if s.verb == 's' {
			text = e.str(v)
		} else {
			text = e.repr(v)
		}
		s.zero = false
		return e.pad(s, "", cutChars(text, s.prec))
	case 'c':
		if n, ok := v.(Int); ok {
			if n < 0 || n > utf8.MaxRune {
				e.typeError("%d is not a character", n)
			}
			return e.pad(s, "", string(rune(n)))
		}
		return e.pad(s, "", e.str(v))
	case 'd', 'i', 'u':
		s.verb = 'd'
		if f, ok := v.(Float); ok {
			n, ok := truncate(float64(f))
			if !ok {
				e.typeError("%s is not an integer", floatRepr(float64(f)))
			}
			v = n
		}
	case 'x', 'X', 'o', 'e', 'E', 'f', 'F', 'g', 'G':
	default:
		e.typeError("format character %q is not supported", s.verb)
	}
	if _, _, _, ok := number(v); !ok && !is[bigInt](v) {
		e.typeError("format %%%c needs a number, found %s", s.verb, describe(v))
	}
	return e.formatNumber(s, v)
}

// formatNumber formats for an integer or float verb.
func (e *evaluator) formatNumber(s *formatSpec, v Value) string {
	i, f, isInt, _ := number(v)
	var digits string
	switch s.verb {
	case 'd', 'x', 'X', 'o', 'b':
		if big, ok := v.(bigInt); ok && s.verb == 'd' {
			digits = string(big)
			break
		}
		if !isInt {
			e.typeError("format %q needs an integer, found %s", s.verb, describe(v))
		}
		base := map[byte]int{'d': 10, 'x': 16, 'X': 16, 'o': 8, 'b': 2}[s.verb]
		digits = strconv.FormatInt(i, base)
		if s.alt && s.verb != 'd' {
			neg := strings.HasPrefix(digits, "-")
			digits = "0" + string(s.verb|0x20) + strings.TrimPrefix(digits, "-")
			if neg {
				digits = "-" + digits
			}
		}
		if s.verb == 'X' {
			digits = strings.ToUpper(digits)
		}
	default:
		digits = e.formatFloat(s, f)
	}
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	} else if s.sign != 0 {
		sign = string(s.sign)
	}
	if s.group != 0 {
		digits = grouped(digits, s.group)
	}
	return e.pad(s, sign, digits)
}

func (e *evaluator) formatFloat(s *formatSpec, f float64) string {
	prec := s.prec
	if prec < 0 {
		prec = 6
	}
	if prec > 1000 {
		e.limit("precision %d is too large", prec)
	}
	verb, suffix := s.verb, ""
	if verb == '%' {
		f, verb, suffix = f*100, 'f', "%"
	}
	var out string
	switch {
	case math.IsInf(f, 0) || math.IsNaN(f):
		out = floatRepr(f)
	case verb == 'g' || verb == 'G':
		out = generalFloat(f, max(1, prec), s.alt)
	default:
		out = strconv.FormatFloat(f, verb|0x20, prec, 64)
	}
	if verb < 'a' {
		out = strings.ToUpper(out)
	}
	return out + suffix
}

// generalFloat is C's %g: prec significant digits, without trailing zeros unless alt is set.
func generalFloat(f float64, prec int, alt bool) string {
	s := strconv.FormatFloat(f, 'e', prec-1, 64)
	at := strings.IndexByte(s, 'e')
	exp, _ := strconv.Atoi(s[at+1:])
	mantissa, tail := s[:at], s[at:]
	if exp >= -4 && exp < prec {
		mantissa, tail = strconv.FormatFloat(f, 'f', prec-1-exp, 64), ""
	}
	if !alt && strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	return mantissa + tail
}

func grouped(digits string, sep byte) string {
	n := 0
	for n < len(digits) && isDigit(digits[n]) {
		n++
	}
	var b strings.Builder
	for i := range n {
		if i > 0 && (n-i)%3 == 0 {
			b.WriteByte(sep)
		}
		b.WriteByte(digits[i])
	}
	return b.String() + digits[n:]
}

// pad brings sign and text to the width of the spec.
func (e *evaluator) pad(s *formatSpec, sign, text string) string {
	n := s.width - utf8.RuneCountInString(sign) - utf8.RuneCountInString(text)
	if n <= 0 {
		return sign + text
	}
	fill, align := s.fill, s.align
	if s.zero {
		fill, align = "0", '='
	}
	switch align {
	case '<':
		return sign + text + e.repeat(fill, int64(n))
	case '^':
		return e.repeat(fill, int64(n/2)) + sign + text + e.repeat(fill, int64(n-n/2))
	case '=':
		return sign + e.repeat(fill, int64(n)) + text
	}
	return e.repeat(fill, int64(n)) + sign + text
}

// cutChars keeps the first n characters; a negative n keeps all.
func cutChars(s string, n int) string {
	if n < 0 {
		return s
	}
	return s[:byteOff(s, n)]
}
