package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/remoteconsoles"
	"golang.org/x/net/websocket"
)

// screen looks at a server's screen by a WebSocket, as noVNC does, until there is
// something to see on it, and gives its size.
func (g *stage) screen(m *machine) (width, height int) {
	g.t.Helper()
	compute := *g.compute
	compute.Microversion = "2.8"
	eventually(g.t, "something is on the screen of "+m.name, func() bool {
		c := must(remoteconsoles.Create(g.ctx, &compute, m.id, remoteconsoles.CreateOpts{Protocol: "vnc", Type: "novnc"}).Extract())(g.t)
		w, h, colors, err := frame(c.URL)
		if err != nil {
			g.t.Fatalf("the screen at %s: %v", c.URL, err)
		}
		width, height = w, h
		return colors > 1
	})
	return width, height
}

// frame opens a console and gives the size of its screen, and how many colours there
// are on it (RFC 6143).
func frame(address string) (width, height, colors int, err error) {
	at, err := url.Parse(address)
	if err != nil {
		return 0, 0, 0, err
	}
	path, err := url.QueryUnescape(at.Query().Get("path"))
	if err != nil {
		return 0, 0, 0, err
	}
	if path == "" {
		return 0, 0, 0, errors.New("it names no path")
	}
	config, err := websocket.NewConfig("ws://"+at.Host+"/"+strings.TrimPrefix(path, "/"), "http://"+at.Host)
	if err != nil {
		return 0, 0, 0, err
	}
	config.Protocol = []string{"binary"}
	ws, err := websocket.DialConfig(config)
	if err != nil {
		return 0, 0, 0, err
	}
	defer ws.Close()
	ws.PayloadType = websocket.BinaryFrame
	_ = ws.SetDeadline(time.Now().Add(time.Minute))
	return look(ws)
}

// look shakes hands without a password, and asks for the whole screen once.
func look(c io.ReadWriter) (width, height, colors int, err error) {
	read := func(n int) []byte {
		b := make([]byte, n)
		if err == nil {
			_, err = io.ReadFull(c, b)
		}
		return b
	}
	write := func(b ...byte) {
		if err == nil {
			_, err = c.Write(b)
		}
	}
	read(12)
	write([]byte("RFB 003.008\n")...)
	read(int(read(1)[0]))
	write(1) // no authentication
	if result := binary.BigEndian.Uint32(read(4)); err == nil && result != 0 {
		return 0, 0, 0, fmt.Errorf("refused: %d", result)
	}
	write(1) // shared
	hello := read(24)
	width, height = int(binary.BigEndian.Uint16(hello)), int(binary.BigEndian.Uint16(hello[2:]))
	depth := int(hello[4]) / 8
	read(int(binary.BigEndian.Uint32(hello[20:])))
	write(2, 0, 0, 1, 0, 0, 0, 0)                                                       // raw pixels alone
	write(3, 0, 0, 0, 0, 0, byte(width>>8), byte(width), byte(height>>8), byte(height)) // all of it
	seen := map[string]bool{}
	head := read(4)
	for range int(binary.BigEndian.Uint16(head[2:])) {
		rect := read(12)
		w, h := int(binary.BigEndian.Uint16(rect[4:])), int(binary.BigEndian.Uint16(rect[6:]))
		pixels := read(w * h * depth)
		for i := 0; err == nil && i+depth <= len(pixels); i += depth {
			seen[string(pixels[i:i+depth])] = true
		}
	}
	return width, height, len(seen), err
}
