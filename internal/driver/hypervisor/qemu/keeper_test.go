package qemu

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hearth/internal/driver/hypervisor"
)

// keeperEnv makes the test binary a keeper.
const keeperEnv = "HEARTH_TEST_KEEPER=1"

// keeperMain is the keeper's process of the tests.
func keeperMain() {
	limit, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err != nil {
		panic(err)
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	if err := KeepLogs(context.Background(), os.Args[1], limit, tick.C); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// TestKeepLogs has a process that holds a guest's lock as its descriptor 3, as QEMU does.
func TestKeepLogs(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "one")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Create(filepath.Join(dir, hypervisor.FileLock))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	guest := exec.Command("cat")
	guest.ExtraFiles = []*os.File{lock}
	in, err := guest.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := guest.Start(); err != nil {
		t.Skip(err)
	}
	log := filepath.Join(dir, hypervisor.FileConsole)
	write := func(n int) {
		t.Helper()
		if err := os.WriteFile(log, make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tick, done := make(chan time.Time), make(chan error, 1)
	go func() { done <- KeepLogs(t.Context(), root, 100_000, tick) }()
	size := func() int64 {
		st, err := os.Stat(log)
		if err != nil {
			t.Fatal(err)
		}
		return st.Size()
	}
	write(190_000) // the agent's to cut, if there is one
	tick <- time.Now()
	tick <- time.Now() // so that the round before is over
	if n := size(); n != 190_000 {
		t.Errorf("%d bytes are left of 190000", n)
	}
	write(1_000_000)
	held, err := os.Open(log) // by a guest that was taken over
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	tick <- time.Now()
	tick <- time.Now()
	if n := size(); n > 110_000 || n < 100_000 {
		t.Errorf("%d bytes are left of a million", n)
	}
	in.Close()
	if err := guest.Wait(); err != nil {
		t.Fatal(err)
	}
	for range keeperRounds {
		tick <- time.Now()
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// flood is a boot sector that writes to the serial line for ever.
var flood = []byte{
	0xba, 0xf8, 0x03, // mov dx, 3f8h
	0xb0, 'x', // mov al, 'x'
	0xee,       // out dx, al
	0xeb, 0xfd, // jmp to the out
}

// TestFloodWhileAway has a guest flood its line while its agent is away: the log stays
// short, the guest runs on, and the keeper ends after it.
func TestFloodWhileAway(t *testing.T) {
	real(t)
	cfg := guestConfig(t)
	sector := make([]byte, 1<<20)
	copy(sector, flood)
	sector[510], sector[511] = 0x55, 0xaa
	if err := os.WriteFile(cfg.Disks[0].Path, sector, 0o600); err != nil {
		t.Fatal(err)
	}
	const limit = 200_000
	d := New(Options{Accel: "tcg", ConsoleMax: limit, Keeper: []string{os.Args[0]}, KeeperEnv: []string{keeperEnv}})
	g, err := d.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := g.Handle()
	if err := g.Close(); err != nil { // from here on this process does nothing for the guest
		t.Fatal(err)
	}
	var most, last int64
	cuts := 0
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	late := time.After(time.Minute)
	for cuts < 5 {
		select {
		case <-look.C:
		case <-late:
			t.Fatalf("the log was cut %d times; it has %d bytes", cuts, last)
		}
		st, err := os.Stat(h.ConsoleLog())
		if err != nil {
			t.Fatal(err)
		}
		if most = max(most, st.Size()); st.Size() < last {
			cuts++
		}
		last = st.Size()
	}
	t.Logf("cut %d times, at most %d bytes", cuts, most)
	if most > 50<<20 {
		t.Errorf("the log grew to %d bytes", most)
	}
	g, err = New(Options{Accel: "tcg"}).Recover(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if state, err := g.State(t.Context()); err != nil || state != hypervisor.StateRunning {
		t.Errorf("state %q, %v", state, err)
	}
	if err := g.Quit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range g.Events() {
	}
	waitForLock(t, filepath.Dir(h.Dir))
}

// waitForLock waits until nobody keeps the logs in a folder.
func waitForLock(t *testing.T, root string) {
	t.Helper()
	dir, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	free := make(chan error, 1)
	go func() { free <- unix.Flock(int(dir.Fd()), unix.LOCK_EX) }()
	select {
	case err := <-free:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Error("the keeper did not end after the last guest")
	}
}
