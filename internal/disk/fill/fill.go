// Package fill carries out the templates of overlays, which strangers may have written:
// text/template of Go's library, whose work and whose words are counted. Without that a template of one
// line keeps a processor for ever ({{range 9000000000}}), or takes all memory (a variable printed
// twice into itself, again and again).
package fill

import (
	"bytes"
	"fmt"
	"text/template"
)

// What the templates of one overlay may take together.
const (
	maxSteps = 1_000_000 // nodes carried out, less than a second
	maxWords = 16 << 20  // bytes written, and made by functions on the way
	MaxText  = 1 << 20   // bytes of one template, and of what it becomes
)

// Filler fills the templates of one overlay. Its zero value is not ready: see [New].
type Filler struct{ steps, words int }

// New makes a filler with the room that one overlay gets.
func New() *Filler { return &Filler{steps: maxSteps, words: maxWords} }

// Fill carries a template out with data. What it asks for and is not there is an error, as is a
// template that is too long or works too long. name is for errors.
func (f *Filler) Fill(name string, text []byte, data any) ([]byte, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("the template has more than %d MiB", MaxText>>20)
	}
	t, err := template.New(name).Option("missingkey=error").Funcs(f.functions()).Parse(string(text))
	if err != nil {
		return nil, err
	}
	for _, part := range t.Templates() {
		count(part.Tree)
	}
	var out bytes.Buffer
	if err := t.Execute(&output{&out, f}, data); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// output counts what a template says.
type output struct {
	to     *bytes.Buffer
	filler *Filler
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	if o.to.Len()+len(p) > MaxText {
		return 0, fmt.Errorf("it says more than %d MiB", MaxText>>20)
	}
	if err := o.filler.take(len(p)); err != nil {
		return 0, err
	}
	return o.to.Write(p)
}

// take counts bytes that are about to be made.
func (f *Filler) take(n int) error {
	if n < 0 || n > f.words {
		return fmt.Errorf("the templates of the overlay make more than %d MiB", maxWords>>20)
	}
	f.words -= n
	return nil
}
