package instance

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// journal keeps the records of an instance in a file, one line of JSON each: the
// last whole line counts. To add a line is one write, which outlives the agent;
// a line cut short by a power failure is not whole, and the one before counts.
type journal struct {
	path string
	file *os.File
	size int
	held bool // the file's name outlives a power failure
}

// maxJournal is how large the file gets before it is begun anew, in bytes.
const maxJournal = 256 << 10

// add writes a record; sync makes it outlive a power failure too.
func (j *journal) add(r record, sync bool) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if j.file == nil || j.size+len(line) > maxJournal {
		return j.restart(line, sync)
	}
	if _, err := j.file.Write(line); err != nil {
		j.close() // its end is unknown: the next one begins anew
		return err
	}
	j.size += len(line)
	if sync {
		return j.sync()
	}
	return nil
}

// sync makes the file outlive a power failure, and its name.
func (j *journal) sync() error {
	if err := j.file.Sync(); err != nil || j.held {
		return err
	}
	dir, err := os.Open(filepath.Dir(j.path))
	if err != nil {
		return err
	}
	err = errors.Join(dir.Sync(), dir.Close())
	j.held = err == nil
	return err
}

// restart replaces the file by one with a single line.
func (j *journal) restart(line []byte, sync bool) error {
	j.close()
	f, err := os.OpenFile(j.path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	if err == nil && sync {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), j.path)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	j.file, j.size, j.held = f, len(line), false
	if sync {
		return j.sync()
	}
	return nil
}

func (j *journal) close() {
	if j.file != nil {
		_ = j.file.Close()
		j.file = nil
	}
}

// lastRecord reads the last whole line of a journal into r; found is false when
// there is none.
func lastRecord(path string, r *record) (found bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for len(data) > 0 {
		end := bytes.LastIndexByte(data, '\n')
		if end < 0 {
			return false, nil
		}
		start := bytes.LastIndexByte(data[:end], '\n') + 1
		var read record
		if json.Unmarshal(data[start:end], &read) == nil {
			*r = read
			return true, nil
		}
		data = data[:start]
	}
	return false, nil
}
