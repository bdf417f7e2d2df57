package serve

import "testing"

func TestAnEncodingIsChosenByQuality(t *testing.T) {
	for header, want := range map[string]string{
		"": "identity", "gzip": "gzip", "gzip;q=0": "identity", "*": "identity", "identity;q=0": "", "br": "identity",
		"gzip;q=0.5, identity;q=0.9": "identity", "*;q=0": "", "identity;q=0, *": "gzip", "GZIP; q=1": "gzip", "gzip;q=nan": "identity",
	} {
		if got := chooseEncoding(header); got != want {
			t.Errorf("%q: %q", header, got)
		}
	}
}

func FuzzChooseEncoding(f *testing.F) {
	f.Add("gzip;q=0.5, identity;q=0")
	f.Fuzz(func(t *testing.T, header string) {
		switch chooseEncoding(header) {
		case "", "gzip", "identity":
		default:
			t.Error(header)
		}
	})
}
