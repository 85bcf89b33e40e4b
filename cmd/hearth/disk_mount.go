package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/disk"
	"hearth/internal/disk/mount"
)

// newDisk is 'hearth disk'.
func newDisk(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "disk", Short: "Look at the disks of servers, and change them"}
	cmd.AddCommand(newDiskMount(cfg), newDiskReplace(cfg))
	return cmd
}

// diskMount is one 'hearth disk mount'.
type diskMount struct {
	at       reach
	server   string
	dir      string
	opt      mount.Options
	out, say io.Writer
}

// newDiskMount is 'hearth disk mount'.
func newDiskMount(cfg *config.Config) *cobra.Command {
	var m diskMount
	cmd := &cobra.Command{
		Use: "mount SERVER [DIR]", Short: "Show the files of a server's disk in a folder, until it is interrupted", Args: cobra.RangeArgs(1, 2),
		Long: "Show the files of a server's disk in a folder, for reading, as any user of its project, wherever the server is: as\n" +
			"they are now, in a copy. Of a stopped server that is its disk; of one that runs, what it would find\n" +
			"after a power cut, with the journal replayed. The copy is an image that the cloud makes and that is\n" +
			"fetched into the folder for temporary files (TMPDIR), and removed from the cloud then. Without DIR\n" +
			"a folder SERVER_root is made there. Needs what 'hearth image mount' needs. 'mount-disks SERVER' is the\n" +
			"same at /tmp/SERVER_root, without waiting there, and 'umount-disks SERVER' its end: see 'hearth old-names'.\n\n" +
			"With --rw files can be changed, of a server that is off, and stays so: it is locked meanwhile. When the\n" +
			"folder is unmounted, what was changed is put back: the server boots from it from then on, and all else of\n" +
			"it is as it was. If that is not possible, the changed disk is kept, and where is said.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			m.server, m.out, m.say = args[0], cmd.OutOrStdout(), cmd.ErrOrStderr()
			m.dir, m.opt.Tell = filepath.Join(os.TempDir(), filepath.Base(args[0])+"_root"), tellOn(m.say)
			if len(args) > 1 {
				m.dir = args[1]
			} else if err := os.Mkdir(m.dir, 0o700); err != nil {
				return err
			} else {
				defer func() { err = errors.Join(err, os.Remove(m.dir)) }()
			}
			if err := mount.Possible(m.dir); err != nil { // before a disk is copied
				return err
			}
			if m.at, err = reachCloud(ctx, cfg); err != nil {
				return err
			}
			if !m.opt.Write {
				return m.show(ctx)
			}
			return m.change(ctx)
		},
	}
	cmd.Flags().IntVar(&m.opt.Partition, "partition", 0, "number of the only partition to show (default: the root file system and what belongs to it)")
	cmd.Flags().BoolVar(&m.opt.Write, "rw", false, "let files be changed, of a server that is off")
	return cmd
}

// show shows the disk for reading.
func (m *diskMount) show(ctx context.Context) error {
	work, err := os.MkdirTemp("", "hearth-disk-mount-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	copied := filepath.Join(work, "disk")
	if err := m.at.fetch(ctx, m.server, copied, true, m.say); err != nil {
		return err
	}
	_, err = m.serve(ctx, copied)
	return err
}

// serve shows a copy of the disk until that is ended, and tells whether it was changed.
func (m *diskMount) serve(ctx context.Context, copied string) (changed bool, err error) {
	m.opt.Image = copied
	image, err := mount.Open(ctx, &disk.Runner{}, m.opt)
	if err != nil {
		return false, err
	}
	err = image.Serve(ctx, m.dir, func() {
		fmt.Fprintf(m.out, "the disk of %s is at %s; 'hearth image umount %s' or an interrupt ends it\n", m.server, m.dir, m.dir)
	})
	if err == nil {
		fmt.Fprintln(m.say, unmountedLine)
	}
	return image.Changed(), errors.Join(err, image.Close())
}

// unmountedLine is what is said when the files are shown no longer, of which umount-disks
// learns that nobody killed the process.
const unmountedLine = "  the files are unmounted"

// change shows the disk of a server that is off, and puts back what was changed.
func (m *diskMount) change(ctx context.Context) (err error) {
	server, err := serverNamed(ctx, m.at.nova, m.server)
	if err != nil {
		return err
	}
	if server.Status != "SHUTOFF" {
		return fmt.Errorf("server %s is %s: its guest writes to its disk, and two writers would break it: 'openstack server stop %s' first, or mount it without --rw, for reading", server.Name, server.Status, server.Name)
	}
	work, err := os.MkdirTemp("", "hearth-disk-mount-")
	if err != nil {
		return err
	}
	keep := false
	defer func() {
		if !keep {
			err = errors.Join(err, os.RemoveAll(work))
		}
	}()
	locked, err := m.at.lock(ctx, server, "its disk is mounted to be changed by 'hearth disk mount --rw'")
	if err != nil {
		return err
	}
	always := context.WithoutCancel(ctx)
	defer func() { err = errors.Join(err, locked.open(always)) }()
	copied := filepath.Join(work, "disk")
	fmt.Fprintf(m.say, "  server %s is locked; its disk is copied to %s, to be put back\n", server.Name, copied)
	if err := m.at.fetch(ctx, server.ID, copied, false, m.say); err != nil {
		return err
	}
	changed, err := m.serve(ctx, copied)
	if !changed {
		return err
	}
	keep = true
	fmt.Fprintf(m.say, "  the changed disk is %s until it is put back\n", copied)
	if err == nil {
		back, end := signal.NotifyContext(always, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP) // a second one
		defer end()
		err = m.putBack(back, server, locked, copied)
	}
	if keep = err != nil; keep {
		return fmt.Errorf("%w\nThe changed disk is kept: %s. 'hearth disk replace %s %s' puts it into the server", err, copied, server.Name, copied)
	}
	fmt.Fprintf(m.say, "  server %s has its changed disk\n", server.Name)
	return nil
}

// putBack gives the server the changed disk, if nobody used it meanwhile.
func (m *diskMount) putBack(ctx context.Context, server *servers.Server, locked *serverLock, copied string) error {
	if err := locked.open(ctx); err != nil { // or its owner could not change it either
		return err
	}
	return m.at.replaceDisk(ctx, server, copied, locked.request, m.say)
}
