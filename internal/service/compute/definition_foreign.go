package compute

import (
	"cmp"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/disk/osdef"
	"hearth/internal/store"
)

// byForeign is a server as the scripts of a foreign definition make it. Its image is the
// definition's own archive, of which only the scripts are wanted, or any other, which the
// scripts are given.
func byForeign(tx *store.Tx, f *osdef.Foreign, d cloud.OSDefinition, over map[string]string, v *cloud.Server) (*cloud.DeploySpec, error) {
	variant, parameters, err := f.Choose(variantOf(v), over)
	if err != nil {
		return nil, err
	}
	if v.Flavor.RootGB == 0 {
		return nil, cloud.E("", cloud.Invalid, "the flavor %s has no root disk to fill", v.Flavor.Name)
	}
	archive, err := archiveTx(tx, v.ProjectID, f.Digest)
	if err != nil {
		return nil, err
	}
	if archive == nil {
		return nil, cloud.E("", cloud.Invalid, "its archive is not among the images that this project may use; 'hearth os-def push %s FOLDER' puts it there again", d.Name)
	}
	return &cloud.DeploySpec{Name: d.Name, Version: d.Version, Body: d.Body, Over: parameters, Archive: archive, Variant: variant}, nil
}

// variantOf is the variant that is said, as saidOf gathers the rest.
func variantOf(v *cloud.Server) (variant string) {
	for _, said := range []map[string]string{v.ImageProperties, v.Flavor.ExtraSpecs, v.Metadata} {
		variant = cmp.Or(said[cloud.PropertyOSVariant], variant)
	}
	return variant
}

// archiveTx finds an image with the bytes of a digest that a project's servers may be
// made by: whose it is does not matter, for its digest says what it does. nil for none.
func archiveTx(tx *store.Tx, project, digest string) (*cloud.ImageRef, error) {
	all, err := tx.Images.List(store.Where(store.Eq("digest", digest), store.Eq("status", string(cloud.ImageActive))))
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(i cloud.Image) bool {
		return i.ProjectID == project || i.Visibility == cloud.VisibilityPublic
	})
	if i < 0 {
		return nil, nil
	}
	return original(all[i]), nil
}

// notArchive refuses a server of the archive of a foreign definition that is not made by
// this definition: there is nothing in it to boot.
func notArchive(op string, f *osdef.Foreign, v *cloud.Server) error {
	of := v.ImageProperties[cloud.PropertyOSArchive]
	if of == "" || v.VolumeBoot || f != nil && v.Image.Digest == f.Digest {
		return nil
	}
	return cloud.E(op, cloud.Invalid, "Image %s is the archive of the foreign definition %s, and servers are made of it by this definition alone: say %s=%s, or another image.", v.ImageID, of, cloud.PropertyOSDefinition, of)
}

// ofForeign tells the properties by which an image has servers made by a definition.
func ofForeign(key string) bool {
	return key == cloud.PropertyOSDefinition || key == cloud.PropertyOSVariant || key == cloud.PropertyOSArchive || strings.HasPrefix(key, cloud.PropertyOSSetting)
}
