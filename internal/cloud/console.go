package cloud

import "time"

// ConsoleKind is what a console of a guest shows.
type ConsoleKind string

// The consoles of a guest.
const (
	ConsoleVNC    ConsoleKind = "vnc"    // its screen, in the RFB protocol
	ConsoleSerial ConsoleKind = "serial" // its serial line
)

// ConsoleToken opens one console of one server once, for a while. The token
// itself is known to whoever asked for it; kept is its hash.
type ConsoleToken struct {
	Hash      string // SHA-256 of the token, hexadecimal
	ServerID  string
	Node      string
	Kind      ConsoleKind
	Type      string // novnc, serial: as it was asked for
	ExpiresAt time.Time
	UsedAt    *time.Time // when it was opened with; a second time it is refused
}

// InstanceStats is what a guest costs its host.
type InstanceStats struct {
	CPU           time.Duration // processor time since it was started
	ResidentBytes int64         // memory that it holds
	Hypervisor    string        // kvm or tcg
}
