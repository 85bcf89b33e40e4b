package remote

import (
	"context"
	"errors"
	"io"

	"connectrpc.com/connect"

	"hearth/internal/cloud"
	"hearth/internal/node"
)

// keys is what goes to a console: first which one, then bytes.
type keys struct {
	ID    string
	Kind  cloud.ConsoleKind
	Bytes []byte
}

// InstanceStats implements node.Node.
func (c *client) InstanceStats(ctx context.Context, id string) (cloud.InstanceStats, error) {
	return call[cloud.InstanceStats](ctx, c, callStats, id)
}

// Password implements node.Node.
func (c *client) Password(ctx context.Context, id string) (string, error) {
	return call[string](ctx, c, callPassword, id)
}

// ForgetPassword implements node.Node.
func (c *client) ForgetPassword(ctx context.Context, id string) error {
	return tell(ctx, c, callForgetPassword, id)
}

// password is one that a user of a guest is to have.
type password struct{ ID, User, Password string }

// SetPassword implements node.Node.
func (c *client) SetPassword(ctx context.Context, id, user, secret string) error {
	return tell(ctx, c, callSetPassword, password{id, user, secret})
}

// CacheImage implements node.Node.
func (c *client) CacheImage(ctx context.Context, ref cloud.ImageRef) error {
	return tell(ctx, c, callCacheImage, ref)
}

// DropImage implements node.Node.
func (c *client) DropImage(ctx context.Context, digest string) error {
	return tell(ctx, c, callDropImage, digest)
}

// OpenConsole implements node.Node. An empty part says that it is open.
func (c *client) OpenConsole(ctx context.Context, id string, kind cloud.ConsoleKind) (io.ReadWriteCloser, error) {
	const op = "node.OpenConsole"
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stream := caller[keys, part](c, callOpenConsole).CallBidiStream(ctx)
	err := stream.Send(&keys{ID: id, Kind: kind})
	if err == nil || errors.Is(err, io.EOF) {
		_, err = stream.Receive()
	}
	if err != nil {
		cancel()
		return nil, fromWire(op, c.name, err)
	}
	return &remoteConsole{stream: stream, cancel: cancel}, nil
}

// remoteConsole is a console at the other end of the line.
type remoteConsole struct {
	stream *connect.BidiStreamForClient[keys, part]
	cancel context.CancelFunc
	rest   []byte
}

// Read implements io.Reader.
func (r *remoteConsole) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		m, err := r.stream.Receive()
		if err != nil {
			return 0, err
		}
		r.rest = m.Bytes
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Write implements io.Writer.
func (r *remoteConsole) Write(p []byte) (int, error) {
	if err := r.stream.Send(&keys{Bytes: p}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close implements io.Closer.
func (r *remoteConsole) Close() error {
	err := r.stream.CloseRequest()
	r.cancel()
	return errors.Join(err, r.stream.CloseResponse())
}

// console serves OpenConsole until either end has enough.
func console(ctx context.Context, n node.Node, stream *connect.BidiStream[keys, part]) error {
	first, err := stream.Receive()
	if err != nil {
		return err
	}
	c, err := n.OpenConsole(ctx, first.ID, first.Kind)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := stream.Send(&part{}); err != nil {
		return err
	}
	go func() {
		defer c.Close()
		for {
			m, err := stream.Receive()
			if err != nil {
				return
			}
			if _, err := c.Write(m.Bytes); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 32<<10)
	for {
		got, err := c.Read(buf)
		if got > 0 {
			if err := stream.Send(&part{buf[:got]}); err != nil {
				return err
			}
		}
		if err != nil {
			return nil // it ended
		}
	}
}
