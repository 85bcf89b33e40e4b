package kiwi

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/bake/recipe"
)

func (r *reader) packages(d *description) error {
	for _, p := range d.Packages {
		if !r.on(p.Profiles) {
			continue
		}
		switch p.Type {
		case "image", "bootstrap", "oem", "vmx":
		default:
			r.warn("packages of the type %q are left out", p.Type)
			continue
		}
		r.left("packages", p.rest)
		for _, n := range p.Packages {
			if err := r.install(n); err != nil {
				return err
			}
		}
		for _, a := range p.Archives {
			if a.here() {
				r.Overlay = append(r.Overlay, recipe.Overlay{From: a.Name})
			}
		}
		for _, n := range append(p.Patterns, p.Old...) {
			r.warn("the collection %s is left out: name its packages", n.Name)
		}
		for _, n := range p.Ignore {
			r.warn("ignore %s is not heeded: what another package needs is installed", n.Name)
		}
	}
	if _, err := os.Stat(filepath.Join(r.Dir, "root")); err == nil {
		r.Overlay = append([]recipe.Overlay{{From: "root"}}, r.Overlay...)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// install takes a package. A kernel of Debian's becomes the image's, with a ramdisk
// that its upgrades make anew.
func (r *reader) install(n named) error {
	switch {
	case !n.here() || slices.Contains(r.Packages.Install, n.Name) || r.Kernel.Package == n.Name:
		return nil
	case r.Base.Bootstrap == "" || !strings.HasPrefix(n.Name, "linux-image-"):
		r.Packages.Install = append(r.Packages.Install, n.Name)
		return nil
	case r.Kernel.Package != "":
		return fmt.Errorf("there are two kernels, %s and %s: leave one", r.Kernel.Package, n.Name)
	}
	r.Kernel = recipe.Kernel{From: "distribution", Package: n.Name}
	return nil
}

// users puts root last: the first one gets the cloud's keys.
func (r *reader) users(d *description) error {
	var roots []recipe.User
	for _, list := range d.Users {
		if !r.on(list.Profiles) {
			continue
		}
		for _, u := range list.Users {
			to := recipe.User{Name: u.Name, Shell: u.Shell}
			groups := u.Groups
			if groups == "" && list.Group != "root" {
				groups = list.Group
			}
			to.Groups = words(groups)
			if u.Home != "" && u.Home != "/home/"+u.Name && u.Name != "root" {
				r.warn("the home of %s is /home/%s, and not %s", u.Name, u.Name, u.Home)
			}
			r.left("user", u.rest)
			switch password := u.Password + u.Old; {
			case password == "":
			case u.Format == "plain":
				r.warn("the password of %s is plain text and is left out: give its hash, as openssl passwd -6 prints it", u.Name)
			default:
				to.PasswordHash = password
			}
			if u.Name == "root" {
				roots = append(roots, to)
			} else {
				r.Users = append(r.Users, to)
			}
		}
	}
	if len(r.Users) == 0 {
		r.Users = []recipe.User{{Preset: "ec2-user"}}
		r.warn("there is no user besides root: ec2-user gets the keys of the cloud")
	}
	r.Users = append(r.Users, roots...)
	return nil
}
