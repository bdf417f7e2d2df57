package idle

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

func TestOnlyUnchangedReadOnlyMappingsOfTheProgramAreGivenBack(t *testing.T) {
	const smaps = `00400000-0084e000 r-xp 00000000 fe:00 99 /run/agent
Anonymous:             0 kB
0084e000-00d14000 r--p 0044e000 fe:00 99 /run/agent
Anonymous:             0 kB
00d14000-00d20000 r--p 00914000 fe:00 99 /run/agent
Anonymous:             4 kB
00d20000-00d77000 rw-p 00914000 fe:00 99 /run/agent
Anonymous:             0 kB
c000000000-c000800000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f0000000000-7f0000001000 r--p 00000000 fe:00 98 /lib/libc.so.6
Anonymous:             0 kB
7f0000002000-7f0000003000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
`
	got := unchanged(bufio.NewScanner(strings.NewReader(smaps)))
	if len(got) != 2 || got[0] != (mapping{0x400000, 0x84e000}) || got[1] != (mapping{0x84e000, 0xd14000}) {
		t.Errorf("%x", got)
	}
}

func TestTheProgramRunsOnAfterItsPagesWentBack(t *testing.T) {
	if _, err := os.Stat("/proc/self/smaps"); err != nil {
		t.Skip("the kernel tells nothing of mappings here: ", err)
	}
	m := Find()
	if len(m.program) == 0 {
		t.Fatal("the program's own mappings are not found")
	}
	for range 3 {
		m.letGoOfProgram()
		if got := strings.Repeat("ab", 3); got != "ababab" {
			t.Error(got)
		}
	}
}
