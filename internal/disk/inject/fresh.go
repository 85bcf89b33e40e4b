package inject

import (
	"slices"

	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/identity"
	"hearth/internal/disk/selinux"
	"hearth/internal/disk/sysprep"
)

// labels has new files labelled as the guest's SELinux would. Where it cannot be
// known how, the guest does it itself at its next boot.
func (w *worker) labels() {
	policy, present := selinux.Load(w.tree)
	switch {
	case policy != nil:
		w.edit.Labels = policy.Label
	case present:
		w.edit.Write("/.autorelabel", nil, guestfs.Owner{Mode: 0o644})
		w.out.Warnings = append(w.out.Warnings, "the guest's SELinux policy has no file_contexts: the guest labels its files at the next boot")
	}
}

// fresh makes new what tells one guest from its clones. What cannot be made here
// goes, and the guest makes it at its next boot: DUIDs, leases.
func (w *worker) fresh() error {
	made, err := identity.Fresh(w.tree)
	if err != nil {
		return err
	}
	return w.replace(made, "host-keys", "duid", "random-seed", "leases", "net-rules")
}

// replace puts what was made in the place of all that the steps of sysprep name.
func (w *worker) replace(made *identity.Made, steps ...string) error {
	var own []string
	for _, f := range made.Files {
		own = append(own, f.Path)
		if n, err := w.tree.Stat(f.Path); err == nil {
			own = append(own, n.Path)
		}
	}
	for _, pattern := range sysprep.Patterns(steps...) {
		found, err := w.tree.Glob(pattern)
		if err != nil {
			return err
		}
		for _, name := range found {
			n, err := w.tree.Lstat(name)
			if err != nil || w.gone[n.Path] || slices.Contains(own, name) || slices.Contains(own, n.Path) {
				continue
			}
			w.gone[n.Path] = true
			w.edit.Remove(n.Path)
			w.out.Changed = append(w.out.Changed, n.Path)
		}
	}
	written := map[string]bool{"": true}
	for _, f := range made.Files {
		name := w.end(f.Path)
		if written[name] {
			continue // it leads to another of these, as D-Bus's machine-id does
		}
		written[name] = true
		w.edit.Write(name, f.Data, guestfs.Owner{Mode: f.Mode})
		w.out.Changed = append(w.out.Changed, name)
	}
	w.out.HostKeys = append(w.out.HostKeys, made.HostKeys...)
	w.out.Warnings = append(w.out.Warnings, made.Warnings...)
	return nil
}

// end is where a file lies whose name may be a symbolic link; "" for one to nowhere.
func (w *worker) end(name string) string {
	if n, err := w.tree.Stat(name); err == nil {
		return n.Path
	}
	if _, err := w.tree.Lstat(name); err == nil {
		return ""
	}
	return name
}
