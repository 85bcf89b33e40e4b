package ganeti

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"hearth/internal/disk"
	"hearth/internal/disk/deploy"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
	"hearth/internal/disk/identity"
	"hearth/internal/disk/osdef"
)

// Answer is one run of a script of ours.
type Answer struct {
	Run    *disk.Runner
	Env    *Env
	Places Places
	In     io.Reader
	Out    io.Writer
	Log    io.Writer
}

// Do carries a script out.
func (a *Answer) Do(ctx context.Context, script string) error {
	d, err := a.Places.Definition(a.Env.Variant)
	if err != nil {
		return err
	}
	over := map[string]string{}
	for name, value := range a.Env.Parameters {
		if name != "IMAGE" {
			over[name] = value
		}
	}
	spec, err := d.Resolve(a.Env.Memory, over)
	if err != nil {
		return err
	}
	switch script {
	case "verify":
		return nil // all was checked by now
	case "create":
		return a.create(ctx, d, over, a.Env.Parameters["IMAGE"], a.first())
	case "import":
		return a.importFrom(ctx, d, over, spec)
	case "export":
		return a.export(ctx, spec)
	case "rename":
		if spec.NoMount || spec.CDInstall {
			return nil
		}
		return a.rename(ctx)
	}
	return fmt.Errorf("there is no script %q", script)
}

func (a *Answer) first() string {
	if len(a.Env.Disks) == 0 {
		return ""
	}
	return a.Env.Disks[0].Path
}

func (a *Answer) create(ctx context.Context, d *osdef.Definition, over map[string]string, image, target string) error {
	if target == "" {
		return errors.New("the instance has no disk: at least one is needed")
	}
	r, err := (&deploy.Deployer{Run: a.Run}).Deploy(ctx, deploy.Options{Definition: d, Settings: over, Image: image, Target: target, Overwrite: true, Name: a.Env.Name,
		Memory: a.Env.Memory, KernelPath: a.Env.KernelPath, Serial: a.Env.Serial, Environ: a.Env.All, Log: a.Log})
	if err != nil {
		return err
	}
	for _, w := range r.Warnings {
		fmt.Fprintln(a.Log, "warning:", w)
	}
	fmt.Fprintf(a.Log, "%s: %s of type %s on %s, %d MB\n", a.Env.Name, filepath.Base(r.Image), r.Type, target, r.Size>>20)
	return nil
}

// export writes an archive with the disk as a packed qcow2, as ganeti-instance-image
// does with NOMOUNT.
func (a *Answer) export(ctx context.Context, spec *osdef.Resolved) error {
	from := a.Env.Export
	if from == "" {
		return errors.New("EXPORT_DEVICE is not set")
	}
	dir, err := os.MkdirTemp(spec.ExportDir, ".hearth-export-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	packed := filepath.Join(dir, "disk.img")
	if err := a.Run.Convert(ctx, disk.Layer{Path: from, Format: disk.Raw}, disk.Target{Path: packed, Format: disk.QCOW2, Compress: true, Method: "zlib"}, nil); err != nil {
		return err
	}
	f, err := os.Open(packed)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	w := tar.NewWriter(a.Out)
	if err := w.WriteHeader(&tar.Header{Name: "./disk.img", Mode: 0o600, Size: st.Size(), Typeflag: tar.TypeReg, Format: tar.FormatGNU}); err != nil {
		return err
	}
	if _, err := io.Copy(w, f); err != nil {
		return err
	}
	return w.Close()
}

// members are what an archive of an export may have, and what is deployed of it.
var members = map[string]bool{"disk.img": true, "root.dump": true, "boot.dump": true}

// importFrom reads an archive of export's: of ours, or of ganeti-instance-image's.
func (a *Answer) importFrom(ctx context.Context, d *osdef.Definition, over map[string]string, spec *osdef.Resolved) error {
	target := a.Env.Import
	if target == "" {
		return errors.New("IMPORT_DEVICE is not set")
	}
	dir, err := os.MkdirTemp(spec.ExportDir, ".hearth-import-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	image := ""
	for r := tar.NewReader(a.In); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("the archive of the export cannot be read: %w", err)
		}
		name := filepath.Base(h.Name)
		if h.Typeflag != tar.TypeReg || !members[name] {
			continue
		}
		path := filepath.Join(dir, map[string]string{"disk.img": "disk.img", "root.dump": "import-root.dump", "boot.dump": "import-boot.dump"}[name])
		if err := disk.CopySparse(ctx, path, io.LimitReader(r, h.Size)); err != nil {
			return err
		}
		if name != "boot.dump" {
			image = path
		}
	}
	if image == "" {
		return errors.New("the archive has neither disk.img nor root.dump: it was not exported by this definition or by ganeti-instance-image")
	}
	return a.create(ctx, d, over, image, target)
}

// rename gives the guest its new name.
func (a *Answer) rename(ctx context.Context) error {
	d, err := guestfs.Open(ctx, a.Run, []disk.Layer{{Path: a.first(), Format: disk.Raw}}, guestfs.ReadWrite)
	if err != nil {
		return err
	}
	return errors.Join(a.renameIn(ctx, d), d.Close())
}

func (a *Answer) renameIn(ctx context.Context, d *guestfs.Disk) error {
	t, err := d.Tree()
	if err != nil {
		return err
	}
	family := guestos.Unknown
	if os := guestos.Identify(t); os != nil {
		family = os.Family
	}
	edit := t.Edit()
	for _, c := range identity.SetHostname(t, family, a.Env.Name) {
		edit.Rewrite(c.Path, c.Data, guestfs.Owner{Mode: 0o644})
	}
	return edit.Commit(ctx)
}
