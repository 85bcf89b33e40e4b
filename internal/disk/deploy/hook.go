package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/hooks"
	"hearth/internal/disk/tree"
	"hearth/internal/disk/workdir"
)

// runHooks gives the hooks the guest's tree in a folder, and brings what they did
// to it back to the disk.
func (b *build) runHooks(ctx context.Context) error {
	d, err := b.open(ctx, guestfs.ReadWrite)
	if err != nil {
		return err
	}
	return errors.Join(b.hooksIn(ctx, d), d.Close())
}

func (b *build) hooksIn(ctx context.Context, d *guestfs.Disk) error {
	t, err := d.Tree()
	if err != nil {
		return err
	}
	target := workdir.Tree(b.work)
	staged, err := tree.Stage(ctx, tree.FromDisk(t), tree.Limits{Bytes: b.size}, target)
	if err != nil {
		return err
	}
	if err := dress(staged); err != nil {
		return err
	}
	was, err := snapshot(target)
	if err != nil {
		return err
	}
	env, err := b.environ(ctx, d, t, target)
	if err != nil {
		return err
	}
	own, err := b.ownHooks()
	if err != nil {
		return err
	}
	for i, h := range slices.Concat(b.hooks, own) {
		// Those that travel with the definition may run on any host: they need nothing of it.
		job := hooks.Job{Path: h, Env: env, Dir: b.work, Log: b.opt.Log, Alone: i >= len(b.hooks)}
		if !job.Alone && b.common[h] {
			job.Env, job.Dir = commonEnv(env), b.spec.HookDir
		}
		if err := hooks.Run(ctx, job); err != nil {
			return fmt.Errorf("hook %w", err)
		}
		b.report.Hooks = append(b.report.Hooks, filepath.Base(h))
		b.note("hook %s ended well", filepath.Base(h))
	}
	return b.takeOver(ctx, t, staged, was)
}

// ownHooks writes those that the definition has in itself.
func (b *build) ownHooks() (list []string, err error) {
	dir := filepath.Join(b.work, "hooks")
	for _, name := range slices.Sorted(maps.Keys(b.spec.Hooks)) {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(path, []byte(b.spec.Hooks[name]), 0o700)); err != nil { //nolint:gosec // it is run
			return nil, err
		}
		list = append(list, path)
	}
	return list, nil
}

// dress gives the files of the folder the modes they have in the guest, and, for
// root, the owners. What hooks then make belongs to whom it would.
func dress(s *tree.Staged) error {
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for name, e := range s.Entries {
		if name == "/" || e.Same != "" || e.IsDevice() {
			continue
		}
		if os.Geteuid() == 0 {
			if err := root.Lchown(name[1:], e.UID, e.GID); err != nil {
				return err
			}
		}
		if e.Type() != tree.TypeLink {
			if err := os.Chmod(filepath.Join(s.Dir, name), modeOf(e)); err != nil {
				return err
			}
		}
	}
	return nil
}

// modeOf is the mode of an entry; a hook of a user without rights can always write.
func modeOf(e *tree.Entry) os.FileMode {
	m := os.FileMode(e.Mode & 0o777)
	for bit, value := range map[uint32]os.FileMode{0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky} {
		if e.Mode&bit != 0 {
			m |= value
		}
	}
	if os.Geteuid() != 0 {
		m |= 0o600
		if e.Type() == tree.TypeDir {
			m |= 0o700
		}
	}
	return m
}

// seen is how a file was before the hooks.
type seen struct {
	entry  tree.Entry
	change int64 // of the inode, nanoseconds
	inode  uint64
}

func snapshot(dir string) (map[string]seen, error) {
	all := map[string]seen{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel := "/" + strings.TrimPrefix(strings.TrimPrefix(name, dir), "/")
		all[rel] = seenOf(rel, info)
		return nil
	})
	return all, err
}

// takeOver brings to the disk what differs in the folder.
func (b *build) takeOver(ctx context.Context, t *guestfs.Tree, s *tree.Staged, was map[string]seen) error {
	now, err := snapshot(s.Dir)
	if err != nil {
		return err
	}
	edit := t.Edit()
	gone := []string{}
	for name := range was {
		if _, ok := now[name]; !ok {
			gone = append(gone, name)
		}
	}
	slices.Sort(gone)
	for i, name := range gone {
		if i == 0 || !slices.ContainsFunc(gone[:i], func(dir string) bool { return strings.HasPrefix(name, dir+"/") }) {
			edit.Remove(name)
		}
	}
	names := []string{}
	for name, n := range now {
		if old, ok := was[name]; name != "/" && (!ok || old.change != n.change || old.inode != n.inode) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		old, had := was[name]
		if err := b.change(edit, s, name, now[name], old, had); err != nil {
			return err
		}
	}
	return edit.Commit(ctx)
}

// change writes one file that is new or other.
func (b *build) change(edit *guestfs.Edit, s *tree.Staged, name string, n, old seen, had bool) error {
	e := n.entry
	owner := guestfs.Owner{UID: uint32(e.UID), GID: uint32(e.GID), Mode: e.Mode & 0o7777}
	if kept := s.Entries[name]; had && kept != nil && os.Geteuid() != 0 {
		owner.UID, owner.GID = uint32(kept.UID), uint32(kept.GID)
		if e.Mode == old.entry.Mode {
			owner.Mode = kept.Mode & 0o7777
		}
	}
	path := filepath.Join(s.Dir, name)
	if had && e.Type() != old.entry.Type() {
		return refuse("a hook made something else of %s; remove it in one deployment and make it in another", name)
	}
	switch e.Type() {
	case tree.TypeDir:
		if had {
			if owner.Mode != old.entry.Mode&0o7777 {
				edit.Chmod(name, owner.Mode)
			}
			return nil
		}
		edit.Mkdir(name, owner)
	case tree.TypeLink:
		to, err := os.Readlink(path)
		if err != nil {
			return err
		}
		edit.Symlink(name, to)
	case tree.TypeFile:
		if e.Size > maxOverlay {
			return refuse("a hook wrote %d MB to %s; at most %d are taken over", e.Size/mib, name, maxOverlay/mib)
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxOverlay))
		if err != nil {
			return err
		}
		edit.Write(name, data, owner)
	default:
		b.warn("a hook made %s, which is neither file, folder nor link: left out", name)
	}
	return nil
}

// environ is what hooks find in their environment; C_JSON names a file with all of it.
func (b *build) environ(ctx context.Context, d *guestfs.Disk, t *guestfs.Tree, target string) ([]string, error) {
	env := b.asGaneti(b.opt.Environ)
	for _, s := range b.spec.List(true) {
		env = append(env, s.Name+"="+s.Value)
	}
	rootDev, err := b.device(ctx, d, t.Mounts["/"])
	if err != nil {
		return nil, err
	}
	bootDev, err := b.device(ctx, d, t.Mounts["/boot"])
	if err != nil {
		return nil, err
	}
	variant := os.Getenv("OS_VARIANT")
	always := [][2]string{{"TARGET", target}, {"BLOCKDEV", b.raw}, {"ROOT_DEV", rootDev}, {"BOOT_DEV", bootDev}, {"IMAGE_TYPE", b.report.Type}, {"SUITE", variant}, {"SCRIPT_NAME", "create"},
		{"INSTANCE_NAME", b.opt.Name}, {"KERNEL_PATH", b.opt.KernelPath}, {"C_JSON", filepath.Join(b.work, "deploy.json")}}
	for _, v := range always {
		if v[1] == "" && slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, v[0]+"=") }) {
			continue
		}
		env = append(env, v[0]+"="+v[1])
	}
	all := map[string]any{"report": b.report, "definition": b.spec.Definition, "environment": env}
	j, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, err
	}
	return env, os.WriteFile(filepath.Join(b.work, "deploy.json"), j, 0o600)
}

// device gives hooks a file system as a file of its own, as their ROOT_DEV and
// BOOT_DEV: blkid, dumpe2fs and debugfs read it. It is a copy, sparse, as it was
// before the first hook; what a hook writes to it is not taken over.
func (b *build) device(ctx context.Context, d *guestfs.Disk, v *guestfs.Volume) (string, error) {
	if v == nil {
		return "", nil
	}
	path := fmt.Sprintf("%s-%d", b.raw, v.Partition)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, disk.CopySparse(ctx, path, io.NewSectionReader(d.Reader(), v.Start, v.Size))
}
