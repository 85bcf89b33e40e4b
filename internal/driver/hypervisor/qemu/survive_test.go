package qemu

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/hypervisortest"
)

// starterEnv makes the test binary an agent that starts one guest (the variable is its Config) and waits to be killed.
const starterEnv = "HEARTH_TEST_STARTER"

func TestMain(m *testing.M) {
	if raw := os.Getenv(starterEnv); raw != "" {
		starter(raw)
	}
	os.Exit(m.Run())
}

func starter(raw string) {
	var cfg hypervisor.Config
	if err := json.Unmarshal([]byte(raw), &cfg); err != nil {
		panic(err)
	}
	g, err := New(Options{Accel: "tcg"}).Start(context.Background(), cfg)
	if err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(g.Handle()); err != nil {
		panic(err)
	}
	select {}
}

func TestGuestOutlivesItsAgent(t *testing.T) {
	real(t)
	cfg := guestConfig(t)
	raw, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	agent := exec.Command(os.Args[0])
	agent.Env = append(os.Environ(), starterEnv+"="+string(raw))
	agent.Stderr = os.Stderr
	out, err := agent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	var noted hypervisor.Handle
	if err := json.NewDecoder(out).Decode(&noted); err != nil {
		t.Fatal(err)
	}
	agent.Process.Kill()
	agent.Wait()
	d := New(Options{Accel: "tcg"})
	// The agent is dead and its handle is lost: the guest is found by the lock it holds.
	found, err := d.List(t.Context(), filepath.Dir(cfg.Dir))
	if err != nil || len(found) != 1 || found[0] != noted {
		t.Fatalf("found %+v, %v; want %+v", found, err, noted)
	}
	g, err := d.Recover(t.Context(), found[0])
	if err != nil {
		t.Fatal(err)
	}
	waitForText(t, noted.ConsoleLog(), hypervisortest.BootGreeting)
	if state, err := g.State(t.Context()); err != nil || state != hypervisor.StateRunning {
		t.Errorf("state %q, %v", state, err)
	}
	if err := g.Quit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for e := range g.Events() {
		if e.Kind == hypervisor.EventExit && e.Code != hypervisor.ExitUnknown {
			t.Errorf("exit %d", e.Code)
		}
	}
}
