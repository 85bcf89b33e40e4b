package instance

import (
	"context"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
)

// start does the steps that are not done yet; of a server that is off, only those
// that make its disks. It gives the time after which to
// try again when one failed in a way that may pass.
func (w *worker) start(ctx context.Context, spec cloud.InstanceSpec) (again time.Duration, err error) {
	r, off := &w.rec, spec.Intent.Power == cloud.PowerOff
	if r.State != cloud.InstancePreparing || r.Step == "" {
		r.Timeline, r.Attempts = nil, 0
	}
	r.State, r.Error = cloud.InstancePreparing, ""
	for _, s := range w.steps(spec) {
		if w.skip(s, spec.Intent) || off && s.fleeting {
			continue
		}
		if err := w.do(ctx, s); err != nil {
			if ctx.Err() != nil {
				return 0, nil // given up: the next look says what for
			}
			return w.failed(s, err)
		}
	}
	r.State, r.Step, r.Built, r.Halted = cloud.InstanceRunning, "", true, none
	if off { // its disk was to be made anew, no more
		r.State = cloud.InstanceStopped
	}
	r.Turn, r.Switched, r.NMIs = spec.Intent.Disk.Turn, none, spec.Intent.NMIs
	r.Done, r.Attempts, r.HostKeys = nil, 0, nil // its console has told them
	w.holdAll(spec)
	r.Refused, r.Leaving, r.Plugged, r.Untaken = nil, nil, nil, nil
	r.Generation, r.Reboots = spec.Intent.Generation, spec.Intent.Reboots
	if err := w.save(true); err != nil {
		return 0, err
	}
	w.dirty = false
	w.log.Info("the instance was started", "took", took(r.Timeline), "steps", words(r.Timeline), "request", spec.Request)
	w.m.Hook("instance.built")
	return 0, nil
}

// took is the time from the begin of the first step to the end of the last.
func took(steps []cloud.Step) time.Duration {
	if len(steps) == 0 {
		return 0
	}
	last := steps[len(steps)-1]
	return last.Start.Add(last.Duration).Sub(steps[0].Start)
}

// words are the steps as the log has them: "image=2ms disk=21ms …".
func words(steps []cloud.Step) string {
	var out []string
	for _, s := range steps {
		out = append(out, s.Name+"="+s.Duration.String())
	}
	return strings.Join(out, " ")
}

// skip tells whether a step is not to be done: it is done already and lasts, or
// belongs to a guest that is there.
func (w *worker) skip(s step, in cloud.Intent) bool {
	switch {
	case s.fleeting:
		return w.guest != nil
	case s.name == configStep && w.renamed():
		return w.guest != nil
	case s.lasts && w.rec.Built && w.rec.Turn == in.Disk.Turn:
		return true
	}
	return slices.Contains(w.rec.Done, s.name)
}

// do does one step. That it begins is written down before; that it is done with
// the begin of the next.
func (w *worker) do(ctx context.Context, s step) error {
	release, err := s.slots.take(ctx)
	if err != nil {
		return err
	}
	defer release()
	r := &w.rec
	r.Step = s.name
	if err := w.save(false); err != nil {
		return err
	}
	w.m.Hook("instance." + s.name + ".before")
	began := w.m.Clock.Now()
	err = s.do(ctx)
	entry := cloud.Step{Name: s.name, Start: began, Duration: w.m.Clock.Now().Sub(began)}
	if err != nil {
		entry.Error = cloud.Message(err)
		r.Timeline = append(r.Timeline, entry)
		return err
	}
	w.m.Hook("instance." + s.name + ".after")
	r.Timeline = append(r.Timeline, entry)
	if !slices.Contains(r.Done, s.name) { // else it was done before, and is no progress
		r.Done = append(r.Done, s.name)
		r.Attempts = 0
	}
	return nil
}

// failed decides whether a step is tried again or its start undone.
func (w *worker) failed(s step, cause error) (again time.Duration, err error) {
	r := &w.rec
	r.Attempts++
	may := passing(cause) || s.patient && !cloud.Is(cause, cloud.Invalid)
	if may && r.Attempts < w.m.Attempts {
		again = backoff(r.Attempts)
		w.log.Warn("a step failed; it is tried again", "step", s.name, "attempt", r.Attempts, "after", again, "error", cause, "request", w.wanted().Request)
		return again, w.save(false)
	}
	w.log.Error("a step failed for good; the start is undone", "step", s.name, "attempt", r.Attempts, "error", cause, "request", w.wanted().Request)
	r.Failing = cloud.Message(cause)
	return 0, w.save(true)
}
