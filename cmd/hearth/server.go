package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"hearth/internal/cloud"
	"hearth/internal/config"
	"hearth/internal/service/compute"
)

// newServer is 'hearth server': what people ask of servers beyond nova.
func newServer(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "server", Short: "Install servers from ISO images, log in to them, protect them, make images of them, move their root disks into volumes"}
	var user, identity string
	login := &cobra.Command{
		Use: "ssh NAME-OR-ID [-- COMMAND…]", Short: "Log in by ssh, with the host key that the server showed on its console", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return serverSSH(cmd, cfg, args[0], user, identity, args[1:])
		},
	}
	login.Flags().StringVar(&user, "user", "", "who to log in as; empty: the image's os_admin_user, else ember")
	login.Flags().StringVar(&identity, "identity", "", "file of the private key; empty: as ssh finds it")
	cmd.AddCommand(login, newProtect(cfg, true), newProtect(cfg, false), newRootToVolume(cfg), newServerImage(cfg), newServerCreate(cfg))
	return cmd
}

// computeClient logs in and gives nova.
func computeClient(ctx context.Context, cfg *config.Config) (*gophercloud.ServiceClient, error) {
	provider, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return openstack.NewComputeV2(provider, gophercloud.EndpointOpts{Region: cfg.Region})
}

// newProtect is 'hearth server protect' and 'unprotect': a property that every
// client can set as well.
func newProtect(cfg *config.Config, on bool) *cobra.Command {
	use, short, value := "protect", "Keep a server from being deleted or rebuilt, by anybody, until 'hearth server unprotect'", "true"
	if !on {
		use, short, value = "unprotect", "Let a protected server be deleted and rebuilt again", "false"
	}
	return &cobra.Command{
		Use: use + " NAME-OR-ID", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			nova, err := computeClient(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			server, err := serverNamed(cmd.Context(), nova, args[0])
			if err != nil {
				return err
			}
			_, err = servers.UpdateMetadata(cmd.Context(), nova, server.ID, servers.MetadataOpts{compute.Protected: value}).Extract()
			return err
		},
	}
}

// serverSSH runs ssh with the one host key that may be right.
func serverSSH(cmd *cobra.Command, cfg *config.Config, name, user, identity string, command []string) error {
	ctx := cmd.Context()
	provider, err := dial(ctx, cfg)
	if err != nil {
		return err
	}
	nova, err := openstack.NewComputeV2(provider, gophercloud.EndpointOpts{Region: cfg.Region})
	if err != nil {
		return err
	}
	server, err := serverNamed(ctx, nova, name)
	if err != nil {
		return err
	}
	address := floatingOf(server)
	if address == "" {
		return fmt.Errorf("server %s has no floating IP: give it one with 'openstack floating ip create public' and 'openstack server add floating ip %s ADDRESS'", server.Name, server.ID)
	}
	console, err := servers.ShowConsoleOutput(ctx, nova, server.ID, servers.ShowConsoleOutputOpts{}).Extract()
	if err != nil {
		return err
	}
	key, err := shownKey(ctx, address, hostKeysShown(console))
	if err != nil {
		return fmt.Errorf("server %s at %s: %w", server.Name, address, err)
	}
	if user == "" {
		user = adminOf(ctx, provider, cfg, server)
	}
	return runSSH(cmd, key, address, user, identity, command)
}

// serverNamed finds a server of any project by its id or its name.
func serverNamed(ctx context.Context, compute *gophercloud.ServiceClient, name string) (*servers.Server, error) {
	if cloud.IsID(name) {
		server, err := servers.Get(ctx, compute, name).Extract()
		if err == nil || !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return server, err
		}
	}
	only := servers.ListOpts{Name: "^" + regexp.QuoteMeta(name) + "$", AllTenants: true}
	pages, err := servers.List(compute, only).AllPages(ctx)
	if gophercloud.ResponseCodeIs(err, http.StatusForbidden) { // whoever may not see all sees his own
		only.AllTenants = false
		pages, err = servers.List(compute, only).AllPages(ctx)
	}
	if err != nil {
		return nil, err
	}
	found, err := servers.ExtractServers(pages)
	if err != nil {
		return nil, err
	}
	return the(found, "server", name, func(s servers.Server) string { return s.ID })
}

// floatingOf is a floating IP of a server; "" for none.
func floatingOf(s *servers.Server) string {
	for _, network := range s.Addresses {
		list, _ := network.([]any)
		for _, entry := range list {
			if a, _ := entry.(map[string]any); a["OS-EXT-IPS:type"] == "floating" {
				address, _ := a["addr"].(string)
				return address
			}
		}
	}
	return ""
}

// adminOf is whom the server's image is logged in to as.
func adminOf(ctx context.Context, provider *gophercloud.ProviderClient, cfg *config.Config, s *servers.Server) string {
	id, _ := s.Image["id"].(string)
	glance, err := openstack.NewImageV2(provider, gophercloud.EndpointOpts{Region: cfg.Region})
	if err == nil && id != "" {
		if image, err := images.Get(ctx, glance, id).Extract(); err == nil {
			if user, _ := image.Properties["os_admin_user"].(string); user != "" {
				return user
			}
		}
	}
	return "ember"
}

// runSSH runs ssh, which trusts the key and no other.
func runSSH(cmd *cobra.Command, key ssh.PublicKey, address, user, identity string, command []string) error {
	known, err := os.CreateTemp("", "hearth-known-hosts-")
	if err != nil {
		return err
	}
	defer os.Remove(known.Name())
	_, err = fmt.Fprintln(known, knownhosts.Line([]string{address}, key))
	if err = errors.Join(err, known.Close()); err != nil {
		return err
	}
	args := []string{"-o", "UserKnownHostsFile=" + known.Name(), "-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes", "-o", "HostKeyAlgorithms=" + strings.Join(algorithmsOf(key), ",")}
	if identity != "" {
		args = append(args, "-o", "IdentitiesOnly=yes", "-i", identity)
	}
	run := exec.CommandContext(cmd.Context(), "ssh", append(append(args, user+"@"+address), command...)...)
	run.Stdin, run.Stdout, run.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	err = run.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() > 0 {
		return exitCode(ended.ExitCode())
	}
	return err
}
