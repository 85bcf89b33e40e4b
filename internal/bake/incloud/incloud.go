// Package incloud has a recipe baked by a Hearth inside another machine, a builder, which
// is reached by ssh. The builder gets this Hearth's own binary, the folder of the recipe, and
// a volume that outlives it, where layers, packages and large inputs stay for the next bake.
// It gets no password and no token of the cloud: what it made is fetched from it.
//
// The volume: inputs/SHA256 are large files and binaries by their sums, bake is the cache of
// hearth bake, run is the bake that is under way.
package incloud

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"

	"hearth/internal/bake"
)

// Mount is where a builder has the volume.
const Mount = "/var/cache/hearth-bake"

// Job is one bake.
type Job struct {
	Hearth string    // file of the binary that the builder runs: static, for its kind of processor
	Name   string    // of the recipe, which the names of the images begin with
	Dir    string    // the recipe's folder, absolute; it is sent whole
	Recipe string    // its name in Dir; "." for a folder that is one as a whole
	Base   string    // archive or image in place of the recipe's base; "" for none
	OutDir string    // where the images go; made if it lacks
	Flags  []string  // more of them for hearth bake run
	Volume string    // the cache's serial number, as the builder's kernel shows it, or its beginning
	Tell   io.Writer // is told what the builder says, as it says it
}

// Builder is a machine that bakes.
type Builder struct {
	Client *ssh.Client
	Root   []string // the words before a command that make it root's; none for root
	Dir    string   // "": Mount
}

// Bake runs the job to its end, and leaves the volume as it may be taken away. Names of
// files in the result are those of this machine.
func (b *Builder) Bake(ctx context.Context, j Job) (*bake.RunResult, error) {
	if err := b.mount(ctx, j.Volume); err != nil {
		return nil, fmt.Errorf("the builder's cache: %w", err)
	}
	binary, err := b.send(ctx, j)
	if err != nil {
		return nil, fmt.Errorf("send the recipe to the builder: %w", err)
	}
	res, err := b.run(ctx, j, binary)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx) // the bake still has its files open
	}
	if err != nil {
		return nil, errors.Join(err, b.leave(ctx))
	}
	if err := b.fetch(ctx, j); err != nil {
		return nil, fmt.Errorf("fetch the images from the builder: %w", err)
	}
	b.home(j, res)
	return res, b.leave(ctx)
}

func (b *Builder) dir() string {
	if b.Dir != "" {
		return b.Dir
	}
	return Mount
}

// mountScript: $1 is the folder, $2 the volume's serial number. A disk that has anything on it
// but ext4 is not touched. Virtio tells the first twenty characters of a serial number.
const mountScript = `mkdir -p "$1"
if [ -n "$2" ] && ! mountpoint -q "$1"; then
	dev=
	for d in /sys/block/*; do
		s=$(cat "$d/serial" 2>/dev/null || true)
		[ -z "$s" ] || case $2 in "$s"*) dev=/dev/${d##*/} ;; esac
	done
	[ -n "$dev" ] || dev=$(readlink -e "$(ls -d /dev/disk/by-id/*"$2" 2>/dev/null | head -n 1)" || true)
	[ -n "$dev" ] || { echo "no disk has the serial number $2" >&2; exit 1; }
	has=$(blkid -p -o value -s TYPE -s PTTYPE "$dev" || true)
	case $has in
	'') mke2fs -q -t ext4 -m 0 -L hearth-bake "$dev" ;;
	ext4) ;;
	*) echo "the volume has $has on it, which no bake has left there: name another" >&2; exit 1 ;;
	esac
	mount -o noatime "$dev" "$1"
	for d in /var/lib/apt/lists /var/cache/apt; do # what apt knows of its mirrors stays too
		[ -d "$d" ] || continue
		mkdir -p "$1/apt$d"; mount --bind "$1/apt$d" "$d"
	done
	mkdir -p /var/lib/apt/lists/partial /var/cache/apt/archives/partial
fi
rm -rf "$1/run"
mkdir -p "$1/inputs" "$1/bake" "$1/run/recipe" "$1/run/out" "$1/run/tmp"
`

func (b *Builder) mount(ctx context.Context, serial string) error {
	return b.do(ctx, streams{}, mountScript, b.dir(), serial)
}

// leave has all written down and takes the volume off.
func (b *Builder) leave(ctx context.Context) error {
	return b.do(ctx, streams{}, `rm -rf "$1/run"; sync; for d in /var/lib/apt/lists /var/cache/apt "$1"; do ! mountpoint -q "$d" || umount "$d"; done`, b.dir())
}

// runScript: $1 is the folder, $2 the recipe, $3 the binary; the rest are flags.
const runScript = `dir=$1; recipe=$2; hearth=$3; shift 3
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TMPDIR="$dir/run/tmp" HOME=/root LC_ALL=C
if mountpoint -q /var/lib/apt/lists && [ -z "$(find /var/lib/apt/lists -name '*_Packages*' -mmin -1440)" ]; then
	apt-get -q -o APT::Sandbox::User=root update >&2
fi
cd "$dir/run/recipe"
exec "$hearth" bake run "$recipe" -o "$dir/run/out" --cache "$dir/bake" --boot-test=false --json "$@"
`

// maxResult bounds what a builder may say of its result, bytes.
const maxResult = 8 << 20

func (b *Builder) run(ctx context.Context, j Job, binary string) (*bake.RunResult, error) {
	args := append([]string{b.dir(), j.Recipe, binary}, j.Flags...)
	if j.Base != "" {
		args = append(args, "--base", path.Join(b.dir(), "run", filepath.Base(j.Base)))
	}
	said := &bounded{most: maxResult}
	if err := b.do(ctx, streams{out: said, errs: j.Tell}, runScript, args...); err != nil {
		return nil, fmt.Errorf("the bake in the builder: %w", err)
	}
	res := &bake.RunResult{}
	if err := json.Unmarshal(said.Bytes(), res); err != nil {
		return nil, fmt.Errorf("the builder's result is not understood: %w", err)
	}
	return res, nil
}

// home gives the files of a result the names that they have here.
func (b *Builder) home(j Job, res *bake.RunResult) {
	for _, name := range []*string{&res.Disk, &res.RawDisk, &res.Kernel, &res.Ramdisk, &res.Root, &res.Manifest, &res.Archive, &res.SBOM, &res.Sources, &res.Licence} {
		if *name != "" {
			*name = filepath.Join(j.OutDir, path.Base(*name))
		}
	}
	if res.Lock != "" {
		res.Lock = filepath.Join(j.Dir, path.Base(res.Lock))
	}
}

// streams are those of a command.
type streams struct {
	in   io.Reader
	out  io.Writer
	errs io.Writer
}

// do runs a script as root. What it says of an error is in the error, unless errs takes it.
func (b *Builder) do(ctx context.Context, s streams, script string, args ...string) error {
	session, err := b.Client.NewSession()
	if err != nil {
		return err
	}
	defer session.Close()
	stop := context.AfterFunc(ctx, func() { session.Close() })
	defer stop()
	said := &bounded{most: 64 << 10}
	session.Stdin, session.Stdout, session.Stderr = s.in, s.out, said
	if s.errs != nil {
		session.Stderr = s.errs
	}
	words := append(append([]string{}, b.Root...), "sh", "-ec", script, "sh")
	err = session.Run(quoted(append(words, args...)))
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil && said.Len() > 0:
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(said.String()))
	}
	return err
}

// quoted makes one line of words that a shell takes apart into the same ones.
func quoted(words []string) string {
	var list []string
	for _, w := range words {
		list = append(list, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	return strings.Join(list, " ")
}

// bounded keeps the beginning of what is written to it.
type bounded struct {
	bytes.Buffer
	most int
}

// Write takes all, and keeps what fits.
func (w *bounded) Write(p []byte) (int, error) {
	w.Buffer.Write(p[:max(0, min(len(p), w.most-w.Len()))])
	return len(p), nil
}
