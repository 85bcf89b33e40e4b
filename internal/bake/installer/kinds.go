package installer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"hearth/internal/bake/cpio"
)

// Kinds of answers.
const (
	Preseed     = "preseed"
	Kickstart   = "kickstart"
	AutoYaST    = "autoyast"
	Autoinstall = "autoinstall"
)

// Kinds lists them all.
func Kinds() []string { return []string{Preseed, Kickstart, AutoYaST, Autoinstall} }

// kind is how the installers that take one kind of answers are started.
type kind struct {
	kernels, ramdisks []string // where they lie, in a folder or an ISO
	// ramdiskName is what the answers are called in the ramdisk; "": they are not there.
	ramdiskName string
	// label is that of the volume with the answers; "": there is none.
	label string
	files func(answers []byte) map[string][]byte // of the volume
	// arguments are the kernel's. source is the web folder that the installer was
	// fetched from; "" for an ISO or a folder here.
	arguments func(source string) string
	memoryMB  int
}

// serial has the kernel and the installer speak on the serial line.
const serial = "console=ttyS0,115200n8"

// kinds is the table. Sources: Debian GNU/Linux Installation Guide, appendix B
// (preseed.cfg in the ramdisk's root is read by itself; auto, priority, and DEBIAN_FRONTEND of
// 5.3.1); Anaconda's boot options (inst.ks, inst.text, inst.cmdline, inst.repo) and its
// OEMDRV volume; AutoYaST Guide, "Invoking the auto-installation process" (autoyast=label://,
// install=, textmode); Ubuntu Server's "Introduction to autoinstall" (autoinstall, and
// cloud-init's NoCloud volume CIDATA).
func kinds() map[string]kind {
	return map[string]kind{
		Preseed: {kernels: []string{"linux", "debian-installer/amd64/linux", "install.amd/vmlinuz", "install/vmlinuz"},
			ramdisks:    []string{"initrd.gz", "debian-installer/amd64/initrd.gz", "install.amd/initrd.gz", "install/initrd.gz"},
			ramdiskName: "preseed.cfg", memoryMB: 1024,
			arguments: func(string) string {
				return "auto=true priority=critical DEBIAN_FRONTEND=text " + serial + " ---"
			}},
		Kickstart: {kernels: []string{"images/pxeboot/vmlinuz", "vmlinuz"}, ramdisks: []string{"images/pxeboot/initrd.img", "initrd.img"},
			label: "OEMDRV", memoryMB: 3072, files: func(a []byte) map[string][]byte { return map[string][]byte{"ks.cfg": a} },
			arguments: func(source string) string {
				if source != "" {
					source = "inst.repo=" + source + " "
				}
				return source + "inst.ks=hd:LABEL=OEMDRV:/ks.cfg inst.text inst.cmdline inst.sshd=0 " + serial
			}},
		AutoYaST: {kernels: []string{"boot/x86_64/loader/linux", "linux"}, ramdisks: []string{"boot/x86_64/loader/initrd", "initrd"},
			label: "OEMDRV", memoryMB: 2048, files: func(a []byte) map[string][]byte { return map[string][]byte{"autoinst.xml": a} },
			arguments: func(source string) string {
				if source != "" {
					source = "install=" + source + " "
				}
				return source + "autoyast=label://OEMDRV/autoinst.xml textmode=1 " + serial
			}},
		Autoinstall: {kernels: []string{"casper/vmlinuz", "casper/hwe-vmlinuz"}, ramdisks: []string{"casper/initrd", "casper/hwe-initrd"},
			label: "CIDATA", memoryMB: 3072, files: func(a []byte) map[string][]byte {
				return map[string][]byte{"user-data": a, "meta-data": []byte("instance-id: hearth-installer\n")}
			},
			arguments: func(string) string { return "autoinstall ds=nocloud " + serial + " ---" }},
	}
}

// Layouts are the pairs of a kernel's and a ramdisk's name by which folders have an installer.
func Layouts() (out [][2]string) {
	for _, name := range Kinds() {
		k := kinds()[name]
		for i := range min(len(k.kernels), len(k.ramdisks)) {
			out = append(out, [2]string{k.kernels[i], k.ramdisks[i]})
		}
	}
	return out
}

// marks tell the kinds by their text.
var marks = []struct {
	kind string
	text *regexp.Regexp
}{
	{AutoYaST, regexp.MustCompile(`(?s)^\s*(<\?xml.*)?<(profile|!DOCTYPE profile)`)},
	{Autoinstall, regexp.MustCompile(`(?m)^#cloud-config\b[\s\S]*^autoinstall:|^autoinstall:`)},
	{Preseed, regexp.MustCompile(`(?m)^\s*(d-i|tasksel|ubiquity)\s+\S+/\S+\s+\S+`)},
	{Kickstart, regexp.MustCompile(`(?m)^\s*(%packages|bootloader|rootpw|clearpart|autopart|lang|keyboard|timezone)\b`)},
}

// KindOf tells of which kind answers are.
func KindOf(answers []byte) (string, error) {
	for _, m := range marks {
		if m.text.Match(answers) {
			return m.kind, nil
		}
	}
	return "", errors.New("the answers are of no kind that is known here (" + strings.Join(Kinds(), ", ") + "): say which, as KIND=FILE")
}

// maxAnswers bounds a file of answers, bytes.
const maxAnswers = 1 << 20

// ReadAnswers reads answers named FILE or KIND=FILE, where find makes a file's name absolute.
func ReadAnswers(name string, find func(string) string) (kind string, answers []byte, err error) {
	if k, file, ok := strings.Cut(name, "="); ok && CheckKind(k) == nil {
		kind, name = k, file
	}
	if st, err := os.Stat(find(name)); err != nil || !st.Mode().IsRegular() {
		return "", nil, errors.Join(fmt.Errorf("%s is no file of answers", name), err)
	}
	f, err := os.Open(find(name))
	if answers, err = bounded(f, err)(maxAnswers); err != nil {
		return "", nil, err
	}
	if kind == "" {
		kind, err = KindOf(answers)
	}
	return kind, answers, err
}

// CheckKind refuses a kind that is none.
func CheckKind(name string) error {
	if !slices.Contains(Kinds(), name) {
		return fmt.Errorf("there is no kind of answers %q; there are %s", name, strings.Join(Kinds(), ", "))
	}
	return nil
}

// withFile puts a file behind a ramdisk: the kernel unpacks one archive after the other.
func withFile(ramdisk []byte, name string, data []byte) []byte {
	b := bytes.NewBuffer(append([]byte{}, ramdisk...))
	cpio.Pad(b)
	cpio.Entry(b, 721, name, 0o100644, data)
	cpio.End(b)
	return b.Bytes()
}
