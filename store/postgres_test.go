package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// If PostgreSQL refuses a connection, the error has a command that can be copied into a shell.
func TestWhatPostgreSQLRefusesIsToldWithTheCommandThatMendsIt(t *testing.T) {
	s := server{host: "db.example.com", port: 5432, database: "billing", user: "shop-app"}
	for _, c := range []struct {
		code, message string
		want          string
	}{
		{"3D000", "", "the database billing does not exist at db.example.com:5432: createdb -h db.example.com -p 5432 -U postgres -O shop-app billing"},
		{"28P01", "", `refuses the password of shop-app: correct it in DATABASE_URL, or set a new one: psql -h db.example.com -p 5432 -U postgres -d postgres -c "\password \"shop-app\""`},
		{"28000", `role "shop-app" does not exist`, "has no role shop-app: createuser -h db.example.com -p 5432 -U postgres -P shop-app"},
		{"28000", "no pg_hba.conf\nentry", "does not let shop-app in from here: no pg_hba.conf entry; allow it in pg_hba.conf"},
		{"42501", "permission denied for database billing", `may not connect to the database billing: psql -h db.example.com -p 5432 -U postgres -d postgres -c "GRANT CONNECT ON DATABASE billing TO \"shop-app\""`},
		{"42501", "permission denied for schema public", `may make no tables in the database billing: psql -h db.example.com -p 5432 -U postgres -d billing -c "GRANT ALL ON SCHEMA public TO`},
		{"42501", "permission denied for table runs", "lacks a right in the database billing (permission denied for table runs), whose tables another role has made: psql"},
		{"08P01", "unsupported startup parameter: search_path", "the pooler at db.example.com:5432 refuses a parameter of DATABASE_URL (unsupported startup parameter: search_path): take it out"},
		{"53300", "", "has no connection left: raise max_connections there, or put pool_max_conns=2 into DATABASE_URL"},
	} {
		err := s.explain(fmt.Errorf("connecting: %w", &pgconn.PgError{Code: c.code, Message: c.message}))
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s is told as %q, want %q", c.code, c.message, err, c.want)
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q has more than one line", err)
		}
	}
	for _, other := range []error{&pgconn.PgError{Code: "42P01"}, errors.New("something else"), nil} {
		if got := s.explain(other); got != other { //nolint:errorlint // the very same error
			t.Errorf("%v becomes %v", other, got)
		}
	}
	unknown := s.explain(&net.DNSError{Err: "no such host", Name: "db.example.com", IsNotFound: true})
	says(t, "a host that is not known", unknown, fault.Permanent, "the host db.example.com of DATABASE_URL is not known", "getent hosts db.example.com")
	slow := &net.DNSError{Err: "server misbehaving"}
	if got := s.explain(slow); !errors.Is(got, slow) {
		t.Errorf("a resolver that does not answer is told as %v", got)
	}
}

func TestAServerThatDoesNotAnswerIsToldWithItsAddress(t *testing.T) {
	_, refused := net.Dial("tcp", "127.0.0.1:1")
	if refused == nil {
		t.Skip("something listens on port 1 here")
	}
	s := server{host: "127.0.0.1", port: 1}
	config, err := pgconn.ParseConfig("postgres://u@127.0.0.1:1/db?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: timedOut{}}
	}
	_, slow := pgconn.ConnectConfig(t.Context(), config)
	for _, c := range []struct {
		err  error
		want string
	}{
		{refused, "nothing answers at 127.0.0.1:1, the address in DATABASE_URL (connect: connection refused): does PostgreSQL run there? pg_isready -h 127.0.0.1 -p 1"},
		{fmt.Errorf("dialing: %w", context.DeadlineExceeded), "nothing answers in time at 127.0.0.1:1"},
		{slow, "nothing answers in time at 127.0.0.1:1"},
		{&net.OpError{Op: "read", Err: errors.New("reset")}, ""},
		{errors.New("tls: handshake failure"), ""},
	} {
		if got := s.unreachable(c.err); !strings.HasPrefix(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%v is told as %q, want %q", c.err, got, c.want)
		}
	}
	_, err = Open(t.Context(), Options{URL: secret.New("postgres://u@127.0.0.1:1/db?sslmode=disable&connect_timeout=1")})
	says(t, "opening", err, fault.Transient, "nothing answers at 127.0.0.1:1")
}

// timedOut is the error of a network that gave up.
type timedOut struct{}

func (timedOut) Error() string   { return "i/o timeout" }
func (timedOut) Timeout() bool   { return true }
func (timedOut) Temporary() bool { return true }

func TestWordsAreQuotedForAShellAndForSQLWhereTheyNeedIt(t *testing.T) {
	for word, want := range map[string]string{
		"billing": "billing", "/run/postgresql": "/run/postgresql", "db-1.example.com:5432": "db-1.example.com:5432",
		"": "''", "-rf": "'-rf'", "two words": "'two words'", "it's": `'it'\''s'`, "$(id)": "'$(id)'",
	} {
		same(t, "quoted "+word, want, quoted(word))
	}
	for name, want := range map[string]string{
		"billing_2": "billing_2", "": `""`, "2billing": `"2billing"`, "Shop": `"Shop"`, `a"b`: `"a""b"`, "shop-app": `"shop-app"`,
	} {
		same(t, "identifier "+name, want, identifier(name))
	}
	same(t, "a socket", "/run/postgresql", server{host: "/run/postgresql", port: 5432}.place())
	same(t, "an address of version 6", "[::1]:5432", server{host: "::1", port: 5432}.place())
}

// The clock of a server is wrong if it shows a time before the question or after the answer.
func TestAClockIsWrongByNoLessThanTheQuestionTook(t *testing.T) {
	asked, answered := t0, t0.Add(time.Second)
	for _, c := range []struct{ there, want time.Duration }{
		{0, 0}, {time.Second, 0}, {500 * time.Millisecond, 0}, {-time.Nanosecond, -time.Nanosecond}, {time.Second + 1, time.Second + 1}, {-time.Hour, -time.Hour},
	} {
		same(t, c.there.String(), c.want, skew(asked, t0.Add(c.there), answered))
	}
}

func TestAURLMayChooseHowPostgreSQLIsUsed(t *testing.T) {
	type settings struct {
		mode    pgx.QueryExecMode
		pool    int32
		timeout time.Duration
	}
	for more, want := range map[string]settings{
		"":                              {pgx.QueryExecModeCacheDescribe, defaultPool, connectLimit},
		"&pool_max_conns=1":             {pgx.QueryExecModeCacheDescribe, 2, connectLimit}, // one is not enough for migrations
		"&pool_max_conns=30":            {pgx.QueryExecModeCacheDescribe, 30, connectLimit},
		"&default_query_exec_mode=exec": {pgx.QueryExecModeExec, defaultPool, connectLimit},
		"&connect_timeout=3":            {pgx.QueryExecModeCacheDescribe, defaultPool, 3 * time.Second},
	} {
		c, err := postgresConfig("postgres://u@127.0.0.1/db?sslmode=disable" + more)
		if err != nil {
			t.Fatal(err)
		}
		if got := (settings{c.ConnConfig.DefaultQueryExecMode, c.MaxConns, c.ConnConfig.ConnectTimeout}); got != want {
			t.Errorf("with %q: %+v, want %+v", more, got, want)
		}
	}
	_, err := postgresConfig("postgres://u@127.0.0.1/db?sslmode=perhaps")
	refused(t, "a setting that is none", err, "the database URL is not valid")
	_, err = postgresConfig("postgres://u:a#b@127.0.0.1/db")
	refused(t, "a password that parsers read differently", err, "in the database URL")
}

// An error of connecting loses its chain with the password, and keeps its kind.
func TestAnErrorWithoutThePasswordKeepsItsKind(t *testing.T) {
	const raw = "postgres://u:hunter2@h/db"
	for _, c := range []struct {
		err  error
		want fault.Kind
	}{
		{&pgconn.PgError{Code: "57P03", Message: "starting up for hunter2"}, fault.Transient},
		{fault.Errorf(fault.Conflict, "busy with %s", raw), fault.Conflict},
	} {
		err := withoutPassword(raw, c.err)
		if fault.Of(err) != c.want || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "[redacted]") {
			t.Errorf("%v becomes %s %v, want %s", c.err, fault.Of(err), err, c.want)
		}
	}
}

// A mode that prepares statements on the server works beside PostgreSQL itself. Behind a
// PgBouncer in transaction mode it does not, and the error names the setting.
func TestAModeThatAPoolerCannotServeIsNamed(t *testing.T) {
	through := pgtest.Bouncer(t, pgtest.New(t, migrateURL), 2)
	for mode, works := range map[string]bool{"": true, "cache_describe": true, "exec": true, "simple_protocol": true, "cache_statement": false, "describe_exec": false} {
		url := through
		if mode != "" {
			url += "&default_query_exec_mode=" + mode
		}
		s, err := Open(t.Context(), Options{URL: secret.New(url)})
		for range 3 { // the first time a statement is prepared, and only later it is missed
			if err == nil {
				_, err = s.Mappings(t.Context())
			}
		}
		if works != (err == nil) {
			t.Errorf("default_query_exec_mode=%s: %v", mode, err)
		}
		if !works && (err == nil || strings.Count(err.Error(), "Take default_query_exec_mode out of DATABASE_URL") != 1 || fault.Of(err) != fault.Permanent) {
			t.Errorf("default_query_exec_mode=%s: %v, and it does not name the setting", mode, err)
		}
		if s != nil {
			_ = s.Close()
		}
	}
}

// A parameter that needs a session of its own is refused by PgBouncer, with the remedy.
func TestAParameterThatAPoolerRefusesIsNamed(t *testing.T) {
	through := pgtest.Bouncer(t, pgtest.New(t, migrateURL), 2)
	_, err := Open(t.Context(), Options{URL: secret.New(through + "&statement_timeout=1000")})
	says(t, "a start-up parameter", err, fault.Transient, "refuses a parameter of DATABASE_URL", "statement_timeout", "take it out there")
}
