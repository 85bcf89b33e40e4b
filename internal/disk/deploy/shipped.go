package deploy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/disk/hooks"
)

// shipped are the hooks of ganeti-instance-image with the features that stand in their
// place; its dynamic DNS has none.
var shipped = map[string]string{"grub": "grub", "interfaces": "interfaces", "ssh": "ssh", "overlays": "overlays", "cloud-init": "cloud-init", "zz_ddns": ""}

// commonFile is what those hooks read first, from the folder that they run in.
// cloudInitFile is a program that one of them runs from there.
const (
	commonFile    = "common.sh"
	cloudInitFile = "cloud_init.rb"
)

// findHooks lists what is to be run. A hook that ganeti-instance-image ships is left to
// the feature in its place; with the feature off it runs, if its common.sh lies beside.
func (b *build) findHooks() error {
	run, skipped, err := hooks.List(b.spec.HookDir)
	if err != nil {
		return err
	}
	beside, err := hasFile(b.spec.HookDir, commonFile)
	if err != nil {
		return err
	}
	for _, s := range skipped {
		if !beside || s.Name != commonFile && s.Name != cloudInitFile {
			b.warn("the hook %s is not run: %s", s.Name, s.Reason)
		}
	}
	b.common = map[string]bool{}
	for _, path := range run {
		if !readsCommon(path) {
			b.hooks = append(b.hooks, path)
			continue
		}
		name := filepath.Base(path)
		feature, known := shipped[name]
		switch {
		case known && feature != "" && b.opt.Definition.On(feature):
			b.warn("the hook %s is the one that ganeti-instance-image ships, and is not run: the feature %s does its work", name, feature)
		case known && !beside:
			b.warn("the hook %s is the one that ganeti-instance-image ships, and is not run: its common.sh is not in %s; put it there, or take the hook away", name, b.spec.HookDir)
		default:
			b.common[path] = beside
			b.hooks = append(b.hooks, path)
		}
	}
	return nil
}

// readsCommon tells whether a hook names common.sh; one that cannot be read shows that
// when it is run.
func readsCommon(path string) bool {
	text, err := os.ReadFile(path)
	return err == nil && strings.Contains(string(text[:min(len(text), maxText)]), commonFile)
}

func hasFile(dir, name string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// commonVersion is the newest version of Ganeti's interface that ganeti-instance-image's
// common.sh takes; what hooks get is no less than that.
const commonVersion = 15

// commonEnv is an environment for hooks that read common.sh, which ends at a version of
// the interface that it does not know.
func commonEnv(env []string) []string {
	out := slices.Clone(env)
	for i, e := range out {
		if v, ok := strings.CutPrefix(e, "OS_API_VERSION="); ok {
			if n, err := strconv.Atoi(v); err != nil || n > commonVersion {
				out[i] = fmt.Sprintf("OS_API_VERSION=%d", commonVersion)
			}
		}
	}
	return out
}

// asGaneti puts before what was said of the instance what Ganeti says of any.
func (b *build) asGaneti(said []string) []string {
	serial := "False"
	if b.opt.Serial {
		serial = "True"
	}
	all := []string{fmt.Sprintf("OS_API_VERSION=%d", commonVersion), "HYPERVISOR=kvm", "DISK_COUNT=1", "DISK_0_PATH=" + b.opt.Target, "DISK_0_ACCESS=rw", "NIC_COUNT=0",
		fmt.Sprintf("INSTANCE_BE_maxmem=%d", b.opt.Memory>>20), "INSTANCE_HV_kernel_path=" + b.opt.KernelPath, "INSTANCE_HV_serial_console=" + serial}
	all = slices.DeleteFunc(all, func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.ContainsFunc(said, func(s string) bool { return strings.HasPrefix(s, name+"=") })
	})
	return append(all, said...)
}
