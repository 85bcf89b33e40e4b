// Package verify tells whether bytes are those that somebody vouched for: by a file of
// check sums (what sha256sum and BSD's sha256 write, plain or clear-signed), or by a
// signature of OpenPGP (RFC 9580) or minisign (https://jedisct1.github.io/minisign/).
//
// What vouches is from outside too and is read with bounds. Keys are the caller's: none
// is looked up anywhere.
package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"aead.dev/minisign"
	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	openpgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"

	"hearth/internal/disk"
)

// Most is how many bytes of a signature, a key ring or a file of sums are looked at.
const Most = 4 << 20

// Kind is what a file that vouches is.
type Kind string

// The kinds. A Sums is a file of check sums; ganeti-instance-image's .sig is one.
const (
	OpenPGP  Kind = "OpenPGP"
	Minisign Kind = "minisign"
	Clear    Kind = "clear-signed" // text with its OpenPGP signature
	Sums     Kind = "sums"
	Unknown  Kind = ""
)

// KindOf tells by its bytes what a file that vouches is.
func KindOf(b []byte) Kind {
	text := bytes.TrimSpace(b)
	switch {
	case bytes.HasPrefix(text, []byte("untrusted comment:")):
		return Minisign
	case bytes.HasPrefix(text, []byte("-----BEGIN PGP SIGNATURE-----")):
		return OpenPGP
	case bytes.HasPrefix(text, []byte("-----BEGIN PGP SIGNED MESSAGE-----")):
		return Clear
	case len(b) > 0 && (b[0] == 0xc2 || b[0]&0xfc == 0x88): // a packet of type 2, of the new form or the old
		return OpenPGP
	case len(list(b)) > 0:
		return Sums
	}
	return Unknown
}

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Refused, Op: "verify", Reason: fmt.Sprintf(format, args...)}
}

// Keys are those that are trusted: of OpenPGP and of minisign.
type Keys struct {
	pgp  openpgp.EntityList
	mini []minisign.PublicKey
}

// ReadKeys reads a key ring: OpenPGP's public keys, armored (several blocks too) or not,
// or the public keys of minisign, a line each.
func ReadKeys(b []byte) (*Keys, error) {
	k := &Keys{}
	return k, k.Add(b)
}

// Add reads a further key ring.
func (k *Keys) Add(b []byte) error {
	if len(b) > Most {
		return refuse("the key ring has more than %d bytes", Most)
	}
	const begin = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
	before := len(k.pgp) + len(k.mini)
	if bytes.Contains(b, []byte(begin)) {
		for i, part := range strings.Split(string(b), begin) {
			if i == 0 {
				continue // what is before the first
			}
			some, err := openpgp.ReadArmoredKeyRing(strings.NewReader(begin + part))
			if err != nil {
				return refuse("the key ring cannot be read: %v", err)
			}
			k.pgp = append(k.pgp, some...)
		}
	} else if len(b) > 0 && b[0]&0x80 != 0 {
		some, err := openpgp.ReadKeyRing(bytes.NewReader(b))
		if err != nil {
			return refuse("the key ring cannot be read: %v", err)
		}
		k.pgp = append(k.pgp, some...)
	} else {
		for line := range strings.Lines(string(b)) {
			var key minisign.PublicKey
			if line = strings.TrimSpace(line); len(line) == 56 && key.UnmarshalText([]byte(line)) == nil {
				k.mini = append(k.mini, key)
			}
		}
	}
	if len(k.pgp)+len(k.mini) == before {
		return refuse("the key ring has no public key, of OpenPGP or of minisign")
	}
	return nil
}

// Check says by whose key a detached signature of the bytes is; it is an error when none
// of the trusted ones made it.
func (k *Keys) Check(signed io.Reader, signature []byte) (who string, err error) {
	switch KindOf(signature) {
	case OpenPGP:
		return k.checkPGP(signed, signature)
	case Minisign:
		return k.checkMinisign(signed, signature)
	case Clear:
		return "", refuse("the signature is around another text, not one of these bytes")
	case Sums:
		return "", refuse("this is no signature but a list of check sums, which anybody can write")
	}
	return "", refuse("this is no signature of OpenPGP or of minisign")
}

func (k *Keys) checkPGP(signed io.Reader, signature []byte) (string, error) {
	if len(k.pgp) == 0 {
		return "", refuse("the signature is one of OpenPGP, and the key ring has no key of such")
	}
	read := &failing{Reader: signed}
	check := openpgp.CheckDetachedSignature
	if bytes.HasPrefix(bytes.TrimSpace(signature), []byte("-----BEGIN")) {
		check = openpgp.CheckArmoredDetachedSignature
	}
	signer, err := check(k.pgp, read, bytes.NewReader(signature), nil)
	if read.err != nil {
		return "", read.err
	}
	if err != nil {
		return "", judged(err)
	}
	return name(signer), nil
}

// checkMinisign tries the key that the signature names. Signatures of the old form, of
// the bytes themselves, would need all of them in memory: they are refused above Most.
func (k *Keys) checkMinisign(signed io.Reader, signature []byte) (string, error) {
	var s minisign.Signature
	if err := s.UnmarshalText(signature); err != nil {
		return "", refuse("the signature of minisign cannot be read: %v", err)
	}
	for _, key := range k.mini {
		if key.ID() != s.KeyID {
			continue
		}
		who := fmt.Sprintf("minisign key %016X", key.ID())
		if s.Algorithm == minisign.EdDSA {
			b, err := io.ReadAll(io.LimitReader(signed, Most+1))
			if err != nil {
				return "", err
			}
			if len(b) > Most {
				return "", refuse("the signature is of minisign's old form, which is not for large files: sign with minisign 0.10 or later")
			}
			if minisign.Verify(key, b, signature) {
				return who, nil
			}
			return "", refuse("the bytes are not those that %s signed", who)
		}
		r := minisign.NewReader(signed)
		if _, err := io.Copy(io.Discard, r); err != nil {
			return "", err
		}
		if r.Verify(key, signature) {
			return who, nil
		}
		return "", refuse("the bytes are not those that %s signed", who)
	}
	return "", refuse("the signature is by minisign's key %016X, which is not trusted", s.KeyID)
}

// Open gives what a clear-signed text says, and by whose key it is signed.
func (k *Keys) Open(text []byte) (content []byte, who string, err error) {
	block, _ := clearsign.Decode(text)
	if block == nil || len(text) > Most {
		return nil, "", refuse("this is no clear-signed text")
	}
	signer, err := block.VerifySignature(k.pgp, nil)
	if err != nil {
		return nil, "", judged(err)
	}
	return block.Plaintext, name(signer), nil
}

// Armor makes text of a signature or a key ring of OpenPGP; what is text stays.
func Armor(b []byte) ([]byte, error) {
	if len(b) == 0 || b[0]&0x80 == 0 {
		return b, nil
	}
	kind := openpgp.PublicKeyType
	if KindOf(b) == OpenPGP {
		kind = openpgp.SignatureType
	}
	var out bytes.Buffer
	w, err := armor.Encode(&out, kind, nil)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Plain is what a text says that may be clear-signed, its signature not looked at.
func Plain(text []byte) []byte {
	if block, _ := clearsign.Decode(text); block != nil {
		return block.Plaintext
	}
	return text
}

// judged says in a sentence why a signature does not hold.
func judged(err error) error {
	switch {
	case errors.Is(err, openpgperrors.ErrUnknownIssuer):
		return refuse("the signature is by a key that is not trusted")
	case errors.Is(err, openpgperrors.ErrKeyExpired), errors.Is(err, openpgperrors.ErrSignatureExpired):
		return refuse("the signature holds no more: %v", err)
	}
	return refuse("the bytes are not those that were signed: %v", err)
}

func name(e *openpgp.Entity) string {
	who := fmt.Sprintf("OpenPGP key %X", e.PrimaryKey.Fingerprint)
	if id := e.PrimaryIdentity(); id != nil {
		who += " (" + strings.ToValidUTF8(strings.Map(printed, id.Name), "?") + ")"
	}
	return who
}

func printed(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}

// failing keeps the error of a reader, which is not the signature's.
type failing struct {
	io.Reader
	err error
}

// Read reads on.
func (f *failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}
