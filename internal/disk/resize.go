package disk

import (
	"context"
	"strconv"
)

// Resize makes the first layer of a chain, a qcow2 that nobody has open, larger:
// size bytes, of which the new ones are zeros. What is on the disk stays as it is.
func (r *Runner) Resize(ctx context.Context, chain []Layer, size int64) error {
	top, below, err := ownChain("resize disk", chain)
	if err != nil {
		return err
	}
	_, err = r.Run(ctx, Command{
		Name: "qemu-img", Args: []string{"resize", "-q", "-f", string(top.Format), top.Path, strconv.FormatInt(size, 10)},
		Read: below, Write: []string{top.Path},
	})
	return err
}

// Flatten writes what a guest sees of a chain to the new file dst, raw and
// sparse. The chain must be of Hearth's own making: qemu-img follows the names
// of backing files in it, and the sandbox lets it open those of the chain only.
func (r *Runner) Flatten(ctx context.Context, chain []Layer, dst string) error {
	top, below, err := ownChain("flatten disk", chain)
	if err != nil {
		return err
	}
	return r.create(ctx, dst, Command{
		Name: "qemu-img", Args: []string{"convert", "-q", "-W", "-f", string(top.Format), "-O", "raw", top.Path, dst},
		Read: append(below, top.Path),
	})
}

// ownChain takes a chain apart: its first layer, and the files below it.
func ownChain(op string, chain []Layer) (top Layer, below []string, err error) {
	if len(chain) == 0 || chain[0].Format != QCOW2 {
		return top, nil, fail(Unsupported, op, "only a qcow2 over its own layers can be worked on like this")
	}
	for _, l := range chain[1:] {
		below = append(below, l.Path)
	}
	return chain[0], below, nil
}
