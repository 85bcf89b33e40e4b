package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hearth/internal/disk"
	"hearth/internal/disk/convert"
	"hearth/internal/oci"
	"hearth/internal/openstack/glance"
)

// anywhere is all addresses: whoever sits at the command line may fetch from them.
const anywhere = "0.0.0.0/0,::/0"

// fromAnywhere fetches for whoever sits at the command line, by their own logins to registries.
func fromAnywhere() (*glance.Downloads, error) {
	web, err := glance.NewDownloads(anywhere)
	if err == nil {
		web.LogInBy(oci.UserLogins)
	}
	return web, err
}

// fromWeb tells whether a source is an address of the web.
func fromWeb(source string) bool {
	return strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://")
}

// ready settles what is made of a stream, and refuses what is there already, before anything is read.
func (c *conversion) ready() error {
	if err := c.settle(); err != nil || c.out == "-" || c.device {
		return err
	}
	return convert.Vacant(c.out, c.to)
}

// settle finds the name of what is made, where none was given.
func (c *conversion) settle() error {
	switch {
	case c.out == "-" && (c.to == "ami" || c.to == "dump"):
		return fmt.Errorf("--to %s makes several files, which standard output does not take", c.to)
	case c.device && c.out == "":
		return fmt.Errorf("--device: say with --out which one is written over")
	case c.out != "":
		return nil
	case c.source == "-":
		return fmt.Errorf("say with --out what file is made; - is standard output")
	}
	base := c.source
	if fromWeb(base) {
		if base = webName(base); base == "" {
			return fmt.Errorf("say with --out what file is made: the address has no name for it")
		}
	}
	c.out = convert.DefaultTarget(filepath.Base(base), c.to)
	return nil
}

// webName is the name of the file at an address; "" if it has none.
func webName(address string) string {
	u, err := url.Parse(address)
	if err != nil || path.Base(u.Path) == "/" || path.Base(u.Path) == "." {
		return ""
	}
	return path.Base(u.Path)
}

// connect opens a source that is a stream, and takes it. done lets all go.
func (c *conversion) connect(cmd *cobra.Command) (done func(), err error) {
	if !fromWeb(c.source) {
		return c.take(cmd, io.NopCloser(cmd.InOrStdin()), "source")
	}
	web, err := fromAnywhere()
	if err != nil {
		return nil, err
	}
	body, length, err := web.Open(cmd.Context(), c.source)
	if err != nil {
		return nil, err
	}
	c.length = length
	return c.take(cmd, body, cmp.Or(webName(c.source), "source"))
}

// take has a stream, which is closed at the end, be the source. One that is read by way of its
// files, or cut to size, is put into a file of this name, which is the source from then on.
// done lets all go.
func (c *conversion) take(cmd *cobra.Command, body io.ReadCloser, name string) (done func(), err error) {
	c.input, err = convert.NewStream(cmd.Context(), body)
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	done = func() { c.input.Close(); _ = body.Close() }
	if !c.input.HoldsFiles() && !c.shrink && c.to != "ami" && !slices.Contains(convert.TreeTargets(), c.to) {
		return done, nil
	}
	told := stepProgress(cmd.ErrOrStderr())
	c.input.Reader = disk.Told(c.input.Reader, func(n int64) { told("read "+name, n, max(0, c.length)) })
	file, remove, err := c.input.Spool(cmd.Context(), name)
	done()
	if err != nil {
		return nil, err
	}
	c.source, c.input = file, nil
	return remove, nil
}

// options says what is made of what; a stream is open.
func (c conversion) options(cmd *cobra.Command) (convert.Options, error) {
	name := filepath.Base(c.out)
	opt := convert.Options{Source: c.source, Target: c.out, Disk: c.number, Device: c.device, Format: disk.Format(c.to), Compress: c.compress}
	if c.out == "-" {
		if err := noTerminal(cmd.OutOrStdout()); err != nil {
			return opt, err
		}
		opt.Output, opt.Target, name = cmd.OutOrStdout(), "", "standard output"
	}
	opt.Progress = showProgress(cmd.ErrOrStderr(), name)
	if c.input != nil {
		opt.Source, opt.Input, opt.Length = "", c.input, c.length
	}
	return opt, nil
}

// noTerminal refuses to write an image where a person reads.
func noTerminal(w io.Writer) error {
	if out, ok := w.(*os.File); ok && term.IsTerminal(int(out.Fd())) {
		return errors.New("an image is not written to a terminal: send standard output to a file or a program")
	}
	return nil
}

// showProgress says every few seconds how far a long work is, at what rate, and when
// it ends.
func showProgress(w io.Writer, name string) func(convert.Progress) {
	told := time.Now()
	return func(p convert.Progress) {
		now := time.Now()
		if now.Sub(told) < 2*time.Second {
			return
		}
		told = now
		if p.Total > 0 {
			fmt.Fprintf(w, "  %s: %d %%, %d of %d MiB, %.1f MiB/s, %s left\n", name, 100*p.Done/p.Total, p.Done>>20, p.Total>>20, p.Rate/(1<<20), p.Left.Round(time.Second))
		} else {
			fmt.Fprintf(w, "  %s: %d MiB, %.1f MiB/s\n", name, p.Done>>20, p.Rate/(1<<20))
		}
	}
}
