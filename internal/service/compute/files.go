package compute

import (
	"hearth/internal/cloud"
	"hearth/internal/store"
)

// filesFit holds the files of a request against the project's limits: how many,
// how long their paths are, how large each is.
func filesFit(tx *store.Tx, op, project string, files []cloud.GuestFile) error {
	if len(files) == 0 {
		return nil
	}
	limits, err := limitsTx(tx, project)
	if err != nil {
		return err
	}
	over := func(limit string, n int) bool { return limits[limit] >= 0 && n > limits[limit] }
	if over("injected_files", len(files)) {
		return cloud.E(op, cloud.QuotaExceeded, "Personality file limit exceeded: %d files, %d are allowed", len(files), limits["injected_files"])
	}
	for _, f := range files {
		switch {
		case over("injected_file_path_bytes", len(f.Path)):
			return cloud.E(op, cloud.QuotaExceeded, "Personality file path exceeds maximum %d", limits["injected_file_path_bytes"])
		case over("injected_file_content_bytes", len(f.Contents)):
			return cloud.E(op, cloud.QuotaExceeded, "Personality file content exceeds maximum %d", limits["injected_file_content_bytes"])
		}
	}
	return nil
}
