// Package kiwi reads a useful part of KIWI image descriptions as recipes: a folder
// with config.xml, config.sh, images.sh and the overlay root/. What of it is not
// taken is either an error, where the image would be another, or a warning.
//
// Source of the form: https://osinside.github.io/kiwi/ , "Image Description Elements"
// and "User-Defined Scripts".
package kiwi

import (
	_ "embed"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"hearth/internal/bake/recipe"
)

// functions are what config.sh finds in /.kconfig.
//
//go:embed kconfig.sh
var functions string

// maxFile bounds config.xml and scripts, bytes.
const maxFile = 1 << 20

// reader gathers a recipe.
type reader struct {
	*recipe.Recipe
	warnings []string
	profiles []string // those that the description asks for itself
	unread   int      // parts of config.xml that were told as not read
}

func (r *reader) warn(format string, args ...any) {
	r.warnings = append(r.warnings, "config.xml: "+fmt.Sprintf(format, args...))
}

// Read makes a recipe of the description in dir. base, if it is not "", is an
// archive with a root file system to start from: the only way for package managers
// other than apt.
func Read(dir, base string) (*recipe.Recipe, []string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, err
	}
	file := filepath.Join(dir, "config.xml")
	text, err := readText(file)
	if err != nil {
		return nil, nil, err
	}
	d := &description{}
	if err := xml.Unmarshal([]byte(text), d); err != nil {
		var syntax *xml.SyntaxError
		if errors.As(err, &syntax) {
			return nil, nil, fmt.Errorf("%s:%d: %s", file, syntax.Line, syntax.Msg)
		}
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	r := &reader{Recipe: &recipe.Recipe{Dir: dir, File: file, Name: strings.ToLower(d.Name)}}
	if base != "" {
		if r.Base.Tarball, err = filepath.Abs(base); err != nil {
			return nil, nil, err
		}
	}
	for _, step := range []func(*description) error{r.choose, r.preferences, r.repositories, r.packages, r.users, r.scripts} {
		if err := step(d); err != nil {
			return nil, r.warnings, fmt.Errorf("%s: %w", file, err)
		}
	}
	return r.Recipe, r.warnings, nil
}

func readText(name string) (string, error) {
	b, err := recipe.ReadFile(name, maxFile+1)
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", name, maxFile)
	}
	return string(b), err
}

// repositories makes a bootstrap of apt's first one, unless there is a base.
func (r *reader) repositories(d *description) error {
	manager := ""
	for _, p := range d.Preferences {
		if p.Manager != "" && r.on(p.Profiles) {
			manager = strings.TrimSpace(p.Manager)
		}
	}
	for _, rep := range d.Repositories {
		if !r.on(rep.Profiles) {
			continue
		}
		apt := manager == "apt" && rep.Distribution != "" && !strings.HasPrefix(rep.Source.Path, "obs:")
		if apt && r.Base.Tarball == "" && r.Base.Bootstrap == "" {
			r.Base.Bootstrap, r.Base.Suite, r.Base.Mirror = "debian", rep.Distribution, rep.Source.Path
			r.Base.Components = strings.Fields(rep.Components)
			continue
		}
		r.warn("the repository %s is not asked", rep.Source.Path)
	}
	if r.Base.Bootstrap == "" && r.Base.Tarball == "" {
		return fmt.Errorf("a bootstrap by %s is not available: give an archive with a root file system by --base", orUnknown(manager))
	}
	return nil
}

func orUnknown(s string) string {
	if s == "" {
		return "an unnamed package manager"
	}
	return s
}

// scripts takes config.sh and images.sh.
func (r *reader) scripts(*description) error {
	for _, name := range []string{"config.sh", "images.sh"} {
		text, err := readText(filepath.Join(r.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, f := range Unknown(text) {
			r.warnings = append(r.warnings, fmt.Sprintf("%s: the function %s is not available, and the bake will fail there", name, f))
		}
		profile := fmt.Sprintf("kiwi_iname=%q\nkiwi_profiles=%q\n", r.Name, strings.Join(r.profiles, ","))
		r.Scripts = append(r.Scripts, recipe.Script{Name: name, Run: wrapper, Prelude: map[string]string{"described": text, "kconfig": functions, "profile": profile}})
	}
	return nil
}

// wrapper runs a script of KIWI's: with the functions where it looks for them, and
// failing if it called one that is not there.
const wrapper = `#!/bin/bash
set -u
cp /run/hearth/kconfig /.kconfig; cp /run/hearth/profile /.profile
status=0
BASH_ENV=/.kconfig bash /run/hearth/described || status=$?
rm -f /.kconfig /.profile
[ ! -e /run/hearth/missing ] || { echo "not available: $(tr '\n' ' ' </run/hearth/missing)" >&2; exit 1; }
exit $status
`

// Unknown lists the functions of KIWI's that a script calls and that are not here.
func Unknown(script string) (list []string) {
	call := regexp.MustCompile(`^\s*((?:suse|base)[A-Z][A-Za-z0-9]*|Rm|Rpm)\b`)
	own := regexp.MustCompile(`(?m)^\s*(?:function\s+)?([A-Za-z0-9_]+)\s*\(\)`)
	known := map[string]bool{}
	for _, m := range own.FindAllStringSubmatch(functions+"\n"+script, -1) {
		known[m[1]] = true
	}
	for l := range strings.Lines(script) {
		if m := call.FindStringSubmatch(l); m != nil && !known[m[1]] && !slices.Contains(list, m[1]) {
			list = append(list, m[1])
		}
	}
	return list
}
