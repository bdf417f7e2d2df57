package archive

import (
	"strconv"
	"strings"

	"stacyvm/native/internal/fault"
)

// maxDepth bounds the directories that an archive leads into, one descriptor each.
const maxDepth = 512

// shownBytes is how much of an entry's name an error shows.
const shownBytes = 100

// parts are the components of an entry's name, none for the folder itself. What leads out of the folder is refused.
func parts(name string, limit int) ([]string, error) {
	switch {
	case strings.HasPrefix(name, "/"):
		return nil, fault.New(fault.Invalid, "an absolute name leads out of the folder")
	case strings.IndexByte(name, 0) >= 0:
		return nil, fault.New(fault.Invalid, "a name must not contain NUL")
	case len(name) > limit:
		return nil, fault.New(fault.Invalid, "a name is longer than path-bytes allows (%d)", limit)
	}
	var kept []string
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			return nil, fault.New(fault.Invalid, "a name with .. leads out of the folder")
		default:
			kept = append(kept, part)
		}
	}
	if len(kept) > maxDepth {
		return nil, fault.New(fault.Invalid, "a name leads through more than %d directories", maxDepth)
	}
	return kept, nil
}

func shown(name string) string {
	if len(name) > shownBytes {
		name = name[:shownBytes]
	}
	return strconv.Quote(name)
}
