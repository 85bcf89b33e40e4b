package metadata

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// tokens makes and checks the session tokens of IMDSv2. A token says whose it
// is and until when, under a key of this process: after a restart clients are
// told 401 and get a new one, as they do when one runs out.
type tokens struct{ key [32]byte }

func newTokens() *tokens {
	t := &tokens{}
	_, _ = rand.Read(t.key[:]) // never fails
	return t
}

// The bounds of a token's life that EC2 has.
const (
	minTTL = time.Second
	maxTTL = 6 * time.Hour
)

func (t *tokens) make(instance string, until time.Time) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(until.Unix()))
	return base64.URLEncoding.EncodeToString(append(raw, t.sign(raw, instance)...))
}

func (t *tokens) valid(token, instance string, now time.Time) bool {
	raw, err := base64.URLEncoding.DecodeString(token)
	if err != nil || len(raw) != 8+sha256.Size {
		return false
	}
	until := time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)
	return hmac.Equal(raw[8:], t.sign(raw[:8], instance)) && now.Before(until)
}

func (t *tokens) sign(until []byte, instance string) []byte {
	mac := hmac.New(sha256.New, t.key[:])
	mac.Write(until)
	mac.Write([]byte(instance))
	return mac.Sum(nil)
}
