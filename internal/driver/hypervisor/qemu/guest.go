package qemu

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/qmp"
)

const (
	eventBacklog  = 64
	trimEvery     = 5 * time.Second
	quitPatience  = 5 * time.Second  // for QEMU to flush its disks
	killPatience  = 30 * time.Second // for the kernel to end a process; longer is a host whose storage hangs
	leavePatience = 2 * time.Second  // between the end of a monitor connection and that of its process
)

// guest is a hypervisor.Guest: a hold on a process and a connection to its monitor.
type guest struct {
	handle     hypervisor.Handle
	proc       *process
	mon        *qmp.Client
	log        *slog.Logger
	consoleMax int64

	events chan hypervisor.Event
	moved  chan struct{} // signalled when what Save began has got further
	close  sync.Once
	closed chan struct{}
	ended  chan struct{} // closed when follow has ended
}

func newGuest(h hypervisor.Handle, p *process, mon *qmp.Client, log *slog.Logger, consoleMax int64) *guest {
	g := &guest{handle: h, proc: p, mon: mon, log: log.With("guest", h.ID), consoleMax: consoleMax,
		events: make(chan hypervisor.Event, eventBacklog), moved: make(chan struct{}, 1), closed: make(chan struct{}), ended: make(chan struct{})}
	go g.follow()
	return g
}

func (g *guest) Handle() hypervisor.Handle { return g.handle }

func (g *guest) Events() <-chan hypervisor.Event { return g.events }

func (g *guest) Close() error {
	g.close.Do(func() { close(g.closed) })
	<-g.ended
	return nil
}

// follow passes events on until the process is gone or the guest is let go, and keeps its logs short.
func (g *guest) follow() {
	defer close(g.ended)
	defer close(g.events)
	defer g.mon.Close()
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	g.trimLogs()
	incoming := g.mon.Events()
	for {
		select {
		case e, open := <-incoming:
			if !open {
				incoming = nil
			} else if e.Name == eventMigration {
				g.nudge()
			} else if ours, ok := translate(e); ok {
				g.publish(ours)
			}
		case <-g.proc.done:
			g.farewell(incoming)
			return
		case <-g.closed:
			g.proc.letGo()
			return
		case <-tick.C:
			g.trimLogs()
		}
	}
}

// farewell passes on what QEMU said last, then the exit.
func (g *guest) farewell(incoming <-chan qmp.Event) {
	for incoming != nil {
		e, open := <-incoming // ends: the other end of the connection is gone
		if !open {
			break
		}
		if ours, ok := translate(e); ok {
			g.publish(ours)
		}
	}
	g.trimLogs()
	g.publish(hypervisor.Event{Kind: hypervisor.EventExit, Code: g.proc.code, Time: time.Now()})
}

// publish never blocks: it makes room by dropping the oldest. follow is the only sender.
func (g *guest) publish(e hypervisor.Event) {
	for {
		select {
		case g.events <- e:
			return
		default:
		}
		select {
		case <-g.events:
		default:
		}
	}
}

func (g *guest) trimLogs() {
	for _, name := range []string{hypervisor.FileConsole, hypervisor.FileLog} {
		if err := trim(filepath.Join(g.handle.Dir, name), g.consoleMax); err != nil {
			g.log.Warn("a guest's log could not be shortened", "file", name, "err", err)
		}
	}
}

// command runs one QMP command that needs a live guest.
func (g *guest) command(ctx context.Context, op, command string, out any) error {
	return g.ask(ctx, op, nil, command, nil, out)
}

// ask is command with arguments and a file that goes along.
func (g *guest) ask(ctx context.Context, op string, file *os.File, command string, args, out any) error {
	if g.proc.gone() {
		return g.missing(op)
	}
	err := g.mon.ExecuteWith(ctx, file, command, args, out)
	var refused *qmp.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return cloud.E(op, cloud.Conflict, "guest %s: QEMU refused: %w", g.handle.ID, err)
	case errors.Is(err, qmp.ErrClosed):
		return g.severed(op, err)
	}
	return cloud.E(op, cloud.Unavailable, "guest %s: QEMU (process %d) did not answer: %w", g.handle.ID, g.handle.PID, err)
}

// isClass tells whether QEMU refused a command with an error of a class.
func isClass(err error, class string) bool {
	var refused *qmp.Error
	return errors.As(err, &refused) && refused.Class == class
}

// severed tells an exit, which ends the connection a moment before the process, from a connection lost.
func (g *guest) severed(op string, err error) error {
	late := time.NewTimer(leavePatience)
	defer late.Stop()
	select {
	case <-g.proc.done:
		if g.proc.exited {
			return g.missing(op)
		}
	case <-g.closed:
	case <-late.C:
	}
	return cloud.E(op, cloud.Unavailable, "guest %s: the connection to QEMU (process %d) was lost; recover the guest: %w",
		g.handle.ID, g.handle.PID, err)
}

func (g *guest) missing(op string) error {
	return cloud.E(op, cloud.NotFound, "guest %s: its process %d is gone", g.handle.ID, g.handle.PID)
}

// files of a guest that mean nothing once its process is gone.
func removeSockets(dir string) {
	for _, name := range []string{hypervisor.FileMonitor, hypervisor.FileSerial, hypervisor.FileAgent} {
		_ = os.Remove(filepath.Join(dir, name)) // a leftover is replaced by the next start
	}
}
