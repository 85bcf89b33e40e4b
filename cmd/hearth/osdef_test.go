package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/config"
)

// TestOSDefImport takes the files of ganeti-instance-image as people have them, into a
// folder.
func TestOSDefImport(t *testing.T) {
	t.Setenv("OS_CLOUD", "")
	t.Setenv("OS_AUTH_URL", "")
	dir, files := t.TempDir(), t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(files, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	run := func(args ...string) (string, error) {
		cfg := config.Default()
		cmd := newOSDef(&cfg)
		var out strings.Builder
		cmd.SetArgs(append([]string{"--dir", dir}, args...))
		cmd.SetOut(&out)
		cmd.SetErr(io.Discard)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	base := write("ganeti-instance-image", "# defaults\r\nexport IMAGE_TYPE=\"tarball\" # as we have them\r\n\r\nSWAP='no'; RACK=b7\r\n")
	web := write("web.conf", "IMAGE_NAME=debian-12\nRACK=\"$RACK-web\"")
	if _, err := run("import", base); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the same is no new version
		if _, err := run("import", "--base", base, web); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"default/1.yaml": "SWAP: \"no\"", "web/1.yaml": "RACK: b7-web"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(b), text) {
			t.Errorf("%s: %s, %v", name, b, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*/*")); len(left) != 2 {
		t.Errorf("%v", left)
	}
	for want, args := range map[string][]string{
		"line 1":                    {"import", write("shell.conf", "IMAGE_NAME=$(cat /etc/hostname)")},
		"is no name":                {"import", write("grün.conf", "SWAP=no")},
		`"../x" is no name`:         {"import", "--name", "../x", web},
		"SWAP_SIZE":                 {"import", web, write("big.conf", "SWAP_SIZE='a lot'")},
		"is a directory":            {"import", files},
		"at most":                   {"import", write("huge.conf", strings.Repeat("#\n", 1<<20))},
		"--project is for":          {"--project", "demo", "list"},
		"there is no definition no": {"show", "no"},
	} {
		if out, err := run(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, %s", args, err, out)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*/*")); len(left) != 2 {
		t.Errorf("of what was refused something is there: %v", left)
	}
}
