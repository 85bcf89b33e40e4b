package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// backlog is how many unread events are kept; beyond it the oldest go.
const backlog = 128

// ErrClosed is what a command gets when the connection ended, by Close or because QEMU went away.
var ErrClosed = errors.New("the QMP connection is closed")

// Client is one connection to one QEMU. Its methods may be called from any goroutine.
type Client struct {
	conn    net.Conn
	version string
	events  chan Event
	done    chan struct{} // closed when the reader has ended

	writing sync.Mutex // one command on the wire at a time

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan message
	cause   error // why the reader ended
}

// New takes an open stream, reads the greeting and negotiates capabilities. The connection belongs to the client
// from then on and is closed when New fails. A context that ends fails it too: a QEMU that serves
// another client keeps a second one waiting without a word.
func New(ctx context.Context, conn net.Conn) (*Client, error) {
	c := &Client{conn: conn, events: make(chan Event, backlog), done: make(chan struct{}), waiting: map[uint64]chan message{}}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
	reader := newReader(conn)
	err := c.greeted(reader)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	go c.read(reader)
	if err := c.Execute(ctx, "qmp_capabilities", nil, nil); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// mostBefore bounds the messages that may come before the greeting.
const mostBefore = 64

// greeted reads up to the greeting. Events of a QEMU whose monitor has not noticed yet that its client is another one,
// and what it owed that one, come before it.
func (c *Client) greeted(r *bufio.Reader) error {
	for range mostBefore {
		m, err := readMessage(r)
		switch {
		case err != nil:
			return err
		case m.kind == greeting:
			c.version = m.version
			return nil
		case m.kind == event:
			c.publish(m.event)
		}
	}
	return errors.New("no QMP greeting: whatever listens there is not a QEMU monitor")
}

// Version is QEMU's, as its greeting named it.
func (c *Client) Version() string { return c.version }

// Events yields what QEMU reports, oldest first, and is closed when the connection ends.
func (c *Client) Events() <-chan Event { return c.events }

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Close ends the connection. QEMU and its guest run on.
func (c *Client) Close() error {
	err := c.conn.Close()
	<-c.done
	return err
}

// Execute runs one command and decodes its result into out, unless that is nil. args is marshalled to the command's
// "arguments" object; nil sends none. The error is *Error when QEMU refused, ErrClosed when the
// connection ended, the context's when that ended first (the command may still take effect).
func (c *Client) Execute(ctx context.Context, command string, args, out any) error {
	return c.ExecuteWith(ctx, nil, command, args, out)
}

// ExecuteWith is Execute with an open file that goes along, as add-fd and getfd take one. QEMU gets a copy; the
// caller keeps his. It needs a connection by a unix socket. nil is no file.
func (c *Client) ExecuteWith(ctx context.Context, file *os.File, command string, args, out any) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", command, context.Cause(ctx))
	}
	id, answer, err := c.expect()
	if err != nil {
		return err
	}
	defer c.forget(id)
	if err := c.send(ctx, file, id, command, args); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	select {
	case m := <-answer:
		return finish(command, m, out)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", command, context.Cause(ctx))
	case <-c.done:
		select {
		case m := <-answer: // the reply and the end of the connection raced; the reply counts
			return finish(command, m, out)
		default:
			return fmt.Errorf("%s: %w", command, c.ended())
		}
	}
}

func finish(command string, m message, out any) error {
	if m.err != nil {
		return fmt.Errorf("%s: %w", command, m.err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(m.result, out); err != nil {
		return fmt.Errorf("%s: result not understood: %w", command, err)
	}
	return nil
}

func (c *Client) expect() (uint64, chan message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return 0, nil, c.cause
	}
	c.next++
	answer := make(chan message, 1)
	c.waiting[c.next] = answer
	return c.next, answer, nil
}

func (c *Client) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
}

func (c *Client) send(ctx context.Context, file *os.File, id uint64, command string, args any) error {
	raw, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        uint64 `json:"id"`
	}{command, args, id})
	if err != nil {
		return err
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	// A half-written command would garble the next one, so a write that times out ends the connection.
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.conn.SetWriteDeadline(time.Now())
		close(fired)
	})
	err = c.write(append(raw, '\n'), file)
	if err != nil {
		c.conn.Close()
	}
	if !stop() {
		<-fired
		c.conn.SetWriteDeadline(time.Time{}) // the next command has its own time
	}
	return err
}

// write sends a line, and with it a file if there is one: SCM_RIGHTS, see unix(7).
func (c *Client) write(line []byte, file *os.File) error {
	if file == nil {
		_, err := c.conn.Write(line)
		return err
	}
	socket, ok := c.conn.(*net.UnixConn)
	if !ok {
		return errors.New("a file cannot be passed by this connection, which is not a unix socket")
	}
	n, _, err := socket.WriteMsgUnix(line, unix.UnixRights(int(file.Fd())), nil)
	if err == nil && n < len(line) {
		_, err = socket.Write(line[n:]) // the file went with the first byte
	}
	return err
}

// read sorts what arrives until the connection ends.
func (c *Client) read(r *bufio.Reader) {
	for {
		m, err := readMessage(r)
		if err != nil {
			c.end(err)
			return
		}
		switch m.kind {
		case reply, failure:
			c.deliver(m)
		case event:
			c.publish(m.event)
		}
	}
}

func (c *Client) deliver(m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answer := c.waiting[m.id]; answer != nil {
		delete(c.waiting, m.id)
		answer <- m
	}
}

// publish never blocks: it makes room by dropping the oldest. The reader is the only sender.
func (c *Client) publish(e Event) {
	for {
		select {
		case c.events <- e:
			return
		default:
		}
		select {
		case <-c.events:
		default:
		}
	}
}

func (c *Client) end(err error) {
	c.conn.Close()
	c.mu.Lock()
	c.cause = fmt.Errorf("%w (%w)", ErrClosed, err)
	c.mu.Unlock()
	close(c.done)
	close(c.events)
}

func (c *Client) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

func newReader(conn net.Conn) *bufio.Reader { return bufio.NewReaderSize(conn, 16<<10) }

// readMessage reads one line of at most maxMessage bytes and decodes it.
func readMessage(r *bufio.Reader) (message, error) {
	var whole []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(whole)+len(part) > maxMessage {
			return message{}, errTooLong
		}
		if err == nil && whole == nil {
			return decode(part)
		}
		whole = append(whole, part...)
		if err == nil {
			return decode(whole)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return message{}, err
		}
	}
}
