package token

import "unicode/utf8"

// The scanners of the pre-tokenizers that are written as several regular expressions, each of which splits what the one
// before it left. The regular expression that a scanner stands for is in its comment.

// skip is what a scanner answers where no piece starts: one character.
func skip(s []byte) (int, bool) {
	_, n := classAt(s, 0)
	return n, false
}

// scanSet: [set]+ for a property set and further ASCII characters.
func scanSet(s []byte, set class, more string) (int, bool) {
	i := 0
	for i < len(s) {
		c, n := classAt(s, i)
		if c&set == 0 && !hasByte(more, s[i]) {
			break
		}
		i += n
	}
	if i == 0 {
		return skip(s)
	}
	return i, true
}

func hasByte(list string, b byte) bool {
	for i := range len(list) {
		if list[i] == b {
			return true
		}
	}
	return false
}

// scanFalconPunct: [\p{P}\$\+<=>\^~\|`]+
func scanFalconPunct(s []byte) (int, bool) { return scanSet(s, clPunct, "$+<=>^~|`") }

// scanDefaultPunct: [\p{P}\$\+<=>\^~\|]+
func scanDefaultPunct(s []byte) (int, bool) { return scanSet(s, clPunct, "$+<=>^~|") }

// scanNumbers: \p{N}+
func scanNumbers(s []byte) (int, bool) { return scanSet(s, clNumber, "") }

// scanNumber: \p{N}
func scanNumber(s []byte) (int, bool) {
	c, n := classAt(s, 0)
	return n, c&clNumber != 0
}

// scanUpTo3Numbers: \p{N}{1,3}
func scanUpTo3Numbers(s []byte) (int, bool) {
	if n := runNumbers(s, 3); n > 0 {
		return n, true
	}
	return skip(s)
}

// scanThreeDigits: [0-9][0-9][0-9]
func scanThreeDigits(s []byte) (int, bool) {
	if len(s) >= 3 && isDigit(s[0]) && isDigit(s[1]) && isDigit(s[2]) {
		return 3, true
	}
	return skip(s)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isASCIILetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// scanLineBreak: [\r\n]
func scanLineBreak(s []byte) (int, bool) {
	if s[0] == '\r' || s[0] == '\n' {
		return 1, true
	}
	return skip(s)
}

// scanFinalSpace: \s+$
func scanFinalSpace(s []byte) (int, bool) {
	if i := run(s, 0, clSpace); i > 0 {
		return i, i == len(s)
	}
	return skip(s)
}

// scanSpaceLetters: \s?\p{L}+
func scanSpaceLetters(s []byte) (int, bool) { return spaceThen(s, clLetter) }

// scanSpacePunct: \s?\p{P}+
func scanSpacePunct(s []byte) (int, bool) { return spaceThen(s, clPunct) }

func spaceThen(s []byte, set class) (int, bool) {
	c, n := classAt(s, 0)
	i := 0
	if c&clSpace != 0 {
		i = n
	}
	if end := run(s, i, set); end > i {
		return end, true
	}
	return skip(s)
}

func spaceThenSet(s []byte, set runeSet) (int, bool) {
	c, n := classAt(s, 0)
	i := 0
	if c&clSpace != 0 {
		i = n
	}
	if end := set.run(s, i); end > i {
		return end, true
	}
	return skip(s)
}

// scanDeepLetters: \s?[...]+ over the letters of the Latin, Greek, Cyrillic, Armenian, Georgian, Cherokee, Coptic,
// Deseret and a few more cased scripts, as DeepSeek LLM lists them.
func scanDeepLetters(s []byte) (int, bool) { return spaceThenSet(s, deepLetters) }

var deepLetters = newRuneSet("AZazµµÀÖØöøƺƼƿǄʓʕʯͰͳͶͷͻͽͿͿΆΆΈΊΌΌΎΡΣϵϷҁҊԯԱՖႠჅᎠᏵᏸᏽᲐᲺᲽᲿᴀᴫᵫᵷᵹᶚḀἕἘἝἠὅὈὍὐὗὙὙὛὛὝὝὟώᾀᾴᾶᾼ" +
	"\u1fbe\u1fbeῂῄῆῌῐΐῖΊῠῬῲῴῶῼℂℂℇℇℊℓℕℕℙℝℤℤ\u2126\u2126ℨℨ\u212aℭℯℴℹℹℼℿⅅⅉⅎⅎↃↄⰀⱻⱾⳤⳫⳮⳲⳳꙀꙭꚀꚛꜢꝯꝱꞇꞋꞎꭰꮿﬀﬆﬓﬗＡＺａｚ" +
	"𐐀𐑏𐒰𐓓𐓘𐓻𐲀𐲲𐳀𐳲𑢠𑣟𞤀𞥃")

// scanDeepPunct: \s?[!-/:-~！-／：-～‘-‟　-。]+, the ideographic space left out of the class: there too, it is white space.
func scanDeepPunct(s []byte) (int, bool) { return spaceThenSet(s, deepPunct) }

var deepPunct = newRuneSet("!/:~‘‟\u3001。！／：～")

// scanDeepCJK: [一-龥ࠀ-一가-퟿]+, which is U+0800 to U+9FA5 and U+AC00 to U+D7FF, without the white space in it.
func scanDeepCJK(s []byte) (int, bool) { return scanRunes(s, deepCJK) }

var deepCJK = newRuneSet("\u0800\u167f\u1681\u1fff\u200b\u2027\u202a\u202e\u2030\u205e\u2060\u2fff\u3001\u9fa5\uac00\ud7ff")

// scanHanKana: [一-龥぀-ゟ゠-ヿ]+
func scanHanKana(s []byte) (int, bool) { return scanRunes(s, hanKana) }

var hanKana = newRuneSet("\u3040\u30ff\u4e00\u9fa5")

func scanRunes(s []byte, set runeSet) (int, bool) {
	if i := set.run(s, 0); i > 0 {
		return i, true
	}
	return skip(s)
}

// scanDeep3: [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|
// ` ?[\p{P}\p{S}]+[\r\n]*`|\s*[\r\n]+|\s+(?!\S)|\s+
func scanDeep3(s []byte) (int, bool) {
	const word = clLetter | clMark
	c, n := classAt(s, 0)
	if s[0] < utf8.RuneSelf && c&(clPunct|clSymbol) != 0 && len(s) > 1 && isASCIILetter(s[1]) {
		i := 2
		for i < len(s) && isASCIILetter(s[i]) {
			i++
		}
		return i, true
	}
	if c&word != 0 {
		return run(s, n, word), true
	}
	if c&(clPunct|clSymbol) == 0 && s[0] != '\r' && s[0] != '\n' {
		if next, _ := classAt(s, n); next&word != 0 {
			return run(s, n, word), true
		}
	}
	i := 0
	if s[0] == ' ' {
		i = 1
	}
	if end := run(s, i, clPunct|clSymbol); end > i {
		return runBytes(s, end, '\r', '\n', '\n'), true
	}
	if c&clSpace == 0 {
		return n, false
	}
	if n := lineEnd(s); n > 0 {
		return n, true
	}
	return spaces(s), true
}
