package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"oras.land/oras-go/v2/registry/remote/auth"

	"hearth/internal/bake/publish"
	"hearth/internal/oci"
)

// passwordVariable is the variable of the environment that has the password to a registry.
const passwordVariable = "HEARTH_REGISTRY_PASSWORD"

// registryFlags are the flags of 'hearth bake publish' for registries.
type registryFlags struct {
	reference, username, passwordFile string
	plain                             bool
}

func (r *registryFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.reference, "registry", "", "HOST[:PORT]/NAME:TAG in a registry of OCI")
	f.BoolVar(&r.plain, "plain-http", false, "for --registry: without TLS, passwords included; loopback addresses always are")
	f.StringVar(&r.username, "username", "", "for --registry: who logs in, in place of docker's config.json")
	f.StringVar(&r.passwordFile, "password-file", "", "for --username: file with the password; without it $"+passwordVariable)
}

// login is who logs in to the registry.
func (r *registryFlags) login() (auth.CredentialFunc, error) {
	if r.username == "" {
		if r.passwordFile != "" {
			return nil, errors.New("a password without a name: say --username too")
		}
		return oci.UserLogins()
	}
	password := os.Getenv(passwordVariable)
	if r.passwordFile != "" {
		b, err := os.ReadFile(r.passwordFile)
		if err != nil {
			return nil, err
		}
		password = strings.TrimRight(string(b), "\r\n")
	}
	if password == "" {
		return nil, fmt.Errorf("%s has no password: name a file with --password-file, or set %s", r.username, passwordVariable)
	}
	return oci.OneLogin(r.username, password), nil
}

// publishRegistry signs and sends.
func publishRegistry(cmd *cobra.Command, set *publish.Set, to registryFlags, keyFile string) error {
	key, err := signingKey(keyFile)
	if err != nil {
		return err
	}
	login, err := to.login()
	if err != nil {
		return err
	}
	sending := func(name string, size int64, r io.Reader) (io.Reader, func()) {
		m := &meter{Reader: r, w: cmd.ErrOrStderr(), name: name, total: size, began: time.Now()}
		return m, m.end
	}
	digest, err := set.ToRegistry(cmd.Context(), publish.Registry{Reference: to.reference, PlainHTTP: to.plain, Login: login, Sending: sending}, key)
	if err == nil {
		fmt.Fprintf(cmd.OutOrStdout(), "registry  %s\ndigest    %s\n", to.reference, digest)
	}
	return err
}
