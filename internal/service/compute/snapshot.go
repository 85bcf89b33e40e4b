package compute

import (
	"context"
	"encoding/json"
	"maps"

	"hearth/internal/cloud"
	"hearth/internal/service/volume"
	"hearth/internal/store"
)

// notInherited are properties of an image that say where it itself came from.
var notInherited = []string{"image_type", "instance_uuid", "base_image_ref", "image_location", "image_state", "user_id", "owner_id", "boot_roles",
	cloud.PropertySysprep}

// CreateImage begins an image of the server's root disk: the image is there at
// once, queued, and has its bytes when the node has copied the disk and the
// housekeeper has fetched it. Of a server that boots from a volume it has no bytes:
// it names the snapshots of all the server's volumes.
func (s *Service) CreateImage(ctx context.Context, a Actor, id, name string, properties map[string]string) (imageID string, err error) {
	const op = "compute.CreateImage"
	imageID = cloud.NewID()
	_, err = s.change(ctx, op, a, id, "createImage", func(tx *store.Tx, v *cloud.Server) error {
		if err := unlocked(op, a.Caller, *v); err != nil {
			return err
		}
		if err := v.Check(op, "createImage", cloud.VMActive, cloud.VMStopped, cloud.VMPaused, cloud.VMSuspended); err != nil {
			return err
		}
		if err := metadataFits(tx, op, v.ProjectID, properties); err != nil {
			return err
		}
		image := s.snapshotOf(a, *v, imageID, name, properties)
		if v.VolumeBoot && image.Prepared() {
			return cloud.E(op, cloud.Invalid, "The server boots from a volume, of which snapshots are made as they are: %s cannot be done. Make the image without it.", cloud.PropertySysprep)
		}
		if v.VolumeBoot {
			return s.mappedSnapshot(tx, a, *v, image)
		}
		if err := tx.Images.Insert(image); err != nil {
			return err
		}
		v.Snapshots = append(v.Snapshots, imageID)
		s.push(v)
		return nil
	})
	return imageID, err
}

// snapshotOf is the row of an image of a server: what its own image said goes
// with it.
func (s *Service) snapshotOf(a Actor, v cloud.Server, id, name string, properties map[string]string) cloud.Image {
	now := s.clock.Now()
	all := maps.Clone(v.ImageProperties)
	if all == nil {
		all = map[string]string{}
	}
	for _, p := range notInherited {
		delete(all, p)
	}
	if v.Deploy != nil && v.Deploy.Archive != nil { // else the scripts would make servers of it anew
		maps.DeleteFunc(all, func(key, _ string) bool { return ofForeign(key) })
	}
	maps.Copy(all, map[string]string{
		"image_type": "snapshot", "instance_uuid": v.ID, "base_image_ref": v.ImageID, "user_id": a.UserID, "owner_id": a.ProjectID,
		"image_location": "snapshot", "image_state": "available",
	})
	maps.Copy(all, properties)
	if v.Kernel == nil { // else the image boots by the same kernel, which its properties name
		delete(all, "kernel_id")
		delete(all, "ramdisk_id")
	}
	return cloud.Image{
		ID: id, Name: name, ProjectID: a.ProjectID, Status: cloud.ImageQueued, Visibility: cloud.VisibilityPrivate,
		ContainerFormat: "bare", DiskFormat: "qcow2", Size: -1, VirtualSize: -1, MinDiskGB: v.Flavor.RootGB,
		Tags: []string{}, Properties: all, CreatedAt: now, UpdatedAt: now,
	}
}

// mappedSnapshot makes snapshots of a server's volumes, and an image that says that
// servers of it have volumes made of these.
func (s *Service) mappedSnapshot(tx *store.Tx, a Actor, v cloud.Server, image cloud.Image) error {
	list, err := attachmentsTx(tx, v.ID)
	if err != nil {
		return err
	}
	var mapped []mapping
	boots := 1
	for _, at := range list {
		d, err := s.volumes.VolumeTx(tx, a.Caller, at.VolumeID)
		if err != nil {
			return err
		}
		snap, err := s.volumes.CreateSnapshotTx(tx, a.Caller, volume.NewSnapshot{
			VolumeID: d.ID, Name: "snapshot for " + image.Name, Description: d.Description,
		})
		if err != nil {
			return err
		}
		m := mapping{
			Source: "snapshot", Destination: "volume", SnapshotID: &snap.ID, Size: &snap.SizeGB, Device: &at.Device,
			DeleteOnTermination: at.DeleteOnTermination,
		}
		if at.Bus != "" {
			m.Bus = &at.Bus
		}
		if at.CDROM {
			m.Type = new(drives)
		}
		switch index := boots; { // without gaps, whatever was taken away since
		case at.Boot:
			m.BootIndex = new(int)
		case at.BootIndex > 0:
			m.BootIndex, boots = &index, boots+1
		}
		mapped = append(mapped, m)
	}
	said, err := json.Marshal(mapped)
	if err != nil {
		return err
	}
	maps.Copy(image.Properties, map[string]string{"block_device_mapping": string(said), "bdm_v2": "True", "root_device_name": RootDevice})
	delete(image.Properties, "image_location")
	delete(image.Properties, "image_state")
	image.Status, image.ContainerFormat, image.DiskFormat, image.Size, image.VirtualSize, image.MinDiskGB = cloud.ImageActive, "", "", 0, 0, 0
	return tx.Images.Insert(image)
}

// Image is an image as nova's own API shows it.
type Image struct {
	cloud.Image
	ServerID string // of a snapshot
}

// Progress is nova's: all or, for one that waits for its bytes, a quarter or a
// half.
func (i Image) Progress() int {
	switch i.Status {
	case cloud.ImageActive, cloud.ImageDeactivated:
		return 100
	case cloud.ImageSaving:
		return 50
	}
	return 25
}

// Images lists the images that the caller may use, by their age.
func (s *Service) Images(ctx context.Context, c cloud.Caller) (list []Image, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.Images.List(store.Query{Order: []store.Order{{Column: "created_at", Desc: true}}})
		for _, img := range all {
			if !img.Hidden && imageVisible(tx, c, img) && (img.Visibility != cloud.VisibilityCommunity || c.Owns(img.ProjectID)) {
				list = append(list, Image{img, img.Properties["instance_uuid"]})
			}
		}
		return err
	})
	return list, err
}

// ImageByID gives an image that the caller may use; NotFound.
func (s *Service) ImageByID(ctx context.Context, c cloud.Caller, id string) (out Image, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		img, err := tx.Images.Get(id)
		if cloud.Is(err, cloud.NotFound) || err == nil && !imageVisible(tx, c, img) {
			return cloud.E("compute.Image", cloud.NotFound, "Image %s could not be found.", id)
		}
		out = Image{img, img.Properties["instance_uuid"]}
		return err
	})
	return out, err
}

// DeleteImage deletes an image of the caller's.
func (s *Service) DeleteImage(ctx context.Context, c cloud.Caller, id string) error {
	if _, err := s.ImageByID(ctx, c, id); err != nil {
		return err
	}
	return s.images.Delete(ctx, c, id)
}

// ChangeImage changes the properties of an image of the caller's.
func (s *Service) ChangeImage(ctx context.Context, c cloud.Caller, id string, change func(map[string]string) error) (map[string]string, error) {
	const op = "compute.ChangeImage"
	var out map[string]string
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		img, err := tx.Images.Get(id)
		switch {
		case cloud.Is(err, cloud.NotFound) || err == nil && !imageVisible(tx, c, img):
			return cloud.E(op, cloud.NotFound, "Image not found.")
		case err != nil:
			return err
		case !c.Owns(img.ProjectID):
			return cloud.E(op, cloud.Forbidden, "You are not allowed to change image %s: it is another project's.", id)
		}
		if img.Properties = maps.Clone(img.Properties); img.Properties == nil {
			img.Properties = map[string]string{}
		}
		if err := change(img.Properties); err != nil {
			return err
		}
		img.UpdatedAt, out = s.clock.Now(), img.Properties
		if err := metadataFits(tx, op, c.ProjectID, out); err != nil {
			return err
		}
		return tx.Images.Update(img)
	})
	return out, err
}
