package qemu

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

const (
	agentPatience = 5 * time.Second // of an agent that may not be there; libvirt waits as long
	agentMost     = 64 << 10        // bytes of an answer, which a guest writes
	agentMark     = 0xff            // begins the answer to guest-sync-delimited
)

// agentAnswer is what a guest's agent answers.
type agentAnswer struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Text  string `json:"desc"`
	} `json:"error"`
}

// SetPassword implements hypervisor.Guest (guest-set-user-password of
// https://www.qemu.org/docs/master/interop/qemu-ga-ref.html).
func (g *guest) SetPassword(ctx context.Context, user, password string) error {
	const op = "hypervisor.SetPassword"
	if g.proc.gone() {
		return g.missing(op)
	}
	silent := func(err error) error {
		return cloud.E(op, cloud.Unsupported, "guest %s: no agent in it answers: %w", g.handle.ID, err)
	}
	conn, err := connect(ctx, g.handle.Dir, hypervisor.FileAgent)
	if err != nil {
		return silent(err)
	}
	defer conn.Close()
	deadline := time.Now().Add(agentPatience)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return silent(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	in := bufio.NewReader(io.LimitReader(conn, 16*agentMost))
	if err := greetAgent(conn, in); err != nil {
		return silent(err)
	}
	answer, err := askAgent(conn, in, "guest-set-user-password", map[string]any{
		"username": user, "password": base64.StdEncoding.EncodeToString([]byte(password)), "crypted": false,
	})
	switch {
	case err != nil:
		return silent(err)
	case answer.Error != nil && answer.Error.Class == "CommandNotFound":
		return cloud.E(op, cloud.Unsupported, "guest %s: its agent does not set passwords", g.handle.ID)
	case answer.Error != nil:
		return cloud.E(op, cloud.Conflict, "guest %s: its agent refused: %.200q", g.handle.ID, answer.Error.Text)
	}
	return nil
}

// greetAgent has the agent answer a number that nobody could have asked for before: whatever was left on the line from
// others goes.
func greetAgent(conn net.Conn, in *bufio.Reader) error {
	var random [4]byte
	_, _ = rand.Read(random[:])
	id := int64(binary.BigEndian.Uint32(random[:]))
	if _, err := conn.Write([]byte{agentMark}); err != nil { // ends what it may have read half of
		return err
	}
	if err := writeAgent(conn, "guest-sync-delimited", map[string]any{"id": id}); err != nil {
		return err
	}
	for {
		if _, err := in.ReadSlice(agentMark); err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		} else if err != nil {
			continue
		}
		answer, err := readAgent(in)
		if err != nil {
			return err
		}
		var got int64
		if json.Unmarshal(answer.Return, &got) == nil && got == id {
			return nil
		}
	}
}

func askAgent(conn net.Conn, in *bufio.Reader, command string, arguments any) (agentAnswer, error) {
	if err := writeAgent(conn, command, arguments); err != nil {
		return agentAnswer{}, err
	}
	return readAgent(in)
}

func writeAgent(conn net.Conn, command string, arguments any) error {
	line, err := json.Marshal(map[string]any{"execute": command, "arguments": arguments})
	if err == nil {
		_, err = conn.Write(append(line, '\n'))
	}
	return err
}

// readAgent reads an answer: a line of JSON.
func readAgent(in *bufio.Reader) (answer agentAnswer, err error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > agentMost:
			return answer, errors.New("its answer is too long")
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return answer, err
		}
		return answer, json.Unmarshal(bytes.TrimLeft(line, "\xff"), &answer)
	}
}
