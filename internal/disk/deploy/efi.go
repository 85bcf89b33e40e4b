package deploy

import (
	"errors"
	"fmt"
	"io"

	"hearth/internal/disk/fat"
	"hearth/internal/disk/guestfs"
)

// efiEntries adds words to the entries that lie in EFI system partitions, as those of
// systemd-boot do; found when there are some.
func efiEntries(d *guestfs.Disk, want []string) (found bool, err error) {
	for _, v := range d.Volumes {
		if v.Content != "vfat" || d.File() == nil {
			continue
		}
		f, err := fat.Open(io.NewSectionReader(d.Reader(), v.Start, v.Size), v.Size)
		if err != nil {
			continue // not of a form that is known: nothing in it is changed
		}
		names, err := f.Glob("/loader/entries/*.conf")
		if err != nil {
			continue
		}
		for _, name := range names {
			old, err := f.ReadFile(name, maxText)
			if err != nil {
				continue
			}
			text, ok := addToMenu(string(old), want)
			found = found || ok
			if !ok || text == string(old) {
				continue
			}
			if err := f.Rewrite(d.File(), v.Start, name, []byte(text)); err != nil {
				return found, errors.Join(fmt.Errorf("the kernel's arguments in %s of the EFI system partition", name), err)
			}
		}
	}
	return found, nil
}
