// Package paths has every name that Hearth keeps on disk, in one place.
//
// All of it is below one directory. Files with secrets are made with mode 0600,
// directories with 0700 but for those that guests' processes must enter.
package paths

import (
	"os"
	"path/filepath"
)

// Data is the directory that everything is in.
type Data string

// Default is where a cloud lives unless told: /var/lib/hearth for root, else in
// the user's own data directory.
func Default() Data {
	if os.Geteuid() == 0 {
		return "/var/lib/hearth"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); dir != "" {
		return Data(filepath.Join(dir, "hearth"))
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return Data("hearth-data")
	}
	return Data(filepath.Join(home, ".local", "share", "hearth"))
}

func (d Data) join(names ...string) string {
	return filepath.Join(append([]string{string(d)}, names...)...)
}

// Lock is held by the process that works on the directory.
func (d Data) Lock() string { return d.join("lock") }

// PID has the process id of that process.
func (d Data) PID() string { return d.join("hearth.pid") }

// Address has the URL that the running cloud answers at.
func (d Data) Address() string { return d.join("hearth.url") }

// Database is the SQLite file.
func (d Data) Database() string { return d.join("cloud.db") }

// Operator is the local operator's credential: what 'hearth openrc' prints.
func (d Data) Operator() string { return d.join("operator.json") }

// Control is the socket by which the program reaches the process that holds the
// directory without a login.
func (d Data) Control() string { return d.join("control.sock") }

// Renditions is where images are made of others on their way out.
func (d Data) Renditions() string { return d.join("renditions") }

// Blobs is where the image service keeps bytes.
func (d Data) Blobs() string { return d.join("images") }

// Backups is where backups of volumes are kept unless told.
func (d Data) Backups() string { return d.join("backups") }

// Node is where the agent of this host keeps everything of its own.
func (d Data) Node() string { return d.join("node") }

// VolumeKeys has the key that the keys of encrypted volumes are sealed under.
func (d Data) VolumeKeys() string { return d.join("volume-keys.key") }

// CA is where the cloud's own certificate authority is.
func (d Data) CA() string { return d.join("ca") }

// Scratch holds disks that the head has in hand; what a crash leaves is replaced.
func (d Data) Scratch() string { return d.join("scratch") }

// Bake is the cache of the oven: packages and layers.
func (d Data) Bake() string { return d.join("bake") }

// Catalog has the images that 'hearth image catalog' fetched, and what came of their tests.
func (d Data) Catalog() string { return d.join("catalog") }

// OSDefs has the definitions of how instances are deployed.
func (d Data) OSDefs() string { return d.join("os-def") }

// Log is the log of a cloud that was started in the background.
func (d Data) Log() string { return d.join("hearth.log") }
