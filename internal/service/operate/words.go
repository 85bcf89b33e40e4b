package operate

import (
	"fmt"
	"strings"

	"hearth/internal/cloud"
)

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// addresses lists a port's addresses.
func addresses(p cloud.Port) string {
	all := make([]string, 0, len(p.FixedIPs))
	for _, f := range p.FixedIPs {
		all = append(all, f.IP.String())
	}
	return orNone(strings.Join(all, ", "))
}

// size writes bytes in the largest binary unit that leaves a digit before the
// point.
func size(n int64) string {
	if n < 0 {
		return "unknown"
	}
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1024 && unit < len(units)-1 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[unit])
}
