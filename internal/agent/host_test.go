package agent

import "testing"

func TestVersionNumber(t *testing.T) {
	for version, want := range map[string]int{"7.2.22": 7002022, "10.0": 10000000, "8.2.1 (Debian)": 8002001, "": 0, "9.1.50-rc1": 9001050} {
		if got := versionNumber(version); got != want {
			t.Errorf("%q: got %d, want %d", version, got, want)
		}
	}
}

func TestStartTime(t *testing.T) {
	for stat, want := range map[string]uint64{
		"12 (a) (b) R 1 1 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0": 4711, "12 (short) R 1": 0, "": 0,
	} {
		if got := startTime(stat); got != want {
			t.Errorf("%q: got %d, want %d", stat, got, want)
		}
	}
}

func TestMachine(t *testing.T) {
	if mb, err := (Machine{}).MemoryMB(); err != nil || mb < 1 {
		t.Errorf("memory: %d, %v", mb, err)
	}
	if id, err := (Machine{}).BootID(); err != nil || len(id) != 36 {
		t.Errorf("boot id: %q, %v", id, err)
	}
}
