package compute_test

import (
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
)

// edKey has the fingerprint that ssh-keygen -l -E md5 says.
const (
	edKey         = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIfnYOWGEUjIjsQyez8YyJIAw0NlwlaDJ0ps9jFKf/0G me@here"
	edFingerprint = "09:93:9e:06:fb:07:d7:e5:44:a7:d7:94:77:58:39:86"
)

func TestBootstrapOnce(t *testing.T) {
	b := computetest.New(t)
	b.Must(b.Compute.DeleteFlavor(t.Context(), "5"))
	b.Must(b.Compute.Bootstrap(t.Context()))
	flavors, err := b.Compute.Flavors(t.Context(), computetest.Member().Caller, compute.FlavorFilter{})
	b.Must(err)
	var ids []string
	for _, f := range flavors {
		ids = append(ids, f.ID)
	}
	if !slices.Equal(ids, []string{"1", "2", "3", "4", "42"}) {
		t.Errorf("%v: a deleted flavor came back, or one is missing", ids)
	}
}

func TestFlavorAccess(t *testing.T) {
	b := computetest.New(t)
	ctx := t.Context()
	f, err := b.Compute.CreateFlavor(ctx, cloud.Flavor{Name: "secret", VCPUs: 1, MemoryMB: 64})
	b.Must(err)
	member, admin := computetest.Member().Caller, computetest.Admin().Caller
	if _, err := b.Compute.Flavor(ctx, member, f.ID); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("a private flavor is seen: %v", err)
	}
	_, err = b.Compute.AddFlavorAccess(ctx, f.ID, computetest.Project, true)
	b.Must(err)
	_, err = b.Compute.Flavor(ctx, member, f.ID)
	b.Must(err)
	if _, err := b.Compute.AddFlavorAccess(ctx, f.ID, computetest.Project, true); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("twice: %v", err)
	}
	if _, err := b.Compute.AddFlavorAccess(ctx, "1", computetest.Project, true); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("to a public one: %v", err)
	}
	if _, err := b.Compute.FlavorAccess(ctx, admin, "1"); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("of a public one: %v", err)
	}
	_, err = b.Compute.RemoveFlavorAccess(ctx, f.ID, computetest.Project)
	b.Must(err)
	if _, err := b.Compute.RemoveFlavorAccess(ctx, f.ID, computetest.Project); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("removed twice: %v", err)
	}
	for name, dup := range map[string]cloud.Flavor{"name": {Name: "m1.tiny"}, "id": {ID: "1", Name: "new"}} {
		if _, err := b.Compute.CreateFlavor(ctx, dup); !cloud.Is(err, cloud.Conflict) {
			t.Errorf("the same %s: %v", name, err)
		}
	}
	yes, no := true, false
	for name, c := range map[string]struct {
		q    compute.FlavorFilter
		want int
	}{
		"admin's": {compute.FlavorFilter{}, 6}, "all": {compute.FlavorFilter{Any: true}, 7}, "public": {compute.FlavorFilter{Public: &yes}, 6},
		"private": {compute.FlavorFilter{Public: &no}, 1}, "big": {compute.FlavorFilter{MinRAM: 4096}, 3}, "after": {compute.FlavorFilter{Marker: "4"}, 2},
	} {
		list, err := b.Compute.Flavors(ctx, admin, c.q)
		if err != nil || len(list) != c.want {
			t.Errorf("%s: %d, want %d: %v", name, len(list), c.want, err)
		}
	}
}

func TestKeypairs(t *testing.T) {
	b := computetest.New(t)
	ctx, c := t.Context(), computetest.Member().Caller
	k, private, err := b.Compute.CreateKeypair(ctx, c, compute.KeypairRequest{Name: "me", PublicKey: edKey})
	b.Must(err)
	if private != "" || k.Fingerprint != edFingerprint {
		t.Errorf("%+v, private %q", k, private)
	}
	gen, private, err := b.Compute.CreateKeypair(ctx, c, compute.KeypairRequest{Name: "new"})
	b.Must(err)
	block, _ := pem.Decode([]byte(private))
	if block == nil {
		t.Fatalf("not PEM: %s", private)
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err != nil || !strings.HasPrefix(gen.PublicKey, "ssh-rsa ") {
		t.Errorf("%v: %s", err, gen.PublicKey)
	}
	for name, r := range map[string]compute.KeypairRequest{
		"again": {Name: "me", PublicKey: edKey}, "not a key": {Name: "x", PublicKey: "ssh-rsa nothing"}, "two keys": {Name: "x", PublicKey: edKey + "\n" + edKey},
		"another's": {Name: "x", PublicKey: edKey, UserID: "someone"}, "not a certificate": {Name: "x", Type: "x509", PublicKey: edKey},
	} {
		if _, _, err := b.Compute.CreateKeypair(ctx, c, r); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	cert, _, err := b.Compute.CreateKeypair(ctx, c, compute.KeypairRequest{Name: "cert", Type: "x509"})
	b.Must(err)
	if block, _ := pem.Decode([]byte(cert.PublicKey)); block == nil || block.Type != "CERTIFICATE" || len(strings.Split(cert.Fingerprint, ":")) != 20 {
		t.Errorf("%+v", cert)
	}
	list, err := b.Compute.Keypairs(ctx, c, "", "me", 10)
	b.Must(err)
	if len(list) != 1 || list[0].Name != "new" {
		t.Errorf("%v", list)
	}
	b.Must(b.Compute.DeleteKeypair(ctx, c, "", "me"))
	if _, err := b.Compute.Keypair(ctx, c, "", "me"); !cloud.Is(err, cloud.NotFound) {
		t.Error(err)
	}
}

func TestQuota(t *testing.T) {
	b := computetest.New(t)
	ctx, a := t.Context(), computetest.Member()
	b.Create(a, computetest.Request())
	limits, used, err := b.Compute.Quota(ctx, a.Caller, computetest.Project, "")
	b.Must(err)
	if limits["instances"] != 10 || used != (compute.Usage{Instances: 1, Cores: 1, RAM: 512}) {
		t.Errorf("%v %+v", limits, used)
	}
	if _, err := b.Compute.SetQuota(ctx, computetest.Project, "", map[string]int{"ram": 511}, false); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("below what is used: %v", err)
	}
	_, err = b.Compute.SetClassQuota(ctx, "default", map[string]int{"cores": 7, "instances": 3})
	b.Must(err)
	limits, err = b.Compute.SetQuota(ctx, computetest.Project, "", map[string]int{"instances": 1}, false)
	b.Must(err)
	if limits["instances"] != 1 || limits["cores"] != 7 {
		t.Errorf("%v", limits)
	}
	if _, err := b.Compute.Create(ctx, a, computetest.Request()); !cloud.Is(err, cloud.QuotaExceeded) {
		t.Error(err)
	}
	b.Must(b.Compute.DeleteQuota(ctx, computetest.Project, ""))
	b.Create(a, computetest.Request())
	if _, _, err := b.Compute.Quota(ctx, a.Caller, computetest.Other, ""); !cloud.Is(err, cloud.Forbidden) {
		t.Errorf("another project's: %v", err)
	}
}
