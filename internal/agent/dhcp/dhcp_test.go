package dhcp

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"hearth/internal/cloud"
)

var (
	guestMAC  = net.HardwareAddr{0xfa, 0x16, 0x3e, 0, 0, 0x0b}
	serverMAC = net.HardwareAddr{0xfa, 0x16, 0x3e, 0, 0, 0x02}
	guestLL   = netip.MustParseAddr("fe80::f816:3eff:fe00:b")
)

func example() cloud.NetworkSpec {
	return cloud.NetworkSpec{
		MTU: 1450, DNSDomain: "cloud.test.",
		Subnets: []cloud.SubnetSpec{
			{ID: "s4", CIDR: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1"), DHCP: true,
				Routes: []cloud.Route{{Destination: netip.MustParsePrefix("192.0.2.0/24"), NextHop: netip.MustParseAddr("10.0.0.9")}}},
			{ID: "s6", CIDR: netip.MustParsePrefix("2001:db8::/64"), DHCP: true, AddressMode: modeStateful},
		},
		DHCP: &cloud.ServicePort{MAC: serverMAC.String(), Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24"), netip.MustParsePrefix("2001:db8::2/64")}},
		Ports: []cloud.PortSpec{{
			MAC: guestMAC.String(), Hostname: "vm1",
			Addresses:   []cloud.FixedIP{{SubnetID: "s4", IP: netip.MustParseAddr("10.0.0.11")}, {SubnetID: "s6", IP: netip.MustParseAddr("2001:db8::11")}},
			DHCPOptions: []cloud.DHCPOption{{Name: "ntp-server", Value: "10.0.0.5"}, {Name: "67", Value: "pxe.0", IPVersion: 4}, {Name: "67", Value: "six", IPVersion: 6}},
		}},
	}
}

func newServer(t *testing.T) (*Server, *cloud.FakeClock) {
	t.Helper()
	clock := cloud.NewFakeClock()
	s := NewServer(clock, nil)
	s.Update(NewTable(example(), Options{Lease: time.Hour, Marker: 239, MarkerValue: "cluster-1"}), serverMAC)
	return s, clock
}

func ask(t *testing.T, s *Server, kind dhcpv4.MessageType, mods ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, *net.UDPAddr) {
	t.Helper()
	req, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(guestMAC), dhcpv4.WithMessageType(kind)}, mods...)...)
	if err != nil {
		t.Fatal(err)
	}
	raw, to := s.Answer4(req.ToBytes())
	if raw == nil {
		return nil, nil
	}
	resp, err := dhcpv4.FromBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	if resp.TransactionID != req.TransactionID {
		t.Error("the answer is to another request")
	}
	return resp, to
}

func TestDiscover(t *testing.T) {
	s, _ := newServer(t)
	offer, to := ask(t, s, dhcpv4.MessageTypeDiscover)
	if offer == nil || offer.MessageType() != dhcpv4.MessageTypeOffer {
		t.Fatalf("no offer: %v", offer)
	}
	if to.String() != "10.0.0.11:68" {
		t.Errorf("sent to %v", to)
	}
	var routes dhcpv4.Routes
	if err := routes.FromBytes(offer.Options.Get(dhcpv4.OptionClasslessStaticRoute)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ got, want string }{
		"address": {offer.YourIPAddr.String(), "10.0.0.11"},
		"mask":    {net.IP(offer.SubnetMask()).String(), "255.255.255.0"},
		"router":  {offer.Router()[0].String(), "10.0.0.1"},
		"dns":     {offer.DNS()[0].String(), "10.0.0.2"},
		"server":  {offer.ServerIdentifier().String(), "10.0.0.2"},
		"name":    {offer.HostName(), "vm1"},
		"domain":  {offer.DomainName(), "cloud.test"},
		"search":  {offer.DomainSearch().Labels[0], "cloud.test"},
		"lease":   {offer.IPAddressLeaseTime(0).String(), "1h0m0s"},
		"renew":   {offer.IPAddressRenewalTime(0).String(), "30m0s"},
		"mtu":     {string(offer.Options.Get(dhcpv4.OptionInterfaceMTU)), "\x05\xaa"},
		"marker":  {string(offer.Options.Get(dhcpv4.GenericOptionCode(239))), "cluster-1"},
		"ntp":     {offer.NTPServers()[0].String(), "10.0.0.5"},
		"boot":    {offer.BootFileName, "pxe.0"},
		"routes":  {routes.String(), "route to 169.254.169.254/32 via 10.0.0.2; route to 192.0.2.0/24 via 10.0.0.9; route to 0.0.0.0/0 via 10.0.0.1"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}

func TestRequest(t *testing.T) {
	right, wrong := net.IPv4(10, 0, 0, 11), net.IPv4(10, 0, 0, 12)
	option := func(ip net.IP) dhcpv4.Modifier { return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(ip)) }
	server := func(ip net.IP) dhcpv4.Modifier { return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(ip)) }
	for name, c := range map[string]struct {
		kind dhcpv4.MessageType
		mods []dhcpv4.Modifier
		want dhcpv4.MessageType
		to   string
	}{
		"selecting":      {dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{option(right), server(net.IPv4(10, 0, 0, 2))}, dhcpv4.MessageTypeAck, "10.0.0.11:68"},
		"by broadcast":   {dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{option(right), dhcpv4.WithBroadcast(true)}, dhcpv4.MessageTypeAck, "255.255.255.255:68"},
		"another server": {dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{option(right), server(net.IPv4(10, 0, 0, 66))}, 0, ""},
		"reboot":         {dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{option(right)}, dhcpv4.MessageTypeAck, "10.0.0.11:68"},
		"reboot, moved":  {dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{option(wrong)}, dhcpv4.MessageTypeNak, "255.255.255.255:68"},
		"renew":          {dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{dhcpv4.WithClientIP(right)}, dhcpv4.MessageTypeAck, "10.0.0.11:68"},
		"renew, moved":   {dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{dhcpv4.WithClientIP(wrong)}, dhcpv4.MessageTypeNak, "255.255.255.255:68"},
		"nothing asked":  {dhcpv4.MessageTypeRequest, nil, 0, ""},
		"inform":         {dhcpv4.MessageTypeInform, []dhcpv4.Modifier{dhcpv4.WithClientIP(right)}, dhcpv4.MessageTypeAck, "10.0.0.11:68"},
		"inform, other":  {dhcpv4.MessageTypeInform, []dhcpv4.Modifier{dhcpv4.WithClientIP(wrong)}, 0, ""},
		"release":        {dhcpv4.MessageTypeRelease, []dhcpv4.Modifier{dhcpv4.WithClientIP(right)}, 0, ""},
		"decline":        {dhcpv4.MessageTypeDecline, []dhcpv4.Modifier{option(right)}, 0, ""},
		"relayed":        {dhcpv4.MessageTypeDiscover, []dhcpv4.Modifier{dhcpv4.WithGatewayIP(right)}, 0, ""},
		"stranger":       {dhcpv4.MessageTypeDiscover, []dhcpv4.Modifier{dhcpv4.WithHwAddr(net.HardwareAddr{2, 0, 0, 0, 0, 1})}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newServer(t)
			resp, to := ask(t, s, c.kind, c.mods...)
			if resp == nil {
				if c.want != 0 {
					t.Fatal("no answer")
				}
				return
			}
			if resp.MessageType() != c.want || to.String() != c.to {
				t.Errorf("%v to %v, want %v to %s", resp.MessageType(), to, c.want, c.to)
			}
			if c.kind == dhcpv4.MessageTypeInform && (!unset(resp.YourIPAddr) || resp.IPAddressLeaseTime(0) != 0) {
				t.Error("an answer to INFORM gives a lease")
			}
		})
	}
}

func TestRateLimit(t *testing.T) {
	s, clock := newServer(t)
	answered := 0
	for range 100 {
		if resp, _ := ask(t, s, dhcpv4.MessageTypeDiscover); resp != nil {
			answered++
		}
	}
	if answered != burst {
		t.Errorf("%d of 100 at once were answered, want %d", answered, burst)
	}
	clock.Advance(time.Second)
	if resp, _ := ask(t, s, dhcpv4.MessageTypeDiscover); resp == nil {
		t.Error("no answer a second later")
	}
	s.Update(&Table{}, serverMAC)
	clock.Advance(time.Second)
	if resp, _ := ask(t, s, dhcpv4.MessageTypeDiscover); resp != nil {
		t.Error("a port that is gone was answered")
	}
}

func TestDHCPv6(t *testing.T) {
	s, _ := newServer(t)
	solicit, err := dhcpv6.NewSolicit(guestMAC)
	if err != nil {
		t.Fatal(err)
	}
	exchange := func(msg *dhcpv6.Message, from netip.Addr) *dhcpv6.Message {
		raw := s.Answer6(msg.ToBytes(), from)
		if raw == nil {
			return nil
		}
		resp, err := dhcpv6.MessageFromBytes(raw)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	advertise := exchange(solicit, guestLL)
	if advertise == nil || advertise.MessageType != dhcpv6.MessageTypeAdvertise {
		t.Fatalf("no advertise: %v", advertise)
	}
	request, err := dhcpv6.NewRequestFromAdvertise(advertise)
	if err != nil {
		t.Fatal(err)
	}
	reply := exchange(request, guestLL)
	if reply == nil || reply.MessageType != dhcpv6.MessageTypeReply {
		t.Fatalf("no reply: %v", reply)
	}
	if got := reply.Options.OneIANA().Options.OneAddress().IPv6Addr.String(); got != "2001:db8::11" {
		t.Errorf("address %s", got)
	}
	if got := reply.Options.DNS(); len(got) != 1 || got[0].String() != "2001:db8::2" {
		t.Errorf("DNS %v", got)
	}
	request.UpdateOption(dhcpv6.OptServerID(&dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: guestMAC}))
	if resp := exchange(request, guestLL); resp != nil {
		t.Error("a request to another server was answered")
	}
	stranger, err := dhcpv6.NewSolicit(net.HardwareAddr{2, 0, 0, 0, 0, 1})
	if err != nil {
		t.Fatal(err)
	}
	if resp := exchange(stranger, netip.MustParseAddr("fe80::ff:fe00:1")); resp != nil {
		t.Error("a stranger was answered")
	}
	// A stranger's DUID does not matter when the address is known.
	if resp := exchange(stranger, guestLL); resp == nil {
		t.Error("the guest with an odd DUID was not answered")
	}
	inform, err := dhcpv6.NewMessage()
	if err != nil {
		t.Fatal(err)
	}
	inform.MessageType = dhcpv6.MessageTypeInformationRequest
	if resp := exchange(inform, guestLL); resp == nil || resp.Options.OneIANA() != nil || len(resp.Options.DNS()) != 1 {
		t.Errorf("information: %v", resp)
	}
}

func TestServe(t *testing.T) {
	s, _ := newServer(t)
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve6(conn) }()
	_ = conn.Close()
	if err := <-done; err != nil {
		t.Errorf("a closed socket is an error: %v", err)
	}
}

func FuzzAnswer4(f *testing.F) {
	for _, kind := range []dhcpv4.MessageType{dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeInform} {
		req, err := dhcpv4.New(dhcpv4.WithHwAddr(guestMAC), dhcpv4.WithMessageType(kind), dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IPv4(10, 0, 0, 11))))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(req.ToBytes())
	}
	f.Add([]byte{1, 1, 6})
	clock := cloud.NewFakeClock()
	s := NewServer(clock, nil)
	s.Update(NewTable(example(), Options{Marker: 239, MarkerValue: "c"}), serverMAC)
	f.Fuzz(func(t *testing.T, raw []byte) {
		clock.Advance(time.Second)
		answer, to := s.Answer4(raw)
		if (answer == nil) != (to == nil) {
			t.Fatal("an answer to nowhere")
		}
		if answer == nil {
			return
		}
		resp, err := dhcpv4.FromBytes(answer)
		if err != nil {
			t.Fatal(err)
		}
		if resp.OpCode != dhcpv4.OpcodeBootReply || !unset(resp.YourIPAddr) && resp.YourIPAddr.String() != "10.0.0.11" {
			t.Fatalf("wrong answer: %s", resp.Summary())
		}
	})
}

func FuzzAnswer6(f *testing.F) {
	solicit, err := dhcpv6.NewSolicit(guestMAC)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(solicit.ToBytes())
	f.Add([]byte{12, 0})
	clock := cloud.NewFakeClock()
	s := NewServer(clock, nil)
	s.Update(NewTable(example(), Options{}), serverMAC)
	f.Fuzz(func(t *testing.T, raw []byte) {
		clock.Advance(time.Second)
		answer := s.Answer6(raw, guestLL)
		if answer == nil {
			return
		}
		if _, err := dhcpv6.MessageFromBytes(answer); err != nil {
			t.Fatal(err)
		}
	})
}
