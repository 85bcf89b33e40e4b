package remote

import (
	"context"
	"errors"
	"io"
	"net/http"

	"connectrpc.com/connect"

	"hearth/internal/cloud"
	"hearth/internal/node"
)

// handler answers the calls of a head by a node.
func handler(n node.Node) http.Handler {
	mux := http.NewServeMux()
	options := []connect.HandlerOption{connect.WithCodec(jsonCodec{}), connect.WithReadMaxBytes(maxRequest)}
	unary(mux, options, callStatus, func(ctx context.Context, _ empty) (cloud.HostStatus, error) { return n.Status(ctx) })
	unary(mux, options, callInstances, func(ctx context.Context, _ empty) (list[cloud.InstanceStatus], error) { return items(n.Instances(ctx)) })
	unary(mux, options, callNetworks, func(ctx context.Context, _ empty) (cloud.NetworkStatus, error) { return n.Networks(ctx) })
	unary(mux, options, callFindings, func(ctx context.Context, _ empty) (list[string], error) { return items(n.Findings(ctx)) })
	unary(mux, options, callConsole, func(ctx context.Context, r excerpt) (list[byte], error) { return items(n.Console(ctx, r.ID, r.Max)) })
	unary(mux, options, callExplain, func(ctx context.Context, r named) (list[cloud.Fact], error) {
		return items(n.Explain(ctx, r.Kind, r.ID))
	})
	unary(mux, options, callApplyVolume, n.ApplyVolume)
	unary(mux, options, callVolumes, func(ctx context.Context, _ empty) (list[cloud.VolumeStatus], error) { return items(n.Volumes(ctx)) })
	act(mux, options, callRemoveVolume, n.RemoveVolume)
	unary(mux, options, callExportVolume, n.ExportVolume)
	act(mux, options, callWithdrawVolume, func(ctx context.Context, w withdrawal) error { return n.WithdrawVolume(ctx, w.Disk, w.Asked) })
	unary(mux, options, callExports, func(ctx context.Context, _ empty) (list[cloud.ExportStatus], error) { return items(n.Exports(ctx)) })
	mux.Handle(callReadVolume, connect.NewServerStreamHandler(callReadVolume,
		func(ctx context.Context, r *connect.Request[string], out *connect.ServerStream[part]) error {
			return toWire(read(ctx, n, *r.Msg, out.Send))
		}, options...))
	unary(mux, options, callStats, n.InstanceStats)
	unary(mux, options, callPassword, n.Password)
	act(mux, options, callForgetPassword, n.ForgetPassword)
	act(mux, options, callSetPassword, func(ctx context.Context, p password) error { return n.SetPassword(ctx, p.ID, p.User, p.Password) })
	act(mux, options, callCacheImage, n.CacheImage)
	act(mux, options, callDropImage, n.DropImage)
	mux.Handle(callOpenConsole, connect.NewBidiStreamHandler(callOpenConsole, func(ctx context.Context, stream *connect.BidiStream[keys, part]) error {
		return toWire(console(ctx, n, stream))
	}, options...))
	act(mux, options, callApplyInstance, n.ApplyInstance)
	act(mux, options, callApplyNetwork, n.ApplyNetwork)
	act(mux, options, callApplyRouter, n.ApplyRouter)
	act(mux, options, callRemoveInstance, n.RemoveInstance)
	act(mux, options, callRemoveNetwork, n.RemoveNetwork)
	act(mux, options, callRemoveRouter, n.RemoveRouter)
	mux.Handle(callWatch, connect.NewServerStreamHandler(callWatch,
		func(ctx context.Context, _ *connect.Request[empty], out *connect.ServerStream[cloud.InstanceStatus]) error {
			return toWire(watch(ctx, n, out.Send))
		}, options...))
	return mux
}

func unary[In, Out any](mux *http.ServeMux, options []connect.HandlerOption, path string, do func(context.Context, In) (Out, error)) {
	mux.Handle(path, connect.NewUnaryHandler(path, func(ctx context.Context, r *connect.Request[In]) (*connect.Response[Out], error) {
		out, err := do(ctx, *r.Msg)
		if err != nil {
			return nil, toWire(err)
		}
		return connect.NewResponse(&out), nil
	}, options...))
}

// act serves a call that answers nothing.
func act[In any](mux *http.ServeMux, options []connect.HandlerOption, path string, do func(context.Context, In) error) {
	unary(mux, options, path, func(ctx context.Context, in In) (empty, error) { return empty{}, do(ctx, in) })
}

func items[T any](all []T, err error) (list[T], error) { return list[T]{Items: all}, err }

// watch sends the statuses of a node in order, however slow the line is, until
// ctx ends or the line breaks.
func watch(ctx context.Context, n node.Node, send func(*cloud.InstanceStatus) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q := newQueue()
	watched := make(chan error, 1)
	go func() { watched <- n.Watch(ctx, q.put) }()
	for {
		select {
		case err := <-watched:
			return err
		case <-q.arrived:
		}
		for _, st := range q.takeAll() {
			if err := send(&st); err != nil {
				return err
			}
		}
	}
}

// partBytes is how much of a stream of bytes goes in one message.
const partBytes = 1 << 20

// read sends what a volume's disk holds. An empty part ends it, so that a line
// that breaks is not taken for the end.
func read(ctx context.Context, n node.Node, disk string, send func(*part) error) error {
	src, err := n.ReadVolume(ctx, disk)
	if err != nil {
		return err
	}
	defer src.Close()
	buf := make([]byte, partBytes)
	for {
		got, err := io.ReadFull(src, buf)
		if got > 0 {
			if err := send(&part{buf[:got]}); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return send(&part{})
		case err != nil:
			return err
		}
	}
}
