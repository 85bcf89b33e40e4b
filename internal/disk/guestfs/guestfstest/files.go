package guestfstest

import (
	"io/fs"
	"path"
)

// Files is a guest in memory: what its files hold, by their absolute paths. It has
// no folders to list.
type Files map[string]string

// ReadFile gives the whole of a file, however long.
func (f Files) ReadFile(name string, _ int64) ([]byte, error) {
	if s, ok := f[name]; ok {
		return []byte(s), nil
	}
	return nil, fs.ErrNotExist
}

// ReadDir finds nothing.
func (f Files) ReadDir(string) ([]string, error) { return nil, fs.ErrNotExist }

// Glob names the files that a pattern of [path.Match] fits.
func (f Files) Glob(pattern string) (found []string, _ error) {
	for name := range f {
		if ok, _ := path.Match(pattern, name); ok {
			found = append(found, name)
		}
	}
	return found, nil
}
