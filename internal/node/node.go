// Package node is the hatch to a host: the one contract between the head and
// whatever runs guests. local is the host the head is on, remote the same over
// mutual TLS, fake a host in memory; nodetest is the suite that all three pass.
//
// Every call gives a node the whole of what is wanted and returns when the node
// has written it down; doing it is the node's affair, and Watch tells how it
// goes. So a call can be repeated at will, and a node needs no head to go on.
package node

import (
	"context"
	"io"

	"hearth/internal/cloud"
)

// Node is a host that runs instances.
type Node interface {
	// Status tells what the host has and how it is.
	Status(ctx context.Context) (cloud.HostStatus, error)

	// ApplyInstance records what is wanted of an instance. A spec with an older
	// intent generation than the recorded one is refused with Conflict.
	ApplyInstance(ctx context.Context, spec cloud.InstanceSpec) error
	// RemoveInstance undoes an instance: guest, ports, disk, spec. It returns once
	// the wish is recorded; the instance is gone when Instances no longer lists
	// it. Removing what is not there is no error.
	RemoveInstance(ctx context.Context, id string) error
	// Instances reports every instance the node knows of, sorted by id.
	Instances(ctx context.Context) ([]cloud.InstanceStatus, error)
	// Console gives the last max bytes (0: all that is kept) of an instance's
	// serial log.
	Console(ctx context.Context, id string, max int) ([]byte, error)
	// OpenConsole opens a console of an instance's guest, which ends with ctx's
	// parent or by Close; NotFound when none runs.
	OpenConsole(ctx context.Context, id string, kind cloud.ConsoleKind) (io.ReadWriteCloser, error)
	// InstanceStats measures an instance's guest; NotFound when none runs.
	InstanceStats(ctx context.Context, id string) (cloud.InstanceStats, error)
	// Password gives the encrypted password that an instance's guest posted to its
	// metadata service, "" for none, and ForgetPassword drops it. NotFound for an
	// instance that is not on the node.
	Password(ctx context.Context, id string) (string, error)
	ForgetPassword(ctx context.Context, id string) error
	// SetPassword changes the password of a user of an instance's guest, by the agent
	// in it. NotFound when no guest runs, Unsupported when its agent does not answer,
	// Conflict with the agent's words when it refuses.
	SetPassword(ctx context.Context, id, user, password string) error

	// CacheImage brings an image into the node's cache, for instances to come.
	CacheImage(ctx context.Context, ref cloud.ImageRef) error
	// DropImage takes the image of a digest out of the node's cache; Conflict while an
	// instance or a disk needs it. Dropping what is not there is no error.
	DropImage(ctx context.Context, digest string) error

	// ApplyVolume makes the disk of a volume or snapshot, or makes it larger, and
	// returns when it is there, whole. NotFound when what it is to be made from is
	// not on the node.
	ApplyVolume(ctx context.Context, spec cloud.VolumeSpec) (cloud.VolumeStatus, error)
	// RemoveVolume removes such a disk. Removing what is not there is no error.
	RemoveVolume(ctx context.Context, disk string) error
	// ReadVolume gives what such a disk holds, as a guest sees it; NotFound.
	ReadVolume(ctx context.Context, disk string) (io.ReadCloser, error)
	// Volumes lists these disks, sorted.
	Volumes(ctx context.Context) ([]cloud.VolumeStatus, error)

	// ExportVolume gives the disk of a volume to other nodes, and returns when they can
	// open it. NotFound without the disk, Unsupported on a node that is alone.
	ExportVolume(ctx context.Context, spec cloud.ExportSpec) (cloud.ExportStatus, error)
	// WithdrawVolume takes it back if it was asked for asked times, as Exports told;
	// Conflict when somebody has asked since. No error when it is not given.
	WithdrawVolume(ctx context.Context, disk string, asked int64) error
	// Exports lists what is given, sorted.
	Exports(ctx context.Context) ([]cloud.ExportStatus, error)

	// ApplyNetwork makes the node serve a network as the spec says; when it
	// returns, filters and addresses are in force. RemoveNetwork undoes it.
	ApplyNetwork(ctx context.Context, spec cloud.NetworkSpec) error
	RemoveNetwork(ctx context.Context, id string) error
	// ApplyRouter and RemoveRouter do the same for a router.
	ApplyRouter(ctx context.Context, spec cloud.RouterSpec) error
	RemoveRouter(ctx context.Context, id string) error
	// Networks reports the data plane.
	Networks(ctx context.Context) (cloud.NetworkStatus, error)

	// Watch calls fn for every change of an instance's status, beginning with
	// the present status of each, until ctx ends or the node goes away. fn must
	// not block.
	Watch(ctx context.Context, fn func(cloud.InstanceStatus)) error

	// Explain tells where the parts of a server, port or image (by its digest) are
	// on this host.
	Explain(ctx context.Context, kind, id string) ([]cloud.Fact, error)

	// Findings lists what is left over on the host, in sentences: disks, taps,
	// processes that belong to no instance. None on a node at rest.
	Findings(ctx context.Context) ([]string, error)
}

// Images is where a node gets the bytes of images: the head's store.
type Images interface {
	// Open gives the bytes of an image by its digest ("sha512:<hex>"). NotFound
	// when the head no longer has them.
	Open(ctx context.Context, digest string) (io.ReadCloser, error)
}

// LocalImages is an Images whose bytes are files of this host: the node clones
// or links them in place of copying.
type LocalImages interface {
	Images
	// Path is the file with the bytes; the node never writes to it.
	Path(digest string) (string, error)
}
