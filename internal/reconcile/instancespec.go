package reconcile

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha512"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/service/placement"
	"hearth/internal/store"
)

// seedSetting keeps the secret that the guests' random seeds are made from.
const seedSetting = "guest-random-seed"

// loadSeed reads the secret, or makes it at the first start.
func (k *Housekeeper) loadSeed(ctx context.Context) error {
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		setting, err := tx.Settings.Get(seedSetting)
		if cloud.Is(err, cloud.NotFound) {
			fresh := make([]byte, 32)
			_, _ = rand.Read(fresh)
			setting = store.Setting{Name: seedSetting, Value: hex.EncodeToString(fresh)}
			err = tx.Settings.Insert(setting)
		}
		if err != nil {
			return err
		}
		k.seed, err = hex.DecodeString(setting.Value)
		return err
	})
}

// instanceSpec composes all that a node needs of a server.
func (k *Housekeeper) instanceSpec(ctx context.Context, id string) (spec cloud.InstanceSpec, err error) {
	err = k.Store.View(ctx, func(tx *store.Tx) error {
		s, err := tx.Servers.Get(id)
		if err != nil {
			return err
		}
		ephemeral, swap := s.Locals()
		spec = cloud.InstanceSpec{
			ID: s.ID, Name: s.Name, Hostname: s.Hostname, ProjectID: s.ProjectID, UserID: s.UserID, Intent: s.Intent,
			VCPUs: s.Flavor.VCPUs, MemoryMB: s.Flavor.MemoryMB, RootGB: s.Flavor.RootGB,
			SwapMB: swap, Image: s.Image, Kernel: s.Kernel, Ramdisk: s.Ramdisk, KernelArgs: s.KernelArgs,
			ImageProperties: s.ImageProperties, CDs: s.CDs, ConfigDrive: s.ConfigDrive, Snapshots: s.Snapshots,
		}
		for _, gb := range ephemeral {
			spec.EphemeralGB += gb
		}
		if len(ephemeral) > 1 {
			spec.Ephemeral = ephemeral
		}
		spec.Deploy = s.Deploy
		if s.Shelf != nil && s.Shelf.Offloaded && s.Shelf.Image.ID != "" {
			spec.Image, spec.Deploy = s.Shelf.Image, nil
		}
		if s.RootImage != nil {
			spec.Image, spec.Deploy = *s.RootImage, nil
		}
		if s.Rescue != nil {
			spec.Deploy = nil
			spec.Image, spec.RescueAs = *s.Rescue, s.RescueAs
		}
		spec.Meta = k.instanceMeta(tx, s)
		if err := k.addVolumes(tx, &spec, s); err != nil {
			return err
		}
		if boot := spec.BootVolume(); boot != nil {
			if reimaging(s) {
				boot.Image = &spec.Image
			}
			if boot.NewKeys, err = newKeys(tx, s, boot.VolumeID); err != nil {
				return err
			}
		}
		if spec.Request, err = lastRequest(tx, s.ID); err != nil {
			return err
		}
		return addPorts(tx, &spec, s)
	})
	return spec, err
}

// lastRequest is the id of the request that asked for a server's last action, so
// that one id finds the whole story: API, head, node, hypervisor. "" for none.
func lastRequest(tx *store.Tx, server string) (string, error) {
	last, err := tx.Actions.List(store.Query{
		Where: []store.Cond{store.Eq("server_id", server)}, Order: []store.Order{{Column: "started_at", Desc: true}}, Limit: 1,
	})
	if err != nil || len(last) == 0 {
		return "", err
	}
	return last[0].RequestID, nil
}

// instanceMeta composes what the instance may ask about itself, but its links.
func (k *Housekeeper) instanceMeta(tx *store.Tx, s cloud.Server) cloud.InstanceMeta {
	mac := hmac.New(sha512.New, k.seed)
	mac.Write([]byte(s.ID))
	meta := cloud.InstanceMeta{
		LaunchIndex: s.LaunchIndex, ReservationID: s.ReservationID, AvailabilityZone: s.AvailabilityZone,
		InstanceType: s.Flavor.Name, ImageID: s.ImageID, Metadata: s.Metadata, UserData: s.UserData,
		Files: s.Files, RandomSeed: mac.Sum(nil), CreatedAt: s.CreatedAt,
	}
	if meta.AvailabilityZone == "" {
		meta.AvailabilityZone = k.Zone
		if zone, err := placement.ZoneTx(tx, s.Node); err == nil {
			meta.AvailabilityZone = zone
		}
	}
	if s.Key != nil {
		meta.Keys = []cloud.MetaKey{{Name: s.Key.Name, Type: s.Key.Type, Data: s.Key.PublicKey}}
	}
	return meta
}

// addPorts adds the NICs in the order that the server was given them, with
// their links, the names of their groups and their floating IPs.
func addPorts(tx *store.Tx, spec *cloud.InstanceSpec, s cloud.Server) error {
	ports, err := tx.Ports.List(store.Query{
		Where: []store.Cond{store.Eq("device_id", s.ID)}, Order: []store.Order{{Column: "created_at"}},
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(ports, func(a, b cloud.Port) int { return rank(s.PortOrder, a.ID) - rank(s.PortOrder, b.ID) })
	for _, p := range ports {
		network, err := tx.Networks.Get(p.NetworkID)
		if err != nil {
			return err
		}
		spec.Ports = append(spec.Ports, cloud.InstancePort{ID: p.ID, NetworkID: p.NetworkID, MAC: p.MAC, MTU: network.MTU, Tag: s.NICTags[p.ID]})
		link := cloud.MetaLink{PortID: p.ID, NetworkID: p.NetworkID, MAC: p.MAC, MTU: network.MTU}
		for _, f := range p.FixedIPs {
			address, err := metaAddress(tx, f)
			if err != nil {
				return err
			}
			link.Addresses = append(link.Addresses, address)
		}
		spec.Meta.Links = append(spec.Meta.Links, link)
		if err := addPortMeta(tx, &spec.Meta, p); err != nil {
			return err
		}
	}
	return nil
}

// rank is the place of a port in the order; the unknown come last.
func rank(order []string, id string) int {
	if i := slices.Index(order, id); i >= 0 {
		return i
	}
	return len(order)
}

// metaAddress composes one address with its subnet's settings.
func metaAddress(tx *store.Tx, f cloud.FixedIP) (cloud.MetaAddress, error) {
	s, err := tx.Subnets.Get(f.SubnetID)
	if err != nil {
		return cloud.MetaAddress{}, err
	}
	return cloud.MetaAddress{
		IP: f.IP, Prefix: s.CIDR, Gateway: s.Gateway, DNS: s.DNS, Routes: s.HostRoutes, DHCP: s.EnableDHCP, Mode: s.AddressMode,
	}, nil
}

// addPortMeta adds a port's group names and floating addresses.
func addPortMeta(tx *store.Tx, meta *cloud.InstanceMeta, p cloud.Port) error {
	for _, id := range p.SecurityGroups {
		g, err := tx.SecurityGroups.Get(id)
		if err != nil {
			return unlessGone(err)
		}
		if !slices.Contains(meta.SecurityGroups, g.Name) {
			meta.SecurityGroups = append(meta.SecurityGroups, g.Name)
		}
	}
	slices.SortFunc(meta.SecurityGroups, strings.Compare)
	floating, err := tx.FloatingIPs.List(store.Where(store.Eq("port_id", p.ID)))
	if err != nil {
		return err
	}
	for _, f := range floating {
		meta.FloatingIPs = append(meta.FloatingIPs, f.IP)
	}
	slices.SortFunc(meta.FloatingIPs, netip.Addr.Compare)
	return nil
}
