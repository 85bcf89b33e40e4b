package compute

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"hearth/internal/cloud"
)

// generateKey makes an RSA key of 2048 bits with its private half in PEM, which
// `ssh -i` reads. The public half is a line of authorized_keys, or for x509 a
// certificate in PEM that the key signs itself, for the user named.
func generateKey(op, kind, user string, now time.Time) (public, private string, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", "", cloud.E(op, cloud.Internal, "cannot generate a key: %w", err)
	}
	if kind == "x509" {
		public, err = certificate(key, user, now)
	} else {
		public, err = authorized(key)
	}
	if err != nil {
		return "", "", cloud.E(op, cloud.Internal, "cannot write a public key down: %w", err)
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return public, string(pem.EncodeToMemory(block)), nil
}

// authorized is a key as a line of authorized_keys.
func authorized(key *rsa.PrivateKey) (string, error) {
	pub, err := ssh.NewPublicKey(&key.PublicKey)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))) + " Generated-by-Hearth", nil
}

// certificate is a key as a certificate for logging in to WinRM, of ten years,
// as nova makes it.
func certificate(key *rsa.PrivateKey, user string, now time.Time) (string, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: user}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}

// fingerprint checks a public key and gives its fingerprint as nova does: MD5 of
// an ssh key, SHA-1 of an x509 certificate, both in colon notation.
func fingerprint(op, kind, public string) (string, error) {
	if kind == "x509" {
		block, _ := pem.Decode([]byte(public))
		if block != nil {
			if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
				sum := sha1.Sum(cert.Raw)
				return colons(sum[:]), nil
			}
		}
		return "", cloud.E(op, cloud.Invalid, "Keypair data is invalid: failed to generate X509 fingerprint: the public key is not a certificate in PEM")
	}
	key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(public))
	if err != nil || len(strings.TrimSpace(string(rest))) > 0 {
		return "", cloud.E(op, cloud.Invalid, "Keypair data is invalid: failed to generate fingerprint: the public key is not one line in the format of ssh's authorized_keys")
	}
	sum := md5.Sum(key.Marshal())
	return colons(sum[:]), nil
}

// colons writes bytes in hexadecimal with colons between.
func colons(b []byte) string {
	parts := make([]string, len(b))
	for i := range b {
		parts[i] = hex.EncodeToString(b[i : i+1])
	}
	return strings.Join(parts, ":")
}
