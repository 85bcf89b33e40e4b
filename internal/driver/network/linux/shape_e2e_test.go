package linux

import (
	"io"
	"net"
	"testing"
	"time"

	"hearth/internal/cloud"
)

// send measures how fast one guest can send to another, in Kbit/s.
func send(t *testing.T, from, to *guest, address string, bytes int) int {
	t.Helper()
	var l net.Listener
	if err := to.Do(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn := from.dial(address, soon)
		if conn == nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Write(make([]byte, bytes))
	}()
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	begun := time.Now()
	n, err := io.Copy(io.Discard, conn)
	if err != nil || n != int64(bytes) {
		t.Fatalf("%d of %d bytes came: %v", n, bytes, err)
	}
	return int(float64(n) * 8 / 1000 / time.Since(begun).Seconds())
}

func TestE2EBandwidthLimits(t *testing.T) {
	l := newLab(t, nil)
	p := newPlan("10.0.0.0/24")
	open := p.group(append(egressAll(), ingress("IPv4", "tcp", 5001))...)
	a, b := p.port(11, open), p.port(12, open)
	l.apply(p)
	ga, gb := l.guest(p, a), l.guest(p, b)
	const bytes = 2 << 20
	limit := cloud.Bandwidth{Kbps: 20000, BurstKb: 1000}
	for _, step := range []struct {
		name            string
		egress, ingress cloud.Bandwidth // of a
		out, in         bool            // whether a's sending and receiving are slow
	}{
		{"none", cloud.Bandwidth{}, cloud.Bandwidth{}, false, false},
		{"egress", limit, cloud.Bandwidth{}, true, false},
		{"egress, the same again", limit, cloud.Bandwidth{}, true, false},
		{"ingress", cloud.Bandwidth{}, limit, false, true},
		{"both", limit, limit, true, true},
		{"none again", cloud.Bandwidth{}, cloud.Bandwidth{}, false, false},
	} {
		p.Ports[0].Egress, p.Ports[0].Ingress = step.egress, step.ingress
		l.apply(p)
		for what, test := range map[string]struct {
			rate int
			slow bool
		}{
			"sends":    {send(t, ga, gb, ip(b)+":5001", bytes), step.out},
			"receives": {send(t, gb, ga, ip(a)+":5001", bytes), step.in},
		} {
			t.Logf("%s: it %s %d Kbit/s", step.name, what, test.rate)
			if test.slow && (test.rate > 26000 || test.rate < 10000) || !test.slow && test.rate < 60000 {
				t.Errorf("%s: it %s %d Kbit/s", step.name, what, test.rate)
			}
		}
	}
}
