package recipe

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/disk/inspect/words"
)

// guestModules are those that recipes for virtual machines name, and what they
// are called for. A name that is close to one and none itself is a slip: the kernel's
// own list is known only after the bake, when `hearth image lint` looks at it.
var guestModules = []string{"virtio", "virtio_pci", "virtio_blk", "virtio_net", "virtio_scsi", "virtio_balloon", "virtio_rng", "virtio_console",
	"virtio_mmio", "virtio_ring", "virtio_gpu", "virtio_input", "virtio_crypto", "virtio_mem", "virtio_fs", "virtiofs", "acpiphp", "pci_hotplug", "shpchp", "nvme", "ahci", "xen_blkfront", "xen_netfront",
	"hv_netvsc", "hv_storvsc", "vmw_pvscsi", "vmxnet3", "ena", "e1000", "e1000e", "ixgbevf", "nbd", "loop", "dm_mod", "br_netfilter", "overlay", "fuse", "tun", "bridge", "bonding", "8021q", "isofs", "button", "evdev"}

// moduleNames looks into the overlays' lists of modules.
func (c *checker) moduleNames() {
	for i, o := range c.Overlay {
		base := c.Path(o.From)
		lists := []string{"etc/modules", "etc/initramfs-tools/modules"}
		more, _ := filepath.Glob(filepath.Join(base, "etc/modules-load.d/*.conf"))
		for _, m := range more {
			if rel, err := filepath.Rel(base, m); err == nil {
				lists = append(lists, rel)
			}
		}
		for _, name := range lists {
			b, err := ReadFile(filepath.Join(base, name), maxRecipe)
			if err != nil {
				continue
			}
			for _, module := range moduleLines(string(b)) {
				if meant := MisspeltModule(module); meant != "" {
					c.say(Warning, fmt.Sprintf("overlay[%d].from", i), "%s in %s loads %s, which no kernel has; did you mean %s?", name, o.From, module, meant)
				}
			}
		}
	}
	for i, s := range c.Scripts {
		text := s.Run
		if s.File != "" {
			b, _ := ReadFile(c.Path(s.File), maxRecipe)
			text = string(b)
		}
		for _, module := range echoedModules(text) {
			if meant := MisspeltModule(module); meant != "" {
				c.say(Warning, fmt.Sprintf("scripts[%d]", i), "the script has %s loaded, which no kernel has; did you mean %s?", module, meant)
			}
		}
	}
}

func moduleLines(text string) (list []string) {
	for l := range strings.Lines(text) {
		l, _, _ = strings.Cut(l, "#")
		if f := strings.Fields(l); len(f) > 0 {
			list = append(list, f[0])
		}
	}
	return list
}

// echoedModules finds lines such as `echo virtio_balloon >> /etc/modules` and
// `modprobe virtio_balloon`.
func echoedModules(script string) (list []string) {
	for l := range strings.Lines(script) {
		f := strings.Fields(l)
		for i, w := range f {
			w = strings.Trim(w, `"'`)
			switch {
			case i > 0 && f[0] == "modprobe" && !strings.HasPrefix(w, "-"):
				list = append(list, w)
			case i == 1 && f[0] == "echo" && len(f) > 2 && strings.Contains(strings.Join(f[2:], ""), ">/etc/modules"):
				list = append(list, w)
			}
		}
	}
	return list
}

// MisspeltModule gives the module that is likely meant by a name that is none;
// "" if nothing is wrong as far as is known.
func MisspeltModule(name string) string {
	name = strings.ReplaceAll(name, "-", "_")
	if slices.Contains(guestModules, name) || len(name) < 5 {
		return ""
	}
	best, least := "", 3
	for _, m := range guestModules {
		if d := words.Distance(name, m, least); d < least && len(m) > 5 {
			best, least = m, d
		}
	}
	return best
}
