package qemu

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net"
	"strings"
	"testing"
)

// agentIn answers as an agent in a guest does; before its first answer it says noise.
func agentIn(t *testing.T, conn net.Conn, noise, answer string) {
	t.Helper()
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var asked struct {
			Execute   string
			Arguments map[string]any
		}
		if json.Unmarshal(bytes.TrimLeft(line, "\xff"), &asked) != nil {
			return
		}
		said := answer
		if asked.Execute == "guest-sync-delimited" {
			id, _ := json.Marshal(map[string]any{"return": asked.Arguments["id"]})
			said, noise = noise+"\xff"+string(id), ""
		}
		if _, err := conn.Write([]byte(said + "\n")); err != nil {
			return
		}
	}
}

func TestAgentIsGreetedAndAsked(t *testing.T) {
	for name, c := range map[string]struct{ noise, answer, class string }{
		"well":          {"", `{"return": {}}`, ""},
		"noise":         {"{\"return\": 7}\n", `{"return": {}}`, ""},
		"older answers": {"\xff{\"return\": 7}\n", `{"return": {}}`, ""},
		"refused":       {"", `{"error": {"class": "GenericError", "desc": "no such user"}}`, "GenericError"},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer ours.Close()
			go func() { defer theirs.Close(); agentIn(t, theirs, c.noise, c.answer) }()
			in := bufio.NewReader(ours)
			if err := greetAgent(ours, in); err != nil {
				t.Fatal(err)
			}
			got, err := askAgent(ours, in, "guest-set-user-password", map[string]any{})
			if err != nil || (got.Error == nil) != (c.class == "") || got.Error != nil && got.Error.Class != c.class {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestAgentsAnswerIsBounded(t *testing.T) {
	in := bufio.NewReader(strings.NewReader(strings.Repeat("x", 2*agentMost)))
	if _, err := readAgent(in); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Error(err)
	}
}

func FuzzReadAgent(f *testing.F) {
	f.Add([]byte("\xff{\"return\": 1}\n"))
	f.Add([]byte("{\"error\": {\"class\": \"x\", \"desc\": \"\"}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = readAgent(bufio.NewReader(bytes.NewReader(data))) // it ends, and does not panic
	})
}
