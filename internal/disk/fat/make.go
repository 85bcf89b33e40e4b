// Package fat makes EFI system partitions and reads them: FAT16 with the few files of a
// boot loader. Making is go-diskfs's; reading is done here, for these bytes are a
// guest's: every number is held against the size, every chain ends.
package fat

import (
	"encoding/binary"
	"errors"
	"os"
	"path"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat16"
)

// File is one to be made; folders on its way come by themselves. Path is absolute.
type File struct {
	Path string
	Data []byte
}

// Options says what file system [Make] makes.
type Options struct {
	Size  int64 // bytes, from 8 MiB to 2 GiB
	Label string
	ID    uint32 // its serial number, which Linux shows as UUID; 0: as go-diskfs has it
	Files []File
}

// idAt is where a FAT16's serial number is.
const idAt = 0x27

// Make makes a file system in the new file name.
func Make(name string, o Options) (err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(o.Size); err != nil {
		return err
	}
	fs, err := fat16.Create(file.New(f, false), o.Size, 0, sectorSize, o.Label, true)
	if err != nil {
		return err
	}
	for _, e := range o.Files {
		if dir := path.Dir(e.Path); dir != "/" {
			if err := fs.Mkdir(dir[1:]); err != nil {
				return err
			}
		}
		out, err := fs.OpenFile(e.Path[1:], os.O_CREATE|os.O_RDWR)
		if err != nil {
			return err
		}
		_, err = out.Write(e.Data)
		if err = errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	if o.ID == 0 {
		return nil
	}
	var id [4]byte
	binary.LittleEndian.PutUint32(id[:], o.ID)
	_, err = f.WriteAt(id[:], idAt)
	return err
}
