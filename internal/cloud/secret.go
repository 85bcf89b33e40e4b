package cloud

import "log/slog"

// Secret is a text that nobody may see who does not need it: printed or logged it is
// hidden; as JSON it is told, to those whom it is for.
type Secret string

const hidden = "[secret]"

// String hides it.
func (s Secret) String() string { return hidden }

// GoString hides it from %#v.
func (s Secret) GoString() string { return hidden }

// LogValue hides it from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// VolumeKey is what a volume, a snapshot or a backup is encrypted under. All copies of
// an encrypted disk have the same key, for what is copied are the bytes as they lie.
type VolumeKey struct {
	ID       string // as the API tells it
	Sealed   []byte // the passphrase, under the key file of the cloud; nobody can read it without that
	Provider string // luks
	Cipher   string // aes-xts-plain64
	Bits     int    // 256 or 512
	Control  string // front-end
}
