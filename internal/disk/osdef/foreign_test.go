package osdef

import (
	"strings"
	"testing"
)

func foreign() *Definition {
	return &Definition{Name: "deb", Foreign: &Foreign{Digest: "sha512:" + strings.Repeat("0f", 64), API: []string{"20"}, Variants: []string{"bookworm", "trixie"}, Scripts: []string{"create", "verify"},
		Parameters: []Parameter{{"filesystem", "of the root"}, {"MIRROR", ""}}}}
}

// TestForeign has a definition of somebody else's checked, and what servers say for it.
func TestForeign(t *testing.T) {
	if err := foreign().Check(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Definition){
		"none of our settings": func(d *Definition) { d.Settings = map[string]string{"SWAP": "no"} },
		"hexadecimal digits":   func(d *Definition) { d.Foreign.Digest = "sha512:../../x" },
		"no script create":     func(d *Definition) { d.Foreign.Scripts = []string{"verify"} },
		"0 versions":           func(d *Definition) { d.Foreign.API = nil },
		"no version of":        func(d *Definition) { d.Foreign.API = []string{"20\nx"} },
		"name of a variant":    func(d *Definition) { d.Foreign.Variants = []string{"../x"} },
		"name of a parameter":  func(d *Definition) { d.Foreign.Parameters = []Parameter{{Name: "A=B"}} },
		"limit is":             func(d *Definition) { d.Foreign.Minutes = -1 },
	} {
		d := foreign()
		if spoil(d); d.Check() == nil || !strings.Contains(d.Check().Error(), want) {
			t.Errorf("%s: %v", want, d.Check())
		}
	}
	variant, all, err := foreign().Foreign.Choose("", map[string]string{"FileSystem": "xfs", "mirror": "a=b\nc"})
	if err != nil || variant != "bookworm" || len(all) != 2 || all["FILESYSTEM"] != "xfs" || all["MIRROR"] != "a=b\nc" {
		t.Errorf("%q, %v, %v", variant, all, err)
	}
	for want, said := range map[string]map[string]string{"there are: FILESYSTEM, MIRROR": {"PATH": "/x"}, "zero byte": {"mirror": "a\x00b"}} {
		if _, _, err := foreign().Foreign.Choose("trixie", said); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", said, err)
		}
	}
	if _, _, err := foreign().Foreign.Choose("sid", nil); err == nil || !strings.Contains(err.Error(), "bookworm, trixie") {
		t.Error(err)
	}
	if _, err := foreign().Resolve(0, nil); err == nil {
		t.Error("it is taken for one of ours")
	}
	other := foreign()
	other.Foreign.Privileged, other.Foreign.Parameters = true, other.Foreign.Parameters[:1]
	if got := Diff(foreign(), other); len(got) != 2 || got[0] != (Changed{"privileged", "false", "true"}) && got[1] != (Changed{"privileged", "false", "true"}) {
		t.Errorf("%v", got)
	}
	if full := foreign().Full(); len(full.Settings)+len(full.Features) > 0 {
		t.Errorf("%+v", full)
	}
}
