package intercept

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync"
	"time"
)

const (
	// seedLength is the length of what an authority's key is made of.
	seedLength = 32
	// maxLeaves bounds the certificates that are kept for one sandbox.
	maxLeaves = 256
	// leafAge is how long a certificate for a host is valid.
	leafAge = 24 * time.Hour
	// leafLeft is when it is made anew.
	leafLeft = time.Hour
)

// authorityBegin and authorityEnd are fixed, so that a seed's certificate is always the same.
var (
	authorityBegin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	authorityEnd   = time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Authority is what one sandbox trusts: it signs certificates for the hosts that are inspected for it.
type Authority struct {
	seed        [seedLength]byte
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate

	mu      sync.Mutex
	leafKey *ecdsa.PrivateKey
	leaves  map[string]*tls.Certificate
}

// NewAuthority makes the authority of a seed; the same seed makes the same key and certificate.
func NewAuthority(seed [seedLength]byte) (*Authority, error) {
	key, err := keyOf(seed)
	if err != nil {
		return nil, err
	}
	serial, err := hkdf.Key(sha256.New, seed[:], nil, "stacyvm sandbox authority: serial", 16)
	if err != nil {
		return nil, err
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(point)
	// The first bit is 0 and the second 1: a serial number is positive and has no zeroes in front.
	serial[0] = serial[0]&0x7f | 0x40
	template := &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(serial),
		Subject:               pkix.Name{CommonName: "StacyVM sandbox " + hex.EncodeToString(digest[:4])},
		NotBefore:             authorityBegin,
		NotAfter:              authorityEnd,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		SubjectKeyId:          digest[:20],
	}
	// Without randomness the signature is the deterministic one of RFC 6979.
	der, err := x509.CreateCertificate(nil, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return &Authority{seed: seed, key: key, certificate: certificate, leafKey: leafKey, leaves: map[string]*tls.Certificate{}}, nil
}

// keyOf makes a key of a seed as FIPS 186-5, A.2.1 makes one of random bits.
func keyOf(seed [seedLength]byte) (*ecdsa.PrivateKey, error) {
	bits, err := hkdf.Key(sha256.New, seed[:], nil, "stacyvm sandbox authority: key", 48)
	if err != nil {
		return nil, err
	}
	less := new(big.Int).Sub(elliptic.P256().Params().N, big.NewInt(1))
	scalar := new(big.Int).Mod(new(big.Int).SetBytes(bits), less)
	return ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar.Add(scalar, big.NewInt(1)).FillBytes(make([]byte, 32)))
}

// PEM is the authority's certificate.
func (a *Authority) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}))
}

// Leaf is a certificate for one host, whose private key never leaves the gateway.
func (a *Authority) Leaf(host string) (*tls.Certificate, error) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if known := a.leaves[host]; known != nil && now.Before(known.Leaf.NotAfter.Add(-leafLeft)) {
		return known, nil
	}
	leaf, err := a.mint(host, now)
	if err != nil {
		return nil, fmt.Errorf("a certificate for %s can't be made: %w", host, err)
	}
	if len(a.leaves) >= maxLeaves {
		for other := range a.leaves {
			delete(a.leaves, other)
			break
		}
	}
	a.leaves[host] = leaf
	return leaf, nil
}

func (a *Authority) mint(host string, now time.Time) (*tls.Certificate, error) {
	template := &x509.Certificate{
		DNSNames:              []string{host},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(leafAge),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	// A common name has 64 characters at most; without one the other name is what counts.
	if len(host) <= 64 {
		template.Subject.CommonName = host
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &a.leafKey.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.certificate.Raw}, PrivateKey: a.leafKey, Leaf: leaf}, nil
}
