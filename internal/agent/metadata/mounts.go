package metadata

import (
	"encoding/json"
	"fmt"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/disk/inject"
	"hearth/internal/disk/osdef"
)

// mount is a volume with a file system that its guest is to mount.
type mount struct {
	Serial string `json:"serial"` // of the disk: the volume's id, of which virtio's disks keep 20 characters
	Label  string `json:"label"`
	Path   string `json:"path"`
}

// vendorData is vendor_data.json: for cloud-init, under its name, a cloud-config that
// has what the CINIT_ settings of the server's definition say, and mounts volumes by
// their labels; and for Hearth's own agent the mounts under ours. {} without either,
// as nova has it without vendor data.
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
	config, data := settled(spec), map[string]any{}
	if len(mounts) > 0 {
		config += "mounts:\n" + lines.String()
		data["hearth"] = map[string]any{"mounts": mounts}
	}
	if config == "" {
		return []byte("{}")
	}
	data["cloud-init"] = "#cloud-config\n" + config
	body, err := json.Marshal(data)
	if err != nil {
		return []byte("{}") // strings marshal
	}
	return body
}

// settled is what the CINIT_ settings by which a server was made say, as YAML; "" if
// none of them is set.
func settled(spec cloud.InstanceSpec) string {
	if spec.Deploy == nil {
		return ""
	}
	d, err := osdef.Decode([]byte(spec.Deploy.Body))
	if err != nil {
		return "" // the deployment said so
	}
	r, err := d.Resolve(int64(spec.MemoryMB)<<20, spec.Deploy.Over)
	if err != nil || !r.On("cloud-init") {
		return ""
	}
	text, err := inject.VendorConfig(spec.Hostname, r.Settings)
	if err != nil {
		return ""
	}
	return string(text)
}
