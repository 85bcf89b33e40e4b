package ganeti

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/osdef"
)

// TestMain lets the test program stand in for hearth where Ganeti starts it as
// 'PROGRAM ganeti os SCRIPT --settings FILE'.
func TestMain(m *testing.M) {
	if len(os.Args) < 4 || os.Args[1] != "ganeti" || !slices.Contains(Scripts(), os.Args[3]) {
		os.Exit(m.Run())
	}
	env, err := ParseEnv(os.Environ())
	if err == nil {
		p := Places{Settings: "/etc/default/ganeti-instance-image", Definitions: osdef.Dir("/etc/hearth/os-def")}
		err = (&Answer{Run: &disk.Runner{}, Env: env, Places: p, In: os.Stdin, Out: os.Stdout, Log: os.Stderr}).Do(context.Background(), os.Args[3])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hearth:", err)
		os.Exit(1)
	}
}
