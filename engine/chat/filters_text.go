package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

func trimFilter(e *evaluator, in Value, a []Value) Value {
	return e.invoke(e.strMethods["strip"], String(e.str(in)), callArgs{pos: []Value{orNone(a[0])}})
}

func centerFilter(e *evaluator, in Value, a []Value) Value {
	width := e.intArg("center() width", a[0], 80)
	return e.invoke(e.strMethods["center"], String(e.str(in)), callArgs{pos: []Value{Int(width)}})
}

func replaceFilter(e *evaluator, in Value, a []Value) Value {
	return String(e.replace(e.str(in), e.str(a[0]), e.str(a[1]), e.intArg("replace() count", a[2], -1)))
}

// replace checks the size of the result before it is made.
func (e *evaluator) replace(s, old, repl string, count int) string {
	e.bytes(len(s))
	n := strings.Count(s, old)
	if old == "" {
		n = utf8.RuneCountInString(s) + 1
	}
	if count >= 0 {
		n = min(n, count)
	}
	size := int64(len(s)) + int64(n)*int64(len(repl)-len(old))
	e.fits(int(min(size, maxStringBytes+1)))
	e.charge(n)
	e.bytes(int(size))
	return strings.Replace(s, old, repl, n)
}

// formatFilter is "..."|format(args): printf formatting.
func formatFilter(e *evaluator, in Value, a callArgs) Value {
	if len(a.kw) > 0 {
		if len(a.pos) > 0 {
			e.typeError("format takes positional or keyword arguments, not both")
		}
		m := NewMap()
		for i, name := range a.names {
			m.set(String(name), a.kw[i])
		}
		return String(e.printf(e.str(in), m))
	}
	return String(e.printf(e.str(in), newTuple(a.pos...)))
}

func indentFilter(e *evaluator, in Value, a []Value) Value {
	text, ok := in.(String)
	if !ok {
		e.typeError("%s cannot be indented", describe(in))
	}
	s := string(text)
	first := a[1] != nil && e.truth(a[1])
	blank := a[2] != nil && e.truth(a[2])
	var pad string
	if p, ok := orNone(a[0]).(String); ok {
		pad = string(p)
	} else {
		pad = e.repeat(" ", int64(e.intArg("indent() width", a[0], 4)))
	}
	lines := e.splitLines(s+"\n", false) // the added newline keeps a last empty line
	if int64(len(lines))*int64(len(pad)) > maxRepeatBytes {
		e.limit("indentation over %d bytes", maxRepeatBytes)
	}
	e.fits(len(s) + len(lines)*len(pad))
	e.bytes(len(s) + len(lines)*len(pad))
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		if (i > 0 || first) && (line != "" || blank || i == 0) {
			b.WriteString(pad)
		}
		b.WriteString(line)
	}
	return String(b.String())
}

// titleFilter capitalises the words, cut at white space, hyphens and opening brackets.
func titleFilter(e *evaluator, in Value, _ []Value) Value {
	s := e.str(in)
	e.bytes(len(s))
	var b strings.Builder
	start := true
	for _, r := range s {
		if start {
			b.WriteString(upper(string(r)))
		} else {
			b.WriteString(strings.ToLower(string(r)))
		}
		start = isSpace(r) || strings.ContainsRune("-({[<", r)
	}
	return String(b.String())
}

func wordcountFilter(e *evaluator, in Value, _ []Value) Value {
	s := e.str(in)
	e.bytes(len(s))
	n, inWord := 0, false
	for _, r := range s {
		w := r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r)
		if w && !inWord {
			n++
		}
		inWord = w
	}
	return Int(n)
}

func truncateFilter(e *evaluator, in Value, a []Value) Value {
	length := e.intArg("truncate() length", a[0], 255)
	kill := a[1] != nil && e.truth(a[1])
	end := e.strArg("truncate() end", a[2], "...")
	leeway := e.intArg("truncate() leeway", a[3], 5)
	nEnd := utf8.RuneCountInString(end)
	if length < nEnd || leeway < 0 {
		e.typeError("truncate() length %d is shorter than its end", length)
	}
	if e.length(in) <= length+leeway {
		return in
	}
	text, ok := in.(String)
	if !ok {
		e.typeError("%s cannot be truncated", describe(in))
	}
	s := string(text)
	cut := s
	for i, left := 0, length-nEnd; i <= len(s); left-- {
		if left == 0 {
			cut = s[:i]
			break
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	if !kill {
		if i := strings.LastIndexByte(cut, ' '); i >= 0 {
			cut = cut[:i]
		}
	}
	e.bytes(len(s) + len(end))
	return String(cut + end)
}

// splitLines cuts at the line ends that Python's splitlines knows.
func (e *evaluator) splitLines(s string, keepEnds bool) []string {
	e.bytes(len(s))
	var lines []string
	start := 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		end := i + n
		if !isLineEnd(r) {
			i = end
			continue
		}
		e.charge(1)
		if r == '\r' && end < len(s) && s[end] == '\n' {
			end++
		}
		if keepEnds {
			lines = append(lines, s[start:end])
		} else {
			lines = append(lines, s[start:i])
		}
		start, i = end, end
	}
	if start < len(s) {
		lines = append(lines, s[start:])
	}
	return lines
}

func isLineEnd(r rune) bool {
	switch r {
	case '\n', '\r', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
		return true
	}
	return false
}

// upper is Unicode's simple mapping plus the sharp s.
func upper(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "ß", "SS")) }
