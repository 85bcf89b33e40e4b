package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// users looks for accounts in the range that guests run under. Hearth makes no
// accounts: the numbers need no names, but they should be nobody else's. Each
// account that is in the way is named, and so is each place other than
// /etc/passwd where accounts come from, since only the operator can ask there.
func (h Host) users() Finding {
	last := h.UIDBase + h.UIDCount - 1
	f := Finding{Name: "user ids", Grade: OK, Detail: fmt.Sprintf("%d to %d are nobody's; no account is made", h.UIDBase, last)}
	names, shared, nis := h.accounts()
	if len(names) > 0 {
		f.Grade, f.Detail = Slow, "guests would run under user ids of "+strings.Join(names, ", ")
		f.Fix = "set compute.uid_base to a range that is free, also in NIS or LDAP"
	}
	if len(shared) > 0 {
		f.Detail += "; " + strings.Join(shared, ", ") + ": of no concern to Hearth, which looks up no account"
	}
	sources := h.sources()
	if nis && !slices.Contains(sources, "nis") {
		sources = append(sources, "nis")
	}
	if len(sources) == 0 {
		return f
	}
	f.Detail += "; accounts also come from " + strings.Join(sources, ", ")
	if f.Fix == "" {
		f.Fix = fmt.Sprintf("nothing, if 'getent passwd $(seq %d %d)' prints nothing; else set compute.uid_base to a range that is free there", h.UIDBase, last)
	}
	return f
}

// maxNamed is how many accounts one finding names.
const maxNamed = 20

// accounts reads /etc/passwd: who is in the range, which ids have two names, and
// whether a line asks NIS for more.
func (h Host) accounts() (inRange, shared []string, nis bool) {
	body, err := os.ReadFile(filepath.Join(h.Root, "etc/passwd"))
	if err != nil {
		return nil, nil, false
	}
	owner := map[int]string{}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(line, "+") {
			nis = true
			continue
		}
		fields := strings.Split(line, ":")
		if len(fields) < 3 {
			continue
		}
		uid, err := strconv.Atoi(fields[2])
		if err != nil {
			continue
		}
		if first, twice := owner[uid]; twice && len(shared) < maxNamed {
			shared = append(shared, fmt.Sprintf("%s and %s share user id %d", first, fields[0], uid))
		}
		owner[uid] = fields[0]
		if uid >= h.UIDBase && uid < h.UIDBase+h.UIDCount && len(inRange) < maxNamed {
			inRange = append(inRange, fmt.Sprintf("%s (%d)", fields[0], uid))
		}
	}
	return inRange, shared, nis
}

// sources are those of accounts, by /etc/nsswitch.conf, that are not files of
// this host.
func (h Host) sources() []string {
	body, err := os.ReadFile(filepath.Join(h.Root, "etc/nsswitch.conf"))
	if err != nil {
		return nil
	}
	var found []string
	for line := range strings.Lines(string(body)) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "passwd:")
		if !ok {
			continue
		}
		for word := range strings.FieldsSeq(rest) {
			if !slices.Contains([]string{"files", "compat", "systemd", "db"}, word) && !strings.HasPrefix(word, "[") && !slices.Contains(found, word) {
				found = append(found, word)
			}
		}
	}
	return found
}
