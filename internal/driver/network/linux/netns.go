package linux

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// runNetns is where ip-netns(8) looks for names.
const runNetns = "/run/netns"

// nsfsMagic is the file system type of a namespace (statfs(2)).
const nsfsMagic = 0x6e736673

// inNamespace runs fn on a thread of its own that is in ns. Sockets that fn
// opens stay in ns. The thread is thrown away when it cannot come back.
func inNamespace(ns netns.NsHandle, fn func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			result <- fmt.Errorf("own network namespace: %w", err)
			return
		}
		defer home.Close()
		if err := netns.Set(ns); err != nil {
			runtime.UnlockOSThread()
			result <- fmt.Errorf("enter network namespace: %w", err)
			return
		}
		err = fn()
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		result <- err
	}()
	return <-result
}

// openNamespace opens a named namespace; os.ErrNotExist when there is none, or
// only the file of one that a crash left half made.
func openNamespace(name string) (netns.NsHandle, error) {
	path := filepath.Join(runNetns, name)
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return netns.None(), &os.PathError{Op: "open namespace", Path: path, Err: err}
	}
	if fs.Type != nsfsMagic {
		return netns.None(), &os.PathError{Op: "open namespace", Path: path, Err: unix.ENOENT}
	}
	return netns.GetFromPath(path)
}

// ensureNamespace opens a named namespace, and makes it when it is not there.
func ensureNamespace(name string) (netns.NsHandle, error) {
	ns, err := openNamespace(name)
	if !errors.Is(err, os.ErrNotExist) {
		return ns, err
	}
	if err := shareRunNetns(); err != nil {
		return netns.None(), err
	}
	path := filepath.Join(runNetns, name)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o444)
	if err != nil {
		return netns.None(), err
	}
	_ = file.Close()
	made := make(chan error, 1)
	go func() {
		// The thread ends with the goroutine: it never comes back from unshare.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- fmt.Errorf("unshare: %w", err)
			return
		}
		from := fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		made <- unix.Mount(from, path, "none", unix.MS_BIND, "")
	}()
	if err := <-made; err != nil {
		_ = os.Remove(path)
		return netns.None(), fmt.Errorf("make network namespace %s: %w", name, err)
	}
	return netns.GetFromPath(path)
}

// shareRunNetns makes /run/netns a shared mount as ip-netns(8) does, so that
// names made and removed here are so in every mount namespace.
func shareRunNetns() error {
	if err := os.MkdirAll(runNetns, 0o755); err != nil {
		return err
	}
	err := unix.Mount("", runNetns, "none", unix.MS_SHARED|unix.MS_REC, "")
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	if err := unix.Mount(runNetns, runNetns, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s: %w", runNetns, err)
	}
	return unix.Mount("", runNetns, "none", unix.MS_SHARED|unix.MS_REC, "")
}

// dropNamespace removes a name. What still has the namespace open keeps it
// alive, so the links must be removed before.
func dropNamespace(name string) error {
	path := filepath.Join(runNetns, name)
	for {
		err := unix.Unmount(path, unix.MNT_DETACH)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			break // not mounted (any more)
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// namespaces lists the names with a prefix, those of half-made ones included.
func namespaces(prefix string) ([]string, error) {
	entries, err := os.ReadDir(runNetns)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// sysctl is a setting below /proc/sys/net.
type sysctl struct{ key, value string }

// setSysctls writes settings of the namespace. A missing file is skipped when
// the setting is there to switch a feature off: what is absent is off.
func setSysctls(ns netns.NsHandle, settings []sysctl) error {
	return inNamespace(ns, func() error {
		for _, s := range settings {
			path := filepath.Join("/proc/sys/net", s.key)
			err := os.WriteFile(path, []byte(s.value), 0)
			if errors.Is(err, os.ErrNotExist) && s.value == "0" {
				continue
			}
			if err != nil {
				return fmt.Errorf("set %s to %s: %w", path, s.value, err)
			}
		}
		return nil
	})
}
