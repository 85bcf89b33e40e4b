package metadata

import (
	"encoding/json"
	"fmt"
	"strings"

	"hearth/internal/cloud"
)

// mount is a volume with a file system that its guest is to mount.
type mount struct {
	Serial string `json:"serial"` // of the disk: the volume's id, of which virtio's disks keep 20 characters
	Label  string `json:"label"`
	Path   string `json:"path"`
}

// vendorData is vendor_data.json: for cloud-init, under its name, a cloud-config that
// mounts volumes by their labels; and for Hearth's own agent the same under ours. {}
// without such volumes, as nova has it without vendor data.
func vendorData(spec cloud.InstanceSpec) []byte {
	var mounts []mount
	var lines strings.Builder
	for _, v := range spec.Volumes {
		if v.Mount == "" {
			continue
		}
		mounts = append(mounts, mount{v.VolumeID, v.Label, v.Mount})
		// Neither word has a character that means something to YAML or to fstab.
		fmt.Fprintf(&lines, "- [ LABEL=%s, %s, auto, \"defaults,nofail,x-systemd.device-timeout=10s\", \"0\", \"2\" ]\n", v.Label, v.Mount)
	}
	if len(mounts) == 0 {
		return []byte("{}")
	}
	body, err := json.Marshal(map[string]any{"cloud-init": "#cloud-config\nmounts:\n" + lines.String(), "hearth": map[string]any{"mounts": mounts}})
	if err != nil {
		return []byte("{}") // strings marshal
	}
	return body
}
