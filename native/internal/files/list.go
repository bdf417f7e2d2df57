package files

import (
	"os"
	"slices"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// List gives a directory's entries, sorted by path, down to depth levels (1 is the directory itself).
// Directories below that vanish meanwhile, or can't be read, are left out.
func (f *Files) List(name string, depth int) ([]Entry, error) {
	if depth < 1 {
		depth = 1
	}
	if depth > f.Limits.ListDepth {
		return nil, fault.Exceeds("list-depth", f.Limits.ListDepth)
	}
	dir, full, err := path.OpenDir(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	l := lister{limit: f.Limits.ListEntries, describe: f.describer()}
	if err := l.walk(dir, full, depth); err != nil {
		return nil, fault.At(name, err)
	}
	return l.entries, nil
}

type lister struct {
	limit    int
	describe describer
	entries  []Entry
}

func (l *lister) walk(dir *os.File, full string, depth int) error {
	names, err := readNames(dir, l.limit-len(l.entries), l.limit)
	if err != nil {
		return err
	}
	for _, name := range names {
		if isTemporary(name) {
			continue
		}
		below := join(full, name)
		e, err := l.describe.at(int(dir.Fd()), name, below)
		if err != nil {
			continue
		}
		if len(l.entries) >= l.limit {
			return fault.Exceeds("list-entries", l.limit)
		}
		l.entries = append(l.entries, e)
		if e.Kind != Directory || depth == 1 {
			continue
		}
		sub, err := openBelow(dir, name)
		if err != nil {
			continue
		}
		err = l.walk(sub, below, depth-1)
		_ = sub.Close()
		if fault.KindOf(err) == fault.Exhausted {
			return err
		}
	}
	return nil
}

// readNames reads at most room names, sorted; more is refused before they take memory.
func readNames(dir *os.File, room, limit int) ([]string, error) {
	names, err := dir.Readdirnames(room + 1)
	if len(names) > room {
		return nil, fault.Exceeds("list-entries", limit)
	}
	if len(names) == 0 && err != nil && err.Error() != "EOF" {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

func openBelow(dir *os.File, name string) (*os.File, error) {
	return openDirectory(int(dir.Fd()), name)
}

func join(dir, name string) string {
	if dir == "/" {
		return "/" + name
	}
	return dir + "/" + name
}
