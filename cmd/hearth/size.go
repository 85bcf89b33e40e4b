package main

import (
	"fmt"
	"strconv"
	"strings"
)

// sizeFlag is a size on the command line, in bytes: one like 512M or 10G, whose letters are
// powers of 1024, or a bare number of units. It implements pflag.Value.
type sizeFlag struct{ bytes, unit int64 }

// inGiB is a flag whose bare numbers are GiB; 0 is none.
func inGiB(bytes int64) sizeFlag { return sizeFlag{bytes, 1 << 30} }

// Set implements pflag.Value.
func (s *sizeFlag) Set(text string) (err error) {
	s.bytes, err = parseSize(text, s.unit)
	return err
}

// String implements pflag.Value.
func (s *sizeFlag) String() string {
	if s.bytes == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(s.bytes)/(1<<30), 'g', -1, 64) + "G"
}

// Type implements pflag.Value.
func (s *sizeFlag) Type() string { return "size" }

// parseSize reads "10G", "1.5GiB", "512M" or a bare number of units, in bytes.
func parseSize(text string, unit int64) (int64, error) {
	number := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(text), "B"), "I")
	if i := strings.IndexAny(number, "KMGT"); i >= 0 && i == len(number)-1 {
		unit = 1 << (10 * (1 + strings.IndexByte("KMGT", number[i])))
		number = number[:i]
	}
	n, err := strconv.ParseFloat(number, 64)
	bytes := n * float64(unit)
	if err != nil || strings.Trim(number, "0123456789.") != "" || bytes < 1 || bytes > 1<<60 {
		return 0, fmt.Errorf("the size %q is none: write one like 512M or 10G", text)
	}
	return int64(bytes), nil
}
