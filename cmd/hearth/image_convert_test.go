package main

import (
	"archive/tar"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tarOf is an archive of one file.
func tarOf(t *testing.T, name, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Format: tar.FormatPAX}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// fileIn is a file of an archive.
func fileIn(t *testing.T, archive io.Reader, name string) string {
	t.Helper()
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimPrefix(h.Name, "./") == name {
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
	}
}

// TestConvertStreamsOfFiles reads an archive from standard input and from an address, and
// writes one to standard output.
func TestConvertStreamsOfFiles(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	source := tarOf(t, "etc/motd", "welcome\n")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(source) }))
	defer server.Close()
	convert := func(in io.Reader, args ...string) (string, string, error) {
		var out, told bytes.Buffer
		cmd := newConvert()
		cmd.SetArgs(args)
		cmd.SetIn(in)
		cmd.SetOut(&out)
		cmd.SetErr(&told)
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		err := cmd.ExecuteContext(t.Context())
		return out.String(), told.String(), err
	}
	for _, from := range []string{"-", server.URL + "/system.tar"} {
		out, told, err := convert(bytes.NewReader(source), from, "--to", "tar", "-o", "-")
		if err != nil || !strings.Contains(told, "standard output  tar, from tar") {
			t.Fatalf("%s: %v, %s", from, err, told)
		}
		if got := fileIn(t, strings.NewReader(out), "etc/motd"); got != "welcome\n" {
			t.Errorf("%s: %q", from, got)
		}
	}
	t.Chdir(t.TempDir())
	if _, _, err := convert(nil, server.URL+"/system.tar.gz", "--to", "tar"); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("system.tar")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := fileIn(t, f, "etc/motd"); got != "welcome\n" {
		t.Errorf("%q", got)
	}
	for want, args := range map[string][]string{"several files": {"-", "--to", "dump", "-o", "-"}, "say with --out": {"-", "--to", "tar"}, "is there already": {"-", "--to", "tar", "-o", "system.tar"}} {
		if _, _, err := convert(bytes.NewReader(source), args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// untouched is a stream that must not be read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("it was read")
	return 0, io.EOF
}

// TestConvertRefusesBeforeItReads has what is there already be told before a stream is fetched.
func TestConvertRefusesBeforeItReads(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked for") }))
	defer server.Close()
	t.Chdir(t.TempDir())
	for there, args := range map[string][]string{"x.tar": {"-o", "x.tar"}, "x.qcow2": {"-o", "x.qcow2"}, "x.ext4": {"--to", "ami", "-o", "x"}, "x-root.dump": {"--to", "dump", "-o", "x"}} {
		if err := os.WriteFile(there, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, from := range []string{"-", server.URL + "/system.tar"} {
			cmd := newConvert()
			cmd.SetArgs(append(args, from))
			cmd.SetIn(untouched{t})
			cmd.SetOut(io.Discard)
			cmd.SetErr(io.Discard)
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), there+" is there already") {
				t.Errorf("%s: %v", there, err)
			}
		}
	}
}
