// Command storageplugin is an example of a storage plug-in: it keeps each disk as a
// file of a directory, which is its option dir. It needs nothing of Hearth's, and can
// be copied as a beginning. docs/storage-plugins.md is the protocol.
//
// With the option die=N it ends without a word at its Nth request, and with hang=VERB
// it never answers that verb, which is how Hearth's tests try what they do then.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

type request struct {
	ID     int64  `json:"id"`
	Method string `json:"method"`
	Params struct {
		Options map[string]string `json:"options"`
		Name    string            `json:"name"`
		From    string            `json:"from"`
		To      string            `json:"to"`
		Size    int64             `json:"size"`
	} `json:"params"`
}

type disk struct {
	Name string `json:"name"`
	Path string `json:"path"`
	Size int64  `json:"size"`
}

// fault is an error with the word that says what sort it is.
type fault struct{ kind, message string }

func (f fault) Error() string { return f.message }

func main() {
	var p plugin
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		var r request
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			fmt.Fprintln(os.Stderr, "no request:", err)
			os.Exit(1)
		}
		result, err := p.answer(r)
		if strconv.Itoa(n) == p.options["die"] {
			fmt.Fprintln(os.Stderr, "dying, as I was told")
			os.Exit(3)
		}
		if r.Method == p.options["hang"] {
			continue
		}
		reply := map[string]any{"jsonrpc": "2.0", "id": r.ID, "result": result}
		if err != nil {
			reply = map[string]any{"jsonrpc": "2.0", "id": r.ID, "error": map[string]any{"code": -32000, "message": err.Error(), "data": map[string]string{"kind": kind(err)}}}
		}
		if err := out.Encode(reply); err != nil {
			os.Exit(1)
		}
	}
}

func kind(err error) string {
	var f fault
	switch {
	case errors.As(err, &f):
		return f.kind
	case errors.Is(err, fs.ErrNotExist):
		return "not_found"
	case errors.Is(err, syscall.ENOSPC):
		return "no_capacity"
	}
	return "internal"
}

type plugin struct {
	options map[string]string
	dir     string
}

func (p *plugin) answer(r request) (any, error) {
	a := r.Params
	if r.Method != "hello" && p.dir == "" {
		return nil, fault{"invalid", "hello comes first"}
	}
	switch r.Method {
	case "hello":
		p.options, p.dir = a.Options, a.Options["dir"]
		if !filepath.IsAbs(p.dir) {
			return nil, fault{"invalid", "the option dir is to be the absolute path of a directory"}
		}
		return map[string]any{"protocol": 1, "name": "directory", "version": "1", "capabilities": []string{"clone", "thin"}}, os.MkdirAll(p.dir, 0o711)
	case "usage":
		var st syscall.Statfs_t
		err := syscall.Statfs(p.dir, &st)
		return map[string]int64{"total": int64(st.Blocks) * st.Bsize, "free": int64(st.Bavail) * st.Bsize}, err
	case "list":
		return p.list()
	case "get": //nolint:usestdlibvars // a verb of the protocol, not one of HTTP
		return p.get(a.Name)
	case "create":
		return p.create(a.Name, a.Size, func(*os.File) error { return nil })
	case "clone":
		return p.clone(a.Name, a.From, a.Size)
	case "grow":
		return p.grow(a.Name, a.Size)
	case "rename":
		if err := os.Rename(p.path(a.Name), p.path(a.To)); err != nil {
			return nil, err
		}
		return p.get(a.To)
	case "remove":
		if err := os.Remove(p.path(a.Name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return struct{}{}, nil
	}
	return nil, fault{"unsupported", "there is no verb " + r.Method}
}

// path is the file of a disk. Names have letters, digits, dots, - and _, and begin
// with a letter: they lead nowhere else.
func (p *plugin) path(name string) string { return filepath.Join(p.dir, filepath.Base(name)) }

func (p *plugin) get(name string) (disk, error) {
	info, err := os.Stat(p.path(name))
	if err != nil {
		return disk{}, err
	}
	return disk{name, p.path(name), info.Size()}, nil
}

func (p *plugin) list() (any, error) {
	entries, err := os.ReadDir(p.dir)
	disks := []disk{}
	for _, e := range entries {
		if d, err := p.get(e.Name()); err == nil && !strings.HasPrefix(e.Name(), ".") {
			disks = append(disks, d)
		}
	}
	return map[string]any{"disks": disks}, err
}

// create makes a file that reads as zeros, and then as fill has it.
func (p *plugin) create(name string, size int64, fill func(*os.File) error) (disk, error) {
	f, err := os.OpenFile(p.path(name), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return disk{}, err
	}
	if err := errors.Join(fill(f), f.Truncate(size), f.Close()); err != nil {
		return disk{}, err
	}
	return p.get(name)
}

func (p *plugin) clone(name, from string, size int64) (disk, error) {
	src, err := os.Open(p.path(from))
	if err != nil {
		return disk{}, err
	}
	defer src.Close()
	return p.create(name, size, func(f *os.File) error {
		_, err := io.Copy(f, src)
		return err
	})
}

func (p *plugin) grow(name string, size int64) (disk, error) {
	d, err := p.get(name)
	if err != nil || d.Size >= size {
		return d, err
	}
	if err := os.Truncate(d.Path, size); err != nil {
		return d, err
	}
	return p.get(name)
}
