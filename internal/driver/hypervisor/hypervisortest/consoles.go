package hypervisortest

import (
	"io"
	"testing"

	"hearth/internal/cloud"
)

// consoles opens both consoles of a guest. The screen greets in the RFB protocol (RFC 6143).
func consoles(t *testing.T, s Subject) {
	_, g := s.start(t)
	s.up(t, g.Handle(), 1)
	for range 2 { // a second time after the first has gone
		screen, err := g.Console(limit(t), cloud.ConsoleVNC)
		must(t, err)
		hello := make([]byte, 12)
		if _, err := io.ReadFull(screen, hello); err != nil || string(hello[:4]) != "RFB " {
			t.Errorf("%q, %v", hello, err)
		}
		must(t, screen.Close())
	}
	line, err := g.Console(limit(t), cloud.ConsoleSerial)
	must(t, err)
	must(t, line.Close())
	must(t, g.Quit(limit(t)))
	_, err = g.Console(limit(t), cloud.ConsoleVNC)
	wantKind(t, "the screen of what is gone", err, cloud.NotFound)
}
