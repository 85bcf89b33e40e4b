package port

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"hearth/internal/cloud"
)

// The kinds of file, which are folders.
const (
	kindNetwork  = "network"
	kindRouter   = "router"
	kindPassword = "password"
)

// files are the specs on disk, one file each: dir/network/ID.json.
type files struct {
	dir       string
	passwords *sync.Mutex
}

func newFiles(dir string) (files, error) {
	for _, kind := range []string{kindNetwork, kindRouter, kindPassword} {
		if err := os.MkdirAll(filepath.Join(dir, kind), 0o700); err != nil {
			return files{}, err
		}
	}
	return files{dir: dir, passwords: new(sync.Mutex)}, nil
}

func (f files) path(kind, id string) string { return filepath.Join(f.dir, kind, id+".json") }

// save writes a file whole: a crash leaves the old or the new one.
func (f files) save(kind, id string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Join(f.dir, kind), ".new-*")
	if err != nil {
		return err
	}
	_, err = file.Write(raw)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), f.path(kind, id))
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

func (f files) remove(kind, id string) error {
	err := os.Remove(f.path(kind, id))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// loadAll reads every file of a kind. One that cannot be read is reported and
// does not hide the others; what a crash left half written is removed.
func loadAll[T any](f files, kind string, into *[]T) error {
	entries, err := os.ReadDir(filepath.Join(f.dir, kind))
	if err != nil {
		return err
	}
	var failed []error
	for _, e := range entries {
		path := filepath.Join(f.dir, kind, e.Name())
		if strings.HasPrefix(e.Name(), ".new-") {
			failed = append(failed, os.Remove(path))
			continue
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			failed = append(failed, fmt.Errorf("read %s: %w", path, err))
			continue
		}
		*into = append(*into, v)
	}
	return errors.Join(failed...)
}

// Password implements metadata.Passwords.
func (f files) Password(instance string) string {
	if !cloud.IsID(instance) {
		return ""
	}
	raw, err := os.ReadFile(f.path(kindPassword, instance))
	if err != nil {
		return ""
	}
	var password string
	_ = json.Unmarshal(raw, &password)
	return password
}

// SetPassword implements metadata.Passwords.
func (f files) SetPassword(instance, password string) error {
	if err := checkID("port.SetPassword", instance); err != nil {
		return err
	}
	f.passwords.Lock()
	defer f.passwords.Unlock()
	if f.Password(instance) != "" {
		return cloud.E("port.SetPassword", cloud.Conflict, "instance %s has set its password already", instance)
	}
	return f.save(kindPassword, instance, password)
}

// Forget removes what is kept of an instance: its posted password.
func (m *Manager) Forget(instance string) error {
	if err := checkID("port.Forget", instance); err != nil {
		return err
	}
	return m.files.remove(kindPassword, instance)
}

// Password gives the encrypted password that an instance posted; "" for none.
func (m *Manager) Password(instance string) string { return m.files.Password(instance) }
