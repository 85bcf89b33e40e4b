package ganeti

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	Fetch  deploy.Fetch // for IMAGE_URL
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
		Memory: a.Env.Memory, KernelPath: a.Env.KernelPath, Serial: a.Env.Serial, Environ: a.Env.All, Fetch: a.Fetch, Overlay: a.Places.Definitions.Overlay, Debug: a.Env.Debug, Log: a.Log})
	if err != nil {
		return err
	}
	for _, w := range r.Warnings {
		fmt.Fprintln(a.Log, "warning:", w)
	}
	fmt.Fprintf(a.Log, "%s: %s of type %s on %s, %d MB\n", a.Env.Name, filepath.Base(r.Image), r.Type, target, r.Size>>20)
	return nil
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
