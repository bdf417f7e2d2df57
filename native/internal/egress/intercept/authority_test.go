package intercept

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

func authorityOf(t testing.TB, seed byte) *Authority {
	t.Helper()
	authority, err := NewAuthority([seedLength]byte{seed})
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func leafOf(t testing.TB, authority *Authority, host string) *tls.Certificate {
	t.Helper()
	leaf, err := authority.Leaf(host)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// trusts are the roots of a client that has an authority's certificate and nothing else.
func trusts(t testing.TB, authority *Authority) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(authority.PEM())) {
		t.Fatal("the certificate is none")
	}
	return pool
}

func TestASeedMakesOneAuthorityWhicheverGatewayDoes(t *testing.T) {
	one, same, other := authorityOf(t, 1), authorityOf(t, 1), authorityOf(t, 2)
	if one.PEM() != same.PEM() {
		t.Error("the same seed makes two certificates")
	}
	if !one.key.Equal(same.key) || one.key.Equal(other.key) || one.PEM() == other.PEM() {
		t.Error("a key isn't its seed's")
	}
	block, _ := pem.Decode([]byte(one.PEM()))
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !certificate.IsCA || certificate.MaxPathLen != 0 || !certificate.MaxPathLenZero || !strings.HasPrefix(certificate.Subject.CommonName, "StacyVM sandbox ") ||
		certificate.Subject.CommonName == other.certificate.Subject.CommonName {
		t.Errorf("%+v", certificate.Subject)
	}
	if certificate.NotAfter.Sub(certificate.NotBefore) < 9*365*24*time.Hour || time.Now().Before(certificate.NotBefore) {
		t.Errorf("valid from %s to %s", certificate.NotBefore, certificate.NotAfter)
	}
}

func TestALeafIsValidForItsHostAndItsSandboxAlone(t *testing.T) {
	one, other := authorityOf(t, 1), authorityOf(t, 2)
	for _, host := range []string{"api.example.com", strings.Repeat("a.", 100) + "test"} {
		leaf := leafOf(t, one, host).Leaf
		for _, c := range []struct {
			roots *x509.CertPool
			host  string
			valid bool
		}{{trusts(t, one), host, true}, {trusts(t, one), "x." + host, false}, {trusts(t, one), "other.test", false}, {trusts(t, other), host, false}} {
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: c.roots, DNSName: c.host}); (err == nil) != c.valid {
				t.Errorf("%s for %s: %v", host, c.host, err)
			}
		}
		if left := time.Until(leaf.NotAfter); left > leafAge || left < leafAge-time.Minute || time.Since(leaf.NotBefore) < time.Hour {
			t.Errorf("valid from %s to %s", leaf.NotBefore, leaf.NotAfter)
		}
	}
	// What a sandbox signs with a leaf's key is nobody's: a leaf is no authority.
	if leafOf(t, one, "api.example.com").Leaf.IsCA {
		t.Error("a leaf may sign")
	}
}

func TestAClientThatTrustsTheAuthorityShakesHands(t *testing.T) {
	authority := authorityOf(t, 1)
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		_ = tls.Server(far, &tls.Config{Certificates: []tls.Certificate{*leafOf(t, authority, "api.example.com")}}).Handshake()
	}()
	if err := tls.Client(near, &tls.Config{RootCAs: trusts(t, authority), ServerName: "api.example.com"}).Handshake(); err != nil {
		t.Error(err)
	}
}

func TestLeavesAreKeptWithinABoundAndMadeAnewInTime(t *testing.T) {
	authority := authorityOf(t, 1)
	first := leafOf(t, authority, "api.example.com")
	if leafOf(t, authority, "api.example.com") != first {
		t.Error("a leaf isn't kept")
	}
	first.Leaf.NotAfter = time.Now().Add(leafLeft - time.Minute)
	if again := leafOf(t, authority, "api.example.com"); again == first || time.Until(again.Leaf.NotAfter) < leafLeft {
		t.Error("a leaf is kept until it ends")
	}
	for i := range maxLeaves + 10 {
		leafOf(t, authority, fmt.Sprintf("h%d.test", i))
	}
	if len(authority.leaves) != maxLeaves {
		t.Errorf("%d leaves are kept", len(authority.leaves))
	}
}
