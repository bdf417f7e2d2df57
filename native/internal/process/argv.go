package process

import (
	"strings"
	"unicode/utf8"

	"stacyvm/native/internal/bound"
)

// Shown is the beginning of a command line, as long as a list has room for. A cut argument ends with an ellipsis.
func Shown(argv []string) []string {
	shown, _ := shorten(argv)
	return shown
}

func shorten(argv []string) (shown []string, cut bool) {
	room := bound.ArgvShownBytes
	for i, arg := range argv {
		if len(arg) < room {
			room -= len(arg) + 1
			continue
		}
		end := min(room, len(arg))
		for end < len(arg) && end > 0 && !utf8.RuneStart(arg[end]) {
			end--
		}
		return append(argv[:i:i], arg[:end]+"…"), true
	}
	return argv, false
}

// shed lets go of what only a living process needs: command line and variables may be a mebibyte each.
func (p *Process) shed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Spec.Env = nil
	shown, cut := shorten(p.Spec.Argv)
	if !cut {
		return
	}
	// A part of a text keeps the whole of it in memory; a clone doesn't.
	p.Spec.Argv = make([]string, len(shown))
	for i, arg := range shown {
		p.Spec.Argv[i] = strings.Clone(arg)
	}
}
