// Package backup keeps backups of volumes away from the volumes. A backup is a
// manifest that names chunks; a chunk is a stretch of the disk, compressed, under
// the name of what it holds. So a backup that follows another stores only what
// has changed since, a broken one goes on where it stopped, and what is read back
// is checked against the names.
//
//	[<container>/]<chain>/chunks/<2 digits>/<sha256 of the stretch>   zstd of the stretch
//	[<container>/]<chain>/<backup id>.manifest                        zstd of the manifest, in JSON
//
// A chain is a full backup, whose id it has, with the increments that hang on it.
// Chains share nothing: a full backup is a second copy of everything, and no
// project's chunks are ever named by another's.
//
// Where the objects are is the affair of an Objects: folder keeps them in a
// directory, s3 in a bucket; backuptest is the suite that both pass.
package backup

import (
	"context"
	"regexp"

	"hearth/internal/cloud"
)

// ServiceName begins the names of the kinds of stores, as those of cinder's drivers
// begin.
const ServiceName = "cinder.backup.drivers.hearth."

// Objects is a store of named bytes, a few megabytes each. Names have letters,
// digits, dots, dashes and slashes. It is safe for concurrent use.
type Objects interface {
	// Put keeps bytes under a name: whole, durable and in place of what was there,
	// or not at all.
	Put(ctx context.Context, name string, data []byte) error
	// Get gives the bytes of a name, of which it reads no more than most; NotFound,
	// TooLarge.
	Get(ctx context.Context, name string, most int64) ([]byte, error)
	// Remove removes a name. No error when it is gone.
	Remove(ctx context.Context, name string) error
	// List calls each for every name that begins with a prefix, in any order.
	List(ctx context.Context, prefix string, each func(name string) error) error
	// Service says what kind of store it is, and Where which one, for people and
	// for records; there are no secrets in either.
	Service() string
	Where() string
}

// idForm is what chains and backups are called: UUIDs.
var idForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// containerForm is what the parts of a store are called.
var containerForm = regexp.MustCompile(`^[0-9A-Za-z-][0-9A-Za-z.-]*$`)

// Place is where a backup is: the part of the store, "" for none; its chain, and
// its own id.
type Place struct{ Container, Chain, ID string }

// check refuses what would be another's name.
func (p Place) check(op string) error {
	if p.Container != "" && !containerForm.MatchString(p.Container) {
		return cloud.E(op, cloud.Invalid, "%q cannot be the name of a container", p.Container)
	}
	if !idForm.MatchString(p.Chain) || !idForm.MatchString(p.ID) {
		return cloud.E(op, cloud.Invalid, "%q in the chain %q is no backup", p.ID, p.Chain)
	}
	return nil
}

// root is what the names of a chain begin with, before a slash.
func (p Place) root() string {
	if p.Container == "" {
		return p.Chain
	}
	return p.Container + "/" + p.Chain
}

func (p Place) manifest() string { return p.root() + "/" + p.ID + manifestEnd }

const manifestEnd = ".manifest"

// Progress is how far a backup has come.
type Progress struct {
	Read    int64 // bytes of the volume
	Objects int   // chunks that the backup names
	Stored  int64 // bytes that were new to the store
}
