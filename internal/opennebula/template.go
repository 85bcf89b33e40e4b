// Package opennebula reads the files that OpenNebula's commands take, and says what
// they come to in a cloud of today: templates of datastores (.dsconf, for
// 'onedatastore create'), of images (.one, 'oneimage create') and of virtual machines
// (.vmd, .vm, 'onevm create'). Their syntax and attributes are those of OpenNebula's
// "Image Definition Template" and "Virtual Machine Definition File" since 3.x. It makes
// nothing: cmd/hearth does, over the OpenStack APIs.
package opennebula

import (
	"fmt"
	"strings"
)

// The bounds of a template.
const (
	maxText       = 256 << 10
	maxAttributes = 512 // of a template, and of a vector in it
)

// Attribute is NAME = value, or NAME = [ NAME = value, … ], of which Vector is not nil.
type Attribute struct {
	Name   string // upper case
	Value  string
	Vector []Attribute
	Line   int
}

// Template is what a file says, in its order. Names may come several times.
type Template []Attribute

// Parse reads a template: values are plain to the end of the line (in a vector: to
// the comma), or in double quotes, over several lines too; # begins a comment. An
// error names the line.
func Parse(text string) (Template, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("it has more than the %d bytes that are read", maxText)
	}
	p := &parser{text: text, line: 1}
	return p.list(false)
}

type parser struct {
	text string
	at   int
	line int
}

func (p *parser) refuse(format string, args ...any) error {
	return fmt.Errorf("line %d: %s", p.line, fmt.Sprintf(format, args...))
}

// blank goes over white space, and comments, of which a line begins with one.
func (p *parser) blank() {
	for ; p.at < len(p.text); p.at++ {
		switch p.text[p.at] {
		case '\n':
			p.line++
		case ' ', '\t', '\r':
		case '#':
			end := strings.IndexByte(p.text[p.at:], '\n')
			if end < 0 {
				p.at = len(p.text)
				return
			}
			p.at += end - 1
		default:
			return
		}
	}
}

// take goes over a byte if it is the next one.
func (p *parser) take(c byte) bool {
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// list reads attributes, to the end or, of a vector, to its bracket.
func (p *parser) list(vector bool) (all []Attribute, err error) {
	for {
		p.blank()
		switch {
		case vector && p.take(']'):
			return all, nil
		case p.at == len(p.text) && vector:
			return nil, p.refuse("a [ is not closed")
		case p.at == len(p.text):
			return all, nil
		case len(all) == maxAttributes:
			return nil, p.refuse("more than %d attributes", maxAttributes)
		}
		a, err := p.attribute(vector)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
		if p.blank(); vector && !p.take(',') && (p.at == len(p.text) || p.text[p.at] != ']') {
			return nil, p.refuse("a comma or a ] is missing after %s", a.Name)
		}
	}
}

func (p *parser) attribute(vector bool) (a Attribute, err error) {
	start := p.at
	for p.at < len(p.text) && nameByte(p.text[p.at]) {
		p.at++
	}
	a = Attribute{Name: strings.ToUpper(p.text[start:p.at]), Line: p.line}
	if a.Name == "" {
		return a, p.refuse("a name is missing before %.20q", p.text[p.at:])
	}
	p.space()
	if !p.take('=') {
		return a, p.refuse("a = is missing after %s", a.Name)
	}
	line := p.line
	p.space()
	switch {
	case p.take('"'):
		a.Value, err = p.quoted()
	case !vector && p.take('['):
		if a.Vector, err = p.list(true); a.Vector == nil && err == nil {
			a.Vector = []Attribute{}
		}
	case p.line != line: // NAME = and no more on its line is empty (EQUAL_EMPTY of OpenNebula's template_parser.l)
	default:
		a.Value = p.plain(vector)
	}
	return a, err
}

// space goes over white space of all kinds: what is quoted or in brackets may stand on the
// next line.
func (p *parser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		if p.text[p.at] == '\n' {
			p.line++
		}
		p.at++
	}
}

func nameByte(c byte) bool {
	return c == '_' || c == '-' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// quoted reads to the next quote; \" and \\ stand for themselves.
func (p *parser) quoted() (string, error) {
	var b strings.Builder
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch {
		case c == '"':
			return b.String(), nil
		case c == '\\' && p.at < len(p.text) && (p.text[p.at] == '"' || p.text[p.at] == '\\'):
			c = p.text[p.at]
			p.at++
		case c == '\n':
			p.line++
		}
		b.WriteByte(c)
	}
	return "", p.refuse("a quote is not closed")
}

// plain reads to the end of the line, or in a vector to what ends the value there.
func (p *parser) plain(vector bool) string {
	ends := "\n#"
	if vector {
		ends = "\n#,]"
	}
	rest := p.text[p.at:]
	if end := strings.IndexAny(rest, ends); end >= 0 {
		rest = rest[:end]
	}
	p.at += len(rest)
	return strings.TrimSpace(rest)
}

// Get is the last value of a name; "" for none.
func (t Template) Get(name string) (value string) {
	value, _ = t.single(name)
	return value
}

// Has tells whether a name is there, with a value or a vector.
func (t Template) Has(name string) bool {
	for _, a := range t {
		if a.Name == name {
			return true
		}
	}
	return false
}

// Vectors are those of a name.
func (t Template) Vectors(name string) (all []Template) {
	for _, a := range t {
		if a.Name == name && a.Vector != nil {
			all = append(all, Template(a.Vector))
		}
	}
	return all
}
