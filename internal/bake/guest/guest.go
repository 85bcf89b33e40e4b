// Package guest holds the guest agent, cmd/hearth-guest, as a binary inside
// hearth, and the files that start it under each init system.
//
// The Makefile builds the agent into this folder before it builds hearth. A
// clean checkout has no binary here and compiles all the same; then [Agent]
// returns an error that says what to do.
package guest

import (
	"embed"
	"errors"
	"io/fs"
)

//go:embed all:*
var files embed.FS

// ErrNotBuilt is returned when hearth was built without its agent.
var ErrNotBuilt = errors.New("this hearth was built without its guest agent: run make build")

// Agent gives the agent's binary: a static Linux program.
func Agent() ([]byte, error) {
	b, err := files.ReadFile("hearth-guest")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotBuilt
	}
	return b, err
}

// File is one file that makes the agent start in an image.
type File struct {
	Path string // absolute, in the guest
	Mode fs.FileMode
	Data []byte
	Link string // when not empty, the file is a symbolic link to this
}

// The init systems for which there are files.
const (
	Systemd = "systemd"
	OpenRC  = "openrc"
	SysV    = "sysv"
	Runit   = "runit"
)

// Install gives the files that put the agent into an image with the given
// init system, for the user who shall get the ssh keys.
func Install(init, user string) ([]File, error) {
	agent, err := Agent()
	if err != nil {
		return nil, err
	}
	list := []File{
		{Path: "/usr/sbin/hearth-guest", Mode: 0o755, Data: agent},
		{Path: "/etc/hearth-guest.conf", Mode: 0o644, Data: []byte("user=" + user + "\n")},
	}
	add := func(path string, mode fs.FileMode, source string) error {
		b, err := files.ReadFile("init/" + source)
		list = append(list, File{Path: path, Mode: mode, Data: b})
		return err
	}
	switch init {
	case Systemd:
		err = add("/etc/systemd/system/hearth-guest.service", 0o644, "hearth-guest.service")
		list = append(list, File{Path: "/etc/systemd/system/multi-user.target.wants/hearth-guest.service", Link: "../hearth-guest.service"})
	case OpenRC:
		err = add("/etc/init.d/hearth-guest", 0o755, "openrc")
		list = append(list, File{Path: "/etc/runlevels/default/hearth-guest", Link: "/etc/init.d/hearth-guest"})
	case SysV:
		err = add("/etc/init.d/hearth-guest", 0o755, "sysv")
		for _, level := range []string{"2", "3", "5"} {
			list = append(list, File{Path: "/etc/rc" + level + ".d/S15hearth-guest", Link: "../init.d/hearth-guest"})
		}
	case Runit:
		err = add("/etc/sv/hearth-guest/run", 0o755, "runit")
		list = append(list, File{Path: "/etc/runit/runsvdir/default/hearth-guest", Link: "/etc/sv/hearth-guest"})
	default:
		err = errors.New("the init system " + init + " is not known here: use systemd, openrc, sysv or runit")
	}
	return list, err
}
