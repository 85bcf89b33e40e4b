package identity

import (
	"bytes"
	"crypto/dsa" //nolint:staticcheck // sshd of old asks for such a key
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"hearth/internal/disk/guestos"
)

// hostKey is a pair in the files of OpenSSH.
type hostKey struct {
	private, public []byte
	fingerprint     string
}

// newHostKey makes a key of the length that ssh-keygen -A gives it. RSA, DSA and
// ECDSA are written in PEM, which every OpenSSH reads; Ed25519 has no such form.
func newHostKey(kind string) (*hostKey, error) {
	var block *pem.Block
	var public any
	bits, name := 256, strings.ToUpper(kind)
	switch kind {
	case "rsa":
		k, err := rsa.GenerateKey(rand.Reader, 3072)
		if err != nil {
			return nil, err
		}
		bits, public = 3072, &k.PublicKey
		block = &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}
	case "ecdsa":
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		b, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			return nil, err
		}
		public, block = &k.PublicKey, &pem.Block{Type: "EC PRIVATE KEY", Bytes: b}
	case "ed25519":
		pub, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		public = pub
		if block, err = ssh.MarshalPrivateKey(k, ""); err != nil {
			return nil, err
		}
	case "dsa":
		k, b, err := newDSA()
		if err != nil {
			return nil, err
		}
		bits, public, block = 1024, &k.PublicKey, &pem.Block{Type: "DSA PRIVATE KEY", Bytes: b}
	}
	pub, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	return &hostKey{pem.EncodeToMemory(block), ssh.MarshalAuthorizedKey(pub), fmt.Sprintf("%d %s no comment (%s)", bits, ssh.FingerprintSHA256(pub), name)}, nil
}

func newDSA() (*dsa.PrivateKey, []byte, error) {
	k := &dsa.PrivateKey{}
	if err := dsa.GenerateParameters(&k.Parameters, rand.Reader, dsa.L1024N160); err != nil {
		return nil, nil, err
	}
	if err := dsa.GenerateKey(k, rand.Reader); err != nil {
		return nil, nil, err
	}
	b, err := asn1.Marshal(struct{ Version, P, Q, G, Y, X *big.Int }{big.NewInt(0), k.P, k.Q, k.G, k.Y, k.X})
	return k, b, err
}

// sortedOf lists the names of a type in a fixed order.
func sortedOf(names map[string]string, kind string) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if names[name] == kind {
			list = append(list, name)
		}
	}
	return list
}

// dropbear makes anew those keys of a Dropbear that are there (its gensignkey.c
// and buf_put_*_priv_key: the public parts as in ssh, then the secret ones).
func (m *Made) dropbear(t guestos.Files) error {
	for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
		name := "/etc/dropbear/dropbear_" + kind + "_host_key"
		if !guestos.Has(t, name) {
			continue
		}
		b, pub, err := dropbearKey(kind)
		if err != nil {
			return err
		}
		m.add(name, b, 0o600)
		m.HostKeys = append(m.HostKeys, fmt.Sprintf("%s no comment (%s, Dropbear)", ssh.FingerprintSHA256(pub), strings.ToUpper(kind)))
	}
	return nil
}

func dropbearKey(kind string) ([]byte, ssh.PublicKey, error) {
	switch kind {
	case "rsa":
		k, err := rsa.GenerateKey(rand.Reader, 3072)
		if err != nil {
			return nil, nil, err
		}
		pub, err := ssh.NewPublicKey(&k.PublicKey)
		if err != nil {
			return nil, nil, err
		}
		return append(pub.Marshal(), ssh.Marshal(struct{ D, P, Q *big.Int }{k.D, k.Primes[0], k.Primes[1]})...), pub, nil
	case "ecdsa":
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		pub, err := ssh.NewPublicKey(&k.PublicKey)
		if err != nil {
			return nil, nil, err
		}
		secret, err := k.Bytes()
		if err != nil {
			return nil, nil, err
		}
		return append(pub.Marshal(), ssh.Marshal(struct{ D *big.Int }{new(big.Int).SetBytes(secret)})...), pub, nil
	}
	public, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	pub, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	b.Write(ssh.Marshal(struct {
		Kind string
		Key  []byte
	}{"ssh-ed25519", k})) // the seed and the public key
	return b.Bytes(), pub, nil
}
