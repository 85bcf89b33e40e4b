package plugin

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"hearth/internal/cloud"
)

// Protocol is the version that is spoken here.
const Protocol = 1

// Client speaks with the program, and starts it when it is needed: at first, and
// after it died. It is safe for concurrent use.
type Client struct {
	cfg Config
	log *slog.Logger

	mu      sync.Mutex
	running *session // nil before the first
	started time.Time
	closed  bool

	known sync.Mutex
	can   []string
}

// NewClient makes a client; nothing is started yet.
func NewClient(cfg Config) *Client {
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Client{cfg: cfg, log: log.With("plugin", cfg.Path)}
}

// Can tells whether the program, when it was last started, said that it has a
// capability.
func (c *Client) Can(capability string) bool {
	c.known.Lock()
	defer c.known.Unlock()
	return slices.Contains(c.can, capability)
}

// Close ends the program. Calls after it fail.
func (c *Client) Close() {
	c.mu.Lock()
	s := c.running
	c.closed, c.running = true, nil
	c.mu.Unlock()
	if s != nil {
		s.end()
	}
}

// abandon ends a program that nobody is to wait for.
func (c *Client) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.running != nil {
		c.running.kill(nil)
	}
}

// restartAfter is how soon after its start a program that died is started again: one
// that dies at once is not to keep the host busy.
const restartAfter = time.Second

// session gives the program that runs, or starts it.
func (c *Client) session(ctx context.Context) (*session, error) {
	const op = "storage.Plugin"
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, cloud.E(op, cloud.Unavailable, "the storage plug-in %s was ended with this driver", c.cfg.Path)
	}
	if c.running != nil && !c.running.dead() {
		return c.running, nil
	}
	now := c.cfg.Clock.Now()
	if c.running != nil && now.Sub(c.started) < restartAfter {
		return nil, c.running.failure()
	}
	s, err := start(c.cfg.Path, c.log)
	if err != nil {
		return nil, err
	}
	c.running, c.started = s, now
	return s, c.greet(ctx, s)
}

// greet exchanges versions, and learns what the program can do.
func (c *Client) greet(ctx context.Context, s *session) error {
	options := c.cfg.Options
	if options == nil {
		options = map[string]string{}
	}
	var answer struct {
		Protocol     int      `json:"protocol"`
		Name         string   `json:"name"`
		Version      string   `json:"version"`
		Capabilities []string `json:"capabilities"`
	}
	err := s.call(ctx, c.cfg.Quick, "hello", map[string]any{"protocol": Protocol, "options": options}, &answer)
	if err == nil && answer.Protocol != Protocol {
		err = cloud.E("storage.Plugin", cloud.Unsupported, "the storage plug-in %s speaks version %d of the protocol, and this hearth version %d: take one that fits", c.cfg.Path, answer.Protocol, Protocol)
	}
	if err != nil {
		s.kill(err)
		return err
	}
	c.known.Lock()
	defer c.known.Unlock()
	c.can = answer.Capabilities
	c.log.Info("the storage plug-in is up", "name", answer.Name, "version", answer.Version, "capabilities", answer.Capabilities, "pid", s.cmd.Process.Pid)
	return nil
}

// Call asks for a verb, and gives its answer to result (nil for none of interest).
// A program that does not answer within limit is killed, and the next call starts
// it again; every verb may be asked for again. Errors have the kind that the program
// gave; Unavailable where it died.
func (c *Client) Call(ctx context.Context, limit time.Duration, verb string, params, result any) error {
	if err := ctx.Err(); err != nil {
		return cloud.E("storage."+verb, cloud.Unavailable, "stopped before it was done: %w", err)
	}
	s, err := c.session(ctx)
	if err != nil {
		return err
	}
	return s.call(ctx, limit, verb, params, result)
}

// message is a request, its answer, or both, in JSON-RPC 2.0's form.
type message struct {
	Version string          `json:"jsonrpc"`
	ID      int64           `json:"id"`
	Method  string          `json:"method,omitempty"`
	Params  any             `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *failure        `json:"error,omitempty"`
}

// failure is why a verb failed.
type failure struct {
	Message string `json:"message"`
	Data    struct {
		Kind string `json:"kind"`
	} `json:"data"`
}

// kinds are the words for what sort of failure it is.
var kinds = map[string]cloud.Kind{
	"not_found": cloud.NotFound, "conflict": cloud.Conflict, "invalid": cloud.Invalid, "no_capacity": cloud.NoCapacity,
	"unavailable": cloud.Unavailable, "unsupported": cloud.Unsupported, "internal": cloud.Internal,
}

func (f *failure) error(verb string) error {
	return cloud.E("storage."+verb, kinds[f.Data.Kind], "the storage plug-in: %s", f.Message)
}
