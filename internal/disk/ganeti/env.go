// Package ganeti is Hearth's end of Ganeti's interface to operating systems
// (ganeti-os-interface(7), API 10, 15 and 20): it reads what Ganeti tells a
// definition by its environment, installs Hearth as such a definition, answers its
// scripts, and runs the definitions of others.
package ganeti

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The bounds of an environment.
const (
	maxDisks = 16 // Ganeti's MAX_DISKS
	maxNICs  = 8  // Ganeti's MAX_NICS
	maxValue = 64 << 10
)

// Disk is one disk of an instance.
type Disk struct {
	Path   string `json:"path"`
	Access string `json:"access"` // "rw" or "ro"
}

// Env is what Ganeti says of an instance.
type Env struct {
	API        int               `json:"api"`
	Name       string            `json:"name"`
	OldName    string            `json:"old_name,omitempty"`
	Variant    string            `json:"variant,omitempty"`
	Hypervisor string            `json:"hypervisor"`
	Disks      []Disk            `json:"disks"`
	NICs       int               `json:"nics"`
	Memory     int64             `json:"memory"` // bytes; 0 if it is not said
	KernelPath string            `json:"kernel_path,omitempty"`
	Serial     bool              `json:"serial"`
	Reinstall  bool              `json:"reinstall"`
	Export     string            `json:"export,omitempty"` // the device to be exported
	Import     string            `json:"import,omitempty"`
	Debug      bool              `json:"debug"`
	Parameters map[string]string `json:"parameters"` // of OSP_, by their names in upper case
	All        []string          `json:"-"`          // what hooks get: NAME=VALUE
}

// handed are the variables that are handed on to hooks.
func handed(name string) bool {
	for _, p := range []string{"INSTANCE_", "DISK_", "NIC_", "OSP_", "OS_", "EXPORT_", "IMPORT_"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return slices.Contains([]string{"HYPERVISOR", "DEBUG_LEVEL", "OLD_INSTANCE_NAME"}, name)
}

// ParseEnv reads the environment of a script of a definition.
func ParseEnv(environ []string) (*Env, error) {
	v := map[string]string{}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if !handed(name) {
			continue
		}
		if len(value) > maxValue || strings.ContainsAny(value, "\x00") {
			return nil, fmt.Errorf("the variable %s of Ganeti has %d bytes, or zero bytes", name, len(value))
		}
		v[name] = value
	}
	e := &Env{Name: v["INSTANCE_NAME"], OldName: v["OLD_INSTANCE_NAME"], Variant: v["OS_VARIANT"], Hypervisor: v["HYPERVISOR"], KernelPath: v["INSTANCE_HV_kernel_path"],
		Serial: v["INSTANCE_HV_serial_console"] == "True", Reinstall: v["INSTANCE_REINSTALL"] == "1", Export: v["EXPORT_DEVICE"], Import: v["IMPORT_DEVICE"], Parameters: map[string]string{}}
	api, err := number(v, "OS_API_VERSION", 10, 20, 0)
	if err != nil || api != 10 && api != 15 && api != 20 {
		return nil, fmt.Errorf("OS_API_VERSION is %q: this speaks 10, 15 and 20 of Ganeti's interface; is it started by Ganeti?", v["OS_API_VERSION"])
	}
	e.API = api
	debug, err := number(v, "DEBUG_LEVEL", 0, 99, 0)
	if err != nil {
		return nil, err
	}
	e.Debug = debug > 0
	memory := "INSTANCE_BE_maxmem"
	if v[memory] == "" { // before Ganeti 2.6
		memory = "INSTANCE_BE_memory"
	}
	mb, err := number(v, memory, 0, 64<<20, 0)
	if err != nil {
		return nil, err
	}
	e.Memory = int64(mb) << 20
	if err := e.disks(v); err != nil {
		return nil, err
	}
	if e.NICs, err = number(v, "NIC_COUNT", 0, maxNICs, 0); err != nil {
		return nil, err
	}
	if e.KernelPath == "/bin/false" || e.KernelPath == "None" {
		e.KernelPath = ""
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		e.All = append(e.All, name+"="+v[name])
		if p, ok := strings.CutPrefix(name, "OSP_"); ok {
			e.Parameters[p] = v[name]
		}
	}
	return e, e.check()
}

func (e *Env) disks(v map[string]string) error {
	count, err := number(v, "DISK_COUNT", 0, maxDisks, 0)
	if err != nil {
		return err
	}
	for i := range count {
		key := fmt.Sprintf("DISK_%d_", i)
		d := Disk{Path: v[key+"PATH"], Access: v[key+"ACCESS"]}
		if !filepath.IsAbs(d.Path) {
			return fmt.Errorf("%sPATH is %q, no absolute path", key, d.Path)
		}
		e.Disks = append(e.Disks, d)
	}
	return nil
}

func (e *Env) check() error {
	for what, name := range map[string]string{"INSTANCE_NAME": e.Name, "OLD_INSTANCE_NAME": e.OldName, "OS_VARIANT": e.Variant} {
		if strings.ContainsAny(name, "/\n") || strings.HasPrefix(name, ".") || len(name) > 255 {
			return fmt.Errorf("%s is %q, no name", what, name)
		}
	}
	for _, path := range []string{e.Export, e.Import, e.KernelPath} {
		if path != "" && !filepath.IsAbs(path) {
			return fmt.Errorf("%q is no absolute path", path)
		}
	}
	return nil
}

// number reads a whole number within bounds; def when it is not there.
func number(v map[string]string, name string, low, high, def int) (int, error) {
	if v[name] == "" {
		return def, nil
	}
	n, err := strconv.Atoi(v[name])
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%s is %q, not a number from %d to %d", name, v[name], low, high)
	}
	return n, nil
}
