package remote

import (
	"context"
	"errors"
	"io"

	"connectrpc.com/connect"

	"hearth/internal/cloud"
)

// ApplyVolume implements node.Node.
func (c *client) ApplyVolume(ctx context.Context, spec cloud.VolumeSpec) (cloud.VolumeStatus, error) {
	return call[cloud.VolumeStatus](ctx, c, callApplyVolume, spec)
}

// RemoveVolume implements node.Node.
func (c *client) RemoveVolume(ctx context.Context, disk string) error {
	return tell(ctx, c, callRemoveVolume, disk)
}

// Volumes implements node.Node.
func (c *client) Volumes(ctx context.Context) ([]cloud.VolumeStatus, error) {
	out, err := call[list[cloud.VolumeStatus]](ctx, c, callVolumes, empty{})
	return out.Items, err
}

// ExportVolume implements node.Node.
func (c *client) ExportVolume(ctx context.Context, spec cloud.ExportSpec) (cloud.ExportStatus, error) {
	return call[cloud.ExportStatus](ctx, c, callExportVolume, spec)
}

// WithdrawVolume implements node.Node.
func (c *client) WithdrawVolume(ctx context.Context, disk string, asked int64) error {
	return tell(ctx, c, callWithdrawVolume, withdrawal{disk, asked})
}

// Exports implements node.Node.
func (c *client) Exports(ctx context.Context) ([]cloud.ExportStatus, error) {
	out, err := call[list[cloud.ExportStatus]](ctx, c, callExports, empty{})
	return out.Items, err
}

// ReadVolume implements node.Node. The first part is waited for, so that a disk
// that is not there is an error here.
func (c *client) ReadVolume(ctx context.Context, disk string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	in, err := caller[string, part](c, callReadVolume).CallServerStream(ctx, connect.NewRequest(&disk))
	if err != nil {
		cancel()
		return nil, fromWire("node.ReadVolume", c.name, err)
	}
	r := &volumeReader{node: c.name, in: in, cancel: cancel}
	if err := r.next(); err != nil && !errors.Is(err, io.EOF) {
		_ = r.Close()
		return nil, err
	}
	return r, nil
}

// volumeReader reads the parts of a stream.
type volumeReader struct {
	node   string
	in     *connect.ServerStreamForClient[part]
	cancel context.CancelFunc
	rest   []byte
	ended  bool
}

// next waits for a part; io.EOF after the last.
func (r *volumeReader) next() error {
	switch {
	case r.ended:
		return io.EOF
	case r.in.Receive():
		r.rest = r.in.Msg().Bytes
		r.ended = len(r.rest) == 0
		if r.ended {
			return io.EOF
		}
		return nil
	case r.in.Err() != nil:
		return fromWire("node.ReadVolume", r.node, r.in.Err())
	}
	return cloud.E("node.ReadVolume", cloud.Unavailable, "node %s broke off in the middle of a volume", r.node)
}

// Read implements io.Reader.
func (r *volumeReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close implements io.Closer.
func (r *volumeReader) Close() error {
	r.cancel()
	_ = r.in.Close()
	return nil
}
