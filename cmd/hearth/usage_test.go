package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestMisused has commands that are not said as they are used fail, with what to do.
func TestMisused(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"image foo", "there is no 'hearth image foo' ('hearth image --help' lists what there is)"},
		{"image convrt x", "there is no 'hearth image convrt'; did you mean convert? ('hearth image --help'"},
		{"--data /x os-def overlay ptu", "did you mean put?"},
		{"ganeti --data /x foo", "there is no 'hearth ganeti foo'"},
		{"image inspect", "it is 'hearth image inspect FILE', but 0 arguments were given ('hearth image inspect --help' says more)"},
		{"image grow x", "it is 'hearth image grow FILE SIZE', but 1 arguments"},
		{"os-def import", "it is 'hearth os-def import FILE…', but 0 arguments"},
		{"image inspect --foo x", "unknown flag: --foo ('hearth image inspect --help' lists what it takes)"},
		{"deploy", `required flag(s) "disk" not set ('hearth deploy --help'`},
		{"deploy foo --disk x", `no argument belongs here: "foo" for "hearth deploy" ('hearth deploy --help'`},
	} {
		err := run(t.Context(), newRoot(), strings.Fields(tt.args))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.args, err, tt.want)
		}
	}
	for _, args := range []string{"image", "image --help", "ganeti --data /x", "help image"} {
		var out bytes.Buffer
		root := newRoot()
		root.SetOut(&out)
		if err := run(t.Context(), root, strings.Fields(args)); err != nil || !strings.Contains(out.String(), "Usage:") {
			t.Errorf("%s: %v, %s", args, err, out.String())
		}
	}
}
