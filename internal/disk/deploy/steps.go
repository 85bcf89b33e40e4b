package deploy

import (
	"context"
	"fmt"
	"time"
)

// Step is one part of a deployment.
type Step struct {
	Name         string   `json:"name"`
	Milliseconds int64    `json:"milliseconds"`
	Notes        []string `json:"notes,omitempty"` // what was done in it
	Error        string   `json:"error,omitempty"`
}

// step does one part, and notes what it took. With Debug it is told as it goes on.
func (b *build) step(ctx context.Context, name string, do func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.report.Steps = append(b.report.Steps, Step{Name: name})
	b.tell("%s …", name)
	began := time.Now()
	err := do(ctx)
	s := &b.report.Steps[len(b.report.Steps)-1]
	s.Milliseconds = time.Since(began).Milliseconds()
	if err != nil {
		s.Error = err.Error()
		b.tell("%s failed after %d ms: %v", name, s.Milliseconds, err)
		return err
	}
	b.tell("%s: %d ms", name, s.Milliseconds)
	return nil
}

// note says what was done in the step that goes on.
func (b *build) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if n := len(b.report.Steps); n > 0 {
		b.report.Steps[n-1].Notes = append(b.report.Steps[n-1].Notes, text)
	}
	b.tell("  %s", text)
}

func (b *build) tell(format string, args ...any) {
	if b.opt.Log != nil && (b.opt.Debug || b.spec != nil && b.spec.Debug) {
		fmt.Fprintf(b.opt.Log, "deploy: "+format+"\n", args...)
	}
}

// done tells how far a long step is.
func (b *build) done(step string, done, total int64) {
	if b.opt.Progress != nil {
		b.opt.Progress(step, done, total)
	}
}
