package main

import "testing"

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "512M": 512 << 20, "10g": 10 << 30, "2GiB": 2 << 30, "3KB": 3 << 10, "1T": 1 << 40,
		"": 0, "G": 0, "-1G": 0, "1.5G": 0, "1GG": 0, "9999999T": 0, "x": 0} {
		got, err := parseSize(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}
