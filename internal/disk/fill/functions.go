package fill

import (
	"fmt"
	"regexp"
	"strings"
	"text/template"
)

// wide are widths and precisions of printf that make much of little.
var wide = regexp.MustCompile(`[0-9]{4}|\*`)

const widest = 999

// functions are text/template's own that make words, and the one that counts steps.
func (f *Filler) functions() template.FuncMap {
	return template.FuncMap{
		step:      f.step,
		"print":   f.counted(1, fmt.Sprint),
		"println": f.counted(1, fmt.Sprintln),
		// A character is at most six here: \u0041, &#34;, or nine in an address: %F0%9F%94.
		"html":     f.counted(9, template.HTMLEscaper),
		"js":       f.counted(9, template.JSEscaper),
		"urlquery": f.counted(9, template.URLQueryEscaper),
		"printf":   f.printf,
	}
}

// counted is a function that makes at most so many times the bytes of its arguments.
func (f *Filler) counted(times int, make func(args ...any) string) func(args ...any) (string, error) {
	return func(args ...any) (string, error) {
		if err := f.take(times * (length(args) + 2*len(args))); err != nil {
			return "", err
		}
		return make(args...), nil
	}
}

// printf is fmt's, whose widths are bounded.
func (f *Filler) printf(format string, args ...any) (string, error) {
	if wide.MatchString(format) {
		return "", fmt.Errorf("the widths of %.40q are no numbers below %d", format, widest+1)
	}
	// Each verb can take any argument ([1]), and %q and %#v make up to ten bytes of one.
	if err := f.take(len(format) + strings.Count(format, "%")*(2*widest+10*length(args))); err != nil {
		return "", err
	}
	return fmt.Sprintf(format, args...), nil
}

// length is how long the words of arguments are. Those that are no strings are of the data,
// which is small.
func length(args []any) (sum int) {
	for _, a := range args {
		if s, ok := a.(string); ok {
			sum += len(s)
		} else {
			sum += len(fmt.Sprint(a))
		}
	}
	return sum
}
