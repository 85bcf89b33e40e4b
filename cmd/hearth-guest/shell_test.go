package main

import (
	"slices"
	"testing"
)

func TestShellNames(t *testing.T) {
	for arg0, want := range map[string]string{"hearth-shell": "sh", "-hearth-shell": "-sh", "/bin/hearth-shell": "sh"} {
		if !isShell(arg0) || shellArg0(arg0) != want {
			t.Errorf("%s: %v, %s", arg0, isShell(arg0), shellArg0(arg0))
		}
	}
	for _, arg0 := range []string{"hearth-guest", "sudo", "sh", "/bin/hearth-shell/x"} {
		if isShell(arg0) {
			t.Errorf("%s is no shell", arg0)
		}
	}
	if env := withoutShell([]string{"A=b", "SHELL=/bin/hearth-shell", "HOME=/"}); !slices.Equal(env, []string{"A=b", "HOME=/"}) {
		t.Error(env)
	}
}
