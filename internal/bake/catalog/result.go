package catalog

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Result is what came of booting an image of the catalog.
type Result struct {
	Entry    string    `json:"entry"`
	URL      string    `json:"url,omitempty"`
	Version  string    `json:"version"`
	Signed   string    `json:"signed,omitempty"` // by whose key it was vouched for
	SHA512   string    `json:"sha512"`           // of what was booted
	At       time.Time `json:"at"`
	Result   string    `json:"result"` // boottest's: pass or fail
	Reason   string    `json:"reason,omitempty"`
	Prompt   string    `json:"prompt,omitempty"` // the login prompt as it was seen on the serial line
	User     string    `json:"user,omitempty"`   // who logged in by ssh
	Seconds  float64   `json:"seconds"`
	Accel    string    `json:"accel"`
	Firmware string    `json:"firmware"`
}

func resultFile(dir, name string) string { return filepath.Join(dir, name, "boot-test.json") }

// keep writes a result down.
func (k *Kitchen) keep(r Result) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := resultFile(k.Dir, r.Entry)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Tested gives the kept result of an entry; nil if it was never tested here.
func Tested(dir, name string) (*Result, error) {
	b, err := os.ReadFile(resultFile(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &Result{}
	return r, json.Unmarshal(b, r)
}

// Said is a result in a few words; those of none are that there is none.
func (r *Result) Said() string {
	switch {
	case r == nil:
		return "never tested here"
	case r.Result != "pass":
		return r.At.Format(time.DateOnly) + " failed: " + r.Reason
	case r.Prompt == "":
		return r.At.Format(time.DateOnly) + " passed, no login prompt on the serial line"
	}
	return r.At.Format(time.DateOnly) + " passed"
}
