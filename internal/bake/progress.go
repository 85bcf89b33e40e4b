package bake

import "time"

// Step is what Progress is told: at the begin of a step, at times within it,
// and at its end.
type Step struct {
	Name     string
	Done     int64         // bytes
	Total    int64         // bytes; 0 when it is not known
	Rate     float64       // bytes a second so far; 0 when it is not known
	Left     time.Duration // 0 when it is not known
	Took     time.Duration
	Finished bool
	Err      error // why the step failed
}

// steps hands on steps to whoever listens.
type steps struct {
	tell func(Step)
	now  func() time.Time
}

// work is one step under way.
type work struct {
	*steps
	step  Step
	start time.Time
	told  time.Time
}

func (s *steps) begin(name string, total int64) *work {
	w := &work{steps: s, step: Step{Name: name, Total: total}, start: s.now()}
	w.send()
	return w
}

// at reports that done bytes are done, at most five times a second.
func (w *work) at(done int64) {
	w.step.Done = done
	if w.now().Sub(w.told) >= 200*time.Millisecond {
		w.send()
	}
}

// end closes the step and hands err through.
func (w *work) end(err error) error {
	w.step.Finished, w.step.Err = true, err
	if err == nil && w.step.Total > 0 {
		w.step.Done = w.step.Total
	}
	w.send()
	return err
}

func (w *work) send() {
	if w.tell == nil {
		return
	}
	w.told = w.now()
	s := &w.step
	s.Took = w.told.Sub(w.start)
	if secs := s.Took.Seconds(); secs > 0 && s.Done > 0 {
		s.Rate = float64(s.Done) / secs
		s.Left = 0
		if s.Total > s.Done {
			s.Left = time.Duration(float64(s.Total-s.Done) / s.Rate * float64(time.Second))
		}
	}
	w.tell(*s)
}
