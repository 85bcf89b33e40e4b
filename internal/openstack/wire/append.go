package wire

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Appender is a body that writes its own JSON: the same that encoding/json
// would, without looking up by reflection what it is made of. It is for lists
// that are long and asked for often.
type Appender interface{ AppendJSON(b []byte) []byte }

// AppendText writes a string in JSON, as answers say it: <, > and & as they are.
func AppendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return appendValue(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// AppendOptional writes a string, or null for none.
func AppendOptional(b []byte, s *string) []byte {
	if s == nil {
		return append(b, "null"...)
	}
	return AppendText(b, *s)
}

// AppendValue writes what is rare by encoding/json; v must be something that has
// a form in JSON.
func AppendValue(b []byte, v any) []byte { return appendValue(b, v) }

func appendValue(b []byte, v any) []byte {
	buf := bytes.NewBuffer(b)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // a type without a form in JSON: the programmer's mistake
		panic(err)
	}
	return buf.Bytes()[:buf.Len()-1] // without the newline
}
