package nova

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"hearth/internal/cloud"
)

// sentence says why a value is not what a schema wants, as nova does
// (nova/api/validation/validators.py).
func sentence(err error) error {
	if err == nil {
		return nil
	}
	const op = "nova.schema"
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return cloud.E(op, cloud.Internal, "%w", err)
	}
	leaf := leafOf(invalid)
	why := reason(leaf.ErrorKind)
	if len(leaf.InstanceLocation) == 0 {
		return cloud.E(op, cloud.Invalid, "%s", why)
	}
	field := leaf.InstanceLocation[len(leaf.InstanceLocation)-1]
	return cloud.E(op, cloud.Invalid, "Invalid input for field/attribute %s. %s", field, why)
}

// leafOf is the cause to tell: the first, and of alternatives the whole.
func leafOf(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	for len(e.Causes) > 0 {
		switch e.ErrorKind.(type) {
		case *kind.OneOf, *kind.AnyOf:
			return e
		}
		e = e.Causes[0]
	}
	return e
}

// reason says in Python's words of jsonschema what is wrong.
func reason(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.AdditionalProperties:
		was := "was"
		if len(k.Properties) > 1 {
			was = "were"
		}
		return fmt.Sprintf("Additional properties are not allowed ('%s' %s unexpected)", strings.Join(k.Properties, "', '"), was)
	case *kind.Required:
		return fmt.Sprintf("'%s' is a required property", k.Missing[0])
	case *kind.Type:
		return fmt.Sprintf("It is %s, not of type '%s'", k.Got, strings.Join(k.Want, "', '"))
	case *kind.Enum:
		return fmt.Sprintf("Value: %v. It is not one of %v", k.Got, k.Want)
	case *kind.Pattern:
		return fmt.Sprintf("Value: %s. '%s' does not match '%s'", k.Got, k.Got, k.Want)
	case *kind.Format:
		return fmt.Sprintf("Value: %v. '%v' is not a '%s'", k.Got, k.Got, k.Want)
	case *kind.MinLength:
		return "It is too short"
	case *kind.MaxLength:
		return fmt.Sprintf("It is too long: %d characters, at most %d", k.Got, k.Want)
	case *kind.Minimum:
		return fmt.Sprintf("Value: %s. %s is less than the minimum of %s", k.Got.RatString(), k.Got.RatString(), k.Want.RatString())
	case *kind.Maximum:
		return fmt.Sprintf("Value: %s. %s is greater than the maximum of %s", k.Got.RatString(), k.Got.RatString(), k.Want.RatString())
	case *kind.ExclusiveMinimum:
		return fmt.Sprintf("Value: %s. It must be greater than %s", k.Got.RatString(), k.Want.RatString())
	case *kind.MaxItems:
		return fmt.Sprintf("It is too long: %d items, at most %d", k.Got, k.Want)
	case *kind.MinItems, *kind.MinProperties:
		return "It does not have enough items"
	case *kind.MaxProperties:
		return "It has too many properties"
	case *kind.UniqueItems:
		return "It has non-unique elements"
	case *kind.OneOf, *kind.AnyOf:
		return "It is not valid under any of the given schemas"
	}
	return "It is not as the API wants it"
}

// formats are nova's own, and its looser idea of a UUID.
var formats = []jsonschema.Format{
	{Name: "uuid", Validate: text(cloud.IsID)},
	{Name: "name", Validate: text(func(s string) bool { return strings.TrimFunc(s, unicode.IsSpace) == s && printable(s) })},
	{Name: "printable", Validate: text(printable)},
	{Name: "base64", Validate: text(func(s string) bool { _, err := decode64(s); return err == nil })},
	{Name: "positive", Validate: text(number(1))},
	{Name: "nonNegative", Validate: text(number(0))},
	{Name: "limit", Validate: text(number(-1))},
}

// text makes the check of a format: it is about strings alone.
func text(ok func(string) bool) func(any) error {
	return func(v any) error {
		if s, is := v.(string); is && !ok(s) {
			return errors.New("wrong")
		}
		return nil
	}
}

// printable tells whether a text has no control characters and no line breaks.
func printable(s string) bool {
	for _, r := range s {
		if unicode.Is(unicode.C, r) || unicode.Is(unicode.Z, r) && !unicode.Is(unicode.Zs, r) {
			return false
		}
	}
	return true
}

// number is a whole number in a string, not below least, of 31 bits.
func number(least int64) func(string) bool {
	return func(s string) bool {
		n, err := strconv.ParseInt(s, 10, 32)
		return err == nil && n >= least && !strings.HasPrefix(s, "+")
	}
}

// decode64 reads base64 as Python does: line breaks in it do not count.
func decode64(s string) ([]byte, error) {
	return base64.StdEncoding.DecodeString(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s))
}
