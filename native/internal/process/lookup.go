package process

import (
	gopath "path"
	"strings"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// lookup finds the program. The error, if any, is what a shell would say, with a shell's exit code.
func lookup(argv0, cwd, search string) (program string, failure *notStarted) {
	if strings.Contains(argv0, "/") {
		program = argv0
		if !strings.HasPrefix(argv0, "/") {
			program = gopath.Join(cwd, argv0)
		}
		return program, reason(argv0, executable(program))
	}
	var found error = fault.New(fault.NotFound, "command not found")
	for _, dir := range strings.Split(search, ":") {
		if !strings.HasPrefix(dir, "/") {
			dir = gopath.Join(cwd, dir)
		}
		program = gopath.Join(dir, argv0)
		err := executable(program)
		if err == nil {
			return program, nil
		}
		if fault.KindOf(err) == fault.Denied {
			found = err
		}
	}
	return "", reason(argv0, found)
}

// notStarted is a command that ends before it began, as a shell reports it.
type notStarted struct {
	code    int
	message string
}

func reason(argv0 string, err error) *notStarted {
	if err == nil {
		return nil
	}
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Invalid:
		return &notStarted{127, argv0 + ": command not found\n"}
	case fault.Denied:
		return &notStarted{126, argv0 + ": permission denied\n"}
	}
	return &notStarted{126, argv0 + ": cannot execute: " + err.Error() + "\n"}
}

func executable(program string) error {
	st, err := path.Stat(program)
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 == 0 {
		return fault.New(fault.Denied, "%s: not executable", program)
	}
	return nil
}
