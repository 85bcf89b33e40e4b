package nova

import "hearth/internal/cloud"

// fileBody is a file for the guest, as microversions before 2.57 take it.
type fileBody struct{ Path, Contents string }

// filesOf reads a personality: its contents are base 64.
func filesOf(op string, list []fileBody) ([]cloud.GuestFile, error) {
	var files []cloud.GuestFile
	for _, f := range list {
		contents, err := decode64(f.Contents)
		switch {
		case err != nil:
			return nil, cloud.E(op, cloud.Invalid, "Personality content for %s cannot be decoded: it needs to be valid base 64.", f.Path)
		case f.Path == "":
			return nil, cloud.E(op, cloud.Invalid, "Bad personality format: missing path")
		}
		files = append(files, cloud.GuestFile{Path: f.Path, Contents: contents})
	}
	return files, nil
}
