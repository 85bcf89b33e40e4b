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
	"hearth/internal/disk/netconf"
	"hearth/internal/disk/osdef"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
	"hearth/internal/disk/workdir"
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
	// Environ is what is told of the instance, in Ganeti's words: hooks get it besides
	// what they always get, and NIC_COUNT, NIC_0_MAC and so on give it its network.
	Environ []string
	Fetch   Fetch // for IMAGE_URL; nil: nothing is fetched
	// Overlay finds one that is kept by its name, NAME or NAME@VERSION; "" when there
	// is none, and OVERLAYS_DIR is looked into. May be nil.
	Overlay func(name string) (path string, err error)
	Debug   bool // each step is told in Log
	// Progress is told, often, of how many bytes of a long step are done; total is 0 if it is not known. May be nil.
	Progress func(step string, done, total int64)
	Log      io.Writer // what hooks say; may be nil
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
	HostKeys    []string `json:"host_keys,omitempty"` // fingerprints of the instance's own, as ssh-keygen -l prints them
	Changed     []string `json:"changed,omitempty"`   // files that were written for its name, identity and network
	Steps       []Step   `json:"steps"`
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
	entries bool   // GRUB reads entries that are files of their own
	hooks   []string
	common  map[string]bool   // those of them that run where common.sh is
	network *netconf.Network  // nil leaves the image's
	overlay tree.Source       // nil for none
	packed  bool              // it is an archive, or a layer of a container's image
	filled  map[string][]byte // its templates by their paths, as this instance has them
	report  *Report
}

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Unsupported, Op: "deploy", Reason: fmt.Sprintf(format, args...)}
}

func (b *build) warn(format string, args ...any) {
	b.report.Warnings = append(b.report.Warnings, fmt.Sprintf(format, args...))
}

// Deploy deploys. Whatever can be known before is checked before anything is written.
// After an error the report says how far it came.
func (d *Deployer) Deploy(ctx context.Context, opt Options) (*Report, error) {
	b := &build{Deployer: d, opt: opt, report: &Report{Type: "none", Partitions: []Part{}, Hooks: []string{}, Steps: []Step{}, Warnings: []string{}}}
	if err := b.resolve(); err != nil {
		return b.report, err
	}
	clean := func() error { return nil }
	err := b.step(ctx, "fetch", func(ctx context.Context) (err error) {
		clean, err = b.obtain(ctx)
		return err
	})
	if err == nil {
		err = b.step(ctx, "check", b.check)
	}
	if err == nil {
		err = b.deploy(ctx)
	}
	return b.report, errors.Join(err, clean())
}

func (b *build) deploy(ctx context.Context) (err error) {
	if b.spec.CDInstall {
		return b.step(ctx, "blank", func(context.Context) error { return b.blank() })
	}
	place := filepath.Dir(b.opt.Target)
	if st, err := os.Stat(b.opt.Target); err == nil && !st.Mode().IsRegular() {
		place = ""
	}
	work, err := workdir.Make(place, ".hearth-deploy-", nil)
	if err != nil {
		return err
	}
	defer work.Close()
	b.work = work.Path
	b.raw = filepath.Join(b.work, "disk-0")
	if err := b.make(ctx); err != nil {
		return err
	}
	if len(b.otherParts()) > 0 {
		if err := b.step(ctx, "filesystems", b.transplant); err != nil {
			return err
		}
	}
	return b.step(ctx, "publish", b.publish)
}

// resolve lays all that was said over each other.
func (b *build) resolve() (err error) {
	o := &b.opt
	if o.Definition == nil {
		o.Definition = &osdef.Definition{Name: "default"}
	}
	b.report.Definition = o.Definition.Name
	if o.Definition.Version > 0 {
		b.report.Definition = fmt.Sprintf("%s@%d", o.Definition.Name, o.Definition.Version)
	}
	if b.spec, err = o.Definition.Resolve(o.Memory, o.Settings); err != nil {
		return refuse("definition %s: %v", o.Definition.Name, err)
	}
	if b.network, err = b.plan(); err != nil {
		return err
	}
	o.Target, err = abs(o.Target)
	return err
}

// check holds all that was said against what is there.
func (b *build) check(ctx context.Context) (err error) {
	o := &b.opt
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
	if err := errors.Join(b.findOverlay(ctx), b.findHooks()); err != nil {
		return err
	}
	if b.report.Type == "qemu" {
		return nil
	}
	if b.byLoader() {
		return b.checkLoader()
	}
	if b.size == 0 {
		return refuse("%s is not there; say with --size how large it is to be", o.Target)
	}
	if err := b.spec.FitSwap(b.size); err != nil {
		return refuse("%v", err)
	}
	layout := b.spec.Layout
	if layout == nil {
		layout = legacy(b.spec.Swap, o.KernelPath != "", b.spec.BootSize, b.spec.SwapSize, b.spec.FileSystem)
	}
	if b.table, err = place(layout, b.size, b.spec.FileSystem); err != nil {
		return err
	}
	return b.checkOthers()
}

// typeOf tells the type of an image by its bytes.
func typeOf(path string) (string, error) {
	f, err := disk.Open(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return "", refuse("the image is not there: %v", err)
	}
	if err != nil {
		return "", err
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
	first := struct {
		name string
		do   func(context.Context) error
	}{"fill", b.fill}
	if b.table == nil {
		first.name, first.do = "copy", b.copyDisk
	}
	if b.byLoader() {
		if err := b.step(ctx, "bootable", b.bootable); err != nil {
			return err
		}
	}
	if err := b.step(ctx, first.name, first.do); err != nil {
		return err
	}
	if b.table == nil && b.spec.NoMount {
		return nil
	}
	if b.table != nil {
		b.report.Partitions = b.table.parts
		if err := b.step(ctx, "fstab", b.fstab); err != nil {
			return err
		}
	}
	if err := b.step(ctx, "person", b.personal); err != nil {
		return err
	}
	if b.foreign {
		return nil
	}
	if err := b.step(ctx, "settle", b.settle); err != nil {
		return err
	}
	if len(b.hooks)+len(b.spec.Hooks) == 0 {
		return nil
	}
	return b.step(ctx, "hooks", b.runHooks)
}
