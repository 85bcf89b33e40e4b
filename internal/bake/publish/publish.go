// Package publish makes of what was baked a folder that others can fetch and trust: the
// files, their sums in SHA256SUMS, and a signature of these by a key of the publisher's, as
// ssh-keygen -Y sign makes it and ssh-keygen -Y verify checks it. Any web server can
// offer the folder. A registry of OCI gets the same as an image and what refers to it.
package publish

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"hearth/internal/bake/layer"
	"hearth/internal/disk"
)

// Sums and Signature are the names of the two files besides those that were baked.
const (
	Sums      = "SHA256SUMS"
	Signature = "SHA256SUMS.sig"
)

// Namespace is what a signature is for, which ssh-keygen -Y verify -n is told.
const Namespace = "hearth-image"

// manifest is the part of a bake's NAME.json that is read.
type manifest struct {
	Recipe string `json:"recipe"`
	User   string `json:"user"`
	Files  []struct {
		File   string `json:"file"`
		SHA256 string `json:"sha256"`
	} `json:"files"`
	Properties map[string]string `json:"properties"`
}

// Set is what belongs to one bake, all in one folder.
type Set struct {
	Dir        string
	Name       string
	Files      []string // base names, sorted: images, manifest, bill of materials, sources, licences
	Disk       string   // base name of the disk that boots; "" if there is none
	Properties map[string]string
	User       string // who logs in
	sum        string // SHA-256 of Disk
}

// companions are what lies beside an image, by how its name ends. All but the manifest may lack
// only if the bake made none.
var companions = []string{".json", ".sbom.spdx.json", ".sources.txt", ".licences.txt"}

// maxManifest bounds a manifest, bytes.
const maxManifest = 64 << 20

// Read finds what a bake made by its manifest, NAME.json, and holds the images against the
// sums in it. An image without its bill of materials, sources and licences is not published.
func Read(file string) (*Set, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var m manifest
	if err := json.NewDecoder(io.LimitReader(f, maxManifest)).Decode(&m); err != nil {
		return nil, fmt.Errorf("%s is no manifest of hearth bake: %w", file, err)
	}
	if len(m.Files) == 0 {
		return nil, fmt.Errorf("%s is no manifest of hearth bake: it names no files", file)
	}
	s := &Set{Dir: filepath.Dir(file), Name: strings.TrimSuffix(filepath.Base(file), ".json"), Properties: m.Properties, User: m.User}
	for _, entry := range m.Files {
		if entry.File != filepath.Base(entry.File) || strings.HasPrefix(entry.File, ".") {
			return nil, fmt.Errorf("%s names the file %q, which is not beside it", file, entry.File)
		}
		sum, _, err := layer.Sum(filepath.Join(s.Dir, entry.File))
		if err != nil {
			return nil, err
		}
		if sum != entry.SHA256 {
			return nil, fmt.Errorf("%s is not what was baked: its SHA-256 sum is %s, that of the manifest %s", entry.File, sum, entry.SHA256)
		}
		s.Files = append(s.Files, entry.File)
		if strings.HasSuffix(entry.File, ".qcow2") {
			s.Disk, s.sum = entry.File, sum
		}
	}
	for _, c := range companions {
		if _, err := os.Stat(filepath.Join(s.Dir, s.Name+c)); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is not there: whoever gets an image wants to know what is in it, and its licences want it told; hearth bake run makes it", s.Name+c)
		} else if err != nil {
			return nil, err
		}
		s.Files = append(s.Files, s.Name+c)
	}
	if report := s.Name + ".boot-test"; isDir(filepath.Join(s.Dir, report)) {
		s.Files = append(s.Files, report+"/boot-test.json")
	}
	slices.Sort(s.Files)
	return s, nil
}

func isDir(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.IsDir()
}

// To copies the set to a folder, which may have others, and writes sums and signature of all
// that the folder has then. Files of these names are replaced at the end, all or none that
// could not be read.
func (s *Set) To(ctx context.Context, dir string, key ssh.Signer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	sums, err := readSums(filepath.Join(dir, Sums))
	if err != nil {
		return err
	}
	for _, name := range s.Files {
		to := strings.ReplaceAll(name, "/", "-")
		if sums[to], err = copyTo(ctx, filepath.Join(s.Dir, name), filepath.Join(dir, to)); err != nil {
			return err
		}
	}
	text := sums.text()
	signed, err := Sign(key, Namespace, []byte(text))
	if err != nil {
		return err
	}
	return errors.Join(replace(filepath.Join(dir, Sums), []byte(text)), replace(filepath.Join(dir, Signature), signed))
}

// sums are those of a folder, in hexadecimal, by base name.
type sums map[string]string

// readSums reads SHA256SUMS as sha256sum(1) writes it; none is an empty one.
func readSums(file string) (sums, error) {
	all := sums{}
	b, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for l := range strings.Lines(string(b)) {
		sum, name, ok := strings.Cut(strings.TrimRight(l, "\n"), "  ")
		if !ok || len(sum) != 64 {
			return nil, fmt.Errorf("%s has a line that is no sum: %q", file, l)
		}
		all[name] = sum
	}
	return all, nil
}

func (s sums) text() string {
	var lines []string
	for name, sum := range s {
		lines = append(lines, sum+"  "+name+"\n")
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[66:], b[66:]) })
	return strings.Join(lines, "")
}

// copyTo copies a file and gives its sum.
func copyTo(ctx context.Context, from, to string) (string, error) {
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close()
	temp := to + ".new"
	if err := os.RemoveAll(temp); err != nil {
		return "", err
	}
	if err := disk.CopySparse(ctx, temp, in); err != nil {
		return "", err
	}
	sum, _, err := layer.Sum(temp)
	if err != nil {
		return "", err
	}
	return sum, errors.Join(os.Chmod(temp, 0o644), os.Rename(temp, to))
}

func replace(name string, data []byte) error {
	if err := os.WriteFile(name+".new", data, 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// Papers writes an archive, packed by gzip, of what belongs to the disk and is no image: manifest,
// bill of materials, sources, licences, what the boot test wrote, and more files, such as
// the lock, by their base names.
func (s *Set) Papers(w io.Writer, more ...string) error {
	packed := gzip.NewWriter(w)
	archive := tar.NewWriter(packed)
	files := more
	for _, c := range companions {
		files = append(files, filepath.Join(s.Dir, s.Name+c))
	}
	for _, name := range []string{"boot-test.json", "boot-test.xml", "console.log"} {
		if name = filepath.Join(s.Dir, s.Name+".boot-test", name); isFile(name) {
			files = append(files, name)
		}
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := archive.WriteHeader(&tar.Header{Name: s.Name + "/" + filepath.Base(name), Mode: 0o644, Size: int64(len(b))}); err != nil {
			return err
		}
		if _, err := archive.Write(b); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), packed.Close())
}

func isFile(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.Mode().IsRegular()
}
