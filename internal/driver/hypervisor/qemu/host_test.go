package qemu

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/qmp"
)

func TestChoose(t *testing.T) {
	for name, c := range map[string]struct {
		setting  string
		found    measurement
		openable bool
		accel    string
		says     string
	}{
		"hardware":             {"auto", measurement{Rate: 1.2e9}, true, "kvm", "1200 million"},
		"an emulator":          {"auto", measurement{Rate: 0.79e6}, true, "tcg", "0.79 million"},
		"did not finish":       {"", measurement{}, true, "tcg", "0 million"},
		"no device":            {"auto", measurement{Problem: "there is no /dev/kvm"}, false, "tcg", "there is no"},
		"guests may not":       {"auto", measurement{Rate: 1.2e9}, false, "tcg", "may not open"},
		"just below":           {"auto", measurement{Rate: 49e6}, true, "tcg", "49 million"},
		"told to, fast or not": {"kvm", measurement{Rate: 1}, false, "kvm", "configuration"},
		"told not to":          {"tcg", measurement{Rate: 2e9}, true, "tcg", "configuration"},
	} {
		got, _, err := choose(c.setting, func() measurement { return c.found }, c.openable)
		if err != nil || got.accel != c.accel || !strings.Contains(got.reason, c.says) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if c.setting != "kvm" && c.setting != "tcg" && (got.accel == "tcg") != (got.warning != "") {
			t.Errorf("%s: warning %q", name, got.warning)
		}
	}
	if _, _, err := choose("xen", nil, true); err == nil {
		t.Error("xen was accepted")
	}
}

func TestHopeless(t *testing.T) {
	for _, c := range []struct {
		err  error
		says string
	}{
		{&os.PathError{Op: "open", Path: kvmDevice, Err: os.ErrNotExist}, "firmware"},
		{&os.PathError{Op: "open", Path: kvmDevice, Err: os.ErrPermission}, "group"},
		{errors.New("odd"), "odd"},
	} {
		if got := hopeless(c.err); !strings.Contains(got, c.says) {
			t.Errorf("%v: %q", c.err, got)
		}
	}
}

func TestSpeedIsMeasuredOncePerBoot(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	times := 0
	measure := func() measurement { times++; return measurement{Rate: 5e8} }
	for range 2 {
		if m := remembered(dir, "boot-1", measure, log); m.Rate != 5e8 || times != 1 {
			t.Errorf("%+v after %d measurements", m, times)
		}
	}
	remembered(dir, "boot-2", measure, log)
	if times != 2 {
		t.Errorf("another boot: %d measurements", times)
	}
	if err := os.WriteFile(filepath.Join(dir, cacheFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	remembered(dir, "boot-2", measure, log)
	remembered(filepath.Join(dir, "none"), "boot-2", measure, log)
	if times != 4 {
		t.Errorf("broken and missing cache: %d measurements", times)
	}
	other := t.TempDir()
	for range 2 {
		remembered(other, "boot-1", func() measurement { times++; return measurement{Problem: "no device"} }, log)
	}
	if times != 6 {
		t.Error("a problem that may be mended was remembered")
	}
}

func TestTrim(t *testing.T) {
	for _, size := range []int{0, 1000, 100_000, 100_001, 1_000_000} {
		path := filepath.Join(t.TempDir(), "console.log")
		var text bytes.Buffer
		for i := 0; text.Len() < size; i++ {
			text.WriteString(strings.Repeat(string(rune('a'+i%26)), 99) + "\n")
		}
		text.Truncate(size)
		if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		writer, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := trim(path, 100_000); err != nil {
			t.Fatal(err)
		}
		writer.WriteString("the end")
		writer.Close()
		got, _ := os.ReadFile(path)
		if size <= 100_000 && len(got) != size+7 || size > 100_000 && (len(got) > 60_000 || len(got) < 50_000) {
			t.Errorf("%d bytes became %d", size, len(got))
		}
		if !bytes.HasSuffix(append(text.Bytes(), "the end"...), got) {
			t.Errorf("%d bytes: what is left is not the tail", size)
		}
	}
	if err := trim(filepath.Join(t.TempDir(), "none"), 1); err != nil {
		t.Errorf("no log: %v", err)
	}
}

func TestRewrite(t *testing.T) {
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "log"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WriteString("0123456789")
	if err := rewrite(f, 7); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(f.Name()); string(got) != "789" {
		t.Errorf("got %q", got)
	}
}

func TestUsers(t *testing.T) {
	u := newUsers(UserRange{First: 0x70000000, Count: 2})
	u.drop = true
	a, freeA, err1 := u.take("guest")
	b, _, err2 := u.take("guest")
	if err1 != nil || err2 != nil || a == b || a>>1 != 0x70000000>>1 || b>>1 != 0x70000000>>1 {
		t.Fatalf("%d, %v; %d, %v", a, err1, b, err2)
	}
	if _, _, err := u.take("guest"); !errors.Is(err, errNoUser) {
		t.Errorf("a third of two: %v", err)
	}
	freeA()
	if again, _, err := u.take("guest"); err != nil || again != a {
		t.Errorf("got %d, %v; want %d again", again, err, a)
	}
	busy := newUsers(UserRange{First: uint32(os.Getuid()), Count: 1})
	busy.drop = true
	if _, _, err := busy.take("guest"); !errors.Is(err, errNoUser) {
		t.Errorf("a user with processes was given away: %v", err)
	}
}

func TestMapped(t *testing.T) {
	for uidMap, want := range map[string]bool{
		"         0          0 4294967295\n": true,
		"         0     100000      65536\n": false,
		"0 1000 1\n1 100000 4000000000\n":    true,
		"":                                   false,
		"junk\n":                             false,
	} {
		if got := mapped(uidMap, DefaultUsers); got != want {
			t.Errorf("%q: %v", uidMap, got)
		}
	}
}

func TestParseAnswers(t *testing.T) {
	if v := parseVersion("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright"); v != "7.2.22" {
		t.Errorf("version %q", v)
	}
	if v := parseVersion("something else"); v != "" {
		t.Errorf("version %q", v)
	}
	for text, want := range map[string]string{
		"Supported machines are:\nmicrovm  microvm (i386)\npc    Standard PC (alias of pc-i440fx-7.2)\nq35  Standard PC\n": "pc",
		"Supported machines are:\nq35  RHEL-9 PC (Q35 + ICH9, 2009)\nnone  empty machine\n":                                "q35",
	} {
		if got, err := pickMachine(parseMachines(text)); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := pickMachine(parseMachines("Supported machines are:\nvirt  ARM\n")); !cloud.Is(err, cloud.Unavailable) {
		t.Errorf("ARM: %v", err)
	}
	if _, err := findBinary("/nonexistent/qemu"); !cloud.Is(err, cloud.Unavailable) || !contains(err, "/nonexistent/qemu") {
		t.Errorf("no binary: %v", err)
	}
}

func TestTranslate(t *testing.T) {
	for _, c := range []struct {
		name, data string
		kind       hypervisor.EventKind
		reason     string
	}{
		{"SHUTDOWN", `{"guest": true, "reason": "guest-shutdown"}`, hypervisor.EventShutdown, hypervisor.ReasonGuestShutdown},
		{"RESET", `{"guest": false, "reason": "host-qmp-system-reset"}`, hypervisor.EventReset, hypervisor.ReasonHostReset},
		{"STOP", ``, hypervisor.EventPaused, ""},
		{"SHUTDOWN", `[]`, hypervisor.EventShutdown, ""},
		{"BLOCK_IO_ERROR", `{"node-name": "disk-root", "reason": "No space left on device"}`, hypervisor.EventIOError, "disk-root: No space left on device"},
	} {
		got, ok := translate(qmp.Event{Name: c.name, Data: []byte(c.data)})
		if !ok || got.Kind != c.kind || got.Reason != c.reason {
			t.Errorf("%s %s: %+v, %v", c.name, c.data, got, ok)
		}
	}
	if _, ok := translate(qmp.Event{Name: "RTC_CHANGE"}); ok {
		t.Error("RTC_CHANGE is nobody's concern")
	}
}

func TestSocketsInDeepDirectories(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("a", 120), strings.Repeat("b", 120))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second takes the place of the first one's leftover
		f, err := listen(dir, "s")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := connect(t.Context(), dir, "s")
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		f.Close()
	}
}

func TestTailOfALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "qemu.log")
	os.WriteFile(path, []byte("an older life\n"), 0o600)
	l, err := openLog(path, "hearth: a start\n")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.WriteString("2026-11-20T10:00:00.000000Z qemu-system-x86_64: -drive: no\nqemu-kvm: such file\n")
	if got := l.tail(); got != "-drive: no; such file" {
		t.Errorf("got %q", got)
	}
}

func TestKVMIsMeasured(t *testing.T) {
	real(t)
	m := measureKVM()
	t.Logf("%+v", m)
	if m.Problem == "" && m.Rate < 0 || m.Problem != "" && m.Rate != 0 {
		t.Errorf("%+v", m)
	}
	known := []string{"kvm", "tcg"}
	if c, _, err := choose("auto", func() measurement { return m }, openable(os.Geteuid() == 0)); err != nil || !slices.Contains(known, c.accel) {
		t.Errorf("%+v, %v", c, err)
	}
}
