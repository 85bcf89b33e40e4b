package instance

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/disk/deploy"
	"hearth/internal/disk/ganeti"
	"hearth/internal/disk/osdef"
)

// scripted is one run of a foreign definition.
type scripted struct {
	w      *worker
	spec   cloud.InstanceSpec
	def    *osdef.Definition
	dir    string // of its own; all of it goes at the end
	target string // the disk to be filled, in dir
	size   int64
	os     string // the definition's folder, in dir
	image  string // a copy of the server's image, in dir; "" for none
	said   *lastWords
	report *deploy.Report
}

// deployForeign has the scripts of a foreign definition fill the disk: what they are,
// the digest in the definition tells, whoever they come from.
func (w *worker) deployForeign(ctx context.Context, spec cloud.InstanceSpec, dir, target string, size int64) error {
	const op = "instance.deploy"
	d, err := osdef.Decode([]byte(spec.Deploy.Body))
	if err == nil && d.Foreign == nil {
		err = errors.New("it has no scripts of its own")
	}
	if err != nil {
		return cloud.E(op, cloud.Invalid, "Definition %s cannot be read: %w", spec.Deploy.Name, err)
	}
	s := &scripted{w: w, spec: spec, def: d, dir: dir, target: target, size: size, os: filepath.Join(dir, "os", d.Name), said: &lastWords{}}
	s.report = &deploy.Report{Definition: fmt.Sprintf("%s@%d", spec.Deploy.Name, spec.Deploy.Version), Type: "foreign"}
	began := w.m.Clock.Now()
	err = s.run(ctx)
	if d.Foreign.Privileged {
		err = errors.Join(err, disk.DetachLoops(dir))
	}
	var known *cloud.Error
	if err != nil && (ctx.Err() != nil || errors.As(err, &known)) {
		return err // of this host or of the head: it may be tried again
	}
	w.tell(s.report, began, s.said)
	if err != nil {
		return cloud.E(op, cloud.Invalid, "Definition %s: %w", s.report.Definition, err)
	}
	return nil
}

func (s *scripted) run(ctx context.Context) error {
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{{"fetch", s.fetch}, {"unpack", s.unpack}, {"verify", s.script("verify")}, {"create", s.script("create")}, {"check", s.check}} {
		began := s.w.m.Clock.Now()
		s.report.Steps = append(s.report.Steps, deploy.Step{Name: part.name})
		err := part.do(ctx)
		step := &s.report.Steps[len(s.report.Steps)-1]
		if step.Milliseconds = s.w.m.Clock.Now().Sub(began).Milliseconds(); err != nil {
			step.Error = err.Error()
			return err
		}
	}
	return nil
}

func (s *scripted) note(format string, args ...any) {
	step := &s.report.Steps[len(s.report.Steps)-1]
	step.Notes = append(step.Notes, fmt.Sprintf(format, args...))
}

// fetch brings the archive here, and the server's image where that is another.
func (s *scripted) fetch(ctx context.Context) error {
	archive := *s.spec.Deploy.Archive
	if archive.Digest != s.def.Foreign.Digest {
		return fmt.Errorf("the archive is said to be %s, and the definition names %s", archive.Digest, s.def.Foreign.Digest)
	}
	size, err := s.bring(ctx, archive, "archive", ganeti.MaxArchive)
	if err != nil {
		return err
	}
	s.note("its archive, %d bytes, has the digest %.23s…", size, archive.Digest)
	if s.spec.Image.Digest == "" || s.spec.Image.Digest == archive.Digest {
		return nil
	}
	s.image = filepath.Join(s.dir, "image")
	if size, err = s.bring(ctx, s.spec.Image, "image", 0); err == nil {
		s.note("the server's image %s, %d bytes, is HEARTH_IMAGE", s.spec.Image.ID, size)
	}
	return err
}

// bring copies an image to a file of its own, which nothing but the scripts can change,
// and holds it against its digest. most bounds its bytes; 0 is no bound.
func (s *scripted) bring(ctx context.Context, ref cloud.ImageRef, name string, most int64) (size int64, err error) {
	const op = "instance.deploy"
	in, err := s.w.m.Images.Open(ctx, ref.Digest)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	h, path, from := sha512.New(), filepath.Join(s.dir, name), io.Reader(in)
	if most > 0 {
		from = io.LimitReader(in, most+1)
	}
	if err := disk.CopySparse(ctx, path, io.TeeReader(from, h)); err != nil {
		return 0, hostError(op, err)
	}
	st, err := os.Stat(path)
	if err != nil {
		return 0, hostError(op, err)
	}
	if most > 0 && st.Size() > most {
		return 0, fmt.Errorf("its archive has more than %d GiB", most>>30)
	}
	if got := "sha512:" + hex.EncodeToString(h.Sum(nil)); got != ref.Digest {
		return 0, cloud.E(op, cloud.Unavailable, "the bytes fetched of image %s are not those of its digest (%s, wanted %s)", ref.ID, got, ref.Digest)
	}
	return st.Size(), nil
}

// unpack makes the definition's folder of the archive, and the empty disk.
func (s *scripted) unpack(ctx context.Context) error {
	archive := filepath.Join(s.dir, "archive")
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := errors.Join(os.Mkdir(filepath.Dir(s.os), 0o755), os.WriteFile(s.target, nil, 0o600), os.Truncate(s.target, s.size)); err != nil {
		return err
	}
	return errors.Join(ganeti.UnpackPushed(ctx, f, s.os), os.Remove(archive))
}

// script runs one of the definition's.
func (s *scripted) script(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		f := &ganeti.Foreign{Dir: s.os, Alone: s.dir, Variant: s.spec.Deploy.Variant, Name: s.spec.Hostname, UUID: s.spec.ID, Disks: []string{s.target}, Memory: int64(s.spec.MemoryMB) << 20,
			Serial: true, Settings: s.spec.Deploy.Over, Also: deployEnv(s.spec), Limit: time.Duration(s.def.Foreign.Minutes) * time.Minute, Log: s.said}
		if s.def.Foreign.Privileged {
			f.Alone = ""
		}
		if s.spec.Kernel != nil {
			f.Kernel = outside
		}
		if s.image != "" {
			f.Also = append(f.Also, "HEARTH_IMAGE="+s.image, "HEARTH_IMAGE_FORMAT="+s.spec.Image.Format)
		}
		err := f.Run(ctx, name)
		if err == nil {
			s.note("%s ended well", name)
		}
		return err
	}
}

// check holds what the scripts left against what they were given: they ran as root, and
// what is in the disk's place is read by this process.
func (s *scripted) check(context.Context) error {
	st, err := os.Lstat(s.target)
	if err != nil || !st.Mode().IsRegular() {
		return errors.Join(err, errors.New("create left no file in the place of the disk"))
	}
	if st.Size() != s.size {
		return fmt.Errorf("create left a disk of %d bytes, and it was given one of %d", st.Size(), s.size)
	}
	return nil
}
