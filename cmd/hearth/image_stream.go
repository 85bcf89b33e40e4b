package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

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

// settle finds the name of what is made, where none was given.
func (c *conversion) settle() error {
	streams := c.source == "-" || fromWeb(c.source) || c.out == "-"
	switch {
	case streams && c.to == "ami":
		return fmt.Errorf("--to %s needs files to read and to write, not a stream", c.to)
	case c.device && c.out == "":
		return fmt.Errorf("--device: say with --out which one is written over")
	case c.out != "":
		return nil
	case c.source == "-":
		return fmt.Errorf("say with --out what file is made; - is standard output")
	}
	base := c.source
	if fromWeb(base) {
		u, err := url.Parse(base)
		if err != nil || path.Base(u.Path) == "/" || path.Base(u.Path) == "." {
			return fmt.Errorf("say with --out what file is made: the address has no name for it")
		}
		base = path.Base(u.Path)
	}
	c.out = strings.TrimSuffix(base, filepath.Ext(base))
	if c.to != "ami" {
		c.out += "." + c.to
	}
	return nil
}

// options opens what is streamed. stop lets it go.
func (c conversion) options(cmd *cobra.Command) (opt convert.Options, stop func(), err error) {
	name := filepath.Base(c.out)
	opt = convert.Options{Source: c.source, Target: c.out, Disk: c.number, Device: c.device, Format: disk.Format(c.to), Compress: c.compress}
	stop = func() {}
	if c.out == "-" {
		opt.Output, opt.Target, name = cmd.OutOrStdout(), "", "standard output"
		if out, ok := opt.Output.(*os.File); ok && isTerminal(out) {
			return opt, stop, fmt.Errorf("an image is not written to a terminal: send standard output to a file or a program")
		}
	}
	opt.Progress = showProgress(cmd.ErrOrStderr(), name)
	switch {
	case c.source == "-":
		opt.Source, opt.Input = "", cmd.InOrStdin()
	case fromWeb(c.source):
		web, err := fromAnywhere()
		if err != nil {
			return opt, stop, err
		}
		body, length, err := web.Open(cmd.Context(), c.source)
		if err != nil {
			return opt, stop, err
		}
		opt.Source, opt.Input, opt.Length = "", body, length
		stop = func() { _ = body.Close() }
	}
	return opt, stop, nil
}

// isTerminal tells whether a person reads what is written.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
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
