package identity

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"

	"hearth/internal/disk/guestos"
)

// Names by which storage on the network knows a guest: a target takes two guests of one name for
// one, and what they write is lost.
const (
	iscsiName = "/etc/iscsi/initiatorname.iscsi" // iscsid(8)
	nvmeName  = "/etc/nvme/hostnqn"              // nvme-gen-hostnqn(1)
	nvmeID    = "/etc/nvme/hostid"
)

var initiatorName = regexp.MustCompile(`(?m)^InitiatorName=[ \t]*(iqn\.[^\s]*:)?[^\s]*[ \t]*$`)

// storageNames makes those new that the guest has. An iSCSI name keeps its authority: what stands
// before its last colon.
func (m *Made) storageNames(t guestos.Files) error {
	if b, err := t.ReadFile(iscsiName, maxFile); err == nil {
		if renewed, err := newInitiator(string(b)); err != nil {
			return err
		} else if renewed != "" {
			m.add(iscsiName, []byte(renewed), 0o600)
		}
	}
	if !guestos.Has(t, nvmeName, nvmeID) {
		return nil
	}
	id, err := newUUID()
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	m.add(nvmeName, []byte("nqn.2014-08.org.nvmexpress:uuid:"+text+"\n"), 0o644) // the one name has the other: libnvme warns otherwise
	m.add(nvmeID, []byte(text+"\n"), 0o644)
	return nil
}

// newInitiator gives the text of initiatorname.iscsi with another name; "" for one that has no name
// yet, for the guest makes it.
func newInitiator(text string) (string, error) {
	found := initiatorName.FindStringSubmatchIndex(text)
	if found == nil {
		return "", nil
	}
	authority := "iqn.1993-08.org.debian:01:" // as open-iscsi's iscsi-iname has it where nobody says another
	if found[2] >= 0 {
		authority = text[found[2]:found[3]]
	}
	end := make([]byte, 6)
	if _, err := rand.Read(end); err != nil {
		return "", err
	}
	renewed := text[:found[0]] + fmt.Sprintf("InitiatorName=%s%x", authority, end) + text[found[1]:]
	if !strings.HasSuffix(renewed, "\n") {
		renewed += "\n"
	}
	return renewed, nil
}

// newUUID is one of version 4, by chance.
func newUUID() ([]byte, error) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id, nil
}
