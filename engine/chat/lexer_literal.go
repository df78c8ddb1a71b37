package chat

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// number reads an integer or a float. After a dot ("x.0.1") only an integer can follow.
func (l *lexer) number(afterDot bool) token {
	s := l.src[l.pos:]
	t := token{kind: tokInt, pos: l.pos}
	n := 0
	if len(s) > 1 && s[0] == '0' && strings.ContainsRune("bBoOxX", rune(s[1])) {
		n = 2
		for n < len(s) && (isHex(s[n]) || s[n] == '_') {
			n++
		}
	} else {
		n = digits(s)
		if !afterDot {
			if k := digits(tail(s, n+1)); n < len(s) && s[n] == '.' && k > 0 {
				n += 1 + k
				t.kind = tokFloat
			}
			if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
				m := n + 1
				if m < len(s) && (s[m] == '+' || s[m] == '-') {
					m++
				}
				if k := digits(tail(s, m)); k > 0 {
					n = m + k
					t.kind = tokFloat
				}
			}
		}
	}
	t.text = strings.ReplaceAll(s[:n], "_", "")
	l.pos += n
	return t
}

func tail(s string, n int) string {
	if n >= len(s) {
		return ""
	}
	return s[n:]
}

// digits is the length of a run of digits with single underscores between them.
func digits(s string) int {
	n := 0
	for n < len(s) && (isDigit(s[n]) || (s[n] == '_' && n > 0 && isDigit(s[n-1]) && n+1 < len(s) && isDigit(s[n+1]))) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || (c|0x20 >= 'a' && c|0x20 <= 'f') }

// str reads a quoted string and decodes its escapes.
func (l *lexer) str() token {
	quoteByte := l.src[l.pos]
	start := l.pos
	escaped := false
	for i := start + 1; i < len(l.src); i++ {
		switch l.src[i] {
		case '\\':
			escaped = true
			i++
		case quoteByte:
			body := l.src[start+1 : i]
			l.pos = i + 1
			if escaped {
				body = l.unescape(body, start)
			}
			return token{kind: tokString, text: body, pos: start}
		}
	}
	l.fail(start, "string is not closed")
	panic("unreachable")
}

var simpleEscapes = map[byte]byte{
	'\\': '\\', '\'': '\'', '"': '"', 'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v',
}

var hexEscapes = map[byte]int{'x': 2, 'u': 4, 'U': 8}

// unescape decodes the escapes of a Python string literal; an unknown escape stays as it is.
func (l *lexer) unescape(s string, pos int) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		i++
		c := s[i]
		if r, ok := simpleEscapes[c]; ok {
			b = append(b, r)
			continue
		}
		switch {
		case c == '\n':
		case c >= '0' && c <= '7':
			n := 1
			for n < 3 && i+n < len(s) && s[i+n] >= '0' && s[i+n] <= '7' {
				n++
			}
			v, _ := strconv.ParseUint(s[i:i+n], 8, 32)
			b = utf8.AppendRune(b, rune(v))
			i += n - 1
		case hexEscapes[c] > 0:
			n := hexEscapes[c]
			if i+n >= len(s) {
				l.fail(pos, "truncated \\%c escape", c)
			}
			v, err := strconv.ParseUint(s[i+1:i+1+n], 16, 32)
			if err != nil || v > utf8.MaxRune {
				l.fail(pos, "invalid \\%c escape", c)
			}
			b = utf8.AppendRune(b, rune(v))
			i += n
		default:
			b = append(b, '\\', c)
		}
	}
	return string(b)
}
