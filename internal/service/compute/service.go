package compute

import (
	"context"
	"io"
	"log/slog"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/store"
)

// DefaultZone is the availability zone of a host that was given none.
const DefaultZone = "nova"

// Consoles reads what guests wrote on their serial lines and gave to the nodes.
// The fleet of nodes is behind it.
type Consoles interface {
	// Console gives the last max bytes (0: all that is kept) of a server's serial
	// log on a node. NotFound when there is none yet, Unavailable when the node
	// cannot be reached.
	Console(ctx context.Context, node, serverID string, max int) ([]byte, error)
	// OpenConsole opens a console of a server's guest, and InstanceStats measures
	// it. NotFound when none runs, Unavailable as above.
	OpenConsole(ctx context.Context, node, serverID string, kind cloud.ConsoleKind) (io.ReadWriteCloser, error)
	InstanceStats(ctx context.Context, node, serverID string) (cloud.InstanceStats, error)
	// Password gives the encrypted password that a server's guest has posted to
	// the node, "" for none, and ForgetPassword drops it. NotFound when the server
	// is not there, Unavailable as above.
	Password(ctx context.Context, node, serverID string) (string, error)
	ForgetPassword(ctx context.Context, node, serverID string) error
	// SetPassword has the agent in a server's guest change a user's password; see
	// node.Node.
	SetPassword(ctx context.Context, node, serverID, user, password string) error
}

// ImageKeeper deletes images with their bytes.
type ImageKeeper interface {
	// Delete removes an image that the caller may change; NotFound, Forbidden.
	Delete(ctx context.Context, c cloud.Caller, id string) error
}

// Options are what an operator may set.
type Options struct {
	Log     *slog.Logger    // nil for slog's default
	Ratios  schedule.Ratios // how far hosts are promised, as the housekeeper does it
	Images  ImageKeeper     // where images are deleted; service/image is one
	Volumes Volumes         // service/volume is one
	Reclaim time.Duration   // how long a deleted server stays in the trash; 0 for not at all
	Head    string          // the name of the host that the head is on; "head" for ""
}

// Service is the compute service.
type Service struct {
	store    *store.Store
	clock    cloud.Clock
	network  Network
	consoles Consoles
	log      *slog.Logger
	ratios   schedule.Ratios
	images   ImageKeeper
	volumes  Volumes
	reclaim  time.Duration
	head     string
}

// New makes the service on its parts.
func New(st *store.Store, clock cloud.Clock, network Network, consoles Consoles, o Options) *Service {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Head == "" {
		o.Head = "head"
	}
	return &Service{
		store: st, clock: clock, network: network, consoles: consoles, log: o.Log, ratios: o.Ratios, images: o.Images, volumes: o.Volumes, head: o.Head, reclaim: o.Reclaim,
	}
}

// Actor is a caller in one request: who changes something, and the request's id
// for the server's history.
type Actor struct {
	cloud.Caller
	RequestID string
}

// Head is the name of the host that the head is on: it does what nova's scheduler
// and conductor do.
func (s *Service) Head() string { return s.head }
