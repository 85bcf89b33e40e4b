package main

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hearth/internal/config"
)

// addConfigFlags gives every command the flags of the configuration and has it
// read, in order, the file, the environment and the flags before it runs.
func addConfigFlags(root *cobra.Command, cfg *config.Config) {
	file := root.PersistentFlags().String("config", "", "YAML file with the configuration (default: hearth.yaml in the data directory, if there is one)")
	flags := map[string]*pflag.Flag{}
	for _, e := range cfg.Entries() {
		name := strings.NewReplacer(".", "-", "_", "-").Replace(e.Key)
		root.PersistentFlags().Var(&setting{text: e.String(), kind: e.Type()}, name, e.Help)
		flags[e.Key] = root.PersistentFlags().Lookup(name)
		flags[e.Key].Hidden = strings.Contains(e.Key, ".") // 'hearth config' shows those of the sections
	}
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		*cfg = config.Default()
		return readConfig(cfg, *file, flags)
	}
}

// readConfig lays file, environment and flags over the defaults.
func readConfig(cfg *config.Config, file string, flags map[string]*pflag.Flag) error {
	overlay := func(only string) error {
		if err := cfg.ReadEnv(os.LookupEnv); err != nil {
			return err
		}
		for _, e := range cfg.Entries() {
			if f := flags[e.Key]; f.Changed && (only == "" || e.Key == only) {
				if err := e.Set(f.Value.String()); err != nil {
					return err
				}
			}
		}
		return nil
	}
	// The data directory first: the file may be in it.
	if err := overlay("data"); err != nil {
		return err
	}
	if file == "" {
		if path := filepath.Join(cfg.Data, "hearth.yaml"); exists(path) {
			file = path
		}
	}
	if file != "" {
		if err := cfg.ReadFile(file); err != nil {
			return err
		}
	}
	if err := overlay(""); err != nil {
		return err
	}
	data, err := filepath.Abs(cfg.Data)
	if err != nil {
		return err
	}
	cfg.Data = data
	return cfg.Check()
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// setting is a flag that keeps its text for the configuration to read.
type setting struct{ text, kind string }

func (s *setting) String() string        { return s.text }
func (s *setting) Set(text string) error { s.text = text; return nil }
func (s *setting) Type() string          { return s.kind }
