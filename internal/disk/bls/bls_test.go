package bls

import (
	"io/fs"
	"path"
	"strings"
	"testing"
)

// files is a guest: contents by path.
type files map[string]string

func (f files) ReadFile(name string, _ int64) ([]byte, error) {
	if s, ok := f[name]; ok {
		return []byte(s), nil
	}
	return nil, fs.ErrNotExist
}

func (f files) Glob(pattern string) (list []string, err error) {
	for name := range f {
		if ok, err := path.Match(pattern, name); err != nil {
			return nil, err
		} else if ok {
			list = append(list, name)
		}
	}
	return list, nil
}

const fedora = "title Fedora Linux (6.9.1-200.fc40.x86_64) 40\nversion 6.9.1-200.fc40.x86_64\nlinux /vmlinuz-6.9.1\ninitrd /initramfs-6.9.1.img $tuned_initrd\noptions root=UUID=1 ro $tuned_params\ngrub_arg --unrestricted\n"

func TestEntries(t *testing.T) {
	f := files{
		"/boot/loader/entries/a-6.9.1-200.fc40.x86_64.conf":  fedora,
		"/boot/loader/entries/a-6.10.3-200.fc40.x86_64.conf": strings.ReplaceAll(fedora, "6.9.1", "6.10.3"),
		"/boot/loader/entries/a-0-rescue.conf":               "# of systemd's kind\ntitle\tRescue\nlinux /a/0/linux\ninitrd /a/0/one\ninitrd /a/0/two\noptions quiet\noptions root=UUID=1\n",
		"/efi/loader/entries/x.conf":                         "linux /x\n",
		"/boot/vmlinuz-6.10.3":                               "", "/boot/a/0/linux": "", "/other": "",
	}
	list := List(f)
	if len(list) != 3 || list[0].Version != "6.10.3-200.fc40.x86_64" || list[2].ID != "a-0-rescue" || list[2].Version != "a-0-rescue" || list[0].Boot != "/boot" {
		t.Fatalf("%+v", list)
	}
	e := list[2]
	if e.Title != "Rescue" || strings.Join(e.Initrds, " ") != "/a/0/one /a/0/two" || e.Options != "quiet root=UUID=1" || e.Find(f, e.Linux) != "/boot/a/0/linux" || e.Find(f, "/other") != "/other" || e.Find(f, "/none") != "" {
		t.Errorf("%+v", e)
	}
	e.Options, e.Linux = "ro", "/boot/a/0/linux"
	if got := e.Text(); got != "# of systemd's kind\ntitle\tRescue\nlinux /boot/a/0/linux\ninitrd /a/0/one /a/0/two\noptions ro\n" {
		t.Errorf("%q", got)
	}
	if e = Parse("/boot/loader/entries/b.conf", "linux /k"); e.Text() != "linux /k\n" {
		t.Errorf("%q", e.Text())
	}
	if e.Options = "ro"; e.Text() != "linux /k\noptions ro\n" {
		t.Errorf("%q", e.Text())
	}
	for text, want := range map[string]string{"title Bob's\n": "'", "options a;b\n": ";", fedora: ""} {
		if got := Parse("x", text).Strange(); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestCompare(t *testing.T) {
	for _, c := range [][2]string{{"6.10.3-200", "6.9.1-200"}, {"5.14.0-362.el9", "5.14.0-70.el9"}, {"6.1.0-10", "6.1.0-9"}, {"6.1", "0-rescue"}, {"6.1.1", "6.1"}, {"b", "a"}} {
		if Compare(c[0], c[1]) <= 0 || Compare(c[1], c[0]) >= 0 || Compare(c[0], c[0]) != 0 {
			t.Errorf("%q", c)
		}
	}
}

func TestEnv(t *testing.T) {
	block := envMark + "saved_entry=a-6.9.1\nkernelopts=root=UUID=1 ro \nx=a\\\\b\\\nc\n"
	block += strings.Repeat("#", envSize-len(block))
	e := ParseEnv([]byte(block))
	if e.Get("saved_entry") != "a-6.9.1" || e.Get("x") != "a\\b\nc" || e.Get("none") != "" {
		t.Fatalf("%+v", e)
	}
	if b, err := e.Bytes(); err != nil || string(b) != block {
		t.Errorf("%q, %v", b, err)
	}
	e.Set(KernelOpts, "ro quiet")
	b, err := e.Bytes()
	if err != nil || len(b) != envSize || !strings.Contains(string(b), "\nkernelopts=ro quiet\nx=") {
		t.Errorf("%q, %v", b, err)
	}
	e.Set(KernelOpts, strings.Repeat("x", envSize))
	if _, err := e.Bytes(); err == nil || !strings.Contains(err.Error(), "1024 bytes") {
		t.Error(err)
	}
	if ParseEnv([]byte("saved_entry=x\n")) != nil {
		t.Error("a block without its mark was read")
	}
	f := files{"/boot/grub2/grubenv": block, "/boot/grub2/grub.cfg": "  set kernelopts=\"root=UUID=2 rhgb \"\n"}
	if v := Variables(f); v["kernelopts"] != "root=UUID=1 ro " || Expand("$kernelopts $tuned ${saved_entry}x", v) != "root=UUID=1 ro a-6.9.1x" {
		t.Errorf("%q", v)
	}
	delete(f, "/boot/grub2/grubenv")
	if v := Variables(f); v["kernelopts"] != "root=UUID=2 rhgb" {
		t.Errorf("%q", v)
	}
	if !Uses("a $kernelopts", KernelOpts) || !Uses("${kernelopts}", KernelOpts) || Uses("$kernelopts2 kernelopts", KernelOpts) {
		t.Error("Uses")
	}
}

func TestMenu(t *testing.T) {
	got := string(Menu{Boot: "/boot", Entries: "/boot/efi", Serial: true, KernelOpts: `a "b" $c`, Fallback: "menuentry x {\n}\n"}.Config())
	for _, want := range []string{"set boot=\"($root)/boot\"\n", "for file in ($root)/boot/efi/loader/entries/*.conf; do\n", "serial --unit=0", `set kernelopts="a \"b\" \$c"`, "\tinsmod linux16\nmenuentry x {\n}\nfi\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q lacks in %s", want, got)
		}
	}
	if got = string(Menu{}.Config()); strings.Contains(got, "@") && strings.Contains(got, "@BOOT@") || strings.Contains(got, "serial --unit") || strings.Contains(got, "set kernelopts") {
		t.Error(got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("title a\nlinux /b\ninitrd /c $d\noptions $kernelopts ro\n")
	f.Add(envMark + "kernelopts=a\\\\\n####")
	f.Fuzz(func(t *testing.T, text string) {
		e := Parse("/boot/loader/entries/x.conf", text)
		again := Parse(e.Path, e.Text())
		if again.Linux != e.Linux || strings.Join(strings.Fields(again.Options), " ") != strings.Join(strings.Fields(e.Options), " ") {
			t.Errorf("%q: %+v", e.Text(), again)
		}
		if env := ParseEnv([]byte(text)); env != nil {
			if b, err := env.Bytes(); err == nil && len(ParseEnv(b).names) > len(env.names) {
				t.Errorf("%q", b)
			}
		}
		_ = Expand(text, map[string]string{"a": "$a"})
		_ = Compare(text, e.Options)
	})
}
