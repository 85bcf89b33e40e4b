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
	"io"
	"io/fs"
	"os"
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

type description struct {
	XMLName     xml.Name      `xml:"image"`
	Name        string        `xml:"name,attr"`
	Preferences []preferences `xml:"preferences"`
	Users       []struct {
		Group string `xml:"group,attr"`
		Users []user `xml:"user"`
	} `xml:"users"`
	Repositories []struct {
		Type         string `xml:"type,attr"`
		Distribution string `xml:"distribution,attr"`
		Components   string `xml:"components,attr"`
		Source       struct {
			Path string `xml:"path,attr"`
		} `xml:"source"`
	} `xml:"repository"`
	Packages []struct {
		Type     string     `xml:"type,attr"`
		Packages []named    `xml:"package"`
		Archives []named    `xml:"archive"`
		Patterns []named    `xml:"namedCollection"`
		Old      []named    `xml:"opensusePattern"`
		Ignore   []struct{} `xml:"ignore"`
	} `xml:"packages"`
}

type named struct {
	Name string `xml:"name,attr"`
}

type user struct {
	Name     string `xml:"name,attr"`
	Home     string `xml:"home,attr"`
	Groups   string `xml:"groups,attr"`
	Shell    string `xml:"shell,attr"`
	Password string `xml:"password,attr"`
	Old      string `xml:"pwd,attr"`
	Format   string `xml:"pwdformat,attr"`
}

type preferences struct {
	Manager string      `xml:"packagemanager"`
	Types   []imageType `xml:"type"`
}

type imageType struct {
	Image      string `xml:"image,attr"`
	Primary    string `xml:"primary,attr"`
	FileSystem string `xml:"filesystem,attr"`
	Format     string `xml:"format,attr"`
	Loader     string `xml:"bootloader,attr"`
	LoaderPart struct {
		Name string `xml:"name,attr"`
	} `xml:"bootloader"`
	CommandLine string `xml:"kernelcmdline,attr"`
	Firmware    string `xml:"firmware,attr"`
	Size        struct {
		Unit  string `xml:"unit,attr"`
		Value string `xml:",chardata"`
	} `xml:"size"`
}

// reader gathers a recipe.
type reader struct {
	*recipe.Recipe
	warnings []string
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
	for _, step := range []func(*description) error{r.preferences, r.repositories, r.packages, r.users, r.scripts} {
		if err := step(d); err != nil {
			return nil, r.warnings, fmt.Errorf("%s: %w", file, err)
		}
	}
	return r.Recipe, r.warnings, nil
}

func readText(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", name, maxFile)
	}
	return string(b), err
}

// preferences takes the primary type, or the only one.
func (r *reader) preferences(d *description) error {
	var all []imageType
	for _, p := range d.Preferences {
		all = append(all, p.Types...)
	}
	if len(all) == 0 {
		return errors.New("no <type> in <preferences> says what image it is")
	}
	t := all[0]
	for _, o := range all {
		if o.Primary == "true" {
			t = o
		}
	}
	switch t.Image {
	case "vmx", "oem":
		switch t.Format {
		case "qcow2":
			r.Outputs = []string{"qcow2"}
		case "", "raw":
			r.Outputs = []string{"raw"}
		default:
			return fmt.Errorf("the format %s is not made here: bake qcow2 and use hearth image convert", t.Format)
		}
	case "tbz", "tar":
		r.Outputs = []string{"tar"}
	default:
		return fmt.Errorf("images of the type %q are not available; there are vmx, oem, tbz and tar", t.Image)
	}
	if t.FileSystem != "" && t.FileSystem != "ext4" {
		return fmt.Errorf("the file system %s is not available; there is ext4", t.FileSystem)
	}
	r.loader(t.Loader+t.LoaderPart.Name, t.Firmware)
	r.Boot.Arguments = t.CommandLine
	if v := strings.TrimSpace(t.Size.Value); v != "" {
		unit := map[string]string{"": "MiB", "M": "MiB", "G": "GiB"}[t.Size.Unit]
		r.Disk.Size = v + unit
	}
	return nil
}

// repositories makes a bootstrap of apt's first one, unless there is a base.
func (r *reader) repositories(d *description) error {
	manager := ""
	for _, p := range d.Preferences {
		if p.Manager != "" {
			manager = strings.TrimSpace(p.Manager)
		}
	}
	for _, rep := range d.Repositories {
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

func (r *reader) packages(d *description) error {
	for _, p := range d.Packages {
		switch p.Type {
		case "image", "bootstrap", "oem", "vmx":
		default:
			r.warn("packages of the type %q are left out", p.Type)
			continue
		}
		for _, n := range p.Packages {
			if !slices.Contains(r.Packages.Install, n.Name) {
				r.Packages.Install = append(r.Packages.Install, n.Name)
			}
		}
		for _, a := range p.Archives {
			r.Overlay = append(r.Overlay, recipe.Overlay{From: a.Name})
		}
		for _, n := range append(p.Patterns, p.Old...) {
			r.warn("the collection %s is left out: name its packages", n.Name)
		}
	}
	if _, err := os.Stat(filepath.Join(r.Dir, "root")); err == nil {
		r.Overlay = append([]recipe.Overlay{{From: "root"}}, r.Overlay...)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// users puts root last: the first one gets the cloud's keys.
func (r *reader) users(d *description) error {
	var roots []recipe.User
	for _, list := range d.Users {
		for _, u := range list.Users {
			to := recipe.User{Name: u.Name, Shell: u.Shell}
			groups := u.Groups
			if groups == "" && list.Group != "root" {
				groups = list.Group
			}
			to.Groups = strings.FieldsFunc(groups, func(c rune) bool { return c == ',' || c == ' ' })
			switch password := u.Password + u.Old; {
			case password == "":
			case u.Format == "plain":
				r.warn("the password of %s is plain text and is left out: give its hash, as openssl passwd -6 prints it", u.Name)
			default:
				to.PasswordHash = password
			}
			if u.Name == "root" {
				roots = append(roots, to)
			} else {
				r.Users = append(r.Users, to)
			}
		}
	}
	if len(r.Users) == 0 {
		r.Users = []recipe.User{{Preset: "ec2-user"}}
		r.warn("there is no user besides root: ec2-user gets the keys of the cloud")
	}
	r.Users = append(r.Users, roots...)
	return nil
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
		profile := fmt.Sprintf("kiwi_iname=%q\n", r.Name)
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
	call := regexp.MustCompile(`^\s*((?:suse|base|Rm|Debug|Echo)[A-Z][A-Za-z0-9]*)\b`)
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
