package qmp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// maxMessage bounds one line from QEMU, in bytes. The largest honest one, the reply to query-qmp-schema, is
// about 200 KiB.
const maxMessage = 4 << 20

// Error is QEMU's refusal of a command.
type Error struct {
	Class string `json:"class"` // GenericError, CommandNotFound, DeviceNotFound, ...
	Desc  string `json:"desc"`  // a sentence for people
}

func (e *Error) Error() string { return e.Desc }

// Event is one asynchronous notice of QEMU.
type Event struct {
	Name string          // SHUTDOWN, RESET, STOP, ...
	Data json.RawMessage // the event's own object, nil when it has none
	Time time.Time       // QEMU's clock; zero when QEMU could not tell
}

// kind tells which of the four messages of the protocol one is.
type kind int

const (
	unknown kind = iota
	greeting
	reply
	failure
	event
)

// message is one decoded line.
type message struct {
	kind    kind
	id      uint64 // of reply and failure; 0 when QEMU named none
	version string // of greeting: "7.2.22"
	result  json.RawMessage
	err     *Error
	event   Event
}

// line is the union of everything QEMU may put at the top level.
type line struct {
	QMP       *hello          `json:"QMP"`
	Return    json.RawMessage `json:"return"`
	Error     *Error          `json:"error"`
	Event     string          `json:"event"`
	Data      json.RawMessage `json:"data"`
	ID        json.RawMessage `json:"id"`
	Timestamp struct {
		Seconds      int64 `json:"seconds"`
		Microseconds int64 `json:"microseconds"`
	} `json:"timestamp"`
}

type hello struct {
	Version struct {
		QEMU struct {
			Major int `json:"major"`
			Minor int `json:"minor"`
			Micro int `json:"micro"`
		} `json:"qemu"`
	} `json:"version"`
}

var errTooLong = errors.New("the message is longer than any QEMU sends")

// decode reads one line. What is valid JSON but no message of the protocol yields kind unknown, no error.
func decode(raw []byte) (message, error) {
	if len(raw) > maxMessage {
		return message{}, errTooLong
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return message{}, nil
	}
	var l line
	if err := json.Unmarshal(raw, &l); err != nil {
		return message{}, fmt.Errorf("not a QMP message: %w", err)
	}
	m := message{id: number(l.ID)}
	switch {
	case l.QMP != nil:
		v := l.QMP.Version.QEMU
		m.kind, m.version = greeting, fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Micro)
	case l.Error != nil:
		m.kind, m.err = failure, l.Error
	case l.Return != nil:
		m.kind, m.result = reply, l.Return
	case l.Event != "":
		m.kind, m.event = event, Event{Name: l.Event, Data: l.Data, Time: stamp(l.Timestamp.Seconds, l.Timestamp.Microseconds)}
	}
	return m, nil
}

// number reads the id of a reply; ids are ours, so anything but a positive integer is nobody's.
func number(raw json.RawMessage) uint64 {
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// stamp converts QEMU's time, which is -1 when its host clock failed.
func stamp(seconds, micros int64) time.Time {
	if seconds <= 0 || seconds > 1<<40 || micros < 0 || micros >= 1e6 {
		return time.Time{}
	}
	return time.Unix(seconds, micros*1000)
}
