// Package deploy puts an image onto a blank disk, the way ganeti-instance-image
// does: a tarball, a dump, or the image of a whole disk, laid out, made bootable,
// and given its name and its site's files by a definition of package osdef.
//
// It needs no rights, loop devices or mounts: file systems are filled by mke2fs and
// debugfs in the sandbox of package disk, GRUB is put in its place by writing bytes.
// The disk is put together beside the target and copied onto it when all is well:
// a deployment that fails leaves the target as it was.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/dump"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/hooks"
	"hearth/internal/disk/osdef"
	"hearth/internal/disk/tarball"
)

// Options says what is deployed where.
type Options struct {
	Definition *osdef.Definition
	Settings   map[string]string // over the definition's
	Image      string            // "": the one that the definition names
	Target     string            // a file, which is made if it lacks, or a block device
	Size       int64             // of a new file, bytes; 0: what is there
	Overwrite  bool              // the target may have something on it already
	Name       string            // of the instance; "" leaves the image's
	Memory     int64             // of the instance, bytes
	KernelPath string            // of a kernel outside of the disk; "": the disk's own is started
	Serial     bool              // a serial line to log in by
	Environ    []string          // for hooks, besides what they always get
	Log        io.Writer         // what hooks say; may be nil
}

// Report is what was done.
type Report struct {
	Definition  string   `json:"definition"`
	Type        string   `json:"type"` // "tarball", "dump", "qemu", or "none"
	Image       string   `json:"image,omitempty"`
	Size        int64    `json:"size"`
	Partitions  []Part   `json:"partitions"` // of a disk that was laid out here
	CommandLine string   `json:"command_line,omitempty"`
	Hooks       []string `json:"hooks"`
	Warnings    []string `json:"warnings"`
}

// Deployer deploys.
type Deployer struct {
	Run *disk.Runner
}

// build is one deployment.
type build struct {
	*Deployer
	opt     Options
	spec    *osdef.Resolved
	work    string // removed at the end
	raw     string // the disk in the making, in work
	size    int64
	table   *table // nil for the image of a whole disk
	foreign bool   // nothing within is known here
	hooks   []string
	report  *Report
}

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Unsupported, Op: "deploy", Reason: fmt.Sprintf(format, args...)}
}

func (b *build) warn(format string, args ...any) {
	b.report.Warnings = append(b.report.Warnings, fmt.Sprintf(format, args...))
}

// Deploy deploys. Whatever can be known before is checked before anything is written.
func (d *Deployer) Deploy(ctx context.Context, opt Options) (*Report, error) {
	b := &build{Deployer: d, opt: opt, report: &Report{Type: "none", Partitions: []Part{}, Hooks: []string{}, Warnings: []string{}}}
	if err := b.check(); err != nil {
		return nil, err
	}
	if b.spec.CDInstall {
		return b.report, b.blank()
	}
	var err error
	place := filepath.Dir(b.opt.Target)
	if st, err := os.Stat(b.opt.Target); err == nil && !st.Mode().IsRegular() {
		place = ""
	}
	if b.work, err = os.MkdirTemp(place, ".hearth-deploy-"); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.work)
	b.raw = filepath.Join(b.work, "disk-0")
	if err := b.make(ctx); err != nil {
		return nil, err
	}
	return b.report, b.publish(ctx)
}

// check resolves all that was said and holds it against what is there.
func (b *build) check() (err error) {
	o := &b.opt
	if o.Definition == nil {
		o.Definition = &osdef.Definition{Name: "default"}
	}
	b.report.Definition = o.Definition.Name
	if b.spec, err = o.Definition.Resolve(o.Memory, o.Settings); err != nil {
		return refuse("definition %s: %v", o.Definition.Name, err)
	}
	if o.Target, err = abs(o.Target); err != nil {
		return err
	}
	if b.size, err = b.targetSize(); err != nil || b.spec.CDInstall {
		return err
	}
	if o.Image == "" {
		o.Image = b.spec.Image
	}
	if o.Image == "" {
		return refuse("no image is named: by the definition's IMAGE_NAME, or by --image")
	}
	if o.Image, err = abs(o.Image); err != nil {
		return err
	}
	if b.report.Type, err = typeOf(o.Image); err != nil {
		return err
	}
	b.report.Image, b.report.Size = o.Image, b.size
	if b.spec.Overlay != "" && b.spec.On("overlays") {
		if _, err := overlaySource(b.spec.Overlay); err != nil {
			return err
		}
	}
	run, skipped, err := hooks.List(b.spec.HookDir)
	if err != nil {
		return err
	}
	b.hooks = run
	for _, s := range skipped {
		b.warn("the hook %s is not run: %s", s.Name, s.Reason)
	}
	if b.report.Type == "qemu" {
		return nil
	}
	if err := b.spec.FitSwap(b.size); err != nil {
		return refuse("%v", err)
	}
	layout := b.spec.Layout
	if layout == nil {
		layout = legacy(b.spec.Swap, o.KernelPath != "", b.spec.BootSize, b.spec.SwapSize, b.spec.FileSystem)
	}
	b.table, err = place(layout, b.size, b.spec.FileSystem)
	return err
}

// typeOf tells the type of an image by its bytes.
func typeOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", refuse("the image is not there: %v", err)
	}
	defer f.Close()
	in, err := tarball.Unpack(f)
	if err != nil {
		return "", err
	}
	head := make([]byte, 2048)
	n, err := io.ReadFull(in, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", refuse("%s cannot be read: %v", path, err)
	}
	head = head[:n]
	switch {
	case dump.Is(head):
		return "dump", nil
	case len(head) >= 262 && string(head[257:262]) == "ustar", oldTar(head):
		return "tarball", nil
	}
	layer, info, err := guestfs.Image(path)
	if err != nil {
		return "", err
	}
	if info.Content == disk.Packed {
		return "", refuse("%s is packed with %s, and neither a tarball nor a dump", path, info.Packing)
	}
	if layer.Format == disk.Raw && info.VirtualSize < sector {
		return "", refuse("%s is no image: it has %d bytes", path, info.VirtualSize)
	}
	return "qemu", nil
}

// oldTar knows a tar from before there was a mark, by the check sum of its header.
func oldTar(b []byte) bool {
	if len(b) < 512 || b[0] == 0 {
		return false
	}
	sum := 8 * int(' ')
	for i, c := range b[:512] {
		if i < 148 || i >= 156 {
			sum += int(c)
		}
	}
	var said int
	_, err := fmt.Sscanf(strings.Trim(string(b[148:156]), " \x00"), "%o", &said)
	return err == nil && said == sum
}

// make makes the disk in the work folder.
func (b *build) make(ctx context.Context) error {
	if b.table == nil {
		if err := b.copyDisk(ctx); err != nil {
			return err
		}
	} else if err := b.fill(ctx); err != nil {
		return err
	}
	if b.table == nil && b.spec.NoMount {
		return nil
	}
	if b.table != nil {
		b.report.Partitions = b.table.parts
		if err := b.fstab(ctx); err != nil {
			return err
		}
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	if len(b.hooks) > 0 && !b.foreign {
		return b.runHooks(ctx)
	}
	return nil
}
