package bake

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"hearth/internal/bake/layer"
)

// deb is one package in the cache.
type deb struct {
	name, file, sum string
	size            int64
	path            string
}

// fetch puts the newest versions of the named packages, as apt knows them, into
// the cache and gives their paths by name. Nothing is installed. A package that
// is in the cache with the right check sum is not fetched again.
func (o *oven) fetch(ctx context.Context, names ...string) (map[string]deb, error) {
	dir := filepath.Join(o.CacheDir, "packages")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	// In the cache folder itself apt would say nothing of what it finds there.
	out, err := command(ctx, o.work, nil, "apt-get", append([]string{"download", "--print-uris"}, names...)...)
	if err != nil {
		return nil, fmt.Errorf("ask apt for packages (apt-get update may help): %w", err)
	}
	debs, err := parseURIs(out, dir)
	if err != nil {
		return nil, err
	}
	var missing []string
	total := int64(0)
	for _, name := range names {
		d, ok := debs[name]
		if !ok {
			return nil, fmt.Errorf("apt does not know the package %s; run apt-get update", name)
		}
		o.packages = append(o.packages, strings.TrimSuffix(d.file, ".deb"))
		if sum, size, err := layer.Sum(d.path); err != nil || size != d.size || sum != d.sum {
			missing, total = append(missing, name), total+d.size
		}
	}
	if len(missing) == 0 {
		return debs, nil
	}
	return debs, o.download(ctx, dir, missing, debs, total)
}

func (o *oven) download(ctx context.Context, dir string, names []string, debs map[string]deb, total int64) error {
	over, err := o.turn(ctx)
	if err != nil {
		return err
	}
	defer over()
	done := o.steps.begin(fmt.Sprintf("fetch %d packages", len(names)), total)
	args := append([]string{"-q", "-o", "APT::Sandbox::User=root", "-o", "APT::Status-Fd=1", "download"}, names...)
	_, err = command(ctx, dir, func(line string) {
		// dlstatus:ITEM:PERCENT:TEXT
		if f := strings.SplitN(line, ":", 4); len(f) == 4 && f[0] == "dlstatus" {
			if p, err := strconv.ParseFloat(f[2], 64); err == nil {
				done.at(int64(p / 100 * float64(total)))
			}
		}
	}, "apt-get", args...)
	for _, name := range names {
		if err != nil {
			break
		}
		if sum, _, herr := layer.Sum(debs[name].path); herr != nil || sum != debs[name].sum {
			err = fmt.Errorf("the package %s arrived with a wrong check sum; run apt-get update and try again", name)
		}
	}
	return done.end(err)
}

// parseURIs reads lines 'URI' FILE SIZE SHA256:SUM of apt-get --print-uris.
func parseURIs(out, dir string) (map[string]deb, error) {
	debs := map[string]deb{}
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) != 4 || !strings.HasPrefix(f[0], "'") {
			continue
		}
		size, err := strconv.ParseInt(f[2], 10, 64)
		sum, ok := strings.CutPrefix(f[3], "SHA256:")
		if err != nil || !ok || strings.Contains(f[1], "/") {
			return nil, fmt.Errorf("apt printed a line that is not understood: %q", line)
		}
		name, _, _ := strings.Cut(f[1], "_")
		debs[name] = deb{name: name, file: f[1], sum: sum, size: size, path: filepath.Join(dir, f[1])}
	}
	return debs, nil
}

// Debian's packages that depend on its kernels: that for clouds, and that with all drivers.
const (
	cloudKernel    = "linux-image-cloud-amd64"
	ordinaryKernel = "linux-image-amd64"
)

// kernelPackage names the package that Debian's cloud kernel is in now.
func kernelPackage(ctx context.Context) (string, error) { return kernelPackageOf(ctx, cloudKernel) }

// kernelPackageOf names the package of a kernel that Debian's package depends on.
func kernelPackageOf(ctx context.Context, depends string) (string, error) {
	out, err := command(ctx, "/", nil, "apt-cache", "depends", "--no-recommends", "--no-suggests", depends)
	if err != nil {
		return "", fmt.Errorf("ask apt for the kernel (apt-get update may help): %w", err)
	}
	for line := range strings.Lines(out) {
		if _, name, ok := strings.Cut(line, "Depends: "); ok && strings.HasPrefix(name, "linux-image-") {
			return strings.TrimSpace(name), nil
		}
	}
	return "", fmt.Errorf("apt does not know %s; run apt-get update", depends)
}

// unpack reads the files of a package for which want is true. Keys are clean
// paths without a leading slash; symbolic links are followed within the package.
func unpack(ctx context.Context, d deb, want func(name string) bool) (map[string][]byte, error) {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", d.path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	files, links := map[string][]byte{}, map[string]string{}
	err = layer.EachFile(out, func(h *tar.Header, r io.Reader) error {
		name, link := path.Clean(h.Name), h.Typeflag == tar.TypeSymlink
		if !link && h.Typeflag != tar.TypeReg || !want(name) {
			return nil
		}
		if link {
			links[name] = path.Join(path.Dir(name), h.Linkname)
			return nil
		}
		var err error
		files[name], err = io.ReadAll(r)
		return err
	})
	_, _ = io.Copy(io.Discard, out)
	if werr := cmd.Wait(); werr != nil {
		return nil, fmt.Errorf("unpack %s: %w: %s", d.file, werr, strings.TrimSpace(stderr.String()))
	}
	for name, target := range links {
		if b, ok := files[target]; ok {
			files[name] = b
		}
	}
	return files, err
}

// reasons are the errors among what apt, or mmdebstrap by it, said: both end in lines that tell nothing.
// Without any they are the last lines.
func reasons(said string) string {
	var found []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if (strings.HasPrefix(line, "E: ") || strings.HasPrefix(line, "W: Failed to fetch ")) && !strings.HasPrefix(line, "E: mmdebstrap ") {
			found = append(found, line)
		}
	}
	if len(found) == 0 {
		return lastLines(said)
	}
	return strings.Join(found[:min(5, len(found))], "; ")
}

func lastLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "; ")
}
