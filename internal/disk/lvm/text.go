package lvm

import (
	"strconv"
	"strings"
)

// section is a block of the metadata's text: names with a value, a list or a block.
type section struct {
	values map[string]any // word, []word or *section
	order  []string
}

func newSection() *section { return &section{values: map[string]any{}} }

// section gives a block within; an empty one if there is none.
func (s *section) section(name string) *section {
	if in, ok := s.values[name].(*section); ok {
		return in
	}
	return newSection()
}

func (s *section) text(name string) string {
	w, _ := s.values[name].(word)
	return w.text
}

func (s *section) list(name string) []string {
	switch v := s.values[name].(type) {
	case []word:
		list := make([]string, len(v))
		for i, w := range v {
			list[i] = w.text
		}
		return list
	case word:
		return []string{v.text}
	}
	return nil
}

// number gives -1 for what is none.
func (s *section) number(name string) int64 {
	n, err := whole(s.text(name))
	if err != nil {
		return -1
	}
	return n
}

func whole(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }

const (
	maxDepth = 8
	maxWords = 1 << 18
)

// parse reads the text.
func parse(b []byte) (*section, error) {
	p := &parser{}
	if err := p.split(string(b)); err != nil {
		return nil, err
	}
	top := newSection()
	if err := p.block(top, 0); err != nil {
		return nil, err
	}
	return top, nil
}

// word is a piece of the text; of a string, without its quotes.
type word struct {
	text   string
	quoted bool
}

type parser struct {
	words []word
	at    int
}

// split takes the text apart. Comments end with their line.
func (p *parser) split(s string) error {
	for len(s) > 0 {
		if len(p.words) > maxWords {
			return refuse("the metadata has more than %d words", maxWords)
		}
		c := s[0]
		switch {
		case c == '#':
			_, s, _ = strings.Cut(s, "\n")
		case c <= ' ':
			s = s[1:]
		case strings.IndexByte("{}[]=,", c) >= 0:
			p.words, s = append(p.words, word{text: s[:1]}), s[1:]
		case c == '"':
			text, rest, err := quoted(s[1:])
			if err != nil {
				return err
			}
			p.words, s = append(p.words, word{text, true}), rest
		default:
			n := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || strings.ContainsRune("{}[]=,#\"", r) })
			if n < 0 {
				n = len(s)
			}
			p.words, s = append(p.words, word{text: s[:n]}), s[n:]
		}
	}
	return nil
}

func quoted(s string) (text, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
		case s[i] == '"':
			return b.String(), s[i+1:], nil
		}
		b.WriteByte(s[i])
	}
	return "", "", refuse("a string of the metadata does not end")
}

// next gives the next word; an empty one at the end.
func (p *parser) next() word {
	if p.at >= len(p.words) {
		return word{}
	}
	p.at++
	return p.words[p.at-1]
}

func (w word) is(sign string) bool { return !w.quoted && w.text == sign }

func (p *parser) block(s *section, depth int) error {
	if depth > maxDepth {
		return refuse("the metadata has more than %d blocks within each other", maxDepth)
	}
	for p.at < len(p.words) {
		name := p.next()
		if name.is("}") && depth > 0 {
			return nil
		}
		if name.quoted || name.text == "" || strings.ContainsAny(name.text, "{}[]=,") {
			return refuse("%.32q is no name", name.text)
		}
		value, err := p.value(depth)
		if err != nil {
			return err
		}
		if _, had := s.values[name.text]; !had {
			s.order = append(s.order, name.text)
		}
		s.values[name.text] = value
	}
	if depth > 0 {
		return refuse("a block of the metadata does not end")
	}
	return nil
}

// value is what follows a name.
func (p *parser) value(depth int) (any, error) {
	w := p.next()
	if w.is("{") {
		in := newSection()
		return in, p.block(in, depth+1)
	}
	if !w.is("=") {
		return nil, refuse("%.32q stands where a value begins", w.text)
	}
	if w = p.next(); !w.is("[") {
		return w, nil
	}
	list := []word{}
	for p.at < len(p.words) {
		switch w := p.next(); {
		case w.is("]"):
			return list, nil
		case !w.is(","):
			list = append(list, w)
		}
	}
	return nil, refuse("a list of the metadata does not end")
}

// set gives a name a value; a new one comes last.
func (s *section) set(name string, value any) {
	if _, had := s.values[name]; !had {
		s.order = append(s.order, name)
	}
	s.values[name] = value
}

func (s *section) setNumber(name string, n int64) {
	s.set(name, word{text: strconv.FormatInt(n, 10)})
}

// String is a word as it stands in the text.
func (w word) String() string {
	if !w.quoted {
		return w.text
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(w.text) + `"`
}

// write prints a block.
func (s *section) write(b *strings.Builder) {
	for _, name := range s.order {
		switch v := s.values[name].(type) {
		case word:
			b.WriteString(name + " = " + v.String() + "\n")
		case []word:
			b.WriteString(name + " = [")
			for i, w := range v {
				if i > 0 {
					b.WriteString(", ")
				}
				b.WriteString(w.String())
			}
			b.WriteString("]\n")
		case *section:
			b.WriteString(name + " {\n")
			v.write(b)
			b.WriteString("}\n")
		}
	}
}
