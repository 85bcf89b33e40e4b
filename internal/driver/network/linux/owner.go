package linux

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

// runOwners is where owners are written down. It goes with a reboot, as
// namespaces do.
const runOwners = "/run/hearth"

// maxOwner bounds what is read of such a file, bytes.
const maxOwner = 4096

// Own claims the namespaces of this node's name for the cloud in a data
// directory, until Close. Whatever is not in that cloud's records is an orphan
// to it and is removed, so Conflict while a process of another directory has the
// name, or while namespaces are there that another one made which still exists.
func (d *Driver) Own(dataDir string) error {
	return d.own(runOwners, dataDir, func() (bool, error) {
		names, err := namespaces(d.prefix)
		return len(names) > 0, err
	})
}

func (d *Driver) own(folder, dataDir string, there func() (bool, error)) error {
	const op = "network.Own"
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return cloud.E(op, cloud.Internal, "owners of networks cannot be written down: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(folder, d.config.Node+".owner"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return cloud.E(op, cloud.Internal, "owners of networks cannot be written down: %w", err)
	}
	if err := d.settle(f, dataDir, there); err != nil {
		_ = f.Close()
		return err
	}
	d.owner = f
	return nil
}

// settle takes the lock of an owner's file and writes the new owner into it.
func (d *Driver) settle(f *os.File, dataDir string, there func() (bool, error)) error {
	const op = "network.Own"
	locked := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	text, err := io.ReadAll(io.LimitReader(f, maxOwner))
	if err != nil {
		return cloud.E(op, cloud.Internal, "the owner of networks cannot be read: %w", err)
	}
	before := strings.TrimSpace(string(text))
	if errors.Is(locked, unix.EWOULDBLOCK) {
		return d.taken(op, "is at work on them", before)
	}
	if locked != nil {
		return cloud.E(op, cloud.Internal, "the owner of networks cannot be locked: %w", locked)
	}
	if before == dataDir {
		return nil
	}
	if _, err := os.Stat(before); err == nil {
		left, err := there()
		if err != nil {
			return cloud.E(op, cloud.Internal, "the namespaces of this host cannot be listed: %w", err)
		}
		if left {
			return d.taken(op, "left them", before)
		}
	}
	if err := f.Truncate(0); err != nil {
		return cloud.E(op, cloud.Internal, "the owner of networks cannot be written down: %w", err)
	}
	if _, err := f.WriteAt([]byte(dataDir+"\n"), 0); err != nil {
		return cloud.E(op, cloud.Internal, "the owner of networks cannot be written down: %w", err)
	}
	return nil
}

func (d *Driver) taken(op, how, by string) error {
	return cloud.E(op, cloud.Conflict, "the network namespaces %s* of this host are those of the cloud in %s, which %s: give this one another name ('network: {namespace: NAME}' in its configuration, or HEARTH_NETWORK_NAMESPACE), or end that one with 'hearth down --data %s'", d.prefix, by, how, by)
}
