package identity

import (
	"regexp"
	"testing"
)

// TestStorageNames: two clones have other names at storage on the network; an iSCSI name keeps its authority.
func TestStorageNames(t *testing.T) {
	guest := files{iscsiName: "## DO NOT EDIT\nInitiatorName=iqn.1994-05.com.redhat:5a6f\nInitiatorAlias=web\n", nvmeName: "nqn.2014-08.org.nvmexpress:uuid:old\n"}
	want := map[string]*regexp.Regexp{
		iscsiName: regexp.MustCompile(`^## DO NOT EDIT\nInitiatorName=iqn\.1994-05\.com\.redhat:[0-9a-f]{12}\nInitiatorAlias=web\n$`),
		nvmeName:  regexp.MustCompile(`^nqn\.2014-08\.org\.nvmexpress:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n$`),
		nvmeID:    regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n$`),
	}
	seen := map[string]bool{}
	for range 2 {
		m, err := Fresh(guest)
		if err != nil || len(m.Files) != len(want) {
			t.Fatalf("%+v, %v", m, err)
		}
		for _, f := range m.Files {
			if seen[string(f.Data)] || !want[f.Path].Match(f.Data) {
				t.Errorf("%s has %q", f.Path, f.Data)
			}
			seen[string(f.Data)] = true
		}
	}
}

// TestInitiators are files as distributions and administrators write them.
func TestInitiators(t *testing.T) {
	for text, want := range map[string]string{
		"GenerateName=yes\n":                          `^$`,
		"# InitiatorName=iqn.2020-01.com.example:x\n": `^$`,
		"InitiatorName=iqn.1993-08.org.debian:01:ab":  `^InitiatorName=iqn\.1993-08\.org\.debian:01:[0-9a-f]{12}\n$`,
		"InitiatorName=":                              `^InitiatorName=iqn\.1993-08\.org\.debian:01:[0-9a-f]{12}\n$`,
		"InitiatorName=eui.02004567A425678D\n":        `^InitiatorName=iqn\.1993-08\.org\.debian:01:[0-9a-f]{12}\n$`,
	} {
		if got, err := newInitiator(text); err != nil || !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
