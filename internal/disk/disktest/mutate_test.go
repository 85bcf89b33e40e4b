package disktest

import (
	"bytes"
	"testing"
)

func TestSpoilt(t *testing.T) {
	seed := bytes.Repeat([]byte("\x00\x00\x00header"), 50)
	a, b := Spoilt(seed, 500), Spoilt(seed, 500)
	same, shorter := 0, 0
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			t.Fatal("not the same each time")
		}
		if bytes.Equal(a[i], seed) {
			same++
		}
		if len(a[i]) < len(seed) {
			shorter++
		}
	}
	if len(a) != 500 || same > 25 || shorter == 0 {
		t.Errorf("%d copies, %d of them unchanged, %d shorter", len(a), same, shorter)
	}
	if len(Spoilt(nil, 3)) != 3 {
		t.Error("nothing of nothing")
	}
}
