package linux

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"hearth/internal/cloud"
)

// crashPlan is what the child process of TestE2EKill applies over and over.
type crashPlan struct {
	Config  Config
	Network cloud.NetworkSpec
	Router  cloud.RouterSpec
}

// TestE2EKill kills a process in the middle of building and removing, at many
// moments, and builds over what it left.
func TestE2EKill(t *testing.T) {
	if os.Getenv("HEARTH_CRASH_PLAN") != "" {
		crashing(t)
		return
	}
	l := newLab(t, external())
	ctx := context.Background()
	p := newPlan("10.0.0.0/24", "fd00:1::/64")
	p.Type, p.PhysicalNetwork = cloud.NetworkFlat, "public"
	p.port(11, p.group(egressAll()...))
	plan, err := json.Marshal(crashPlan{l.d.config, p.NetworkSpec, newRouter(nil, "", p)})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 12 {
		killed(t, string(plan), time.Duration(n)*7*time.Millisecond)
		var made crashPlan
		if err := json.Unmarshal(plan, &made); err != nil {
			t.Fatal(err)
		}
		if err := l.d.ApplyNetwork(ctx, made.Network); err != nil {
			t.Fatalf("after kill %d: %v", n, err)
		}
		if err := l.d.ApplyRouter(ctx, made.Router); err != nil {
			t.Fatalf("after kill %d: %v", n, err)
		}
		if n%2 == 0 {
			if err := l.d.Down(ctx); err != nil {
				t.Fatalf("after kill %d: %v", n, err)
			}
		}
	}
}

// killed starts the child and kills it some time after it began to build.
func killed(t *testing.T, plan string, after time.Duration) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run", "^TestE2EKill$")
	child.Env = append(os.Environ(), "HEARTH_CRASH_PLAN="+plan)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	started := make([]byte, len(crashReady))
	if _, err := out.Read(started); err != nil || !bytes.Equal(started, []byte(crashReady)) {
		t.Errorf("child said %q: %v", started, err)
	}
	<-time.After(after)
	_ = child.Process.Kill()
	_ = child.Wait()
}

const crashReady = "building"

func crashing(t *testing.T) {
	var plan crashPlan
	if err := json.Unmarshal([]byte(os.Getenv("HEARTH_CRASH_PLAN")), &plan); err != nil {
		t.Fatal(err)
	}
	d, err := New(plan.Config)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	_, _ = os.Stdout.WriteString(crashReady)
	for {
		if err := d.ApplyNetwork(ctx, plan.Network); err != nil {
			t.Fatal(err)
		}
		if err := d.ApplyRouter(ctx, plan.Router); err != nil {
			t.Fatal(err)
		}
		if err := d.Down(ctx); err != nil {
			t.Fatal(err)
		}
	}
}
