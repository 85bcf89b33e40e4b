package cloud

// PropertyHostKeys is the property of an image or a volume which, when it is
// KeepHostKeys, has the guests that boot from it answer with the ssh host keys on it.
const (
	PropertyHostKeys = "hearth_host_keys"
	KeepHostKeys     = "keep"
)
