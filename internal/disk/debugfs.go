package disk

import (
	"context"
	"os"

	"golang.org/x/sys/unix"
)

// EditExt has debugfs carry out commands, a line each, on the ext file system
// fs of the open disk f. Names in them went through [QuoteExt]; the files of
// the host that they name lie in the folder dir. What debugfs complains of is
// an error of kind ToolFailed, unless it is a folder that is there already or
// a file to be removed that is not. Once begun, they are brought to their end,
// whether ctx is done meanwhile or this process killed: half of them would be
// neither what was nor what is to be.
func (r *Runner) EditExt(ctx context.Context, f *os.File, fs *ExtFS, dir, commands string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	script := dir + "/commands"
	if err := os.WriteFile(script, []byte(commands), 0o600); err != nil {
		return err
	}
	if err := handOver(dir, f.Name()); err != nil {
		return err
	}
	lock, err := os.Open(dir) // a folder of package workdir stays while debugfs reads it
	if err != nil {
		return err
	}
	defer lock.Close()
	_ = unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	out, err := r.Run(context.WithoutCancel(ctx), Command{Name: "debugfs", Args: []string{"-w", "-f", script, inDisk(fs)}, Read: []string{dir}, Disk: f, Whole: true, Keep: lock})
	if err != nil {
		return err
	}
	return complaints(out.Stderr)
}

// QuoteExt makes of an absolute path of the guest an argument for [Runner.EditExt].
// Refused for names that debugfs cannot be given.
func QuoteExt(path string) (string, error) {
	if err := checkName(path); err != nil {
		return "", err
	}
	return quote(path), nil
}
