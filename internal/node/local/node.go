// Package local is the node that the head itself is on: the contract, answered
// by the agent in the same process.
package local

import (
	"context"
	"io"
	"os"

	"hearth/internal/agent"
	"hearth/internal/cloud"
	"hearth/internal/node"
)

// Node is a node.Node over an agent.
type Node struct{ agent *agent.Agent }

var _ node.Node = (*Node)(nil)

// New makes a node of an agent, which stays the caller's to close.
func New(a *agent.Agent) *Node { return &Node{a} }

// Status implements node.Node.
func (n *Node) Status(ctx context.Context) (cloud.HostStatus, error) { return n.agent.Status(ctx) }

// ApplyInstance implements node.Node.
func (n *Node) ApplyInstance(ctx context.Context, spec cloud.InstanceSpec) error {
	return n.agent.Instances().Apply(ctx, spec)
}

// RemoveInstance implements node.Node.
func (n *Node) RemoveInstance(ctx context.Context, id string) error {
	return n.agent.Instances().Remove(ctx, id)
}

// Instances implements node.Node.
func (n *Node) Instances(context.Context) ([]cloud.InstanceStatus, error) {
	return n.agent.Instances().Statuses(), nil
}

// Console implements node.Node.
func (n *Node) Console(ctx context.Context, id string, max int) ([]byte, error) {
	return n.agent.Console(ctx, id, max)
}

// OpenConsole implements node.Node.
func (n *Node) OpenConsole(ctx context.Context, id string, kind cloud.ConsoleKind) (io.ReadWriteCloser, error) {
	return n.agent.Instances().OpenConsole(ctx, id, kind)
}

// InstanceStats implements node.Node.
func (n *Node) InstanceStats(ctx context.Context, id string) (cloud.InstanceStats, error) {
	return n.agent.Instances().Stats(ctx, id)
}

// Password implements node.Node.
func (n *Node) Password(ctx context.Context, id string) (string, error) {
	return n.agent.Password(ctx, id)
}

// ForgetPassword implements node.Node.
func (n *Node) ForgetPassword(ctx context.Context, id string) error {
	return n.agent.ForgetPassword(ctx, id)
}

// SetPassword implements node.Node.
func (n *Node) SetPassword(ctx context.Context, id, user, password string) error {
	return n.agent.Instances().SetPassword(ctx, id, user, password)
}

// CacheImage implements node.Node.
func (n *Node) CacheImage(ctx context.Context, ref cloud.ImageRef) error {
	return n.agent.CacheImage(ctx, ref)
}

// DropImage implements node.Node.
func (n *Node) DropImage(ctx context.Context, digest string) error {
	return n.agent.DropImage(ctx, digest)
}

// ApplyVolume implements node.Node.
func (n *Node) ApplyVolume(ctx context.Context, spec cloud.VolumeSpec) (cloud.VolumeStatus, error) {
	return n.agent.Volumes().Apply(ctx, spec)
}

// RemoveVolume implements node.Node.
func (n *Node) RemoveVolume(ctx context.Context, disk string) error {
	return n.agent.Volumes().Remove(ctx, disk)
}

// ReadVolume implements node.Node.
func (n *Node) ReadVolume(ctx context.Context, disk string) (io.ReadCloser, error) {
	return n.agent.Volumes().Read(ctx, disk)
}

// Volumes implements node.Node.
func (n *Node) Volumes(ctx context.Context) ([]cloud.VolumeStatus, error) {
	return n.agent.Volumes().Statuses(ctx)
}

// ExportVolume implements node.Node.
func (n *Node) ExportVolume(ctx context.Context, spec cloud.ExportSpec) (cloud.ExportStatus, error) {
	return n.agent.ExportVolume(ctx, spec)
}

// WithdrawVolume implements node.Node.
func (n *Node) WithdrawVolume(ctx context.Context, disk string, asked int64) error {
	return n.agent.WithdrawVolume(ctx, disk, asked)
}

// Exports implements node.Node.
func (n *Node) Exports(context.Context) ([]cloud.ExportStatus, error) {
	return n.agent.ExportedVolumes(), nil
}

// ApplyNetwork implements node.Node.
func (n *Node) ApplyNetwork(ctx context.Context, spec cloud.NetworkSpec) error {
	return n.agent.Networks().ApplyNetwork(ctx, spec)
}

// RemoveNetwork implements node.Node.
func (n *Node) RemoveNetwork(ctx context.Context, id string) error {
	return n.agent.Networks().RemoveNetwork(ctx, id)
}

// ApplyRouter implements node.Node.
func (n *Node) ApplyRouter(ctx context.Context, spec cloud.RouterSpec) error {
	return n.agent.Networks().ApplyRouter(ctx, spec)
}

// RemoveRouter implements node.Node.
func (n *Node) RemoveRouter(ctx context.Context, id string) error {
	return n.agent.Networks().RemoveRouter(ctx, id)
}

// Networks implements node.Node.
func (n *Node) Networks(context.Context) (cloud.NetworkStatus, error) {
	return n.agent.Networks().Status(), nil
}

// Watch implements node.Node.
func (n *Node) Watch(ctx context.Context, fn func(cloud.InstanceStatus)) error {
	return n.agent.Instances().Watch(ctx, fn)
}

// Explain implements node.Node.
func (n *Node) Explain(ctx context.Context, kind, id string) ([]cloud.Fact, error) {
	return n.agent.Explain(ctx, kind, id)
}

// Findings implements node.Node.
func (n *Node) Findings(ctx context.Context) ([]string, error) { return n.agent.Findings(ctx) }

// Images are the head's image store where it is on the same host: each digest
// is a file.
type Images struct {
	// Find gives the file of a digest; NotFound.
	Find func(digest string) (string, error)
}

var _ node.LocalImages = Images{}

// Path implements node.LocalImages.
func (i Images) Path(digest string) (string, error) { return i.Find(digest) }

// Open implements node.Images.
func (i Images) Open(_ context.Context, digest string) (io.ReadCloser, error) {
	path, err := i.Find(digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, cloud.E("images.Open", cloud.Unavailable, "the image %s cannot be read from the head's store: %w", digest, err)
	}
	return f, nil
}
