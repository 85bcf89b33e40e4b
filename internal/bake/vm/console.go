package vm

import (
	"net"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
)

// maxConsole is what is kept of the console, bytes; when there is more, the older half goes.
const maxConsole = 4 << 20

// Console reads the guest's serial line.
type Console struct {
	conn  net.Conn
	lines chan string
	ended chan struct{} // closed at the end

	mu  sync.Mutex
	all []byte
	n   int64
}

// NewConsole reads a connection until it ends.
func NewConsole(conn net.Conn) *Console {
	c := &Console{conn: conn, lines: make(chan string, 1024), ended: make(chan struct{})}
	go c.read()
	return c
}

// Lines gives each line, and each beginning of one at which the guest stopped, without
// control sequences. It is closed at the end.
func (c *Console) Lines() <-chan string { return c.lines }

func (c *Console) read() {
	defer close(c.ended)
	defer close(c.lines)
	b, part := make([]byte, 4096), ""
	for {
		n, err := c.conn.Read(b)
		c.keep(b[:n])
		part += string(b[:n])
		for {
			line, rest, ok := strings.Cut(part, "\n")
			if !ok {
				break
			}
			c.say(line)
			part = rest
		}
		if part = part[max(0, len(part)-1024):]; part != "" {
			c.say(part)
		}
		if err != nil {
			return
		}
	}
}

// say hands a line on; if nobody takes them, lines are lost rather than the guest held.
func (c *Console) say(line string) {
	select {
	case c.lines <- Plain(line):
	default:
	}
}

func (c *Console) keep(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += int64(len(b))
	if c.all = append(c.all, b...); len(c.all) > maxConsole {
		c.all = append([]byte("… "), c.all[len(c.all)-maxConsole/2:]...)
	}
}

// Count is how many bytes the guest has said.
func (c *Console) Count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// Text is all that was printed, without control sequences.
func (c *Console) Text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Plain(string(c.all))
}

func (c *Console) close() {
	c.conn.Close()
	<-c.ended
}

// escapes are the control sequences of a terminal (ECMA-48).
var escapes = regexp.MustCompile(`\x1b(\[[0-9;?=]*[ -/]*[@-~]|[()][0-9A-Za-z]|[=>78cDEHM])`)

// Plain leaves of what a guest prints only what a person reads.
func Plain(s string) string {
	s = escapes.ReplaceAllString(s, "")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ' || r == 0x7f || r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
}
