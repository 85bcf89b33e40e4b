package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/cloud"
	"hearth/internal/config"
	"hearth/internal/disk"
	"hearth/internal/disk/convert"
	"hearth/internal/disk/deploy"
	"hearth/internal/disk/ganeti"
	"hearth/internal/disk/osdef"
	"hearth/internal/disk/workdir"
	"hearth/internal/openstack/glance"
)

// deployFlags is what 'hearth deploy' is told.
type deployFlags struct {
	definition, dir, osDir, variant string
	size                            sizeFlag
	script, oldName                 string
	memory                          int64
	set, nics                       []string
	asJSON                          bool
	export                          *ganeti.Export // what --image names, if it is a folder of gnt-backup's
	opt                             deploy.Options
}

// newDeploy is 'hearth deploy'.
func newDeploy(cfg *config.Config) *cobra.Command {
	f := &deployFlags{}
	cmd := &cobra.Command{
		Use: "deploy --disk DISK [--definition NAME|FILE] [--image FILE]", Short: "Put a tarball, a dump or a disk image onto a blank disk", Args: cobra.NoArgs,
		Long: "Put an image onto a blank disk, by a definition: partitions, file systems, boot loader, fstab,\n" +
			"serial console, overlay and hooks, as ganeti-instance-image does, without root, loop devices or\n" +
			"mounts. What the image is, its bytes tell. The disk is a raw file, which is made, or a block device.\n\n" +
			"  hearth deploy --definition default --image debian-12-x86_64.tar.gz --disk web1.raw --size 10G --memory 512 --instance-name web1\n" +
			"  hearth deploy --os-dir /usr/share/ganeti/os/debootstrap --disk web1.raw --size 10G --instance-name web1",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.fits(cmd.Flags().Changed); err != nil {
				return err
			}
			if err := f.settle(cfg); err != nil {
				return err
			}
			f.opt.Log = cmd.ErrOrStderr()
			f.opt.Progress = stepProgress(cmd.ErrOrStderr())
			f.opt.Fetch = toldFetch(f.opt.Progress)
			if f.osDir != "" {
				return f.foreign(cmd)
			}
			return f.deploy(cmd)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.definition, "definition", "", "a definition kept by 'hearth os-def', NAME or NAME@VERSION, or a file of one or of settings (default: ganeti-instance-image's defaults)")
	fl.StringVar(&f.dir, "dir", "", "folder of the definitions (default: in the data directory)")
	fl.StringVar(&f.opt.Image, "image", "", "tarball, dump or disk image, or a folder of 'gnt-backup export' (default: the one that the definition names)")
	fl.StringVar(&f.opt.Target, "disk", "", "the disk: a raw file or a block device")
	f.size.unit = 1
	fl.Var(&f.size, "size", "size of a new file: 10G, 512M")
	fl.BoolVar(&f.opt.Overwrite, "overwrite", false, "what is on the disk may go")
	fl.StringVar(&f.opt.Name, "instance-name", "", "name of the instance, short or in full")
	fl.Int64Var(&f.memory, "memory", 0, "memory of the instance in MB, which is the default of SWAP_SIZE")
	fl.StringVar(&f.opt.KernelPath, "kernel-path", "", "the kernel lies outside of the disk, here: no /boot partition is made")
	fl.BoolVar(&f.opt.Serial, "serial", true, "boot loader, kernel and a login speak on the serial line")
	fl.StringArrayVar(&f.set, "set", nil, "SETTING=VALUE over the definition's; may be repeated")
	fl.StringArrayVar(&f.nics, "nic", nil, "MAC address of a network card, for hooks; may be repeated")
	fl.StringVar(&f.osDir, "os-dir", "", "run the create script of a definition of Ganeti's in this folder in place of all this; --set are its parameters")
	fl.StringVar(&f.variant, "variant", "", "variant of --os-dir (default: the first of its list)")
	fl.StringVar(&f.script, "script", "create", "script of --os-dir: create, import (reads standard input), export (writes standard output), rename or verify")
	fl.StringVar(&f.oldName, "old-name", "", "name that an instance of --os-dir had before --script rename")
	fl.BoolVar(&f.opt.Debug, "debug", false, "tell each step, what is done in it and how long it took")
	fl.BoolVar(&f.asJSON, "json", false, "report as JSON")
	_ = cmd.MarkFlagRequired("disk")
	return cmd
}

// deploy deploys; a folder of gnt-backup's is unpacked beside the disk before.
func (f *deployFlags) deploy(cmd *cobra.Command) error {
	if f.export != nil {
		dir, remove, err := workdir.Temp(filepath.Dir(f.opt.Target), ".hearth-import-")
		if err != nil {
			return err
		}
		defer remove()
		if f.opt.Image, err = f.export.Unpack(cmd.Context(), 0, dir); err != nil {
			return err
		}
		if n := len(f.export.Disks); n > 1 {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: the export has %d disks; the first is deployed\n", n)
		}
	}
	r, err := (&deploy.Deployer{Run: imageRunner(24 * time.Hour)}).Deploy(cmd.Context(), f.opt)
	if err != nil {
		return err
	}
	if f.asJSON {
		return printJSON(cmd.OutOrStdout(), r)
	}
	printDeployed(cmd, r, f.opt.Target)
	return nil
}

// exported reads what a folder of gnt-backup's says of its instance, where the flags
// do not say it.
func (f *deployFlags) exported() (err error) {
	if f.opt.Image == "" || !ganeti.IsExport(f.opt.Image) {
		if st, err := os.Stat(f.opt.Image); err == nil && st.IsDir() {
			return fmt.Errorf("%s is a folder without config.ini, no export of 'gnt-backup': name a file, or such a folder", f.opt.Image)
		}
		return nil
	}
	if f.export, err = ganeti.ReadExport(f.opt.Image); err != nil {
		return err
	}
	if f.opt.Name == "" {
		f.opt.Name = f.export.Instance
	}
	if f.memory == 0 {
		f.memory = f.export.Memory >> 20
	}
	if f.size.bytes == 0 {
		f.size.bytes = f.export.Disks[0].Size
	}
	if len(f.nics) == 0 {
		f.nics = f.export.MACs
	}
	return nil
}

// fetchImage opens an address for a definition's IMAGE_URL.
func fetchImage(ctx context.Context, address string) (io.ReadCloser, error) {
	body, _, err := openImage(ctx, address)
	return body, err
}

// openImage opens an address and tells its length, 0 if it is not known.
func openImage(ctx context.Context, address string) (io.ReadCloser, int64, error) {
	if name, ok := strings.CutPrefix(address, "file://"); ok {
		f, err := os.Open(name)
		return f, 0, err
	}
	return openWeb(ctx, address, glance.StallTime)
}

// openWeb opens an address of the web, of which a server that is silent for longer than patience is given up.
func openWeb(ctx context.Context, address string, patience time.Duration) (io.ReadCloser, int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		cancel(nil)
		return nil, 0, err
	}
	late := time.AfterFunc(patience, func() { cancel(fmt.Errorf("the server did not answer for %s", patience)) })
	resp, err := http.DefaultClient.Do(req) //nolint:bodyclose // Steady does
	if err != nil {
		err = cmp.Or(context.Cause(ctx), err)
		cancel(nil)
		return nil, 0, err
	}
	late.Stop()
	body := glance.Steady(ctx, cancel, resp.Body, patience)
	if resp.StatusCode == http.StatusOK {
		return body, max(0, resp.ContentLength), nil
	}
	body.Close()
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
		return nil, 0, fmt.Errorf("the server answers %s: %w", resp.Status, fs.ErrNotExist)
	}
	return nil, 0, fmt.Errorf("the server answers %s", resp.Status)
}

// stepProgress shows how far each of several long steps is, as showProgress does with one.
func stepProgress(w io.Writer) func(step string, done, total int64) {
	var last string
	var tell func(done int64)
	return func(step string, done, total int64) {
		if step != last {
			last, tell = step, convert.Meter(showProgress(w, step), total, time.Now)
		}
		tell(done)
	}
}

// toldFetch is fetchImage with its progress.
func toldFetch(progress func(step string, done, total int64)) deploy.Fetch {
	return func(ctx context.Context, address string) (io.ReadCloser, error) {
		body, length, err := openImage(ctx, address)
		if err != nil {
			return nil, err
		}
		told := disk.Told(body, func(n int64) { progress("fetch "+path.Base(address), n, length) })
		return struct {
			io.Reader
			io.Closer
		}{told, body}, nil
	}
}

// settle makes options of the flags.
func (f *deployFlags) settle(cfg *config.Config) (err error) {
	o := &f.opt
	if err := f.exported(); err != nil {
		return err
	}
	o.Size = f.size.bytes
	o.Memory, o.Settings = f.memory<<20, map[string]string{}
	for _, s := range f.set {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("--set %s: want SETTING=VALUE", s)
		}
		o.Settings[name] = value
	}
	for i, mac := range f.nics {
		o.Environ = append(o.Environ, fmt.Sprintf("NIC_%d_MAC=%s", i, mac))
	}
	target, err := filepath.Abs(o.Target) // a hook runs elsewhere
	if err != nil {
		return err
	}
	o.Environ = append(o.Environ, fmt.Sprintf("NIC_COUNT=%d", len(f.nics)), "DISK_COUNT=1", "DISK_0_PATH="+target, "DISK_0_ACCESS=rw", fmt.Sprintf("INSTANCE_BE_maxmem=%d", f.memory))
	dir := osdef.Dir(f.dir)
	if dir == "" {
		dir = osdef.Dir(cfg.Paths().OSDefs())
	}
	o.Overlay = dir.Overlay
	switch {
	case f.definition == "":
	case strings.ContainsAny(f.definition, "/") || strings.HasSuffix(f.definition, ".yaml") || strings.HasSuffix(f.definition, ".json"):
		o.Definition, err = osdef.Read(f.definition)
	default:
		o.Definition, err = dir.Get(f.definition)
	}
	return err
}

// foreign runs a definition of Ganeti's.
func (f *deployFlags) foreign(cmd *cobra.Command) error {
	path, err := filepath.Abs(f.opt.Target)
	if err != nil {
		return err
	}
	if f.osDir, err = filepath.Abs(f.osDir); err != nil {
		return err
	}
	def := &ganeti.Foreign{Dir: f.osDir, Variant: f.variant, Name: f.opt.Name, Disks: []string{path}, Memory: f.opt.Memory, NICs: f.nics, Kernel: f.opt.KernelPath, Serial: f.opt.Serial,
		Settings: f.opt.Settings, UUID: cloud.NewID(), OldName: f.oldName, Debug: f.opt.Debug, Log: cmd.ErrOrStderr()}
	if err := def.Check(f.script); err != nil {
		return err
	}
	made, err := f.disk(path)
	if err != nil {
		return err
	}
	switch f.script {
	case "import":
		def.In = cmd.InOrStdin()
	case "export":
		def.Out = cmd.OutOrStdout()
	}
	err = def.Run(cmd.Context(), "verify")
	if err == nil && f.script != "verify" {
		err = def.Run(cmd.Context(), f.script)
	}
	if err != nil && made {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// disk sees to the disk of a foreign definition: create and import want one with nothing on it, which is made if
// it lacks, and the others one that is there.
func (f *deployFlags) disk(path string) (made bool, err error) {
	writes := f.script == "create" || f.script == "import"
	switch _, err := os.Stat(path); {
	case err == nil && writes && !f.opt.Overwrite:
		return false, deploy.Blank(path)
	case !errors.Is(err, os.ErrNotExist):
		return false, err
	case !writes:
		return false, fmt.Errorf("%s is not there: the script %s is for the disk of an instance", path, f.script)
	case f.opt.Size == 0:
		return false, fmt.Errorf("%s is not there: say with --size how large it is to be", path)
	}
	return true, errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, f.opt.Size))
}

// fits refuses flags that would mean nothing: those of --os-dir without it, and with it those of Hearth's own
// deployment.
func (f *deployFlags) fits(changed func(string) bool) error {
	for _, name := range []string{"script", "variant", "old-name"} {
		if changed(name) && f.osDir == "" {
			return fmt.Errorf("--%s goes with --os-dir, the folder of a definition of Ganeti's", name)
		}
	}
	for _, name := range []string{"image", "definition", "json"} {
		if changed(name) && f.osDir != "" {
			return fmt.Errorf("--%s means nothing with --os-dir, whose scripts do all", name)
		}
	}
	if f.memory < 0 {
		return fmt.Errorf("--memory %d: it is a number of MB", f.memory)
	}
	if f.opt.Name != "" && !isHostName(f.opt.Name) {
		return fmt.Errorf("--instance-name %q is no name of a host: letters, digits, hyphens and dots", f.opt.Name)
	}
	return nil
}

// hostName is one or more labels, as RFC 1123 has them; underscores are seen in the wild.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*$`)

func isHostName(name string) bool { return len(name) <= 253 && hostName.MatchString(name) }

func printDeployed(cmd *cobra.Command, r *deploy.Report, target string) {
	w := cmd.OutOrStdout()
	what := "nothing is on it"
	if r.Image != "" {
		what = filepath.Base(r.Image) + " of type " + r.Type
	}
	fmt.Fprintf(w, "%s: %s, %d MB\n", target, what, r.Size>>20)
	for _, p := range r.Partitions {
		fmt.Fprintf(w, "  %d  %6d MB  %-8s %-5s %s\n", p.Number, p.Size>>20, p.Mount, p.FileSystem, p.UUID)
	}
	if r.CommandLine != "" {
		fmt.Fprintf(w, "  kernel: %s\n", r.CommandLine)
	}
	for _, k := range r.HostKeys {
		fmt.Fprintf(w, "  host key %s\n", k)
	}
	for _, h := range r.Hooks {
		fmt.Fprintf(w, "  hook %s\n", h)
	}
	for _, text := range r.Warnings {
		fmt.Fprintf(w, "warning: %s\n", text)
	}
}

// ganetiScript answers a script that Ganeti started.
func ganetiScript(ctx context.Context, places ganeti.Places, script string) error {
	env, err := ganeti.ParseEnv(os.Environ())
	if err != nil {
		return err
	}
	return (&ganeti.Answer{Run: imageRunner(24 * time.Hour), Env: env, Places: places, Fetch: fetchImage, In: os.Stdin, Out: os.Stdout, Log: os.Stderr}).Do(ctx, script)
}
