package volume

import (
	"context"
	"maps"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Wanted is what a volume is wanted like.
type Wanted struct {
	Name, Description, Type, Zone     string // Type is an id or a name
	SizeGB                            int    // 0: as what it is made from
	ImageID, SnapshotID, SourceID     string
	GroupID, Transfer, BackupID, Host string
	Metadata                          map[string]string
	Multiattach                       bool // whatever its type says
	FollowImages                      bool // an image that stands for a snapshot is taken as that
	Root                              *ServerRoot
}

// Create accepts a volume; the housekeeper makes it. Invalid, NotFound,
// QuotaExceeded.
func (s *Service) Create(ctx context.Context, c cloud.Caller, in Wanted) (d Detail, err error) {
	const op = "volume.Create"
	var image *cloud.Image
	if in.ImageID != "" {
		img, err := s.images.Get(ctx, c, in.ImageID)
		switch {
		case cloud.Is(err, cloud.NotFound):
			return d, cloud.E(op, cloud.Invalid, "Invalid image identifier or unable to access requested image.")
		case err != nil:
			return d, err
		case img.Status != cloud.ImageActive:
			return d, cloud.E(op, cloud.Invalid, "Image %s is not active.", img.ID)
		}
		image = &img
		if from := serverSnapshot(image); from != "" && in.FollowImages {
			image, in.SnapshotID = nil, from
		}
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		d, err = s.create(tx, c, in, image)
		return err
	})
	return d, err
}

func (s *Service) create(tx *store.Tx, c cloud.Caller, in Wanted, image *cloud.Image) (Detail, error) {
	now := s.clock.Now()
	v := cloud.Volume{
		ID: cloud.NewID(), Name: in.Name, Description: in.Description, ProjectID: c.ProjectID, UserID: c.UserID, SizeGB: in.SizeGB,
		AvailabilityZone: in.Zone, Metadata: in.Metadata, GroupID: in.GroupID, NextAttemptAt: now, CreatedAt: now, UpdatedAt: now,
	}
	if err := source(tx, c, in, &v); err != nil {
		return Detail{}, err
	}
	if err := fromImage("volume.Create", image, &v); err != nil {
		return Detail{}, err
	}
	if err := s.fromBackup(tx, c, "volume.Create", in, &v); err != nil {
		return Detail{}, err
	}
	if err := fileSystem("volume.Create", in, v); err != nil {
		return Detail{}, err
	}
	if err := s.settle(tx, c, in, &v); err != nil {
		return Detail{}, err
	}
	if err := tx.Volumes.Insert(v); err != nil {
		return Detail{}, err
	}
	return detail(tx, v)
}

// source takes over what a snapshot or another volume gives.
func source(tx *store.Tx, c cloud.Caller, in Wanted, v *cloud.Volume) error {
	const op = "volume.Create"
	switch {
	case in.Root != nil:
		return in.Root.source(op, v)
	case in.SnapshotID != "":
		s, err := snapshotTx(tx, c, in.SnapshotID)
		if err != nil {
			return err
		}
		if s.Status() != cloud.VolumeAvailable {
			return cloud.E(op, cloud.Invalid, "Originating snapshot status must be one of available values: its status is %s.", s.Status())
		}
		v.SnapshotID, v.Node, v.Pool, v.SourcePool, v.TypeID, v.Bootable, v.ImageMetadata = s.ID, s.Node, s.Pool, s.Pool, s.TypeID, s.Bootable, maps.Clone(s.ImageMetadata)
		v.Key = s.Key
		return atLeast(op, "snapshot", s.SizeGB, v)
	case in.SourceID != "":
		src, err := volumeTx(tx, c, in.SourceID)
		if err != nil {
			return err
		}
		if src.Status != cloud.VolumeAvailable && src.Status != cloud.VolumeReserved && src.Status != cloud.VolumeInUse {
			return cloud.E(op, cloud.Invalid, "Source volume's status must be available or in-use to be copied: it is %s.", src.Status)
		}
		v.SourceID, v.Node, v.Pool, v.SourcePool, v.TypeID, v.Bootable, v.ImageMetadata = src.ID, src.Node, src.Pool, src.Pool, src.TypeID, src.Bootable, maps.Clone(src.ImageMetadata)
		v.Key = src.Key
		return atLeast(op, "volume", src.SizeGB, v)
	}
	return nil
}

func atLeast(op, what string, size int, v *cloud.Volume) error {
	if v.SizeGB == 0 {
		v.SizeGB = size
	}
	if v.SizeGB < size {
		return cloud.E(op, cloud.Invalid, "Invalid input received: Volume size '%d'GB cannot be smaller than the original %s size %dGB. They must be >= original %s size.",
			v.SizeGB, what, size, what)
	}
	return nil
}

// fromImage takes over what an image gives.
func fromImage(op string, image *cloud.Image, v *cloud.Volume) error {
	if image == nil {
		return nil
	}
	need := int((max(image.VirtualSize, image.Size) + cloud.GiB - 1) / cloud.GiB)
	switch {
	case v.SizeGB > 0 && v.SizeGB < need:
		return cloud.E(op, cloud.Invalid, "Invalid input received: Size of specified image %dGB is larger than volume size %dGB.", need, v.SizeGB)
	case v.SizeGB > 0 && v.SizeGB < image.MinDiskGB:
		return cloud.E(op, cloud.Invalid, "Invalid input received: Volume size %dGB cannot be smaller than the image minDisk size %dGB.", v.SizeGB, image.MinDiskGB)
	case image.ContainerFormat == "aki" || image.ContainerFormat == "ari":
		return cloud.E(op, cloud.Invalid, "Image %s is the kernel or the ramdisk of another and holds no disk.", image.ID)
	}
	ref := image.Ref()
	v.Image = &ref
	v.Bootable, v.ImageMetadata = true, imageMetadata(*image)
	return nil
}

// fileSystem checks what the metadata asks for: a file system, scheduled snapshots.
func fileSystem(op string, in Wanted, v cloud.Volume) error {
	if _, err := ParseSchedule(v.Metadata[SnapshotSchedule]); err != nil {
		return err
	}
	fs, err := cloud.ParseVolumeFileSystem(v.Metadata)
	if err == nil && fs.Type != "" && (v.Image != nil || v.SnapshotID != "" || v.SourceID != "" || in.BackupID != "") {
		err = cloud.E(op, cloud.Invalid, "%s is for a volume that is made of nothing else: this one has what it is made of", cloud.VolumeFS)
	}
	return err
}

// imageMetadata is what a volume remembers of its image.
func imageMetadata(i cloud.Image) map[string]string {
	m := maps.Clone(i.Properties)
	if m == nil {
		m = map[string]string{}
	}
	maps.Copy(m, map[string]string{
		"image_id": i.ID, "image_name": i.Name, "checksum": i.Checksum, "container_format": i.ContainerFormat, "disk_format": i.DiskFormat,
		"min_disk": number(int64(i.MinDiskGB)), "min_ram": number(int64(i.MinRAMMB)), "size": number(i.Size),
	})
	return m
}

// settle checks what all volumes have in common: size, type, zone, group, quota.
func (s *Service) settle(tx *store.Tx, c cloud.Caller, in Wanted, v *cloud.Volume) error {
	const op = "volume.Create"
	if v.SizeGB < 1 {
		return cloud.E(op, cloud.Invalid, "Invalid input received: Invalid volume size provided for create request: %d (size argument must be an integer (or string representation of an integer) and greater than zero).", v.SizeGB)
	}
	kind, err := s.typeFor(tx, c, in.Type, v.TypeID)
	if err != nil {
		return err
	}
	if err := s.lock(op, v, kind); err != nil {
		return err
	}
	v.TypeID, v.Multiattach = kind.ID, multiattach(kind) || in.Multiattach
	if err := s.knownZone(tx, v.AvailabilityZone); err != nil {
		return err
	}
	if v.AvailabilityZone == "" {
		v.AvailabilityZone = s.zone
		if h, err := tx.Hosts.Get(v.Node); err == nil {
			v.AvailabilityZone = h.AvailabilityZone
		}
	}
	if v.Node != "" {
		pool, err := poolFor(tx, op, *v, kind)
		if err != nil {
			return err
		}
		v.Pool = pool
	}
	if in.GroupID != "" {
		g, err := groupTx(tx, c, in.GroupID)
		if err != nil {
			return err
		}
		if !contains(g.VolumeTypes, v.TypeID) {
			return cloud.E(op, cloud.Invalid, "Invalid volume_type provided: %s (requested type must be supported by this group).", kind.Name)
		}
	}
	return admit(tx, op, v.ProjectID, kind.Name, demand{volumes: 1, gigabytes: v.SizeGB, largest: v.SizeGB})
}

// typeFor finds the type asked for, by id or name; else the one of the source;
// else the default.
func (s *Service) typeFor(tx *store.Tx, c cloud.Caller, asked, source string) (cloud.VolumeType, error) {
	switch {
	case asked != "":
		return typeTx(tx, c, asked)
	case source != "":
		return tx.VolumeTypes.Get(source)
	}
	return defaultTypeTx(tx, c.ProjectID)
}

func (s *Service) knownZone(tx *store.Tx, zone string) error {
	if zone == "" || zone == s.zone {
		return nil
	}
	n, err := tx.Hosts.Count(store.Eq("availability_zone", zone))
	if err == nil && n == 0 {
		err = cloud.E("volume.Create", cloud.Invalid, "Invalid input received: Availability zone '%s' is invalid.", zone)
	}
	return err
}
