package resize

import "testing"

// TestSizeXFS holds the size that is chosen against what Linux 6.18 has available in an empty
// XFS of mkfs.xfs 6.1 (df): a copy that finds no room is made again, which takes minutes.
func TestSizeXFS(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct{ size, available int64 }{ // MiB, KiB
		{400, 320920}, {530, 446468}, {640, 552692}, {800, 715372}, {1500, 1427168}, {3000, 2952468}, {10000, 10070476}, {60000, 60913496},
	} {
		files := c.available << 10 * room / (room + 1) // that leave the room beside them
		if got := sizeXFS(files, 4096) / mib; got < c.size || got > c.size+c.size/100 {
			t.Errorf("%d bytes of files: %d MiB; they need %d", files, got, c.size)
		}
	}
	if got := sizeXFS(0, 4096); got != minXFS {
		t.Errorf("no files: %d", got)
	}
}
