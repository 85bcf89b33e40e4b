package disk

import "io"

// Told is r, and tells after each read how many bytes of it were read so far; with nil it
// tells nobody.
func Told(r io.Reader, tell func(done int64)) io.Reader {
	if tell == nil {
		return r
	}
	return &told{r, 0, tell}
}

type told struct {
	io.Reader
	done int64
	tell func(done int64)
}

// Read implements [io.Reader].
func (t *told) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	t.done += int64(n)
	t.tell(t.done)
	return n, err
}
