package chat

import (
	"strconv"
	"strings"
	"time"
)

// strftime formats t by the directives of C's strftime in the C locale, with the GNU flags "-", "_", "0" and "^". The time is
// naive, as Python's datetime.now(): %z and %Z are empty. An unknown directive stays as written.
func strftime(t time.Time, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		start := i
		var flag byte
		if i++; i < len(format) && strings.IndexByte("-_0^", format[i]) >= 0 {
			flag = format[i]
			i++
		}
		if i >= len(format) {
			b.WriteString(format[start:])
			break
		}
		s, ok := directive(t, format[i], flag)
		if !ok {
			s = format[start : i+1]
		}
		if flag == '^' {
			s = strings.ToUpper(s)
		}
		b.WriteString(s)
	}
	return b.String()
}

// composite directives stand for others.
var composite = map[byte]string{
	'c': "%a %b %e %H:%M:%S %Y", 'D': "%m/%d/%y", 'F': "%Y-%m-%d", 'R': "%H:%M", 'r': "%I:%M:%S %p", 'T': "%H:%M:%S",
	'X': "%H:%M:%S", 'x': "%m/%d/%y", 'h': "%b",
}

func directive(t time.Time, c, flag byte) (string, bool) {
	if f, ok := composite[c]; ok {
		return strftime(t, f), true
	}
	year, week := t.ISOWeek()
	hour12 := (t.Hour()+11)%12 + 1
	switch c {
	case 'a':
		return t.Weekday().String()[:3], true
	case 'A':
		return t.Weekday().String(), true
	case 'b':
		return t.Month().String()[:3], true
	case 'B':
		return t.Month().String(), true
	case 'C':
		return padded(t.Year()/100, 2, '0', flag), true
	case 'd':
		return padded(t.Day(), 2, '0', flag), true
	case 'e':
		return padded(t.Day(), 2, ' ', flag), true
	case 'f':
		return padded(t.Nanosecond()/1000, 6, '0', 0), true
	case 'G':
		return padded(year, 4, '0', flag), true
	case 'g':
		return padded(year%100, 2, '0', flag), true
	case 'H':
		return padded(t.Hour(), 2, '0', flag), true
	case 'I':
		return padded(hour12, 2, '0', flag), true
	case 'j':
		return padded(t.YearDay(), 3, '0', flag), true
	case 'k':
		return padded(t.Hour(), 2, ' ', flag), true
	case 'l':
		return padded(hour12, 2, ' ', flag), true
	case 'm':
		return padded(int(t.Month()), 2, '0', flag), true
	case 'M':
		return padded(t.Minute(), 2, '0', flag), true
	case 'n':
		return "\n", true
	case 'p', 'P':
		s := "am"
		if t.Hour() >= 12 {
			s = "pm"
		}
		if c == 'p' {
			s = strings.ToUpper(s)
		}
		return s, true
	case 's':
		return strconv.FormatInt(t.Unix(), 10), true
	case 'S':
		return padded(t.Second(), 2, '0', flag), true
	case 't':
		return "\t", true
	case 'u':
		return strconv.Itoa((int(t.Weekday())+6)%7 + 1), true
	case 'U':
		return padded((t.YearDay()+6-int(t.Weekday()))/7, 2, '0', flag), true
	case 'V':
		return padded(week, 2, '0', flag), true
	case 'w':
		return strconv.Itoa(int(t.Weekday())), true
	case 'W':
		return padded((t.YearDay()+6-(int(t.Weekday())+6)%7)/7, 2, '0', flag), true
	case 'y':
		return padded(t.Year()%100, 2, '0', flag), true
	case 'Y':
		if flag == 0 {
			return strconv.Itoa(t.Year()), true
		}
		return padded(t.Year(), 4, '0', flag), true
	case 'z', 'Z':
		return "", true
	case '%':
		return "%", true
	}
	return "", false
}

func padded(n, width int, fill, flag byte) string {
	switch flag {
	case '-':
		return strconv.Itoa(n)
	case '_':
		fill = ' '
	case '0':
		fill = '0'
	}
	s := strconv.Itoa(n)
	for len(s) < width {
		s = string(fill) + s
	}
	return s
}
