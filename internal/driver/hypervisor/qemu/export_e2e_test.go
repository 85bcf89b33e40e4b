package qemu

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/hypervisortest"
)

// authority issues certificates as the nodes' own does (node/remote/pki).
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.cert, a.key, _ = a.issue("test", "", nil)
	return a
}

func (a *authority) issue(name, unit string, by *authority) (*x509.Certificate, *ecdsa.PrivateKey, hypervisor.Identity) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name, Organization: []string{"Hearth"}, OrganizationalUnit: []string{unit}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, DNSNames: []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	parent, signer := template, key
	if by == nil {
		template.IsCA, template.KeyUsage, template.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
	} else {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	must(a.t, err)
	cert, err := x509.ParseCertificate(der)
	must(a.t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	must(a.t, err)
	id := hypervisor.Identity{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: cloud.Secret(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))}
	if by != nil {
		id.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: by.cert.Raw})
	}
	return cert, key, id
}

func (a *authority) identity(name, unit string) hypervisor.Identity {
	_, _, id := a.issue(name, unit, a)
	return id
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestExportContract(t *testing.T) {
	real(t)
	cache, ca := t.TempDir(), newAuthority(t)
	hypervisortest.RunExports(t, hypervisortest.Exports{
		Exporter: func() hypervisor.Exporter { return New(Options{CacheDir: cache}) },
		Identity: ca.identity("node-1", "hearth-export"),
		Crash:    func(t *testing.T, h hypervisor.Handle) { must(t, syscall.Kill(h.PID, syscall.SIGKILL)) },
	})
}

// given is a disk of 4 MiB that the host node-1 gives to node-2, and how node-2 opens it.
func given(t *testing.T, d *Driver, ca *authority, disk hypervisor.Disk) (hypervisor.Export, hypervisor.Exported, hypervisor.Disk) {
	t.Helper()
	dir := t.TempDir()
	if disk.Path == "" {
		disk = hypervisor.Disk{ID: "export", Path: filepath.Join(dir, "disk"), Format: hypervisor.FormatRaw}
		must(t, os.WriteFile(disk.Path, make([]byte, 4<<20), 0o600))
	}
	e := hypervisor.Export{ID: fmt.Sprint("export", time.Now().UnixNano()), Dir: filepath.Join(dir, "run"), Disk: disk, Name: "volume-1",
		Address: netip.MustParseAddrPort("127.0.0.1:0"), Peers: []string{"node-2"}, Identity: ca.identity("node-1", "hearth-export")}
	out, err := d.Export(t.Context(), e)
	must(t, err)
	t.Cleanup(func() { _ = d.Destroy(t.Context(), out.Handle) })
	return e, out, hypervisor.Disk{ID: "vol-1", Format: hypervisor.FormatRaw, Serial: "far",
		Remote: &hypervisor.Remote{Address: out.Address, Name: "volume-1", Peer: "node-1", Identity: ca.identity("node-2", "hearth-export")}}
}

// TestRemoteDisk: a guest is given a disk of another host as it runs, and starts with one; it is made larger under it, the
// process that gives it dies and comes back, and nobody else gets in.
func TestRemoteDisk(t *testing.T) {
	real(t)
	d, ca := New(Options{CacheDir: t.TempDir()}), newAuthority(t)
	e, out, disk := given(t, d, ca, hypervisor.Disk{})
	t.Cleanup(func() { _ = d.Destroy(t.Context(), out.Handle) })
	for name, id := range map[string]hypervisor.Identity{"another node": ca.identity("node-3", "hearth-export"), "no node": ca.identity("node-2", "hearth-server"),
		"the node, not for disks": ca.identity("node-2", "hearth-node"), "a name like it": ca.identity("x,CN=node-2", "hearth-server"), "another authority": newAuthority(t).identity("node-2", "hearth-export")} {
		if text, err := readRemote(t, out.Address, id); err == nil {
			t.Errorf("%s gets in: %s", name, text)
		}
	}
	if text, err := readRemote(t, out.Address, disk.Remote.Identity); err != nil {
		t.Fatalf("node-2 does not get in: %v: %s", err, text)
	}
	g := launch(t, Options{}, guestConfig(t)).(*guest)
	wrong := disk
	remote := *disk.Remote
	remote.Peer, wrong.Remote = "node-9", &remote
	if err := g.PlugDisk(t.Context(), wrong); !cloud.Is(err, cloud.Unavailable) {
		t.Errorf("another host's certificate was taken: %v", err)
	}
	for range 2 {
		must(t, g.PlugDisk(t.Context(), disk))
	}
	size := func(want int64) {
		t.Helper()
		devices, err := g.Devices(t.Context())
		must(t, err)
		for _, dev := range devices {
			if dev.ID == "vol-1" && dev.Size != want {
				t.Errorf("the guest sees %d bytes, not %d", dev.Size, want)
			}
		}
	}
	size(4 << 20)
	if err := g.ResizeDisk(t.Context(), "vol-1", 8<<20); !cloud.Is(err, cloud.Unavailable) {
		t.Errorf("larger than it is where it is kept: %v", err)
	}
	must(t, syscall.Kill(out.Handle.PID, syscall.SIGKILL))
	must(t, d.Await(t.Context(), out.Handle))
	must(t, os.Truncate(e.Disk.Path, 8<<20))
	e.Address = out.Address
	again, err := d.Export(t.Context(), e)
	must(t, err)
	t.Cleanup(func() { _ = d.Destroy(t.Context(), again.Handle) })
	must(t, g.ResizeDisk(t.Context(), "vol-1", 8<<20))
	size(8 << 20)
	must(t, g.Reset(t.Context())) // it has no system that would let go before
	if gone, err := g.Unplug(t.Context(), "vol-1"); err != nil || !gone {
		must(t, g.Reset(t.Context()))
		for e := range g.Events() {
			if e.Kind == hypervisor.EventUnplugged {
				break
			}
		}
		if gone, err := g.Unplug(t.Context(), "vol-1"); err != nil || !gone {
			t.Errorf("it does not go: %t, %v", gone, err)
		}
	}
	var left []object
	must(t, g.ask(t.Context(), "test", nil, "qom-list", map[string]any{"path": "/objects"}, &left))
	if strings.Contains(fmt.Sprint(left), "tls-") {
		t.Errorf("QEMU keeps the certificate: %v", left)
	}
	cfg := guestConfig(t)
	cfg.Disks = append(cfg.Disks, disk)
	other := launch(t, Options{}, cfg)
	waitForText(t, other.Handle().ConsoleLog(), hypervisortest.BootGreeting)
	for _, dir := range []string{e.Dir, g.Handle().Dir, other.Handle().Dir} {
		if found, _ := filepath.Glob(filepath.Join(dir, "tls-*")); len(found) > 0 {
			t.Errorf("keys are left in %v", found)
		}
	}
}

// readRemote reads what is given with QEMU's own tool.
func readRemote(t *testing.T, at netip.AddrPort, id hypervisor.Identity) (string, error) {
	t.Helper()
	dir, err := identityDir(filepath.Join(t.TempDir(), "tls"), id, 0)
	must(t, err)
	defer dir.Close()
	out, err := exec.Command("qemu-io", "--object", "tls-creds-x509,id=t,endpoint=client,sanity-check=off,dir="+dir.Name(), "--image-opts",
		fmt.Sprintf("driver=nbd,server.type=inet,server.host=%s,server.port=%d,export=volume-1,tls-creds=t,tls-hostname=node-1", at.Addr(), at.Port()), "-c", "read 0 4096").CombinedOutput()
	return string(out), err
}

// TestRemoteEncrypted: a disk that another host gives is decrypted where the guest is.
func TestRemoteEncrypted(t *testing.T) {
	real(t)
	d, ca := New(Options{CacheDir: t.TempDir()}), newAuthority(t)
	sealed := encryptedDisk(t, "export")
	key := sealed.Key
	sealed.Key = ""
	_, _, disk := given(t, d, ca, sealed)
	disk.Key = key
	g := launch(t, Options{}, guestConfig(t))
	must(t, g.PlugDisk(t.Context(), disk))
	devices, err := g.Devices(t.Context())
	must(t, err)
	for _, dev := range devices {
		if dev.ID == "vol-1" && dev.Size != 1<<20 {
			t.Errorf("the guest sees %d bytes", dev.Size)
		}
	}
}
