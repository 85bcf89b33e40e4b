package ganeti

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"hearth/internal/disk"
	"hearth/internal/disk/dump"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/osdef"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
	"hearth/internal/disk/workdir"
)

// export writes the archive that ganeti-instance-image's import takes: dumps of the
// file systems of a disk that is laid out as the settings have it, else, and with
// NOMOUNT, the whole disk as a packed qcow2.
func (a *Answer) export(ctx context.Context, spec *osdef.Resolved) error {
	if a.Env.Export == "" {
		return errors.New("EXPORT_DEVICE is not set")
	}
	dir, remove, err := workdir.Temp(spec.ExportDir, ".hearth-export-")
	if err != nil {
		return err
	}
	defer remove()
	names, err := a.dumps(ctx, spec, dir)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		names = []string{"disk.img"}
		packed := disk.Target{Path: filepath.Join(dir, "disk.img"), Format: disk.QCOW2, Compress: true, Method: "zlib"}
		if err := a.Run.Convert(ctx, disk.Layer{Path: a.Env.Export, Format: disk.Raw}, packed, nil); err != nil {
			return err
		}
	}
	return tarball.Bundle(a.Out, dir, names...)
}

// dumps writes root.dump, and boot.dump where /boot has a file system of its own;
// none for a disk that has other partitions than an import by these settings makes:
// that would lose the others, and what boots it.
func (a *Answer) dumps(ctx context.Context, spec *osdef.Resolved, dir string) ([]string, error) {
	if spec.NoMount || spec.Layout != nil {
		return nil, nil
	}
	chain := []disk.Layer{{Path: a.Env.Export, Format: disk.Raw}}
	d, err := guestfs.Open(ctx, a.Run, chain, guestfs.ReadOnly)
	if err == nil && slices.ContainsFunc(d.Volumes, unclean) { // its journals are replayed, on the side
		if err = d.Close(); err == nil {
			d, err = guestfs.Open(ctx, a.Run, chain, guestfs.Scratch)
		}
	}
	if err != nil {
		fmt.Fprintln(a.Log, "the whole disk is exported:", err)
		return nil, nil
	}
	names, err := a.dumpsOf(ctx, d, spec, dir)
	return names, errors.Join(err, d.Close())
}

func unclean(v *guestfs.Volume) bool { return v.FS() != nil && v.FS().NeedsRecovery }

func (a *Answer) dumpsOf(ctx context.Context, d *guestfs.Disk, spec *osdef.Resolved, dir string) ([]string, error) {
	want := []string{"boot", "swap", "root"}
	want = slices.DeleteFunc(want, func(part string) bool {
		return part == "swap" && !spec.Swap || part == "boot" && a.Env.KernelPath != ""
	})
	fits := len(d.Volumes) == len(want) && d.Scheme == disk.SchemeMBR
	for i, v := range d.Volumes {
		fits = fits && v.Partition == i+1 && (want[i] == "swap") == (v.Content == "swap") && (want[i] == "swap" || v.FS() != nil)
	}
	if !fits {
		return nil, nil
	}
	var names []string
	for i, v := range d.Volumes {
		if want[i] == "swap" {
			continue
		}
		mount := map[string]string{"boot": "/boot", "root": "/"}[want[i]]
		if err := dumpTo(ctx, filepath.Join(dir, want[i]+".dump"), dump.Options{Compress: true, Label: mount, Dir: mount}, tree.FromDisk(d.TreeOf(v))); err != nil {
			return nil, fmt.Errorf("dump %s: %w", mount, err)
		}
		names = append(names, want[i]+".dump")
	}
	return names, nil
}

func dumpTo(ctx context.Context, path string, o dump.Options, from tree.Source) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(dump.Write(ctx, f, o, from), f.Close())
}

// members are what an archive of an export may have, by what they are called here:
// so that the dumps are found as a pair.
var members = map[string]string{"disk.img": "disk.img", "root.dump": "import-root.dump", "boot.dump": "import-boot.dump"}

// unpack takes an archive of export's, ours or ganeti-instance-image's, into a
// folder and gives the file that is to be deployed.
func unpack(ctx context.Context, in io.Reader, dir string) (image string, err error) {
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", fmt.Errorf("the archive of the export cannot be read: %w", err)
		}
		name := filepath.Base(h.Name)
		if h.Typeflag != tar.TypeReg || members[name] == "" {
			continue
		}
		path := filepath.Join(dir, members[name])
		if err := disk.CopySparse(ctx, path, io.LimitReader(r, h.Size)); err != nil {
			return "", err
		}
		if name != "boot.dump" {
			image = path
		}
	}
	if image == "" {
		return "", errors.New("the archive has neither disk.img nor root.dump: it was not exported by this definition or by ganeti-instance-image")
	}
	return image, nil
}

// importFrom deploys an archive of export's.
func (a *Answer) importFrom(ctx context.Context, d *osdef.Definition, over map[string]string, spec *osdef.Resolved) error {
	if a.Env.Import == "" {
		return errors.New("IMPORT_DEVICE is not set")
	}
	dir, remove, err := workdir.Temp(spec.ExportDir, ".hearth-import-")
	if err != nil {
		return err
	}
	defer remove()
	image, err := unpack(ctx, a.In, dir)
	if err != nil {
		return err
	}
	return a.create(ctx, d, over, image, a.Env.Import)
}
