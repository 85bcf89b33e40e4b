package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// sudo runs a command as root. It asks no password, for no user has one: who
// may do it is said by the mode of the file, which is setuid root and may be
// executed by the group wheel only. It knows of sudo's options those that
// scripts use: -i and -s (a shell), -n, -E, -H, -u root, --.
func sudo(args []string) int {
	shell, command, err := sudoArgs(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sudo:", err)
		return 2
	}
	if err := becomeRoot(); err != nil {
		fmt.Fprintln(os.Stderr, "sudo:", err)
		return 1
	}
	if shell {
		command = append([]string{"/bin/sh", "-l"}, command...)
	}
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "LOGNAME=root", "TERM=" + os.Getenv("TERM")}
	err = syscall.Exec(findCommand(command[0]), command, env)
	fmt.Fprintf(os.Stderr, "sudo: %s: %v\n", command[0], err)
	return 127
}

// sudoArgs tells options from the command.
func sudoArgs(args []string) (shell bool, command []string, err error) {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-i", "-s":
			shell = true
		case "-n", "-E", "-H":
		case "-u":
			if len(args) < 2 || args[1] != "root" {
				return false, nil, fmt.Errorf("only root can be become here")
			}
			args = args[1:]
		case "--":
			return shell, args[1:], needCommand(shell, args[1:])
		default:
			return false, nil, fmt.Errorf("the option %s is not known here", args[0])
		}
		args = args[1:]
	}
	if shell && len(args) > 0 {
		args = []string{"-c", strings.Join(args, " ")}
	}
	return shell, args, needCommand(shell, args)
}

func needCommand(shell bool, command []string) error {
	if !shell && len(command) == 0 {
		return fmt.Errorf("usage: sudo [-i | COMMAND...]")
	}
	return nil
}

func becomeRoot() error {
	if err := syscall.Setgroups([]int{0}); err != nil {
		return fmt.Errorf("this program is not setuid root: %w", err)
	}
	if err := syscall.Setgid(0); err != nil {
		return err
	}
	return syscall.Setuid(0)
}

func findCommand(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if st, err := os.Stat(dir + "/" + name); err == nil && st.Mode()&0o111 != 0 {
			return dir + "/" + name
		}
	}
	return name
}
