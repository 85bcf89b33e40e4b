package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/ganeti"
	"hearth/internal/disk/osdef"
)

// TestRefusedEarly has what cannot be done be told before the work, with what to do.
func TestRefusedEarly(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("XDG_CACHE_HOME", dir)
	if err := os.Mkdir("folder", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"raw": bytes.Repeat([]byte("data"), 1<<18), "a.tar": tarOf(t, "etc/motd", "welcome\n"), "text": []byte("hello\n")} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]string{
		"image shrink raw -o made --to foo":                 "images are made as raw, qcow2, vmdk, vdi, vhd or vhdx, not as foo",
		"image boot-test raw --initrd text":                 "--initrd is the ramdisk of --kernel: name both",
		"image boot-test raw --append quiet":                "--append is the command line of --kernel: name both",
		"image boot-test raw --memory -4":                   "a guest of -4 MiB of memory cannot be started",
		"image boot-test raw --report text/x":               "the reports cannot be written",
		"image catalog --file missing":                      "no such file",
		"bake ember --suite trixie --out made":              "--suite is of the recipe debian: leave it out for ember",
		"bake ember --init systemd --out made":              "--init is of the recipe debian",
		"bake ember --stage3 a.tar --out made":              "--stage3 is of the recipes gentoo and tarball",
		"bake debian --kernel text --out made":              "--kernel is of the recipes gentoo and tarball",
		"bake ember --overlay folder --out made":            "--overlay is of the recipes debian, gentoo and tarball",
		"bake ember --cpu max --out made":                   "--cpu is for --from-installer",
		"bake gentoo --out made --user a:b --stage3 a.tar":  `"a:b" is no name for a user`,
		"bake ember --from-installer x --answers text":      "--from-installer takes no recipe: leave ember out",
		"bake lint folder":                                  "folder has neither recipe.yaml nor config.xml: 'hearth bake init' makes one to begin with",
		"bake publish text --dir made":                      "text is no manifest of hearth bake: invalid character",
		"deploy --image folder --disk made --size 1G":       "folder is a folder without config.ini, no export of 'gnt-backup'",
		"deploy --image a.tar --disk made --memory 64":      "is not there; say with --size how large it is to be",
		"ganeti export-dir --name a --memory 1 folder made": "folder is a folder: name the file of an image",
		"ganeti export-dir --name a --memory 1 raw folder":  "folder is there already; choose another name",
	} {
		root := newRoot()
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		err := run(t.Context(), root, strings.Fields(args+" --data "+dir))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
		if _, err := os.Lstat("made"); err == nil {
			t.Errorf("%s made it", args)
			_ = os.RemoveAll("made")
		}
	}
}

// TestExportDirOfARelativeName has a whole disk be exported that is named from this folder.
func TestExportDirOfARelativeName(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("raw", bytes.Repeat([]byte("data"), 1<<18), 0o600); err != nil {
		t.Fatal(err)
	}
	err := ganeti.WriteExport(t.Context(), &disk.Runner{}, "export", "raw", "web1", "hearth+default", 1<<20, &osdef.Definition{Name: "default"}, io.Discard)
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join("export", "config.ini")); err != nil {
		t.Error(err)
	}
}
