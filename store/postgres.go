package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

const (
	// connectLimit bounds the first contact, so that a wrong host is reported soon.
	connectLimit = 10 * time.Second
	// defaultPool is what a run, the web side and the lease use at most together;
	// pool_max_conns in the URL changes it.
	defaultPool = 8
)

// openPostgres connects by the URL.
func openPostgres(ctx context.Context, o Options) (*Store, error) {
	raw := o.URL.Reveal()
	config, err := postgresConfig(raw)
	if err != nil {
		return nil, err
	}
	config.BeforeConnect = currentLogin(o.URL, raw)
	config.AfterConnect = func(_ context.Context, c *pgx.Conn) error {
		if secured, ok := c.PgConn().Conn().(*tls.Conn); ok && o.Secured != nil {
			state := secured.ConnectionState()
			o.Secured(&state)
		}
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, withoutPassword(raw, err)
	}
	db := stdlib.OpenDBFromPool(pool)
	s := &Store{d: postgres, write: db, read: db, server: serverOf(config.ConnConfig.Config)}
	s.close = []func() error{db.Close, func() error { pool.Close(); return nil }}
	ctx, cancel := context.WithTimeout(ctx, 2*connectLimit)
	defer cancel()
	if err := pool.Ping(ctx); err != nil {
		return nil, errors.Join(withoutPassword(raw, s.server.explain(err)), s.Close())
	}
	return s, nil
}

// currentLogin gives each new connection user and password as the URL has them by then,
// because a password that is in a file is rotated without a restart.
func currentLogin(from secret.Text, raw string) func(context.Context, *pgx.ConnConfig) error {
	return func(_ context.Context, c *pgx.ConnConfig) error {
		now := from.Reveal()
		if now == raw {
			return nil
		}
		next, err := postgresConfig(now)
		if err == nil {
			c.User, c.Password = next.ConnConfig.User, next.ConnConfig.Password
		}
		return err
	}
}

// postgresConfig reads the URL. Statements are described once and sent unnamed
// (cache_describe): the fastest way that leaves nothing behind on the server's session, so
// that any pooler between is fine. default_query_exec_mode in the URL changes it.
func postgresConfig(raw string) (*pgxpool.Config, error) {
	if problem := secret.URLProblem(raw); problem != "" {
		return nil, permanent("in the database URL %s", problem)
	}
	config, err := pgxpool.ParseConfig(raw)
	if err != nil {
		return nil, permanent("the database URL is not valid: %w", withoutPassword(raw, err))
	}
	if !strings.Contains(raw, "default_query_exec_mode=") {
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	if !strings.Contains(raw, "pool_max_conns=") {
		config.MaxConns = defaultPool
	}
	config.MaxConns = max(config.MaxConns, 2) // migrating holds its lock on one and works on another
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectLimit
	}
	return config, nil
}

// withoutPassword keeps an error from quoting the password or the whole URL, of which
// every parser reads the same password; see secret.URLProblem. It drops the chain,
// which might be formatted elsewhere.
func withoutPassword(raw string, err error) error {
	text := oneLine(err.Error())
	for _, hidden := range secret.Passwords(raw) {
		text = strings.ReplaceAll(text, hidden, "[redacted]")
	}
	kind := fault.Of(err)
	if kind == fault.Unknown {
		kind = kindOf(err)
	}
	return fault.Wrap(kind, errors.New(text))
}

// server is a PostgreSQL server as a person names it, for commands that can be copied.
type server struct {
	host, database, user string
	port                 uint16
}

func serverOf(c pgconn.Config) server {
	return server{host: c.Host, port: c.Port, database: c.Database, user: c.User}
}

// at are the parameters with which PostgreSQL's own commands find the server.
func (s server) at() string { return fmt.Sprintf("-h %s -p %d", quoted(s.host), s.port) }

// psql is a statement as the server's administrator gives it.
func (s server) psql(database, statement string) string {
	return fmt.Sprintf("psql %s -U postgres -d %s -c %s", s.at(), quoted(database), "\""+strings.ReplaceAll(statement, `"`, `\"`)+"\"")
}

// explain turns the refusal of a server that this process cannot use yet into one
// line with the command that mends it. Any other error stays as it is.
func (s server) explain(err error) error {
	text := ""
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		text = s.refused(pg)
	} else if name, ok := errors.AsType[*net.DNSError](err); ok && name.IsNotFound {
		return permanent("the host %s of DATABASE_URL is not known: is it spelt right? getent hosts %s", s.host, quoted(s.host))
	} else if connecting, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		text = s.unreachable(connecting)
	}
	if text == "" {
		return err
	}
	return fault.Wrap(kindOf(err), errors.New(text))
}

// refused is an answer of the server (PostgreSQL manual, appendix A).
func (s server) refused(pg *pgconn.PgError) string {
	switch {
	case pg.Code == "3D000":
		return fmt.Sprintf("the database %s does not exist at %s: createdb %s -U postgres -O %s %s", s.database, s.place(), s.at(), quoted(s.user), quoted(s.database))
	case pg.Code == "28P01":
		return fmt.Sprintf("PostgreSQL at %s refuses the password of %s: correct it in DATABASE_URL, or set a new one: %s (where there is no such role: createuser %s -U postgres -P %s)",
			s.place(), s.user, s.psql("postgres", `\password `+identifier(s.user)), s.at(), quoted(s.user))
	case pg.Code == "28000" && strings.Contains(pg.Message, "does not exist"):
		return fmt.Sprintf("PostgreSQL at %s has no role %s: createuser %s -U postgres -P %s", s.place(), s.user, s.at(), quoted(s.user))
	case pg.Code == "28000":
		return fmt.Sprintf("PostgreSQL at %s does not let %s in from here: %s; allow it in pg_hba.conf (or sslmode=require in DATABASE_URL), then %s",
			s.place(), s.user, oneLine(pg.Message), s.psql("postgres", "SELECT pg_reload_conf()"))
	case pg.Code == "42501" && strings.Contains(pg.Message, "for database"):
		return fmt.Sprintf("%s may not connect to the database %s: %s", s.user, s.database, s.psql("postgres", "GRANT CONNECT ON DATABASE "+identifier(s.database)+" TO "+identifier(s.user)))
	case pg.Code == "42501" && strings.Contains(pg.Message, "for schema"):
		return fmt.Sprintf("%s may make no tables in the database %s: %s", s.user, s.database, s.psql(s.database, "GRANT ALL ON SCHEMA public TO "+identifier(s.user)))
	case pg.Code == "42501":
		return fmt.Sprintf("%s lacks a right in the database %s (%s), whose tables another role has made: %s",
			s.user, s.database, oneLine(pg.Message), s.psql(s.database, "GRANT ALL ON ALL TABLES IN SCHEMA public TO "+identifier(s.user)))
	case pg.Code == "08P01" && strings.Contains(pg.Message, "startup parameter"):
		return fmt.Sprintf("the pooler at %s refuses a parameter of DATABASE_URL (%s): take it out there, or name it in ignore_startup_parameters of PgBouncer", s.place(), oneLine(pg.Message))
	case pg.Code == "53300":
		return fmt.Sprintf("PostgreSQL at %s has no connection left: raise max_connections there, or put pool_max_conns=2 into DATABASE_URL", s.place())
	}
	return ""
}

// withPooler adds the remedy to an error that only a URL with the wrong mode gets, and only
// behind a pooler: the statement was prepared on a connection that another client has now.
func withPooler(err error) error {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pg.Code != "26000" && pg.Code != "42P05" || strings.Contains(err.Error(), modeForPoolers) {
		return err
	}
	return fmt.Errorf("%w: %s", err, modeForPoolers)
}

const modeForPoolers = "a pooler in transaction mode keeps no prepared statement for one client. Take default_query_exec_mode out of DATABASE_URL: " +
	"the mode is cache_describe then, which leaves none behind"

// unreachable is no answer, or none of PostgreSQL.
func (s server) unreachable(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err):
		return fmt.Sprintf("nothing answers in time at %s, the address in DATABASE_URL: is it right, and does a firewall let it pass? pg_isready %s", s.place(), s.at())
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return fmt.Sprintf("nothing answers at %s, the address in DATABASE_URL (%v): does PostgreSQL run there? pg_isready %s", s.place(), op.Err, s.at())
	}
	return ""
}

// place is host and port for people.
func (s server) place() string {
	if strings.HasPrefix(s.host, "/") {
		return s.host
	}
	return net.JoinHostPort(s.host, fmt.Sprint(s.port))
}

// quoted is a word for a shell.
func quoted(word string) string {
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-:") == "" && !strings.HasPrefix(word, "-") {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// identifier is a name for SQL, in quotes where it needs them.
func identifier(name string) string {
	if name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == "" && (name[0] < '0' || name[0] > '9') {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// oneLine is a text of a server in one printable line.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// ClockSkew is how far PostgreSQL's clock is ahead of this machine's, less at most
// the time that the question took. SQLite has no other clock than this machine's.
func (s *Store) ClockSkew(ctx context.Context) (time.Duration, error) {
	if s.d != postgres {
		return 0, nil
	}
	var there time.Time
	began := time.Now()
	err := s.query(ctx, "asking the time", "SELECT clock_timestamp()", nil, func(row scan) error { return row(into(&there)) })
	if err != nil {
		return 0, err
	}
	return skew(began, there, time.Now()), nil
}

// skew is how far a clock is ahead that showed a time between a question and its answer.
func skew(asked, there, answered time.Time) time.Duration {
	if there.Before(asked) || there.After(answered) {
		return there.Sub(asked)
	}
	return 0
}

// Risk is a setting of the database's server under which a commit may be lost, or the
// database itself, and which no transaction can change.
type Risk struct {
	Setting string // "fsync=off"
	Harm    string // the loss, and when it happens
	Remedy  string
	// Certain: there is no arrangement known to us under which it does no harm.
	Certain bool
}

// Durability looks for such settings. On SQLite there are none: opening fails when
// its settings cannot be had.
//
// Neon runs its PostgreSQL with fsync=off: there a commit waits for a majority of
// other machines that keep the log, which is what synchronous_commit then means.
func (s *Store) Durability(ctx context.Context) ([]Risk, error) {
	if s.d != postgres {
		return nil, nil
	}
	var fsync, pages, standbys, neon string
	err := s.query(ctx, "reading the server's settings", `SELECT current_setting('fsync'), current_setting('full_page_writes'),
		current_setting('synchronous_standby_names'), coalesce(current_setting('neon.timeline_id', true), '')`, nil, func(row scan) error {
		return row(&fsync, &pages, &standbys, &neon)
	})
	if err != nil || neon != "" || strings.Contains(standbys, "walproposer") {
		return nil, err
	}
	const remedy = " in postgresql.conf of the database server, then SELECT pg_reload_conf()"
	var risks []Risk
	if fsync == "off" {
		risks = append(risks, Risk{Setting: "fsync=off", Certain: true, Remedy: "set fsync=on" + remedy,
			Harm: "when the database's machine crashes or loses power, recorded changes may be lost, and hostings are then made twice; the database itself may be damaged"})
	}
	if pages == "off" {
		risks = append(risks, Risk{Setting: "full_page_writes=off", Remedy: "set full_page_writes=on" + remedy,
			Harm: "when the database's machine crashes or loses power, the database may be damaged, unless its storage never writes half a page"})
	}
	return risks, nil
}
