package remote

import (
	"context"
	"net/http"

	"connectrpc.com/connect"

	"hearth/internal/cloud"
	"hearth/internal/node"
)

// client is a node.Node at the other end of a connection.
type client struct {
	name string
	http connect.HTTPClient
}

var _ node.Node = (*client)(nil)

func newClient(name string, over http.RoundTripper) *client {
	return &client{name: name, http: &http.Client{Transport: over}}
}

// base stands for the connection; nothing is looked up.
const base = "http://node"

func caller[In, Out any](c *client, path string) *connect.Client[In, Out] {
	return connect.NewClient[In, Out](c.http, base+path, connect.WithCodec(jsonCodec{}), connect.WithReadMaxBytes(maxResponse), connect.WithSendMaxBytes(maxRequest))
}

// call makes a call and gives its answer.
func call[Out, In any](ctx context.Context, c *client, path string, in In) (out Out, err error) {
	r, err := caller[In, Out](c, path).CallUnary(ctx, connect.NewRequest(&in))
	if err != nil {
		return out, fromWire("node"+path[len(service)-1:], c.name, err)
	}
	return *r.Msg, nil
}

// tell makes a call that answers nothing.
func tell[In any](ctx context.Context, c *client, path string, in In) error {
	_, err := call[empty](ctx, c, path, in)
	return err
}

// Status implements node.Node.
func (c *client) Status(ctx context.Context) (cloud.HostStatus, error) {
	return call[cloud.HostStatus](ctx, c, callStatus, empty{})
}

// ApplyInstance implements node.Node.
func (c *client) ApplyInstance(ctx context.Context, spec cloud.InstanceSpec) error {
	return tell(ctx, c, callApplyInstance, spec)
}

// RemoveInstance implements node.Node.
func (c *client) RemoveInstance(ctx context.Context, id string) error {
	return tell(ctx, c, callRemoveInstance, id)
}

// Instances implements node.Node.
func (c *client) Instances(ctx context.Context) ([]cloud.InstanceStatus, error) {
	out, err := call[list[cloud.InstanceStatus]](ctx, c, callInstances, empty{})
	return out.Items, err
}

// Console implements node.Node.
func (c *client) Console(ctx context.Context, id string, max int) ([]byte, error) {
	out, err := call[list[byte]](ctx, c, callConsole, excerpt{id, max})
	return out.Items, err
}

// ApplyNetwork implements node.Node.
func (c *client) ApplyNetwork(ctx context.Context, spec cloud.NetworkSpec) error {
	return tell(ctx, c, callApplyNetwork, spec)
}

// RemoveNetwork implements node.Node.
func (c *client) RemoveNetwork(ctx context.Context, id string) error {
	return tell(ctx, c, callRemoveNetwork, id)
}

// ApplyRouter implements node.Node.
func (c *client) ApplyRouter(ctx context.Context, spec cloud.RouterSpec) error {
	return tell(ctx, c, callApplyRouter, spec)
}

// RemoveRouter implements node.Node.
func (c *client) RemoveRouter(ctx context.Context, id string) error {
	return tell(ctx, c, callRemoveRouter, id)
}

// Networks implements node.Node.
func (c *client) Networks(ctx context.Context) (cloud.NetworkStatus, error) {
	return call[cloud.NetworkStatus](ctx, c, callNetworks, empty{})
}

// Watch implements node.Node.
func (c *client) Watch(ctx context.Context, fn func(cloud.InstanceStatus)) error {
	const op = "node.Watch"
	in, err := caller[empty, cloud.InstanceStatus](c, callWatch).CallServerStream(ctx, connect.NewRequest(&empty{}))
	if err != nil {
		return watchError(ctx, fromWire(op, c.name, err))
	}
	defer in.Close()
	for in.Receive() {
		fn(*in.Msg())
	}
	if in.Err() == nil {
		return watchError(ctx, cloud.E(op, cloud.Unavailable, "node %s has ended its report", c.name))
	}
	return watchError(ctx, fromWire(op, c.name, in.Err()))
}

// watchError says that ctx ended if that is why.
func watchError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Explain implements node.Node.
func (c *client) Explain(ctx context.Context, kind, id string) ([]cloud.Fact, error) {
	out, err := call[list[cloud.Fact]](ctx, c, callExplain, named{kind, id})
	return out.Items, err
}

// Findings implements node.Node.
func (c *client) Findings(ctx context.Context) ([]string, error) {
	out, err := call[list[string]](ctx, c, callFindings, empty{})
	return out.Items, err
}
