package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	// MaxInputBytes is the largest JSON input.
	MaxInputBytes = 64 << 20
	maxBigDigits  = 4300 // Python's own limit on the digits of an integer
)

// ValueFromJSON decodes one JSON value. The order of object keys is kept; of a repeated key, the last value and the first
// place. Integers stay integers. Nesting is at most 128 deep. Errors wrap ErrInput.
func ValueFromJSON(data []byte) (Value, error) {
	if len(data) > MaxInputBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d allowed", ErrInput, len(data), MaxInputBytes)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	if err == nil {
		if _, tokErr := d.Token(); !errors.Is(tokErr, io.EOF) {
			err = errors.New("text after the JSON value")
		}
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("%w: at byte %d: %w", ErrInput, d.InputOffset(), err)
	}
	return v, nil
}

// VarsFromJSON decodes a JSON object into the variables of a template.
func VarsFromJSON(data []byte) (Vars, error) {
	v, err := ValueFromJSON(data)
	if err != nil {
		return nil, err
	}
	m, ok := v.(*Map)
	if !ok {
		return nil, fmt.Errorf("%w: template variables are %s, expected an object", ErrInput, describe(v))
	}
	return m, nil
}

func decodeValue(d *json.Decoder, depth int) (Value, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := tok.(type) {
	case nil:
		return None{}, nil
	case bool:
		return Bool(t), nil
	case string:
		return String(t), nil
	case json.Number:
		return decodeNumber(string(t))
	case json.Delim:
		if depth >= maxValueDepth {
			return nil, fmt.Errorf("nested more than %d levels deep", maxValueDepth)
		}
		if t == '[' {
			return decodeList(d, depth+1)
		}
		return decodeObject(d, depth+1)
	}
	return nil, fmt.Errorf("unexpected token %v", tok)
}

func decodeList(d *json.Decoder, depth int) (Value, error) {
	l := &List{}
	for d.More() {
		v, err := decodeValue(d, depth)
		if err != nil {
			return nil, err
		}
		l.items = append(l.items, v)
	}
	_, err := d.Token()
	return l, err
}

func decodeObject(d *json.Decoder, depth int) (Value, error) {
	m := NewMap()
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("object key is %v, expected a string", key)
		}
		v, err := decodeValue(d, depth)
		if err != nil {
			return nil, err
		}
		m.set(String(name), v)
	}
	_, err := d.Token()
	return m, err
}

func decodeNumber(s string) (Value, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return Int(n), nil
	}
	if !strings.ContainsAny(s, ".eE") {
		if len(s) > maxBigDigits {
			return nil, fmt.Errorf("integer of %d digits, at most %d allowed", len(s), maxBigDigits)
		}
		return bigInt(s), nil
	}
	f, err := strconv.ParseFloat(s, 64) // out of range gives an infinity, as in Python
	if err != nil && !math.IsInf(f, 0) {
		return nil, fmt.Errorf("invalid number %s", quote(s))
	}
	return Float(f), nil
}

// Now is the time that the variable "now" names, in ISO 8601; ok is false when there is no such string.
func Now(vars Vars) (now time.Time, ok bool, err error) {
	v, _ := vars.Get("now")
	s, ok := v.(String)
	if !ok {
		return time.Time{}, false, nil
	}
	now, err = ParseNow(string(s))
	return now, err == nil, err
}

// nowLayouts are the forms of ISO 8601 that ParseNow reads.
var nowLayouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02"}

// ParseNow reads a time in ISO 8601, with or without a zone, for Options.Now.
func ParseNow(s string) (time.Time, error) {
	for _, layout := range nowLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: time %s is not ISO 8601 (expected e.g. 2026-01-02T03:04:05)", ErrInput, quote(s))
}
