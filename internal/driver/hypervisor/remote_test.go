package hypervisor

import (
	"net/netip"
	"testing"

	"hearth/internal/cloud"
)

func far() Disk {
	return Disk{ID: "vol-1", Format: FormatRaw, Remote: &Remote{Address: netip.MustParseAddrPort("10.0.0.1:7000"), Name: "volume-1@gold", Peer: "node-1",
		Identity: Identity{CA: []byte("ca"), Cert: []byte("cert"), Key: "key"}}}
}

func TestRemoteDisks(t *testing.T) {
	if err := far().Validate(); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*Disk){
		"a file, too":      func(d *Disk) { d.Path = "/x" },
		"another format":   func(d *Disk) { d.Format = FormatQCOW2 },
		"no port":          func(d *Disk) { d.Remote.Address = netip.MustParseAddrPort("10.0.0.1:0") },
		"no address":       func(d *Disk) { d.Remote.Address = netip.AddrPort{} },
		"an option":        func(d *Disk) { d.Remote.Name = "x,tls-creds=none" },
		"any host":         func(d *Disk) { d.Remote.Peer = "*" },
		"no host":          func(d *Disk) { d.Remote.Peer = "" },
		"no certificate":   func(d *Disk) { d.Remote.Identity.Cert = nil },
		"no key":           func(d *Disk) { d.Remote.Identity.Key = "" },
		"nobody to trust":  func(d *Disk) { d.Remote.Identity.CA = nil },
		"neither this nor": func(d *Disk) { d.Remote = nil },
	} {
		d := far()
		change(&d)
		if err := d.Validate(); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
