// Package doctor looks at a host before a cloud runs on it: it names each thing
// that is missing, slow or in the way, what follows from it, and the fix. It
// changes nothing.
package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Grade is how bad a finding is.
type Grade string

// The grades. Only Missing keeps guests from running.
const (
	OK      Grade = "ok"
	Slow    Grade = "slow"    // works, slower than it could
	Absent  Grade = "absent"  // something optional is not there
	Missing Grade = "missing" // real guests cannot run without
)

// Finding is one line of the report.
type Finding struct {
	Name   string `json:"name"`
	Grade  Grade  `json:"grade"`
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
}

// Host is what the doctor looks at; tests give it another root.
type Host struct {
	Root     string // "/" in real life
	Path     string // as $PATH
	EUID     int
	Data     string // the data directory
	Listen   string
	UIDBase  int
	UIDCount int
	// Probes of the drivers; each gives a finding.
	Probes []func(ctx context.Context) Finding
}

// Examine gives every finding, in a fixed order.
func Examine(ctx context.Context, h Host) []Finding {
	all := []Finding{h.rights(), h.memory(), h.space()}
	for _, t := range tools {
		all = append(all, h.tool(t))
	}
	all = append(all, h.port(), h.users(), h.selinux())
	for _, probe := range h.Probes {
		all = append(all, probe(ctx))
	}
	return all
}

// tool is a program that Hearth starts.
type tool struct {
	name, pkg, use string
	grade          Grade // when it is not there
}

var tools = []tool{
	{"qemu-system-x86_64", "qemu-system-x86", "runs guests", Missing},
	{"qemu-img", "qemu-utils", "converts images", Missing},
	{"mke2fs", "e2fsprogs", "makes file systems", Missing},
	{"e2fsck", "e2fsprogs", "checks file systems before they grow", Missing},
	{"resize2fs", "e2fsprogs", "grows file systems to the flavor's size", Missing},
	{"debugfs", "e2fsprogs", "writes into images without mounting them", Missing},
	{"mmdebstrap", "mmdebstrap", "bakes Debian images", Absent},
	{"grub-mkimage", "grub-common", "makes images bootable", Absent},
	{"cpio", "cpio", "bakes ramdisks", Absent},
}

func (h Host) tool(t tool) Finding {
	f := Finding{Name: t.name, Grade: OK}
	for _, dir := range append(filepath.SplitList(h.Path), "/usr/sbin", "/sbin", "/usr/libexec") {
		path := filepath.Join(h.Root, dir, t.name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			f.Detail = path
			return f
		}
	}
	f.Grade, f.Detail, f.Fix = t.grade, "not found; it "+t.use, "apt-get install "+t.pkg
	return f
}

func (h Host) rights() Finding {
	if h.EUID == 0 {
		return Finding{Name: "rights", Grade: OK, Detail: "root: guests run under user ids of their own, networks in namespaces"}
	}
	return Finding{
		Name: "rights", Grade: Missing, Detail: "not root: network namespaces, bridges and taps cannot be made",
		Fix: "run as root for real guests; --driver fake, baking and the client verbs need no rights",
	}
}

func (h Host) memory() Finding {
	f := Finding{Name: "memory", Grade: OK}
	body, err := os.ReadFile(filepath.Join(h.Root, "proc/meminfo"))
	if err != nil {
		return Finding{Name: "memory", Grade: Absent, Detail: err.Error()}
	}
	var kb int
	for _, line := range strings.Split(string(body), "\n") {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kb, _ = strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	f.Detail = fmt.Sprintf("%d MB available", kb/1024)
	if kb < 1<<20 {
		f.Grade, f.Fix = Slow, "a small guest wants about 400 MB under emulation: free some memory"
	}
	return f
}

func (h Host) space() Finding {
	dir := h.Data
	for {
		if _, err := os.Stat(dir); err == nil || dir == "/" || dir == "." {
			break
		}
		dir = filepath.Dir(dir)
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return Finding{Name: "disk", Grade: Absent, Detail: err.Error()}
	}
	free := int64(fs.Bavail) * fs.Bsize >> 30
	f := Finding{Name: "disk", Grade: OK, Detail: fmt.Sprintf("%d GiB free for %s", free, h.Data)}
	if free < 5 {
		f.Grade, f.Fix = Slow, "images and disks are kept there: name a larger place with --data"
	}
	return f
}

func (h Host) port() Finding {
	l, err := net.Listen("tcp", h.Listen)
	if err != nil {
		return Finding{Name: "listen", Grade: Absent, Detail: fmt.Sprintf("%s is taken: %v", h.Listen, err), Fix: "a running cloud holds it, or choose another with --listen"}
	}
	l.Close()
	return Finding{Name: "listen", Grade: OK, Detail: h.Listen + " is free"}
}

func (h Host) selinux() Finding {
	body, err := os.ReadFile(filepath.Join(h.Root, "sys/fs/selinux/enforce"))
	mode := "off"
	if err == nil {
		mode = map[string]string{"0": "permissive", "1": "enforcing"}[strings.TrimSpace(string(body))]
	}
	return Finding{Name: "SELinux", Grade: OK, Detail: mode + ": Hearth works with it in any mode"}
}
