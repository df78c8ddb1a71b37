package token

// The scanners of the GPT-2, cl100k and o200k families, with the regular expression that each one stands for.

// contraction returns the size of 's 't 're 've 'm 'll 'd at the start of s, or 0; with fold in either case.
func contraction(s []byte, fold bool) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	lower := func(c byte) byte {
		if fold && c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		return c
	}
	a := lower(s[1])
	switch a {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(s) < 3 {
		return 0
	}
	switch b := lower(s[2]); {
	case a == 'r' && b == 'e', a == 'v' && b == 'e', a == 'l' && b == 'l':
		return 3
	}
	return 0
}

// spaces matches \s+(?!\S)|\s+ at the start of s, which must be white space: a run that something follows leaves its
// last character to it.
func spaces(s []byte) int {
	i, last := 0, 0
	for i < len(s) {
		c, n := classAt(s, i)
		if c&clSpace == 0 {
			break
		}
		last = i
		i += n
	}
	if i < len(s) && last > 0 {
		return last
	}
	return i
}

// lineEnd matches \s*[\r\n]+ at the start of s: white space up to its last line break, or 0.
func lineEnd(s []byte) int {
	end := 0
	for i := 0; i < len(s); {
		c, n := classAt(s, i)
		if c&clSpace == 0 {
			break
		}
		if s[i] == '\r' || s[i] == '\n' {
			end = i + 1
		}
		i += n
	}
	return end
}

func runBytes(s []byte, i int, a, b, c byte) int {
	for i < len(s) && (s[i] == a || s[i] == b || s[i] == c) {
		i++
	}
	return i
}

// scanGPT2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func scanGPT2(s []byte) (int, bool) {
	if n := contraction(s, false); n > 0 {
		return n, true
	}
	i := 0
	if s[0] == ' ' && len(s) > 1 {
		i = 1
	}
	switch c, _ := classAt(s, i); {
	case c&clLetter != 0:
		return run(s, i, clLetter), true
	case c&clNumber != 0:
		return run(s, i, clNumber), true
	case c&clSpace == 0:
		return runNot(s, i, clSpace|clLetter|clNumber), true
	}
	return spaces(s), true
}

// scanWords: (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?LETTER+|\p{N}{1,digits}| ?[^\s\p{N}LETTER]+[\r\n]*|
// \s*[\r\n]+|\s+(?!\S)|\s+, where LETTER is the set letters.
func scanWords(s []byte, digits int, letters class) (int, bool) {
	if n := contraction(s, true); n > 0 {
		return n, true
	}
	c, n := classAt(s, 0)
	if c&letters != 0 {
		return run(s, n, letters), true
	}
	if c&clNumber != 0 {
		return runNumbers(s, digits), true
	}
	if s[0] != '\r' && s[0] != '\n' {
		if next, _ := classAt(s, n); next&letters != 0 {
			return run(s, n, letters), true
		}
	}
	return scanRest(s, letters, '\n')
}

// scanRest: ` ?[^\s\p{N}LETTER]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`, the trailing class with one more byte where extra is
// not a line break.
func scanRest(s []byte, letters class, extra byte) (int, bool) {
	i := 0
	if s[0] == ' ' {
		i = 1
	}
	if c, n := classAt(s, i); n > 0 && c&(clSpace|clNumber|letters) == 0 {
		i = runNot(s, i, clSpace|clNumber|letters)
		return runBytes(s, i, '\r', '\n', extra), true
	}
	if n := lineEnd(s); n > 0 {
		return n, true
	}
	return spaces(s), true
}

// runNumbers matches \p{N}{1,max} at the start of s.
func runNumbers(s []byte, max int) int {
	i := 0
	for range max {
		c, n := classAt(s, i)
		if c&clNumber == 0 {
			break
		}
		i += n
	}
	return i
}

func scanLlama3(s []byte) (int, bool) { return scanWords(s, 3, clLetter) }
func scanQwen2(s []byte) (int, bool)  { return scanWords(s, 1, clLetter) }
func scanQwen35(s []byte) (int, bool) { return scanWords(s, 1, clLetter|clMark) }

// scanCased: [^\r\n\p{L}\p{N}]?UPPER*LOWER+TAIL|[^\r\n\p{L}\p{N}]?UPPER+LOWER*TAIL|\p{N}{1,digits}|
// ` ?[^\s\p{L}\p{N}]+[\r\n/]*`|\s*[\r\n]+|\s+(?!\S)|\s+, where UPPER is [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], LOWER is
// [\p{Ll}\p{Lm}\p{Lo}\p{M}] and TAIL is (?i:'s|'t|'re|'ve|'m|'ll|'d)? or nothing.
func scanCased(s []byte, digits int, tail bool) (int, bool) {
	const word = clLetter | clMark
	c, n := classAt(s, 0)
	prefix := 0 // size of what [^\r\n\p{L}\p{N}]? takes
	if c&(clLetter|clNumber) == 0 && s[0] != '\r' && s[0] != '\n' {
		prefix = n
	}
	end := lowerWord(s, prefix)
	if end == 0 && prefix > 0 && c&word != 0 {
		end = lowerWord(s, 0)
	}
	if end == 0 {
		end = upperWord(s, prefix)
	}
	if end > 0 {
		if tail {
			end += contraction(s[end:], true)
		}
		return end, true
	}
	if c&clNumber != 0 {
		return runNumbers(s, digits), true
	}
	return scanRest(s, clLetter, '/')
}

// upperEnd matches UPPER* at s[i]. both is the end of its last character that LOWER takes as well, 0 for none.
func upperEnd(s []byte, i int) (end, both int) {
	for i < len(s) {
		c, n := classAt(s, i)
		if c&(clLetter|clMark) == 0 || c&clLower != 0 {
			break
		}
		i += n
		if c&clUpper == 0 {
			both = i
		}
	}
	return i, both
}

// lowerEnd matches LOWER* at s[i].
func lowerEnd(s []byte, i int) int {
	for i < len(s) {
		c, n := classAt(s, i)
		if c&(clLetter|clMark) == 0 || c&clUpper != 0 {
			break
		}
		i += n
	}
	return i
}

// lowerWord matches UPPER*LOWER+ at s[i] and returns its end, or 0. Where no lower-case letter follows the run, UPPER*
// gives back what LOWER+ needs: its last character that is of neither case.
func lowerWord(s []byte, i int) int {
	end, both := upperEnd(s, i)
	if low := lowerEnd(s, end); low > end {
		return low
	}
	return both
}

// upperWord matches UPPER+LOWER* at s[i] and returns its end, or 0.
func upperWord(s []byte, i int) int {
	if end, _ := upperEnd(s, i); end > i {
		return lowerEnd(s, end)
	}
	return 0
}

func scanGPT4o(s []byte) (int, bool)  { return scanCased(s, 3, true) }
func scanTekken(s []byte) (int, bool) { return scanCased(s, 1, false) }
