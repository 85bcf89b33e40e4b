package incloud

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"hearth/internal/bake/layer"
)

// large is from how many bytes on a file stays on the volume under its sum, so that it is
// sent once.
const large = 4 << 20

// input is a file that is sent by its sum.
type input struct {
	path string // here
	sum  string
	mode fs.FileMode
	at   string // where the builder wants it, from the folder run on; "" for nowhere
}

// send brings binary, recipe and base to the builder, and tells where the binary is.
func (b *Builder) send(ctx context.Context, j Job) (string, error) {
	inputs, archive, err := j.pack()
	if err != nil {
		return "", err
	}
	if err := b.sendMissing(ctx, j, inputs); err != nil {
		return "", err
	}
	if err := b.do(ctx, streams{in: bytes.NewReader(archive)}, `tar -x -C "$1/run/recipe" --no-same-owner -p -f -`, b.dir()); err != nil {
		return "", err
	}
	var list strings.Builder
	for _, in := range inputs {
		if in.at != "" {
			fmt.Fprintf(&list, "%s %o %s\n", in.sum, in.mode.Perm(), in.at)
		}
	}
	err = b.do(ctx, streams{in: strings.NewReader(list.String())}, `cd "$1/run"; while read -r sum mode at; do cp "../inputs/$sum" "$at"; chmod "$mode" "$at"; done`, b.dir())
	return path.Join(b.dir(), "inputs", inputs[0].sum), err
}

// pack lists the files that are sent by their sums, the binary first, and makes an archive
// of the others.
func (j Job) pack() ([]input, []byte, error) {
	inputs := []input{{path: j.Hearth, mode: 0o755}}
	if j.Base != "" {
		inputs = append(inputs, input{path: j.Base, mode: 0o644, at: filepath.Base(j.Base)})
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err := filepath.WalkDir(j.Dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == j.Dir {
			return err
		}
		rel, err := filepath.Rel(j.Dir, name)
		if err != nil {
			return err
		}
		if skip, err := j.ours(name, rel); skip || err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() && info.Size() >= large {
			if strings.Contains(rel, "\n") {
				return fmt.Errorf("the name %q has a line's end in it", rel)
			}
			inputs = append(inputs, input{path: name, mode: info.Mode(), at: "recipe/" + filepath.ToSlash(rel)})
			return nil
		}
		return add(w, name, rel, info)
	})
	if err == nil {
		err = w.Close()
	}
	for i := range inputs {
		if err == nil {
			inputs[i].sum, _, err = layer.Sum(inputs[i].path)
		}
	}
	return inputs, archive.Bytes(), err
}

// ours tells of files that a bake has made: they are not sent.
func (j Job) ours(name, rel string) (bool, error) {
	if name == j.OutDir {
		return true, fs.SkipDir
	}
	if j.OutDir != j.Dir || strings.Contains(rel, string(filepath.Separator)) {
		return false, nil
	}
	if rel == j.Name+".boot-test" {
		return true, fs.SkipDir
	}
	for _, suffix := range []string{".qcow2", ".raw", ".vmlinuz", ".initrd", ".ext4", ".json", ".tar", ".sbom.spdx.json", ".sources.txt", ".licences.txt"} {
		if rel == j.Name+suffix {
			return true, nil
		}
	}
	return false, nil
}

// add puts a file, folder or link into the archive; the rest is not what a recipe is made of.
func add(w *tar.Writer, name, rel string, info fs.FileInfo) error {
	link := ""
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		var err error
		if link, err = os.Readlink(name); err != nil {
			return err
		}
	case !info.Mode().IsRegular() && !info.IsDir():
		return fmt.Errorf("%s is neither file, folder nor link", name)
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name, h.Uid, h.Gid, h.Uname, h.Gname = filepath.ToSlash(rel), 0, 0, "", ""
	if info.IsDir() {
		h.Name += "/"
	}
	if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// sendMissing sends the inputs that the volume does not have.
func (b *Builder) sendMissing(ctx context.Context, j Job, inputs []input) error {
	var sums strings.Builder
	for _, in := range inputs {
		fmt.Fprintln(&sums, in.sum)
	}
	missing := &bounded{most: maxResult}
	err := b.do(ctx, streams{in: strings.NewReader(sums.String()), out: missing}, `while read -r sum; do [ -e "$1/inputs/$sum" ] && touch "$1/inputs/$sum" || echo "$sum"; done`, b.dir())
	if err != nil {
		return err
	}
	lacks := map[string]bool{}
	for line := range strings.Lines(missing.String()) {
		lacks[strings.TrimSpace(line)] = true
	}
	for _, in := range inputs {
		if !lacks[in.sum] {
			continue
		}
		delete(lacks, in.sum)
		if j.Tell != nil {
			fmt.Fprintf(j.Tell, "  %s goes to the builder\n", filepath.Base(in.path))
		}
		if err := b.sendFile(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

// sendFile sends one, which appears under its sum when it is whole.
func (b *Builder) sendFile(ctx context.Context, in input) error {
	f, err := os.Open(in.path)
	if err != nil {
		return err
	}
	defer f.Close()
	return b.do(ctx, streams{in: f}, `cd "$1/inputs"; cat >new; echo "$2  new" | sha256sum -c --quiet -; chmod 755 new; mv new "$2"`, b.dir(), in.sum)
}
