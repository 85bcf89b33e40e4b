package recipe

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/bake/installer"
	"hearth/internal/disk"
	"hearth/internal/disk/bootloader"
)

// Levels of a [Finding].
const (
	Problem = "problem" // it cannot be baked
	Warning = "warning" // it can, and will likely not do what is wanted
)

// Finding is what is wrong with a recipe, and what to do.
type Finding struct {
	Level string `json:"level"`
	File  string `json:"file"`
	Line  int    `json:"line"`
	Field string `json:"field"`
	Text  string `json:"text"`
}

// String is FILE:LINE: sentence; without a line it is about the file as a whole.
func (f Finding) String() string {
	if f.Line == 0 {
		return f.File + ": " + f.Text
	}
	return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
}

// checker gathers findings.
type checker struct {
	*Recipe
	found []Finding
}

func (c *checker) say(level, field, format string, args ...any) {
	c.found = append(c.found, Finding{level, c.File, c.Line(field), field, fmt.Sprintf(format, args...)})
}

func (c *checker) problem(field, format string, args ...any) { c.say(Problem, field, format, args...) }

// Check holds the words of a recipe against each other and against the files that
// it names. Findings come in the order of the recipe's parts.
func (r *Recipe) Check() []Finding {
	c := &checker{Recipe: r}
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`).MatchString(r.Name) {
		c.problem("name", "the name %q should be of lower case letters, digits, -, _ and dots: the images are called by it", r.Name)
	}
	c.base()
	c.packages()
	c.kernel()
	c.users()
	c.settings()
	c.overlays()
	c.scripts()
	c.outputs()
	return c.found
}

func (c *checker) base() {
	b := c.Base
	named := 0
	for _, s := range []string{b.Bootstrap, b.Tarball, b.Image, b.Installer} {
		if s != "" {
			named++
		}
	}
	if named != 1 {
		c.problem("base", "base should have one of bootstrap, tarball, image and installer; it has %d", named)
		return
	}
	switch b.Bootstrap {
	case "", "debian", "ubuntu":
	case "ember":
		if len(c.Packages.Install) > 0 || c.Kernel != (Kernel{}) || c.Agent != "" || len(c.Services.Enable)+len(c.Services.Disable) > 0 || len(c.Users) > 1 || b.Suite+b.Mirror+b.Keyring != "" || len(b.Components) > 0 {
			c.problem("base.bootstrap", "ember is whole as it is: it takes one user, overlays and scripts, and neither packages, kernel, services, agent nor a suite")
		}
	case "fedora", "suse", "opensuse", "arch", "alpine", "gentoo":
		c.problem("base.bootstrap", "a bootstrap of %s is not available: make a tarball of its root file system and name it as base.tarball", b.Bootstrap)
	default:
		c.problem("base.bootstrap", "there is no bootstrap %q; there are debian, ubuntu and ember", b.Bootstrap)
	}
	word := regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]*$`)
	if b.Suite != "" && !word.MatchString(b.Suite) {
		c.problem("base.suite", "%q is no name of a release", b.Suite)
	}
	if b.Bootstrap == "ubuntu" && (b.Suite == "" || b.Mirror == "") {
		c.problem("base.bootstrap", "of Ubuntu name suite and mirror, such as noble and http://archive.ubuntu.com/ubuntu")
	}
	if b.Mirror != "" {
		if u, err := url.Parse(b.Mirror); err != nil || !slices.Contains([]string{"http", "https", "file"}, u.Scheme) || strings.ContainsAny(b.Mirror, " '\"\\$`\n") {
			c.problem("base.mirror", "%q is no address of a mirror", b.Mirror)
		}
	}
	for i, s := range b.Components {
		if !word.MatchString(s) {
			c.problem(fmt.Sprintf("base.components[%d]", i), "%q is no name of a component", s)
		}
	}
	if b.Bootstrap == "" && (b.Suite+b.Mirror+b.Keyring != "" || len(b.Components) > 0) {
		c.problem("base", "suite, mirror, components and keyring are those of a bootstrap")
	}
	c.file("base.keyring", b.Keyring, true)
	if c.file("base.tarball", b.Tarball, true); b.Tarball != "" && IsDisk(c.Path(b.Tarball)) {
		c.problem("base.tarball", "%s is the image of a disk: name it as base.image", b.Tarball)
	}
	c.file("base.image", b.Image, true)
	c.installer()
	if b.SHA256 != "" && !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(b.SHA256) {
		c.problem("base.sha256", "a SHA-256 sum has 64 hexadecimal digits in lower case")
	}
}

// installer holds an installer and its answers against each other.
func (c *checker) installer() {
	b := c.Base
	if (b.Installer == "") != (b.Answers == "") {
		c.problem("base", "an installer goes with its answers: base.installer and base.answers")
		return
	}
	if b.Installer == "" {
		return
	}
	if !installer.FromWeb(b.Installer) {
		c.file("base.installer", b.Installer, false)
	}
	if _, _, err := c.ReadAnswers(); err != nil {
		c.problem("base.answers", "%v", err)
	}
}

// ReadAnswers reads the answers for the installer, and tells their kind.
func (r *Recipe) ReadAnswers() (kind string, answers []byte, err error) {
	return installer.ReadAnswers(r.Base.Answers, r.Path)
}

// IsDisk tells whether a file is the image of a disk or of a file system, by its first bytes.
func IsDisk(name string) bool {
	f, err := disk.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, disk.SniffLen)
	n, _ := io.ReadFull(f, head) // of a short file what there is
	info := disk.Sniff(head[:n])
	return info.Format != disk.Raw || slices.Contains([]disk.Content{disk.MBR, disk.GPT, disk.Ext, disk.XFS, disk.Btrfs, disk.F2FS}, info.Content)
}

// file complains of a named file that is not there.
func (c *checker) file(field, name string, regular bool) {
	if name == "" {
		return
	}
	st, err := os.Stat(c.Path(name))
	switch {
	case err != nil:
		c.problem(field, "%s cannot be read: %v", name, err)
	case regular && !st.Mode().IsRegular():
		c.problem(field, "%s is not a file", name)
	case !st.Mode().IsRegular() && !st.IsDir():
		c.problem(field, "%s is neither a folder nor a file", name)
	}
}

// Path makes a name of the recipe absolute.
func (r *Recipe) Path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.Dir, name)
}

func (c *checker) packages() {
	name := regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9+._-]*(:[a-z0-9]+)?(=[a-zA-Z0-9.+:~-]+)?$`)
	seen := map[string]bool{}
	for i, p := range c.Packages.Install {
		field := fmt.Sprintf("packages.install[%d]", i)
		if !name.MatchString(p) {
			c.problem(field, "%q is no name of a package", p)
		}
		if seen[p] {
			c.say(Warning, field, "the package %s is named twice", p)
		}
		seen[p] = true
	}
}

func (c *checker) kernel() {
	k := c.Kernel
	if k.From != "" && !slices.Contains(KernelSources(), k.From) {
		c.problem("kernel.from", "there is no kernel from %q%s", k.From, didYouMean(k.From, KernelSources()))
	}
	if (k.From == "tarball") != (k.Tarball != "") {
		c.problem("kernel", "kernel.tarball goes with from: tarball, and from: tarball with it")
	}
	if k.Package != "" && k.From != "distribution" {
		c.problem("kernel.package", "kernel.package goes with from: distribution")
	}
	c.file("kernel.tarball", k.Tarball, true)
	if err := c.sense(); err != "" {
		c.problem("kernel", "%s", err)
	}
}

func (c *checker) sense() string {
	if c.Kernel.From == "distribution" && c.Base.Image == "" && c.Base.Tarball == "" && c.Base.Bootstrap == "" {
		return "a kernel of the distribution needs a base that has one"
	}
	return ""
}

func (c *checker) users() {
	seen := map[string]bool{}
	for i, u := range c.Users {
		field := fmt.Sprintf("users[%d]", i)
		if u.Preset != "" && u.Preset != "ec2-user" {
			c.problem(field+".preset", "there is no preset %q; there is ec2-user", u.Preset)
		}
		name := u.LoginName()
		if !regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`).MatchString(name) {
			c.problem(field+".name", "%q is no name for a user: use lower case letters, digits, - and _", name)
		}
		if seen[name] {
			c.problem(field, "the user %s is named twice", name)
		}
		seen[name] = true
		for j, k := range u.Keys {
			if f := strings.Fields(k); len(f) < 2 || strings.ContainsAny(k, "\n\r") || !regexp.MustCompile(`^(ssh-|ecdsa-|sk-)`).MatchString(f[0]) {
				c.problem(fmt.Sprintf("%s.ssh_keys[%d]", field, j), "this is no line of authorized_keys")
			}
		}
		if u.PasswordHash != "" && !regexp.MustCompile(`^\$[0-9a-z]+\$[a-zA-Z0-9./$,=]+$`).MatchString(u.PasswordHash) {
			c.problem(field+".password_hash", "this is no hash of crypt(3), such as openssl passwd -6 prints; a password itself has no place in a recipe")
		}
		if u.Shell != "" && (!path.IsAbs(u.Shell) || strings.ContainsAny(u.Shell, ":\n")) {
			c.problem(field+".shell", "%q is no path of a shell", u.Shell)
		}
	}
}

// LoginName is the name of the account.
func (u User) LoginName() string {
	if u.Name == "" && u.Preset != "" {
		return u.Preset
	}
	return u.Name
}

func (c *checker) settings() {
	if c.Agent != "" && !slices.Contains(Agents(), c.Agent) {
		c.problem("agent", "there is no agent %q; there are %s", c.Agent, strings.Join(Agents(), ", "))
	}
	if _, _, err := bootloader.Settle(c.Boot.Loader, c.Firmware); err != nil {
		field := "boot.loader"
		if c.Boot.Loader == "" {
			field = "firmware"
		}
		c.problem(field, "%v", err)
	}
	if c.Boot.Wait < 0 || c.Boot.Wait > 600 {
		c.problem("boot.wait", "the boot loader waits from 0 to 600 seconds")
	}
	if strings.ContainsAny(c.Boot.Title, "\"\n{}$\\") || strings.ContainsAny(c.Boot.Arguments, "\n;{}$\\") {
		c.problem("boot", "title and arguments go into the boot loader's menu as they are: without quotes, braces, $ and \\")
	}
	if c.Hostname != "" && !regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?$`).MatchString(c.Hostname) {
		c.problem("hostname", "%q is no host name", c.Hostname)
	}
	for _, list := range []struct {
		field string
		names []string
	}{{"services.enable", c.Services.Enable}, {"services.disable", c.Services.Disable}} {
		for i, s := range list.names {
			field := fmt.Sprintf("%s[%d]", list.field, i)
			if !regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9@._:-]*$`).MatchString(s) {
				c.problem(field, "%q is no name of a service", s)
			}
			if list.field == "services.disable" && slices.Contains(c.Services.Enable, s) {
				c.problem(field, "the service %s is to be enabled and disabled", s)
			}
		}
	}
}

func (c *checker) overlays() {
	for i, o := range c.Overlay {
		field := fmt.Sprintf("overlay[%d]", i)
		if o.From == "" {
			c.problem(field, "an overlay has a folder or an archive: from")
			continue
		}
		c.file(field+".from", o.From, false)
		if o.To != "" && (!path.IsAbs(o.To) || path.Clean(o.To) != o.To) {
			c.problem(field+".to", "%q is no clean absolute path", o.To)
		}
		for word, id := range map[string]int{"uid": o.UID, "gid": o.GID} {
			if id < 0 || id > maxID {
				c.problem(field+"."+word, "%s is a number from 0 to %d", word, maxID)
			}
		}
		for name, mode := range o.Modes {
			if _, err := strconv.ParseUint(mode, 8, 12); err != nil || !path.IsAbs(name) {
				c.problem(field+".modes."+name, "modes are octal, by absolute path, in quotes: \"/etc/sudoers.d/web\": \"0440\"")
			}
		}
		for name, owner := range o.Owners {
			if _, _, err := ParseOwner(owner); err != nil || !path.IsAbs(name) {
				c.problem(field+".owners."+name, "owners are UID:GID, by absolute path, in quotes: \"/srv/web\": \"33:33\"")
			}
		}
		if len(o.Values) > 0 && !o.Templates {
			c.say(Warning, field+".values", "values are used by templates only: say templates: true")
		}
	}
	c.moduleNames()
}

// maxID is the largest number of a user or group: the next one means none.
const maxID = 1<<32 - 2

// ParseOwner reads UID:GID.
func ParseOwner(s string) (uid, gid int, err error) {
	u, g, ok := strings.Cut(s, ":")
	if !ok {
		return 0, 0, fmt.Errorf("%q has no colon", s)
	}
	a, err := strconv.ParseUint(u, 10, 32)
	if err != nil {
		return 0, 0, err
	}
	b, err := strconv.ParseUint(g, 10, 32)
	if a > maxID || b > maxID {
		return 0, 0, fmt.Errorf("%q has a number beyond %d", s, maxID)
	}
	return int(a), int(b), err
}

func (c *checker) scripts() {
	for i, s := range c.Scripts {
		field := fmt.Sprintf("scripts[%d]", i)
		if (s.File == "") == (s.Run == "") {
			c.problem(field, "a script has either file or run")
		}
		c.file(field+".file", s.File, true)
	}
}

func (c *checker) outputs() {
	for i, o := range c.Outputs {
		if !slices.Contains(Outputs(), o) {
			c.problem(fmt.Sprintf("outputs[%d]", i), "there is no output %q; there are %s", o, strings.Join(Outputs(), ", "))
		}
	}
	if _, err := ParseSize(c.Disk.Size); err != nil {
		c.problem("disk.size", "%v", err)
	}
	switch n, err := ParseSize(c.Disk.Swap); {
	case err != nil:
		c.problem("disk.swap", "%v", err)
	case n > maxSwap:
		c.problem("disk.swap", "a swap file has at most %d GiB: it is part of the image's root", maxSwap>>30)
	case n > 0 && c.Wants("tar"):
		c.say(Warning, "disk.swap", "the output tar has the swap file's beginning only: make it whole where it is unpacked")
	}
}

// maxSwap bounds a swap file, bytes.
const maxSwap = 64 << 30

// ParseSize reads sizes such as 512MiB or 4GiB, in bytes; "" is 0.
func ParseSize(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	for unit, shift := range map[string]int{"MiB": 20, "GiB": 30, "TiB": 40} {
		if n, ok := strings.CutSuffix(s, unit); ok {
			v, err := strconv.ParseInt(strings.TrimSpace(n), 10, 32)
			if err == nil && v > 0 && v < 1<<(62-shift) {
				return v << shift, nil
			}
		}
	}
	return 0, fmt.Errorf("%q is no size; sizes are such as 512MiB or 4GiB", s)
}
