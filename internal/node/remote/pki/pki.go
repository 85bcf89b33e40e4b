// Package pki is the cloud's own certificate authority: small, offline, with
// keys on P-256. Head and nodes know each other by its certificates; the name
// in one is who it speaks for, the role what it may do.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"slices"
	"time"

	"hearth/internal/cloud"
)

// Role is what the holder of a certificate may do. It is an organizational unit
// of the certificate's subject.
type Role string

// The roles.
const (
	RoleHead   Role = "hearth-head"   // takes nodes' connections
	RoleNode   Role = "hearth-node"   // connects to a head, under its name
	RoleServer Role = "hearth-server" // serves the APIs to clients
	RoleExport Role = "hearth-export" // gives volumes to nodes, and has theirs, under its name: what the processes of guests have, and so no more than that
)

// How long certificates are good for.
const (
	caLife   = 20 * 365 * 24 * time.Hour
	leafLife = 825 * 24 * time.Hour // the most that browsers and Apple's TLS take
	backdate = time.Hour            // for clocks that are behind
)

// CA issues certificates.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	der  []byte
}

// Pair is a certificate with its key, each PEM.
type Pair struct{ Cert, Key []byte }

// NewCA makes an authority, good for 20 years from now.
func NewCA(name string, now time.Time) (*CA, error) {
	const op = "pki.NewCA"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "%w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name, Organization: []string{"Hearth"}},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(caLife), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "%w", err)
	}
	return newCA(op, der, key)
}

func newCA(op string, der []byte, key *ecdsa.PrivateKey) (*CA, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, cloud.E(op, cloud.Invalid, "the certificate of the authority cannot be read: %w", err)
	}
	if !cert.IsCA || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, cloud.E(op, cloud.Invalid, "the certificate is not of an authority, or not of this key")
	}
	return &CA{cert: cert, key: key, der: der}, nil
}

// LoadCA reads an authority that Pair wrote.
func LoadCA(p Pair) (*CA, error) {
	const op = "pki.LoadCA"
	c, _ := pem.Decode(p.Cert)
	k, _ := pem.Decode(p.Key)
	if c == nil || k == nil {
		return nil, cloud.E(op, cloud.Invalid, "the certificate or the key of the authority is not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(k.Bytes)
	if err != nil {
		return nil, cloud.E(op, cloud.Invalid, "the key of the authority cannot be read: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, cloud.E(op, cloud.Invalid, "the key of the authority is not on an elliptic curve")
	}
	return newCA(op, c.Bytes, key)
}

// Pair is what to keep of the authority; the key is a secret.
func (ca *CA) Pair() (Pair, error) { return pair(ca.der, ca.key) }

// Pool trusts the authority and nobody else.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// Issue makes a key and a certificate for a name in some roles; hosts are
// further names and addresses it is good for.
func (ca *CA) Issue(name string, now time.Time, roles []Role, hosts ...string) (Pair, error) {
	const op = "pki.Issue"
	if name == "" || len(roles) == 0 {
		return Pair{}, cloud.E(op, cloud.Invalid, "a certificate needs a name and a role")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, cloud.E(op, cloud.Internal, "%w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name, Organization: []string{"Hearth"}},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(leafLife), KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	for _, r := range roles {
		template.Subject.OrganizationalUnit = append(template.Subject.OrganizationalUnit, string(r))
		for _, usage := range usages(r) {
			if !slices.Contains(template.ExtKeyUsage, usage) {
				template.ExtKeyUsage = append(template.ExtKeyUsage, usage)
			}
		}
	}
	for _, h := range append([]string{name}, hosts...) {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return Pair{}, cloud.E(op, cloud.Invalid, "no certificate can be made for %q: %w", name, err)
	}
	return pair(der, key)
}

// usages are the ends of connections that a role is at.
func usages(r Role) []x509.ExtKeyUsage {
	switch r {
	case RoleNode:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	case RoleExport:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
}

func pair(der []byte, key *ecdsa.PrivateKey) (Pair, error) {
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, cloud.E("pki.Pair", cloud.Internal, "%w", err)
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
	}, nil
}

// TLS is the pair as crypto/tls takes it.
func (p Pair) TLS() (tls.Certificate, error) {
	c, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		return c, cloud.E("pki.TLS", cloud.Invalid, "the certificate and its key cannot be read: %w", err)
	}
	return c, nil
}

// HasRole tells whether a verified certificate is for a role.
func HasRole(cert *x509.Certificate, role Role) bool {
	return slices.Contains(cert.Subject.OrganizationalUnit, string(role))
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}
