package qemu

import (
	"slices"
	"strings"

	"hearth/internal/driver/hypervisor"
)

// videoCards are QEMU's devices by the names of hypervisor.Videos. All but bochs speak VGA, so the firmware and the boot loader
// show themselves.
var videoCards = map[string]string{"vga": "VGA", "virtio": "virtio-vga", "cirrus": "cirrus-vga", "qxl": "qxl-vga", "bochs": "bochs-display"}

// videoSlot is where the card is on the bus, far from NICs and disks, whose places it leaves as they are.
const videoSlot = "0x1e"

// video adds the screen's card.
func (a *arguments) video(name string) {
	if card := videoCards[name]; card != "" {
		a.option("-device", card+",id=video0,addr="+videoSlot)
	}
}

// parseVideos finds the cards in QEMU's answer to -device help. Distributions put some in packages of their own.
func parseVideos(answer string) []string {
	return slices.DeleteFunc(slices.Clone(hypervisor.Videos), func(name string) bool {
		return !strings.Contains(answer, `name "`+videoCards[name]+`"`)
	})
}
