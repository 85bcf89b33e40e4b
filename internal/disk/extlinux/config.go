package extlinux

import (
	"fmt"
	"strings"
	"time"

	"hearth/internal/disk/bootdisk"
)

// stuck is after how long the entry is started even though somebody touched a key: a
// stray byte on the serial line would stop the boot for ever. In tenths of a second.
const stuck = 3000

// Config is the menu, as it is read at ConfigPath. It speaks on screen and serial line.
// Without a wait nobody is asked.
func Config(m bootdisk.Menu) []byte {
	var b strings.Builder
	prompt, wait := 0, int(m.Wait/(100*time.Millisecond))
	if wait > 0 {
		prompt = 1
	}
	fmt.Fprintf(&b, "%s The kernel is found by these names after an upgrade too.\nSERIAL 0 115200\nDEFAULT linux\nPROMPT %d\nTIMEOUT %d\nTOTALTIMEOUT %d\n", bootdisk.ConfigMark, prompt, wait, stuck)
	fmt.Fprintf(&b, "SAY Boot menu\nSAY   linux    %s\nSAY Loading %s\n", m.Title, m.Kernel)
	fmt.Fprintf(&b, "LABEL linux\n\tMENU LABEL %s\n\tLINUX %s\n", m.Title, m.Kernel)
	if m.Ramdisk != "" {
		fmt.Fprintf(&b, "\tINITRD %s\n", m.Ramdisk)
	}
	fmt.Fprintf(&b, "\tAPPEND %s\n", m.Params)
	return []byte(b.String())
}
