package metadata

import (
	"fmt"

	"hearth/internal/cloud"
)

// The files that an owner sent for the guest lie beside the versions, in
// openstack/content/0000 and so on; meta_data.json tells where each belongs. So
// nova has it, and so cloud-init reads it off a config drive.

func contentName(i int) string { return fmt.Sprintf("%04d", i) }

// fileList is "files" of meta_data.json.
func fileList(spec cloud.InstanceSpec) []map[string]string {
	var list []map[string]string
	for i, f := range spec.Meta.Files {
		list = append(list, map[string]string{"content_path": "/content/" + contentName(i), "path": f.Path})
	}
	return list
}

// content are the files of openstack/content by their names; nil for none.
func content(spec cloud.InstanceSpec) map[string][]byte {
	if len(spec.Meta.Files) == 0 {
		return nil
	}
	files := map[string][]byte{}
	for i, f := range spec.Meta.Files {
		files[contentName(i)] = f.Contents
	}
	return files
}
