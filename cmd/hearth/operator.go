package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"hearth/internal/config"
	"hearth/internal/paths"
)

// credential is the local operator: a user of its own with a random password,
// kept readable by its owner only. Clients of every age take a name and a
// password; glance takes nothing else. The admin's password is kept nowhere.
type credential struct {
	UserID   string `json:"user_id"`
	User     string `json:"username"`
	Password string `json:"password"`
	Project  string `json:"project_name"`
}

// readOperator reads the credential that the first start made.
func readOperator(dir paths.Data) (credential, error) {
	var op credential
	body, err := os.ReadFile(dir.Operator())
	if os.IsNotExist(err) {
		return op, fmt.Errorf("there is no cloud in %s yet: 'hearth up' makes one (or name its directory with --data)", dir)
	}
	if err != nil {
		return op, err
	}
	if err := json.Unmarshal(body, &op); err != nil || op.UserID == "" {
		return op, fmt.Errorf("%s cannot be read: 'hearth auth reset admin' makes it anew", dir.Operator())
	}
	return op, nil
}

// write keeps the credential, whole or not at all.
func (o credential) write(dir paths.Data) error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return writeFile(dir.Operator(), body, 0o600)
}

// writeFile replaces a file in one step, durably.
func writeFile(path string, body []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(body)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// baseURL is where the cloud of this data directory answers: where it runs now,
// else where it is configured to.
func baseURL(cfg *config.Config) string {
	if cfg.URL != "" {
		return strings.TrimSuffix(cfg.URL, "/")
	}
	if body, err := os.ReadFile(cfg.Paths().Address()); err == nil {
		return strings.TrimSpace(string(body))
	}
	return "http://" + cfg.Listen
}
