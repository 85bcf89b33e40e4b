package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// folder has scripts; a name that ends in ! is not executable.
func folder(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range scripts {
		mode := os.FileMode(0o755)
		if strings.HasSuffix(name, "!") {
			name, mode = name[:len(name)-1], 0o644
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestList(t *testing.T) {
	dir := folder(t, map[string]string{"10-ssh": "", "grub.sh": "", "interfaces": "", "x~": "", "zz_ddns": ""})
	run, skipped, err := List(dir)
	if err != nil || len(run) != 3 || len(skipped) != 2 {
		t.Fatalf("%v, %v, %v", run, skipped, err)
	}
	if skipped[0].Name != "grub.sh" || skipped[1].Name != "x~" {
		t.Errorf("%v", skipped)
	}
	if parts, err := exec.LookPath("run-parts"); err == nil { // the real one thinks the same
		out, err := exec.Command(parts, "--test", dir).Output()
		if err != nil || strings.TrimSpace(string(out)) != strings.Join(run, "\n") {
			t.Errorf("run-parts: %s, %v; here %v", out, err, run)
		}
	}
	run, skipped, err = List(folder(t, map[string]string{"plain!": ""}))
	if err != nil || len(run) != 0 || len(skipped) != 1 {
		t.Errorf("%v, %v, %v", run, skipped, err)
	}
	if run, skipped, err := List(filepath.Join(dir, "none")); err != nil || len(run)+len(skipped) > 0 {
		t.Errorf("%v, %v, %v", run, skipped, err)
	}
}

// may tells whether this machine lets a user make namespaces.
func may(t *testing.T, dir string) {
	t.Helper()
	err := Run(context.Background(), Job{Path: "/bin/true"})
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("this machine lets nobody make user namespaces: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestRun(t *testing.T) {
	may(t, "")
	dir := folder(t, map[string]string{
		"env":    `env | sort; echo "I am $(id -u), process $$" >&2`,
		"fail":   `i=0; while [ $i -lt 80 ]; do echo "line $i"; i=$((i+1)); done; echo "no room" >&2; exit 3`,
		"daemon": `sleep 86413 & exit 0`,
		"hang":   `sleep 86414 & sleep 86415`,
		"write":  `echo made > "$TARGET/file"`,
	})
	at := func(name string) string { return filepath.Join(dir, name) }
	ctx := context.Background()
	var out bytes.Buffer
	if err := Run(ctx, Job{Path: at("env"), Env: []string{"TARGET=/t", "IMAGE_TYPE=dump"}, Log: &out}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"TARGET=/t\n", "IMAGE_TYPE=dump\n", "PATH=", "I am 0, process 1\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q lacks in %s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "HOME=") {
		t.Errorf("the environment of this process is handed on: %s", out.String())
	}
	err := Run(ctx, Job{Path: at("fail")})
	var failed *Failed
	if !errors.As(err, &failed) || !strings.HasSuffix(failed.Tail, "line 79\nno room") || strings.Count(failed.Tail, "\n") != 49 || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%v", err)
	}
	target := t.TempDir()
	if err := Run(ctx, Job{Path: at("write"), Env: []string{"TARGET=" + target}}); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(filepath.Join(target, "file")); string(b) != "made\n" {
		t.Errorf("%q, %v", b, err)
	}
	begin := time.Now()
	if err := Run(ctx, Job{Path: at("daemon")}); err != nil {
		t.Errorf("a script that leaves something running: %v", err)
	}
	if err := Run(ctx, Job{Path: at("hang"), Limit: 100 * time.Millisecond}); !errors.As(err, &failed) || !strings.Contains(failed.Why, "100ms") {
		t.Errorf("%v", err)
	}
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("both took %s", took)
	}
	for _, arg := range []string{"86413", "86414", "86415"} {
		if running(arg) {
			t.Errorf("sleep %s still runs", arg)
		}
	}
	if err := Run(ctx, Job{Path: at("none")}); err == nil {
		t.Error("a script that is not there")
	}
}

// running looks for a process with an argument.
func running(arg string) bool {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range all {
		if b, _ := os.ReadFile(p); bytes.Equal(b, fmt.Appendf(nil, "sleep\x00%s\x00", arg)) {
			return true
		}
	}
	return false
}

// TestAlone has a script that sees the host's programs and its folder, and can harm
// neither the programs nor what links of a guest's tree name.
func TestAlone(t *testing.T) {
	may(t, "")
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.WriteFile(outside, []byte("kept\n"), 0o644), os.Symlink(outside, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "10-site")
	text := `#!/bin/sh
echo made > made
id -u; pwd; ls -d /proc/1 /dev/null /usr/bin/id
cat link && echo "READ IT"
echo spoilt > link && echo "WROTE IT"
touch /usr/spoilt && echo "WROTE /usr"
cat /etc/shadow && echo "READ shadow"
ls -a / >&2
kill -0 ` + fmt.Sprint(os.Getpid()) + ` && echo "SAW IT"
exit 0
`
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Run(context.Background(), Job{Path: script, Dir: dir, Alone: true, Log: &out}); err != nil {
		t.Fatal(err, out.String())
	}
	for _, bad := range []string{"READ IT", "WROTE IT", "WROTE /usr", "READ shadow", "SAW IT"} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("%s:\n%s", bad, out.String())
		}
	}
	for _, want := range []string{"0\n" + dir + "\n", "/proc/1\n", "/dev/null\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q lacks in\n%s", want, out.String())
		}
	}
	if b, err := os.ReadFile(outside); err != nil || string(b) != "kept\n" {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "made")); err != nil || string(b) != "made\n" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := os.Stat("/usr/spoilt"); err == nil {
		os.Remove("/usr/spoilt")
		t.Error("/usr was written")
	}
}
