package instance

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/driver/hypervisor"
)

// none is a generation that no intent has.
const none = -1

// record is what is there of an instance, as its worker knows it (state.jsonl).
type record struct {
	State      cloud.InstanceState
	Generation int64 // the newest intent carried out
	Reboots    int64
	Error      string
	At         time.Time

	Step     string       // of a start under way
	Done     []string     // its steps that are done
	Timeline []cloud.Step // of the last start
	Attempts int          // failures of the step since one succeeded
	Built    bool         // started once, whole: its disks are the guest's own, and not undone
	Made     string       // digest of the image that a definition made of its own; "" for none
	Failing  string       // why the start is being undone; "" when it is not

	Handle *hypervisor.Handle // of the guest that runs
	Halted int64              // the generation under which the guest ended by itself; none

	HostKeys   []string          // fingerprints of ssh host keys that were made and are to be told on the console
	Drive      string            // the names that its config drive tells; "" when nobody noted it
	Turn       int64             // of the root disk it was last started on
	Disk       cloud.DiskIntent  // the last that was tidied up for
	Snapshots  []string          // ids of the images that the root disk was copied for
	Frozen     bool              // the guest was stopped for that, or went on from its saved memory, and is to run on
	Video      string            // the card of its guest's screen, or of the last guest's; "" for none
	Saved      bool              // the guest's memory is in a file: the next start goes on from there
	NMIs       int64             // non-maskable interrupts that were sent
	Volumes    []string          // ids of those that it has, in its guest or for its next start
	Ports      []string          // likewise
	Addresses  map[string]string // on the guest's PCI bus, by the id of a volume or port; replaced, never changed
	Refused    map[string]string // by such an id: why it could not be plugged, or unplugged; replaced, never changed
	RefusedFor int64             // the generation that this is about
	Plugged    []string          // devices that were plugged into the guest as it ran, and that it does not drive yet
	Untaken    map[string]string // by the id of a volume or port: that this is so for long; replaced, never changed
	Swapped    []string          // ids of volumes that have the data of those they take the place of, and are good by themselves
	Leaving    []string          // devices that the guest was asked to let go of
	Taps       []tap             // ports that may be plugged into their networks

	Switched int64 // the generation for which the guest was paused or resumed; none
}

// clone shares nothing with r that changes.
func (r record) clone() record {
	r.Done, r.Timeline, r.Snapshots = slices.Clone(r.Done), slices.Clone(r.Timeline), slices.Clone(r.Snapshots)
	r.Swapped = slices.Clone(r.Swapped)
	r.Volumes, r.Ports, r.Leaving, r.Taps = slices.Clone(r.Volumes), slices.Clone(r.Ports), slices.Clone(r.Leaving), slices.Clone(r.Taps)
	r.Plugged = slices.Clone(r.Plugged)
	return r
}

const (
	specName  = "spec.json"
	stateName = "state.jsonl"
)

// load reads all instances and sweeps what was half made or half removed.
func (m *Manager) load() ([]*worker, error) {
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return nil, hostError("instance.New", err)
	}
	var out []*worker
	for _, e := range entries {
		dir := filepath.Join(m.Dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			if err := errors.Join(disk.DetachLoops(dir), os.RemoveAll(dir)); err != nil {
				return nil, hostError("instance.New", err)
			}
			continue
		}
		if !e.IsDir() || !idForm.MatchString(e.Name()) {
			continue
		}
		w, err := m.read(dir)
		if err != nil {
			return nil, cloud.E("instance.New", cloud.Internal, "the instance in %s cannot be read; mend its spec.json or move the folder away: %w", dir, err)
		}
		out = append(out, w)
	}
	return out, nil
}

func (m *Manager) read(dir string) (*worker, error) {
	var spec cloud.InstanceSpec
	data, err := os.ReadFile(filepath.Join(dir, specName))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, err
	}
	if err := m.reveal(&spec); err != nil {
		return nil, err
	}
	if spec.ID != filepath.Base(dir) {
		return nil, cloud.E("instance.New", cloud.Invalid, "the spec is of instance %q", spec.ID)
	}
	// Without a readable state all steps are done again; they find what is there.
	rec := record{State: cloud.InstancePreparing, Halted: none, At: m.Clock.Now()}
	found, err := lastRecord(filepath.Join(dir, stateName), &rec)
	if err != nil {
		return nil, err
	}
	if !found {
		m.Log.Debug("no state of an instance is written down; its steps are done again", "instance", spec.ID)
	}
	return m.newWorker(spec, rec), nil
}

// create makes the folder of a new instance, whole at once.
func (m *Manager) create(w *worker) error {
	tmp := filepath.Join(m.Dir, ".new-"+w.id)
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	// Guests run under another uid and must pass through to their own folder.
	if err := os.Mkdir(tmp, 0o711); err != nil {
		return err
	}
	if err := m.writeSpec(tmp, w.spec); err != nil {
		return err
	}
	m.Hook("instance.create.before")
	if err := os.Rename(tmp, w.dir); err != nil {
		return err
	}
	m.Hook("instance.create.after")
	return m.syncDir(m.Dir)
}

// destroy removes the folder of an instance, in one move.
func (m *Manager) destroy(w *worker) error {
	gone := filepath.Join(m.Dir, ".gone-"+w.id)
	if err := os.RemoveAll(gone); err != nil {
		return err
	}
	if err := os.Rename(w.dir, gone); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m.Hook("instance.destroy.after")
	return errors.Join(os.RemoveAll(gone), m.syncDir(m.Dir))
}

// write replaces a file of a folder, whole at once. durable makes it outlive a
// power failure; the death of the agent it outlives anyway.
func (m *Manager) write(dir, name string, v any, durable bool) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, name+".tmp")
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && durable && !m.NoSync {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil || !durable {
		return err
	}
	return m.syncDir(dir)
}

func (m *Manager) syncDir(dir string) error {
	if m.NoSync {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// tail reads the last max bytes of a file (0: all); none if it is not there.
func tail(path string, max int) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if max > 0 {
		fi, err := f.Stat()
		if err != nil {
			return nil, err
		}
		if skip := fi.Size() - int64(max); skip > 0 {
			if _, err := f.Seek(skip, io.SeekStart); err != nil {
				return nil, err
			}
		}
	}
	const most = 16 << 20 // a serial log is a megabyte or so
	return io.ReadAll(io.LimitReader(f, most))
}
