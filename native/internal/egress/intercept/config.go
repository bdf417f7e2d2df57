// Package intercept ends a sandbox's TLS to the hosts that are inspected, decides on each request, puts secrets into it on
// its way out, and masks them in what comes back.
package intercept

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"stacyvm/native/internal/egresswire"
)

const (
	// maxEntries bounds each list of a sandbox's interception.
	maxEntries = 256
	// maxNameBytes bounds a secret's name.
	maxNameBytes = 256
	// maxPlaceholderBytes bounds a placeholder.
	maxPlaceholderBytes = 256
	// maxValueBytes bounds a secret's value, and what is put around it.
	maxValueBytes = 8 << 10
)

// placeholderPrefix is what every placeholder begins with, and minPlaceholderBytes how long one is at least: nobody
// meets one by chance.
const (
	placeholderPrefix   = "stacyvm-secret-"
	minPlaceholderBytes = 24
)

// Spec is a sandbox's interception as the server sends it. Without a value a secret isn't available.
type Spec struct {
	// Seed is base64 of 32 bytes; the sandbox's authority is made of it.
	Seed    string       `json:"seed"`
	Secrets []SecretSpec `json:"secrets"`
	Inject  []InjectSpec `json:"inject"`
}

// SecretSpec is a placeholder that stands for a secret in requests to one host and port.
type SecretSpec struct {
	Name        string  `json:"name"`
	Placeholder string  `json:"placeholder"`
	Host        string  `json:"host"`
	Port        int     `json:"port"`
	Value       *string `json:"value,omitempty"`
}

// InjectSpec is a header that every request to one host and port gets: before, the secret and after, joined.
type InjectSpec struct {
	Name   string  `json:"name"`
	Host   string  `json:"host"`
	Port   int     `json:"port"`
	Header string  `json:"header"`
	Before string  `json:"before"`
	Value  *string `json:"value,omitempty"`
	After  string  `json:"after"`
}

// Config is a Spec that was read. It doesn't change.
type Config struct {
	Authority *Authority
	targets   map[target]*Target
	// placeholders are those of all targets.
	placeholders placeholders
}

type target struct {
	host string
	port uint16
}

// Target is what is known about one host and port.
type Target struct {
	// secrets are by their placeholder.
	secrets map[string]secret
	inject  []injection
	// masker is nil where there is no value.
	masker *masker
}

type secret struct {
	name  string
	value string
	// isAvailable: there is a value.
	isAvailable bool
}

type injection struct {
	secret
	header, before, after string
}

// Compile reads a spec. An error names the place of what is wrong, and no value. An authority that was made before of the
// same seed is kept, with its certificates.
func Compile(spec *Spec, before *Config) (*Config, error) {
	seed, err := base64.StdEncoding.DecodeString(spec.Seed)
	if err != nil || len(seed) != seedLength {
		return nil, fmt.Errorf("interception.seed: isn't base64 of %d bytes", seedLength)
	}
	if len(spec.Secrets) > maxEntries || len(spec.Inject) > maxEntries {
		return nil, fmt.Errorf("interception: has %d secrets and %d injections, and may have %d of each", len(spec.Secrets), len(spec.Inject), maxEntries)
	}
	config := &Config{targets: map[target]*Target{}}
	for i := range spec.Secrets {
		if err := config.addSecret(&spec.Secrets[i]); err != nil {
			return nil, fmt.Errorf("interception.secrets[%d].%w", i, err)
		}
	}
	for i := range spec.Inject {
		if err := config.addInjection(&spec.Inject[i]); err != nil {
			return nil, fmt.Errorf("interception.inject[%d].%w", i, err)
		}
	}
	for _, target := range config.targets {
		target.masker = newMasker(target.values())
	}
	if before != nil && before.Authority.seed == [seedLength]byte(seed) {
		config.Authority = before.Authority
		return config, nil
	}
	config.Authority, err = NewAuthority([seedLength]byte(seed))
	return config, err
}

// Of is what is known about a host and port, nil if nothing is.
func (c *Config) Of(host string, port uint16) *Target {
	if c == nil {
		return nil
	}
	return c.targets[target{host, port}]
}

func (c *Config) at(host string, port int) (*Target, error) {
	name, ok := egresswire.Name(host)
	switch {
	case !ok || egresswire.IsNumeric(name):
		return nil, fmt.Errorf("host: %q is no name", host)
	case port < 1 || port > 65_535:
		return nil, fmt.Errorf("port: %d is none", port)
	}
	at := target{name, uint16(port)}
	if c.targets[at] == nil {
		c.targets[at] = &Target{secrets: map[string]secret{}}
	}
	return c.targets[at], nil
}

func (c *Config) addSecret(spec *SecretSpec) error {
	read, err := readSecret(spec.Name, spec.Value)
	if err != nil {
		return err
	}
	at, err := c.at(spec.Host, spec.Port)
	if err != nil {
		return err
	}
	if err := c.placeholders.add(spec.Placeholder, spec.Name); err != nil {
		return fmt.Errorf("placeholder: %w", err)
	}
	if _, isKnown := at.secrets[spec.Placeholder]; isKnown {
		return errors.New("placeholder: stands for another secret there")
	}
	at.secrets[spec.Placeholder] = read
	return nil
}

func (c *Config) addInjection(spec *InjectSpec) error {
	read, err := readSecret(spec.Name, spec.Value)
	if err != nil {
		return err
	}
	at, err := c.at(spec.Host, spec.Port)
	switch {
	case err != nil:
		return err
	case !isToken(spec.Header) || len(spec.Header) > maxNameBytes:
		return fmt.Errorf("header: %q is no header's name", spec.Header)
	case isFraming(http.CanonicalHeaderKey(spec.Header)):
		return fmt.Errorf("header: %s says how a message is sent, and can't be set", spec.Header)
	case !isFieldText(spec.Before):
		return errors.New("before: has control characters, or is too long")
	case !isFieldText(spec.After):
		return errors.New("after: has control characters, or is too long")
	}
	made := injection{read, http.CanonicalHeaderKey(spec.Header), spec.Before, spec.After}
	for _, other := range at.inject {
		if other.header == made.header {
			return fmt.Errorf("header: %s is set there already", spec.Header)
		}
	}
	at.inject = append(at.inject, made)
	return nil
}

func readSecret(name string, value *string) (secret, error) {
	switch {
	case name == "" || len(name) > maxNameBytes:
		return secret{}, fmt.Errorf("name: is missing, or longer than %d bytes", maxNameBytes)
	case value == nil:
		return secret{name: name}, nil
	case *value == "":
		return secret{}, errors.New("value: is empty; without one the secret isn't available")
	case !isFieldText(*value):
		return secret{}, fmt.Errorf("value: has control characters, or is longer than %d bytes", maxValueBytes)
	}
	return secret{name, *value, true}, nil
}

func isFieldText(text string) bool {
	return len(text) <= maxValueBytes && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// isToken tells whether a text is a name as headers have (RFC 9110, 5.6.2).
func isToken(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~") == ""
}

// isFraming tells whether a header belongs to a connection or says where a message goes and ends.
func isFraming(header string) bool {
	switch header {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Expect",
		"Proxy-Authenticate", "Proxy-Authorization", "Http2-Settings", "Host", "Content-Length":
		return true
	}
	return false
}

// values are a target's values by the names of their secrets.
func (t *Target) values() map[string][]string {
	values := map[string][]string{}
	if t == nil {
		return values
	}
	for _, secret := range t.secrets {
		if secret.isAvailable {
			values[secret.name] = append(values[secret.name], secret.value)
		}
	}
	for _, injection := range t.inject {
		if injection.isAvailable {
			values[injection.name] = append(values[injection.name], injection.value)
		}
	}
	return values
}
