package disk

import (
	"context"
	"os"
)

// Platforms that [Runner.GRUBImage] makes GRUB for.
const (
	GRUBForBIOS = "i386-pc"
	GRUBForUEFI = "x86_64-efi" // Debian has it in grub-efi-amd64-bin
)

// GRUBSerial are lines of a menu of GRUB's: it is on the serial line too, if there is one.
const GRUBSerial = "if serial --unit=0 --speed=115200; then\n\tterminal_input console serial\n\tterminal_output console serial\nfi\n"

// GRUBImage makes GRUB's core image for a platform in the file path: it looks for its
// configuration in the folder prefix, and has modules built in. ToolMissing, with the
// package, if GRUB for that platform is not installed.
func (r *Runner) GRUBImage(ctx context.Context, platform, path, prefix string, modules ...string) error {
	args := append([]string{"-O", platform, "-o", path, "-p", prefix}, modules...)
	return r.create(ctx, path, Command{Name: "grub-mkimage", Args: args})
}

// ReadGRUB reads a file of GRUB's for BIOS, its first sector or a module, for what op does.
// ToolMissing, with the package, if it is not there.
func ReadGRUB(op, path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, &Error{Kind: ToolMissing, Op: op, Reason: "GRUB is missing; Debian has it in grub-pc-bin", Err: err}
	}
	return b, nil
}
