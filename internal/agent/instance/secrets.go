package instance

import (
	"encoding/base64"
	"slices"

	"hearth/internal/cloud"
)

// Secrets seals what nobody may read who gets hold of the files of instances;
// vault.Vault does.
type Secrets interface {
	Seal(s cloud.Secret, whose string) []byte
	Open(sealed []byte, whose string) (cloud.Secret, error)
}

// writeSpec writes a spec down, the keys of its volumes sealed: a node starts its
// guests again with the head away, and so must have them.
func (m *Manager) writeSpec(dir string, spec cloud.InstanceSpec) error {
	spec.Volumes = slices.Clone(spec.Volumes)
	for i := range spec.Volumes {
		if v := &spec.Volumes[i]; v.Key != "" {
			v.Key = cloud.Secret(base64.StdEncoding.EncodeToString(m.Secrets.Seal(v.Key, v.VolumeID)))
		}
	}
	return m.write(dir, specName, spec, true)
}

// reveal opens the keys of a spec that was written down.
func (m *Manager) reveal(spec *cloud.InstanceSpec) error {
	for i := range spec.Volumes {
		v := &spec.Volumes[i]
		if v.Key == "" {
			continue
		}
		sealed, err := base64.StdEncoding.DecodeString(string(v.Key))
		if err != nil {
			return cloud.E("instance.New", cloud.Invalid, "the key of the volume %s is not written as it should be", v.VolumeID)
		}
		if v.Key, err = m.Secrets.Open(sealed, v.VolumeID); err != nil {
			return err
		}
	}
	return nil
}
