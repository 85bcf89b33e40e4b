package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/layer3/floatingips"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/security/rules"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/ports"
	"golang.org/x/crypto/ssh"
)

// demoName is what everything of the demo is called.
const demoName = "hearth-demo"

// demoGuest is what the demo made.
type demoGuest struct {
	name, id, imageID, address, keyFile string
	signer                              ssh.Signer
	compute, network                    *gophercloud.ServiceClient
	client                              *ssh.Client
}

// upload registers the baked image in place of an earlier run's.
func (d *demo) upload(ctx context.Context) (string, error) {
	glance, err := imageClient(ctx, d.cfg)
	if err != nil {
		return "", err
	}
	pages, err := images.List(glance, images.ListOpts{Name: "ember"}).AllPages(ctx)
	if err != nil {
		return "", err
	}
	old, err := images.ExtractImages(pages)
	if err != nil {
		return "", err
	}
	for _, i := range old {
		if err := images.Delete(ctx, glance, i.ID).ExtractErr(); err != nil {
			return "", err
		}
	}
	up := uploader{ctx: ctx, glance: glance, progress: d.log}
	d.guest.imageID, err = up.put("ember", "qcow2", d.images.Disk, nil)
	return "image " + d.guest.imageID, err
}

// prepare makes the key pair and a security group with ssh and ping open.
func (d *demo) prepare(ctx context.Context) (string, error) {
	provider, err := dial(ctx, d.cfg)
	if err != nil {
		return "", err
	}
	where := gophercloud.EndpointOpts{Region: d.cfg.Region}
	if d.guest.compute, err = openstack.NewComputeV2(provider, where); err != nil {
		return "", err
	}
	if d.guest.network, err = openstack.NewNetworkV2(provider, where); err != nil {
		return "", err
	}
	if err := d.removeOld(ctx); err != nil {
		return "", err
	}
	public, err := d.makeKey()
	if err != nil {
		return "", err
	}
	if _, err := keypairs.Create(ctx, d.guest.compute, keypairs.CreateOpts{Name: demoName, PublicKey: public}).Extract(); err != nil {
		return "", err
	}
	return d.guest.keyFile, d.openGroup(ctx)
}

// removeOld removes what an earlier run made.
func (d *demo) removeOld(ctx context.Context) error {
	if err := d.removeServers(ctx); err != nil {
		return err
	}
	if err := keypairs.Delete(ctx, d.guest.compute, demoName, nil).ExtractErr(); err != nil && !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
		return err
	}
	pages, err := groups.List(d.guest.network, groups.ListOpts{Name: demoName}).AllPages(ctx)
	if err != nil {
		return err
	}
	old, err := groups.ExtractGroups(pages)
	for _, g := range old {
		err = errors.Join(err, groups.Delete(ctx, d.guest.network, g.ID).ExtractErr())
	}
	return err
}

// removeServers removes servers of the demo and their floating IPs.
func (d *demo) removeServers(ctx context.Context) error {
	pages, err := servers.List(d.guest.compute, servers.ListOpts{Name: "^" + demoName + "$"}).AllPages(ctx)
	if err != nil {
		return err
	}
	old, err := servers.ExtractServers(pages)
	if err != nil {
		return err
	}
	for _, s := range old {
		if err := d.removeFloating(ctx, s.ID); err != nil {
			return err
		}
		if err := servers.Delete(ctx, d.guest.compute, s.ID).ExtractErr(); err != nil {
			return err
		}
		if err := d.awaitGone(ctx, s.ID); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) removeFloating(ctx context.Context, server string) error {
	port, err := d.portOf(ctx, server)
	if err != nil || port == "" {
		return err
	}
	pages, err := floatingips.List(d.guest.network, floatingips.ListOpts{PortID: port}).AllPages(ctx)
	if err != nil {
		return err
	}
	all, err := floatingips.ExtractFloatingIPs(pages)
	for _, f := range all {
		err = errors.Join(err, floatingips.Delete(ctx, d.guest.network, f.ID).ExtractErr())
	}
	return err
}

// makeKey makes an ssh key in the data directory and gives its public half.
func (d *demo) makeKey() (string, error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	if d.guest.signer, err = ssh.NewSignerFromKey(priv); err != nil {
		return "", err
	}
	block, err := ssh.MarshalPrivateKey(priv, demoName)
	if err != nil {
		return "", err
	}
	d.guest.keyFile = filepath.Join(d.cfg.Data, "demo_ed25519")
	if err := writeFile(d.guest.keyFile, pem.EncodeToMemory(block), 0o600); err != nil {
		return "", err
	}
	public, err := ssh.NewPublicKey(pub)
	if err != nil {
		return "", err
	}
	return string(ssh.MarshalAuthorizedKey(public)), os.Chmod(d.guest.keyFile, 0o600)
}

func (d *demo) openGroup(ctx context.Context) error {
	group, err := groups.Create(ctx, d.guest.network, groups.CreateOpts{Name: demoName, Description: "ssh and ping"}).Extract()
	if err != nil {
		return err
	}
	for _, r := range []rules.CreateOpts{
		{Direction: rules.DirIngress, EtherType: rules.EtherType4, Protocol: rules.ProtocolTCP, PortRangeMin: 22, PortRangeMax: 22, SecGroupID: group.ID},
		{Direction: rules.DirIngress, EtherType: rules.EtherType4, Protocol: rules.ProtocolICMP, SecGroupID: group.ID},
	} {
		if _, err := rules.Create(ctx, d.guest.network, r).Extract(); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) create(ctx context.Context) (string, error) {
	flavor, err := d.flavor(ctx, "m1.tiny")
	if err != nil {
		return "", err
	}
	network, err := d.networkID(ctx, "private")
	if err != nil {
		return "", err
	}
	s, err := servers.Create(ctx, d.guest.compute, keypairs.CreateOptsExt{KeyName: demoName, CreateOptsBuilder: servers.CreateOpts{
		Name: demoName, ImageRef: d.guest.imageID, FlavorRef: flavor, SecurityGroups: []string{demoName},
		Networks: []servers.Network{{UUID: network}}, UserData: []byte("#!/bin/sh\necho demo > /tmp/user-data\n"),
	}}, nil).Extract()
	if err != nil {
		return "", err
	}
	d.guest.id, d.guest.name = s.ID, demoName
	if err := servers.WaitForStatus(ctx, d.guest.compute, s.ID, "ACTIVE"); err != nil {
		if now, e := servers.Get(ctx, d.guest.compute, s.ID).Extract(); e == nil && now.Fault.Message != "" {
			return "", errors.New(now.Fault.Message)
		}
		return "", err
	}
	return "server " + s.ID, nil
}

// flavor is the id of the flavor of a name.
func (d *demo) flavor(ctx context.Context, name string) (string, error) {
	pages, err := flavors.ListDetail(d.guest.compute, nil).AllPages(ctx)
	if err != nil {
		return "", err
	}
	all, err := flavors.ExtractFlavors(pages)
	for _, f := range all {
		if f.Name == name {
			return f.ID, nil
		}
	}
	return "", errors.Join(err, fmt.Errorf("there is no flavor %s: 'openstack flavor create' makes it", name))
}

// networkID is the id of the network of a name.
func (d *demo) networkID(ctx context.Context, name string) (string, error) {
	pages, err := networks.List(d.guest.network, networks.ListOpts{Name: name}).AllPages(ctx)
	if err != nil {
		return "", err
	}
	all, err := networks.ExtractNetworks(pages)
	if err != nil || len(all) == 0 {
		return "", errors.Join(err, fmt.Errorf("there is no network %s: 'openstack network create' makes it", name))
	}
	return all[0].ID, nil
}

// portOf is the port of a server; "" when it has none.
func (d *demo) portOf(ctx context.Context, server string) (string, error) {
	pages, err := ports.List(d.guest.network, ports.ListOpts{DeviceID: server}).AllPages(ctx)
	if err != nil {
		return "", err
	}
	all, err := ports.ExtractPorts(pages)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return all[0].ID, nil
}

func (d *demo) float(ctx context.Context) (string, error) {
	public, err := d.networkID(ctx, "public")
	if err != nil {
		return "", err
	}
	port, err := d.portOf(ctx, d.guest.id)
	if err != nil {
		return "", err
	}
	f, err := floatingips.Create(ctx, d.guest.network, floatingips.CreateOpts{FloatingNetworkID: public, PortID: port}).Extract()
	if err != nil {
		return "", err
	}
	d.guest.address = f.FloatingIP
	return f.FloatingIP, nil
}

// awaitGone waits until a server is no more.
func (d *demo) awaitGone(ctx context.Context, id string) error {
	tick := time.NewTicker(200 * time.Millisecond) // the compute API has no way to wait
	defer tick.Stop()
	for {
		_, err := servers.Get(ctx, d.guest.compute, id).Extract()
		if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("server %s is not gone: %w", id, ctx.Err())
		case <-tick.C:
		}
	}
}
