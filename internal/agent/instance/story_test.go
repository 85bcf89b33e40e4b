package instance

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"hearth/internal/cloud"
)

// lines is a log that several goroutines write.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// story is what of the log is about a request.
func (l *lines) story(request string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, "request="+request) {
			out = append(out, line)
		}
	}
	return out
}

// The agent's log names the request that it acts for, a start with each of its steps, and hands it to the hypervisor.
func TestStoryOfARequest(t *testing.T) {
	w, log := newWorld(t), &lines{}
	m := w.agent(func(c *Config) { c.Log = slog.New(slog.NewTextHandler(log, nil)) })
	spec := w.spec()
	spec.Request = "req-create"
	must(t, m.Apply(t.Context(), spec))
	await(t, m, spec.ID, "running", func(st cloud.InstanceStatus) bool { return st.State == cloud.InstanceRunning && st.Generation == 1 })
	if cfg, _ := w.host.Guest(spec.ID); cfg.Request != "req-create" {
		t.Errorf("the hypervisor was told %q", cfg.Request)
	}
	off := spec
	off.Request, off.Intent.Generation, off.Intent.Power = "req-stop", 2, cloud.PowerOff
	must(t, m.Apply(t.Context(), off))
	await(t, m, spec.ID, "off", func(st cloud.InstanceStatus) bool { return st.State == cloud.InstanceStopped && st.Generation == 2 })
	must(t, m.Apply(t.Context(), cloud.InstanceSpec{ID: spec.ID, Request: "req-delete", Intent: cloud.Intent{Generation: 3, Deleted: true}}))
	await(t, m, spec.ID, "gone", func(st cloud.InstanceStatus) bool { return st.State == cloud.InstanceAbsent })
	for request, want := range map[string]string{
		"req-create": `msg="the instance was started" instance=` + spec.ID + ` took=0s steps="image=0s disk=0s `,
		"req-stop":   `msg="the guest was ended" instance=` + spec.ID + ` asked=true`,
		"req-delete": `msg="the instance was removed" instance=` + spec.ID,
	} {
		if got := log.story(request); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("of %s the log has %q, want one with %q", request, got, want)
		}
	}
}
