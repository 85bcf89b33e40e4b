package disk

import (
	"io"
	"io/fs"
	"os"
	"testing"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
)

// readISO reads all files of an image by its Rock Ridge names.
func readISO(t *testing.T, path string) map[string][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, _ := f.Stat()
	iso, err := iso9660.Read(file.New(f, true), st.Size(), 0, 2048)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	err = fs.WalkDir(iso, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		in, err := iso.OpenFile(name, os.O_RDONLY)
		if err != nil {
			return err
		}
		defer in.Close()
		found[name], err = io.ReadAll(in)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
