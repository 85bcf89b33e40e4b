package bake

import (
	"context"
	"os"
	"path/filepath"

	"hearth/internal/bake/installer"
	"hearth/internal/bake/layer"
)

// installerFile is the recipe's installer, if it is a file here: the lock has its sum.
func (k *kitchen) installerFile() string {
	name := k.recipe.Base.Installer
	if st, err := os.Stat(k.recipe.Path(name)); name == "" || installer.FromWeb(name) || err != nil || !st.Mode().IsRegular() {
		return ""
	}
	return name
}

// installerInput is what a base by an installer depends on: the answers, and where the
// installer is, or what is in it. What a mirror has moved on to is not seen: --refresh.
func (k *kitchen) installerInput(context.Context) (any, error) {
	kind, answers, err := k.recipe.ReadAnswers()
	in := map[string]any{"version": layerVersion, "installer": k.recipe.Base.Installer, "kind": kind, "answers": sum(answers), "size": k.Size}
	if file := k.installerFile(); file != "" {
		in["sum"] = k.lock.Inputs[filepath.Base(file)]
	}
	return in, err
}

// installerBase has an installer make a disk and takes the system on it as layer: its users,
// its packages and its kernel; the disk that boots is made of the layers anew.
func (k *kitchen) installerBase(ctx context.Context, l layer.Layer) (*layer.Layer, error) {
	kind, answers, err := k.recipe.ReadAnswers()
	if err != nil {
		return nil, err
	}
	source := k.recipe.Base.Installer
	if !installer.FromWeb(source) {
		source = k.recipe.Path(source)
	}
	target, _, err := k.install(ctx, InstallOptions{Source: source, Kind: kind, Answers: answers, Size: k.Size, Fetch: k.opt.Fetch, Say: k.opt.Log})
	if err != nil {
		return nil, err
	}
	defer os.Remove(target)
	return k.imageBase(ctx, target, l)
}
