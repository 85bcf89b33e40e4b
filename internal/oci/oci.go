// Package oci is what all share that speak with registries of OCI: which of them are
// spoken to without TLS, and by whose login.
package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// Host is a registry's name or address without its port.
func Host(registry string) string {
	if host, _, err := net.SplitHostPort(registry); err == nil {
		return host
	}
	return strings.Trim(registry, "[]")
}

// Loopback tells whether a registry is on this machine, where everybody speaks without TLS.
func Loopback(registry string) bool {
	a, err := netip.ParseAddr(Host(registry))
	return Host(registry) == "localhost" || err == nil && a.IsLoopback()
}

// FileLogins reads logins from a file in the form of Docker's config.json (auths). Programs
// that the file names for it are not asked. It is an error if all may read the file. No error
// tells what is in it.
func FileLogins(path string) (auth.CredentialFunc, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the file of logins %s is not there: 'docker login' or 'skopeo login --authfile' makes one", path)
	}
	if err != nil {
		return nil, err
	}
	if st.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("all users of this machine may read the logins in %s: chmod 600 it", path)
	}
	store, err := credentials.NewFileStore(path)
	if err != nil {
		return nil, fmt.Errorf("%s has no logins in the form of Docker's config.json", path)
	}
	return credentials.Credential(store), nil
}

// OneLogin is one for whatever registry asks: of who speaks to one only.
func OneLogin(username, password string) auth.CredentialFunc {
	return func(context.Context, string) (auth.Credential, error) {
		return auth.Credential{Username: username, Password: password}, nil
	}
}

// UserLogins is what the user's own logins are: those of 'docker login', with the programs
// that config.json names for it; none if there is no such file.
func UserLogins() (auth.CredentialFunc, error) {
	if os.Getenv("DOCKER_CONFIG") == "" && os.Getenv("HOME") == "" {
		return nil, nil
	}
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, errors.New("Docker's config.json cannot be read for the logins in it: mend it, or name another folder in DOCKER_CONFIG")
	}
	return credentials.Credential(store), nil
}
