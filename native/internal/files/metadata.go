package files

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// metadataPrefix is where a file's metadata is kept among its extended attributes.
const metadataPrefix = "user.stacyvm."

// attributesBytes bounds what is read of one file's attributes.
const attributesBytes = 16 << 10

// readMetadata needs /proc, as the calls take a path; without it, or without attributes, there is none.
func readMetadata(dir int, name string) map[string]string {
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }()
	self := "/proc/self/fd/" + strconv.Itoa(fd)
	size, err := unix.Listxattr(self, nil)
	if err != nil || size <= 0 || size > attributesBytes {
		return nil
	}
	list := make([]byte, size)
	if size, err = unix.Listxattr(self, list); err != nil {
		return nil
	}
	var found map[string]string
	for _, attribute := range strings.Split(string(list[:size]), "\x00") {
		key, ours := strings.CutPrefix(attribute, metadataPrefix)
		if !ours {
			continue
		}
		value := make([]byte, attributesBytes)
		n, err := unix.Getxattr(self, attribute, value)
		if err != nil {
			continue
		}
		if found == nil {
			found = map[string]string{}
		}
		found[text(key)] = text(string(value[:n]))
	}
	return found
}

// writeMetadata replaces nothing but the keys given; a file system without attributes is no error.
func writeMetadata(fd int, metadata map[string]string) error {
	for key, value := range metadata {
		err := unix.Fsetxattr(fd, metadataPrefix+key, []byte(value), 0)
		if err != nil && err != unix.EOPNOTSUPP {
			return err
		}
	}
	return nil
}
