package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"hearth/internal/config"
	"hearth/internal/disk"
	"hearth/internal/disk/osdef"
)

// newOSDef is 'hearth os-def'.
func newOSDef(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "os-def", Short: "Keep definitions of how instances are deployed, with their history"}
	var dir, project string
	cmd.PersistentFlags().StringVar(&project, "project", "", "in the cloud: of the servers of this project alone, by its id or name (default: of all)")
	cmd.PersistentFlags().StringVar(&dir, "dir", "", "folder of the definitions (default: in the data directory)")
	cmd.Long = "Keep definitions of how instances are deployed, with their history: in the cloud that the OS_\n" +
		"variables name, for servers that are made by them, else in a folder, for 'hearth deploy'.\n\n" +
		"  hearth os-def import --base /etc/default/ganeti-instance-image variants/*.conf\n" +
		"  openstack server create --property hearth:os_definition=web --property hearth:os:FILESYSTEM=ext4 …"
	local := func() osdef.Dir {
		if dir == "" {
			return osdef.Dir(cfg.Paths().OSDefs())
		}
		return osdef.Dir(dir)
	}
	in := func(ctx context.Context) (definitions, error) {
		if dir != "" || os.Getenv("OS_AUTH_URL") == "" && os.Getenv("OS_CLOUD") == "" {
			if project != "" {
				return nil, errors.New("--project is for definitions in a cloud: name one by OS_CLOUD or the OS_ variables, and leave --dir out")
			}
			return folderOf{local()}, nil
		}
		return cloudDefinitions(ctx, cfg, project)
	}
	cmd.AddCommand(newOSDefImport(in), newOSDefShow(in), newOSDefList(in), newOSDefDiff(in), newOSDefHistory(in), newOSDefOverlay(local, in), newOSDefPush(in))
	return cmd
}

// definitions is where they are kept.
type definitions interface {
	Put(d *osdef.Definition) (*osdef.Definition, error)
	Get(ref string) (*osdef.Definition, error)
	List() ([]*osdef.Definition, error)
	// History lists all versions of one, the oldest first, with who made it when,
	// where that is known.
	History(name string) ([][]string, error)
}

type within func(ctx context.Context) (definitions, error)

// folderOf keeps them in a folder.
type folderOf struct{ osdef.Dir }

// History implements definitions.
func (f folderOf) History(name string) (rows [][]string, err error) {
	versions, err := f.Versions(name)
	for _, v := range versions {
		rows = append(rows, []string{fmt.Sprintf("%s@%d", name, v), "", ""})
	}
	if err == nil && len(rows) == 0 {
		_, err = f.Get(name)
	}
	return rows, err
}

func newOSDefHistory(in within) *cobra.Command {
	return &cobra.Command{
		Use: "history NAME", Short: "List the versions of a definition", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			kept, err := in(cmd.Context())
			if err != nil {
				return err
			}
			rows, err := kept.History(args[0])
			if err != nil {
				return err
			}
			return columns(cmd.OutOrStdout(), "Definition Made By", rows)
		},
	}
}

func newOSDefImport(in within) *cobra.Command {
	var name, base string
	cmd := &cobra.Command{
		Use: "import FILE…", Short: "Take settings of ganeti-instance-image, or definitions in YAML or JSON, as definitions", Args: cobra.MinimumNArgs(1),
		Long: "Take files as definitions, each as the next version of its name. A file of settings is read, not\n" +
			"run: /etc/default/ganeti-instance-image becomes the definition 'default', variants/web.conf the\n" +
			"definition 'web', over the settings of --base.\n\n" +
			"  hearth os-def import --base /etc/default/ganeti-instance-image /etc/ganeti/instance-image/variants/*.conf",
		RunE: func(cmd *cobra.Command, args []string) error {
			if name != "" && len(args) > 1 {
				return fmt.Errorf("--name is for one file")
			}
			var under []string
			if base != "" {
				b, err := readSettings(base)
				if err != nil {
					return err
				}
				under = append(under, b)
			}
			kept, err := in(cmd.Context())
			if err != nil {
				return err
			}
			var all []*osdef.Definition
			for _, path := range args {
				d, err := readDefinition(path, under)
				if err != nil {
					return err
				}
				if name != "" {
					d.Name = name
				}
				all = append(all, d)
			}
			for _, d := range all {
				made, err := kept.Put(d)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s@%d\n", made.Name, made.Version)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the definition (default: the file's)")
	cmd.Flags().StringVar(&base, "base", "", "file of settings that those of FILE lie over")
	return cmd
}

// readSettings reads a small text file, or what comes from a pipe.
func readSettings(path string) (string, error) {
	b, err := disk.ReadText(path, 1<<20)
	return string(b), err
}

// readDefinition reads a definition, or settings over others.
func readDefinition(path string, under []string) (*osdef.Definition, error) {
	for _, end := range []string{".yaml", ".yml", ".json"} {
		if strings.HasSuffix(path, end) {
			return osdef.Read(path)
		}
	}
	text, err := readSettings(path)
	if err != nil {
		return nil, err
	}
	d, err := osdef.Import(osdef.NameOf(path), append(under, text)...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

func newOSDefShow(in within) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "show NAME[@VERSION]", Short: "Show a definition with all its settings and defaults", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			kept, err := in(cmd.Context())
			if err != nil {
				return err
			}
			d, err := kept.Get(args[0])
			if err != nil {
				return err
			}
			switch format {
			case "json":
				return printJSON(cmd.OutOrStdout(), d.Full())
			case "yaml":
				return yaml.NewEncoder(cmd.OutOrStdout()).Encode(d.Full())
			case "shell":
				_, err := io.WriteString(cmd.OutOrStdout(), osdef.Shell(d.List(true)))
				return err
			}
			return fmt.Errorf("--format %s: it is yaml, json or shell", format)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "yaml", "yaml, json, or shell for ganeti-instance-image itself")
	return cmd
}

func newOSDefList(in within) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the definitions, each with its newest version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			kept, err := in(cmd.Context())
			if err != nil {
				return err
			}
			all, err := kept.List()
			if err != nil {
				return err
			}
			var rows [][]string
			for _, d := range all {
				full := d.Full()
				if d.Foreign != nil {
					full.Settings["IMAGE_TYPE"] = "foreign"
				}
				rows = append(rows, []string{d.Name, fmt.Sprint(d.Version), full.Settings["IMAGE_TYPE"], full.Settings["IMAGE_NAME"], full.Settings["FILESYSTEM"], full.Settings["OVERLAY"]})
			}
			return columns(cmd.OutOrStdout(), "Name Version Type Image Filesystem Overlay", rows)
		},
	}
}

func newOSDefDiff(in within) *cobra.Command {
	return &cobra.Command{
		Use: "diff NAME[@VERSION] [NAME[@VERSION]]", Short: "Show what differs between two definitions, or to the version before", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			kept, err := in(cmd.Context())
			if err != nil {
				return err
			}
			b, err := kept.Get(args[len(args)-1])
			if err != nil {
				return err
			}
			before := fmt.Sprintf("%s@%d", b.Name, b.Version-1)
			if len(args) == 2 {
				before = args[0]
			} else if b.Version <= 1 {
				return fmt.Errorf("%s@%d is the first version, and there is none before it; name another definition to compare it with", b.Name, b.Version)
			}
			a, err := kept.Get(before)
			if err != nil {
				return err
			}
			for _, c := range osdef.Diff(a, b) {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %q -> %q\n", c.Name, c.Was, c.Is)
			}
			return nil
		},
	}
}
