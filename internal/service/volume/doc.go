// Package volume is what requests about volumes mean: who sees and changes them,
// what of a quota they take, what may be done with one in which status. It writes
// what is wanted; the housekeeper has the nodes make it so. What a volume's
// status is, is computed from what is wanted, what was seen, and its attachments.
package volume

import (
	"context"
	"log/slog"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Images is what volumes need of the image service; image.Service is one.
type Images interface {
	// Get gives an image that the caller sees; NotFound.
	Get(ctx context.Context, caller cloud.Caller, id string) (cloud.Image, error)
	// Create registers an image without bytes.
	Create(ctx context.Context, caller cloud.Caller, attributes map[string]any) (cloud.Image, error)
}

// Options are what an operator may set.
type Options struct {
	Log  *slog.Logger // nil for none
	Zone string       // the availability zone of hosts that have none set; "" for nova
	// Disks tells what nodes have.
	Disks Disks
	// Backups is the store of backups; nil for none.
	Backups BackupStore
	// Keys seals the keys of encrypted volumes; nil for none.
	Keys Keys
}

// Service is the volume service. It is safe for concurrent use.
type Service struct {
	store  *store.Store
	clock  cloud.Clock
	images Images
	log    *slog.Logger
	zone   string

	backups BackupStore
	disks   Disks
	keys    Keys
}

// New makes the service on its parts.
func New(st *store.Store, clock cloud.Clock, images Images, o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Zone == "" {
		o.Zone = "nova"
	}
	return &Service{store: st, clock: clock, images: images, log: o.Log, zone: o.Zone, backups: o.Backups, disks: o.Disks, keys: o.Keys}
}

// DefaultType is the name of the type that volumes have when none is asked for,
// and DefaultGroupType that of groups that are snapshotted as one, as cinder
// names them.
const (
	DefaultType      = "__DEFAULT__"
	DefaultGroupType = "default_cgsnapshot_type"
)

// Bootstrap makes the default types where there are none.
func (s *Service) Bootstrap(ctx context.Context) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		now := s.clock.Now()
		if n, err := tx.VolumeTypes.Count(); err != nil || n > 0 {
			return err
		}
		err := tx.VolumeTypes.Insert(cloud.VolumeType{
			ID: cloud.NewID(), Name: DefaultType, Description: "Default Volume Type", Public: true, CreatedAt: now, UpdatedAt: now,
		})
		if err != nil {
			return err
		}
		return tx.GroupTypes.Insert(cloud.GroupType{
			ID: cloud.NewID(), Name: DefaultGroupType, Description: "Default group type for migrating cgsnapshot", Public: true,
			Specs: map[string]string{"consistent_group_snapshot_enabled": "<is> True"}, CreatedAt: now, UpdatedAt: now,
		})
	})
}

// Detail is a volume with all that is told of it.
type Detail struct {
	cloud.Volume
	Attachments []cloud.VolumeAttachment
	TypeName    string
	Status      string
}

// detail completes a volume.
func detail(tx *store.Tx, v cloud.Volume) (Detail, error) {
	attachments, err := tx.VolumeAttachments.List(store.Where(store.Eq("volume_id", v.ID)))
	if err != nil {
		return Detail{}, err
	}
	d := Detail{Volume: v, Attachments: attachments, Status: v.Status(attachments)}
	if v.TypeID != "" {
		t, err := tx.VolumeTypes.Get(v.TypeID)
		if err != nil && !cloud.Is(err, cloud.NotFound) {
			return d, err
		}
		d.TypeName = t.Name
	}
	return d, nil
}

func notFound(op, noun, id string) error {
	return cloud.E(op, cloud.NotFound, "%s %s could not be found.", noun, id)
}

// volumeTx gives a volume that the caller sees; NotFound.
func volumeTx(tx *store.Tx, c cloud.Caller, id string) (Detail, error) {
	v, err := tx.Volumes.Get(id)
	if cloud.Is(err, cloud.NotFound) || err == nil && !c.Owns(v.ProjectID) {
		return Detail{}, notFound("volume.Get", "Volume", id)
	}
	if err != nil {
		return Detail{}, err
	}
	return detail(tx, v)
}

// Get gives a volume that the caller sees; NotFound.
func (s *Service) Get(ctx context.Context, c cloud.Caller, id string) (d Detail, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		d, err = volumeTx(tx, c, id)
		return err
	})
	return d, err
}

// change changes a volume that the caller sees.
func (s *Service) change(ctx context.Context, c cloud.Caller, id string, fn func(tx *store.Tx, d *Detail) error) (d Detail, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if d, err = volumeTx(tx, c, id); err != nil {
			return err
		}
		if err := fn(tx, &d); err != nil {
			return err
		}
		d.UpdatedAt = s.clock.Now()
		if err := tx.Volumes.Update(d.Volume); err != nil {
			return err
		}
		d, err = detail(tx, d.Volume)
		return err
	})
	return d, err
}

// Changes are the members of a volume or snapshot that a request gives others.
type Changes struct {
	Name, Description *string
	Metadata          map[string]string // nil: as it is
}

// Update changes what a volume is called.
func (s *Service) Update(ctx context.Context, c cloud.Caller, id string, in Changes) (Detail, error) {
	return s.change(ctx, c, id, func(_ *store.Tx, d *Detail) error {
		set(&d.Name, in.Name)
		set(&d.Description, in.Description)
		if in.Metadata != nil {
			d.Metadata = in.Metadata
		}
		return nil
	})
}

func set(field *string, to *string) {
	if to != nil {
		*field = *to
	}
}
