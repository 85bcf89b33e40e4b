package config

import (
	"path/filepath"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// Backends are places where volumes are kept. A volume type chooses one by its extra
// spec volume_backend_name.
type Backends []Backend

// Backend is a place where volumes are kept.
type Backend struct {
	Name   string `yaml:"name"`
	Driver string `yaml:"driver"`          // file, nfs, lvm, zfs, rbd or plugin
	Dir    string `yaml:"dir,omitempty"`   // of file and nfs: the directory; of nfs, where the share is mounted
	Group  string `yaml:"group,omitempty"` // of lvm: the UUID of the volume group, as vgs -o vg_uuid prints it
	Pool   string `yaml:"pool,omitempty"`  // of lvm: the thin pool in it; empty for thick volumes. Of rbd: the pool of the cluster
	// Dataset is of zfs: the file system of ZFS that volumes are made in, such as tank/hearth.
	Dataset string `yaml:"dataset,omitempty"`

	Plugin  string            `yaml:"plugin,omitempty"`  // of plugin: the absolute path of the program; the driver need not be named beside it
	Options map[string]string `yaml:"options,omitempty"` // of plugin: what the program is told. Of rbd: user, conf, keyring. Of zfs: volblocksize
}

// Kind is the driver.
func (b Backend) Kind() string {
	if b.Driver == "" && b.Plugin != "" {
		return "plugin"
	}
	return b.Driver
}

// HostBackend is the name of the backend that is there unless others are named: a
// directory of the node's own.
const HostBackend = "file"

var (
	backendName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	groupUUID   = regexp.MustCompile(`^[0-9A-Za-z]{6}(-[0-9A-Za-z]{4}){5}-[0-9A-Za-z]{6}$`)
	datasetName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$`)
	poolName    = regexp.MustCompile(`^[0-9A-Za-z_.+][0-9A-Za-z_.+-]{0,126}$`)
)

// Parse reads the list as YAML, as a variable or a flag has it.
func (b *Backends) Parse(text string) error {
	*b = nil
	return yaml.Unmarshal([]byte(text), b)
}

// Own tells whether volumes are made in the node's own directory.
func (b Backends) Own() bool {
	for _, one := range b {
		if one.Name == HostBackend {
			return true
		}
	}
	return len(b) == 0
}

func (b Backends) check(say func(ok bool, format string, args ...any)) {
	seen, at := map[string]bool{}, map[string]string{}
	for _, one := range b {
		say(backendName.MatchString(one.Name), "volume.backends has one of the name %q: write small letters, digits, - and _", one.Name)
		say(!seen[one.Name], "volume.backends has two of the name %s", one.Name)
		seen[one.Name] = true
		one.check(say)
		where := one.place()
		say(where == "" || at[where] == "", "volume.backends: %s and %s have the same %s: each would take the other's volumes for its own, and sweep what that is making; give one of them another", at[where], one.Name, where)
		at[where] = one.Name
	}
}

// place names what no two backends may have; "" where they may, or nothing is named.
func (b Backend) place() string {
	switch {
	case b.Kind() == "lvm" && b.Group != "":
		return "volume group " + b.Group
	case b.Kind() == "zfs" && b.Dataset != "":
		return "dataset " + b.Dataset
	case b.Dir != "":
		return "directory " + filepath.Clean(b.Dir)
	}
	return ""
}

func (b Backend) check(say func(ok bool, format string, args ...any)) {
	if b.Name == HostBackend {
		say((b.Driver == "" || b.Driver == "file") && b.Dir == "" && b.Group == "" && b.Pool == "" && b.Dataset == "" && b.Plugin == "", "volume.backends: %s is the node's own directory and has nothing but its name; call others otherwise", HostBackend)
		return
	}
	kind := b.Kind()
	say(kind == "plugin" || b.Plugin == "" && (kind == "rbd" || kind == "zfs" || len(b.Options) == 0), "volume.backends: plugin and options of %s are for the driver plugin", b.Name)
	say(kind == "zfs" || b.Dataset == "", "volume.backends: dataset of %s is for the driver zfs", b.Name)
	switch kind {
	case "plugin":
		say(filepath.IsAbs(b.Plugin), "volume.backends: plugin of %s is %q: write the absolute path of the program", b.Name, b.Plugin)
		say(b.Dir == "" && b.Group == "" && b.Pool == "", "volume.backends: dir, group and pool of %s are for other drivers; a plug-in has options", b.Name)
	case "file", "nfs":
		say(filepath.IsAbs(b.Dir), "volume.backends: dir of %s is %q: write the absolute path of a directory", b.Name, b.Dir)
		say(b.Group == "" && b.Pool == "", "volume.backends: group and pool of %s are for the driver lvm", b.Name)
	case "lvm":
		say(groupUUID.MatchString(b.Group), "volume.backends: group of %s is %q: write the UUID of the volume group, which 'vgs -o vg_name,vg_uuid' prints; names change hands", b.Name, b.Group)
		say(b.Pool == "" || poolName.MatchString(b.Pool), "volume.backends: pool of %s is %q, which is no name of a thin pool", b.Name, b.Pool)
		say(b.Dir == "", "volume.backends: dir of %s is for the drivers file and nfs", b.Name)
	case "zfs":
		say(datasetName.MatchString(b.Dataset), "volume.backends: dataset of %s is %q: write the name of a file system of ZFS, such as tank/hearth", b.Name, b.Dataset)
		say(b.Dir == "" && b.Group == "" && b.Pool == "", "volume.backends: dir, group and pool of %s are for other drivers; the pool is in the dataset's name", b.Name)
		for option := range b.Options {
			say(option == "volblocksize", "volume.backends: %s has the option %q; that of zfs is volblocksize", b.Name, option)
		}
	case "rbd":
		say(b.Pool != "" && poolName.MatchString(b.Pool), "volume.backends: pool of %s is %q: write the name of a pool of the cluster, made with 'rbd pool init'", b.Name, b.Pool)
		say(b.Dir == "" && b.Group == "", "volume.backends: dir and group of %s are for other drivers", b.Name)
		for option := range b.Options {
			say(option == "user" || option == "conf" || option == "keyring", "volume.backends: %s has the option %q; those of rbd are user, conf and keyring", b.Name, option)
		}
	default:
		say(false, "volume.backends: driver of %s is %q: use file, nfs, lvm, zfs, rbd or plugin", b.Name, b.Driver)
	}
}
