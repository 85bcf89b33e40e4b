package ganeti

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/osdef"
)

// Scripts are those of a definition, by what Ganeti calls them.
func Scripts() []string { return []string{"create", "import", "export", "rename", "verify"} }

// Install makes the folder dir a definition of Ganeti's whose scripts are this
// program. options are handed to each of them. Files that somebody else made there
// are not replaced.
func Install(dir, program string, options, variants []string) error {
	if len(variants) == 0 {
		variants = []string{"default"}
	}
	files := map[string]string{"ganeti_api_version": "20\n15\n10\n", "variants.list": strings.Join(variants, "\n") + "\n", "parameters.list": parameters()}
	for _, s := range Scripts() {
		files[s] = script(program, s, options)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if b, err := os.ReadFile(filepath.Join(dir, "create")); err == nil && !strings.Contains(string(b), mark) {
		return fmt.Errorf("%s has another definition: choose a folder of its own", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for name, text := range files {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		made := filepath.Join(dir, "."+name+".new")
		if err := os.WriteFile(made, []byte(text), mode); err != nil {
			return err
		}
		if err := errors.Join(os.Chmod(made, mode), os.Rename(made, filepath.Join(dir, name))); err != nil {
			return err
		}
	}
	return nil
}

// mark tells our scripts.
const mark = "# Made by 'hearth ganeti install-os'."

func script(program, name string, options []string) string {
	line := "exec " + quote(program) + " ganeti os " + name
	for _, o := range options {
		line += " " + quote(o)
	}
	return "#!/bin/sh\n" + mark + "\n" + line + "\n"
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// parameters are all settings, by their names in lower case: -O image_name=debian-12.
func parameters() string {
	var b strings.Builder
	b.WriteString("image The image's file, in place of the one that the settings name\n")
	for _, s := range (&osdef.Definition{}).List(true) {
		fmt.Fprintf(&b, "%s %s of ganeti-instance-image", strings.ToLower(s.Name), s.Name)
		if s.Value != "" {
			fmt.Fprintf(&b, " (default: %s)", s.Value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Places says where settings are.
type Places struct {
	Definitions osdef.Dir // definitions by the names of variants
	Settings    string    // the file of defaults; one that is not there has none
}

// Definition is that of a variant: the one of this name that is kept, else the
// settings file with the variant's own over it.
func (p Places) Definition(variant string) (*osdef.Definition, error) {
	name := variant
	if name == "" {
		name = "default"
	}
	if p.Definitions != "" {
		if have, err := p.Definitions.Versions(name); err != nil || len(have) > 0 {
			if err != nil {
				return nil, err
			}
			return p.Definitions.Get(name)
		}
	}
	var texts []string
	read := func(path string) error {
		b, err := disk.ReadText(path, maxValue)
		if err == nil {
			texts = append(texts, string(b))
		}
		return err
	}
	if err := read(p.Settings); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	base, err := osdef.Import(name, texts...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Settings, err)
	}
	own := filepath.Join(base.Full().Settings["VARIANTS_DIR"], name+".conf")
	err = read(own)
	switch {
	case errors.Is(err, fs.ErrNotExist) && name == "default":
		return base, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no variant %s: neither a definition of this name nor %s", name, own)
	case err != nil:
		return nil, err
	}
	d, err := osdef.Import(name, texts...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", own, err)
	}
	return d, nil
}
