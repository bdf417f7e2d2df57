package ports

import "testing"

func TestListeningSocketsAreReadInBothFamilies(t *testing.T) {
	got := parseTable("  sl  local_address rem_address   st\n" +
		"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n" +
		"   1: 0100007F:1F91 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n" +
		"   2: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4713 1\n")
	if len(got) != 2 || got[0].address.String() != "127.0.0.1" || got[0].port != 8080 || got[0].inode != "4711" || got[1].address.String() != "::1" {
		t.Errorf("%+v", got)
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add("0: 0100007F:1F90 0:0 0A 0 0 0 0 0 4711")
	f.Add("0: 01:1F90 0:0 0A 0 0 0 0 0 4711\n\n: : : 0A")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parseTable(text) {
			if !s.address.IsValid() {
				t.Errorf("%+v", s)
			}
		}
	})
}
