package instance

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// Handle finds an instance's guest; nil when none runs.
func (m *Manager) Handle(id string) *hypervisor.Handle {
	m.mu.Lock()
	w := m.workers[id]
	m.mu.Unlock()
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shown.Handle == nil {
		return nil
	}
	h := *w.shown.Handle
	return &h
}

// Explain tells where the parts of an instance are on this host; NotFound when
// it is not here.
func (m *Manager) Explain(ctx context.Context, id string) ([]cloud.Fact, error) {
	m.mu.Lock()
	w := m.workers[id]
	m.mu.Unlock()
	if w == nil {
		return nil, cloud.E("instance.Explain", cloud.NotFound, "instance %s is not on this node", id)
	}
	st := w.status()
	state := string(st.State)
	if st.Step != "" {
		state += ", at step " + st.Step
	}
	if st.Error != "" {
		state += ": " + st.Error
	}
	facts := []cloud.Fact{
		{Topic: "state", Value: state},
		{Topic: "spec", Value: filepath.Join(w.dir, specName)},
		{Topic: "record", Value: filepath.Join(w.dir, stateName)},
		{Topic: "log", Value: w.logPath()},
		{Topic: "console", Value: hypervisor.Handle{Dir: m.GuestDir(id)}.ConsoleLog()},
	}
	facts = append(append(facts, m.diskFacts(ctx, w.wanted())...), w.keysFacts()...)
	for _, id := range slices.Sorted(maps.Keys(st.Refused)) {
		facts = append(facts, cloud.Fact{Topic: "refused " + id, Value: st.Refused[id]})
	}
	for _, id := range slices.Sorted(maps.Keys(st.Untaken)) {
		facts = append(facts, cloud.Fact{Topic: "not taken " + id, Value: st.Untaken[id]})
	}
	for _, s := range st.Steps {
		text := fmt.Sprintf("%s %s %v", s.Start.Format("15:04:05.000"), s.Name, s.Duration)
		if s.Error != "" {
			text += ": " + s.Error
		}
		facts = append(facts, cloud.Fact{Topic: "timeline", Value: text})
	}
	return facts, nil
}

func (m *Manager) diskFacts(ctx context.Context, spec cloud.InstanceSpec) (facts []cloud.Fact) {
	names := []string{rootName(spec.Intent.Disk.Turn)}
	for i := range spec.Ephemerals() {
		names = append(names, ephemeralName(i))
	}
	for _, name := range append(names, swapDisk, configDisk) {
		d, err := m.Storage.Disk(ctx, diskID(spec.ID, name))
		if err != nil {
			continue
		}
		text := fmt.Sprintf("%s (%s, %d bytes", d.Path, d.Format, d.Size)
		if d.Backing != "" {
			text += ", over " + d.Backing
		}
		if d.Grown != "" {
			text += "; " + d.Grown
		}
		facts = append(facts, cloud.Fact{Topic: "disk " + name, Value: text + ")"})
	}
	for _, v := range spec.Volumes {
		if v.Source.Node != "" {
			facts = append(facts, sourceFact(v))
			continue
		}
		if d, err := m.Storage.Disk(ctx, v.Disk); err == nil {
			facts = append(facts, cloud.Fact{Topic: "volume " + v.VolumeID, Value: fmt.Sprintf("%s (%s, %d bytes)", d.Path, d.Format, d.Size)})
		}
	}
	return facts
}
