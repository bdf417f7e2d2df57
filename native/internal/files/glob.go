package files

import (
	"io"
	"os"
	gopath "path"
	"slices"
	"strings"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// maxAlternatives bounds what the `{a,b}` groups of one pattern multiply to.
const maxAlternatives = 256

// Glob gives the paths that match an absolute pattern, sorted; truncated says that there are more than limit.
// `**` stands for any number of directories and never enters a symlink. Names beginning with a dot match like others.
func (f *Files) Glob(pattern string, limit int) (paths []string, truncated bool, err error) {
	if len(pattern) > f.Limits.GlobBytes {
		return nil, false, fault.Exceeds("glob-bytes", f.Limits.GlobBytes)
	}
	if !strings.HasPrefix(pattern, "/") || strings.IndexByte(pattern, 0) >= 0 {
		return nil, false, fault.New(fault.Invalid, "pattern must be absolute and without NUL: %q", pattern)
	}
	if limit <= 0 || limit > f.Limits.GlobResults {
		limit = f.Limits.GlobResults
	}
	alternatives, err := expand(pattern)
	if err != nil {
		return nil, false, err
	}
	g := globber{limit: limit, visits: f.Limits.GlobVisits, maxVisits: f.Limits.GlobVisits, found: map[string]bool{}}
	for _, alternative := range alternatives {
		if err := g.run(alternative); err != nil {
			return nil, false, err
		}
	}
	for name := range g.found {
		paths = append(paths, text(name))
	}
	slices.Sort(paths)
	return paths, g.full, nil
}

// expand multiplies out `{a,b}`.
func expand(pattern string) ([]string, error) {
	pending, done := []string{pattern}, []string(nil)
	for len(pending) > 0 {
		p := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		open, end, choices := group(p)
		if open < 0 {
			done = append(done, p)
		} else {
			for _, choice := range choices {
				pending = append(pending, p[:open]+choice+p[end+1:])
			}
		}
		if len(pending)+len(done) > maxAlternatives {
			return nil, fault.Exceeds("glob-alternatives", maxAlternatives)
		}
	}
	return done, nil
}

// group finds the first innermost-safe `{…}` and its choices; a brace without partner is an ordinary character.
func group(p string) (open, end int, choices []string) {
	for open = 0; open < len(p); open++ {
		if p[open] == '\\' {
			open++
			continue
		}
		if p[open] != '{' {
			continue
		}
		depth, from := 0, open+1
		choices = nil
		for end = open; end < len(p); end++ {
			switch p[end] {
			case '\\':
				end++
			case '{':
				depth++
			case ',':
				if depth == 1 {
					choices = append(choices, p[from:end])
					from = end + 1
				}
			case '}':
				if depth--; depth == 0 {
					if len(choices) > 0 {
						return open, end, append(choices, p[from:end])
					}
					end = len(p)
				}
			}
		}
	}
	return -1, 0, nil
}

type globber struct {
	limit, visits, maxVisits int
	found                    map[string]bool
	full                     bool
}

func (g *globber) run(pattern string) error {
	var parts []string
	for _, part := range strings.Split(pattern, "/") {
		if part == "" || part == "." || part == "**" && len(parts) > 0 && parts[len(parts)-1] == "**" {
			continue
		}
		if _, err := gopath.Match(part, ""); err != nil {
			return fault.New(fault.Invalid, "pattern is malformed: %q", part)
		}
		parts = append(parts, part)
	}
	// A literal beginning is walked at once; it may lead through symlinks.
	base := "/"
	for len(parts) > 1 && !strings.ContainsAny(parts[0], `*?[\`) {
		base = join(base, parts[0])
		parts = parts[1:]
	}
	dir, full, err := path.OpenDir(base)
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }()
	if len(parts) == 0 {
		g.add(full)
		return nil
	}
	return g.walk(dir, base, parts, 0)
}

func (g *globber) add(name string) {
	if g.found[name] {
		return
	}
	if len(g.found) >= g.limit {
		g.full = true
		return
	}
	g.found[name] = true
}

func (g *globber) walk(dir *os.File, full string, parts []string, depth int) error {
	if depth > maxCopyDepth {
		return nil
	}
	anyDepth := parts[0] == "**"
	if anyDepth && len(parts) == 1 {
		g.add(full)
	}
	if _, err := dir.Seek(0, io.SeekStart); err != nil {
		return nil
	}
	for !g.full {
		names, err := dir.Readdirnames(512)
		for _, name := range names {
			if g.visits--; g.visits < 0 {
				return fault.Exceeds("glob-visits", g.maxVisits)
			}
			if err := g.entry(dir, full, name, parts, depth); err != nil {
				return err
			}
		}
		if err != nil || len(names) == 0 {
			break
		}
	}
	return nil
}

func (g *globber) entry(dir *os.File, full, name string, parts []string, depth int) error {
	below := join(full, name)
	rest := parts
	if parts[0] == "**" {
		if err := g.descend(dir, name, below, parts, depth); err != nil {
			return err
		}
		if len(parts) == 1 {
			g.add(below)
			return nil
		}
		rest = parts[1:]
	}
	if ok, err := gopath.Match(rest[0], name); err != nil || !ok {
		return nil
	}
	if len(rest) == 1 {
		g.add(below)
		return nil
	}
	return g.descend(dir, name, below, rest[1:], depth)
}

func (g *globber) descend(dir *os.File, name, below string, parts []string, depth int) error {
	sub, err := openBelow(dir, name)
	if err != nil {
		return nil
	}
	defer func() { _ = sub.Close() }()
	return g.walk(sub, below, parts, depth+1)
}
