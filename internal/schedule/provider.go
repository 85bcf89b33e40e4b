package schedule

import (
	"maps"
	"slices"
	"strings"

	"hearth/internal/cloud"
)

// Provider is a resource provider with what is claimed of it.
type Provider struct {
	cloud.ResourceProvider
	Root string         // id of the provider at the top of its tree
	Used map[string]int // by class
	Host string         // the name of the host that it is; "" for one that clients made
}

// World is what beside hosts and servers bears on where a server goes.
type World struct {
	Aggregates []cloud.Aggregate
	Groups     []cloud.ServerGroup
	Providers  []cloud.ResourceProvider // rows: what clients of placement said
	Consumers  []cloud.Consumer
	Servers    []cloud.Server // those that are placed, for their claims
}

// Know adds the world to a snapshot.
func (f *Fleet) Know(w World) {
	f.Aggregates, f.Groups = w.Aggregates, map[string]cloud.ServerGroup{}
	for _, g := range w.Groups {
		f.Groups[g.ID] = g
	}
	rows := map[string]cloud.ResourceProvider{}
	for _, p := range w.Providers {
		rows[p.ID] = p
	}
	for i := range f.Hosts {
		h := &f.Hosts[i]
		h.Aggregates = cloud.AggregatesOf(h.Name, w.Aggregates)
		h.AvailabilityZone = cloud.ZoneOf(h.Host, h.Aggregates)
		h.Said = rows[h.ID]
	}
	used := map[string]map[string]int{}
	claim := func(c cloud.Claim) {
		if used[c.ProviderID] == nil {
			used[c.ProviderID] = map[string]int{}
		}
		used[c.ProviderID][c.Class] += c.Amount
	}
	for _, c := range w.Consumers {
		for _, one := range c.Claims {
			claim(one)
		}
	}
	for i := range f.Hosts { // before the servers are counted: these are the clients' alone
		u := used[f.Hosts[i].ID]
		f.Hosts[i].Claimed = Size{u[cloud.ClassVCPU], u[cloud.ClassMemory], u[cloud.ClassDisk]}
	}
	ids := f.hostIDs()
	for _, s := range w.Servers {
		for _, c := range ClaimsOf(s, ids[s.Node]) {
			claim(c)
		}
	}
	f.provide(w.Providers, used)
}

func (f *Fleet) hostIDs() map[string]string {
	ids := map[string]string{}
	for _, h := range f.Hosts {
		ids[h.Name] = h.ID
	}
	return ids
}

// provide makes the list of providers: hosts first.
func (f *Fleet) provide(rows []cloud.ResourceProvider, used map[string]map[string]int) {
	f.Providers = nil
	own := map[string]bool{}
	for _, h := range f.Hosts {
		own[h.ID] = true
		p := h.Said
		p.ID, p.Name, p.Inventories, p.Traits = h.ID, h.Name, f.inventories(h), traitsOf(h)
		p.Aggregates = slices.Clone(h.Said.Aggregates)
		for _, a := range h.Aggregates {
			if !slices.Contains(p.Aggregates, a.UUID) {
				p.Aggregates = append(p.Aggregates, a.UUID)
			}
		}
		if p.CreatedAt.IsZero() {
			p.CreatedAt, p.UpdatedAt = h.CreatedAt, h.CreatedAt
		}
		f.Providers = append(f.Providers, Provider{ResourceProvider: p, Used: used[p.ID], Host: h.Name})
	}
	for _, p := range rows {
		if !own[p.ID] {
			f.Providers = append(f.Providers, Provider{ResourceProvider: p, Used: used[p.ID]})
		}
	}
	parents := map[string]string{}
	for _, p := range f.Providers {
		parents[p.ID] = p.ParentID
	}
	for i := range f.Providers {
		f.Providers[i].Root = rootOf(f.Providers[i].ID, parents)
	}
}

// rootOf climbs to the top of a tree; a tree has no more levels than providers.
func rootOf(id string, parents map[string]string) string {
	for range parents {
		up, ok := parents[id]
		if _, there := parents[up]; !ok || up == "" || !there {
			return id
		}
		id = up
	}
	return id
}

// inventories are what a host has: as it reports, by the operator's ratios; what
// clients of placement said of it adds to that, but never to what there is.
func (f Fleet) inventories(h Host) map[string]cloud.Inventory {
	out := map[string]cloud.Inventory{
		cloud.ClassVCPU:   whole(h.Seen.VCPUs, 0, f.Ratios.CPU),
		cloud.ClassMemory: whole(h.Seen.MemoryMB, h.Seen.ReservedMB, f.Ratios.Memory),
		cloud.ClassDisk:   whole(h.Seen.DiskGB, 0, f.Ratios.Disk),
	}
	for class, said := range h.Said.Inventories {
		if seen, ok := out[class]; ok {
			said.Total, said.MaxUnit, said.Reserved = seen.Total, min(said.MaxUnit, seen.Total), max(said.Reserved, seen.Reserved)
		}
		out[class] = said
	}
	maps.DeleteFunc(out, func(_ string, i cloud.Inventory) bool { return i.Total < 1 })
	return out
}

// whole is an inventory of which all may be claimed at once.
func whole(total, reserved int, ratio float64) cloud.Inventory {
	if ratio == 0 {
		ratio = 1
	}
	return cloud.Inventory{Total: total, Reserved: min(reserved, total), MinUnit: 1, MaxUnit: total, StepSize: 1, Ratio: ratio}
}

// traitsOf are the traits of a host: what Hearth's nodes can, what it reports,
// and what clients of placement said.
func traitsOf(h Host) []string {
	traits := []string{"COMPUTE_NODE", "COMPUTE_IMAGE_TYPE_RAW", "COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_AMI",
		"COMPUTE_IMAGE_TYPE_AKI", "COMPUTE_IMAGE_TYPE_ARI", "COMPUTE_NET_ATTACH_INTERFACE", "COMPUTE_NET_VIF_MODEL_VIRTIO"}
	if arch, ok := map[string]string{"x86_64": "HW_ARCH_X86_64", "aarch64": "HW_ARCH_AARCH64"}[h.Seen.CPUArch]; ok {
		traits = append(traits, arch)
	}
	if h.Disabled || h.Draining {
		traits = append(traits, "COMPUTE_STATUS_DISABLED")
	}
	for _, t := range h.Said.Traits {
		if !slices.Contains(traits, t) && t != "COMPUTE_STATUS_DISABLED" {
			traits = append(traits, t)
		}
	}
	slices.Sort(traits)
	return traits
}

// ClaimsOf is what a placed server takes: processors, memory and disk of its host,
// and what else its flavor asked for.
func ClaimsOf(s cloud.Server, hostID string) []cloud.Claim {
	if s.Node == "" || hostID == "" {
		return nil
	}
	size := SizeOf(s)
	out := make([]cloud.Claim, 0, 3+len(s.Claims))
	for _, c := range []cloud.Claim{{ProviderID: hostID, Class: cloud.ClassVCPU, Amount: size.VCPUs}, {ProviderID: hostID, Class: cloud.ClassMemory, Amount: size.MemoryMB}, {ProviderID: hostID, Class: cloud.ClassDisk, Amount: size.DiskGB}} {
		if c.Amount > 0 {
			out = append(out, c)
		}
	}
	return append(out, s.Claims...)
}

// Room is how much of a class a provider still has.
func (p Provider) Room(class string) int {
	return p.Inventories[class].Capacity() - p.Used[class]
}

// Fits is why an amount of a class cannot be claimed of the provider; "" when it
// can.
func (p Provider) Fits(class string, amount int) string {
	inv, ok := p.Inventories[class]
	switch {
	case !ok:
		return "has no " + class
	case amount < inv.MinUnit || amount > inv.MaxUnit || inv.StepSize > 0 && amount%inv.StepSize != 0:
		return "gives " + class + " in other amounts"
	}
	return lacks(amount, p.Room(class), class)
}

// Shares tells whether the provider's resources are for all that are in one of its
// aggregates.
func (p Provider) Shares() bool { return slices.Contains(p.Traits, "MISC_SHARES_VIA_AGGREGATE") }

// resources refuses a host whose providers do not have what the flavor's extra
// specs ask for with "resources:" and "trait:".
func resources(f Fleet, h Host, r Request) string {
	_, why := f.claims(h, r)
	return why
}

// claims finds what the flavor's extra specs ask for beside processors, memory and
// disk, among the providers of a host.
func (f Fleet) claims(h Host, r Request) (list []cloud.Claim, why string) {
	ask, err := AskOf(r.Specs)
	switch {
	case err != nil:
		return nil, "cannot be asked for the flavor's resources: " + err.Error()
	case ask.empty():
		return nil, ""
	}
	found := Candidates(f.treeOf(h), ask, 1)
	if len(found) == 0 {
		return nil, "does not have " + ask.String()
	}
	return found[0].Claims, ""
}

// treeOf are the providers of a host with those that share with it.
func (f Fleet) treeOf(h Host) (out []Provider) {
	var aggregates []string
	for _, p := range f.Providers {
		if p.Root == h.ID {
			out = append(out, p)
			aggregates = append(aggregates, p.Aggregates...)
		}
	}
	for _, p := range f.Providers {
		if p.Root != h.ID && p.Shares() && slices.ContainsFunc(p.Aggregates, func(a string) bool { return slices.Contains(aggregates, a) }) {
			out = append(out, p)
		}
	}
	return out
}

// standard tells whether a class is counted by the size of a server.
func standard(class string) bool {
	return class == cloud.ClassVCPU || class == cloud.ClassMemory || class == cloud.ClassDisk
}

// suffixOf splits "resources1" into its word and its suffix.
func suffixOf(scope, word string) (string, bool) {
	suffix, ok := strings.CutPrefix(scope, word)
	return strings.TrimPrefix(suffix, "_"), ok
}

// HostOf finds a host by name.
func (f Fleet) HostOf(name string) (Host, bool) {
	for _, h := range f.Hosts {
		if h.Name == name {
			return h, true
		}
	}
	return Host{}, false
}

// Gives tells whether a provider by itself fulfils a group.
func (p Provider) Gives(g Group) bool {
	if !p.usable(g) || !p.traits(g.Required) {
		return false
	}
	for class, n := range g.Resources {
		if p.Fits(class, n) != "" {
			return false
		}
	}
	return true
}
