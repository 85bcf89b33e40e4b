package compute

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"strings"

	"golang.org/x/crypto/ssh"

	"hearth/internal/cloud"
)

// generateKey makes an RSA key of 2048 bits: the public half as a line of
// authorized_keys, the private one in PEM, which `ssh -i` reads. x509 pairs can
// only be imported.
func generateKey(op, kind string) (public, private string, err error) {
	if kind != "ssh" {
		return "", "", cloud.E(op, cloud.Invalid, "Hearth generates ssh keypairs only: send the public_key of a keypair of type %s.", kind)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", "", err
	}
	pub, err := ssh.NewPublicKey(&key.PublicKey)
	if err != nil {
		return "", "", err
	}
	public = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))) + " Generated-by-Hearth"
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return public, string(pem.EncodeToMemory(block)), nil
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
