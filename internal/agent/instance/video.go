package instance

import (
	"context"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// imageVideo is nova's image property that names the card of a guest's screen.
const imageVideo = "hw_video_model"

// noVideo is the card of a guest without a screen.
const noVideo = "none"

// video is the card of the guest's screen: the one that the image asks for, if the
// hypervisor has it. Without a word of the image a guest with a boot loader has VGA,
// where that is shown; one whose kernel is started directly has none, since all that
// there is to see goes to its serial line. A guest that wakes up has the card that it
// fell asleep with.
func (w *worker) video(ctx context.Context, spec cloud.InstanceSpec) (string, error) {
	if w.rec.Saved {
		return w.rec.Video, nil
	}
	asked := spec.ImageProperties[imageVideo]
	switch {
	case asked == noVideo, asked == "" && spec.Kernel != nil:
		return "", nil
	}
	caps, err := w.m.Hypervisor.Probe(ctx)
	switch {
	case err != nil:
		return "", err
	case asked == "" && slices.Contains(caps.Videos, "vga"):
		return "vga", nil
	case asked == "":
		return "", nil
	case !slices.Contains(hypervisor.Videos, asked):
		return "", cloud.E("instance.guest", cloud.Invalid, "the image asks for %s=%s; none, %s are known here", imageVideo, asked, strings.Join(hypervisor.Videos, ", "))
	case !slices.Contains(caps.Videos, asked):
		return "", cloud.E("instance.guest", cloud.Invalid, "the image asks for %s=%s, which the hypervisor here does not have (it has %s)", imageVideo, asked, strings.Join(caps.Videos, ", "))
	}
	return asked, nil
}
