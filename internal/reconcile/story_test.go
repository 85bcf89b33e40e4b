package reconcile

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// asked writes into the history that a request asked for something.
func (w *world) asked(server, action string) (request string) {
	request = "req-" + cloud.NewID()
	w.write(func(tx *store.Tx) error {
		return tx.Actions.Insert(cloud.ActionRecord{ID: cloud.NewID(), ServerID: server, Action: action, RequestID: request, StartedAt: w.clock.Now()})
	})
	return request
}

// One id finds the whole story of a request in the head's log, and the node is told it.
func TestStoryOfARequest(t *testing.T) {
	w := newWorld(t)
	var log bytes.Buffer
	w.Log = slog.New(slog.NewTextHandler(&log, nil))
	story := func(request string) (lines []string) {
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, "request="+request) {
				_, line, _ = strings.Cut(line, "msg=\"")
				line, _, _ = strings.Cut(line, "\"")
				lines = append(lines, line)
			}
		}
		return lines
	}
	w.want("a", 512)
	create := w.asked("a", "create")
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	if got := story(create); !slices.Equal(got, []string{"a server has its host", "a server was handed to its node", "what was asked of a server is over"}) {
		t.Errorf("of the create the log has %q:\n%s", got, log.String())
	}
	w.clock.Advance(time.Second) // databases keep microseconds
	remove := w.asked("a", "delete")
	w.delete("a")
	clear(w.node.instances)
	w.step()
	if got := story(remove); !w.gone("a") || !slices.Equal(got, []string{"a server is gone", "what was asked of a server is over"}) {
		t.Errorf("of the delete the log has %q:\n%s", got, log.String())
	}
	if !slices.Equal(w.node.told, []string{create, remove}) {
		t.Errorf("the node was told %q, want %q", w.node.told, []string{create, remove})
	}
}
