package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// mount is a volume that its owner wants mounted: under the key "hearth" of
// vendor_data.json, as Hearth's metadata has it.
type mount struct {
	Serial string `json:"serial"`
	Label  string `json:"label"`
	Path   string `json:"path"`
}

// parseMounts reads vendor_data.json. Other clouds have other things in it.
func parseMounts(b []byte) []mount {
	var v struct {
		Hearth struct {
			Mounts []mount `json:"mounts"`
		} `json:"hearth"`
	}
	if json.Unmarshal(b, &v) != nil {
		return nil
	}
	var out []mount
	for _, m := range v.Hearth.Mounts {
		if filepath.IsAbs(m.Path) && filepath.Clean(m.Path) == m.Path && m.Path != "/" {
			out = append(out, m)
		}
	}
	return out
}

// mountAll mounts the volumes that are there and not mounted yet.
func (g *guest) mountAll(mounts []mount) {
	for _, m := range mounts {
		dev := g.volume(m)
		if dev == "" || g.isMounted(m.Path) {
			continue
		}
		point := g.path(m.Path)
		err := os.MkdirAll(point, 0o755)
		if err == nil {
			err = syscall.Mount(dev, point, "ext4", syscall.MS_NOSUID|syscall.MS_NODEV, "")
		}
		if err != nil {
			g.say("volume %s (%s) not mounted at %s: %v", m.Serial, dev, m.Path, err)
			continue
		}
		g.say("volume %s (%s) mounted at %s", m.Serial, dev, m.Path)
	}
}

// volume names the block device of a volume: by the serial number of its disk, where
// the bus has one, else by the label of the file system on it; "" while it is not there.
func (g *guest) volume(m mount) string {
	disks, _ := filepath.Glob(g.path("sys/block/*"))
	labelled := ""
	for _, d := range disks {
		dev := g.path(filepath.Join("dev", filepath.Base(d)))
		serial, _ := os.ReadFile(filepath.Join(d, "serial"))
		if s := strings.TrimSpace(string(serial)); s != "" && s == m.Serial[:min(20, len(m.Serial))] {
			return dev
		}
		if labelled == "" && m.Label != "" && extLabel(dev) == m.Label {
			labelled = dev
		}
	}
	return labelled
}

// extLabel is the label of the ext file system on a device; "" for none.
func extLabel(dev string) string {
	f, err := os.Open(dev)
	if err != nil {
		return ""
	}
	defer f.Close()
	sb := make([]byte, 0x90)
	if _, err := f.ReadAt(sb, 1024); err != nil || binary.LittleEndian.Uint16(sb[0x38:]) != 0xef53 {
		return ""
	}
	label, _, _ := bytes.Cut(sb[0x78:0x88], []byte{0})
	return string(label)
}

// isMounted tells whether something is mounted at a path.
func (g *guest) isMounted(path string) bool {
	b, err := os.ReadFile(g.path("proc/self/mountinfo"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 4 && f[4] == path {
			return true
		}
	}
	return false
}

// ueventGroup is the multicast group of the kernel's own events (netlink(7),
// NETLINK_KOBJECT_UEVENT).
const ueventGroup = 1

// watchDisks mounts volumes as they come while the guest runs. It returns when the
// kernel tells of no devices.
func (g *guest) watchDisks() error {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK, Groups: ueventGroup}); err != nil {
		return err
	}
	buf := make([]byte, 16<<10)
	for {
		n, from, err := syscall.Recvfrom(fd, buf, 0)
		if errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.ENOBUFS) {
			continue
		}
		if err != nil {
			return fmt.Errorf("events of the kernel: %w", err)
		}
		if sender, ok := from.(*syscall.SockaddrNetlink); !ok || sender.Pid != 0 || !newDisk(buf[:n]) {
			continue // another process can write here too
		}
		g.mountAll(g.askMounts())
	}
}

// askMounts asks anew what is to be mounted.
func (g *guest) askMounts() []mount {
	for _, at := range g.services() {
		if status, body, err := get(at, "/"+latest+"vendor_data.json"); err == nil && status == 200 {
			return parseMounts(body)
		}
	}
	return nil
}

// newDisk tells whether an event is that of a disk that has come: "add@/devices/…",
// and then lines of NAME=value that end with a zero.
func newDisk(event []byte) bool {
	return bytes.HasPrefix(event, []byte("add@")) && bytes.Contains(event, []byte("\x00SUBSYSTEM=block\x00")) && bytes.Contains(event, []byte("\x00DEVTYPE=disk\x00"))
}
