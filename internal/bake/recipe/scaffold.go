package recipe

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

//go:embed scaffold
var scaffolds embed.FS

// Scaffolds names the recipes to begin with.
func Scaffolds() (list []string) {
	all, _ := scaffolds.ReadDir("scaffold")
	for _, e := range all {
		list = append(list, e.Name())
	}
	return list
}

// Scaffold writes a recipe to begin with into dir, which is made if it lacks. A file
// that is there is an error, and nothing is written then.
func Scaffold(kind, dir string) (files []string, err error) {
	from := path.Join("scaffold", kind)
	if st, err := fs.Stat(scaffolds, from); err != nil || !st.IsDir() || strings.Contains(kind, "/") {
		return nil, fmt.Errorf("there is no recipe %q to begin with; there are %s", kind, strings.Join(Scaffolds(), ", "))
	}
	texts := map[string][]byte{}
	err = fs.WalkDir(scaffolds, from, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		to := filepath.Join(dir, strings.TrimPrefix(name, from+"/"))
		if _, err := os.Lstat(to); err == nil {
			return fmt.Errorf("%s is there already", to)
		}
		files = append(files, to)
		texts[to], err = scaffolds.ReadFile(name)
		return err
	})
	for _, to := range files {
		if err != nil {
			break
		}
		if err = os.MkdirAll(filepath.Dir(to), 0o755); err == nil {
			mode := fs.FileMode(0o644)
			if bytes.HasPrefix(texts[to], []byte("#!")) { // what is embedded has no modes
				mode = 0o755
			}
			err = os.WriteFile(to, texts[to], mode)
		}
	}
	return files, err
}
