package tree

import (
	"os"
	"testing"
)

func TestAHostileCommandNameChangesNothing(t *testing.T) {
	s, ok := ParseStat([]byte("12 (a) R 1 1 1) S 7 8 9 0 -1 4 0 0 0 0 5 6 1 2 20 0 1 0 99 1000 33 18446744073709551615"))
	if !ok || s.Parent != 7 || s.Session != 9 || s.State != 'S' || s.CPUTicks != 11 || s.ReapedTicks != 3 || s.ResidentPages != 33 {
		t.Errorf("%+v %v", s, ok)
	}
}

func TestTheOwnLineIsRead(t *testing.T) {
	if s, ok := ReadStat(os.Getpid()); !ok || s.PID != os.Getpid() || s.Parent != os.Getppid() {
		t.Errorf("%+v %v", s, ok)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("12 (sh) S 7 8 9 0 -1 4 0 0 0 0 5 6 1 2 20 0 1 0 99 1000 33"))
	f.Add([]byte("12 (a) b (c\n) R"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if s, ok := ParseStat(line); ok && s.PID <= 0 {
			t.Errorf("%+v", s)
		}
		for _, pid := range parsePids(line) {
			if pid <= 0 {
				t.Error(pid)
			}
		}
	})
}
