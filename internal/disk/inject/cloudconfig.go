package inject

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// CloudConfigPath is where ganeti-instance-image's cloud-init hook writes.
const CloudConfigPath = "/etc/cloud/cloud.cfg.d/99_ganeti.cfg"

// noPassword is a rule of sudo.
const noPassword = "ALL=(ALL) NOPASSWD:ALL"

// CloudConfig makes cloud-init's configuration of an instance from the parameters
// of ganeti-instance-image's cloud-init hook: INSTANCE_NAME, CINIT_USER,
// CINIT_SSH_KEY, CINIT_SSH_PWAUTH, CINIT_MANAGE_RESOLV_CONF, CINIT_DISABLE_ROOT,
// DNS_SERVERS, DNS_SEARCH. It means what that hook's cloud_init.rb writes, but a
// user or key that was not given is left out where that has null, and DNS may be
// given in part. The same text is vendor-data with "#cloud-config" before it, which
// is here already.
func CloudConfig(get func(name string) string) ([]byte, error) {
	b, err := yaml.Marshal(cloudConfig(get))
	return append([]byte("#cloud-config\n"), b...), err
}

// VendorConfig is the same as vendor-data, without its first line; "" unless one of
// the CINIT_ settings is set. What the data source says itself it leaves out: the
// id of the instance; and the list of the modules, which is the guest's own affair.
// Types are those of cloud-init's schema, where the hook's are of old: it warns of
// others.
func VendorConfig(host string, settings map[string]string) ([]byte, error) {
	said := false
	for name, value := range settings {
		said = said || strings.HasPrefix(name, "CINIT_") && value != ""
	}
	if !said {
		return nil, nil
	}
	config := cloudConfig(func(name string) string {
		if name == "INSTANCE_NAME" {
			return host
		}
		return settings[name]
	})
	delete(config, "instance-id")
	delete(config, "cloud_init_modules")
	for _, key := range []string{"disable_root", "ssh_pwauth"} {
		config[key] = config[key] == 1
	}
	if config["resolv_conf"] == nil {
		delete(config, "resolv_conf")
	}
	if user := settings["CINIT_USER"]; user != "" {
		config["users"] = []any{cloudUser(user, settings["CINIT_SSH_KEY"], "_", noPassword)}
	}
	return yaml.Marshal(config)
}

// cloudUser is an entry of users. The words of keys were parted by a hyphen once, and a
// rule of sudo was a list.
func cloudUser(name, key, part string, sudo any) map[string]any {
	who := map[string]any{"name": name, "primary" + part + "group": name, "groups": []string{"wheel", "adm", "systemd-journal"},
		"sudo": sudo, "shell": "/bin/bash", "lock_passwd": true}
	if key != "" {
		who["ssh"+part+"authorized"+part+"keys"] = []string{key}
	}
	return who
}

func cloudConfig(get func(name string) string) map[string]any {
	host, user := get("INSTANCE_NAME"), get("CINIT_USER")
	short, domain, _ := strings.Cut(host, ".")
	manage := get("CINIT_MANAGE_RESOLV_CONF") == "yes"
	config := map[string]any{
		"hostname": short, "fqdn": host, "instance-id": host,
		"disable_root": number(get("CINIT_DISABLE_ROOT")), "ssh_pwauth": number(get("CINIT_SSH_PWAUTH")),
		"manage-resolv-conf": manage, "manage_resolv_conf": manage,
		"cloud_init_modules": strings.Fields("migrator bootcmd write-files growpart resizefs set_hostname update_hostname update_etc_hosts resolv_conf rsyslog users-groups ssh"),
		"resolv_conf":        nil,
	}
	if manage {
		config["resolv_conf"] = map[string]any{
			"nameservers": list(get("DNS_SERVERS")), "searchdomains": list(get("DNS_SEARCH")), "domain": domain,
			"options": map[string]any{"rotate": true, "timeout": 1},
		}
	}
	if user != "" {
		config["users"], config["groups"] = []any{cloudUser(user, get("CINIT_SSH_KEY"), "-", []string{noPassword})}, []string{user}
	}
	return config
}

func number(yes string) int {
	if yes == "yes" {
		return 1
	}
	return 0
}

// list is never null.
func list(text string) []string { return append([]string{}, strings.Fields(text)...) }
