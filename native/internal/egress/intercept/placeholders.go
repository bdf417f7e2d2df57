package intercept

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// placeholders are those that a sandbox has, with the names of what they stand for.
type placeholders struct {
	names map[string]string
	// lengths are those that there are, and longest the longest of them.
	lengths []int
	longest int
}

func (p *placeholders) add(placeholder, name string) error {
	if !strings.HasPrefix(placeholder, placeholderPrefix) || len(placeholder) < minPlaceholderBytes || len(placeholder) > maxPlaceholderBytes ||
		strings.Trim(placeholder, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return fmt.Errorf("isn't %s and letters, digits, - and _, %d to %d in all", placeholderPrefix, minPlaceholderBytes, maxPlaceholderBytes)
	}
	for other, otherName := range p.names {
		switch {
		case other == placeholder && otherName != name:
			return errors.New("stands for another secret")
		case other != placeholder && (strings.HasPrefix(other, placeholder) || strings.HasPrefix(placeholder, other)):
			return errors.New("begins like another one")
		}
	}
	if p.names == nil {
		p.names = map[string]string{}
	}
	p.names[placeholder] = name
	if !slices.Contains(p.lengths, len(placeholder)) {
		p.lengths = append(p.lengths, len(placeholder))
	}
	p.longest = max(p.longest, len(placeholder))
	return nil
}

// errForeign is a placeholder where it doesn't stand for its secret, errUnavailable one whose secret isn't available.
var (
	errForeign     = errors.New("a placeholder is where it isn't replaced, or goes to another host than its secret's")
	errUnavailable = errors.New("the secret isn't available")
)

// in returns the first placeholder in a text, and where it is.
func (p *placeholders) in(text string) (at int, placeholder string) {
	for from := 0; ; {
		next := strings.Index(text[from:], placeholderPrefix)
		if next < 0 {
			return -1, ""
		}
		from += next
		for _, length := range p.lengths {
			if length > len(text)-from {
				continue
			}
			if _, is := p.names[text[from:from+length]]; is {
				return from, text[from : from+length]
			}
		}
		from += len(placeholderPrefix)
	}
}

// inBytes is in for bytes.
func (p *placeholders) inBytes(text []byte) (at int, placeholder string) {
	at = bytes.Index(text, []byte(placeholderPrefix))
	if at < 0 {
		return -1, ""
	}
	return p.in(string(text))
}

// inName tells whether a placeholder is in a header's name, whose capitals don't count.
func (p *placeholders) inName(name string) bool {
	name = strings.ToLower(name)
	if strings.Contains(name, placeholderPrefix) {
		for placeholder := range p.names {
			if strings.Contains(name, strings.ToLower(placeholder)) {
				return true
			}
		}
	}
	return false
}

// replace puts the secrets of a target in the places of their placeholders; used are the values by their names.
func (p *placeholders) replace(text string, target *Target, used map[string]string) (string, error) {
	var replaced strings.Builder
	for {
		at, placeholder := p.in(text)
		if at < 0 {
			replaced.WriteString(text)
			return replaced.String(), nil
		}
		var secret secret
		isBound := false
		if target != nil {
			secret, isBound = target.secrets[placeholder]
		}
		switch {
		case !isBound:
			return "", errForeign
		case !secret.isAvailable:
			return "", errUnavailable
		}
		replaced.WriteString(text[:at])
		replaced.WriteString(secret.value)
		used[secret.name] = secret.value
		text = text[at+len(placeholder):]
	}
}

// Finder looks for a sandbox's placeholders in what it sends, in pieces.
type Finder struct{ tail []byte }

// Find tells whether a placeholder ends in a piece.
func (f *Finder) Find(config *Config, piece []byte) bool {
	if config == nil || config.placeholders.longest == 0 {
		f.tail = nil
		return false
	}
	keep := config.placeholders.longest - 1
	seam := append(f.tail, piece[:min(keep, len(piece))]...)
	if at, _ := config.placeholders.inBytes(seam); at >= 0 {
		return true
	}
	if at, _ := config.placeholders.inBytes(piece); at >= 0 {
		return true
	}
	if len(piece) >= keep {
		seam = piece
	}
	f.tail = append(f.tail[:0:0], seam[max(0, len(seam)-keep):]...)
	return false
}
