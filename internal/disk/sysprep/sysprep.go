// Package sysprep takes out of a guest's disk what makes it this one guest, so
// that others can be made of it: host keys, machine-id, seeds, leases, logs. What
// goes is data, see [Steps]. The disk is not mounted; file systems that cannot be
// written to here are left alone, and named.
package sysprep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
)

// Options says which steps are done.
type Options struct {
	Only   []string // these and no others; empty: those by default
	Also   []string // besides
	Not    []string // left out
	DryRun bool     // only say what would be done
}

// Report says what was done.
type Report struct {
	System   string   `json:"system"` // what was found, for people
	Steps    []Done   `json:"steps"`
	Warnings []string `json:"warnings"`
	DryRun   bool     `json:"dry_run"`
}

// Done is one step of a [Report].
type Done struct {
	Name    string   `json:"name"`
	What    string   `json:"what"`
	Removed []string `json:"removed"`
	Emptied []string `json:"emptied"`
	Added   []string `json:"added"`
}

// run is one disk being prepared.
type run struct {
	tree   *guestfs.Tree
	edit   *guestfs.Edit
	family guestos.Family
	init   string // of [guestos.OS]
	done   *Done
	gone   map[string]bool
	out    *Report
}

// Chosen gives the steps that opt asks for; Unsupported names are told.
func Chosen(opt Options) ([]Step, error) {
	all := Steps()
	for _, name := range slices.Concat(opt.Only, opt.Also, opt.Not) {
		if !slices.ContainsFunc(all, func(s Step) bool { return s.Name == name }) {
			var have []string
			for _, s := range all {
				have = append(have, s.Name)
			}
			return nil, &disk.Error{Kind: disk.Unsupported, Op: "sysprep", Reason: fmt.Sprintf("there is no step %q; there are %s", name, strings.Join(have, ", "))}
		}
	}
	return slices.DeleteFunc(all, func(s Step) bool {
		wanted := s.Default
		if len(opt.Only) > 0 {
			wanted = slices.Contains(opt.Only, s.Name)
		}
		return !(wanted || slices.Contains(opt.Also, s.Name)) || slices.Contains(opt.Not, s.Name)
	}), nil
}

// Prepare does the steps on a disk, which is open ReadWrite unless it is a
// DryRun. All changes are made at the end, at once.
func Prepare(ctx context.Context, d *guestfs.Disk, opt Options) (*Report, error) {
	steps, err := Chosen(opt)
	if err != nil {
		return nil, err
	}
	tree, err := d.Tree()
	if err != nil {
		return nil, err
	}
	r := &run{tree: tree, edit: tree.Edit(), gone: map[string]bool{}, out: &Report{System: "an unknown system", DryRun: opt.DryRun, Warnings: []string{}}}
	if os := guestos.Identify(tree); os != nil {
		r.out.System, r.family, r.init = os.Name, os.Family, os.Init
	}
	for _, v := range d.Volumes {
		if v.FS() == nil && v.Content != "" && v.Content != "swap" && v.Content != "lvm" {
			r.warn(fmt.Sprintf("partition %d was not touched: %s", v.Partition, v.Note))
		}
	}
	for _, s := range steps {
		if err := r.step(s); err != nil {
			return nil, err
		}
	}
	if opt.DryRun || r.edit.Empty() {
		return r.out, nil
	}
	return r.out, r.edit.Commit(ctx)
}

func (r *run) step(s Step) error {
	r.done = &Done{Name: s.Name, What: s.What, Removed: []string{}, Emptied: []string{}, Added: []string{}}
	for _, pattern := range s.remove {
		found, err := r.tree.Glob(pattern)
		if err != nil {
			return err
		}
		for _, name := range found {
			if err := r.removeFile(name); err != nil {
				return err
			}
		}
	}
	if s.also != nil {
		if err := s.also(r); err != nil {
			return err
		}
	}
	slices.Sort(r.done.Removed)
	slices.Sort(r.done.Emptied)
	r.out.Steps = append(r.out.Steps, *r.done)
	return nil
}

func (r *run) removeFile(name string) error {
	n, err := r.tree.Lstat(name) // links in its folders are resolved: two patterns may mean one file
	if err != nil {
		return err
	}
	if r.gone[n.Path] || n.Path == "/var/lib/dbus/machine-id" && n.IsLink() {
		return nil
	}
	r.gone[n.Path] = true
	r.edit.Remove(n.Path)
	r.report("removed", n.Path)
	return nil
}

func (r *run) emptyFile(n *guestfs.Node) {
	if r.gone[n.Path] {
		return
	}
	r.gone[n.Path] = true
	r.edit.Rewrite(n.Path, nil, guestfs.Owner{Mode: 0o644})
	r.report("emptied", n.Path)
}

func (r *run) report(how, name string) {
	switch how {
	case "removed":
		r.done.Removed = append(r.done.Removed, name)
	case "emptied":
		r.done.Emptied = append(r.done.Emptied, name)
	default:
		r.done.Added = append(r.done.Added, name)
	}
}

func (r *run) warn(text string) { r.out.Warnings = append(r.out.Warnings, text) }

// Image prepares an image in place. It is a raw or qcow2 file of one layer that
// nobody uses meanwhile.
func Image(ctx context.Context, run *disk.Runner, layer disk.Layer, opt Options) (*Report, error) {
	mode := guestfs.ReadWrite
	if opt.DryRun {
		mode = guestfs.ReadOnly
	}
	d, err := guestfs.Open(ctx, run, []disk.Layer{layer}, mode)
	if err != nil {
		return nil, err
	}
	report, err := Prepare(ctx, d, opt)
	return report, errors.Join(err, d.Close())
}
