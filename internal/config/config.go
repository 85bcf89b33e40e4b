// Package config is the fuse box: the one configuration of Hearth. All of it is
// optional. It comes, each overriding the one before, from the defaults, a YAML
// file, HEARTH_* variables and flags; 'hearth config' prints what is in effect.
package config

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"hearth/internal/paths"
)

// Config is everything that can be set. The yaml tag is the key in the file;
// HEARTH_ and the path in capitals is the variable: HEARTH_COMPUTE_ACCEL.
type Config struct {
	Data     string `yaml:"data" help:"directory with everything the cloud keeps"`
	Listen   string `yaml:"listen" help:"address and port of all APIs"`
	URL      string `yaml:"url" help:"base URL that clients are told; empty: as they came"`
	Driver   string `yaml:"driver" help:"qemu for real guests, fake for a cloud in memory"`
	Node     string `yaml:"node" help:"name of this host in the cloud; empty: its hostname"`
	Region   string `yaml:"region" help:"region in the catalog"`
	Zone     string `yaml:"zone" help:"availability zone of hosts that have none set"`
	Database string `yaml:"database" help:"URL of the database; empty: SQLite in the data directory; or postgres://…"`
	LogLevel string `yaml:"log_level" help:"debug, info, warn or error"`

	Identity Identity `yaml:"identity"`
	Image    Image    `yaml:"image"`
	Compute  Compute  `yaml:"compute"`
	Network  Network  `yaml:"network"`
	Volume   Volume   `yaml:"volume"`
}

// Identity sets keystone up.
type Identity struct {
	TokenLife  time.Duration `yaml:"token_life" help:"how long a token is good"`
	BcryptCost int           `yaml:"bcrypt_cost" help:"cost of password hashes, 4 to 31"`

	LockoutAttempts         int           `yaml:"lockout_attempts" help:"wrong passwords in a row that lock a user out; 0 for never"`
	LockoutDuration         time.Duration `yaml:"lockout_duration" help:"how long a user stays locked out; 0 until an administrator enables it"`
	UniqueLastPasswordCount int           `yaml:"unique_last_password_count" help:"how many of a user's last passwords a new one must differ from; 0 for none"`
	MinimumPasswordAge      time.Duration `yaml:"minimum_password_age" help:"how long a user keeps a new password"`
	PasswordExpiresAfter    time.Duration `yaml:"password_expires_after" help:"how long a password is good; 0 for ever"`
	ChangeUponFirstUse      bool          `yaml:"change_password_upon_first_use" help:"whether users must change passwords that an administrator set"`
	PasswordRegex           string        `yaml:"password_regex" help:"regular expression that passwords must match; empty for none"`
	PasswordRegexText       string        `yaml:"password_regex_description" help:"what the expression asks for, in words for people"`
}

// Image sets glance up.
type Image struct {
	MaxGB      int    `yaml:"max_gb" help:"largest image, in GiB, uploaded or virtual"`
	ConvertTo  string `yaml:"convert_to" help:"disk format that imported images are converted to (glance's image_conversion.output_format): qcow2, raw or vmdk; empty: they stay as they are"`
	ConvertGB  int    `yaml:"convert_gb" help:"room for images that are made of others on their way out, in GiB; the largest disk of which one is made is a quarter of it"`
	Keyring    string `yaml:"keyring" help:"file with public keys, of OpenPGP or minisign, that imports with a signature (hearth_signature) are checked by, unless they name their own"`
	Logins     string `yaml:"registry_logins" help:"file with logins to registries in the form of Docker's config.json, for imports from those that want one; whoever may import gets what these logins may read"`
	ImportFrom string `yaml:"import_from" help:"networks beside the public internet that web-download may fetch from, such as 10.0.0.0/8,127.0.0.0/8"`
}

// Compute sets nova and the agent up.
type Compute struct {
	Accel          string        `yaml:"accel" help:"auto (measured), kvm or tcg"`
	QEMU           string        `yaml:"qemu" help:"path of the QEMU binary; empty: searched"`
	UIDBase        int           `yaml:"uid_base" help:"first of the user ids that guests run as, when hearth is root"`
	UIDCount       int           `yaml:"uid_count" help:"how many user ids guests may take"`
	ShutdownGrace  time.Duration `yaml:"shutdown_grace" help:"how long a guest may take to shut down before it is powered off"`
	ShelvedOffload time.Duration `yaml:"shelved_offload" help:"how long a shelved server stays on its host; 0: it leaves at once; below 0: until it is told to"`
	ReclaimAfter   time.Duration `yaml:"reclaim_interval" help:"how long a deleted server stays in the trash, where 'hearth trash restore' finds it (nova's reclaim_instance_interval); 0: it is gone at once"`
	KeepDeleted    time.Duration `yaml:"keep_deleted" help:"how long lists have servers that are gone (deleted=true, changes-since), and how long their actions are told; 0: for ever"`
	KeepHistory    time.Duration `yaml:"keep_history" help:"how long deleted servers stay in the usage; 0: for ever"`
	CPURatio       float64       `yaml:"cpu_ratio" help:"virtual CPUs per real one"`
	MemoryRatio    float64       `yaml:"memory_ratio" help:"memory of guests per memory of the host"`
	DiskRatio      float64       `yaml:"disk_ratio" help:"disk of guests per disk of the host"`
	ImageCacheGB   int           `yaml:"image_cache_gb" help:"room for cached images on each node, in GiB, never gone beyond: those unused the longest leave, those of guests stay; 0 for no limit"`
	ReservedMB     int           `yaml:"reserved_mb" help:"memory kept for the host itself"`
}

// Network sets neutron and the data plane up.
type Network struct {
	MTU           int    `yaml:"mtu" help:"of networks that ask for none"`
	Uplink        string `yaml:"uplink" help:"what the network public hangs on: host (a veth to this host), none, or the name of an interface"`
	PublicCIDR    string `yaml:"public_cidr" help:"IPv4 block of the network public"`
	PublicCIDR6   string `yaml:"public_cidr6" help:"IPv6 block of the network public"`
	PrivateCIDR   string `yaml:"private_cidr" help:"IPv4 block of the network private"`
	PrivateCIDR6  string `yaml:"private_cidr6" help:"IPv6 block of the network private"`
	DNSDomain     string `yaml:"dns_domain" help:"domain of the instances' names"`
	DHCPMarker    int    `yaml:"dhcp_marker" help:"number of the DHCP option that carries the cloud's id, 224 to 254; 0 for none"`
	ForwardDNS    bool   `yaml:"forward_dns" help:"whether names of elsewhere are asked of this host's resolvers"`
	PublicIfName  string `yaml:"public_interface" help:"name of the host's end of the veth to the network public"`
	NamespaceName string `yaml:"namespace" help:"beginning of the names of network namespaces; empty: of the node's name"`
}

// Default is the configuration with nothing set.
func Default() Config {
	host, _ := os.Hostname()
	return Config{
		Data: string(paths.Default()), Listen: "127.0.0.1:5000", Driver: "qemu", Node: shortName(host), Region: "RegionOne", Zone: "nova",
		LogLevel: "info",
		Identity: Identity{TokenLife: time.Hour, BcryptCost: 12, LockoutDuration: 30 * time.Minute},
		Image:    Image{MaxGB: 1024, ConvertGB: 256},
		Compute: Compute{
			Accel: "auto", UIDBase: 640000, UIDCount: 10000, ShutdownGrace: 60 * time.Second, KeepDeleted: 30 * 24 * time.Hour, KeepHistory: 400 * 24 * time.Hour, CPURatio: 4, MemoryRatio: 1, DiskRatio: 1,
			ReservedMB: 512,
		},
		Network: Network{
			MTU: 1450, Uplink: "host", PublicCIDR: "172.24.4.0/24", PublicCIDR6: "2001:db8:4::/64", PrivateCIDR: "10.0.0.0/24",
			PrivateCIDR6: "fd00:10::/64", DNSDomain: "cloud.internal", DHCPMarker: 239, ForwardDNS: true, PublicIfName: "hearth-pub",
		},
	}
}

// shortName is the first label of a hostname, or "node-1" where there is none.
func shortName(host string) string {
	name, _, _ := strings.Cut(host, ".")
	if name == "" {
		return "node-1"
	}
	return strings.ToLower(name)
}

// ReadFile lays a YAML file over c. An unknown key is an error that names it.
func (c *Config) ReadFile(path string) error {
	body, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot read the configuration: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(body))
	dec.KnownFields(true)
	if err := dec.Decode(c); err != nil && len(bytes.TrimSpace(body)) > 0 {
		return fmt.Errorf("%s: %w; 'hearth config' prints every key there is", path, err)
	}
	return nil
}

// Check refuses what cannot work, with a sentence for each mistake.
func (c *Config) Check() error {
	var bad []string
	say := func(ok bool, format string, args ...any) {
		if !ok {
			bad = append(bad, fmt.Sprintf(format, args...))
		}
	}
	say(c.Driver == "qemu" || c.Driver == "fake", "driver is %q: use qemu or fake", c.Driver)
	_, err := netip.ParseAddrPort(c.Listen)
	say(err == nil, "listen is %q: write an address and a port, as in 127.0.0.1:5000", c.Listen)
	c.Volume.check(say)
	say(c.Node != "", "node is empty: give this host a name")
	say(slices.Contains([]string{"", "qcow2", "raw", "vmdk"}, c.Image.ConvertTo), "image.convert_to is %q: use qcow2, raw or vmdk, or leave it empty", c.Image.ConvertTo)
	say(c.Image.ConvertGB >= 1, "image.convert_gb is %d: it must be at least 1", c.Image.ConvertGB)
	say(c.Identity.BcryptCost >= 4 && c.Identity.BcryptCost <= 31, "identity.bcrypt_cost is %d: it must be 4 to 31", c.Identity.BcryptCost)
	say(c.Identity.TokenLife >= time.Second, "identity.token_life is %s: it must be at least 1s", c.Identity.TokenLife)
	c.Identity.check(say)
	say(c.Compute.ImageCacheGB >= 0, "compute.image_cache_gb is %d: it must be 0, for no limit, or more", c.Compute.ImageCacheGB)
	say(c.Compute.ReclaimAfter >= 0, "compute.reclaim_interval is %s: it must be 0, for at once, or more", c.Compute.ReclaimAfter)
	say(c.Compute.KeepDeleted >= 0, "compute.keep_deleted is %s: it must be 0, for ever, or more", c.Compute.KeepDeleted)
	switch c.Compute.Accel {
	case "auto", "kvm", "tcg":
	default:
		say(false, "compute.accel is %q: use auto, kvm or tcg", c.Compute.Accel)
	}
	for key, cidr := range map[string]string{
		"public_cidr": c.Network.PublicCIDR, "public_cidr6": c.Network.PublicCIDR6,
		"private_cidr": c.Network.PrivateCIDR, "private_cidr6": c.Network.PrivateCIDR6,
	} {
		p, err := netip.ParsePrefix(cidr)
		say(cidr == "" || err == nil && p == p.Masked(), "network.%s is %q: write a network such as 10.0.0.0/24", key, cidr)
	}
	m := c.Network.DHCPMarker
	say(m == 0 || m >= 224 && m <= 254, "network.dhcp_marker is %d: private options are 224 to 254, 0 is none", m)
	say(c.Network.MTU >= 1280 && c.Network.MTU <= 65535, "network.mtu is %d: it must be 1280 to 65535", c.Network.MTU)
	if len(bad) > 0 {
		return fmt.Errorf("the configuration cannot be used:\n  %s", strings.Join(bad, "\n  "))
	}
	return nil
}

// DatabaseURL is the database that is in effect.
func (c *Config) DatabaseURL() string {
	if c.Database != "" {
		return c.Database
	}
	return "sqlite:" + c.Paths().Database()
}

// Paths names the files in the data directory.
func (c *Config) Paths() paths.Data { return paths.Data(c.Data) }

// YAML is the whole configuration in the form of its file, the password in the
// database's URL and the secret of the backups left out.
func (c Config) YAML() ([]byte, error) {
	if at := strings.LastIndex(c.Database, "@"); at >= 0 && strings.Contains(c.Database[:at], "://") {
		scheme, rest, _ := strings.Cut(c.Database[:at], "://")
		user, _, secret := strings.Cut(rest, ":")
		if secret {
			c.Database = scheme + "://" + user + ":***" + c.Database[at:]
		}
	}
	if c.Volume.S3Secret != "" {
		c.Volume.S3Secret = "***"
	}
	return yaml.Marshal(c)
}

// Workers is how many servers the housekeeper works on at once.
func (c *Config) Workers() int { return max(4, 2*runtime.NumCPU()) }
