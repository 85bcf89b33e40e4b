package ganeti

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/hooks"
)

// Foreign is an instance that the definition of somebody else makes.
type Foreign struct {
	Dir       string // of the definition
	Variant   string // "": the first of its list
	Name      string
	Disks     []string // files or block devices, which are there
	Memory    int64    // bytes
	NICs      []string // MAC addresses
	Kernel    string
	Serial    bool
	Settings  map[string]string // OSP_ parameters
	Reinstall bool
	Debug     bool
	OldName   string        // for rename
	Limit     time.Duration // of a script; 0: an hour
	In        io.Reader
	Out       io.Writer
	Log       io.Writer
	UUID      string
	Also      []string // NAME=VALUE of the environment over what is made of all this
	// Alone is a folder with Dir and the disks in it: the scripts are shown nothing of the
	// host but its programs and this folder, and are root of neither. "": they are root of
	// the host.
	Alone string
}

// foreignLimit is how long a script may take: some install a whole system.
const foreignLimit = time.Hour

// versions of the interface that are spoken, the best first.
var versions = []string{"20", "15", "10"}

// Environ is what API 20 tells a script.
func (f *Foreign) Environ(api, script string) ([]string, error) {
	env := map[string]string{"OS_API_VERSION": api, "OS_NAME": filepath.Base(f.Dir), "OS_VARIANT": f.Variant, "INSTANCE_NAME": f.Name, "INSTANCE_UUID": f.UUID, "INSTANCE_OS": filepath.Base(f.Dir), "HYPERVISOR": "kvm",
		"DISK_COUNT": fmt.Sprint(len(f.Disks)), "NIC_COUNT": fmt.Sprint(len(f.NICs)), "DEBUG_LEVEL": "0", "INSTANCE_BE_maxmem": fmt.Sprint(f.Memory >> 20), "INSTANCE_BE_minmem": fmt.Sprint(f.Memory >> 20),
		"INSTANCE_BE_memory": fmt.Sprint(f.Memory >> 20), "INSTANCE_BE_vcpus": "1", "INSTANCE_HV_kernel_path": f.Kernel, "INSTANCE_HV_serial_console": map[bool]string{true: "True", false: "False"}[f.Serial],
		"INSTANCE_PRIMARY_NODE": "localhost", "INSTANCE_SECONDARY_NODES": ""}
	if f.Variant != "" {
		env["INSTANCE_OS"] += "+" + f.Variant
	}
	for i, path := range f.Disks {
		st, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		kind, backend := "file:loop", "file"
		if !st.Mode().IsRegular() {
			kind, backend = "block", "block"
		}
		key := fmt.Sprintf("DISK_%d_", i)
		env[key+"PATH"], env[key+"ACCESS"], env[key+"BACKEND_TYPE"], env[key+"FRONTEND_TYPE"] = path, "rw", kind, "paravirtual"
		env[key+"UUID"], env[key+"NAME"], env[key+"URI"], env[key+"SIZE"] = "", fmt.Sprintf("disk%d", i), backend+":"+path, fmt.Sprint(st.Size()>>20)
	}
	for i, mac := range f.NICs {
		key := fmt.Sprintf("NIC_%d_", i)
		env[key+"MAC"], env[key+"MODE"], env[key+"LINK"], env[key+"IP"], env[key+"BRIDGE"], env[key+"FRONTEND_TYPE"] = mac, "bridged", "br0", "", "br0", "paravirtual"
	}
	for name, value := range f.Settings {
		env["OSP_"+strings.ToUpper(name)] = value
	}
	if f.Debug {
		env["DEBUG_LEVEL"] = "1"
	}
	if f.Reinstall {
		env["INSTANCE_REINSTALL"] = "1"
	}
	switch script {
	case "export":
		env["EXPORT_DEVICE"], env["EXPORT_INDEX"], env["EXPORT_DISK_0_PATH"] = f.Disks[0], "0", f.Disks[0]
	case "import":
		env["IMPORT_DEVICE"], env["IMPORT_INDEX"] = f.Disks[0], "0"
	case "rename":
		env["OLD_INSTANCE_NAME"] = f.OldName
	}
	for _, e := range f.Also {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	var list []string
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list, nil
}

// Check holds what was asked for against what the definition has, as Ganeti does before it
// starts a script: the script, the variant, the parameters, and the names that it needs.
func (f *Foreign) Check(script string) error {
	if _, err := f.api(); err != nil {
		return err
	}
	if !slices.Contains(Scripts(), script) {
		return fmt.Errorf("there is no script %q; there are %s", script, strings.Join(Scripts(), ", "))
	}
	if st, err := os.Stat(filepath.Join(f.Dir, script)); script != "verify" && (err != nil || st.Mode()&0o111 == 0) {
		return fmt.Errorf("the definition in %s has no script %s that can be run", f.Dir, script)
	}
	own, err := choices(f.Dir)
	if err != nil {
		return err
	}
	if _, _, err := own.Choose(f.Variant, f.Settings); err != nil {
		return fmt.Errorf("the definition in %s: %w", f.Dir, err)
	}
	switch {
	case script != "verify" && f.Name == "":
		return errors.New("the scripts of a definition want the instance's name")
	case script == "rename" && f.OldName == "":
		return errors.New("to rename an instance its old name is needed too")
	}
	return nil
}

// Run runs one of the definition's scripts in namespaces of its own; root's may
// make devices and mounts there, which end with it.
func (f *Foreign) Run(ctx context.Context, script string) error {
	api, err := f.api()
	if err != nil {
		return err
	}
	if !slices.Contains(Scripts(), script) {
		return fmt.Errorf("there is no script %q; there are %s", script, strings.Join(Scripts(), ", "))
	}
	if _, err := os.Stat(filepath.Join(f.Dir, script)); script == "verify" && (api == "10" || errors.Is(err, os.ErrNotExist)) {
		return nil // there was none before, and it need not be there
	}
	if f.Variant == "" {
		if list, err := words(filepath.Join(f.Dir, "variants.list")); err == nil && len(list) > 0 {
			f.Variant = list[0]
		}
	}
	if len(f.Disks) == 0 {
		return errors.New("the instance has no disk")
	}
	env, err := f.Environ(api, script)
	if err != nil {
		return err
	}
	limit := f.Limit
	if limit == 0 {
		limit = foreignLimit
	}
	job := hooks.Job{Path: filepath.Join(f.Dir, script), Env: env, Dir: f.Dir, Limit: limit, Root: true, Stdin: f.In, Stdout: f.Out, Log: f.Log}
	if f.Alone != "" {
		job.Dir, job.At, job.Alone, job.Root = f.Alone, f.Dir, true, false
	}
	return hooks.Run(ctx, job)
}

// api is the best version that both speak.
func (f *Foreign) api() (string, error) {
	list, err := words(filepath.Join(f.Dir, "ganeti_api_version"))
	if err != nil {
		return "", fmt.Errorf("%s is no definition of Ganeti's: %w", f.Dir, err)
	}
	for _, v := range versions {
		if slices.Contains(list, v) {
			return v, nil
		}
	}
	return "", fmt.Errorf("the definition in %s speaks version %s of Ganeti's interface; here are %s", f.Dir, strings.Join(list, ", "), strings.Join(versions, ", "))
}

// words are the lines of a small file, without comments.
func words(path string) (list []string, err error) {
	b, err := disk.ReadText(path, maxValue)
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			list = append(list, line)
		}
	}
	return list, err
}
