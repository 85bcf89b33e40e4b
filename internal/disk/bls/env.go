package bls

import (
	"fmt"
	"regexp"
	"strings"
)

// envPaths are where GRUB's environment block may be.
var envPaths = []string{"/boot/grub2/grubenv", "/boot/grub/grubenv"}

const (
	envMark = "# GRUB Environment Block\n"
	// envSize of a block, bytes: GRUB writes into it in place, and never makes it longer.
	envSize = 1024
)

// Env is an environment block: variables that GRUB reads, and that grub-set-default and
// its like write (grub-editenv(1), lib/envblk.c of GRUB).
type Env struct {
	names  []string
	values map[string]string
	size   int
}

// ParseEnv reads a block; nil if it is none.
func ParseEnv(b []byte) *Env {
	text, ok := strings.CutPrefix(string(b), envMark)
	if !ok {
		return nil
	}
	e := &Env{values: map[string]string{}, size: max(len(b), envSize)}
	text = strings.ReplaceAll(text, "\\\n", "\x00") // a line that goes on
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if ok && !strings.HasPrefix(line, "#") {
			e.Set(name, strings.NewReplacer("\x00", "\n", `\\`, `\`).Replace(value))
		}
	}
	return e
}

// Get gives a variable; "" if it is not there.
func (e *Env) Get(name string) string {
	if e == nil {
		return ""
	}
	return e.values[name]
}

// Set changes a variable.
func (e *Env) Set(name, value string) {
	if _, had := e.values[name]; !had {
		e.names = append(e.names, name)
	}
	e.values[name] = value
}

// Bytes is the block, as long as it was. An error if it does not fit any more.
func (e *Env) Bytes() ([]byte, error) {
	var b strings.Builder
	b.WriteString(envMark)
	for _, name := range e.names {
		b.WriteString(name + "=" + strings.NewReplacer(`\`, `\\`, "\n", "\\\n").Replace(e.values[name]) + "\n")
	}
	if b.Len() > e.size {
		return nil, fmt.Errorf("GRUB's environment block has %d bytes, its variables need %d: shorten the kernel's arguments", e.size, b.Len())
	}
	return []byte(b.String() + strings.Repeat("#", e.size-b.Len())), nil
}

// ReadEnv reads the guest's block; nil and "" if it has none.
func ReadEnv(t Files) (*Env, string) {
	for _, name := range envPaths {
		if b, err := t.ReadFile(name, maxText); err == nil {
			if e := ParseEnv(b); e != nil {
				return e, name
			}
		}
	}
	return nil, ""
}

// KernelOpts is the variable in which older systems of Fedora's kind have what all kernels
// are told.
const KernelOpts = "kernelopts"

var inMenu = regexp.MustCompile(`(?m)^\s*set kernelopts="([^"\n]*)"`)

// Variables are those that the guest's GRUB knows when it reads the entries: of its
// environment block and, of kernelopts, what its menu says where that has none.
func Variables(t Files) map[string]string {
	vars := map[string]string{}
	if e, _ := ReadEnv(t); e != nil {
		for name, value := range e.values {
			vars[name] = value
		}
	}
	if vars[KernelOpts] != "" {
		return vars
	}
	for _, name := range []string{"/boot/grub2/grub.cfg", "/boot/grub/grub.cfg"} {
		if b, err := t.ReadFile(name, maxText); err == nil {
			if m := inMenu.FindSubmatch(b); m != nil {
				vars[KernelOpts] = strings.TrimSpace(string(m[1]))
				break
			}
		}
	}
	return vars
}

var variable = regexp.MustCompile(`\$(\{[A-Za-z_][A-Za-z0-9_]*\}|[A-Za-z_][A-Za-z0-9_]*)`)

// Expand puts in the variables; one that is not known is empty, as in GRUB.
func Expand(s string, vars map[string]string) string {
	s = variable.ReplaceAllStringFunc(s, func(v string) string { return vars[strings.Trim(v, "${}")] })
	return strings.Join(strings.Fields(s), " ")
}

// Uses tells whether a text has a variable in it.
func Uses(s, name string) bool {
	for _, v := range variable.FindAllString(s, -1) {
		if strings.Trim(v, "${}") == name {
			return true
		}
	}
	return false
}
