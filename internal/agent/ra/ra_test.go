package ra

import (
	"encoding/hex"
	"net"
	"net/netip"
	"testing"

	"hearth/internal/cloud"
)

func TestAdvertisement(t *testing.T) {
	prefix := func(mode string, dns ...netip.Addr) []cloud.AdvertisedPrefix {
		return []cloud.AdvertisedPrefix{{Prefix: netip.MustParsePrefix("2001:db8::/64"), Mode: mode, DNS: dns}}
	}
	mac := net.HardwareAddr{0xfa, 0x16, 0x3e, 0, 0, 1}
	const prefixRest = "000151800001518000000000" + "20010db8000000000000000000000000"
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"slaac by a router": {Config{MAC: mac, MTU: 1450, Router: true, Prefixes: prefix(ModeSLAAC)},
			"86000000" + "4000" + "0708" + "0000000000000000" + "0101fa163e000001" + "05010000000005aa" + "030440c0" + prefixRest},
		"stateful": {Config{Router: true, Prefixes: prefix(ModeStateful)},
			"86000000" + "40c0" + "0708" + "0000000000000000" + "03044080" + prefixRest},
		"stateless, no way out": {Config{Prefixes: prefix(ModeStateless)},
			"86000000" + "4040" + "0000" + "0000000000000000" + "030440c0" + prefixRest},
		"names": {Config{Router: true, Prefixes: prefix(ModeSLAAC, netip.MustParseAddr("2001:db8::2")), Domain: "a.test."},
			"86000000" + "4000" + "0708" + "0000000000000000" + "030440c0" + prefixRest + "19030000" + "00000708" + "20010db8000000000000000000000002" + "1f020000" + "00000708" + "0161047465737400"},
	} {
		if got := hex.EncodeToString(c.config.Advertisement(lifetimeRouter)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}

func TestSolicitation(t *testing.T) {
	plain := []byte{133, 0, 0, 0, 0, 0, 0, 0}
	for name, c := range map[string]struct {
		message  []byte
		hopLimit int
		want     bool
	}{
		"plain":        {plain, 255, true},
		"routed":       {plain, 64, false},
		"with source":  {append(append([]byte{}, plain...), 1, 1, 2, 0, 0, 0, 0, 1), 255, true},
		"empty option": {append(append([]byte{}, plain...), 1, 0, 2, 0, 0, 0, 0, 1), 255, false},
		"cut option":   {append(append([]byte{}, plain...), 1, 2, 2, 0, 0, 0, 0, 1), 255, false},
		"short":        {plain[:7], 255, false},
		"other":        {[]byte{134, 0, 0, 0, 0, 0, 0, 0}, 255, false},
	} {
		if got := Solicitation(c.message, c.hopLimit); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func FuzzSolicitation(f *testing.F) {
	f.Add([]byte{133, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, m []byte) { Solicitation(m, 255) })
}
