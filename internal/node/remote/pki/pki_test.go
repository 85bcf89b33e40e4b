package pki

import (
	"crypto/x509"
	"testing"
	"time"

	"hearth/internal/cloud"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestIssueAndVerify(t *testing.T) {
	ca, err := NewCA("test", now)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := ca.Pair()
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadCA(kept)
	if err != nil {
		t.Fatal(err)
	}
	p, err := again.Issue("node-1", now, []Role{RoleNode})
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.TLS()
	if err != nil {
		t.Fatal(err)
	}
	if !HasRole(c.Leaf, RoleNode) || HasRole(c.Leaf, RoleHead) || c.Leaf.Subject.CommonName != "node-1" {
		t.Errorf("%+v", c.Leaf.Subject)
	}
	for name, check := range map[string]struct {
		at    time.Time
		usage x509.ExtKeyUsage
		good  bool
	}{
		"now": {now, x509.ExtKeyUsageClientAuth, true}, "as server": {now, x509.ExtKeyUsageServerAuth, false},
		"late": {now.Add(3 * 365 * 24 * time.Hour), x509.ExtKeyUsageClientAuth, false},
	} {
		_, err := c.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), CurrentTime: check.at, KeyUsages: []x509.ExtKeyUsage{check.usage}})
		if (err == nil) != check.good {
			t.Errorf("%s: %v", name, err)
		}
	}
	other, err := NewCA("test", now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: other.Pool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err == nil {
		t.Error("another authority of the same name vouches for it")
	}
}

func TestBadInput(t *testing.T) {
	ca, err := NewCA("test", now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Issue("", now, []Role{RoleNode}); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("no name: %v", err)
	}
	kept, _ := ca.Pair()
	leaf, _ := ca.Issue("x", now, []Role{RoleHead}, "127.0.0.1")
	for name, p := range map[string]Pair{"empty": {}, "leaf": leaf, "mixed": {kept.Cert, leaf.Key}, "swapped": {kept.Key, kept.Cert}} {
		if _, err := LoadCA(p); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What opens disks of other nodes is at both ends of such connections, and no node to a head.
func TestExportRole(t *testing.T) {
	now := time.Now()
	ca, err := NewCA("test", now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue("node-1", now, []Role{RoleExport})
	if err != nil {
		t.Fatal(err)
	}
	c, err := pair.TLS()
	if err != nil {
		t.Fatal(err)
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth} {
		if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
			t.Errorf("usage %d: %v", usage, err)
		}
	}
	if HasRole(c.Leaf, RoleNode) || !HasRole(c.Leaf, RoleExport) {
		t.Errorf("%v", c.Leaf.Subject)
	}
}
