package hypervisor

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"

	"hearth/internal/cloud"
)

// Remote is a disk that another host gives, by NBD (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md)
// over TLS. It is raw, whatever it is kept as there.
type Remote struct {
	Address  netip.AddrPort // of the host that gives it
	Name     string         // of the export
	Peer     string         // the name that the host's certificate must have
	Identity Identity
}

// Identity is who an end of such a connection is, and whom it trusts. All of it is PEM.
type Identity struct {
	CA, Cert []byte
	Key      cloud.Secret // of Cert
}

// Known tells whether there is an identity.
func (i Identity) Known() bool { return len(i.CA) > 0 && len(i.Cert) > 0 && i.Key != "" }

// RemotePatience is how long a guest waits, in seconds, for a host to give a disk again that it gave before. Until then
// what the guest reads and writes stands still; after it the guest gets errors.
const RemotePatience = 60

// Export is a disk of this host that is given to guests of others.
type Export struct {
	ID       string         // unique on the host; as Config.ID
	Dir      string         // absolute, the export's own, as Config.Dir
	Disk     Disk           // with a Path, and no Key: who opens it has that
	Name     string         // by which it is opened
	Address  netip.AddrPort // of this host, where it is given; port 0 for any that is free
	Peers    []string       // names in the certificates of those who may open it
	Identity Identity
}

// Exported is an export that is there.
type Exported struct {
	Handle  Handle
	Address netip.AddrPort
}

// Exporter gives disks to guests of other hosts. Each export is a process of its own, with rights to nothing but its disk,
// that outlives the agent; List and Destroy are those of Driver, and find exports as they find guests. Its methods may be
// called from any goroutine.
type Exporter interface {
	// Export starts an export, and returns when it can be opened. What a client was told is written is on the disk, whatever
	// becomes of the process. Conflict when one runs in the same directory, NotFound without the disk's file,
	// Unavailable when the address is taken.
	Export(ctx context.Context, e Export) (Exported, error)
	// Await returns when the process of an export is gone, or with ctx's error.
	Await(ctx context.Context, h Handle) error
	// Freeze has an export stand still, or go on. Those who have it open wait, however long that lasts. NotFound when it is
	// gone.
	Freeze(ctx context.Context, h Handle, still bool) error

	List(ctx context.Context, root string) ([]Handle, error)
	Destroy(ctx context.Context, h Handle) error
}

// exportName is the form of the names of exports, and peerName of hosts: nothing in them means anything to anybody.
var (
	exportName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9@._-]{0,199}$`)
	peerName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$`)
)

func (r Remote) fault() string {
	switch {
	case !r.Address.IsValid() || r.Address.Port() == 0:
		return "the other host's address is malformed"
	case !exportName.MatchString(r.Name):
		return fmt.Sprintf("%q is no name of an export", r.Name)
	case !peerName.MatchString(r.Peer):
		return fmt.Sprintf("%q is no name of a host", r.Peer)
	case !r.Identity.Known():
		return "there is no certificate to show to the other host"
	}
	return ""
}

func ofCluster(d Disk) bool {
	_, is := RBDOf(d.Path)
	return is
}

// Validate tells whether there can be such an export; Invalid with a sentence if not. Files are not looked at.
func (e Export) Validate() error {
	why := e.Disk.fault()
	switch {
	case !guestID.MatchString(e.ID):
		why = "its id is malformed"
	case !clean(e.Dir):
		why = "its directory must be an absolute path"
	case why != "":
	case e.Disk.Remote != nil || e.Disk.Key != "":
		why = "only a disk of this host is given, as it is"
	case ofCluster(e.Disk):
		why = "a disk of a Ceph cluster is not given by a host"
	case !e.Address.IsValid() || e.Address.Addr().IsUnspecified():
		why = fmt.Sprintf("%q is no address of this host", e.Address)
	case !exportName.MatchString(e.Name):
		why = fmt.Sprintf("%q is no name of an export", e.Name)
	case len(e.Peers) == 0:
		why = "nobody is named who may open it"
	case !e.Identity.Known():
		why = "there is no certificate to show"
	}
	for _, p := range e.Peers {
		if !peerName.MatchString(p) {
			why = fmt.Sprintf("%q is no name of a host", p)
		}
	}
	return sentence("hypervisor.Export", "export "+e.ID, why)
}
