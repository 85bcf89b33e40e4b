package osdef

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Resolved is a definition as one instance is made by it.
type Resolved struct {
	*Definition        // with all settings
	CDInstall, NoMount bool
	Swap               bool
	SwapSize, BootSize int64 // bytes; SwapSize is -1 when it is the memory, which is not known
	FileSystem         string
	KernelArgs         string
	ImageType          string
	Image              string // the file, "" when the name or the type does not tell it
	Overlay            string // "" for none
	HookDir            string
	ExportDir          string
	Verify, Cleanup    bool
	Debug              bool
	CacheSize          int64 // bytes; 0: no bound
}

// suffix is how files of a type are called.
func suffix(kind string) string {
	return map[string]string{"tarball": ".tar.gz", "qemu": ".img", "raw": ".raw", "qcow2": ".qcow2", "dump": "-root.dump"}[kind]
}

// Resolve lays over over the definition, and checks it. memory is the instance's, in
// bytes; 0 if it is not known.
func (d *Definition) Resolve(memory int64, over map[string]string) (*Resolved, error) {
	if d.Foreign != nil {
		return nil, fmt.Errorf("%s is a foreign definition, whose own scripts make servers in the cloud; here run it by 'hearth deploy --os-dir FOLDER'", d.Name)
	}
	full := d.Full()
	if full.Extra != nil || len(over) > 0 {
		extra := map[string]string{}
		for k, v := range full.Extra {
			extra[k] = v
		}
		full.Extra = extra
	}
	for name, value := range over {
		if value == "" { // none, not the default
			full.Settings[name] = ""
			continue
		}
		if err := full.Set(name, value); err != nil {
			return nil, err
		}
	}
	if err := full.Check(); err != nil {
		return nil, err
	}
	get := func(name string) string { return full.Settings[name] }
	yes := func(name string) bool { return get(name) == "yes" || get(name) == "1" }
	r := &Resolved{Definition: full, CDInstall: yes("CDINSTALL"), NoMount: yes("NOMOUNT"), Swap: yes("SWAP"), FileSystem: get("FILESYSTEM"), KernelArgs: get("KERNEL_ARGS"),
		ImageType: get("IMAGE_TYPE"), HookDir: get("CUSTOMIZE_DIR"), ExportDir: get("EXPORT_DIR"), Verify: yes("IMAGE_VERIFY"), Cleanup: yes("IMAGE_CLEANUP"), Debug: yes("IMAGE_DEBUG")}
	r.BootSize, r.CacheSize = mib(get("BOOT_SIZE")), mib(get("CACHE_SIZE"))
	if r.SwapSize = mib(get("SWAP_SIZE")); r.SwapSize == 0 {
		if r.SwapSize = memory >> 20 << 20; memory == 0 {
			r.SwapSize = -1
		}
	}
	if name := get("IMAGE_NAME"); name != "" {
		r.Image = filepath.Join(get("IMAGE_DIR"), strings.TrimSuffix(name+"-"+get("ARCH"), "-")+suffix(r.ImageType))
	}
	if r.Overlay = get("OVERLAY"); r.Overlay != "" && !strings.HasPrefix(r.Overlay, "/") {
		r.Overlay = filepath.Join(get("OVERLAYS_DIR"), r.Overlay)
	}
	return r, nil
}

func mib(v string) int64 {
	n, _ := strconv.ParseInt(v, 10, 64) // it was checked
	return n << 20
}

// ByLoader tells whether a boot loader or a firmware is named that lays the disk out in its
// own way; BIOS alone is what every other layout is for.
func (r *Resolved) ByLoader() bool {
	firmware := r.Settings["FIRMWARE"]
	return r.Settings["LOADER"] != "" || firmware != "" && firmware != "bios"
}

// FitSwap holds the swap against the disk.
func (r *Resolved) FitSwap(size int64) error {
	if !r.Swap || r.Layout != nil || r.ByLoader() {
		return nil
	}
	if r.SwapSize < 0 {
		return fmt.Errorf("SWAP is yes and SWAP_SIZE is not said: it is then the instance's memory, which is not known either; give one of them, or SWAP=no")
	}
	if r.SwapSize > size {
		return fmt.Errorf("SWAP_SIZE is larger than the disk: %d MB of swap, %d MB of disk; make the disk larger, or set SWAP_SIZE or SWAP=no", r.SwapSize>>20, size>>20)
	}
	return nil
}
