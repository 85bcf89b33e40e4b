package disk

import (
	"context"
	"os"
)

// EditExt has debugfs carry out commands, a line each, on the ext file system fs of the
// open disk f; see [Runner.CarryOut]. The files of the host that they name lie in the folder dir.
func (r *Runner) EditExt(ctx context.Context, f *os.File, fs *ExtFS, dir, commands string) error {
	return r.CarryOut(ctx, f, dir, Change{Ext: fs, Commands: commands})
}

// QuoteExt makes of an absolute path of the guest an argument for [Runner.EditExt].
// Refused for names that debugfs cannot be given.
func QuoteExt(path string) (string, error) {
	if err := checkName(path); err != nil {
		return "", err
	}
	return quote(path), nil
}
