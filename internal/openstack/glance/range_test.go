package glance

import (
	"fmt"
	"testing"
)

func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 0-9/10", "bytes */10", "bytes 5-4/10", "bytes 0-4611686018427387903/4611686018427387903"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		s, err := parseContentRange(header)
		if err != nil {
			return
		}
		if s.From < 0 || s.Length <= 0 || s.From+s.Length > s.Total {
			t.Errorf("%q: %+v", header, s)
		}
		if again, err := parseContentRange(fmt.Sprintf("bytes %d-%d/%d", s.From, s.From+s.Length-1, s.Total)); again != s || err != nil {
			t.Errorf("%q: %+v, then %+v, %v", header, s, again, err)
		}
	})
}
