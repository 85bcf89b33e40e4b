package compute

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/service/volume"
)

// The volumes and snapshots of nova's own API: the volume service's.

// OldVolumes lists the volumes of the caller's project, the newest first.
func (s *Service) OldVolumes(ctx context.Context, c cloud.Caller) ([]volume.Detail, error) {
	list, _, _, err := s.volumes.Volumes(ctx, c, volume.List{Limit: -1})
	return list, err
}

// OldVolume gives a volume that the caller sees; NotFound.
func (s *Service) OldVolume(ctx context.Context, c cloud.Caller, id string) (volume.Detail, error) {
	return s.volumes.Get(ctx, c, id)
}

// CreateOldVolume accepts a volume.
func (s *Service) CreateOldVolume(ctx context.Context, c cloud.Caller, in volume.Wanted) (volume.Detail, error) {
	return s.volumes.Create(ctx, c, in)
}

// DeleteOldVolume gives a volume up; Invalid while it is used.
func (s *Service) DeleteOldVolume(ctx context.Context, c cloud.Caller, id string) error {
	return s.volumes.Delete(ctx, c, id, false, false)
}

// OldSnapshots lists the snapshots of the caller's project, the newest first.
func (s *Service) OldSnapshots(ctx context.Context, c cloud.Caller) ([]cloud.Snapshot, error) {
	list, _, _, err := s.volumes.Snapshots(ctx, c, volume.List{Limit: -1})
	return list, err
}

// OldSnapshot gives a snapshot that the caller sees; NotFound.
func (s *Service) OldSnapshot(ctx context.Context, c cloud.Caller, id string) (cloud.Snapshot, error) {
	return s.volumes.Snapshot(ctx, c, id)
}

// CreateOldSnapshot accepts a snapshot.
func (s *Service) CreateOldSnapshot(ctx context.Context, c cloud.Caller, in volume.NewSnapshot) (cloud.Snapshot, error) {
	return s.volumes.CreateSnapshot(ctx, c, in)
}

// DeleteOldSnapshot gives a snapshot up.
func (s *Service) DeleteOldSnapshot(ctx context.Context, c cloud.Caller, id string) error {
	return s.volumes.DeleteSnapshot(ctx, c, id, false)
}
