package bake

import (
	"archive/tar"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"hearth/internal/bake/layer"
)

//go:embed inside.sh
var insideScript []byte

// job is a script that is run as root inside a tree.
type job struct {
	script  string            // with or without #!
	files   map[string]string // beside it, in /run/hearth
	network bool
	apt     bool                   // it is apt's: in an error apt's own count
	mounts  [][2]string            // folders of the host, and where they are inside
	drops   func(name string) bool // of what it makes, does not go into the layer; nil: nothing
}

// space is the kind of namespace a job runs in.
type space struct {
	flags []string
	owner string // how tar treats owners
	many  bool   // it has more users than one
}

// spaceFor chooses: for root no user namespace; for others all ids that
// /etc/subuid gives them, if newuidmap works, else one user, root, alone.
func spaceFor(ctx context.Context) space {
	if os.Geteuid() == 0 {
		return space{owner: "--same-owner", many: true}
	}
	auto := []string{"--user", "--map-root-user", "--map-auto"}
	if exec.CommandContext(ctx, "unshare", append(auto, "true")...).Run() == nil {
		return space{auto, "--same-owner", true}
	}
	return space{[]string{"--user", "--map-root-user"}, "--no-same-owner", false}
}

// remove takes away a folder of which the guest's users may own parts.
func (s space) remove(dir string) error {
	if _, err := os.Lstat(dir); err != nil {
		return err
	}
	return exec.Command("unshare", append(append([]string{}, s.flags...), "rm", "-rf", "--one-file-system", dir)...).Run()
}

// discard takes away the folder of a bake that was killed.
func discard(dir string) error {
	if err := os.RemoveAll(dir); err == nil || os.Geteuid() == 0 {
		return err
	}
	return spaceFor(context.Background()).remove(dir)
}

// inside runs a job in a tree of layers and makes a layer of what it changed.
func (o *oven) inside(ctx context.Context, below []*layer.Layer, j job, put func(removed []string, write func(*tar.Writer) error) error) error {
	work, err := os.MkdirTemp(o.work, "inside-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	in := spaceFor(ctx)
	if err := prepareJob(work, below, j); err != nil {
		return err
	}
	if err := o.enter(ctx, work, in, below, j); err != nil {
		return err
	}
	before := layer.Index{}
	for _, l := range below {
		if err := before.Apply(l); err != nil {
			return err
		}
	}
	out := filepath.Join(work, "out.tar")
	after := layer.Index{}
	if err := eachOf(out, after.Add); err != nil {
		return err
	}
	d := difference{before: before, after: after, owners: in.many, drops: j.drops}
	return put(after.Removed(before), func(w *tar.Writer) error {
		return eachOf(out, func(h *tar.Header, r io.Reader) error { return d.copy(w, h, r) })
	})
}

func eachOf(archive string, do func(*tar.Header, io.Reader) error) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	return layer.EachFile(f, do)
}

// difference writes what is not as it was.
type difference struct {
	before, after layer.Index
	owners        bool
	drops         func(string) bool
}

func (d *difference) copy(w *tar.Writer, h *tar.Header, r io.Reader) error {
	name := layer.Clean(h.Name)
	is, ok := d.after[name]
	was, had := d.before[name]
	if !ok || had && is.Unchanged(was, d.owners) || d.drops != nil && d.drops("/"+name) {
		return nil
	}
	h.Name, h.Uname, h.Gname, h.Format, h.PAXRecords = name, "", "", tar.FormatUnknown, layer.Attributes(h)
	h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
	if h.Typeflag == tar.TypeLink {
		h.Linkname = layer.Clean(h.Linkname)
	}
	if !d.owners {
		h.Uid, h.Gid = was.UID, was.GID // zero for what is new
	}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(w, r)
	return err
}

// prepareJob writes what inside.sh reads.
func prepareJob(work string, below []*layer.Layer, j job) error {
	dir := filepath.Join(work, "job")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	script := j.script
	if !strings.HasPrefix(script, "#!") {
		script = "#!/bin/sh -e\n" + script
	}
	files := map[string]string{"script": script}
	if j.network {
		files["network"] = ""
	}
	for name, text := range j.files {
		files[name] = text
	}
	var err error
	for name, text := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	}
	for i, l := range below {
		var b bytes.Buffer
		for _, name := range l.Removed {
			b.WriteString("./" + name + "\x00")
		}
		err = errors.Join(err, os.WriteFile(filepath.Join(work, fmt.Sprintf("gone.%d", i)), b.Bytes(), 0o644))
	}
	var mounts strings.Builder
	for _, m := range j.mounts {
		err = errors.Join(err, os.MkdirAll(m[0], 0o755))
		if strings.ContainsAny(m[0], " \t\n\\") {
			err = errors.Join(err, fmt.Errorf("the folder %q has a blank in its name, which the cache must not have", m[0]))
		}
		mounts.WriteString(m[0] + " " + m[1] + "\n")
	}
	return errors.Join(err, os.WriteFile(filepath.Join(work, "mounts"), []byte(mounts.String()), 0o644),
		os.WriteFile(filepath.Join(work, "inside.sh"), insideScript, 0o755))
}

// enter starts inside.sh in namespaces. What it says is told line by line.
func (o *oven) enter(ctx context.Context, work string, in space, below []*layer.Layer, j job) error {
	args := append([]string{}, in.flags...)
	args = append(args, "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--propagation", "private")
	if !j.network {
		args = append(args, "--net")
	}
	args = append(args, "bash", filepath.Join(work, "inside.sh"), work, in.owner, filepath.Join(work, "mounts"))
	for _, l := range below {
		args = append(args, l.Path)
	}
	cmd := exec.CommandContext(ctx, "unshare", args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log := teller{tell: o.log}
	cmd.Stdout, cmd.Stderr = &log, &log
	err := cmd.Run()
	if left := filepath.Join(work, "inside"); err != nil && in.flags != nil {
		_ = in.remove(left) // the guest's users own parts of it
	}
	said := lastLines(log.said.String())
	if j.apt {
		said = reasons(log.said.String())
	}
	if err != nil && !in.many {
		return fmt.Errorf("%w: %s (this user has no ids in /etc/subuid, so that the tree has one user only: what wants others fails)", err, said)
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	return nil
}

// teller keeps what a program says, and tells it as it is said. It is one program's at a time.
type teller struct {
	said bytes.Buffer // not embedded: its ReadFrom would be the way past Write
	tell func(string)
}

// Write keeps and tells.
func (t *teller) Write(p []byte) (int, error) {
	if t.tell != nil {
		t.tell(string(p))
	}
	return t.said.Write(p)
}
