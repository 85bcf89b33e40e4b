package deploy

import (
	"fmt"
	"slices"
	"strings"

	"hearth/internal/disk/bls"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
)

// byEntries tells whether the tree's own boot loader reads entries that are files of their
// own, as Fedora's does, and gives them, the newest first; nil if a menu has them.
func (b *build) byEntries(t *guestfs.Tree) []*bls.Entry {
	e := guestos.DefaultEntry(t)
	if e == nil || !bls.Is(e.Config) {
		return nil
	}
	list := bls.List(t)
	return slices.DeleteFunc(list, func(e *bls.Entry) bool { return e.Find(t, e.Linux) == "" })
}

// inPart gives a path within the partition that GRUB reads; false if it lies in another.
func (b *build) inPart(name string) (string, bool) {
	var on *Part
	for i := range b.table.parts {
		p := &b.table.parts[i]
		within := p.Mount == "/" || strings.HasPrefix(p.Mount, "/") && strings.HasPrefix(name+"/", p.Mount+"/")
		if within && (on == nil || len(p.Mount) > len(on.Mount)) {
			on = p
		}
	}
	boot, _ := b.bootPart()
	if on != boot {
		return "", false
	}
	return strings.TrimPrefix(name, strings.TrimSuffix(on.Mount, "/")), true
}

// entryMenu has GRUB read the entries on each start, with the new root in them. fallback is
// what is started if there is none that can be.
func (b *build) entryMenu(t *guestfs.Tree, edit *guestfs.Edit, list []*bls.Entry, fallback string) error {
	modules, err := bls.Load()
	if err != nil {
		return err
	}
	vars := bls.Variables(t)
	first := ""
	if len(list[0].Initrds) > 0 {
		first = "initrd"
	}
	opts := b.arguments(vars[bls.KernelOpts], first)
	used := false
	for _, e := range list {
		used = b.ownEntry(t, e, opts) || used
		if edit.Rewrite(e.Path, []byte(e.Text()), guestfs.Owner{Mode: 0o644}); e.Strange() != "" {
			b.warn("%s has a %s in it, which GRUB takes for a sign of its own: the entry may start otherwise than it says, or not at all", e.Path, e.Strange())
		}
		if b.report.CommandLine == "" || e.ID == vars["saved_entry"] {
			b.report.CommandLine = bls.Expand(strings.ReplaceAll(e.Options, "$"+bls.KernelOpts, opts), vars)
		}
	}
	_, dir := b.bootPart()
	root, _ := b.inPart(list[0].Boot)
	m := bls.Menu{Boot: dir, Entries: strings.TrimSuffix(root, "/"), Serial: b.opt.Serial, Fallback: fallback}
	if used {
		m.KernelOpts = opts
		if err := setKernelOpts(t, edit, opts); err != nil {
			return err
		}
	}
	edit.Write(bls.ConfigPath, m.Config(), guestfs.Owner{Mode: 0o600})
	for name, data := range modules {
		edit.Write(name, data, guestfs.Owner{Mode: 0o644})
	}
	b.installed(t, edit, b.arguments)
	b.entries = true
	b.note("GRUB reads %d entries in %s on each start", len(list), list[0].Boot+bls.Folder)
	return nil
}

// ownEntry gives an entry the new root and the words that are wanted; used tells that it
// has most of them from GRUB's variable, which gets opts.
func (b *build) ownEntry(t *guestfs.Tree, e *bls.Entry, opts string) (used bool) {
	ramdisk := ""
	place := func(name string) string {
		if full := e.Find(t, name); full != "" {
			if in, ok := b.inPart(full); ok {
				return in
			}
		}
		return name
	}
	e.Linux = place(e.Linux)
	for i, name := range e.Initrds {
		ramdisk = "initrd"
		e.Initrds[i] = place(name)
	}
	if !bls.Uses(e.Options, bls.KernelOpts) {
		e.Options = b.arguments(e.Options, ramdisk)
		return false
	}
	words := []string{"$" + bls.KernelOpts}
	have := strings.Fields(opts)
	for _, w := range kept(e.Options) {
		if !bls.Uses(w, bls.KernelOpts) && !slices.Contains(have, w) {
			words = append(words, w)
		}
	}
	e.Options = strings.Join(words, " ")
	return true
}

// setKernelOpts changes GRUB's environment block, if there is one that has the variable.
func setKernelOpts(t *guestfs.Tree, edit *guestfs.Edit, opts string) error {
	env, name := bls.ReadEnv(t)
	if env.Get(bls.KernelOpts) == "" {
		return nil
	}
	env.Set(bls.KernelOpts, opts)
	data, err := env.Bytes()
	if err != nil {
		return refuse("%s: %v", name, err)
	}
	edit.Rewrite(name, data, guestfs.Owner{Mode: 0o644})
	return nil
}

// cmdline is where kernel-install finds what the entry of a new kernel tells it. Without the
// file it is what the running kernel was told.
const cmdline = "/etc/kernel/cmdline"

// installed changes what kernels get that the system installs later.
func (b *build) installed(t *guestfs.Tree, edit *guestfs.Edit, change func(before, ramdisk string) string) {
	old, err := t.ReadFile(cmdline, maxText)
	if err != nil {
		return
	}
	var words []string
	for l := range strings.Lines(string(old)) {
		if !strings.HasPrefix(strings.TrimSpace(l), "#") {
			words = append(words, strings.Fields(l)...)
		}
	}
	edit.Rewrite(cmdline, []byte(change(strings.Join(words, " "), "initrd")+"\n"), guestfs.Owner{Mode: 0o644})
}

// ownEntries adds words to the entries of a disk that keeps its own loader: once, be it in
// them or in the variable of GRUB's that they name.
func (b *build) ownEntries(t *guestfs.Tree, edit *guestfs.Edit, want []string) (found bool, err error) {
	vars := bls.Variables(t)
	env, _ := bls.ReadEnv(t)
	inEnv := env.Get(bls.KernelOpts) != ""
	var common []string // for the variable
	b.installed(t, edit, func(before, _ string) string { return strings.Join(withArgs(strings.Fields(before), want), " ") })
	for _, e := range bls.List(t) {
		if e.Linux == "" {
			continue
		}
		found = true
		have := strings.Fields(bls.Expand(e.Options, vars))
		more := missing(have, want)
		if len(more) == 0 {
			continue
		}
		if bls.Uses(e.Options, bls.KernelOpts) && inEnv {
			common = withArgs(common, more)
			continue
		}
		e.Options = strings.TrimSpace(e.Options + " " + strings.Join(more, " "))
		edit.Rewrite(e.Path, []byte(e.Text()), guestfs.Owner{Mode: 0o644})
	}
	if len(common) == 0 {
		return found, nil
	}
	return found, setKernelOpts(t, edit, strings.Join(withArgs(strings.Fields(vars[bls.KernelOpts]), common), " "))
}

// missing are the wanted words that are not there.
func missing(have, want []string) []string { return withArgs(slices.Clone(have), want)[len(have):] }

// menuEntry is one of GRUB's own.
func menuEntry(version, kernel, args, ramdisk string) string {
	s := fmt.Sprintf("menuentry \"Linux %s\" {\n\tlinux16 %s %s\n", strings.ReplaceAll(version, `"`, ""), kernel, args)
	if ramdisk != "" {
		s += fmt.Sprintf("\tinitrd16 %s\n", ramdisk)
	}
	return s + "}\n"
}
