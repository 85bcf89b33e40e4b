package volume

import (
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/vault"
)

// Keys seals the keys of encrypted volumes; vault.Vault does.
type Keys interface {
	Seal(secret cloud.Secret, whose string) []byte
}

// cipherXTS is the one cipher that encrypted volumes have.
const cipherXTS = "aes-xts-plain64"

// luks are the names of LUKS 1 among encryption providers: cinder's own, and those
// of the classes that it was named by before (os_brick.encryptors, LEGACY_PROVIDER_CLASS_TO_FORMAT_MAP).
func luks(provider string) bool {
	return provider == "luks" || strings.HasSuffix(provider, ".LuksEncryptor") || provider == "LuksEncryptor"
}

// plan is the key, still without a secret, that volumes of a type have: nil for a type
// without encryption. Invalid for encryption that is not done here: a volume in the
// clear must not pass for another.
func (s *Service) plan(op string, t cloud.VolumeType) (*cloud.VolumeKey, error) {
	e := t.Encryption
	if e == nil {
		return nil, nil
	}
	key := &cloud.VolumeKey{Provider: "luks", Cipher: cipherXTS, Bits: e.KeySize, Control: e.ControlLocation}
	if key.Bits == 0 {
		key.Bits = 256
	}
	var why string
	switch {
	case s.keys == nil:
		why = "this cloud has no place for keys"
	case !luks(e.Provider):
		why = "of the providers, luks (LUKS 1) is done here, and not " + e.Provider
	case e.ControlLocation != "front-end":
		why = "control_location is front-end here: it is the hosts of servers that encrypt"
	case e.Cipher != "" && e.Cipher != cipherXTS:
		why = "the cipher is " + cipherXTS + " here, and not " + e.Cipher
	case key.Bits != 256 && key.Bits != 512:
		why = "the key_size is 256 or 512 here"
	case multiattach(t):
		why = "a volume of several servers cannot be encrypted"
	default:
		return key, nil
	}
	return nil, cloud.E(op, cloud.Invalid, "Invalid volume type: volumes of the type %s would have to be encrypted in a way that this cloud does not: %s.", t.Name, why)
}

// lock gives a volume of a type its key. One that is made of another volume has that
// one's, for its bytes are copied as they lie. Invalid when the two do not fit.
func (s *Service) lock(op string, v *cloud.Volume, t cloud.VolumeType) error {
	key, err := s.plan(op, t)
	if err != nil {
		return err
	}
	copied := v.SnapshotID != "" || v.SourceID != "" || v.RootDisk != "" || v.Refill != nil
	switch {
	case copied && !alike(v.Key, key):
		return cloud.E(op, cloud.Invalid, "Invalid volume_type provided: %s (requested type is not compatible; either match source volume, or omit type argument): what is encrypted stays so, under its key, and what is not is not encrypted by being copied.", t.Name)
	case copied || key == nil:
		return nil
	}
	if v.Image != nil && v.Image.VirtualSize > int64(v.SizeGB)*cloud.GiB-luksHeader {
		return cloud.E(op, cloud.Invalid, "Invalid input received: Size of specified image %d bytes is larger than what an encrypted volume of %dGB holds, which needs 2 MB for itself.", v.Image.VirtualSize, v.SizeGB)
	}
	v.Key = s.newKey(*key)
	return nil
}

// luksHeader is what an encrypted disk needs for itself (disk/luks, HeaderSize).
const luksHeader = 2 << 20

func (s *Service) newKey(key cloud.VolumeKey) *cloud.VolumeKey {
	key.ID = cloud.NewID()
	key.Sealed = s.keys.Seal(vault.NewPassphrase(), key.ID)
	return &key
}

// alike tells whether volumes with the one key may be of a type that has the other.
func alike(a, b *cloud.VolumeKey) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Bits == b.Bits && a.Cipher == b.Cipher
}

// unlocked is Invalid, with what cannot be done, for a volume that is encrypted.
func unlocked(op string, d Detail, what string) error {
	if d.Key == nil {
		return nil
	}
	return cloud.E(op, cloud.Invalid, "Invalid volume: %s encrypted volumes is not supported: the key of %s stays in this cloud, with the volume.", what, d.ID)
}
