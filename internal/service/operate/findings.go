package operate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Findings looks for what is left over or missing: rows that point nowhere,
// instances that nobody wants, bytes that no image has, leftovers on nodes. A
// cloud at rest has none, also after crashes.
func (s *Service) Findings(ctx context.Context) ([]string, error) {
	digests, err := s.blobs.Digests(ctx)
	if err != nil {
		return nil, err
	}
	var found []string
	servers, disks := map[string]cloud.Server{}, map[string]bool{}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		found = found[:0]
		f := finder{tx: tx, found: &found, servers: servers, disks: disks}
		return f.all(digests)
	})
	if err != nil {
		return nil, err
	}
	for _, name := range s.fleet.Names() {
		more, err := s.findingsOn(ctx, name, servers, disks)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	slices.Sort(found)
	return found, nil
}

// findingsOn compares a node's instances with the servers placed there, and its
// disks with the volumes.
func (s *Service) findingsOn(ctx context.Context, name string, servers map[string]cloud.Server, disks map[string]bool) (found []string, err error) {
	n, err := s.fleet.Node(name)
	if err != nil {
		return nil, err
	}
	have, err := n.Instances(ctx)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, i := range have {
		seen[i.ID] = true
		if server, ok := servers[i.ID]; !ok || server.Node != name {
			found = append(found, fmt.Sprintf("node %s has instance %s (%s) that belongs to no server there", name, i.ID, i.State))
		}
	}
	for id, server := range servers {
		if server.Node == name && !seen[id] && server.Settled() && server.Fault == nil {
			found = append(found, fmt.Sprintf("server %s is placed on node %s, which does not know it", id, name))
		}
	}
	volumes, err := n.Volumes(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range volumes {
		if !disks[v.ID] {
			found = append(found, fmt.Sprintf("node %s has the disk %s of no volume or snapshot: take it in with 'cinder manage', or remove it", name, v.Path))
		}
	}
	more, err := s.exportsOn(ctx, n, name)
	if err != nil {
		return nil, err
	}
	found = append(found, more...)
	leftovers, err := n.Findings(ctx)
	for _, l := range leftovers {
		found = append(found, fmt.Sprintf("node %s: %s", name, l))
	}
	return found, err
}

// finder reads the store once.
type finder struct {
	tx      *store.Tx
	found   *[]string
	servers map[string]cloud.Server
	disks   map[string]bool // of volumes and snapshots
}

func (f *finder) say(format string, args ...any) {
	*f.found = append(*f.found, fmt.Sprintf(format, args...))
}

func (f *finder) all(digests []string) error {
	for _, check := range []func() error{f.findServers, f.findPorts, f.findAllocations, f.findFloating, f.findRules, f.findVolumes} {
		if err := check(); err != nil {
			return err
		}
	}
	return f.findImages(digests)
}

func (f *finder) findServers() error {
	servers, err := f.tx.Servers.List(store.Query{})
	for _, s := range servers {
		f.servers[s.ID] = s
		if s.Fault == nil && !s.Settled() && s.NextAttemptAt.IsZero() && s.Node == "" {
			f.say("server %s wants something done and nothing is due", s.ID)
		}
	}
	return err
}

func (f *finder) findPorts() error {
	ports, err := f.tx.Ports.List(store.Query{})
	if err != nil {
		return err
	}
	for _, p := range ports {
		if strings.HasPrefix(p.DeviceOwner, cloud.OwnerComputePrefix) && f.servers[p.DeviceID].ID == "" {
			f.say("port %s belongs to server %s, which does not exist", p.ID, p.DeviceID)
		}
		if _, err := f.tx.Networks.Get(p.NetworkID); cloud.Is(err, cloud.NotFound) {
			f.say("port %s is on network %s, which does not exist", p.ID, p.NetworkID)
		}
		for _, ip := range p.FixedIPs {
			a, err := f.tx.Allocations.Get(cloud.IPAllocation{SubnetID: ip.SubnetID, IP: ip.IP}.Key())
			if cloud.Is(err, cloud.NotFound) || err == nil && a.PortID != p.ID {
				f.say("port %s has address %s, which is not allocated to it", p.ID, ip.IP)
			}
		}
	}
	return nil
}

func (f *finder) findAllocations() error {
	all, err := f.tx.Allocations.List(store.Query{})
	for _, a := range all {
		if _, err := f.tx.Ports.Get(a.PortID); cloud.Is(err, cloud.NotFound) {
			f.say("address %s of subnet %s is allocated to port %s, which does not exist", a.IP, a.SubnetID, a.PortID)
		}
	}
	return err
}

func (f *finder) findFloating() error {
	all, err := f.tx.FloatingIPs.List(store.Query{})
	for _, ip := range all {
		for _, port := range []string{ip.PortID, ip.OwnPortID} {
			if port == "" {
				continue
			}
			if _, err := f.tx.Ports.Get(port); cloud.Is(err, cloud.NotFound) {
				f.say("floating IP %s points to port %s, which does not exist", ip.IP, port)
			}
		}
	}
	return err
}

func (f *finder) findRules() error {
	all, err := f.tx.SecurityRules.List(store.Query{})
	for _, r := range all {
		if _, err := f.tx.SecurityGroups.Get(r.GroupID); cloud.Is(err, cloud.NotFound) {
			f.say("security group rule %s is of group %s, which does not exist", r.ID, r.GroupID)
		}
	}
	return err
}

// findVolumes looks at volumes and snapshots that wait for nothing, and at
// attachments of what is not there.
func (f *finder) findVolumes() error {
	volumes, err := f.tx.Volumes.List(store.Query{})
	if err != nil {
		return err
	}
	volumeIDs := map[string]bool{}
	for _, v := range volumes {
		volumeIDs[v.ID] = true
		for _, disk := range v.Disks() {
			f.disks[disk] = true
		}
		if v.NextAttemptAt.IsZero() && v.Fault == "" && (v.Deleted || !v.Seen.Ready) {
			f.say("volume %s wants something done and nothing is due", v.ID)
		}
	}
	snapshots, err := f.tx.Snapshots.List(store.Query{})
	if err != nil {
		return err
	}
	for _, s := range snapshots {
		f.disks[s.Disk()] = true
		if s.NextAttemptAt.IsZero() && s.Fault == "" && (s.Deleted || !s.Seen.Ready) {
			f.say("snapshot %s wants something done and nothing is due", s.ID)
		}
	}
	attachments, err := f.tx.VolumeAttachments.List(store.Query{})
	for _, a := range attachments {
		if !volumeIDs[a.VolumeID] {
			f.say("attachment %s is of volume %s, which does not exist", a.ID, a.VolumeID)
		}
		if a.Plug && f.servers[a.ServerID].ID == "" {
			f.say("attachment %s is to server %s, which does not exist", a.ID, a.ServerID)
		}
	}
	return err
}

func (f *finder) findImages(digests []string) error {
	images, err := f.tx.Images.List(store.Query{})
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, i := range images {
		if i.Digest == "" {
			continue
		}
		wanted[i.Digest] = true
		if !slices.Contains(digests, i.Digest) {
			f.say("image %s has lost its data (%s)", i.ID, i.Digest)
		}
		if i.Made != nil {
			wanted[i.Made.Digest] = true
			if !slices.Contains(digests, i.Made.Digest) {
				f.say("image %s has lost the disk that was made of it (%s)", i.ID, i.Made.Digest)
			}
		}
	}
	for _, d := range digests {
		if !wanted[d] {
			f.say("data %s belongs to no image", d)
		}
	}
	return nil
}
