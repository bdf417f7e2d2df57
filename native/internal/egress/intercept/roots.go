package intercept

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// Roots are the authorities that a far end's certificate may be of: the system's, and further ones.
type Roots struct {
	text string
	pool *x509.CertPool
}

// ReadRoots reads the further ones, PEM.
func ReadRoots(text string) (*Roots, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		// Without the system's nothing but the further ones is trusted.
		pool = x509.NewCertPool()
	}
	for rest, count := []byte(text), 0; len(rest) > 0; count++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if count > 0 {
				break
			}
			return nil, errors.New("roots: have no PEM")
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("roots: the block %d is no certificate", count)
		}
		pool.AddCert(certificate)
	}
	return &Roots{text, pool}, nil
}

// Equal tells whether two are the same; the system's don't change.
func (r *Roots) Equal(other *Roots) bool { return other != nil && r.text == other.text }
