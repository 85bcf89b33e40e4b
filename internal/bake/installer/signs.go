package installer

import (
	"fmt"
	"regexp"
)

// stops are texts after which an installer waits for a person, and what they mean.
var stops = []struct {
	text *regexp.Regexp
	says string
}{
	{regexp.MustCompile(`^Prompt: '\?' for help|^\[Press enter to continue\]|^Press enter to continue`), "it asks a question that the answers lack, or reports an error"},
	{regexp.MustCompile(`Kernel panic - not syncing`), "its kernel panicked"},
	{regexp.MustCompile(`(Entering|in|to) emergency mode|^dracut:/#|^\(initramfs\)|can't access tty; job control turned off`), "its ramdisk gave up and waits in a shell"},
	{regexp.MustCompile(`Installation step failed|An installation step failed`), "a step of the installation failed"},
	{regexp.MustCompile(`An unknown error has occur+ed|anaconda.* traceback|Pane is dead|in cmdline mode .*(required|cannot)|The following error occurred while installing`), "Anaconda stopped"},
	{regexp.MustCompile(`An error occurred\. Press enter to start a shell|curtin command install: FAIL|finish: subiquity/.*: FAIL`), "subiquity stopped"},
	{regexp.MustCompile(`An error occurred during the installation\.|Could not find the installation repository|Please choose the installation medium`), "AutoYaST or linuxrc stopped"},
}

// stopped says whether a line tells that nothing more comes.
func stopped(line string) error {
	for _, s := range stops {
		if s.text.MatchString(line) {
			return fmt.Errorf("%s (%s)", s.says, line)
		}
	}
	return nil
}
