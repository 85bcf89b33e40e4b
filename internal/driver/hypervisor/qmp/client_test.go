package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

const hi = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob"]}}` + "\n"

// command is what the scripted server reads.
type command struct {
	Execute   string         `json:"execute"`
	Arguments map[string]any `json:"arguments"`
	ID        uint64         `json:"id"`
}

// server plays QEMU's part: the greeting, then each command goes to answer, whose lines are sent back.
func server(t *testing.T, answer func(c command) string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	go func() {
		defer theirs.Close()
		fmt.Fprint(theirs, hi)
		lines := bufio.NewScanner(theirs)
		for lines.Scan() {
			var c command
			if json.Unmarshal(lines.Bytes(), &c) != nil {
				return
			}
			text := fmt.Sprintf(`{"return": {}, "id": %d}`+"\n", c.ID)
			if c.Execute != "qmp_capabilities" {
				text = answer(c)
			}
			if text == "hang up" {
				return
			}
			if _, err := fmt.Fprint(theirs, text); err != nil {
				return
			}
		}
	}()
	return ours
}

func connect(t *testing.T, answer func(c command) string) *Client {
	t.Helper()
	c, err := New(t.Context(), server(t, answer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestExecute(t *testing.T) {
	c := connect(t, func(q command) string {
		switch q.Execute {
		case "query-status":
			return fmt.Sprintf(`{"future": 1}`+"\n\n"+`[1,2]`+"\n"+`{"return": {"status": "stale"}, "id": 999}`+"\n"+
				`{"return": {"status": "running", "extra": [1]}, "id": %d}`+"\r\n", q.ID)
		case "echo":
			return fmt.Sprintf(`{"return": %q, "id": %d}`+"\n", q.Arguments["text"], q.ID)
		}
		return fmt.Sprintf(`{"error": {"class": "CommandNotFound", "desc": "no such command"}, "id": %d}`+"\n", q.ID)
	})
	if c.Version() != "7.2.22" {
		t.Errorf("version %q", c.Version())
	}
	var text string
	if err := c.Execute(t.Context(), "echo", map[string]string{"text": "ember"}, &text); err != nil || text != "ember" {
		t.Errorf("echo: %q, %v", text, err)
	}
	var refusal *Error
	if err := c.Execute(t.Context(), "nonsense", nil, nil); !errors.As(err, &refusal) || refusal.Class != "CommandNotFound" {
		t.Errorf("nonsense: %v", err)
	}
}

func TestJunkEndsOnlyWhatItMust(t *testing.T) {
	c := connect(t, func(q command) string {
		if q.Execute == "odd" { // valid JSON, no message: skipped
			return fmt.Sprintf(`{"future": true}`+"\n"+`{"return": 5, "id": 77}`+"\n"+`{"return": {"n": 1}, "id": %d}`+"\n", q.ID)
		}
		return "not json\n"
	})
	if err := c.Execute(t.Context(), "odd", nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Execute(t.Context(), "garble", nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after garbage: %v", err)
	}
	if err := c.Execute(t.Context(), "odd", nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("on the ended connection: %v", err)
	}
}

func TestEvents(t *testing.T) {
	c := connect(t, func(q command) string {
		return `{"event": "RESET", "data": {"guest": true}, "timestamp": {"seconds": 1700000000, "microseconds": 5}}` + "\n" +
			`{"event": "STOP", "timestamp": {"seconds": -1, "microseconds": -1}}` + "\n" +
			fmt.Sprintf(`{"return": {}, "id": %d}`+"\n", q.ID)
	})
	if err := c.Execute(t.Context(), "go", nil, nil); err != nil {
		t.Fatal(err)
	}
	first, second := <-c.Events(), <-c.Events()
	if first.Name != "RESET" || string(first.Data) != `{"guest": true}` || first.Time.Unix() != 1700000000 {
		t.Errorf("first: %+v", first)
	}
	if second.Name != "STOP" || !second.Time.IsZero() {
		t.Errorf("second: %+v", second)
	}
	c.Close()
	if _, open := <-c.Events(); open {
		t.Error("events stay open after Close")
	}
}

func TestSlowReaderLosesTheOldestEvents(t *testing.T) {
	c := connect(t, func(q command) string {
		var b strings.Builder
		for i := range 3 * backlog {
			fmt.Fprintf(&b, `{"event": "E%d"}`+"\n", i)
		}
		fmt.Fprintf(&b, `{"return": {}, "id": %d}`+"\n", q.ID)
		return b.String()
	})
	if err := c.Execute(t.Context(), "flood", nil, nil); err != nil {
		t.Fatal(err)
	}
	var last Event
	for range backlog {
		last = <-c.Events()
	}
	if want := fmt.Sprintf("E%d", 3*backlog-1); last.Name != want {
		t.Errorf("the newest event is %s, want %s", last.Name, want)
	}
}

func TestCommandGivesUpAndTheConnectionLivesOn(t *testing.T) {
	asked := make(chan uint64, 1)
	c := connect(t, func(q command) string {
		if q.Execute == "slow" {
			asked <- q.ID
			return "\n"
		}
		return fmt.Sprintf(`{"return": {}, "id": %d}`+"\n"+`{"return": {}, "id": %d}`+"\n", <-asked, q.ID)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := c.Execute(ctx, "slow", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("slow: %v", err)
	}
	if err := c.Execute(t.Context(), "next", nil, nil); err != nil {
		t.Errorf("next: %v", err)
	}
}

func TestQEMUGoesAway(t *testing.T) {
	c := connect(t, func(command) string { return "hang up" })
	if err := c.Execute(t.Context(), "quit", nil, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	<-c.Done()
}

// QEMU may owe the client before us a line, and tells a new one what happens before it greets: its monitor still has
// the mode of the last connection until its own thread has seen ours.
func TestBeforeTheGreeting(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		fmt.Fprint(theirs, `{"return": {}, "id": 7}`+"\n"+`{"event": "SHUTDOWN", "data": {"guest": true}}`+"\n"+hi)
		if bufio.NewScanner(theirs).Scan() {
			fmt.Fprint(theirs, `{"return": {}, "id": 1}`+"\n")
		}
	}()
	c, err := New(t.Context(), ours)
	if err != nil {
		t.Fatal(err)
	}
	if e := <-c.Events(); e.Name != "SHUTDOWN" {
		t.Errorf("the first event is %q", e.Name)
	}
	if c.Version() != "7.2.22" {
		t.Errorf("version %q", c.Version())
	}
}

func TestNewFails(t *testing.T) {
	t.Run("nobody answers", func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		if _, err := New(ctx, ours); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	for name, text := range map[string]string{
		"not QEMU":  `{"return": {}}` + "\n",
		"no end":    strings.Repeat(`{"return": {}}`+"\n", mostBefore+1),
		"not JSON":  "220 smtp ready\n",
		"too long":  strings.Repeat("x", maxMessage+2) + "\n",
		"cut short": `{"QMP":`,
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go func() { fmt.Fprint(theirs, text); theirs.Close() }()
			if _, err := New(t.Context(), ours); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{hi, `{"return": {}, "id": 1}`, `{"return": null}`, `{"error": {"class": "x", "desc": "y"}, "id": "a"}`,
		`{"event": "RESET", "data": {}, "timestamp": {"seconds": -1, "microseconds": 99999999999}}`, `[]`, `{"id": -1}`, "\x00", `{"QMP": null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := decode(raw)
		if err != nil && m.kind != unknown {
			t.Errorf("an error and a message of kind %d", m.kind)
		}
		if m.kind == failure && m.err == nil || m.kind == event && m.event.Name == "" || m.kind == reply && m.result == nil {
			t.Errorf("half a message: %+v", m)
		}
	})
}
