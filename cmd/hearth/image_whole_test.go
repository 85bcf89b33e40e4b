package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"hearth/internal/disk"
)

// TestImagesThatAreNotWhole has what is empty or cut short be named by whatever would work on
// it, and left as it is.
func TestImagesThatAreNotWhole(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, content := range map[string][]byte{"empty": nil, "raw": bytes.Repeat([]byte("data"), 1<<20)} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := &disk.Runner{}
	err := run.Convert(t.Context(), disk.Layer{Path: filepath.Join(dir, "raw"), Format: disk.Raw}, disk.Target{Path: filepath.Join(dir, "cut"), Format: disk.QCOW2}, nil)
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err == nil {
		err = os.Truncate("cut", 2<<20)
	}
	if err != nil {
		t.Fatal(err)
	}
	was, err := os.ReadFile("cut")
	if err != nil {
		t.Fatal(err)
	}
	commands := map[string]func() *cobra.Command{"convert": newConvert, "shrink": newShrink, "grow": newGrow, "inject": newInject, "sysprep": newSysprep}
	for _, tt := range []string{"convert FILE --to vmdk -o made", "convert FILE --to qcow2 -o made", "convert FILE --to raw -o made", "convert FILE --to ami -o made", "convert FILE --shrink -o made",
		"shrink FILE", "grow FILE 1G", "grow FILE +1G", "grow FILE 1G -o made", "inject FILE --hostname a", "sysprep FILE"} {
		for file, want := range map[string]string{"empty": "is empty: a download or a conversion of it may have failed", "cut": "is cut short"} {
			verb, args, _ := strings.Cut(strings.ReplaceAll(tt, "FILE", file), " ")
			cmd := commands[verb]()
			cmd.SetArgs(strings.Fields(args))
			cmd.SetOut(&bytes.Buffer{})
			cmd.SetErr(&bytes.Buffer{})
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s %s: %v, want %q", verb, args, err, want)
			}
			if left, _ := filepath.Glob("made*"); len(left) > 0 {
				t.Fatalf("%s %s made %v", verb, args, left)
			}
		}
	}
	if is, err := os.ReadFile("cut"); err != nil || !bytes.Equal(is, was) {
		t.Errorf("the image was changed: %v", err)
	}
}
