package dns

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"

	"hearth/internal/cloud"
)

// Upstream asks the host's resolvers in turn. One that does not answer in time
// is left alone for a while, so that guests wait for a dead one once and not
// each time.
type Upstream struct {
	servers []string
	clock   cloud.Clock

	mu   sync.Mutex
	dead map[string]time.Time // until when
}

// How long an answer may take, and how long a dead resolver is left alone.
const (
	patience = 1500 * time.Millisecond
	rest     = 30 * time.Second
)

// errNone says that no resolver is to be asked.
var errNone = errors.New("no resolver answers")

// NewUpstream makes a resolver of servers, each "address:port".
func NewUpstream(servers []string, clock cloud.Clock) *Upstream {
	return &Upstream{servers: servers, clock: clock, dead: map[string]time.Time{}}
}

// HostServers reads the resolvers of this host from a file in the form of
// resolv.conf(5), such as /etc/resolv.conf.
func HostServers(path string) ([]string, error) {
	config, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return nil, err
	}
	var servers []string
	for _, s := range config.Servers {
		servers = append(servers, net.JoinHostPort(s, config.Port))
	}
	return servers, nil
}

// Resolve implements Resolver.
func (u *Upstream) Resolve(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	for _, server := range u.servers {
		if !u.alive(server) {
			continue
		}
		answer, err := exchange(ctx, query, server)
		if err == nil {
			return answer, nil
		}
		u.bury(server)
	}
	return nil, errNone
}

func exchange(ctx context.Context, query *dns.Msg, server string) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	asked := query.Copy()
	asked.Id = dns.Id()
	answer, _, err := (&dns.Client{Net: "udp"}).ExchangeContext(ctx, asked, server)
	if err == nil && answer.Truncated {
		answer, _, err = (&dns.Client{Net: "tcp"}).ExchangeContext(ctx, asked, server)
	}
	return answer, err
}

func (u *Upstream) alive(server string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.clock.Now().Before(u.dead[server])
}

func (u *Upstream) bury(server string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.dead[server] = u.clock.Now().Add(rest)
}
