package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/rules"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"hearth/internal/config"
)

// builderPrefix is how the names of all begin that a bake makes in the cloud for its own time.
// The host, the process and when that began follow: whoever reads it knows whether its
// maker still lives.
const builderPrefix = "hearth-bake-"

// site is a cloud that is baked in.
type site struct {
	name                  string // of all that this process makes
	host                  string
	nova, neutron, cinder *gophercloud.ServiceClient
	up                    uploader
	out                   io.Writer
	signer                ssh.Signer
}

func newSite(cmd *cobra.Command, cfg *config.Config) (*site, error) {
	provider, err := dialAny(cmd.Context(), cfg)
	if err != nil {
		return nil, err
	}
	at := &site{out: cmd.ErrOrStderr()}
	where := gophercloud.EndpointOpts{Region: regionOf(cfg)}
	var failed [4]error
	at.nova, failed[0] = openstack.NewComputeV2(provider, where)
	at.neutron, failed[1] = openstack.NewNetworkV2(provider, where)
	at.cinder, failed[2] = openstack.NewBlockStorageV3(provider, where)
	at.up.glance, failed[3] = openstack.NewImageV2(provider, where)
	at.up.ctx, at.up.progress = cmd.Context(), at.out
	if err := errors.Join(failed[:]...); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	at.host = regexp.MustCompile(`[^a-zA-Z0-9]+`).ReplaceAllString(host, "")
	at.name = fmt.Sprintf("%s%s-%d-%s", builderPrefix, at.host, os.Getpid(), processBegan(os.Getpid()))
	return at, nil
}

func (at *site) say(format string, args ...any) {
	fmt.Fprintf(at.out, "  "+format+"\n", args...)
}

// processBegan is when a process began, in ticks since the host did; "" if there is none.
func processBegan(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	if f := strings.Fields(rest); len(f) > 19 {
		return f[19]
	}
	return ""
}

// madeBy takes a name apart into that of all that one bake made, and tells whether the
// bake was of this host and its process is no more.
func madeBy(name, host string, began func(pid int) string) (whose string, dead bool) {
	rest, ok := strings.CutPrefix(name, builderPrefix)
	f := strings.Split(rest, "-")
	if !ok || len(f) < 3 || f[0] != host {
		return "", false
	}
	pid, err := strconv.Atoi(f[1])
	if err != nil {
		return "", false
	}
	return builderPrefix + strings.Join(f[:3], "-"), began(pid) != f[2]
}

// sweep takes away what bakes of this host left that were killed.
func (at *site) sweep(ctx context.Context) error {
	var names []string
	servers, err := at.servers(ctx, builderPrefix)
	if err != nil {
		return err
	}
	for _, s := range servers {
		names = append(names, s.Name)
	}
	pages, err := keypairs.List(at.nova, nil).AllPages(ctx)
	if err != nil {
		return refusal(err)
	}
	keys, err := keypairs.ExtractKeyPairs(pages)
	if err != nil {
		return err
	}
	for _, k := range keys {
		names = append(names, k.Name)
	}
	all, err := at.groups(ctx)
	for _, g := range all {
		names = append(names, g.Name)
	}
	var left []string
	for _, n := range names {
		if whose, dead := madeBy(n, at.host, processBegan); dead && !slices.Contains(left, whose) {
			left = append(left, whose)
		}
	}
	for _, whose := range left {
		at.say("an earlier bake was killed: what it left (%s) is taken away", whose)
		err = errors.Join(err, at.takeAway(ctx, whose))
	}
	return err
}

func (at *site) servers(ctx context.Context, prefix string) ([]servers.Server, error) {
	pages, err := servers.List(at.nova, servers.ListOpts{Name: "^" + regexp.QuoteMeta(prefix)}).AllPages(ctx)
	if err != nil {
		return nil, refusal(err)
	}
	return servers.ExtractServers(pages)
}

func (at *site) groups(ctx context.Context) ([]groups.SecGroup, error) {
	pages, err := groups.List(at.neutron, groups.ListOpts{}).AllPages(ctx)
	if err != nil {
		return nil, refusal(err)
	}
	return groups.ExtractGroups(pages)
}

// takeAway removes all that a bake made for its own time.
func (at *site) takeAway(ctx context.Context, whose string) error {
	list, err := at.servers(ctx, whose)
	for _, s := range list {
		err = errors.Join(err, at.removeServer(ctx, s.ID))
	}
	if failed := keypairs.Delete(ctx, at.nova, whose, nil).ExtractErr(); !gophercloud.ResponseCodeIs(failed, http.StatusNotFound) {
		err = errors.Join(err, refusal(failed))
	}
	all, failed := at.groups(ctx)
	err = errors.Join(err, failed)
	for _, g := range all {
		if g.Name == whose {
			err = errors.Join(err, refusal(groups.Delete(ctx, at.neutron, g.ID).ExtractErr()))
		}
	}
	return err
}

// removeServer removes a server with its floating IP, and waits until it is gone.
func (at *site) removeServer(ctx context.Context, id string) error {
	port, err := at.portOf(ctx, id)
	if err == nil && port != "" {
		pages, failed := floatingips.List(at.neutron, floatingips.ListOpts{PortID: port}).AllPages(ctx)
		if failed == nil {
			all, _ := floatingips.ExtractFloatingIPs(pages)
			for _, f := range all {
				err = errors.Join(err, refusal(floatingips.Delete(ctx, at.neutron, f.ID).ExtractErr()))
			}
		}
	}
	failed := servers.Delete(ctx, at.nova, id).ExtractErr()
	if gophercloud.ResponseCodeIs(failed, http.StatusNotFound) {
		return err
	}
	if failed != nil {
		return errors.Join(err, refusal(failed))
	}
	return errors.Join(err, poll(ctx, func() (bool, error) {
		_, failed := servers.Get(ctx, at.nova, id).Extract()
		if gophercloud.ResponseCodeIs(failed, http.StatusNotFound) {
			return true, nil
		}
		return false, failed
	}))
}

func (at *site) removeImage(ctx context.Context, id string) error {
	return refusal(images.Delete(ctx, at.up.glance, id).ExtractErr())
}

// portOf is the first port of a server; "" when it has none.
func (at *site) portOf(ctx context.Context, server string) (string, error) {
	pages, err := ports.List(at.neutron, ports.ListOpts{DeviceID: server}).AllPages(ctx)
	if err != nil {
		return "", refusal(err)
	}
	all, err := ports.ExtractPorts(pages)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return all[0].ID, nil
}

// prepare makes the key, which nothing but this process has, and a group with ssh open.
func (at *site) prepare(ctx context.Context) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if at.signer, err = ssh.NewSignerFromKey(private); err != nil {
		return err
	}
	authorized, err := ssh.NewPublicKey(public)
	if err != nil {
		return err
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(authorized)))
	if _, err := keypairs.Create(ctx, at.nova, keypairs.CreateOpts{Name: at.name, PublicKey: line}).Extract(); err != nil {
		return refusal(err)
	}
	group, err := groups.Create(ctx, at.neutron, groups.CreateOpts{Name: at.name, Description: "ssh to a builder of hearth bake"}).Extract()
	if err != nil {
		return refusal(err)
	}
	_, err = rules.Create(ctx, at.neutron, rules.CreateOpts{Direction: rules.DirIngress, EtherType: rules.EtherType4, Protocol: rules.ProtocolTCP, PortRangeMin: 22, PortRangeMax: 22, SecGroupID: group.ID}).Extract()
	return refusal(err)
}

// cache finds the volume that stays, or makes it.
func (at *site) cache(ctx context.Context, name string, size int) (string, error) {
	pages, err := volumes.List(at.cinder, volumes.ListOpts{Name: name}).AllPages(ctx)
	if err != nil {
		return "", refusal(err)
	}
	list, err := volumes.ExtractVolumes(pages)
	if err != nil {
		return "", err
	}
	if v, err := volumes.Get(ctx, at.cinder, name).Extract(); len(list) == 0 && err == nil {
		list = append(list, *v)
	}
	switch {
	case len(list) > 1:
		return "", fmt.Errorf("%d volumes are called %s: give the id of one with --cache-volume", len(list), name)
	case len(list) == 1 && list[0].Status == "in-use":
		return "", fmt.Errorf("the cache volume %s is attached to a server: another bake is under way with it; wait for its end, or name another with --cache-volume", name)
	case len(list) == 1:
		return list[0].ID, at.available(ctx, list[0].ID)
	}
	v, err := volumes.Create(ctx, at.cinder, volumes.CreateOpts{Name: name, Size: size, Description: "layers and packages of hearth bake"}, nil).Extract()
	if err != nil {
		return "", refusal(err)
	}
	return v.ID, at.available(ctx, v.ID)
}

func (at *site) available(ctx context.Context, volume string) error {
	return poll(ctx, func() (bool, error) {
		v, err := volumes.Get(ctx, at.cinder, volume).Extract()
		if err != nil {
			return false, refusal(err)
		}
		if strings.HasPrefix(v.Status, "error") {
			return false, fmt.Errorf("the cache volume %s is in status %s", volume, v.Status)
		}
		return v.Status == "available", nil
	})
}
