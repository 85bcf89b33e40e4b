package operate

import (
	"context"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Explain tells where everything of a thing is. Kind is server, volume, snapshot,
// image, port or flavor; the name may be an id or, but for snapshots, a name that
// is unique. NotFound, Conflict for a name of several, Invalid for another kind.
func (s *Service) Explain(ctx context.Context, kind, name string) (Explanation, error) {
	const op = "operate.Explain"
	switch kind {
	case "server":
		return s.explainServer(ctx, name)
	case "volume":
		return s.explainVolume(ctx, name)
	case "snapshot":
		return s.explainSnapshot(ctx, name)
	case "image":
		return s.explainImage(ctx, name)
	case "port":
		return s.explainPort(ctx, name)
	case "flavor":
		return s.explainFlavor(ctx, name)
	}
	return Explanation{}, cloud.E(op, cloud.Invalid, "cannot explain a %q: name a server, a volume, a snapshot, an image, a port or a flavor", kind)
}

// find gets a row by its key, or by its name.
func find[T any](t *store.Table[T], name string) (T, error) {
	v, err := t.Get(name)
	if cloud.Is(err, cloud.NotFound) {
		return t.Find(store.Eq("name", name))
	}
	return v, err
}

func (s *Service) explainServer(ctx context.Context, name string) (Explanation, error) {
	var server cloud.Server
	var ports []cloud.Port
	var actions []cloud.ActionRecord
	var disks []use
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		if server, err = find(tx.Servers, name); err != nil {
			return err
		}
		if ports, err = tx.Ports.List(store.Where(store.Eq("device_id", server.ID))); err != nil {
			return err
		}
		if disks, err = usesOf(tx, "server_id", server.ID); err != nil {
			return err
		}
		actions, err = tx.Actions.List(store.Query{Where: []store.Cond{store.Eq("server_id", server.ID)}, Order: []store.Order{{Column: "started_at"}}})
		return err
	})
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{Title: "server " + server.Name + " (" + server.ID + ")"}
	e.sayState(server)
	e.sayRoot(server, disks)
	for _, p := range ports {
		e.say("port", "%s  %s  %s  %s", p.ID, p.MAC, addresses(p), p.Status())
	}
	for _, d := range disks {
		if why := server.Seen.Untaken[d.VolumeID]; why != "" {
			e.say("not taken", "%s: %s", strings.TrimPrefix(d.Device, "/dev/"), why)
		}
	}
	for _, p := range ports {
		if why := server.Seen.Untaken[p.ID]; why != "" {
			e.say("not taken", "port %s: %s", p.ID, why)
		}
	}
	if t := server.Trash; t != nil {
		e.say("trash", "deleted %s, kept until %s: 'hearth trash restore %s' brings it back", moment(t.Since), moment(t.Until), server.ID)
	}
	for _, a := range actions {
		e.say("asked", "%s  %s  by user %s, request %s", moment(a.StartedAt), a.Action, a.UserID, a.RequestID)
	}
	for _, step := range server.Steps {
		outcome := step.Duration.Round(10_000).String()
		if step.Error != "" {
			outcome += ", failed: " + step.Error
		}
		e.say("step", "%s  %-14s %s", moment(step.Start), step.Name, outcome)
	}
	s.askNode(ctx, &e, server.Node, "server", server.ID)
	return e, nil
}

// sayState tells what is wanted, what is seen, and what follows.
func (e *Explanation) sayState(s cloud.Server) {
	e.say("status", "%s (vm_state %s, task %q)", s.Status(), s.VMState(), s.TaskState())
	e.say("wanted", "power %s, generation %d, reboots %d, deleted %v", s.Intent.Power, s.Intent.Generation, s.Intent.Reboots, s.Intent.Deleted)
	e.say("seen", "%s, generation %d, reboots %d, at %s", orNone(string(s.Seen.State)), s.Seen.Generation, s.Seen.Reboots, moment(s.Seen.At))
	if s.Fault != nil {
		e.say("fault", "%s", s.Fault.Message)
	}
	e.say("node", "%s", orNone(s.Node))
}

// sayRoot says plainly what the root disk is, since sizes confuse: either it comes
// from the image and goes with the server, or it is a volume, which stays.
func (e *Explanation) sayRoot(s cloud.Server, disks []use) {
	switch {
	case s.VolumeBoot:
		for _, d := range disks {
			if d.Boot {
				e.say("root disk", "persistent: volume %s, %d GiB; %s", d.volume.ID, d.volume.SizeGB, d.fate())
			}
		}
	case s.Flavor.RootGB == 0:
		e.say("root disk", "ephemeral, %s: flavor %s sets no size, so it has the image's own; it is deleted with the server", size(s.Image.VirtualSize), s.Flavor.Name)
	default:
		e.say("root disk", "ephemeral, %d GiB of flavor %s, filled from image %s; it is deleted with the server", s.Flavor.RootGB, s.Flavor.Name, s.ImageID)
	}
	for _, d := range disks {
		if !d.Boot {
			e.say("volume", "%s (%s), %d GiB, %s as %s; %s", d.volume.Name, d.volume.ID, d.volume.SizeGB, d.State, orNone(d.Device), d.fate())
		}
	}
}

func (s *Service) explainImage(ctx context.Context, name string) (Explanation, error) {
	var image cloud.Image
	var users []cloud.Server
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		if image, err = find(tx.Images, name); err != nil {
			return err
		}
		users, err = tx.Servers.List(store.Where(store.Eq("image_id", image.ID)))
		return err
	})
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{Title: "image " + image.Name + " (" + image.ID + ")"}
	e.say("status", "%s, %s, container %s, disk %s", image.Status, image.Visibility, orNone(image.ContainerFormat), orNone(image.DiskFormat))
	e.say("size", "%s stored, %s as a disk", size(image.Size), size(image.VirtualSize))
	if image.Digest != "" {
		e.say("digest", "%s", image.Digest)
		if path, err := s.blobs.Path(image.Digest); err == nil {
			e.say("file", "%s", path)
		} else {
			e.say("file", "MISSING: %s", cloud.Message(err))
		}
	}
	if image.KernelID() != "" {
		e.say("boots with", "kernel %s, ramdisk %s", image.KernelID(), orNone(image.RamdiskID()))
	}
	for _, u := range users {
		e.say("used by", "server %s (%s) on %s", u.Name, u.ID, orNone(u.Node))
	}
	for _, name := range s.fleet.Names() {
		s.askNode(ctx, &e, name, "image", image.Digest)
	}
	return e, nil
}

func (s *Service) explainPort(ctx context.Context, name string) (Explanation, error) {
	var port cloud.Port
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		port, err = find(tx.Ports, name)
		return err
	})
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{Title: "port " + port.ID}
	e.say("status", "%s, admin state up: %v, port security: %v", port.Status(), port.AdminStateUp, port.PortSecurity)
	e.say("address", "%s  %s", port.MAC, addresses(port))
	e.say("network", "%s", port.NetworkID)
	e.say("device", "%s %s", orNone(port.DeviceOwner), port.DeviceID)
	e.say("groups", "%s", strings.Join(port.SecurityGroups, ", "))
	s.askNode(ctx, &e, port.Host, "port", port.ID)
	return e, nil
}

// askNode adds what the node itself knows. A node that is away is said so.
func (s *Service) askNode(ctx context.Context, e *Explanation, node, kind, id string) {
	if node == "" {
		return
	}
	n, err := s.fleet.Node(node)
	if err != nil {
		e.say("node", "%s", cloud.Message(err))
		return
	}
	facts, err := n.Explain(ctx, kind, id)
	if err != nil {
		if !cloud.Is(err, cloud.NotFound) {
			e.say("node", "%s does not answer: %s", node, cloud.Message(err))
		}
		return
	}
	for _, f := range facts {
		if f.Topic != "timeline" { // the steps were told already, as they were last reported
			e.Facts = append(e.Facts, f)
		}
	}
}
