package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/external"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"

	"hearth/internal/bake/boottest"
	"hearth/internal/bake/publish"
	"hearth/internal/disk/guestfs"
)

// askEvery is how often the cloud is asked again: its APIs have no way to wait.
const askEvery = time.Second

// poll asks until it is so.
func poll(ctx context.Context, ask func() (bool, error)) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		if over, err := ask(); over || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// wanted is a server that is to be.
type wanted struct {
	name, image, user string
	volume            string // that it gets besides; "" for none
	memory, disk      int    // MB and GB that it needs
}

// cloudGuest is a server that one logs in to.
type cloudGuest struct {
	*site
	id, address, user string
}

// showKeys has a builder show its host keys, whatever sets it up: agents of images that were
// baked by earlier Hearths show those of dropbear only.
const showKeys = `#!/bin/sh
{ echo; echo '-----BEGIN SSH HOST KEY FINGERPRINTS-----'
for f in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -l -f "$f"; done
echo '-----END SSH HOST KEY FINGERPRINTS-----'; } >/dev/console
`

// start makes a server and gives it an address to be reached at.
func (at *site) start(ctx context.Context, c cloudBake, w wanted) (*cloudGuest, error) {
	flavor, err := at.flavor(ctx, c.flavor, w)
	if err != nil {
		return nil, err
	}
	network, public, err := at.networks(ctx, c)
	if err != nil {
		return nil, err
	}
	opts := servers.CreateOpts{Name: w.name, ImageRef: w.image, FlavorRef: flavor, SecurityGroups: []string{at.name}, Networks: []servers.Network{{UUID: network}}}
	if w.volume != "" {
		opts.UserData = []byte(showKeys)
		opts.BlockDevice = []servers.BlockDevice{
			{SourceType: servers.SourceImage, DestinationType: servers.DestinationLocal, UUID: w.image, BootIndex: 0, DeleteOnTermination: true},
			{SourceType: servers.SourceVolume, DestinationType: servers.DestinationVolume, UUID: w.volume, BootIndex: -1},
		}
	}
	s, err := servers.Create(ctx, at.nova, keypairs.CreateOptsExt{CreateOptsBuilder: opts, KeyName: at.name}, nil).Extract()
	if err != nil {
		return nil, refusal(err)
	}
	g := &cloudGuest{site: at, id: s.ID, user: w.user}
	if err := awaitServer(ctx, at.nova, s.ID, "ACTIVE"); err != nil {
		return nil, err
	}
	if public == "" {
		g.address, err = g.fixed(ctx)
		return g, err
	}
	port, err := at.portOf(ctx, s.ID)
	if err != nil {
		return nil, err
	}
	f, err := floatingips.Create(ctx, at.neutron, floatingips.CreateOpts{FloatingNetworkID: public, PortID: port, Description: w.name}).Extract()
	if err != nil {
		return nil, refusal(err)
	}
	g.address = f.FloatingIP
	return g, nil
}

// fixed is an IPv4 address of the server on its network.
func (g *cloudGuest) fixed(ctx context.Context) (string, error) {
	s, err := servers.Get(ctx, g.nova, g.id).Extract()
	if err != nil {
		return "", refusal(err)
	}
	for _, list := range s.Addresses {
		entries, _ := list.([]any)
		for _, e := range entries {
			if a, _ := e.(map[string]any); a["version"] == float64(4) {
				address, _ := a["addr"].(string)
				return address, nil
			}
		}
	}
	return "", fmt.Errorf("server %s has no address", g.id)
}

// flavor finds the one of a name or id, or the smallest that is large enough.
func (at *site) flavor(ctx context.Context, name string, w wanted) (string, error) {
	pages, err := flavors.ListDetail(at.nova, nil).AllPages(ctx)
	if err != nil {
		return "", refusal(err)
	}
	all, err := flavors.ExtractFlavors(pages)
	if err != nil {
		return "", err
	}
	slices.SortFunc(all, func(a, b flavors.Flavor) int { return cmp.Or(a.RAM-b.RAM, a.Disk-b.Disk, -a.VCPUs+b.VCPUs) })
	for _, f := range all {
		if name == f.ID || name == f.Name || name == "" && f.RAM >= w.memory && (f.Disk == 0 || f.Disk >= w.disk) {
			return f.ID, nil
		}
	}
	if name != "" {
		return "", fmt.Errorf("there is no flavor %s", name)
	}
	return "", fmt.Errorf("no flavor has %d MB of memory and %d GB of disk: 'openstack flavor create' makes one", w.memory, w.disk)
}

// networks are the server's and that of its floating IP; "" for none.
func (at *site) networks(ctx context.Context, c cloudBake) (own, public string, err error) {
	yes, no := true, false
	if own, err = at.networkOf(ctx, c.network, "private", &no); err != nil || c.public == "none" {
		return own, "", err
	}
	public, err = at.networkOf(ctx, c.public, "public", &yes)
	return own, public, err
}

func (at *site) networkOf(ctx context.Context, name, usual string, out *bool) (string, error) {
	pages, err := networks.List(at.neutron, external.ListOptsExt{ListOptsBuilder: networks.ListOpts{}, External: out}).AllPages(ctx)
	if err != nil {
		return "", refusal(err)
	}
	all, err := networks.ExtractNetworks(pages)
	if err != nil {
		return "", err
	}
	for _, n := range all {
		if name == n.ID || cmp.Or(name, usual) == n.Name || name == "" && len(all) == 1 {
			return n.ID, nil
		}
	}
	return "", fmt.Errorf("there is no network %s: name the builder's with --network and that of its floating IP with --public", cmp.Or(name, usual))
}

// console is all that the server said on its serial line.
func (g *cloudGuest) console(ctx context.Context) (string, error) {
	text, err := servers.ShowConsoleOutput(ctx, g.nova, g.id, servers.ShowConsoleOutputOpts{}).Extract()
	return text, refusal(err)
}

// login waits until the server lets one in, with a host key that it showed on its console.
func (g *cloudGuest) login(ctx context.Context, patience time.Duration) (*ssh.Client, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the server did not let anybody in in time"))
	defer cancel()
	var client *ssh.Client
	var last error
	err := poll(ctx, func() (bool, error) {
		client, _, last = g.dial(ctx)
		return last == nil, nil
	})
	if err != nil {
		return nil, fmt.Errorf("builder %s: %w (%w)", g.id, err, last)
	}
	return client, nil
}

// dial tries once. The banner is "" if no server answered.
func (g *cloudGuest) dial(ctx context.Context) (*ssh.Client, string, error) {
	said, err := g.console(ctx)
	if err != nil {
		return nil, "", err
	}
	shown := hostKeysShown(said)
	if len(shown) == 0 {
		return nil, "", errors.New("its console shows no host keys")
	}
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", net.JoinHostPort(g.address, "22"))
	if err != nil {
		return nil, "", err
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	seen := ""
	c, channels, requests, err := ssh.NewClientConn(conn, g.address, &ssh.ClientConfig{User: g.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(g.signer)},
		HostKeyCallback: func(_ string, _ net.Addr, k ssh.PublicKey) error {
			seen = "ssh, host key " + ssh.FingerprintSHA256(k)
			if !slices.Contains(shown, ssh.FingerprintSHA256(k)) {
				return errors.New("its host key is none of those that its console showed")
			}
			return nil
		}})
	if err != nil {
		conn.Close()
		return nil, seen, err
	}
	_ = conn.SetDeadline(time.Time{})
	return ssh.NewClient(c, channels, requests), string(c.ServerVersion()), nil
}

// off presses the power button and waits until the server is off.
func (g *cloudGuest) off(ctx context.Context) error {
	if err := servers.Stop(ctx, g.nova, g.id).ExtractErr(); err != nil {
		return refusal(err)
	}
	return awaitServer(ctx, g.nova, g.id, "SHUTOFF")
}

// tested boots the new image as a server of the cloud, writes the reports, and notes the
// result at the image.
func (c cloudBake) tested(cmd *cobra.Command, at *site, id string, set *publish.Set, user, reports string) error {
	ctx, out := cmd.Context(), cmd.ErrOrStderr()
	_, info, err := guestfs.Image(filepath.Join(set.Dir, set.Disk))
	if err != nil {
		return err
	}
	c.flavor = ""
	g, err := at.start(ctx, c, wanted{name: at.name + "-test", image: id, memory: 512, disk: int((info.VirtualSize + 1<<30) >> 30), user: user})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "  boot test as server %s\n", g.id)
	again := time.NewTicker(askEvery)
	defer again.Stop()
	r, err := boottest.Elsewhere{Image: set.Disk, Size: info.VirtualSize, Place: "a server of the cloud", User: user, Address: g.address, Console: g.console, Dial: g.dial, Down: g.off,
		Every: again.C, Timeout: c.patience, Tell: func(s boottest.Stage) { fmt.Fprintf(out, "    %-14s %6.1f s  %.100s\n", s.Name, s.Seconds, s.Text) }}.Test(ctx)
	if err != nil {
		return err
	}
	if err := tellTested(out, r, reports, false); err != nil {
		return err
	}
	image, err := images.Get(ctx, at.up.glance, id).Extract()
	if err != nil {
		return refusal(err)
	}
	digest, _ := image.Properties["os_hash_value"].(string)
	return errors.Join(at.removeServer(ctx, g.id),
		at.up.keep(image, map[string]string{"hearth_boot_test": r.Result, "hearth_boot_test_at": r.Started.Format(time.RFC3339), "hearth_boot_test_digest": digest}))
}

// packedPapers are those of a bake in one archive.
func packedPapers(set *publish.Set, lock string) ([]byte, error) {
	var b bytes.Buffer
	var more []string
	if lock != "" {
		more = append(more, lock)
	}
	err := set.Papers(&b, more...)
	return b.Bytes(), err
}
