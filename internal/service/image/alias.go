package image

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Alias finds the image that NAME:VERSION stands for, among those that the caller
// lists: NAME is the property os_distro or the image's own name; VERSION is "latest",
// a version as os_version has it (12 is the newest of 12 and 12.5), or a tag. An
// image that says its architecture must be for one that a node has. NotFound if there
// is none, and if an image is truly named so.
func (s *Service) Alias(ctx context.Context, caller cloud.Caller, alias string) (img cloud.Image, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		img, err = aliasTx(tx, caller, alias)
		return err
	})
	return img, err
}

func aliasTx(tx *store.Tx, caller cloud.Caller, alias string) (cloud.Image, error) {
	none := noImage("image.Get", alias)
	name, version, ok := strings.Cut(alias, ":")
	if !ok || name == "" || version == "" {
		return cloud.Image{}, none
	}
	list, err := Filter{}.matches(tx, caller)
	if err != nil {
		return cloud.Image{}, err
	}
	hosts, err := tx.Hosts.List(store.Query{})
	if err != nil {
		return cloud.Image{}, err
	}
	if slices.ContainsFunc(list, func(i cloud.Image) bool { return i.Name == alias }) {
		return cloud.Image{}, none
	}
	list = slices.DeleteFunc(list, func(i cloud.Image) bool {
		return i.Status != cloud.ImageActive || !strings.EqualFold(i.Properties["os_distro"], name) && i.Name != name ||
			!ofVersion(i, version) || !runsOn(i, hosts)
	})
	if len(list) == 0 {
		return cloud.Image{}, none
	}
	return slices.MaxFunc(list, func(a, b cloud.Image) int {
		return cmp.Or(compareVersions(a.Properties["os_version"], b.Properties["os_version"]), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	}), nil
}

func ofVersion(i cloud.Image, want string) bool {
	have := i.Properties["os_version"]
	return want == "latest" || have == want || strings.HasPrefix(have, want+".") || slices.Contains(i.Tags, want)
}

// architectures are other words for what nodes call theirs.
var architectures = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

// runsOn tells whether one of the nodes is of the image's architecture; before any
// node has said its own, all are.
func runsOn(i cloud.Image, hosts []cloud.Host) bool {
	arch := i.Properties["architecture"]
	arch = cmp.Or(architectures[arch], arch)
	known := false
	for _, h := range hosts {
		known = known || h.Seen.CPUArch != ""
		if h.Seen.CPUArch == arch {
			return true
		}
	}
	return arch == "" || !known
}

// compareVersions compares 9.13 and 12, 22.04 and 22.10, number by number; words come
// before numbers, and are compared as such.
func compareVersions(a, b string) int {
	split := func(v string) []string {
		return strings.FieldsFunc(v, func(r rune) bool { return r == '.' || r == '-' || r == '_' || r == ' ' })
	}
	return slices.CompareFunc(split(a), split(b), func(x, y string) int {
		n, errN := strconv.ParseUint(x, 10, 64)
		m, errM := strconv.ParseUint(y, 10, 64)
		switch {
		case errN == nil && errM == nil:
			return cmp.Compare(n, m)
		case errN == nil:
			return 1
		case errM == nil:
			return -1
		}
		return strings.Compare(x, y)
	})
}

// byAlias gives what a list by a name that no image has finds, if it is an alias.
func (f Filter) byAlias(tx *store.Tx, caller cloud.Caller) ([]cloud.Image, error) {
	names := f.Equal["name"]
	if len(names) != 1 || !strings.Contains(names[0], ":") || f.Hidden || f.Marker != "" {
		return nil, nil
	}
	img, err := aliasTx(tx, caller, names[0])
	if cloud.Is(err, cloud.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rest := f // the other conditions hold for it too
	rest.Equal = map[string][]string{"id": {img.ID}}
	for name, values := range f.Equal {
		if name != "name" {
			rest.Equal[name] = values
		}
	}
	if slices.Contains(rest.Equal["id"], img.ID) {
		return rest.matches(tx, caller)
	}
	return nil, nil
}
