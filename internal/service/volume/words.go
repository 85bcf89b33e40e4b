package volume

import (
	"slices"
	"strconv"
)

func number(n int64) string { return strconv.FormatInt(n, 10) }

func contains(list []string, s string) bool { return slices.Contains(list, s) }
