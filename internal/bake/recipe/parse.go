package recipe

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxRecipe bounds a recipe's text, bytes.
const maxRecipe = 1 << 20

// Read reads a recipe from a file. Errors have the form FILE:LINE: sentence, one a line.
func Read(file string) (*Recipe, error) {
	text, err := ReadFile(file, maxRecipe+1)
	if err != nil {
		return nil, err
	}
	return Parse(text, file)
}

// ReadFile reads at most limit bytes of a file. What is none, a pipe or a device, is an error and not
// waited for.
func ReadFile(name string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is not a file; name one", name))
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// Load reads a recipe from a file and checks it; errors are as Read's.
func Load(file string) (*Recipe, error) {
	r, err := Read(file)
	if err != nil {
		return nil, err
	}
	var problems []string
	for _, c := range r.Check() {
		if c.Level == Problem {
			problems = append(problems, c.String())
		}
	}
	if len(problems) > 0 {
		return nil, errors.New(strings.Join(problems, "\n"))
	}
	return r, nil
}

// Parse reads a recipe and takes no word that it does not know. file is where it
// came from, for messages and for the names of files in it.
func Parse(text []byte, file string) (*Recipe, error) {
	if len(text) > maxRecipe {
		return nil, mistake(file, 0, "a recipe has at most %d bytes", maxRecipe)
	}
	if at := notText(text); at >= 0 {
		return nil, mistake(file, 1+bytes.Count(text[:at], []byte("\n")), "this line has bytes that are no UTF-8; write the recipe as UTF-8 text")
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, err
	}
	r := &Recipe{Dir: dir, File: file, lines: map[string]int{}}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		if line := tabbed(text); line > 0 && strings.Contains(err.Error(), "cannot start any token") {
			return nil, mistake(file, line, "this line begins with a tab: YAML is indented with spaces")
		}
		return nil, plainError(file, err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(r); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, mistake(file, 1, "the recipe is empty; hearth bake init makes one to begin with")
		}
		return nil, plainError(file, err)
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, mistake(file, 0, "a recipe is one YAML document, and another follows after ---")
	}
	r.number("", &root)
	return r, nil
}

// tabbed is the first line that a tab indents; 0 if there is none.
func tabbed(text []byte) int {
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if bytes.HasPrefix(bytes.TrimLeft(line, " "), []byte("\t")) && len(bytes.TrimSpace(line)) > 0 {
			return n
		}
	}
	return 0
}

// notText is where the first byte is that no text of UTF-8 has; -1 if there is none.
func notText(text []byte) int {
	for at := 0; at < len(text); {
		r, n := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && n == 1 || r == 0 {
			return at
		}
		at += n
	}
	return -1
}

// number notes the line of each field.
func (r *Recipe) number(path string, n *yaml.Node) {
	r.lines[path] = n.Line
	switch n.Kind {
	case yaml.DocumentNode:
		for _, c := range n.Content {
			r.number("", c)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := strings.TrimPrefix(path+"."+n.Content[i].Value, ".")
			r.number(name, n.Content[i+1])
			r.lines[name] = n.Content[i].Line
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			r.number(path+"["+strconv.Itoa(i)+"]", c)
		}
	}
}

// Line is that of a field, or of what holds it if the recipe does not have it.
func (r *Recipe) Line(path string) int {
	for path != "" {
		if n := r.lines[path]; n > 0 {
			return n
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			break
		}
		path = path[:cut]
	}
	return max(1, r.lines[""])
}

// plainError says what the YAML library complains of without the names of Go.
func plainError(file string, err error) error {
	unknown := regexp.MustCompile(`^line (\d+): field (\S+) not found in type recipe\.(\w+)$`)
	wrong := regexp.MustCompile(`^line (\d+): cannot unmarshal (\S+) (.*)into (\S+)$`)
	other := regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)
	var typed *yaml.TypeError
	all := []string{err.Error()}
	if errors.As(err, &typed) {
		all = typed.Errors
	}
	var found Mistakes
	for _, s := range all {
		line, text := 0, strings.TrimPrefix(s, "yaml: ")
		if m := unknown.FindStringSubmatch(s); m != nil {
			line, text = number(m[1]), fmt.Sprintf("there is no field %q in %s%s", m[2], place(m[3]), didYouMean(m[2], fieldsOf(m[3])))
		} else if m := wrong.FindStringSubmatch(s); m != nil {
			line, text = number(m[1]), fmt.Sprintf("%s is a %s where a %s belongs", cmp.Or(strings.TrimSpace(m[3]), "here"), kind(m[2]), kind(m[4]))
		} else if m := other.FindStringSubmatch(s); m != nil {
			line, text = number(m[1]), m[2]
		}
		found = append(found, mistake(file, line, "%s", text)...)
	}
	if more := len(found) - maxErrors; more > 0 {
		found = append(found[:maxErrors], mistake(file, 0, "and %d more", more)...)
	}
	return found
}

func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}

// Mistakes are why a recipe cannot be read at all.
type Mistakes []Finding

// Error has a line FILE:LINE: sentence for each.
func (m Mistakes) Error() string {
	var lines []string
	for _, f := range m {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

func mistake(file string, line int, format string, args ...any) Mistakes {
	return Mistakes{{Level: Problem, File: file, Line: line, Text: fmt.Sprintf(format, args...)}}
}

// maxErrors are told of one recipe.
const maxErrors = 20

func place(goType string) string {
	if goType == "Recipe" {
		return "a recipe"
	}
	return strings.ToLower(goType)
}

// kind names a type of YAML or Go in words.
func kind(s string) string {
	switch {
	case s == "!!map" || strings.HasPrefix(s, "recipe.") || strings.HasPrefix(s, "map"):
		return "mapping"
	case s == "!!seq" || strings.HasPrefix(s, "[]"):
		return "list"
	case s == "!!int" || s == "int":
		return "number"
	case s == "!!bool" || s == "bool":
		return "true or false"
	}
	return "text"
}
