package main

import (
	"archive/tar"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// level is the goal beside a tool that hearth could as well have used itself: not
// slower by more than a tenth.
const level = 1 / 1.1

// races are all that is measured.
func (s *shop) races() []race {
	convert := func(args ...string) []string { return append([]string{"image", "convert"}, args...) }
	return []race{
		{
			what: "raw → qcow2, zlib", other: "qemu-img convert -c", atLeast: level, made: [2]string{"ours.qcow2", "theirs.qcow2"},
			ours:   convert("disk.raw", "--to", "qcow2", "--compress", "zlib", "-o", "ours.qcow2"),
			theirs: []string{"qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "disk.raw", "theirs.qcow2"},
		},
		{
			what: "raw → qcow2, zstd", other: "qemu-img convert -c -o compression_type=zstd", atLeast: level, made: [2]string{"ours.qcow2", "theirs.qcow2"},
			ours:   convert("disk.raw", "--to", "qcow2", "--compress", "zstd", "-o", "ours.qcow2"),
			theirs: []string{"qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zstd", "disk.raw", "theirs.qcow2"},
		},
		{
			what: "raw → qcow2", other: "qemu-img convert", atLeast: level, made: [2]string{"ours.qcow2", "theirs.qcow2"},
			ours:   convert("disk.raw", "--to", "qcow2", "-o", "ours.qcow2"),
			theirs: []string{"qemu-img", "convert", "-f", "raw", "-O", "qcow2", "disk.raw", "theirs.qcow2"},
		},
		{
			what: "qcow2 → AMI, shrunk", other: "the manual pipeline (dd, loop mount, e2fsck, resize2fs -M, dd)", atLeast: 3, made: [2]string{"ours.ext4", "theirs.ext4"},
			ours:   convert("disk.qcow2", "--to", "ami", "-o", "ours"),
			theirs: []string{"bash", "-euc", manual},
		},
		{
			what: "tar → bootable qcow2", other: "virt-make-fs (its disk does not boot)", files: true, atLeast: 3, made: [2]string{"ours.qcow2", "theirs.qcow2"}, env: s.guestfs(),
			ours:   convert("tree.tar", "--to", "qcow2", "-o", "ours.qcow2"),
			theirs: []string{"virt-make-fs", "--format=qcow2", "--type=ext4", "--partition=mbr", "--size=+300M", "tree.tar", "theirs.qcow2"},
		},
		{
			what: "tar → bootable qcow2, zlib", other: `tar x, kiwi-ng system create (image="oem", the tree's initrd)`, tool: "kiwi-ng", files: true, atLeast: 3, made: [2]string{"ours.qcow2", "theirs.qcow2"},
			input:  s.debian,
			ours:   convert("debian.tar", "--to", "qcow2", "--compress", "zlib", "-o", "ours.qcow2"),
			theirs: []string{"bash", "-euc", kiwi, "none"},
		},
		{
			what: "tar → bootable qcow2, zlib", other: `the same with KIWI's own initrd`, tool: "kiwi-ng", files: true, atLeast: 3, made: [2]string{"ours.qcow2", "theirs.qcow2"},
			input:  s.debian,
			ours:   convert("debian.tar", "--to", "qcow2", "--compress", "zlib", "-o", "ours.qcow2"),
			theirs: []string{"bash", "-euc", kiwi, "dracut"},
		},
		{
			what: "tar → qcow2", other: "tar x, mke2fs -d, qemu-img convert (their disk does not boot)", files: true, atLeast: level, made: [2]string{"ours.qcow2", "theirs.qcow2"},
			ours:   convert("tree.tar", "--to", "qcow2", "-o", "ours.qcow2"),
			theirs: byHand("tree.tar", "750M"),
		},
		{
			what: "tar of 100,000 files, 1 GB → qcow2", other: "tar x, mke2fs -d, qemu-img convert", files: true, atLeast: level, made: [2]string{"ours.qcow2", "theirs.qcow2"},
			input:  func(context.Context) error { return manyFiles(filepath.Join(s.work, "many.tar"), 100000, 10<<10) },
			ours:   convert("many.tar", "--to", "qcow2", "-o", "ours.qcow2"),
			theirs: byHand("many.tar", "1800M"),
		},
		{
			what: "tar with a sparse file of 10 GB → qcow2", other: "tar x, mke2fs -d, qemu-img convert", atLeast: level, made: [2]string{"ours.qcow2", "theirs.qcow2"},
			input:  func(ctx context.Context) error { return sparseFile(ctx, s.work, "sparse.tar", 10<<30) },
			ours:   convert("sparse.tar", "--to", "qcow2", "-o", "ours.qcow2"),
			theirs: byHand("sparse.tar", "400M"),
		},
		{
			what: "a key and a name into a qcow2", other: "virt-customize", atLeast: 3, env: s.guestfs(),
			before: func() error { return overlay(s.work) },
			ours:   []string{"image", "inject", "--ssh-key", "key.pub", "--hostname", "web1", "ours.qcow2"},
			theirs: []string{"virt-customize", "-q", "-a", "theirs.qcow2", "--hostname", "web1", "--ssh-inject", "root:file:key.pub"},
		},
	}
}

// kiwi has KIWI make a disk of an unpacked tree with GRUB and dracut in it, which it
// packs by zlib. Partitions are mapped by partx, for kernels without a device mapper:
// parted has told the kernel of them before, so that they are brought up to date
// instead of added.
const kiwi = `
mkdir theirs.root theirs.out theirs.bin
trap 'rm -rf theirs.root theirs.out theirs.bin theirs.yml' EXIT
tar -xf debian.tar -C theirs.root
mkdir theirs.root/image
cat >theirs.root/image/config.xml <<X
<?xml version="1.0" encoding="utf-8"?>
<image schemaversion="7.4" name="small">
  <description type="system"><author>x</author><contact>x@example.org</contact><specification>a tree</specification></description>
  <preferences><version>1.0.0</version><packagemanager>apt</packagemanager>
    <type image="oem" filesystem="ext4" firmware="bios" format="qcow2" initrd_system="$0" kernelcmdline="console=ttyS0">
      <bootloader name="grub2" timeout="1"/>
      <oemconfig><oem-resize>false</oem-resize></oemconfig>
    </type>
  </preferences>
  <repository type="apt-deb" distribution="bookworm"><source path="http://deb.debian.org/debian"/></repository>
  <packages type="image"/>
  <packages type="bootstrap"/>
</image>
X
printf 'mapper:\n  - part_mapper: partx\n' >theirs.yml
printf '#!/bin/sh\n[ "$1" != --add ] || exec %s --update "$2"\nexec %s "$@"\n' "$(command -v partx)" "$(command -v partx)" >theirs.bin/partx
chmod 755 theirs.bin/partx
PATH=$PWD/theirs.bin:$PATH kiwi-ng --config "$PWD/theirs.yml" system create --root "$PWD/theirs.root" --target-dir "$PWD/theirs.out"
mv theirs.out/*.qcow2 theirs.qcow2
`

// debian makes a tree with what KIWI wants in it, unless -tree named one.
func (s *shop) debian(ctx context.Context) error {
	to := filepath.Join(s.work, "debian.tar")
	if _, err := os.Lstat(to); err == nil {
		return nil
	}
	if s.tree != "" {
		tree, err := filepath.Abs(s.tree)
		if err != nil {
			return err
		}
		return os.Symlink(tree, to)
	}
	_, err := measure(ctx, s.work, []string{"mmdebstrap", "--variant=minbase", "--include=linux-image-cloud-amd64,dracut,grub-pc,grub2-common,systemd-sysv,udev,e2fsprogs", "bookworm", to}, nil)
	return err
}

// byHand makes a disk without a boot loader of an archive, as one would with the
// tools underneath.
func byHand(archive, size string) []string {
	return []string{"bash", "-euc", `
mkdir theirs.tree
trap 'rm -rf theirs.tree theirs.root' EXIT
tar -xf "$0" -C theirs.tree
mke2fs -q -F -t ext4 -b 4096 -N "$(($(find theirs.tree | wc -l) * 5 / 4 + 64))" -d theirs.tree theirs.root "$1"
qemu-img convert -f raw -O qcow2 theirs.root theirs.qcow2
`, archive, size}
}

// manyFiles writes an archive of n files of size bytes each, a hundred in a folder.
func manyFiles(path string, n, size int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	content, random := make([]byte, size), rand.NewChaCha8([32]byte{})
	for i := range n {
		_, _ = random.Read(content) // it never fails
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("srv/%d/%d", i/100, i), Size: int64(size), Mode: 0o644}); err != nil {
			return err
		}
		if _, err := w.Write(content); err != nil {
			return err
		}
	}
	return w.Close()
}

// sparseFile has GNU tar write an archive of a file with a little data in each GiB.
func sparseFile(ctx context.Context, dir, archive string, size int64) error {
	const name = "sparse.file"
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	for at := int64(0); at < size; at += 1 << 30 {
		if _, err := f.WriteAt(make([]byte, 64<<10), at); err != nil {
			return err
		}
		if _, err := f.WriteAt([]byte("data"), at); err != nil {
			return err
		}
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "tar", "--sparse", "-cf", archive, name)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	return nil
}

// manual is what seeds/001 does by hand, with the numbers read instead of typed.
const manual = `
qemu-img convert -O raw disk.qcow2 theirs.raw
read -r start count < <(sfdisk -d theirs.raw | sed -n 's/.*start= *\([0-9]*\), size= *\([0-9]*\), type=83.*/\1 \2/p')
dd if=theirs.raw of=theirs.ext4 bs=1024 skip=$((start / 2)) count=$((count / 2)) status=none
loop=$(losetup -f --show theirs.ext4)
trap 'umount theirs.mnt 2>/dev/null || true; losetup -d "$loop" 2>/dev/null || true; rmdir theirs.mnt 2>/dev/null || true' EXIT
mkdir theirs.mnt
mount "$loop" theirs.mnt
cp theirs.mnt/boot/vmlinuz-* theirs.vmlinuz
cp theirs.mnt/boot/initrd.img-* theirs.initrd
umount theirs.mnt
e2fsck -fy "$loop" || [ $? -le 1 ]
resize2fs -M "$loop"
read -r blocks size < <(dumpe2fs -h "$loop" 2>/dev/null | awk '/^Block count:/ {b = $3} /^Block size:/ {s = $3} END {print b, s}')
losetup -d "$loop"
dd if=theirs.ext4 of=theirs-reduced.ext4 bs="$size" count="$blocks" status=none
mv theirs-reduced.ext4 theirs.ext4
rm theirs.raw
`

// prepare makes what the races begin with.
func (s *shop) prepare(ctx context.Context) error {
	disk, err := filepath.Abs(s.disk)
	if err != nil {
		return err
	}
	if err := os.Symlink(disk, filepath.Join(s.work, "disk.raw")); err != nil {
		return err
	}
	for _, line := range [][]string{
		{"qemu-img", "convert", "-f", "raw", "-O", "qcow2", "disk.raw", "disk.qcow2"},
		{s.bin, "image", "convert", "disk.raw", "--to", "tar", "-o", "tree.tar"},
		{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "key"},
	} {
		if _, err := measure(ctx, s.work, line, nil); err != nil {
			return fmt.Errorf("%v: %w", line, err)
		}
	}
	return nil
}

// overlay gives both a copy of the disk.
func overlay(dir string) error {
	for _, name := range []string{"ours.qcow2", "theirs.qcow2"} {
		cmd := exec.Command("cp", "--sparse=always", "disk.qcow2", name) //nolint:noctx // a moment's work
		cmd.Dir = dir
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, said)
		}
	}
	return nil
}

// guestfs is the environment of libguestfs, which wants a kernel to boot: SUPERMIN_*
// if they are set, else one of /boot that it finds itself.
func (s *shop) guestfs() []string {
	return []string{"LIBGUESTFS_BACKEND=direct", "LIBGUESTFS_BACKEND_SETTINGS=force_tcg", "LIBGUESTFS_CACHEDIR=" + s.work}
}

// together is the memory that a process and all below it have, without what they
// share counted twice (PSS), in bytes.
func together(root int) (sum int64) {
	parents, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0
	}
	below := map[int][]int{}
	for _, path := range parents {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it ended
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		f := strings.Fields(rest)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if len(f) > 1 {
			parent, _ := strconv.Atoi(f[1])
			below[parent] = append(below[parent], pid)
		}
	}
	list := []int{root}
	for len(list) > 0 {
		pid := list[0]
		list = append(list[1:], below[pid]...)
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
				kib, _ := strconv.ParseInt(f[1], 10, 64)
				sum += kib << 10
			}
		}
	}
	return sum
}
