package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/node"
	"hearth/internal/node/fake"
	"hearth/internal/node/nodetest"
	"hearth/internal/node/remote/pki"
)

// site is a head and what it takes to join it, on the loopback.
type site struct {
	t       *testing.T
	ca      *pki.CA
	images  *nodetest.Images
	source  node.Images // what the head serves
	fleet   *node.Fleet
	changed <-chan struct{}
	known   func(string) error
	address string
	lines   *lines
}

// lines are the connections that the head has taken, for tests that cut them.
type lines struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func (l *lines) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		l.conns = append(l.conns, c)
		l.mu.Unlock()
	}
	return c, err
}

func (l *lines) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}

func newSite(t *testing.T, change ...func(*site)) *site {
	t.Helper()
	ca, err := pki.NewCA("test", time.Now())
	must(t, err)
	s := &site{t: t, ca: ca, images: nodetest.NewImages(), fleet: node.NewFleet()}
	s.source = s.images
	s.changed = s.fleet.Changed()
	for _, c := range change {
		c(s)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s.lines, s.address = &lines{Listener: ln}, ln.Addr().String()
	head := NewHead(HeadConfig{Identity: s.identity("head", pki.RoleHead), Images: s.source, Known: s.known, Join: s.fleet.Join, Leave: s.fleet.Leave})
	background(t, func(ctx context.Context) { _ = head.Serve(ctx, s.lines) })
	return s
}

func (s *site) identity(name string, role pki.Role) Identity {
	s.t.Helper()
	p, err := s.ca.Issue(name, time.Now(), []pki.Role{role}, "127.0.0.1")
	must(s.t, err)
	c, err := p.TLS()
	must(s.t, err)
	return Identity{Certificate: c, CA: s.ca.Pool()}
}

// background runs fn until the test ends.
func background(t *testing.T, fn func(ctx context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); fn(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
}

func (s *site) config(name string) NodeConfig {
	return NodeConfig{Identity: s.identity(name, pki.RoleNode), Head: s.address, Wait: func(ctx context.Context, _ time.Duration) {
		select { // soon, but not at once: the head may be busy with the end of the last
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}}
}

// join brings a fake node to the head and waits for it in the fleet.
func (s *site) join(name string) (node.Node, *fake.Node) {
	s.t.Helper()
	cfg := s.config(name)
	images := NewImages(cfg)
	n, err := fake.New(s.t.Context(), s.t.TempDir(), images, fake.Options{})
	must(s.t, err)
	s.t.Cleanup(func() { _ = n.Close(); _ = images.Close() })
	background(s.t, func(ctx context.Context) { _ = Serve(ctx, cfg, n) })
	return s.await(name), n
}

// await waits until a node of a name is in the fleet.
func (s *site) await(name string) node.Node {
	s.t.Helper()
	limit := time.After(2 * time.Minute)
	for {
		if n, err := s.fleet.Node(name); err == nil {
			return n
		}
		select {
		case <-s.changed:
		case <-limit:
			s.t.Fatalf("node %s does not join", name)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestSuite(t *testing.T) {
	nodetest.Run(t, func(t *testing.T) nodetest.Bench {
		s := newSite(t)
		there, n := s.join("node-1")
		return nodetest.Bench{Node: there, Images: s.images, Guests: n.World.Host}
	})
}

func TestNodeComesBack(t *testing.T) {
	s := newSite(t)
	first, n := s.join("node-1")
	watched := make(chan error, 1)
	go func() { watched <- first.Watch(t.Context(), func(cloud.InstanceStatus) {}) }()
	s.lines.cut()
	if err := <-watched; !cloud.Is(err, cloud.Unavailable) || !strings.Contains(err.Error(), "node-1") {
		t.Errorf("the watch ended with %v", err)
	}
	if _, err := first.Status(t.Context()); !cloud.Is(err, cloud.Unavailable) {
		t.Errorf("a call on the lost line: %v", err)
	}
	limit := time.After(2 * time.Minute)
	for {
		if again, err := s.fleet.Node("node-1"); err == nil {
			if _, err := again.Status(t.Context()); err == nil {
				break
			}
		}
		select {
		case <-s.changed:
		case <-limit:
			t.Fatal("the node does not come back")
		}
	}
	// Images are fetched over a new line too.
	b := nodetest.Bench{Node: n, Images: s.images}
	spec := b.Spec()
	body, err := NewImages(s.config("node-1")).Open(t.Context(), spec.Image.Digest)
	must(t, err)
	must(t, body.Close())
}

func TestWhoMayJoin(t *testing.T) {
	refused := cloud.E("test", cloud.Forbidden, "not you")
	s := newSite(t, func(s *site) {
		s.known = func(name string) error {
			if name == "stranger" {
				return refused
			}
			return nil
		}
	})
	strangers, err := pki.NewCA("test", time.Now())
	must(t, err)
	p, err := strangers.Issue("node-1", time.Now(), []pki.Role{pki.RoleNode})
	must(t, err)
	c, err := p.TLS()
	must(t, err)
	head := s.config("node-1")
	head.Identity = s.identity("node-1", pki.RoleHead)
	foreign := s.config("node-1")
	foreign.Identity = Identity{Certificate: c, CA: s.ca.Pool()}
	distrusting := s.config("node-1")
	distrusting.Identity.CA = strangers.Pool()
	for name, cfg := range map[string]NodeConfig{"a head's certificate": head, "another authority's": foreign, "a name that is refused": s.config("stranger"), "a node that trusts others": distrusting} {
		t.Run(name, func(t *testing.T) {
			images := NewImages(cfg)
			defer images.Close()
			if body, err := images.Open(t.Context(), "sha512:0"); !cloud.Is(err, cloud.Unavailable) {
				t.Errorf("got in: %v, %v", body, err)
			}
		})
	}
	if names := s.fleet.Names(); len(names) > 0 {
		t.Errorf("joined: %v", names)
	}
}

func TestNodeTakesOnlyAHead(t *testing.T) {
	s := newSite(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	impostor := NewHead(HeadConfig{Identity: s.identity("head", pki.RoleServer), Images: s.images, Join: s.fleet.Join, Leave: s.fleet.Leave})
	background(t, func(ctx context.Context) { _ = impostor.Serve(ctx, ln) })
	cfg := s.config("node-1")
	cfg.Head = ln.Addr().String()
	if _, err := NewImages(cfg).Open(t.Context(), "sha512:0"); !cloud.Is(err, cloud.Unavailable) || !strings.Contains(err.Error(), "role") {
		t.Errorf("got %v", err)
	}
}

func TestOversizedSpecIsRefused(t *testing.T) {
	s := newSite(t)
	there, n := s.join("node-1")
	spec := nodetest.Bench{Node: there, Images: s.images}.Spec()
	spec.Meta.UserData = make([]byte, maxRequest)
	if err := there.ApplyInstance(t.Context(), spec); err == nil {
		t.Error("it was taken")
	}
	if all, _ := n.Instances(t.Context()); len(all) > 0 {
		t.Errorf("it is there: %v", all)
	}
}

// broken gives images that break off.
type broken struct{}

func (broken) Open(context.Context, string) (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), failing{})), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the disk is broken") }

func TestPartOfAnImageIsNotTheWhole(t *testing.T) {
	s := newSite(t, func(s *site) { s.source = broken{} })
	images := NewImages(s.config("node-1"))
	defer images.Close()
	body, err := images.Open(t.Context(), "sha512:0")
	must(t, err)
	defer body.Close()
	if n, err := io.Copy(io.Discard, body); err == nil {
		t.Errorf("%d bytes passed for the whole", n)
	}
}

func TestLargeImage(t *testing.T) {
	s := newSite(t)
	ref := s.images.Add(bytes.Repeat([]byte("hearth"), 3<<20))
	images := NewImages(s.config("node-1"))
	defer images.Close()
	body, err := images.Open(t.Context(), ref.Digest)
	must(t, err)
	defer body.Close()
	if n, err := io.Copy(io.Discard, body); err != nil || n != ref.Size {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestErrorsKeepTheirKind(t *testing.T) {
	for k := cloud.Internal; k <= cloud.NotAcceptable; k++ {
		got := fromWire("x", "n", toWire(cloud.E("op", k, "the sentence, with a %q", "quote")))
		if cloud.KindOf(got) != k || cloud.Message(got) != `the sentence, with a "quote"` {
			t.Errorf("%v: %v", k, got)
		}
	}
	if got := fromWire("x", "n", errors.New("connection reset")); !cloud.Is(got, cloud.Unavailable) {
		t.Errorf("got %v", got)
	}
	if kindOf("of tomorrow") != cloud.Internal {
		t.Error("an unknown kind")
	}
}

func TestQueueKeepsTheNewestOfEach(t *testing.T) {
	q := newQueue()
	for i := range int64(5 * maxQueue) {
		q.put(cloud.InstanceStatus{ID: string(rune('a' + i%3)), Observation: cloud.Observation{Generation: i}})
	}
	all := q.takeAll()
	if len(all) > maxQueue || all[len(all)-1].Generation != 5*maxQueue-1 {
		t.Errorf("%d wait, the last is %+v", len(all), all[len(all)-1])
	}
}
