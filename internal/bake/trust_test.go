package bake

import (
	"os"
	"strings"
	"testing"

	"hearth/internal/bake/recipe"
)

// TestTrust: keys that are named are used; Ubuntu's signatures are never left unchecked.
func TestTrust(t *testing.T) {
	if got, err := trust(recipe.Base{Bootstrap: "debian"}, ""); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := trust(recipe.Base{Bootstrap: "debian"}, "/r/k.gpg"); err != nil || strings.Join(got, " ") != "--keyring=/r/k.gpg" {
		t.Errorf("%q, %v", got, err)
	}
	got, err := trust(recipe.Base{Bootstrap: "ubuntu"}, "/r/k.gpg")
	if err != nil || strings.Join(got, " ") != "--keyring=/r/k.gpg "+mergedUsr {
		t.Errorf("%q, %v", got, err)
	}
	_, missing := os.Stat(ubuntuKeys)
	if _, err := trust(recipe.Base{Bootstrap: "ubuntu"}, ""); (err == nil) != (missing == nil) {
		t.Error(err)
	}
}
