// Package selinux finds the label that a guest's own SELinux policy gives to a
// file, for files that are put into its disk while it does not run. It reads
// file_contexts(5) of the guest; nothing of it is executed.
package selinux

import (
	"regexp"
	"strings"

	"hearth/internal/disk/guestos"
)

const (
	maxFile  = 16 << 20
	maxRules = 1 << 16
)

// Policy is what a guest's policy says of names.
type Policy struct {
	rules []rule
	subs  [][2]string // "/usr/lib64" is labelled as "/usr/lib"
}

// rule is a line of file_contexts.
type rule struct {
	stem    string // what a name must begin with
	pattern string
	kind    uint32 // of the file as in stat(2); 0: any
	label   string // "" for <<none>>
	exact   bool   // the pattern is a name
}

// Load reads the policy of a guest. present tells whether the guest uses SELinux;
// the policy is nil if it does not, or if the labels cannot be found out.
func Load(t guestos.Files) (p *Policy, present bool) {
	b, err := t.ReadFile("/etc/selinux/config", maxFile)
	if err != nil {
		return nil, false
	}
	v := guestos.Variables(string(b))
	kind := strings.TrimSpace(v["SELINUXTYPE"])
	if strings.TrimSpace(v["SELINUX"]) == "disabled" || kind == "" || strings.Contains(kind, "/") {
		return nil, false
	}
	dir := "/etc/selinux/" + kind + "/contexts/files/"
	p = &Policy{}
	for _, name := range []string{"file_contexts", "file_contexts.homedirs", "file_contexts.local"} { // later ones count
		if b, err := t.ReadFile(dir+name, maxFile); err == nil {
			p.read(string(b))
		}
	}
	for _, name := range []string{"file_contexts.subs_dist", "file_contexts.subs"} {
		b, err := t.ReadFile(dir+name, maxFile)
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); err == nil && len(f) == 2 && strings.HasPrefix(f[0], "/") {
				p.subs = append(p.subs, [2]string{f[0], f[1]})
			}
		}
	}
	if len(p.rules) == 0 {
		return nil, true
	}
	return p, true
}

var kinds = map[string]uint32{"--": 0o100000, "-d": 0o40000, "-l": 0o120000, "-c": 0o20000, "-b": 0o60000, "-s": 0o140000, "-p": 0o10000}

func (p *Policy) read(text string) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || len(f) > 3 || !strings.HasPrefix(f[0], "/") || len(p.rules) > maxRules {
			continue
		}
		r := rule{pattern: f[0], label: f[len(f)-1]}
		if len(f) == 3 {
			if r.kind = kinds[f[1]]; r.kind == 0 {
				continue
			}
		}
		if r.label == "<<none>>" {
			r.label = ""
		}
		r.stem, r.exact = stem(f[0])
		p.rules = append(p.rules, r)
	}
}

// stem is what a pattern begins with before anything that is no letter of a
// name; exact tells that it is all of it.
func stem(pattern string) (s string, exact bool) {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern) && strings.IndexByte(`.-+_/ ~@:`, pattern[i+1]) >= 0:
			i++
			b.WriteByte(pattern[i])
		case strings.IndexByte(`.^$?*+|[({\`, c) >= 0:
			s := b.String()
			if strings.IndexByte("?*{", c) >= 0 && s != "" { // the last letter may be missing
				s = s[:len(s)-1]
			}
			if strings.Contains(pattern[i:], "|") && strings.IndexByte("(", c) < 0 {
				return "/", false
			}
			return s, false
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

// Label is the label of a file by its name and its type as in stat(2); "" if the
// policy gives it none. The last rule that fits counts, as in libselinux.
func (p *Policy) Label(name string, kind uint32) string {
	for _, s := range p.subs {
		if rest, ok := strings.CutPrefix(name, s[0]); ok && (rest == "" || rest[0] == '/') {
			name = s[1] + rest
			break
		}
	}
	for i := len(p.rules) - 1; i >= 0; i-- {
		r := &p.rules[i]
		if r.kind != 0 && r.kind != kind&0o170000 || !strings.HasPrefix(name, r.stem) {
			continue
		}
		if r.exact && r.stem != name {
			continue
		}
		if !r.exact {
			// A pattern that Go does not know, such as one that looks back, fits nothing.
			if re, err := regexp.Compile(`^(?:` + r.pattern + `)$`); err != nil || !re.MatchString(name) {
				continue
			}
		}
		return r.label
	}
	return ""
}
