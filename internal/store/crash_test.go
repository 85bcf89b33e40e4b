package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/store"
)

// crashEnv names the database that the child process writes to.
const crashEnv = "HEARTH_STORE_CRASH_CHILD"

// TestMain turns the test binary into the writer that TestKilled kills.
func TestMain(m *testing.M) {
	if url := os.Getenv(crashEnv); url != "" {
		writeForever(url)
		return
	}
	os.Exit(m.Run())
}

// writeForever inserts pairs of rows, and says each pair when it is acknowledged.
func writeForever(url string) {
	st, err := store.Open(context.Background(), url)
	for i := 0; err == nil; i++ {
		err = st.Update(context.Background(), func(tx *store.Tx) error {
			for _, half := range []string{"a", "b"} {
				if err := tx.Settings.Insert(store.Setting{Name: fmt.Sprintf("%d-%d-%s", os.Getpid(), i, half), Value: strings.Repeat("x", i%9000)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			fmt.Printf("%d-%d\n", os.Getpid(), i)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// TestKilled kills a writer with SIGKILL at any moment, several times over: what
// it acknowledged is there, no transaction is there by half, and the next one
// can open the file at once.
func TestKilled(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "hearth.db")
	var acknowledged []string
	for round := range 5 {
		acknowledged = append(acknowledged, killWriter(t, url, 20+17*round)...)
	}
	st := open(t, url)
	err := st.View(context.Background(), func(tx *store.Tx) error {
		for _, pair := range acknowledged {
			if n, err := tx.Settings.Count(store.In("id", pair+"-a", pair+"-b")); n != 2 || err != nil {
				t.Errorf("acknowledged pair %s: %d rows of 2 are there, %v", pair, n, err)
			}
		}
		rows, err := tx.Settings.Count()
		if extra := rows/2 - len(acknowledged); rows%2 != 0 || extra < 0 || extra > 5*1000 {
			t.Errorf("%d rows for %d acknowledged pairs", rows, len(acknowledged))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// killWriter lets a child write until it has acknowledged n pairs, kills it, and
// gives all that it said.
func killWriter(t *testing.T, url string, n int) (said []string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashEnv+"="+url)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		said = append(said, lines.Text())
		if len(said) == n {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || len(said) < n {
		t.Fatalf("the writer ended by itself after %d pairs: %v", len(said), err)
	}
	return said
}
