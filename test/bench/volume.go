package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/snapshots"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
)

// volumeMiB is what the image holds of its 2 GiB, and what is written into the
// volume before it is copied.
const volumeMiB = 256

// volume measures what is made of an image, of a volume and of a snapshot, where
// files can share blocks (XFS in a loop device) and on the file system of /tmp,
// against qemu-img convert of the same bytes and against a reflink.
func (b bench) volume() (out []figure) {
	image := twoGiB()
	defer os.Remove(image)
	for _, on := range []struct {
		name string
		at   func() (dir string, undo func())
	}{
		{"/tmp", func() (string, func()) { return "/tmp", func() {} }},
		{"XFS", loopXFS},
	} {
		dir, undo := on.at()
		undoing = undo
		out = append(out, b.volumesOn(dir, on.name, image)...)
		tidy()
		undoing = nil
		undo()
	}
	return out
}

// volumesOn measures in a directory, each copy beside what does the same by hand.
func (b bench) volumesOn(dir, name, image string) (out []figure) {
	c := b.newCloudIn(dir, "qemu")
	c.start()
	c.login()
	body, err := os.ReadFile(image)
	check(err)
	imageID := c.upload("two", "raw", bytes.NewReader(body))
	cold := c.volumeOf(volumes.CreateOpts{Size: 2, ImageID: imageID})
	check(exec.Command("qemu-io", "-f", cold.format(), "-c", fmt.Sprintf("write -P 7 1G %dM", volumeMiB), cold.path).Run())
	snap := c.snapshotOf(cold.id)
	var ofImage, ofVolume, ofSnapshot, asSnapshot, convertRatio, linkRatio, convert, link []float64
	ways := []struct {
		opts volumes.CreateOpts
		into *[]float64
	}{{volumes.CreateOpts{Size: 2, ImageID: imageID}, &ofImage}, {volumes.CreateOpts{SourceVolID: cold.id}, &ofVolume}, {volumes.CreateOpts{Size: 2, SnapshotID: snap.id}, &ofSnapshot}}
	for range b.runs {
		for _, way := range ways {
			v := c.volumeOf(way.opts)
			*way.into = append(*way.into, v.took.Seconds())
			check(volumes.Delete(context.Background(), c.volumes, v.id, nil).ExtractErr())
		}
		s := c.snapshotOf(cold.id)
		asSnapshot = append(asSnapshot, s.took.Seconds())
		check(snapshots.Delete(context.Background(), c.volumes, s.id).ExtractErr())
		by := c.byHand(cold, "qemu-img", "convert", "-f", cold.format(), "-O", "raw")
		convert = append(convert, by)
		convertRatio = append(convertRatio, ofVolume[len(ofVolume)-1]/by)
		if name == "XFS" {
			by := c.byHand(cold, "cp", "--reflink=always")
			link, linkRatio = append(link, by), append(linkRatio, ofVolume[len(ofVolume)-1]/by)
		}
	}
	on := ", on " + name
	out = append(out, plain("2 GB volume from an image new to the node"+on, "s", []float64{cold.took.Seconds()}),
		atMost("2 GB volume from a cached image"+on, 0.2, "s", ofImage), plain("snapshot of it"+on, "s", asSnapshot), plain("clone of it"+on, "s", ofVolume),
		plain("volume from the snapshot"+on, "s", ofSnapshot), plain("qemu-img convert of it"+on, "s", convert))
	if name != "XFS" {
		return append(out, atMost("clone against qemu-img convert"+on, 1.1, "×", convertRatio))
	}
	return append(out, plain("cp --reflink of it"+on, "s", link), plain("clone against cp --reflink"+on, "×", linkRatio), atMost("clone against qemu-img convert"+on, 0.2, "×", convertRatio))
}

// disk is a volume or snapshot that was made, and how long that took.
type disk struct {
	id, path string
	took     time.Duration
}

// format of the disk's file, by its first bytes: it is our own.
func (d disk) format() string {
	f, err := os.Open(d.path)
	check(err)
	defer f.Close()
	var magic [4]byte
	_, err = f.Read(magic[:])
	check(err)
	if string(magic[:]) == "QFI\xfb" {
		return "qcow2"
	}
	return "raw"
}

// volumeOf makes a volume and waits until it is there.
func (c *aCloud) volumeOf(opts volumes.CreateOpts) disk {
	ctx := context.Background()
	began := time.Now()
	v, err := volumes.Create(ctx, c.volumes, opts, nil).Extract()
	check(err)
	return c.there(began, v.ID, func() (string, error) {
		v, err := volumes.Get(ctx, c.volumes, v.ID).Extract()
		if err != nil {
			return "", err
		}
		return v.Status, nil
	})
}

// snapshotOf makes a snapshot and waits until it is there.
func (c *aCloud) snapshotOf(volume string) disk {
	ctx := context.Background()
	began := time.Now()
	s, err := snapshots.Create(ctx, c.volumes, snapshots.CreateOpts{VolumeID: volume}).Extract()
	check(err)
	return c.there(began, s.ID, func() (string, error) {
		s, err := snapshots.Get(ctx, c.volumes, s.ID).Extract()
		if err != nil {
			return "", err
		}
		return s.Status, nil
	})
}

// there asks every millisecond until a disk is available.
func (c *aCloud) there(began time.Time, id string, status func() (string, error)) disk {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		now, err := status()
		check(err)
		if took := time.Since(began); now == "available" {
			found, err := filepath.Glob(filepath.Join(c.data, "node", "*", "storage", "disks", "*"+id, "disk"))
			check(err)
			if len(found) != 1 {
				check(fmt.Errorf("the disk of %s is not where disks are: %q", id, found))
			}
			return disk{id, found[0], took}
		}
		if now == "error" || time.Since(began) > time.Minute {
			check(fmt.Errorf("volume or snapshot %s is %s", id, now))
		}
	}
}

// byHand copies a disk with a command, which is given the source and the target
// last, into the directory where the cloud's own are, and gives the seconds.
func (c *aCloud) byHand(d disk, command ...string) float64 {
	target := filepath.Join(c.data, "by-hand")
	defer os.Remove(target)
	cmd := exec.Command(command[0], append(command[1:], d.path, target)...)
	cmd.Stderr = os.Stderr
	began := time.Now()
	check(cmd.Run())
	return time.Since(began).Seconds()
}

// twoGiB writes a raw image of 2 GiB of which a part is not zero.
func twoGiB() string {
	f, err := os.CreateTemp("/tmp", "hearth-bench-image-")
	check(err)
	data := make([]byte, volumeMiB<<20)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(data)
	_, err = f.Write(data)
	check(err)
	check(f.Truncate(2 << 30))
	check(f.Close())
	return f.Name()
}

// loopXFS mounts a file as XFS, whose files can share blocks.
func loopXFS() (dir string, undo func()) {
	file, err := os.CreateTemp("/tmp", "hearth-bench-xfs-")
	check(err)
	check(file.Truncate(8 << 30))
	check(file.Close())
	dir, err = os.MkdirTemp("/tmp", "hearth-bench-mount-")
	check(err)
	for _, cmd := range [][]string{{"mkfs.xfs", "-q", "-m", "reflink=1", file.Name()}, {"mount", "-o", "loop", file.Name(), dir}} {
		out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput()
		if err != nil {
			check(fmt.Errorf("%s: %w: %s", cmd[0], err, out))
		}
	}
	check(os.Chmod(dir, 0o711)) //nolint:gosec // guests' users pass through
	return dir, func() {
		_ = exec.Command("umount", dir).Run()
		_ = os.Remove(dir)
		_ = os.Remove(file.Name())
	}
}
