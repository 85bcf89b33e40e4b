package recipe

// Recipe is one image. Names of files are relative to Dir.
type Recipe struct {
	Name     string    `yaml:"name"`
	Base     Base      `yaml:"base"`
	Packages Packages  `yaml:"packages"`
	Kernel   Kernel    `yaml:"kernel"`
	Users    []User    `yaml:"users"`
	Services Services  `yaml:"services"`
	Hostname string    `yaml:"hostname"`
	Agent    string    `yaml:"agent"` // one of Agents; "": hearth
	Boot     Boot      `yaml:"boot"`
	Firmware string    `yaml:"firmware"` // bios, uefi or hybrid; "": the loader's first
	Overlay  []Overlay `yaml:"overlay"`
	Scripts  []Script  `yaml:"scripts"`
	Disk     Disk      `yaml:"disk"`
	Outputs  []string  `yaml:"outputs"` // of Outputs; none: qcow2

	Dir   string         `yaml:"-"` // folder of the recipe, absolute
	File  string         `yaml:"-"` // the recipe itself
	lines map[string]int // of each field, by its path such as users[0].name
}

// Base is what the image starts from: one of its first four.
type Base struct {
	Bootstrap  string   `yaml:"bootstrap"` // debian or ubuntu, by mmdebstrap; ember
	Tarball    string   `yaml:"tarball"`   // root file system, packed by gzip, bzip2, xz, zstd or not
	Image      string   `yaml:"image"`     // disk with an ext root
	Installer  string   `yaml:"installer"` // an installer: an ISO or a folder, here or on the web; with Answers
	Answers    string   `yaml:"answers"`   // FILE or KIND=FILE
	Suite      string   `yaml:"suite"`
	Mirror     string   `yaml:"mirror"` // may be a snapshot's address; "": the distribution's own
	Components []string `yaml:"components"`
	Keyring    string   `yaml:"keyring"` // of a bootstrap: file with the keys that sign the mirror; "": those of this machine
	SHA256     string   `yaml:"sha256"`  // of Tarball or Image, in hexadecimal
}

// Packages are installed by the package manager of the base, without those that
// are only recommended.
type Packages struct {
	Install []string `yaml:"install"`
}

// Kernel says where the kernel comes from.
type Kernel struct {
	From    string `yaml:"from"`    // one of KernelSources; "": base if it has one, else hearth
	Package string `yaml:"package"` // of distribution; "": linux-image-cloud-amd64 or linux-image-virtual
	Tarball string `yaml:"tarball"` // boot/vmlinuz*, boot/initramfs* and lib/modules in one archive
}

// User has an account. The first one gets the ssh keys of the cloud.
type User struct {
	Name   string   `yaml:"name"`
	Groups []string `yaml:"groups"` // none: wheel, sudo and users, as far as they exist; the first user is in these besides
	Shell  string   `yaml:"shell"`
	Keys   []string `yaml:"ssh_keys"`
	// PasswordHash is what crypt(3) made of a password; "": nobody logs in by one.
	PasswordHash string `yaml:"password_hash"`
	Preset       string `yaml:"preset"` // ec2-user: useradd -m -G wheel,users ec2-user
}

// Services are started at boot, or not.
type Services struct {
	Enable  []string `yaml:"enable"`
	Disable []string `yaml:"disable"`
}

// Boot is the boot loader's part.
type Boot struct {
	Loader    string `yaml:"loader"`    // grub, extlinux or systemd-boot; "": grub, or systemd-boot for uefi
	Title     string `yaml:"title"`     // in its menu
	Wait      int    `yaml:"wait"`      // seconds
	Arguments string `yaml:"arguments"` // of the kernel, besides root and console
}

// Overlay is a folder or an archive of files that are put over the system.
type Overlay struct {
	From      string            `yaml:"from"`
	To        string            `yaml:"to"` // folder of the guest; "": /
	UID       int               `yaml:"uid"`
	GID       int               `yaml:"gid"`
	Modes     map[string]string `yaml:"modes"`     // octal, by path in the guest
	Owners    map[string]string `yaml:"owners"`    // UID:GID, by path in the guest
	Templates bool              `yaml:"templates"` // files NAME.tmpl are Go templates for NAME
	Values    map[string]string `yaml:"values"`    // what templates know by {{.KEY}}
}

// Script is run as root inside the tree, in namespaces of its own.
type Script struct {
	Name    string `yaml:"name"`
	File    string `yaml:"file"`
	Run     string `yaml:"run"`     // in place of File
	Network bool   `yaml:"network"` // without it there is none
	// Prelude is put before the script, in a file that Prelude's reader knows: the
	// functions of KIWI's config.sh. It has no word in the YAML.
	Prelude map[string]string `yaml:"-"`
}

// Disk is the disk that boots.
type Disk struct {
	Size string `yaml:"size"` // such as 4GiB; "": as small as it goes
	Swap string `yaml:"swap"` // size of a swap file in the root, such as 1GiB; "": none
}

// Agents set a guest up at its first boot.
func Agents() []string { return []string{"hearth", "cloud-init", "none"} }

// KernelSources is where the kernel comes from: of the distribution by its package manager with its own ramdisk;
// the one in the base's /boot; Debian's for clouds, unpacked; a tarball. The last three
// with Hearth's ramdisk, unless the tarball has one.
func KernelSources() []string { return []string{"distribution", "base", "hearth", "tarball"} }

// Outputs are the forms of an image.
func Outputs() []string { return []string{"qcow2", "raw", "ami", "tar"} }

// Wants tells whether an output is asked for.
func (r *Recipe) Wants(output string) bool {
	if len(r.Outputs) == 0 {
		return output == "qcow2"
	}
	for _, o := range r.Outputs {
		if o == output {
			return true
		}
	}
	return false
}
