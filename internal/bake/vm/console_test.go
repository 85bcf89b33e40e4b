package vm

import (
	"io"
	"net"
	"strings"
	"testing"
)

// TestConsole splits what comes as it comes, and gives beginnings of lines.
func TestConsole(t *testing.T) {
	ours, theirs := net.Pipe()
	c := NewConsole(ours)
	for _, part := range []string{"\x1b[2J\x1b[1;1HGNU ", "GRUB\r\nspark log", "in: "} {
		if _, err := io.WriteString(theirs, part); err != nil {
			t.Fatal(err)
		}
	}
	theirs.Close()
	<-c.ended
	var lines []string
	for line := range c.lines {
		lines = append(lines, line)
	}
	if got := strings.Join(lines, "|"); !strings.Contains(got, "|GNU GRUB|") || !strings.HasSuffix(got, "|spark login: |spark login: ") && !strings.HasSuffix(got, "|spark login: ") {
		t.Errorf("%q", got)
	}
	if got := c.Text(); got != "GNU GRUB\nspark login: " {
		t.Errorf("%q", got)
	}
}
