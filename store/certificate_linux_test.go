package store

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// encrypt gives a PostgreSQL server a certificate that ends at a time, and switches TLS on.
func encrypt(t *testing.T, address string, end time.Time) {
	t.Helper()
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var dir string
	if err := db.QueryRowContext(t.Context(), "SHOW data_directory").Scan(&dir); err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "postgres"}, NotBefore: end.Add(-time.Hour), NotAfter: end, DNSNames: []string{"localhost"}}
	certificate, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	for name, block := range map[string]*pem.Block{"server.crt": {Type: "CERTIFICATE", Bytes: certificate}, "server.key": {Type: "PRIVATE KEY", Bytes: private}} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	for _, statement := range []string{"ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for on := ""; on != "on"; time.Sleep(10 * time.Millisecond) { // the server reads it when it comes to it
		if err := db.QueryRowContext(t.Context(), "SHOW ssl").Scan(&on); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheCertificateOfPostgreSQLIsSeen(t *testing.T) {
	_, address := pgtest.Private(t)
	end := time.Now().Add(48 * time.Hour).Truncate(time.Second)
	encrypt(t, address, end)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[string]int{"require": 1, "disable": 0} {
		query := u.Query()
		query.Set("sslmode", mode)
		u.RawQuery = query.Encode()
		var seen []time.Time
		s, err := Open(t.Context(), Options{URL: secret.New(u.String()), Secured: func(state *tls.ConnectionState) { seen = append(seen, state.PeerCertificates[0].NotAfter) }})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if len(seen) != want || want > 0 && !seen[0].Equal(end) {
			t.Errorf("sslmode=%s: certificates that end %v were seen, want %d that ends %s", mode, seen, want, end)
		}
	}
}
