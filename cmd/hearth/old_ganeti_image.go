package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"hearth/internal/disk"
	"hearth/internal/disk/osdef"
)

// ganetiSettings is where ganeti-instance-image has what its tools do not get told.
const ganetiSettings = "/etc/default/ganeti-instance-image"

// oldGanetiImage is the tool of ganeti-instance-image that makes images of instances.
func oldGanetiImage() oldTool {
	return oldTool{
		name: "ganeti-image", takes: "[-d PATH] [-n NAME] [-a ARCH] -t TYPE -i INSTANCE", do: ganetiImage,
		about: "Make an image of an instance: TYPE is tarball (NAME-ARCH.tar.gz), dump (NAME-ARCH-boot.dump, NAME-ARCH-root.dump)\n" +
			"or qemu-img (NAME-ARCH.img, a packed qcow2). It may run meanwhile, and be anywhere. What is left out is IMAGE_DIR,\n" +
			"IMAGE_NAME and ARCH of " + ganetiSettings + ", else this folder, the instance's name and this machine's kind",
	}
}

// imageWish is a line of ganeti-image, read.
type imageWish struct{ server, to, out, compress string }

func ganetiImage(o *oldCall) ([]string, error) {
	defaults := map[string]string{}
	text, err := disk.ReadText(ganetiSettings, 1<<20)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	list, err := osdef.ParseSettings(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ganetiSettings, err)
	}
	for _, s := range list {
		defaults[s.Name] = s.Value
	}
	w, err := wishOf(o.args, defaults)
	if err != nil {
		return nil, err
	}
	today := []string{"hearth", "image", "from-server", "--live", "--to", w.to, "--out", w.out, w.server}
	if w.compress != "" {
		today = append(today, "--compress", w.compress)
	}
	at, err := reachCloud(o.ctx, o.cfg)
	if err != nil {
		return nil, err
	}
	return today, at.filesOf(o.cmd, w.server, true, conversion{to: w.to, out: w.out, compress: w.compress})
}

// wishOf reads the options of ganeti-image; defaults are settings.
func wishOf(args []string, defaults map[string]string) (w imageWish, err error) {
	line, err := parseOld(args, []string{"d", "n", "a", "t", "i"}, nil)
	if err != nil {
		return w, err
	}
	kinds := map[string]imageWish{"tarball": {to: "tar.gz", out: ".tar.gz"}, "dump": {to: "dump"}, "qemu-img": {to: "qcow2", out: ".img", compress: "zlib"}}
	w, ok := kinds[line.first("t")]
	switch {
	case len(line.words) > 0:
		return w, fmt.Errorf("%q belongs to no option", line.words[0])
	case line.first("i") == "":
		return w, errors.New("say by -i INSTANCE of what")
	case !ok:
		return w, fmt.Errorf("say by -t what is made: tarball, dump or qemu-img, not %q", line.first("t"))
	}
	w.server = line.first("i")
	name := cmp.Or(line.first("n"), defaults["IMAGE_NAME"], filepath.Base(w.server))
	arch := cmp.Or(line.first("a"), defaults["ARCH"], machineWord(runtime.GOARCH))
	if filepath.Base(name) != name || filepath.Base(arch) != arch {
		return w, errors.New("-n and -a are parts of a file's name, without folders; -d says where it lies")
	}
	w.out = filepath.Join(cmp.Or(line.first("d"), defaults["IMAGE_DIR"], "."), name+"-"+arch+w.out)
	return w, nil
}

// machineWord is what a kind of machine is called in the names of images.
func machineWord(goarch string) string {
	if word, ok := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[goarch]; ok {
		return word
	}
	return goarch
}
