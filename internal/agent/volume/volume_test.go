package volume

import "testing"

// TestSeed: what a disk is made from lies in the disk's own pool, and is no volume.
func TestSeed(t *testing.T) {
	for disk, want := range map[string]string{"volume-1": "volume-1.seed", "volume-1@fast": "volume-1.seed@fast"} {
		if got := seed(disk); got != want || !isSeed(got) || isSeed(disk) || !Is(got) {
			t.Errorf("the seed of %s is %s, want %s", disk, got, want)
		}
	}
}
