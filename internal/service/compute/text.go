package compute

import (
	"regexp"
	"strings"
)

// lastLines gives the last n lines of a log; all for n < 0.
func lastLines(log string, n int) string {
	if n < 0 {
		return log
	}
	end := len(log)
	if strings.HasSuffix(log, "\n") {
		end--
	}
	for ; n > 0 && end >= 0; n-- {
		end = strings.LastIndexByte(log[:end], '\n')
	}
	if n > 0 || end < 0 {
		return log
	}
	if end == len(log) || end == len(log)-1 && strings.HasSuffix(log, "\n") {
		return ""
	}
	return log[end+1:]
}

var (
	hostSpaces = regexp.MustCompile(`[ _]`)
	hostOthers = regexp.MustCompile(`[^a-zA-Z0-9_.-]+`)
)

// sanitizeHostname makes a host name of a server's name as nova does
// (nova/utils.py, sanitize_hostname): Latin letters, digits, dots and dashes,
// at most 63 characters, the fallback where nothing is left. Dots become dashes:
// a host name is one label.
func sanitizeHostname(name, fallback string) string {
	h := strings.Map(func(r rune) rune {
		if r > 0xff {
			return -1
		}
		return r
	}, name)
	h = hostSpaces.ReplaceAllString(h, "-")
	h = hostOthers.ReplaceAllString(h, "")
	h = strings.ReplaceAll(strings.Trim(strings.ToLower(h), ".-"), ".", "-")
	if len(h) > 63 {
		h = h[:63]
	}
	h = strings.Trim(h, "-")
	if h == "" {
		return fallback
	}
	return h
}
