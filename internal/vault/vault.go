// Package vault seals secrets that are kept on disk, in the store or in a file, under a
// key that lies in a file of its own: whoever gets hold of the one without the other
// can read nothing (AES-256-GCM, NIST SP 800-38D).
package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hearth/internal/cloud"
)

const keySize = 32

// Vault seals and opens. It is safe for concurrent use.
type Vault struct{ aead cipher.AEAD }

// Open takes the key from a file, readable by its owner alone, which it makes when it
// is not there. Invalid when the file holds no key, or others may read it.
func Open(path string) (*Vault, error) {
	const op = "vault.Open"
	key, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, cloud.E(op, cloud.Internal, "the key file %s cannot be made: %w", path, err)
		}
		key, err = read(path)
	}
	if err != nil {
		return nil, cloud.E(op, cloud.Invalid, "the key file %s: %w", path, err)
	}
	return with(key)
}

// New makes a vault whose key is in memory alone: what it seals is lost with it.
func New() *Vault {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // which never fails (crypto/rand)
	v, err := with(key)
	if err != nil {
		panic(err) // a key of 32 bytes is one of AES
	}
	return v
}

func with(key []byte) (*Vault, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &Vault{aead}, err
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, errors.New("others may read it: chmod 600")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != keySize {
		return nil, errors.New("it does not hold 64 hexadecimal digits; put the file back that was there, for what is sealed under it cannot be read without")
	}
	return key, nil
}

// create writes a new key, whole or not at all, and never over one that is there.
func create(path string) error {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path)) // what is sealed must not outlive the key's name in a power cut
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Seal encrypts a secret; whose is what Open must be told too, such as an id.
func (v *Vault) Seal(s cloud.Secret, whose string) []byte {
	return v.aead.Seal(nil, nil, []byte(s), []byte(whose))
}

// Open decrypts what Seal gave. Invalid when it was sealed under another key, for
// something else, or was changed.
func (v *Vault) Open(sealed []byte, whose string) (cloud.Secret, error) {
	plain, err := v.aead.Open(nil, nil, sealed, []byte(whose))
	if err != nil {
		return "", cloud.E("vault.Open", cloud.Invalid, "the secret of %s cannot be read: it was sealed under another key file than this cloud's", whose)
	}
	return cloud.Secret(plain), nil
}

// NewPassphrase makes a random passphrase of 256 bits, as hexadecimal digits.
func NewPassphrase() cloud.Secret {
	key := make([]byte, keySize)
	_, _ = rand.Read(key)
	return cloud.Secret(hex.EncodeToString(key))
}
