package compute

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/disk/osdef"
	"hearth/internal/store"
)

// ofNodes are settings that name files of a node or places in the web: they are for
// 'hearth deploy', and no definition has a node of the cloud read them.
var ofNodes = []string{"CUSTOMIZE_DIR", "VARIANTS_DIR", "NETWORKS_DIR", "OVERLAYS_DIR", "IMAGE_DIR", "IMAGE_NAME", "IMAGE_URL", "CACHE_DIR", "EXPORT_DIR", "CDINSTALL"}

// deployBy finds the definition that a server is to be made by, as the image, its
// flavor and its owner say, and resolves it; none for a server that is a clone of its
// image. A definition that is not there, or does not fit, is Invalid.
func deployBy(tx *store.Tx, op string, v *cloud.Server) error {
	v.Deploy = nil
	name, over := saidOf(v)
	if name == "" && len(over) == 0 {
		return notArchive(op, nil, v)
	}
	if v.VolumeBoot {
		return cloud.E(op, cloud.Invalid, "A server that boots from a volume is not made by a definition: take %s and %s… away.", cloud.PropertyOSDefinition, cloud.PropertyOSSetting)
	}
	d, err := DefinitionTx(tx, op, v.ProjectID, cmp.Or(name, cloud.DefaultOSDefinition))
	if name == "" && cloud.Is(err, cloud.NotFound) {
		d, err = cloud.OSDefinition{Name: cloud.DefaultOSDefinition, Body: `{"name":"` + cloud.DefaultOSDefinition + `"}`}, nil
	}
	if err != nil {
		return asInvalid(op, err)
	}
	spec, err := osdef.Decode([]byte(d.Body))
	if err != nil {
		return cloud.E(op, cloud.Invalid, "Definition %s cannot be read: %w", d.Ref(), err)
	}
	if err := notArchive(op, spec.Foreign, v); err != nil {
		return err
	}
	if spec.Foreign != nil {
		v.Deploy, err = byForeign(tx, spec.Foreign, d, over, v)
		if err != nil {
			return cloud.E(op, cloud.Invalid, "Definition %s: %w", d.Ref(), err)
		}
		return nil
	}
	overlay, err := fits(tx, spec, over, v)
	if err != nil {
		return cloud.E(op, cloud.Invalid, "Definition %s: %w", d.Ref(), err)
	}
	for _, setting := range ofNodes {
		over[setting] = ""
	}
	over["CDINSTALL"] = "no"
	if image, err := tx.Images.Get(v.ImageID); err == nil && image.Made != nil {
		v.Image = *original(image)
	}
	v.Deploy = &cloud.DeploySpec{Name: d.Name, Version: d.Version, Body: d.Body, Over: over, Overlay: overlay}
	return nil
}

// saidOf gathers the definition's name and the settings over it: those of the flavor
// come before those of the image, those of the server before both.
func saidOf(v *cloud.Server) (name string, over map[string]string) {
	over = map[string]string{}
	for _, said := range []map[string]string{v.ImageProperties, v.Flavor.ExtraSpecs, v.Metadata} {
		name = cmp.Or(said[cloud.PropertyOSDefinition], name)
		for key, value := range said {
			if setting, ok := strings.CutPrefix(key, cloud.PropertyOSSetting); ok {
				over[setting] = value
			}
		}
	}
	return name, over
}

// fits resolves a definition for a server, holds it against the server's disk, and
// finds its overlay.
func fits(tx *store.Tx, d *osdef.Definition, over map[string]string, v *cloud.Server) (*cloud.ImageRef, error) {
	for _, setting := range slices.Sorted(maps.Keys(over)) {
		if slices.Contains(ofNodes, setting) {
			return nil, cloud.E("", cloud.Invalid, "%s is for 'hearth deploy': a server's image is its own, and the files of nodes are not its", setting)
		}
	}
	r, err := d.Resolve(int64(v.Flavor.MemoryMB)<<20, over)
	if err != nil {
		return nil, err
	}
	if v.Flavor.RootGB == 0 {
		return nil, cloud.E("", cloud.Invalid, "the flavor %s has no root disk to lay out", v.Flavor.Name)
	}
	if v.Kernel != nil { // it is started from outside of the disk, with the words once
		have := strings.Fields(v.KernelArgs)
		for _, word := range strings.Fields(r.KernelArgs) {
			if !slices.Contains(have, word) {
				have = append(have, word)
			}
		}
		v.KernelArgs = strings.Join(have, " ")
	}
	if err := r.FitSwap(int64(v.Flavor.RootGB) << 30); err != nil {
		return nil, err
	}
	if name := r.Settings["OVERLAY"]; name != "" && r.On("overlays") {
		return overlayTx(tx, v.ProjectID, name)
	}
	return nil, nil
}

// overlayTx finds the archive of an overlay, NAME or NAME@VERSION, among the images:
// those of the server's project, else the public ones, which only an administrator
// makes.
func overlayTx(tx *store.Tx, project, ref string) (*cloud.ImageRef, error) {
	name, at, exact := strings.Cut(ref, "@")
	all, err := tx.Images.List(store.Where(store.Eq("name", name), store.Eq("status", string(cloud.ImageActive))))
	if err != nil {
		return nil, err
	}
	var best *cloud.ImageRef
	rank, versions := [2]int{-1, 0}, []string{}
	for _, image := range all {
		n, err := strconv.Atoi(image.Properties[cloud.PropertyOverlay])
		if err != nil || n < 1 || image.ProjectID != project && image.Visibility != cloud.VisibilityPublic {
			continue
		}
		versions = append(versions, name+"@"+strconv.Itoa(n))
		at := [2]int{0, n}
		if image.ProjectID == project {
			at[0] = 1
		}
		if (!exact || ref == name+"@"+strconv.Itoa(n)) && slices.Compare(at[:], rank[:]) > 0 {
			best, rank = original(image), at
		}
	}
	if best != nil {
		return best, nil
	}
	if slices.Sort(versions); len(versions) == 0 {
		versions = []string{"none of this name"}
	}
	return nil, cloud.E("", cloud.Invalid, "the overlay %s is not among the images%s; there are: %s. 'hearth os-def overlay put' uploads one", ref, map[bool]string{true: " with version " + at}[exact], strings.Join(versions, ", "))
}

// original is an image as it was uploaded: a definition lays an archive out by itself,
// and does not want the disk that was made of it.
func original(i cloud.Image) *cloud.ImageRef {
	return &cloud.ImageRef{ID: i.ID, Digest: i.Digest, Format: i.DiskFormat, Size: i.Size, VirtualSize: i.Size}
}

// DefinitionTx finds NAME, its newest version, or NAME@VERSION, among those of a
// project, else among those of all; NotFound, with the names that there are.
func DefinitionTx(tx *store.Tx, op, project, ref string) (cloud.OSDefinition, error) {
	name, at, exact := strings.Cut(ref, "@")
	for _, of := range slices.Compact([]string{project, ""}) {
		q := store.Query{Where: []store.Cond{store.Eq("project_id", of), store.Eq("name", name)}, Order: []store.Order{{Column: "version", Desc: true}}, Limit: 1}
		if n, err := strconv.Atoi(at); exact && err == nil {
			q.Where = append(q.Where, store.Eq("version", n))
		}
		found, err := tx.OSDefinitions.List(q)
		if err != nil || len(found) > 0 && (!exact || found[0].Ref() == ref) {
			if err != nil {
				return cloud.OSDefinition{}, err
			}
			return found[0], nil
		}
	}
	all, err := tx.OSDefinitions.List(store.Where(store.In("project_id", project, "")))
	if err != nil {
		return cloud.OSDefinition{}, err
	}
	var names []string
	for _, d := range all {
		names = append(names, d.Name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		names = []string{"none"}
	}
	return cloud.OSDefinition{}, cloud.E(op, cloud.NotFound, "Definition %s could not be found; there are: %s.", ref, strings.Join(names, ", "))
}
