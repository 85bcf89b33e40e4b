package ganeti

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/osdef"
	"hearth/internal/disk/tarball"
)

// configFile is what gnt-backup export writes beside the dumps.
const configFile = "config.ini"

// Export is a folder of gnt-backup's: config.ini, and the dump of each disk as the
// definition's export script wrote it, packed or not. Source of the format:
// FinalizeExport in lib/backend.py of Ganeti 3.0.
type Export struct {
	Dir      string
	Instance string
	OS       string
	Memory   int64 // bytes; 0 if it is not said
	MACs     []string
	Disks    []ExportedDisk
}

// ExportedDisk is one disk of an [Export].
type ExportedDisk struct {
	Dump string // the file, within the folder
	Size int64  // bytes
}

// IsExport tells whether a path is such a folder.
func IsExport(dir string) bool {
	st, err := os.Stat(filepath.Join(dir, configFile))
	return err == nil && st.Mode().IsRegular()
}

// ReadExport reads the config.ini of a folder of gnt-backup's.
func ReadExport(dir string) (*Export, error) {
	f, err := disk.Open(filepath.Join(dir, configFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxValue))
	if err != nil {
		return nil, err
	}
	e, err := parseExport(string(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	e.Dir = dir
	return e, nil
}

// ini reads sections of NAME = VALUE.
func ini(text string) map[string]map[string]string {
	all, section := map[string]map[string]string{}, map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			section = map[string]string{}
			all[line[1:len(line)-1]] = section
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if ok && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ";") {
			section[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return all
}

func parseExport(text string) (*Export, error) {
	all := ini(text)
	export, instance := all["export"], all["instance"]
	if export == nil || instance == nil {
		return nil, errors.New("there are no sections export and instance: it is no export of gnt-backup")
	}
	if v := export["version"]; v != "0" {
		return nil, fmt.Errorf("the export has version %q; only 0 is known", v)
	}
	e := &Export{Instance: instance["name"], OS: export["os"]}
	for _, name := range []string{"maxmem", "memory"} {
		mb, err := number(instance, name, 0, 64<<20, 0)
		if err != nil {
			return nil, err
		}
		if e.Memory == 0 {
			e.Memory = int64(mb) << 20
		}
	}
	for i := range maxDisks {
		key := fmt.Sprintf("disk%d_", i)
		mb, err := number(instance, key+"size", 0, 1<<30, 0)
		if err != nil {
			return nil, err
		}
		name := instance[key+"dump"]
		if name == "" {
			break
		}
		if name != filepath.Base(name) || name == ".." || name == "." {
			return nil, fmt.Errorf("%sdump is %q, which is no name of a file in the folder", key, name)
		}
		e.Disks = append(e.Disks, ExportedDisk{Dump: name, Size: int64(mb) << 20})
	}
	if len(e.Disks) == 0 {
		return nil, errors.New("the export has no disk")
	}
	for i := range maxNICs {
		if mac := instance[fmt.Sprintf("nic%d_mac", i)]; mac != "" {
			e.MACs = append(e.MACs, mac)
		}
	}
	return e, nil
}

// Unpack takes the dump of a disk into a folder and gives the file that is to be
// deployed: the image of a disk, or the dump of its root with that of /boot beside.
func (e *Export) Unpack(ctx context.Context, index int, dir string) (string, error) {
	if index >= len(e.Disks) {
		return "", fmt.Errorf("the export has %d disks", len(e.Disks))
	}
	f, err := disk.Open(filepath.Join(e.Dir, e.Disks[index].Dump))
	if err != nil {
		return "", err
	}
	defer f.Close()
	in, err := tarball.Unpack(f)
	if err != nil {
		return "", err
	}
	return unpack(ctx, in, dir)
}

// WriteExport makes a folder that gnt-backup import takes: of the disk image in the
// raw file from, for an instance of this name, memory in bytes and definition, such
// as "hearth+default". The folder must not be there.
func WriteExport(ctx context.Context, run *disk.Runner, dir, from, name, system string, memory int64, d *osdef.Definition, log io.Writer) error {
	if strings.ContainsAny(name+system, "\n\r") || name == "" || memory < 1<<20 {
		return fmt.Errorf("an instance needs a name and memory; not %q with %d bytes", name, memory)
	}
	layer, info, err := guestfs.Image(from) // its path is absolute: tools run in another folder
	if err == nil {
		err = guestfs.Whole(layer, info)
	}
	if err == nil && layer.Format != disk.Raw {
		err = fmt.Errorf("%s is %s, and an export is made of a raw disk: 'hearth image convert --to raw' makes one", from, layer.Format)
	}
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o750); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; choose another name", dir)
	} else if err != nil {
		return err
	}
	id := cloud.NewID()
	if err = writeExport(ctx, run, dir, layer.Path, id, memory, d, log); err == nil {
		mb := strconv.FormatInt(memory>>20, 10)
		err = os.WriteFile(filepath.Join(dir, configFile), []byte("[export]\nversion = 0\ntimestamp = "+strconv.FormatInt(time.Now().Unix(), 10)+"\nsource = hearth\nos = "+system+"\ncompression = none\n\n"+
			"[instance]\nname = "+name+"\nmaxmem = "+mb+"\nminmem = "+mb+"\nmemory = "+mb+"\nvcpus = 1\ndisk_template = file\nhypervisor = kvm\ntags = \nnic_count = 0\n"+
			"disk0_ivname = disk/0\ndisk0_dump = "+id+"\ndisk0_size = "+strconv.FormatInt((info.VirtualSize+1<<20-1)>>20, 10)+"\ndisk0_name = disk0\ndisk_count = 1\n\n"+
			"[hypervisor]\n\n[backend]\nmaxmem = "+mb+"\nminmem = "+mb+"\nvcpus = 1\n\n[os]\n\n[os_private]\n"), 0o640)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return nil
}

func writeExport(ctx context.Context, run *disk.Runner, dir, from, id string, memory int64, d *osdef.Definition, log io.Writer) error {
	spec, err := d.Resolve(memory, map[string]string{"EXPORT_DIR": dir})
	if err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(dir, id))
	if err != nil {
		return err
	}
	a := &Answer{Run: run, Env: &Env{Export: from}, Out: out, Log: log}
	return errors.Join(a.export(ctx, spec), out.Sync(), out.Close())
}
