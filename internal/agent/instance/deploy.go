package instance

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/disk/deploy"
	"hearth/internal/disk/osdef"
	"hearth/internal/driver/storage"
)

// outside is what a definition is told of a kernel that lies outside of the disk.
const outside = "/outside"

// deployRoot makes a root disk by the server's definition: the image is deployed to
// a file beside, which then goes the way of images, so that every storage takes it.
func (w *worker) deployRoot(ctx context.Context, spec cloud.InstanceSpec, id string, size int64) error {
	dir, err := os.MkdirTemp(w.m.Dir, ".deploy-")
	if err != nil {
		return hostError("instance.deploy", err)
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "disk.raw")
	by := w.deploy
	if spec.Deploy.Archive != nil {
		by = w.deployForeign
	}
	if err := by(ctx, spec, dir, made, size); err != nil {
		return err
	}
	img, err := w.take(ctx, spec, made, dir)
	if err == nil {
		w.rec.Made = img.Digest
		_, err = w.m.Storage.CloneDisk(ctx, id, img, size)
	}
	return err
}

// imageFile is an image as a file of this host, in dir by a name if it is not here.
func (w *worker) imageFile(ctx context.Context, ref cloud.ImageRef, dir, name string) (string, error) {
	if local, ok := w.m.Images.(localImages); ok {
		if path, err := local.Path(ref.Digest); err == nil {
			return path, nil
		}
	}
	in, err := w.m.Images.Open(ctx, ref.Digest)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	h := sha512.New()
	err = errors.Join(disk.CopySparse(ctx, path, io.TeeReader(in, h)), in.Close())
	if got := "sha512:" + hex.EncodeToString(h.Sum(nil)); err == nil && got != ref.Digest {
		return "", cloud.E("instance.deploy", cloud.Unavailable, "the bytes fetched of image %s are not those of its digest (%s, wanted %s)", ref.ID, got, ref.Digest)
	}
	return path, hostError("instance.deploy", err)
}

// deploy runs the definition; its failure is for good, and says what a hook said last.
func (w *worker) deploy(ctx context.Context, spec cloud.InstanceSpec, dir, target string, size int64) error {
	const op = "instance.deploy"
	d, err := osdef.Decode([]byte(spec.Deploy.Body))
	if err != nil {
		return cloud.E(op, cloud.Invalid, "Definition %s cannot be read: %w", spec.Deploy.Name, err)
	}
	said := &lastWords{}
	o := deploy.Options{Definition: d, Settings: spec.Deploy.Over, Target: target, Size: size, Name: spec.Hostname, Memory: int64(spec.MemoryMB) << 20, Serial: true, Environ: deployEnv(spec), Log: said}
	if o.Image, err = w.imageFile(ctx, spec.Image, dir, "image"); err != nil {
		return err
	}
	if spec.Deploy.Overlay != nil {
		overlay, err := w.imageFile(ctx, *spec.Deploy.Overlay, dir, "overlay")
		if err != nil {
			return err
		}
		o.Overlay = func(string) (string, error) { return overlay, nil }
	}
	if spec.Kernel != nil {
		o.KernelPath = outside
	}
	began := w.m.Clock.Now()
	r, err := (&deploy.Deployer{Run: &disk.Runner{}}).Deploy(ctx, o)
	if r != nil {
		w.tell(r, began, said)
	}
	if err != nil && ctx.Err() == nil {
		return cloud.E(op, cloud.Invalid, "Definition %s@%d: %w", spec.Deploy.Name, spec.Deploy.Version, err)
	}
	return err
}

// tell puts the parts of a deployment into the instance's timeline, each with what was
// done in it; warnings and what hooks said are with the last.
func (w *worker) tell(r *deploy.Report, began time.Time, said *lastWords) {
	for i, s := range r.Steps {
		step := cloud.Step{Name: "deploy_" + s.Name, Start: began, Duration: time.Duration(max(1, s.Milliseconds)) * time.Millisecond, Error: s.Error, Notes: s.Notes}
		if i == len(r.Steps)-1 {
			for _, text := range r.Warnings {
				step.Notes = append(step.Notes, "warning: "+text)
			}
			if s.Error == "" { // an error has them already
				step.Notes = append(step.Notes, said.lines()...)
			}
		}
		step.Notes = step.Notes[:min(len(step.Notes), maxNotes)]
		w.rec.Timeline = append(w.rec.Timeline, step)
		began = began.Add(step.Duration)
	}
	w.log.Info("deployed by a definition", "definition", r.Definition, "type", r.Type, "hooks", r.Hooks, "warnings", r.Warnings)
}

// maxNotes bounds what is kept of one part.
const maxNotes = 200

// lastWords keeps the end of what hooks say.
type lastWords struct{ b []byte }

// Write implements io.Writer.
func (l *lastWords) Write(p []byte) (int, error) {
	l.b = append(l.b, p...)
	if extra := len(l.b) - 8<<10; extra > 0 {
		l.b = slices.Clone(l.b[extra:])
	}
	return len(p), nil
}

func (l *lastWords) lines() []string {
	return strings.FieldsFunc(strings.ToValidUTF8(string(l.b), "?"), func(r rune) bool { return r == '\n' })
}

// deployEnv tells a definition of the server in Ganeti's words. Addresses that DHCP
// gives are left to it.
func deployEnv(spec cloud.InstanceSpec) []string {
	env := []string{"INSTANCE_UUID=" + spec.ID, "INSTANCE_NAME=" + spec.Hostname, fmt.Sprintf("INSTANCE_BE_maxmem=%d", spec.MemoryMB), fmt.Sprintf("INSTANCE_BE_vcpus=%d", spec.VCPUs),
		"DISK_COUNT=1", fmt.Sprintf("DISK_0_SIZE=%d", spec.RootGB<<10), fmt.Sprintf("NIC_COUNT=%d", len(spec.Ports))}
	for i, p := range spec.Ports {
		set := func(name, value string) { env = append(env, fmt.Sprintf("NIC_%d_%s=%s", i, name, value)) }
		set("MAC", p.MAC)
		for _, link := range spec.Meta.Links {
			if link.PortID != p.ID {
				continue
			}
			for _, a := range link.Addresses {
				if set("IP", a.IP.String()); a.DHCP {
					continue
				}
				end := ""
				if a.IP.Is6() {
					end = "6"
				}
				set("NETWORK_SUBNET"+end, a.Prefix.String())
				if a.Gateway.IsValid() {
					set("NETWORK_GATEWAY"+end, a.Gateway.String())
				}
			}
		}
	}
	return env
}

// take brings a deployed disk into the node's storage as an image of its own.
func (w *worker) take(ctx context.Context, spec cloud.InstanceSpec, made, dir string) (storage.Image, error) {
	const op = "instance.deploy"
	packed := filepath.Join(dir, "disk.qcow2")
	run := &disk.Runner{}
	if err := run.Convert(ctx, disk.Layer{Path: made, Format: disk.Raw}, disk.Target{Path: packed, Format: disk.QCOW2}, nil); err != nil {
		return storage.Image{}, hostError(op, err)
	}
	st, err := os.Stat(made)
	if err != nil {
		return storage.Image{}, hostError(op, err)
	}
	sum, size, err := sumOf(packed)
	if err != nil {
		return storage.Image{}, hostError(op, err)
	}
	if err := os.Remove(made); err != nil { // so that the disk is not there three times
		return storage.Image{}, hostError(op, err)
	}
	ref := cloud.ImageRef{ID: spec.ID, Digest: "sha512:" + sum, Format: string(disk.QCOW2), Size: size, VirtualSize: st.Size()}
	return w.m.Storage.EnsureImage(ctx, ref, "", func() (io.ReadCloser, error) { return os.Open(packed) })
}

func sumOf(path string) (string, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha512.New()
	n, err := io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), n, err
}
