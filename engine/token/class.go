package token

import (
	"unicode"
	"unicode/utf8"
)

// class is a set of the character properties that pre-tokenizers ask about.
type class uint8

const (
	clSpace  class = 1 << iota // \s: White_Space
	clLetter                   // \p{L}
	clNumber                   // \p{N}
	clMark                     // \p{M}
	clPunct                    // \p{P}
	clSymbol                   // \p{S}
	clUpper                    // Lu or Lt: a letter that only an upper-case position takes
	clLower                    // Ll: a letter that only a lower-case position takes
)

// asciiClass holds the classes of the first 128 characters.
var asciiClass = func() (t [128]class) {
	for r := range rune(128) {
		t[r] = runeClass(r)
	}
	return t
}()

func runeClass(r rune) class {
	switch {
	case unicode.IsLetter(r):
		switch {
		case unicode.Is(unicode.Ll, r):
			return clLetter | clLower
		case unicode.Is(unicode.Lu, r), unicode.Is(unicode.Lt, r):
			return clLetter | clUpper
		}
		return clLetter
	case unicode.IsMark(r):
		return clMark
	case unicode.IsNumber(r):
		return clNumber
	case unicode.IsSpace(r):
		return clSpace
	case unicode.IsPunct(r):
		return clPunct
	case unicode.IsSymbol(r):
		return clSymbol
	}
	return 0
}

// classAt returns the class and size of the character at s[i]; past the end, no class and size 0. An invalid byte is a
// symbol of size 1, as U+FFFD is.
func classAt(s []byte, i int) (class, int) {
	if i >= len(s) {
		return 0, 0
	}
	if c := s[i]; c < utf8.RuneSelf {
		return asciiClass[c], 1
	}
	r, n := utf8.DecodeRune(s[i:])
	return runeClass(r), n
}

// run returns the end of the run of characters from s[i] that have a property in set.
func run(s []byte, i int, set class) int {
	for i < len(s) {
		c, n := classAt(s, i)
		if c&set == 0 {
			break
		}
		i += n
	}
	return i
}

// runNot returns the end of the run of characters from s[i] that have no property in set.
func runNot(s []byte, i int, set class) int {
	for i < len(s) {
		c, n := classAt(s, i)
		if c&set != 0 {
			break
		}
		i += n
	}
	return i
}

// runeSet is a sorted list of inclusive ranges.
type runeSet [][2]rune

// newRuneSet reads pairs of characters: "azAZ" is [a-zA-Z]. Pairs must be in order and must not overlap.
func newRuneSet(pairs string) runeSet {
	rs := []rune(pairs)
	set := make(runeSet, len(rs)/2)
	for i := range set {
		set[i] = [2]rune{rs[2*i], rs[2*i+1]}
	}
	return set
}

func (set runeSet) has(r rune) bool {
	lo, hi := 0, len(set)
	for lo < hi {
		if mid := (lo + hi) / 2; set[mid][1] < r {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(set) && set[lo][0] <= r
}

// run returns the end of the run of characters from s[i] that lie in set.
func (set runeSet) run(s []byte, i int) int {
	for i < len(s) {
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && n == 1 || !set.has(r) {
			break
		}
		i += n
	}
	return i
}
