package words

import "testing"

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b        string
		limit, want int
	}{{"", "", 3, 0}, {"virtio_baloon", "virtio_balloon", 3, 1}, {"kitten", "sitting", 3, 3}, {"ab", "ba", 3, 2}, {"a", "abcdef", 3, 4}, {"abc", "", 3, 3}} {
		if got := Distance(c.a, c.b, c.limit); got != c.want {
			t.Errorf("%q, %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
