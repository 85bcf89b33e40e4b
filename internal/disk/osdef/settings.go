package osdef

import (
	"fmt"
	"strings"
)

// The bounds of a file of settings.
const (
	maxFile     = 64 << 10
	maxSettings = 512
	maxValue    = 16 << 10
)

// Setting is one assignment, in the order of the file.
type Setting struct{ Name, Value string }

// ParseSettings reads a file of assignments as a shell would, and runs nothing:
// NAME=VALUE with quotes, backslashes, comments, "export", several on a line, and
// $NAME or ${NAME} of what was assigned before. Whatever else a shell could be made
// to do there is refused with the number of its line.
func ParseSettings(text string) ([]Setting, error) { return parseSettings(text, map[string]string{}) }

// parseSettings is ParseSettings after other files; vars are what these have assigned.
func parseSettings(text string, vars map[string]string) ([]Setting, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("the settings have %d bytes; at most %d are read", len(text), maxFile)
	}
	p := &parser{text: text, line: 1, vars: vars}
	for {
		p.blank(" \t\n\r;")
		if p.at == len(p.text) {
			return p.out, nil
		}
		if err := p.assignment(); err != nil {
			return nil, err
		}
		if len(p.out) > maxSettings {
			return nil, p.refuse("more than %d assignments", maxSettings)
		}
	}
}

type parser struct {
	text string
	at   int
	line int
	vars map[string]string
	out  []Setting
}

func (p *parser) refuse(format string, args ...any) error {
	return fmt.Errorf("line %d: %s; only assignments such as SWAP=\"yes\" are read, nothing is run", p.line, fmt.Sprintf(format, args...))
}

// peek is the next byte; 0 at the end.
func (p *parser) peek() byte {
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

func (p *parser) next() byte {
	c := p.peek()
	if p.at < len(p.text) {
		p.at++
	}
	if c == '\n' {
		p.line++
	}
	return c
}

// blank skips what is of set, comments, and lines that go on.
func (p *parser) blank(set string) {
	for p.at < len(p.text) {
		switch c := p.peek(); {
		case strings.IndexByte(set, c) >= 0:
			p.next()
		case c == '\\' && strings.HasPrefix(p.text[p.at:], "\\\n"):
			p.next()
			p.next()
		case c == '#':
			for p.at < len(p.text) && p.peek() != '\n' {
				p.next()
			}
		default:
			return
		}
	}
}

func nameByte(c byte, first bool) bool {
	return c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || !first && c >= '0' && c <= '9'
}

func (p *parser) name() string {
	from := p.at
	for p.at < len(p.text) && nameByte(p.peek(), p.at == from) {
		p.next()
	}
	return p.text[from:p.at]
}

func (p *parser) assignment() error {
	name := p.name()
	if name == "export" && (p.peek() == ' ' || p.peek() == '\t') {
		p.blank(" \t")
		name = p.name()
	}
	if name == "" || p.peek() != '=' {
		return p.refuse("%.30q is no assignment", p.rest(name))
	}
	p.next()
	value, err := p.value()
	if err != nil {
		return err
	}
	p.vars[name] = value
	p.out = append(p.out, Setting{name, value})
	return nil
}

// rest is what a sentence shows of the line.
func (p *parser) rest(name string) string {
	line, _, _ := strings.Cut(p.text[p.at:], "\n")
	return name + line
}

// value reads one word.
func (p *parser) value() (string, error) {
	var b strings.Builder
	for b.Len() <= maxValue {
		switch c := p.peek(); {
		case c == 0 && p.at < len(p.text):
			return "", p.refuse("a zero byte")
		case p.at == len(p.text), strings.IndexByte(" \t\n\r;", c) >= 0:
			return b.String(), nil
		case c == '\'':
			p.next()
			end := strings.IndexByte(p.text[p.at:], '\'')
			if end < 0 {
				return "", p.refuse("a quote that does not end")
			}
			for range end {
				b.WriteByte(p.next())
			}
			p.next()
		case c == '"':
			p.next()
			if err := p.quoted(&b); err != nil {
				return "", err
			}
		case c == '\\':
			p.next()
			if c := p.next(); c != '\n' {
				b.WriteByte(c)
			}
		case c == '$':
			if err := p.variable(&b); err != nil {
				return "", err
			}
		case strings.IndexByte("`()<>|&", c) >= 0:
			return "", p.refuse("%q is for a shell", string(c))
		default:
			b.WriteByte(p.next())
		}
	}
	return "", p.refuse("a value of more than %d bytes", maxValue)
}

// quoted reads to the end of double quotes.
func (p *parser) quoted(b *strings.Builder) error {
	for b.Len() <= maxValue {
		switch p.peek() {
		case 0:
			return p.refuse("a quote that does not end, or a zero byte")
		case '"':
			p.next()
			return nil
		case '`':
			return p.refuse("%q is for a shell", "`")
		case '$':
			if err := p.variable(b); err != nil {
				return err
			}
		case '\\':
			p.next()
			switch c := p.next(); c {
			case '\n':
			case '"', '\\', '$', '`':
				b.WriteByte(c)
			case 0:
				return p.refuse("a quote that does not end")
			default:
				b.WriteByte('\\')
				b.WriteByte(c)
			}
		default:
			b.WriteByte(p.next())
		}
	}
	return p.refuse("a value of more than %d bytes", maxValue)
}

// variable reads $NAME or ${NAME}; a dollar before anything else is itself.
func (p *parser) variable(b *strings.Builder) error {
	p.next()
	braces := p.peek() == '{'
	if p.peek() == '(' {
		return p.refuse("%q is for a shell", "$(")
	}
	if braces {
		p.next()
	}
	name := p.name()
	switch {
	case braces && (name == "" || p.next() != '}'):
		return p.refuse("only ${NAME} is known of what may follow ${")
	case name == "":
		b.WriteByte('$')
	default:
		if b.Len()+len(p.vars[name]) > maxValue {
			return p.refuse("a value of more than %d bytes", maxValue)
		}
		b.WriteString(p.vars[name])
	}
	return nil
}

// Shell writes settings as such a file.
func Shell(all []Setting) string {
	var b strings.Builder
	for _, s := range all {
		fmt.Fprintf(&b, "%s='%s'\n", s.Name, strings.ReplaceAll(s.Value, "'", `'\''`))
	}
	return b.String()
}
