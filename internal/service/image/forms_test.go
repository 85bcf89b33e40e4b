package image_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/disk/convert"
	"hearth/internal/disk/dump"
	"hearth/internal/disk/ova"
	"hearth/internal/disk/rendition"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
	"hearth/internal/disk/tree/treetest"
	"hearth/internal/service/image"
)

// newWorkshop is a house that can make images of other forms.
func newWorkshop(t *testing.T, opts image.Options) *house {
	t.Helper()
	for _, tool := range []string{"qemu-img", "mke2fs"} {
		if _, err := exec.LookPath(tool); err != nil {
			if _, err = os.Stat("/usr/sbin/" + tool); err != nil {
				t.Skip(err)
			}
		}
	}
	t.Setenv("TMPDIR", t.TempDir())
	opts.Shop = rendition.New(filepath.Join(t.TempDir(), "renditions"), 8<<30)
	return newHouse(t, opts)
}

// small is a tree without a kernel, which fits any disk that is made of it.
func small() treetest.List {
	at := time.Unix(1e9, 0)
	list := treetest.List{{Entry: tree.Entry{Path: "/", Mode: tree.TypeDir | 0o755, MTime: at}}, {Entry: tree.Entry{Path: "/boot", Mode: tree.TypeDir | 0o755, MTime: at}},
		{Entry: tree.Entry{Path: "/etc", Mode: tree.TypeDir | 0o755, MTime: at}}}
	for name, content := range map[string]string{"/etc/fstab": "UUID=4bd3b3a7-0cbe-4a6c-95c4-1a2b3c4d5e6f / ext4 defaults 0 1\n", "/etc/os-release": "ID=test\n", "/boot/here": "x"} {
		list = append(list, treetest.File{Entry: tree.Entry{Path: name, Mode: tree.TypeFile | 0o640, UID: 7, MTime: at}, Content: content})
	}
	return list
}

func packed(t *testing.T, packing tarball.Packing) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := tarball.Write(ctx, &b, packing, small()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// by packs with a program.
func by(t *testing.T, data []byte, program string) []byte {
	t.Helper()
	cmd := exec.Command(program, "-c")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Skip(err)
	}
	return out
}

// manifest reads the tree in whatever bytes hold one.
func manifest(t *testing.T, data []byte) *tree.Manifest {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := convert.ReadManifest(ctx, &disk.Runner{}, name, tree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func (h *house) blob(digest string) []byte {
	h.t.Helper()
	f, err := h.blobs.Open(digest)
	if err != nil {
		h.t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// TestArchivesBoot uploads a tree in each form: it stays as it came, and nodes get one
// disk of it.
func TestArchivesBoot(t *testing.T) {
	h := newWorkshop(t, image.Options{})
	plain, want := packed(t, tarball.Plain), treetest.Manifest(t, small())
	var dumped bytes.Buffer
	if f, err := os.CreateTemp(t.TempDir(), ""); err != nil {
		t.Fatal(err)
	} else if err := dump.Write(ctx, f, dump.Options{Compress: true, Label: "root", Dir: "/"}, small()); err != nil {
		t.Fatal(err)
	} else if _, err := dumped.ReadFrom(io.NewSectionReader(f, 0, 1<<30)); err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{"tar": plain, "gz": packed(t, tarball.Gzip), "zst": packed(t, tarball.Zstd), "xz": by(t, plain, "xz"), "bz2": by(t, plain, "bzip2"), "dump": dumped.Bytes()}
	if os.Getenv("HEARTH_E2E") == "" { // tarball's own tests have all packings
		delete(all, "tar")
		delete(all, "zst")
		delete(all, "bz2")
	}
	for name, data := range all {
		img := h.image(ann, m{"name": name})
		if err := h.upload(img.ID, data); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		img = h.get(img.ID)
		if img.Status != cloud.ImageActive || img.Made == nil || img.Size != int64(len(data)) || img.VirtualSize != img.Made.Size || !bytes.Equal(h.blob(img.Digest), data) {
			t.Errorf("%s: %+v", name, img)
			continue
		}
		ref := img.Ref()
		if ref.Format != "raw" || ref.Digest != img.Made.Digest || ref.Digest == img.Digest || ref.Size != ref.VirtualSize {
			t.Errorf("%s: nodes get %+v", name, ref)
		}
		treetest.Equal(t, name, want, manifest(t, h.blob(ref.Digest)))
		again := h.image(ann, m{"name": name})
		if err := h.upload(again.ID, data); err != nil || h.get(again.ID).Made == nil || *h.get(again.ID).Made != *img.Made {
			t.Errorf("%s: the same bytes have another disk: %v, %v", name, h.get(again.ID).Made, err)
		}
		if err := h.Delete(ctx, ann, img.ID); err != nil {
			t.Error(err)
		}
		h.rest(2)
		if err := h.Recover(ctx); err != nil {
			t.Error(err)
		}
		h.rest(2)
		if err := h.Delete(ctx, ann, again.ID); err != nil {
			t.Error(err)
		}
		h.rest(0)
	}
	broken := packed(t, tarball.Gzip)
	img := h.image(ann, nil)
	if err := h.upload(img.ID, broken[:len(broken)-9]); !cloud.Is(err, cloud.Invalid) || h.get(img.ID).Status != cloud.ImageQueued {
		t.Errorf("an archive that is cut short: %v", err)
	}
	h.rest(0)
}

// appliance is an OVA of a small disk, and the raw disk.
func appliance(t *testing.T) (pack, raw []byte) {
	t.Helper()
	dir := t.TempDir()
	raw = bytes.Repeat([]byte("hearth.."), 1<<17)
	if err := os.WriteFile(filepath.Join(dir, "raw"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "x.ova")
	if _, err := convert.OVA(ctx, &disk.Runner{}, convert.Options{Source: filepath.Join(dir, "raw"), Target: out}, ova.Machine{Name: "x", CPUs: 2, MemoryMB: 300, Firmware: "efi"}); err != nil {
		t.Fatal(err)
	}
	pack, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return pack, raw
}

func TestPackages(t *testing.T) {
	h := newWorkshop(t, image.Options{})
	pack, raw := appliance(t)
	as := m{"container_format": "ova", "disk_format": "vmdk", "hw_disk_bus": "virtio"}
	img := h.image(ann, as)
	if err := h.upload(img.ID, pack); err != nil {
		t.Fatal(err)
	}
	img = h.get(img.ID)
	if img.VirtualSize != int64(len(raw)) || img.Ref().Format != "ova" || img.MinRAMMB != 300 || img.Properties["hw_firmware_type"] != "uefi" || img.Properties["hw_disk_bus"] != "virtio" {
		t.Errorf("%+v", img)
	}
	for form, same := range map[string][]byte{"raw": raw, "ova": pack} {
		r, err := h.Converted(ctx, ann, img.ID, form)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, same) {
			t.Errorf("%s: %d bytes, %v", form, len(got), err)
		}
		r.Close()
	}
	at := bytes.Index(pack, []byte("KDMV")) + 70000
	bad := bytes.Clone(pack)
	bad[min(at, len(bad)-2000)] ^= 1
	for what, c := range map[string]struct {
		as   m
		data []byte
		says string
	}{
		"damaged": {as, bad, "not what the manifest says"}, "cut short": {as, pack[:len(pack)/2], "cut short"}, "no package": {as, raw, "container_format is ova"},
		"another disk": {m{"container_format": "ova", "disk_format": "qcow2"}, pack, "named qcow2"}, "named raw": {nil, pack, "container_format ova"},
	} {
		other := h.image(ann, c.as)
		if err := h.upload(other.ID, c.data); !cloud.Is(err, cloud.Invalid) || !strings.Contains(cloud.Message(err), c.says) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestRenditions takes an image out in each form, and puts each in again.
func TestRenditions(t *testing.T) {
	h := newWorkshop(t, image.Options{})
	img := h.image(ann, nil)
	if err := h.upload(img.ID, packed(t, tarball.Zstd)); err != nil {
		t.Fatal(err)
	}
	img = h.get(img.ID)
	disks, want := h.blob(img.Made.Digest), treetest.Manifest(t, small())
	forms := image.Forms()
	if os.Getenv("HEARTH_E2E") == "" { // convert's own tests have all formats
		forms = []string{"raw", "vhd", "ova", "tar.zst", "dump"}
	}
	for _, form := range forms {
		r, err := h.Converted(ctx, ann, img.ID, form)
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		got, err := io.ReadAll(r)
		r.Close()
		if sum := md5.Sum(got); err != nil || int64(len(got)) != r.Size || form != "raw" && hex.EncodeToString(sum[:]) != r.MD5 {
			t.Errorf("%s: %d bytes of %d, %v", form, len(got), r.Size, err)
		}
		if form == "raw" && !bytes.Equal(got, disks) {
			t.Error("the raw disk is not the one that nodes boot")
		}
		as := m{"disk_format": form}
		switch {
		case form == "ova":
			as = m{"disk_format": "vmdk", "container_format": "ova"}
		case form == "dump" || strings.HasPrefix(form, "tar"):
			as = nil
		}
		back := h.image(ann, as)
		if err := h.upload(back.ID, got); err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		r, err = h.Converted(ctx, ann, back.ID, "tar.gz")
		if err != nil {
			t.Errorf("%s to tar.gz: %v", form, err)
			continue
		}
		got, _ = io.ReadAll(r)
		r.Close()
		treetest.Equal(t, form, want, manifest(t, got))
		again, err := h.Converted(ctx, ann, back.ID, "tar.gz")
		if err != nil || again.Tag != r.Tag {
			t.Errorf("%s: made twice: %v", form, err)
		} else {
			again.Close()
		}
	}
	_, err := h.Converted(ctx, bob, img.ID, "raw")
	want2(t, err, cloud.NotFound)
	if err := h.Deactivate(ctx, admin, img.ID); err != nil {
		t.Fatal(err)
	}
	_, err = h.Converted(ctx, ann, img.ID, "raw")
	want2(t, err, cloud.Forbidden)
}

func want2(t *testing.T, err error, kind cloud.Kind) {
	t.Helper()
	if !cloud.Is(err, kind) {
		t.Errorf("%v, want %s", err, kind)
	}
}

// TestImportsAreConverted has the operator's setting and the request say the format.
func TestImportsAreConverted(t *testing.T) {
	h := newWorkshop(t, image.Options{ConvertTo: "qcow2", Source: serving(bytes.Repeat([]byte("disk"), 1<<18))})
	pack, raw := appliance(t)
	staged := func(as m, data []byte, task cloud.ImageTask) cloud.Image {
		t.Helper()
		img := h.image(ann, as)
		if err := h.Stage(ctx, ann, img.ID, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		if done := h.step(h.imports(img.ID, task).ID); done.Status != cloud.TaskSuccess {
			t.Fatalf("%+v", done)
		}
		return h.get(img.ID)
	}
	vmdk := direct()
	vmdk.Format = "vmdk"
	toRaw := direct()
	toRaw.Format = "raw"
	web := h.image(ann, nil)
	if done := h.step(h.imports(web.ID, fromWeb()).ID); done.Status != cloud.TaskSuccess {
		t.Fatalf("%+v", done)
	}
	for what, c := range map[string]struct {
		img    cloud.Image
		format string
		size   int64
	}{
		"raw": {staged(nil, raw, direct()), "qcow2", int64(len(raw))}, "a request": {staged(nil, raw, vmdk), "vmdk", int64(len(raw))},
		"from the web": {h.get(web.ID), "qcow2", 4 << 18}, "a package": {staged(m{"container_format": "ova", "disk_format": "vmdk"}, pack, toRaw), "raw", int64(len(raw))},
		"an archive": {staged(nil, packed(t, tarball.Gzip), direct()), "qcow2", 64 << 20},
	} {
		data := h.blob(c.img.Digest)
		info, err := disk.Detect(bytes.NewReader(data), int64(len(data)))
		sum := md5.Sum(data)
		if err != nil || string(info.Format) != c.format || c.img.DiskFormat != c.format || c.img.ContainerFormat != "bare" || c.img.VirtualSize != info.VirtualSize || c.img.VirtualSize < c.size ||
			c.img.Size != int64(len(data)) || c.img.Checksum != hex.EncodeToString(sum[:]) || c.img.Made != nil {
			t.Errorf("%s: %+v, %v", what, c.img, err)
		}
	}
	bad := direct()
	bad.Format = "floppy"
	img := h.image(ann, nil)
	if err := h.Stage(ctx, ann, img.ID, bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	_, err := h.Import(ctx, ann, img.ID, "", bad)
	want(t, err, cloud.Invalid, "qcow2, raw")
}
