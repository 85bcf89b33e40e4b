package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// baked names the files that a recipe gave.
type baked struct{ disk, raw, kernel, ramdisk, root string }

var (
	bakeOnce   sync.Mutex
	bakedSoFar = map[string]baked{}
)

// bakeImage bakes a recipe, or gives what was baked of the same recipe before:
// what the oven is made of is part of the cache's key.
func bakeImage(t *testing.T, recipe string, options ...string) baked {
	t.Helper()
	bin := needE2E(t)
	bakeOnce.Lock()
	defer bakeOnce.Unlock()
	key := recipe + strings.Join(options, "")
	if b, ok := bakedSoFar[key]; ok {
		return b
	}
	cache := os.Getenv("HEARTH_E2E_CACHE")
	if cache == "" {
		cache = "/var/cache/hearth-e2e"
	}
	dir := filepath.Join(cache, key+"-"+ovenHash(t))
	file := func(suffix string) string { return filepath.Join(dir, recipe+suffix) }
	b := baked{disk: file(".qcow2"), raw: file(".raw"), kernel: file(".vmlinuz"), ramdisk: file(".initrd"), root: file(".ext4")}
	if _, err := os.Stat(file(".json")); err != nil {
		start := time.Now()
		c := &theCloud{t: t}
		args := append([]string{"bake", recipe, "--raw", "--out", dir, "--cache", filepath.Join(cache, "packages")}, options...)
		out := c.run(append(os.Environ(), "HEARTH_DATA="+t.TempDir()), bin, args...)
		t.Logf("baked %s in %.1f s:\n%s", recipe, time.Since(start).Seconds(), out)
	}
	bakedSoFar[key] = b
	return b
}

// ovenHash is the check sum of the sources that make images.
func ovenHash(t *testing.T) string {
	t.Helper()
	sum := sha256.New()
	for _, dir := range []string{"../../internal/bake", "../../internal/disk", "../../cmd/hearth-guest"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Base(path) == "hearth-guest" {
				return err
			}
			body, err := os.ReadFile(path)
			sum.Write([]byte(path))
			sum.Write(body)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}
