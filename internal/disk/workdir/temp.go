package workdir

// Temp is [Make] for who wants no more than the folder. What remove cannot take away, the next one does.
func Temp(parent, prefix string) (dir string, remove func(), err error) {
	d, err := Make(parent, prefix, nil)
	if err != nil {
		return "", nil, err
	}
	return d.Path, func() { _ = d.Close() }, nil
}
