package plugin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"hearth/internal/cloud"
)

// session is one run of the program.
type session struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	path string

	writing sync.Mutex

	mu      sync.Mutex
	serial  int64
	waiting map[int64]chan message
	reason  error         // why it was killed
	said    string        // the last line of its standard error
	reaped  bool          // its number may be another's
	gone    chan struct{} // closed when it is gone and all that it said is read
}

// maxLine is how long an answer may be: a list of many disks.
const maxLine = 16 << 20

// environment is what the program gets: none of Hearth's own, which may hold secrets.
func environment() []string {
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HEARTH_STORAGE_PLUGIN=1"}
}

// start starts the program in a process group of its own.
func start(path string, log *slog.Logger) (*session, error) {
	const op = "storage.Plugin"
	cmd := exec.Command(path)
	cmd.Env, cmd.Dir, cmd.SysProcAttr = environment(), "/", &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "no pipe can be made: %w", err)
	}
	out, outEnd, err := os.Pipe()
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "no pipe can be made: %w", err)
	}
	errs, errsEnd, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(cloud.E(op, cloud.Internal, "no pipe can be made: %w", err), out.Close(), outEnd.Close())
	}
	cmd.Stdout, cmd.Stderr = outEnd, errsEnd
	err = cmd.Start()
	_, _ = outEnd.Close(), errsEnd.Close()
	if err != nil {
		_, _, _ = in.Close(), out.Close(), errs.Close()
		return nil, cloud.E(op, cloud.Unavailable, "the storage plug-in cannot be started: %w", err)
	}
	s := &session{cmd: cmd, in: in, path: path, waiting: map[int64]chan message{}, gone: make(chan struct{})}
	heard := make(chan struct{})
	go s.listen(errs, log, heard)
	go s.wait(log)
	go s.read(out, heard)
	return s, nil
}

// wait waits for the program's end, and takes along what it started: that would keep
// the pipes open.
func (s *session) wait(log *slog.Logger) {
	err := s.cmd.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	s.reaped = true
	log.Warn("the storage plug-in ended", "error", err)
}

// listen logs what the program writes to its standard error.
func (s *session) listen(errs *os.File, log *slog.Logger, done chan struct{}) {
	defer close(done)
	defer errs.Close()
	lines := bufio.NewScanner(errs)
	for lines.Scan() {
		log.Info("the storage plug-in says", "line", lines.Text())
		s.mu.Lock()
		s.said = lines.Text()
		s.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, errs) // a line that is too long ends the scan
}

// read gives answers to those who wait, until the program ends.
func (s *session) read(out *os.File, heard chan struct{}) {
	lines := bufio.NewScanner(out)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			s.kill(cloud.E("storage.Plugin", cloud.Unavailable, "the storage plug-in %s writes what is no JSON to its standard output: %w", s.path, err))
			break
		}
		s.mu.Lock()
		answer := s.waiting[m.ID]
		delete(s.waiting, m.ID)
		s.mu.Unlock()
		if answer != nil {
			answer <- m
		}
	}
	s.kill(lines.Err()) // it has nothing to say any more
	_ = out.Close()
	<-heard
	close(s.gone)
}

func (s *session) dead() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// kill ends the program and all that it started, for a reason; nil where it has
// ended by itself.
func (s *session) kill(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason == nil {
		s.reason = reason
	}
	if !s.reaped {
		_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// graceful is how long a program may take to end when it is told to.
const graceful = 5 * time.Second

// end closes the program's input, by which it knows that it is to end.
func (s *session) end() {
	s.writing.Lock()
	_ = s.in.Close()
	s.writing.Unlock()
	timer := time.AfterFunc(graceful, func() { s.kill(nil) })
	defer timer.Stop()
	<-s.gone
}

// failure says why the program is gone.
func (s *session) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason != nil {
		return cloud.E("storage.Plugin", cloud.Unavailable, "%w", s.reason)
	}
	last := ""
	if s.said != "" {
		last = "; it said: " + strings.TrimSpace(s.said)
	}
	return cloud.E("storage.Plugin", cloud.Unavailable, "the storage plug-in %s died%s; it is started again with the next call", s.path, last)
}

// call asks, and waits for the answer.
func (s *session) call(ctx context.Context, limit time.Duration, verb string, params, result any) error {
	answer := make(chan message, 1)
	s.mu.Lock()
	s.serial++
	id := s.serial
	s.waiting[id] = answer
	s.mu.Unlock()
	timer := time.AfterFunc(limit, func() {
		s.kill(cloud.E("storage."+verb, cloud.Unavailable, "the storage plug-in %s did not answer %s within %s and was killed; it is started again with the next call", s.path, verb, limit))
	})
	defer timer.Stop()
	if err := s.write(message{Version: "2.0", ID: id, Method: verb, Params: params}); err != nil {
		<-s.gone
		return s.failure()
	}
	select {
	case m := <-answer:
		return m.settle(verb, result)
	case <-s.gone:
		select {
		case m := <-answer: // it was its last word
			return m.settle(verb, result)
		default:
			return s.failure()
		}
	case <-ctx.Done():
		s.mu.Lock()
		delete(s.waiting, id)
		s.mu.Unlock()
		return cloud.E("storage."+verb, cloud.Unavailable, "stopped before the storage plug-in was done: %w", ctx.Err())
	}
}

func (s *session) write(m message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	_, err = s.in.Write(append(line, '\n'))
	if err != nil {
		s.kill(nil)
	}
	return err
}

// settle is what an answer comes to.
func (m message) settle(verb string, result any) error {
	switch {
	case m.Error != nil:
		return m.Error.error(verb)
	case result == nil:
		return nil
	}
	if err := json.Unmarshal(m.Result, result); err != nil {
		return cloud.E("storage."+verb, cloud.Internal, "the storage plug-in's answer is not of the form that docs/storage-plugins.md has: %w", err)
	}
	return nil
}
