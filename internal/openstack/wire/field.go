package wire

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"hearth/internal/cloud"
)

// Opt is a member of a body that may be absent, null, or there.
type Opt[T any] struct {
	Set   bool // it was there, perhaps as null
	Null  bool
	Value T
}

// UnmarshalJSON notes that the member is there.
func (o *Opt[T]) UnmarshalJSON(raw []byte) error {
	*o = Opt[T]{Set: true}
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		o.Null = true
		return nil
	}
	return json.Unmarshal(raw, &o.Value)
}

// MarshalJSON is the value, or null.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	if !o.Set || o.Null {
		return []byte("null"), nil
	}
	return json.Marshal(o.Value)
}

// Or is the value, or other when there is none.
func (o Opt[T]) Or(other T) T {
	if !o.Set || o.Null {
		return other
	}
	return o.Value
}

// Bool is a boolean as oslo's strutils takes it: true, "True", "yes", "on", "1", 1.
type Bool bool

// UnmarshalJSON reads any of the spellings.
func (b *Bool) UnmarshalJSON(raw []byte) error {
	v, err := ParseBool("of a boolean", strings.Trim(string(raw), `"`))
	*b = Bool(v)
	return err
}

// ParseBool reads a boolean of a query or a body as oslo's strutils does;
// Invalid.
func ParseBool(field, text string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "t", "1", "on", "y", "yes":
		return true, nil
	case "false", "f", "0", "off", "n", "no":
		return false, nil
	}
	return false, cloud.E("wire.ParseBool", cloud.Invalid, "Invalid input for field/attribute %s. Value: %s. It is not a boolean", field, text)
}

// Int is a whole number that may be written as a string, as nova takes it.
type Int int

// UnmarshalJSON reads 12, "12" and 12.0.
func (i *Int) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `"`)
	if n, err := strconv.Atoi(text); err == nil {
		*i = Int(n)
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return cloud.E("wire.Int", cloud.Invalid, "Invalid input. Value: %s. It is not an integer", text)
	}
	*i = Int(f)
	return nil
}

// First is the first error that is not nil: validators side by side.
func First(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Length wants a text of least to most characters; Invalid.
func Length(field, text string, least, most int) error {
	n := utf8.RuneCountInString(text)
	switch {
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return bad(field, text, "it is not text")
	case n < least:
		return bad(field, text, "'"+text+"' is too short")
	case n > most:
		return bad(field, text[:min(len(text), 64)], "the value is too long: "+strconv.Itoa(n)+" characters, at most "+strconv.Itoa(most))
	}
	return nil
}

// Name wants a name: 1 to 255 characters without spaces at the ends; Invalid.
func Name(field, text string) error {
	if err := Length(field, text, 1, 255); err != nil {
		return err
	}
	if strings.TrimSpace(text) != text {
		return bad(field, text, "a name has no spaces at its ends and is not empty")
	}
	return nil
}

// UUID wants a UUID, with dashes or without; Invalid.
func UUID(field, text string) error {
	if !cloud.IsID(text) {
		return bad(field, text, "'"+text+"' is not a 'uuid'")
	}
	return nil
}

// Between wants a number from least to most; Invalid.
func Between[N int | int64 | Int](field string, n, least, most N) error {
	if n < least || n > most {
		return cloud.E("wire.Between", cloud.Invalid, "Invalid input for field/attribute %s. Value: %d. It must be from %d to %d", field, n, least, most)
	}
	return nil
}

// OneOf wants one of some words; Invalid.
func OneOf(field, text string, words ...string) error {
	for _, w := range words {
		if text == w {
			return nil
		}
	}
	return bad(field, text, "'"+text+"' is not one of ["+strings.Join(words, ", ")+"]")
}

func bad(field, text, why string) error {
	return cloud.E("wire.field", cloud.Invalid, "Invalid input for field/attribute %s. Value: %s. %s", field, text, why)
}
