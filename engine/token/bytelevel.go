package token

import "unicode/utf8"

// Byte-level BPE writes each byte of a text as one printable character (Radford et al. 2019): the printable characters
// of Latin-1 stand for themselves, the other 68 bytes are U+0100 onwards in order.

// byteOfRune maps characters below U+0144 to the byte they stand for, -1 for none.
var byteOfRune = func() (t [0x144]int16) {
	for i := range t {
		t[i] = -1
	}
	next := 0x100
	for b := 0; b < 256; b++ {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			t[b] = int16(b)
		} else {
			t[next] = int16(b)
			next++
		}
	}
	return t
}()

// appendByteLevel appends the bytes that s stands for. It reports false, with dst as it was, where s has a character
// that stands for no byte.
func appendByteLevel(dst []byte, s string) ([]byte, bool) {
	mark := len(dst)
	for i := 0; i < len(s); {
		c := s[i]
		if c > ' ' && c < 0x7f {
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if n == 1 || int(r) >= len(byteOfRune) || byteOfRune[r] < 0 {
			return dst[:mark], false
		}
		dst = append(dst, byte(byteOfRune[r]))
		i += n
	}
	return dst, true
}

// parseByteToken reads SentencePiece's "<0xNN>": exactly two hexadecimal digits.
func parseByteToken(s string) (byte, bool) {
	if len(s) != 6 || s[:3] != "<0x" || s[5] != '>' {
		return 0, false
	}
	hi, ok1 := hexDigit(s[3])
	lo, ok2 := hexDigit(s[4])
	return hi<<4 | lo, ok1 && ok2
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
