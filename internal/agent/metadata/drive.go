package metadata

import (
	"encoding/json"
	"strings"

	"hearth/internal/cloud"
)

// ConfigDriveFiles are the files of an instance's config drive by their path on
// it, as nova writes them: openstack/VERSION/… and ec2/VERSION/….
func ConfigDriveFiles(spec cloud.InstanceSpec) map[string][]byte {
	tree := Render(spec)
	files := map[string][]byte{}
	for version, list := range tree.OpenStack {
		for name, body := range list {
			if name == "password" { // a drive cannot be asked
				continue
			}
			if name == "meta_data.json" && spec.Meta.AdminPass != "" {
				body = withPassword(body, spec.Meta.AdminPass)
			}
			files["openstack/"+version+"/"+name] = body
		}
	}
	for name, body := range tree.Content {
		files["openstack/content/"+name] = body
	}
	for _, version := range []string{"2009-04-04", "latest"} {
		files["ec2/"+version+"/meta-data.json"] = encode(tree.nested())
		if len(spec.Meta.UserData) > 0 {
			files["ec2/"+version+"/user-data"] = spec.Meta.UserData
		}
	}
	return files
}

// withPassword adds the first password, which the network never tells.
func withPassword(body []byte, password string) []byte {
	var data map[string]any
	if json.Unmarshal(body, &data) != nil {
		return body
	}
	data["admin_pass"] = password
	return encode(data)
}

// nested is EC2's meta-data as one object of objects.
func (t Tree) nested() map[string]any {
	root := map[string]any{}
	for path, body := range t.EC2 {
		rest, ok := strings.CutPrefix(path, "meta-data/")
		if !ok {
			continue
		}
		parts := strings.Split(rest, "/")
		at := root
		for _, part := range parts[:len(parts)-1] {
			next, ok := at[part].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[part] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = string(body)
	}
	if keys, ok := root["public-keys"].(map[string]any); ok {
		for i, name := range t.KeyNames {
			if key, ok := keys[itoa(i)].(map[string]any); ok {
				key["_name"] = itoa(i) + "=" + name
			}
		}
	}
	return root
}
