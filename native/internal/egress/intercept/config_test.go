package intercept

import (
	"encoding/base64"
	"strings"
	"testing"
)

const placeholder = placeholderPrefix + "0123456789abcdef"

var testSeed = base64.StdEncoding.EncodeToString(make([]byte, seedLength))

func value(text string) *string { return &text }

func compileSpec(t testing.TB, secrets []SecretSpec, inject []InjectSpec) *Config {
	t.Helper()
	config, err := Compile(&Spec{testSeed, secrets, inject}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func TestASpecThatCannotBeReadIsRefusedWithItsPlaceAndWithoutItsValue(t *testing.T) {
	good := SecretSpec{"KEY", placeholder, "api.test", 443, value("hunter2hunter2")}
	header := InjectSpec{"KEY", "api.test", 443, "Authorization", "Bearer ", value("hunter2hunter2"), ""}
	secret := func(change func(*SecretSpec)) *Spec {
		changed := good
		change(&changed)
		return &Spec{testSeed, []SecretSpec{good, changed}, nil}
	}
	inject := func(change func(*InjectSpec)) *Spec {
		changed := header
		changed.Header = "X-Key"
		change(&changed)
		return &Spec{testSeed, nil, []InjectSpec{header, changed}}
	}
	for _, c := range []struct {
		place string
		spec  *Spec
	}{
		{"interception.seed: ", &Spec{Seed: "AAAA"}},
		{"interception.seed: ", &Spec{Seed: "?"}},
		{"interception: has 257", &Spec{Seed: testSeed, Secrets: make([]SecretSpec, maxEntries+1)}},
		{"interception.secrets[1].placeholder: stands for another secret there", secret(func(*SecretSpec) {})},
		{"interception.secrets[1].placeholder: stands for another secret", secret(func(s *SecretSpec) { s.Host, s.Name = "b.test", "OTHER" })},
		{"interception.secrets[1].placeholder: begins", secret(func(s *SecretSpec) { s.Placeholder += "x" })},
		{"interception.secrets[1].placeholder: isn't", secret(func(s *SecretSpec) { s.Placeholder = "other-" + placeholder })},
		{"interception.secrets[1].placeholder: isn't", secret(func(s *SecretSpec) { s.Placeholder = placeholderPrefix })},
		{"interception.secrets[1].placeholder: isn't", secret(func(s *SecretSpec) { s.Placeholder = placeholder + "\r\n" })},
		{"interception.secrets[1].name: ", secret(func(s *SecretSpec) { s.Name = "" })},
		{`interception.secrets[1].host: "*.test"`, secret(func(s *SecretSpec) { s.Host = "*.test" })},
		{`interception.secrets[1].host: "127.1"`, secret(func(s *SecretSpec) { s.Host = "127.1" })},
		{"interception.secrets[1].port: 0", secret(func(s *SecretSpec) { s.Port = 0 })},
		{"interception.secrets[1].port: 65536", secret(func(s *SecretSpec) { s.Port = 65_536 })},
		{"interception.secrets[1].value: is empty", secret(func(s *SecretSpec) { s.Value = value("") })},
		{"interception.secrets[1].value: has control", secret(func(s *SecretSpec) { s.Value = value("hunter2hunter2\r\nX: y") })},
		{"interception.secrets[1].value: has control", secret(func(s *SecretSpec) { s.Value = value(strings.Repeat("hunter2", 2000)) })},
		{"interception.inject[1].header: authorization is set", inject(func(i *InjectSpec) { i.Header = "authorization" })},
		{`interception.inject[1].header: "X Key"`, inject(func(i *InjectSpec) { i.Header = "X Key" })},
		{`interception.inject[1].header: ""`, inject(func(i *InjectSpec) { i.Header = "" })},
		{"interception.inject[1].header: host says", inject(func(i *InjectSpec) { i.Header = "host" })},
		{"interception.inject[1].header: content-length says", inject(func(i *InjectSpec) { i.Header = "content-length" })},
		{"interception.inject[1].header: transfer-encoding says", inject(func(i *InjectSpec) { i.Header = "transfer-encoding" })},
		{"interception.inject[1].before: ", inject(func(i *InjectSpec) { i.Before = "a\nb" })},
		{"interception.inject[1].after: ", inject(func(i *InjectSpec) { i.After = "\x00" })},
		{"interception.inject[1].value: has control", inject(func(i *InjectSpec) { i.Value = value("hunter2hunter2\x7f") })},
	} {
		_, err := Compile(c.spec, nil)
		if err == nil || !strings.HasPrefix(err.Error(), c.place) {
			t.Errorf("want %s, got %v", c.place, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a value is said: %v", err)
		}
	}
}

func TestATargetIsAHostAndAPort(t *testing.T) {
	config := compileSpec(t, []SecretSpec{{"KEY", placeholder, "API.test.", 443, nil}, {"KEY", placeholder, "b.test", 8443, value("v")}}, nil)
	for _, c := range []struct {
		host  string
		port  uint16
		known bool
	}{{"api.test", 443, true}, {"api.test", 80, false}, {"b.test", 8443, true}, {"x.api.test", 443, false}} {
		if got := config.Of(c.host, c.port) != nil; got != c.known {
			t.Errorf("%s:%d: %t", c.host, c.port, got)
		}
	}
	if (*Config)(nil).Of("api.test", 443) != nil {
		t.Error("what isn't there knows a target")
	}
}

func TestAnAuthorityIsKeptWithItsSeed(t *testing.T) {
	before := compileSpec(t, nil, nil)
	same, err := Compile(&Spec{Seed: testSeed}, before)
	if err != nil || same.Authority != before.Authority {
		t.Errorf("an authority is made anew: %v", err)
	}
	other, err := Compile(&Spec{Seed: base64.StdEncoding.EncodeToString(append(make([]byte, seedLength-1), 1))}, before)
	if err != nil || other.Authority == before.Authority {
		t.Errorf("an authority is kept for another seed: %v", err)
	}
}

func TestRootsAreCertificates(t *testing.T) {
	roots, err := ReadRoots(authorityOf(t, 1).PEM() + authorityOf(t, 2).PEM())
	if err != nil {
		t.Fatal(err)
	}
	none, err := ReadRoots("")
	if err != nil || roots.Equal(none) || !none.Equal(none) || none.Equal(nil) {
		t.Errorf("%v", err)
	}
	for _, text := range []string{"not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"} {
		if _, err := ReadRoots(text); err == nil || !strings.HasPrefix(err.Error(), "roots: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
