package chat

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokEOF tokenKind = iota
	tokData
	tokVarBegin
	tokVarEnd
	tokBlockBegin
	tokBlockEnd
	tokName
	tokString
	tokInt
	tokFloat
	tokOp
)

// token is one lexical unit. text is the operator, the name, the number as written, or the decoded string or data.
type token struct {
	kind tokenKind
	text string
	pos  int
}

// lexer cuts a template into tokens on demand. Its rules are those of Jinja2's lexer with trim_blocks and lstrip_blocks set.
type lexer struct {
	src       string
	pos       int
	mode      byte   // 0 outside tags, 'v' in {{ }}, 'b' in {% %}
	lineStart bool   // the token before ended a line
	open      []byte // closing brackets that are due
	pending   token  // the begin token after a piece of data
	afterDot  bool

	linePos, line int // position up to which newlines are counted
}

func newLexer(src string) *lexer {
	if strings.IndexByte(src, '\r') >= 0 {
		src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	}
	return &lexer{src: strings.TrimSuffix(src, "\n"), lineStart: true, line: 1}
}

// lineAt is the line of a position; cheap when positions ascend.
func (l *lexer) lineAt(pos int) int {
	if pos < l.linePos {
		l.linePos, l.line = 0, 1
	}
	l.line += strings.Count(l.src[l.linePos:pos], "\n")
	l.linePos = pos
	return l.line
}

func (l *lexer) fail(pos int, format string, args ...any) {
	panic(abort{&Error{Line: l.lineAt(min(pos, len(l.src))), Msg: fmt.Sprintf(format, args...), Err: ErrSyntax}})
}

func (l *lexer) next() token {
	if l.pending.kind != tokEOF {
		t := l.pending
		l.pending = token{}
		return t
	}
	if l.mode != 0 {
		return l.tag()
	}
	return l.data()
}

// data reads template text up to the next tag.
func (l *lexer) data() token {
	for l.pos < len(l.src) {
		start := l.pos
		at := nextTag(l.src, start)
		if at < 0 {
			l.pos = len(l.src)
			return token{kind: tokData, text: l.src[start:], pos: start}
		}
		kind := l.src[at+1]
		l.pos = at + 2
		var sign byte
		if l.pos < len(l.src) && (l.src[l.pos] == '-' || l.src[l.pos] == '+') {
			sign = l.src[l.pos]
			l.pos++
		}
		text := l.strip(l.src[start:at], sign, kind == '{')
		l.lineStart = false
		switch kind {
		case '#':
			l.comment(at)
		case '%':
			if raw, ok := l.raw(at); ok {
				text += raw
				break
			}
			l.mode = 'b'
			return l.begin(tokBlockBegin, text, start, at)
		default:
			l.mode = 'v'
			return l.begin(tokVarBegin, text, start, at)
		}
		if text != "" {
			return token{kind: tokData, text: text, pos: start}
		}
	}
	return token{pos: l.pos}
}

func (l *lexer) begin(kind tokenKind, text string, start, at int) token {
	t := token{kind: kind, pos: at}
	if text == "" {
		return t
	}
	l.pending = t
	return token{kind: tokData, text: text, pos: start}
}

func nextTag(src string, from int) int {
	for {
		i := strings.IndexByte(src[from:], '{')
		if i < 0 || from+i+1 >= len(src) {
			return -1
		}
		from += i
		switch src[from+1] {
		case '{', '%', '#':
			return from
		}
		from++
	}
}

// strip removes white space before a tag: all of it for "-", that of the tag's own line by default except before {{.
func (l *lexer) strip(text string, sign byte, variable bool) string {
	if sign == '-' {
		return strings.TrimRightFunc(text, isSpace)
	}
	if sign == '+' || variable {
		return text
	}
	lineOff := strings.LastIndexByte(text, '\n') + 1
	if (lineOff > 0 || l.lineStart) && strings.TrimLeftFunc(text[lineOff:], isSpace) == "" {
		return text[:lineOff]
	}
	return text
}

// closeTag consumes the white space that the end of a tag takes with it; l.pos is behind the closing delimiter.
func (l *lexer) closeTag(sign byte, trim bool) {
	end := l.pos
	switch {
	case sign == '-':
		l.skipSpace()
	case sign != '+' && trim && strings.HasPrefix(l.src[l.pos:], "\n"):
		l.pos++
	}
	l.lineStart = l.pos > end && l.src[l.pos-1] == '\n'
}

func (l *lexer) skipSpace() {
	for l.pos < len(l.src) {
		r, n := utf8.DecodeRuneInString(l.src[l.pos:])
		if !isSpace(r) {
			return
		}
		l.pos += n
	}
}

func (l *lexer) comment(at int) {
	i := strings.Index(l.src[l.pos:], "#}")
	if i < 0 {
		l.fail(at, "comment is not closed")
	}
	var sign byte
	if i > 0 {
		sign = l.src[l.pos+i-1]
	}
	l.pos += i + 2
	l.closeTag(sign, true)
}

// raw reads a {% raw %} block whole, if there is one at the position behind "{%".
func (l *lexer) raw(at int) (string, bool) {
	save := l.pos
	sign, ok := l.keywordTag("raw", false)
	if !ok {
		l.pos = save
		return "", false
	}
	if sign == '+' { // {% raw +%} does not exist
		l.pos = save
		return "", false
	}
	start := l.pos
	for from := start; ; {
		i := strings.Index(l.src[from:], "{%")
		if i < 0 {
			l.fail(at, "raw block is not closed")
		}
		end := from + i
		l.pos = end + 2
		var sign byte
		if l.pos < len(l.src) && (l.src[l.pos] == '-' || l.src[l.pos] == '+') {
			sign = l.src[l.pos]
			l.pos++
		}
		if _, ok := l.keywordTag("endraw", true); ok {
			l.lineStart = start > 0 && l.src[start-1] == '\n'
			text := l.strip(l.src[start:end], sign, false)
			l.lineStart = l.src[l.pos-1] == '\n'
			return text, true
		}
		from = end + 2
	}
}

// keywordTag reads `  word  %}` with its white space control.
func (l *lexer) keywordTag(word string, trim bool) (sign byte, ok bool) {
	l.skipSpace()
	if !strings.HasPrefix(l.src[l.pos:], word) {
		return 0, false
	}
	l.pos += len(word)
	l.skipSpace()
	if l.pos < len(l.src) && (l.src[l.pos] == '-' || l.src[l.pos] == '+') {
		sign = l.src[l.pos]
		l.pos++
	}
	if !strings.HasPrefix(l.src[l.pos:], "%}") {
		return 0, false
	}
	l.pos += 2
	l.closeTag(sign, trim)
	return sign, true
}

// tag reads one token inside {{ }} or {% %}.
func (l *lexer) tag() token {
	l.skipSpace()
	start := l.pos
	rest := l.src[start:]
	if rest == "" {
		l.fail(start, "unexpected end of template in a tag")
	}
	if len(l.open) == 0 {
		if t, ok := l.tagEnd(rest); ok {
			return t
		}
	}
	afterDot := l.afterDot
	l.afterDot = false
	c := rest[0]
	switch {
	case c >= '0' && c <= '9':
		return l.number(afterDot)
	case c == '"' || c == '\'':
		return l.str()
	}
	if r, _ := utf8.DecodeRuneInString(rest); r == '_' || unicode.IsLetter(r) {
		end := strings.IndexFunc(rest, func(r rune) bool {
			return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mn, r)
		})
		if end < 0 {
			end = len(rest)
		}
		l.pos += end
		return token{kind: tokName, text: rest[:end], pos: start}
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			l.pos += len(op)
			l.bracket(op[0], start)
			l.afterDot = op == "."
			return token{kind: tokOp, text: op, pos: start}
		}
	}
	r, _ := utf8.DecodeRuneInString(rest)
	l.fail(start, "unexpected character %q", r)
	panic("unreachable")
}

// operators, longer ones first.
var operators = []string{
	"//", "**", "==", "!=", ">=", "<=",
	"+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";",
}

func (l *lexer) bracket(c byte, pos int) {
	switch c {
	case '(':
		l.open = append(l.open, ')')
	case '[':
		l.open = append(l.open, ']')
	case '{':
		l.open = append(l.open, '}')
	case ')', ']', '}':
		if len(l.open) == 0 || l.open[len(l.open)-1] != c {
			l.fail(pos, "unexpected %q", c)
		}
		l.open = l.open[:len(l.open)-1]
		return
	default:
		return
	}
	if len(l.open) > maxParseDepth {
		panic(abort{&Error{Line: l.lineAt(pos), Msg: fmt.Sprintf("more than %d open brackets", maxParseDepth), Err: ErrLimit}})
	}
}

func (l *lexer) tagEnd(rest string) (token, bool) {
	delim, kind := "%}", tokBlockEnd
	if l.mode == 'v' {
		delim, kind = "}}", tokVarEnd
	}
	var sign byte
	n := 0
	if rest[0] == '-' || (rest[0] == '+' && l.mode == 'b') {
		sign, n = rest[0], 1
	}
	if !strings.HasPrefix(rest[n:], delim) {
		return token{}, false
	}
	t := token{kind: kind, text: delim, pos: l.pos}
	l.pos += n + 2
	l.closeTag(sign, l.mode == 'b')
	l.mode = 0
	return t, true
}
