package intercept

import (
	"errors"
	"fmt"
	"strings"
)

// placeholders are those that a sandbox has, with the names of what they stand for.
type placeholders struct {
	names map[string]string
	// longest is the length of the longest.
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
	p.longest = max(p.longest, len(placeholder))
	return nil
}
