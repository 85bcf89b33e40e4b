package identity

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// claims is what a token says. It holds no roles: those are looked up.
type claims struct {
	User     string    `json:"u"`
	Methods  []string  `json:"m"`
	Project  string    `json:"p,omitempty"`
	Domain   string    `json:"d,omitempty"`
	System   bool      `json:"s,omitempty"`
	AppCred  string    `json:"c,omitempty"`
	Trust    string    `json:"t,omitempty"`
	OAuth    string    `json:"o,omitempty"` // an access token of OAuth
	AuditIDs []string  `json:"a"`
	Issued   time.Time `json:"i"`
	Expires  time.Time `json:"e"`
}

// signingKey seals tokens while it is the newest, and opens them while it is kept.
type signingKey struct {
	ID      byte      `json:"id"`
	Key     []byte    `json:"key"` // 32 bytes
	Created time.Time `json:"created"`
}

// keyring is the keys as this process knows them, the newest last.
type keyring struct {
	mu   sync.Mutex
	keys []signingKey
}

// keysSetting names the setting that holds the keys.
const keysSetting = "identity.token_keys"

// maxKeys bounds how many keys are kept: an id, a byte, names one only.
const maxKeys = 200

// tokenVersion is the first byte of a token.
const tokenVersion = 1

// seal makes a token: base64 of version, key id, nonce, sealed claims.
func (s *Service) seal(ctx context.Context, c claims) (string, error) {
	key, err := s.newestKey(ctx)
	if err != nil {
		return "", err
	}
	aead, err := newAEAD(key.Key)
	if err != nil {
		return "", err
	}
	plain, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	out := make([]byte, 2+aead.NonceSize(), 2+aead.NonceSize()+len(plain)+aead.Overhead())
	out[0], out[1] = tokenVersion, key.ID
	_, _ = rand.Read(out[2:])
	out = aead.Seal(out, out[2:], plain, out[:2])
	return base64.RawURLEncoding.EncodeToString(out), nil
}

// maxToken bounds what is taken for a token, in bytes.
const maxToken = 4096

// open reads a token's claims; a Denial for what is not a token of ours.
func (s *Service) open(ctx context.Context, token string) (claims, error) {
	var c claims
	notOurs := deny(TokenInvalid, "", "it is not a token of this cloud, or too old")
	if len(token) > maxToken {
		return c, notOurs
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < 2 || raw[0] != tokenVersion || base64.RawURLEncoding.EncodeToString(raw) != token {
		return c, notOurs
	}
	key, err := s.keyOf(ctx, raw[1])
	if err != nil {
		return c, err
	}
	if key == nil {
		return c, notOurs
	}
	aead, err := newAEAD(key.Key)
	if err != nil {
		return c, err
	}
	if len(raw) < 2+aead.NonceSize() {
		return c, notOurs
	}
	plain, err := aead.Open(nil, raw[2:2+aead.NonceSize()], raw[2+aead.NonceSize():], raw[:2])
	if err != nil || json.Unmarshal(plain, &c) != nil || len(c.AuditIDs) == 0 {
		return c, notOurs
	}
	return c, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, cloud.E("identity.keys", cloud.Internal, "the key of tokens in the store is broken: %w", err)
	}
	return cipher.NewGCM(block)
}

// newestKey is the key to seal with. When it is old, or there is none, it makes
// another.
func (s *Service) newestKey(ctx context.Context) (signingKey, error) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	fresh := func() bool {
		n := len(s.keys.keys)
		return n > 0 && s.clock.Now().Sub(s.keys.keys[n-1].Created) < s.opts.KeyLife
	}
	if !fresh() {
		if err := s.rotate(ctx, false); err != nil {
			return signingKey{}, err
		}
	}
	return s.keys.keys[len(s.keys.keys)-1], nil
}

// keyOf is the key of an id, nil for none. An unknown id may be of a key that
// another head made: the store is asked.
func (s *Service) keyOf(ctx context.Context, id byte) (*signingKey, error) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	find := func(k signingKey) bool { return k.ID == id }
	i := slices.IndexFunc(s.keys.keys, find)
	if i < 0 {
		err := s.view(ctx, func(tx *store.Tx) (err error) {
			s.keys.keys, err = storedKeys(tx)
			return err
		})
		if err != nil {
			return nil, err
		}
		i = slices.IndexFunc(s.keys.keys, find)
	}
	if i < 0 {
		return nil, nil
	}
	key := s.keys.keys[i]
	return &key, nil
}

// RotateKeys makes a new key for the tokens to come. Tokens that are out stay
// valid.
func (s *Service) RotateKeys(ctx context.Context) error {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	return s.rotate(ctx, true)
}

// rotate adds a key if the newest is old (or always), and drops those that no
// valid token can have been sealed with. The lock of the keyring is held.
func (s *Service) rotate(ctx context.Context, always bool) error {
	var keys []signingKey
	err := s.store.Update(ctx, func(tx *store.Tx) (err error) {
		if keys, err = storedKeys(tx); err != nil {
			return err
		}
		now := s.clock.Now()
		var last byte
		if n := len(keys); n > 0 {
			last = keys[n-1].ID
			if !always && now.Sub(keys[n-1].Created) < s.opts.KeyLife {
				return nil // another head was quicker
			}
			// A key sealed its last token when its successor was made.
			for len(keys) > 1 && now.Sub(keys[1].Created) > s.opts.TokenLife+s.opts.ExpiredGrace {
				keys = keys[1:]
			}
		}
		keys = keys[max(0, len(keys)-maxKeys+1):]
		key := signingKey{ID: last + 1, Key: make([]byte, 32), Created: now}
		_, _ = rand.Read(key.Key)
		keys = append(keys, key)
		value, err := json.Marshal(keys)
		if err != nil {
			return err
		}
		return tx.Settings.Put(store.Setting{Name: keysSetting, Value: string(value)})
	})
	if err == nil {
		s.keys.keys = keys
	}
	return err
}

func storedKeys(tx *store.Tx) ([]signingKey, error) {
	setting, err := tx.Settings.Get(keysSetting)
	if cloud.Is(err, cloud.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var keys []signingKey
	err = json.Unmarshal([]byte(setting.Value), &keys)
	if err == nil && slices.ContainsFunc(keys, func(k signingKey) bool { return len(k.Key) != 32 }) {
		err = errors.New("a key is not of 32 bytes")
	}
	if err != nil {
		return nil, cloud.E("identity.keys", cloud.Internal, "the setting %s is broken: %w", keysSetting, err)
	}
	return keys, nil
}
