package guestfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"hearth/internal/disk"
	"hearth/internal/disk/ext4"
	"hearth/internal/disk/f2fs"
	"hearth/internal/disk/lvm"
)

const maxLogical = 64 // partitions inside an extended one

// scan finds the table and what each partition has.
func (d *Disk) scan() error {
	if whole := d.volume(disk.Partition{Size: d.Size}); whole.Content != "" {
		d.add(whole)
		return nil
	}
	table, err := disk.ReadTable(d.r, d.Size)
	if disk.KindOf(err) != "" {
		d.Broken = err
		return nil
	}
	if err != nil || table == nil {
		return err
	}
	d.Scheme = table.Scheme
	for _, p := range table.Partitions {
		switch p.Type {
		case "05", "0f", "85":
			if table.Scheme == disk.SchemeMBR {
				logical, err := d.logical(p)
				if err != nil {
					return err
				}
				for _, l := range logical {
					d.add(d.volume(l))
				}
				continue
			}
		}
		d.add(d.volume(p))
	}
	return nil
}

// add lists a volume, and what LVM has put into it.
func (d *Disk) add(v *Volume) {
	d.Volumes = append(d.Volumes, v)
	if v.Content != "lvm" {
		return
	}
	list, err := lvm.Read(d.r, v.Start, v.Size)
	if err != nil {
		v.Note = err.Error()
		return
	}
	v.Note = "it holds logical volumes"
	for _, l := range list {
		in := &Volume{Partition: v.Partition, Content: "", Note: l.Note}
		if l.Note == "" {
			in = d.volume(disk.Partition{Number: v.Partition, Start: l.Start, Size: l.Size})
		}
		in.Group, in.Logical = l.Group, l.Name
		d.Volumes = append(d.Volumes, in)
	}
}

// logical follows the chain of boot records inside an extended partition. A
// chain that leaves it, or goes back, ends there.
func (d *Disk) logical(ext disk.Partition) (list []disk.Partition, err error) {
	at, b := int64(0), make([]byte, 512)
	for len(list) < maxLogical {
		if _, err := d.r.ReadAt(b, ext.Start+at); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if b[510] != 0x55 || b[511] != 0xaa {
			return list, nil
		}
		entry := func(i int) (kind byte, start, size int64) {
			e := b[446+16*i:]
			return e[4], int64(binary.LittleEndian.Uint32(e[8:])) * 512, int64(binary.LittleEndian.Uint32(e[12:])) * 512
		}
		if kind, start, size := entry(0); kind != 0 && size > 0 && at+start+size <= ext.Size {
			list = append(list, disk.Partition{Number: 5 + len(list), Start: ext.Start + at + start, Size: size, Type: fmt.Sprintf("%02x", kind)})
		}
		kind, next, _ := entry(1)
		if kind == 0 || next <= at || next >= ext.Size {
			return list, nil
		}
		at = next
	}
	return list, nil
}

// marks of contents that are told apart, besides ext. Sources: blkid's
// superblock probes, in order of what would be mistaken for another.
var marks = []struct {
	content string
	at      int64
	bytes   string
}{
	{"xfs", 0, "XFSB"}, {"luks", 0, "LUKS\xba\xbe"}, {"ntfs", 3, "NTFS    "}, {"squashfs", 0, "hsqs"},
	{"vfat", 0x52, "FAT32   "}, {"vfat", 0x36, "FAT16   "}, {"vfat", 0x36, "FAT12   "}, {"exfat", 3, "EXFAT   "},
	{"lvm", 512 + 24, "LVM2 001"}, {"lvm", 24, "LVM2 001"}, {"swap", 4096 - 10, "SWAPSPACE2"}, {"btrfs", 0x10040, "_BHRfS_M"},
	{"f2fs", 1024, "\x10\x20\xf5\xf2"}, {"iso9660", 0x8001, "CD001"}, {"zfs", 128<<10 + 0x3f8, "\x11\x7a\x0c\xb1\x7a\xda\x10\x02"},
}

// volume looks at what lies in a partition.
func (d *Disk) volume(p disk.Partition) *Volume {
	v := &Volume{Partition: p.Number, Start: p.Start, Size: p.Size, Type: p.Type, Bootable: p.Bootable}
	fs, err := ext4.Open(d.r, p.Start, p.Size)
	switch {
	case err != nil:
		v.Content, v.Note = "ext", err.Error()
		return v
	case fs != nil:
		v.fs, v.Used, v.Label, v.UUID = fs, fs.Used(), fs.Label, uuid(fs.UUID[:])
		v.Content = fs.Flavour()
		if fs.NeedsRecovery {
			v.Note = "it was not unmounted: what its journal holds is not seen until it is replayed"
		}
		return v
	}
	for _, m := range marks {
		if d.has(p, m.at, m.bytes) {
			v.Content, v.Note = m.content, noteOf(m.content)
			d.identify(v)
			return v
		}
	}
	return v
}

func (d *Disk) has(p disk.Partition, at int64, mark string) bool {
	if at+int64(len(mark)) > p.Size {
		return false
	}
	b := make([]byte, len(mark))
	n, _ := d.r.ReadAt(b, p.Start+at)
	return string(b[:n]) == mark
}

// identify reads the label and the UUID where they lie at a fixed place.
func (d *Disk) identify(v *Volume) {
	b := make([]byte, 0x11000)
	n, _ := d.r.ReadAt(b[:min(int64(len(b)), v.Size)], v.Start)
	clear(b[n:])
	text := func(from, to int) string { return string(bytes.TrimRight(b[from:to], "\x00 ")) }
	v.Used = usedOf(v.Content, b, v.Size)
	switch v.Content {
	case "f2fs":
		d.identifyF2FS(v)
	case "xfs":
		v.UUID, v.Label = uuid(b[32:48]), text(108, 120)
	case "btrfs":
		v.UUID, v.Label = uuid(b[0x10020:0x10030]), text(0x1012b, 0x1022b)
	case "swap":
		v.UUID, v.Label = uuid(b[1036:1052]), text(1052, 1068)
	case "vfat":
		id := 0x43
		if string(b[0x36:0x39]) == "FAT" { // not FAT32
			id = 0x27
		}
		v.UUID, v.Label = fmt.Sprintf("%02X%02X-%02X%02X", b[id+3], b[id+2], b[id+1], b[id]), text(id+4, id+15)
	}
}

// identifyF2FS reads them of an f2fs, whose checkpoint tells what is used.
func (d *Disk) identifyF2FS(v *Volume) {
	s, err := f2fs.Read(d.r, v.Start, v.Size)
	if err != nil || s == nil {
		v.Note = fmt.Sprintf("the f2fs cannot be read: %v", err)
		return
	}
	v.UUID, v.Label, v.Used = uuid(s.UUID[:]), s.Label, s.Used()
	switch {
	case s.Devices:
		v.Note += "; it lies on other disks too"
	case s.Broken:
		v.Note += "; Linux found an error in it, which fsck.f2fs may mend"
	case s.Checked && !s.Clean:
		v.Note += "; it was not unmounted"
	}
}

func uuid(b []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
