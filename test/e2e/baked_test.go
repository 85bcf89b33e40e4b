package e2e

import (
	"cmp"
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
	dir := filepath.Join(cacheDir(), key+"-"+ovenHash(t))
	file := func(suffix string) string { return filepath.Join(dir, recipe+suffix) }
	b := baked{disk: file(".qcow2"), raw: file(".raw"), kernel: file(".vmlinuz"), ramdisk: file(".initrd"), root: file(".ext4")}
	if _, err := os.Stat(file(".json")); err != nil {
		start := time.Now()
		c := &theCloud{t: t}
		args := append([]string{"bake", recipe, "--raw", "--out", dir, "--cache", packageCache()}, options...)
		out := c.run(append(os.Environ(), "HEARTH_DATA="+t.TempDir()), bin, args...)
		t.Logf("baked %s in %.1f s:\n%s", recipe, time.Since(start).Seconds(), out)
	}
	bakedSoFar[key] = b
	return b
}

// bakeRecipe bakes the text of a recipe of that name, or takes what was baked of it before,
// and names the folder with what it gave. Layers stay for other recipes.
func bakeRecipe(t *testing.T, name, text string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	dir := filepath.Join(cacheDir(), name+"-"+ovenHash(t)+hex.EncodeToString(sum[:4]))
	if _, err := os.Stat(filepath.Join(dir, name+".json")); err == nil {
		return dir
	}
	recipe := filepath.Join(tempDir(t), "recipe.yaml")
	if err := os.WriteFile(recipe, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	c := &theCloud{t: t, bin: needE2E(t)}
	c.run(append(os.Environ(), "HEARTH_DATA="+t.TempDir()), c.bin, "bake", "run", recipe, "--cache", filepath.Join(cacheDir(), "layers"), "-o", dir, "--boot-test=false", "--quiet")
	t.Logf("baked in %.1f s", time.Since(start).Seconds())
	return dir
}

// cacheDir is where the tests keep what they have baked and fetched, for the next run.
func cacheDir() string { return cmp.Or(os.Getenv("HEARTH_E2E_CACHE"), "/var/cache/hearth-e2e") }

// packageCache is where root's bakes keep packages.
func packageCache() string { return filepath.Join(cacheDir(), "packages") }

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
