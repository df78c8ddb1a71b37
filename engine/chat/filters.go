package chat

import (
	"math"
	"strconv"
	"strings"
)

// filter is a filter by its signature (the piped value not counted) and function; left-out arguments are nil. A filter with a
// raw function takes any arguments.
type filter struct {
	sig signature
	fn  func(e *evaluator, in Value, a []Value) Value
	raw func(e *evaluator, in Value, a callArgs) Value
}

func (e *evaluator) filter(name string, f *filter, in Value, a callArgs) Value {
	if f.raw != nil {
		return f.raw(e, in, a)
	}
	return f.fn(e, in, e.bind("filter "+name, &f.sig, a))
}

var filterTable = map[string]*filter{
	"abs":        {fn: absFilter},
	"attr":       {sig: sig("name"), fn: attrFilter},
	"batch":      {sig: sig("linecount", "fill_with?"), fn: batchFilter},
	"capitalize": {fn: viaMethod("capitalize")},
	"center":     {sig: sig("width?"), fn: centerFilter},
	"count":      {fn: lengthFilter},
	"d":          {sig: sig("default_value?", "boolean?"), fn: defaultFilter},
	"default":    {sig: sig("default_value?", "boolean?"), fn: defaultFilter},
	"dictsort":   {sig: sig("case_sensitive?", "by?", "reverse?"), fn: dictsortFilter},
	"e":          {fn: escapeFilter},
	"escape":     {fn: escapeFilter},
	"first":      {fn: firstFilter},
	"float":      {sig: sig("default?"), fn: floatFilter},
	"format":     {raw: formatFilter},
	"groupby":    {sig: sig("attribute", "default?", "case_sensitive?"), fn: groupbyFilter},
	"indent":     {sig: sig("width?", "first?", "blank?"), fn: indentFilter},
	"int":        {sig: sig("default?", "base?"), fn: intFilter},
	"items":      {fn: itemsFilter},
	"join":       {sig: sig("d?", "attribute?"), fn: joinFilter},
	"last":       {fn: lastFilter},
	"length":     {fn: lengthFilter},
	"list":       {fn: listFilter},
	"lower":      {fn: viaMethod("lower")},
	"map":        {raw: mapFilter},
	"max":        {sig: sig("case_sensitive?", "attribute?"), fn: extremeFilter(1)},
	"min":        {sig: sig("case_sensitive?", "attribute?"), fn: extremeFilter(-1)},
	"reject":     {raw: selectFilter(false, false)},
	"rejectattr": {raw: selectFilter(true, false)},
	"replace":    {sig: sig("old", "new", "count?"), fn: replaceFilter},
	"reverse":    {fn: reverseFilter},
	"round":      {sig: sig("precision?", "method?"), fn: roundFilter},
	"safe":       {fn: stringFilter},
	"select":     {raw: selectFilter(false, true)},
	"selectattr": {raw: selectFilter(true, true)},
	"slice":      {sig: sig("slices", "fill_with?"), fn: sliceFilter},
	"sort":       {sig: sig("reverse?", "case_sensitive?", "attribute?"), fn: sortFilter},
	"string":     {fn: stringFilter},
	"sum":        {sig: sig("attribute?", "start?"), fn: sumFilter},
	"title":      {fn: titleFilter},
	"tojson":     {sig: tojsonSig, fn: tojsonFilter},
	"trim":       {sig: sig("chars?"), fn: trimFilter},
	"truncate":   {sig: sig("length?", "killwords?", "end?", "leeway?"), fn: truncateFilter},
	"unique":     {sig: sig("case_sensitive?", "attribute?"), fn: uniqueFilter},
	"upper":      {fn: viaMethod("upper")},
	"wordcount":  {fn: wordcountFilter},
}

// viaMethod makes a filter of a method without arguments of strings.
func viaMethod(name string) func(*evaluator, Value, []Value) Value {
	return func(e *evaluator, in Value, _ []Value) Value {
		return e.invoke(e.strMethods[name], String(e.str(in)), callArgs{})
	}
}

func stringFilter(e *evaluator, in Value, _ []Value) Value { return String(e.str(in)) }

func absFilter(e *evaluator, in Value, _ []Value) Value {
	i, f, isInt, ok := number(in)
	switch {
	case !ok:
		e.typeError("bad operand for abs: %s", describe(in))
	case !isInt:
		return Float(math.Abs(f))
	case i < 0:
		return e.negate(Int(i))
	}
	return Int(i)
}

func attrFilter(e *evaluator, in Value, a []Value) Value {
	name := e.str(a[0])
	if v := e.ownAttr(in, name); v != nil {
		return v
	}
	return undefined{name}
}

func defaultFilter(e *evaluator, in Value, a []Value) Value {
	_, missing := in.(undefined)
	if missing || (a[1] != nil && e.truth(a[1]) && !e.truth(in)) {
		if a[0] == nil {
			return String("")
		}
		return a[0]
	}
	return in
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&#39;", `"`, "&#34;")

func escapeFilter(e *evaluator, in Value, _ []Value) Value {
	s := e.str(in)
	n := len(s)
	for _, c := range []string{"&", "<", ">", "'", `"`} {
		n += 4 * strings.Count(s, c)
	}
	e.fits(n)
	e.bytes(n)
	return String(escaper.Replace(s))
}

func lengthFilter(e *evaluator, in Value, _ []Value) Value { return Int(e.length(in)) }

func floatFilter(e *evaluator, in Value, a []Value) Value {
	if _, f, _, ok := number(in); ok {
		return Float(f)
	}
	if u, ok := in.(undefined); ok {
		e.undefinedError(u)
	}
	if s, ok := in.(String); ok {
		e.bytes(len(s))
		if f, ok := parseFloat(string(s)); ok {
			return Float(f)
		}
	}
	if a[0] != nil {
		return a[0]
	}
	return Float(0)
}

// parseFloat reads what Python's float() reads.
func parseFloat(s string) (float64, bool) {
	s = strings.TrimFunc(s, isSpace)
	if len(s) > 1000 || strings.ContainsAny(s, "xX") {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil || math.IsInf(f, 0)
}

func intFilter(e *evaluator, in Value, a []Value) Value {
	switch v := in.(type) {
	case Int, bigInt:
		return v
	case undefined:
		e.undefinedError(v)
	case Bool:
		return boolInt(v)
	case Float:
		if n, ok := truncate(float64(v)); ok {
			return n
		}
		e.typeError("%s is not a 64-bit integer", floatRepr(float64(v)))
	case String:
		e.bytes(4 * len(v))
		base := int64(10)
		if a[1] != nil {
			n, _, isInt, ok := number(a[1])
			if !ok || !isInt || n < 2 || n > 36 {
				e.typeError("int() base is %s, expected 2 to 36", describe(a[1]))
			}
			base = n
		}
		s := strings.TrimFunc(string(v), isSpace)
		digits := strings.ToLower(strings.TrimLeft(s, "+-"))
		if p := map[int64]string{2: "0b", 8: "0o", 16: "0x"}[base]; p != "" && strings.HasPrefix(digits, p) {
			s = strings.Replace(strings.ToLower(s), p, "", 1)
		}
		if n, err := strconv.ParseInt(strings.ReplaceAll(s, "_", ""), int(base), 64); err == nil {
			return Int(n)
		}
		if f, ok := parseFloat(s); ok {
			if n, ok := truncate(f); ok {
				return n
			}
		}
	}
	if a[0] != nil {
		return a[0]
	}
	return Int(0)
}

func truncate(f float64) (Int, bool) {
	if f = math.Trunc(f); f >= -1<<63 && f < 1<<63 {
		return Int(int64(f)), true
	}
	return 0, false
}

func roundFilter(e *evaluator, in Value, a []Value) Value {
	_, f, isInt, ok := number(in)
	if !ok {
		e.typeError("cannot round %s", describe(in))
	}
	prec := e.intArg("round() precision", a[0], 0)
	if prec < -400 || prec > 400 {
		e.typeError("round() precision %d is out of range", prec)
	}
	method := "common"
	if a[1] != nil {
		method = e.str(a[1])
	}
	scale := math.Pow(10, float64(prec))
	switch method {
	case "common":
		if n, _, _, _ := number(in); isInt && prec >= 0 {
			return Int(n)
		}
		if prec >= 0 { // correctly rounded, ties to even, as Python does
			r, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', prec, 64), 64)
			return Float(r)
		}
		r := math.RoundToEven(f*scale) / scale
		if isInt {
			return Int(int64(r))
		}
		return Float(r)
	case "ceil":
		return Float(math.Ceil(f*scale) / scale)
	case "floor":
		return Float(math.Floor(f*scale) / scale)
	}
	e.typeError("round() method is %s, expected common, ceil or floor", quote(method))
	panic("unreachable")
}

// intArg reads an optional integer argument.
func (e *evaluator) intArg(what string, v Value, def int) int {
	switch n := orNone(v).(type) {
	case None:
		return def
	case Int:
		return int(max(-1<<31+1, min(1<<31-1, n)))
	case Bool:
		return int(boolInt(n))
	}
	e.typeError("%s is %s, not an integer", what, describe(v))
	panic("unreachable")
}

func (e *evaluator) strArg(what string, v Value, def string) string {
	switch s := orNone(v).(type) {
	case None:
		return def
	case String:
		return string(s)
	}
	e.typeError("%s is %s, not a string", what, describe(v))
	panic("unreachable")
}
