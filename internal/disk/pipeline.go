package disk

import (
	"context"
	"errors"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// batchSize is how much of a disk is worked on at a time, in bytes: whole clusters
// of every image made here.
const batchSize = 8 * outCluster

// batch is a piece of a disk on its way through a pipeline.
type batch struct {
	off   int64
	data  []byte // what the disk has from off on; nil for zeros
	zeros int64  // how many, when data is nil
	parts [][]byte
	fill  func([]byte) error // reads data, when nobody has yet
	buf   []byte
	done  chan struct{}
	err   error
}

// length is how many bytes of the disk a batch stands for.
func (b *batch) length() int64 {
	if b.data == nil {
		return b.zeros
	}
	return int64(len(b.data))
}

// pipeline reads a disk by batches with next until that gives io.EOF, has work done
// on them by all processors, and put take them in their order. It ends with ctx. What
// it holds at once is bounded: two batches for each processor, and two more.
func pipeline(ctx context.Context, next, work, put func(*batch) error) error {
	n := runtime.GOMAXPROCS(0)
	g, ctx := errgroup.WithContext(ctx)
	free, todo, order := make(chan *batch, 2*n+2), make(chan *batch, 2*n+2), make(chan *batch, 2*n+2)
	for range 2*n + 2 {
		free <- &batch{buf: make([]byte, batchSize)}
	}
	g.Go(func() error {
		defer close(todo)
		defer close(order)
		return feed(ctx, free, todo, order, next)
	})
	for range n {
		g.Go(func() error {
			for b := range todo {
				b.err = b.work(work)
				close(b.done)
			}
			return nil
		})
	}
	g.Go(func() error {
		for b := range order {
			select {
			case <-b.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			if b.err != nil {
				return b.err
			}
			if err := put(b); err != nil {
				return err
			}
			free <- b
		}
		return nil
	})
	return g.Wait()
}

// feed sends batches out; the channels have room for all there are.
func feed(ctx context.Context, free, todo, order chan *batch, next func(*batch) error) error {
	for {
		var b *batch
		select {
		case b = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		*b = batch{buf: b.buf, parts: b.parts[:0], done: make(chan struct{})}
		if err := next(b); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		todo <- b
		order <- b
	}
}

func (b *batch) work(do func(*batch) error) error {
	if b.fill != nil {
		if err := b.fill(b.data); err != nil {
			return err
		}
	}
	return do(b)
}
